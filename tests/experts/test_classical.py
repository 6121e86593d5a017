"""Lights and cones that were drawn are found where they stand, and nothing where there is nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from pacenote.experts import Detection
from pacenote.experts.classical import CONE_WEIGHTS, LIGHT_WEIGHTS, Classical, cones, lamp_state, lights, prepare
from pacenote.experts.detection import Box, iou
from pacenote.experts.regions import Sums

COLOURS = {"red": (250, 40, 20), "yellow": (250, 200, 20), "green": (20, 235, 170)}
PLACE = {"red": 0, "yellow": 1, "green": 2}
expert = Classical()


def street(size: tuple[int, int] = (672, 378), night: bool = False) -> Image.Image:
    """Sky over road."""
    image = Image.new("RGB", size, (25, 22, 24) if night else (190, 200, 215))
    road = (30, 30, 32) if night else (105, 105, 108)
    ImageDraw.Draw(image).rectangle((0, round(0.45 * size[1]), *size), fill=road)
    return image


def draw_light(image: Image.Image, state: str, x: float, y: float, d: float) -> Box:
    """An upright light whose lit lamp of `d` px has its middle at (x, y); the lamp's box."""
    draw = ImageDraw.Draw(image)
    top = y - (PLACE[state] * 1.4 + 0.9) * d
    draw.rectangle((x - 0.9 * d, top, x + 0.9 * d, top + 4.6 * d), fill=(22, 22, 22))
    box = (x - d / 2, y - d / 2, x + d / 2, y + d / 2)
    draw.ellipse(box, fill=COLOURS[state])
    return box


def draw_cone(image: Image.Image, x: float, foot: float, h: float) -> Box:
    """A cone with a white band whose foot stands at (x, foot)."""
    draw = ImageDraw.Draw(image)
    for top, bottom, colour in ((1.0, 0.0, (235, 95, 20)), (0.65, 0.45, (235, 235, 235))):
        a, b = (0.28 - 0.21 * part for part in (top, bottom))  # half the width there, of the height
        y0, y1 = foot - top * h, foot - bottom * h
        draw.polygon([(x - a * h, y0), (x + a * h, y0), (x + b * h, y1), (x - b * h, y1)], colour)
    return (x - 0.28 * h, foot - h, x + 0.28 * h, foot)


def of_kind(found: Sequence[Detection], kind: str) -> list[Detection]:
    return [one for one in found if one.kind == kind]


@pytest.mark.parametrize("night", [False, True])
@pytest.mark.parametrize("state", COLOURS)
@pytest.mark.parametrize(("size", "d"), [((672, 378), 6), ((672, 378), 11), ((1280, 720), 12), ((2560, 1440), 24)])
def test_a_light_is_found_with_its_state(state: str, night: bool, size: tuple[int, int], d: int) -> None:
    image = street(size, night)
    box = draw_light(image, state, 0.5 * size[0], 0.2 * size[1], d)
    found = expert.detect([image])[0]
    assert [(one.kind, one.state) for one in found] == [("traffic_light", state)]
    assert iou(found[0].box, box) > 0.5
    assert lamp_state(image, (box[0] - 3, box[1] - 3, box[2] + 3, box[3] + 3)) == state


@pytest.mark.parametrize("night", [False, True])
@pytest.mark.parametrize("h", [24, 40])
def test_a_row_of_cones_is_found(night: bool, h: int) -> None:
    image = street(night=night)
    boxes = [draw_cone(image, x, 0.42 * 378 + 2 * h, h) for x in (250, 330, 410)]
    found = of_kind(expert.detect([image.filter(ImageFilter.GaussianBlur(0.6))])[0], "cone")
    assert len(found) == 3
    assert all(max(iou(box, one.box) for one in found) > 0.6 for box in boxes)


def test_a_cone_is_one_region_in_spite_of_its_band() -> None:
    image = street()
    box = draw_cone(image, 300, 250, 40)
    seen = cones(prepare(image)[0])
    assert max(iou(tuple(one), box) for one in seen.boxes) > 0.8
    assert set(seen.measures) == set(CONE_WEIGHTS)
    assert set(lights(prepare(image)[0]).measures) == set(LIGHT_WEIGHTS)


@given(st.integers(0, 255), st.sampled_from([(16, 16), (17, 300), (300, 16), (448, 252)]))
@settings(max_examples=20)
def test_flat_grey_shows_nothing(level: int, size: tuple[int, int]) -> None:
    assert expert.detect([Image.new("RGB", size, (level,) * 3)]) == [[]]


@given(
    st.sampled_from(sorted(COLOURS)), st.floats(0.2, 0.8), st.floats(0.12, 0.3), st.floats(6, 12), st.floats(0.75, 1.0)
)
@settings(max_examples=30)
def test_brightness_does_not_matter(state: str, x: float, y: float, d: float, gain: float) -> None:
    image = street()
    draw_light(image, state, round(x * 672), round(y * 378), d)
    dimmed = image.point([round(v * gain) for v in range(256)] * 3)
    bright, dim = (expert.detect([one])[0] for one in (image, dimmed))
    assert [one.state for one in bright] == [one.state for one in dim] == [state]
    assert iou(bright[0].box, dim[0].box) > 0.7


@given(st.integers(0, 2**32 - 1), st.integers(16, 200), st.integers(16, 120), st.integers(2, 24))
@settings(max_examples=30)
def test_detections_lie_inside_the_picture(seed: int, width: int, height: int, block: int) -> None:
    """Coloured blocks, so that there is something to find."""
    rng = np.random.default_rng(seed)
    palette = np.array([*COLOURS.values(), (235, 95, 20), (20, 20, 20), (240, 240, 240)], np.uint8)
    rows, columns = -(-height // block), -(-width // block)
    blocks = palette[rng.integers(0, len(palette), (rows, columns))]
    image = Image.fromarray(blocks.repeat(block, 0).repeat(block, 1)[:height, :width])
    found = expert.detect([image])[0]
    for one in found:
        x0, y0, x1, y1 = one.box
        assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
        assert 0 <= one.confidence <= 1 and one.kind in ("traffic_light", "cone")
        assert (one.state in COLOURS) == (one.kind == "traffic_light")
    assert found == expert.detect([image, image])[1]


def test_an_unlit_light_has_no_state() -> None:
    image = Image.new("RGB", (12, 30), (25, 25, 25))
    assert lamp_state(image, (0, 0, 12, 30)) == ""
    assert lamp_state(image, (-5, -5, 0, 0)) == ""


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_sums_are_those_of_slices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 255, (9, 13)).astype(np.uint8)
    x0, y0 = rng.integers(0, 12), rng.integers(0, 8)
    x1, y1 = rng.integers(x0 + 1, 14), rng.integers(y0 + 1, 10)
    box = np.array([[x0, y0, x1, y1]], float)
    assert Sums(values).mean(box)[0] == pytest.approx(values[y0:y1, x0:x1].mean())
    around = np.ones(values.shape, bool)
    around[y0:y1, x0:x1] = False
    if around.any():
        ring = Sums(values).ring(box, np.zeros(1), np.full(1, 20.0))[0]
        assert ring == pytest.approx(values[around].mean())
