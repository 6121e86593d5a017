"""The finder points at a lamp-like spot of the right colour, and at nothing where there is none."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pacenote.serve.crop import Blob, find_coloured_blob, zoom

COLOURS = {"red": (235, 30, 25), "yellow": (250, 190, 20), "green": (20, 225, 150)}


def street(lamps: dict[tuple[int, int], str], radius: int = 6, size: tuple[int, int] = (800, 450)) -> Image.Image:
    image = Image.new("RGB", size, (120, 130, 140))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, size[1] // 2, size[0], size[1]), fill=(70, 70, 72))
    for (x, y), state in lamps.items():
        draw.rectangle((x - 3 * radius, y - 3 * radius, x + 3 * radius, y + 3 * radius), fill=(20, 20, 22))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=COLOURS[state])
    noise = np.random.default_rng(0).normal(0, 4, (size[1], size[0], 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def near(blob: Blob | None, x: int, y: int) -> bool:
    return (
        blob is not None
        and abs((blob.box[0] + blob.box[2]) / 2 - x) < 5
        and abs((blob.box[1] + blob.box[3]) / 2 - y) < 5
    )


@pytest.mark.parametrize("state", list(COLOURS))
def test_the_lamp_of_the_claimed_colour_is_found_among_others(state: str) -> None:
    places = {(200, 80): "red", (420, 90): "yellow", (640, 70): "green"}
    x, y = next(at for at, colour in places.items() if colour == state)
    assert near(find_coloured_blob(street(places), state), x, y)


def test_nothing_is_pointed_at_where_nothing_shines() -> None:
    assert find_coloured_blob(street({}), "red") is None
    assert find_coloured_blob(street({(300, 80): "green"}), "red") is None
    assert find_coloured_blob(street({(300, 80): "green"}), "none") is None
    assert find_coloured_blob(street({(300, 400): "red"}), "red") is None  # on the road: no signal hangs there


def test_a_signal_is_preferred_to_an_equal_tail_lamp() -> None:
    assert near(find_coloured_blob(street({(300, 70): "red", (500, 230): "red"}), "red"), 300, 70)


def test_the_spot_is_followed_and_never_left_beyond_the_leash() -> None:
    both = street({(200, 70): "red", (600, 70): "red"})
    for x in (200, 600):
        before = Blob((x - 12, 62, x, 74), 1.0)
        assert near(find_coloured_blob(both, "red", before, leash=0.06), x, 70)
    gone = street({(600, 70): "red"})
    assert find_coloured_blob(gone, "red", Blob((194, 64, 206, 76), 1.0), leash=0.06) is None


def test_boxes_of_large_frames_are_in_their_own_pixels() -> None:
    large = street({(1200, 200): "green"}, radius=14, size=(2560, 1440))
    assert near(find_coloured_blob(large, "green"), 1200, 200)


def test_the_enlarged_view_is_square_and_stays_inside() -> None:
    image = street({(4, 4): "red"})
    assert zoom(image, (0, 0, 8, 8), 120).size == (120, 120)
    assert zoom(image, (790, 440, 800, 450), 120).getpixel((0, 0)) != (0, 0, 0)


def test_within_a_region_the_lamp_there_is_found_however_low_and_dull() -> None:
    both = street({(200, 80): "red", (600, 330): "red"})
    assert near(find_coloured_blob(both, "red"), 200, 80)
    assert near(find_coloured_blob(both, "red", within=(570, 300, 630, 360)), 600, 330)
    assert find_coloured_blob(both, "red", within=(380, 40, 420, 120)) is None
