"""Pictures come in upright and RGB or are refused in one line; fitting gives the size asked for and keeps shapes."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pacenote.errors import InputError
from pacenote.models.frames import FITS, MAX_PIXELS, crop_box, find_images, fit_frame, open_image, unfitted

SIZE = (672, 378)


def disc(width: int, height: int, radius: int) -> Image.Image:
    """A white disc on black at the centre."""
    y, x = np.mgrid[:height, :width]
    inside = (x - width / 2) ** 2 + (y - height / 2) ** 2 < radius**2
    return Image.fromarray((inside[..., None] * np.full(3, 255)).astype(np.uint8))


def extent(image: Image.Image) -> tuple[int, int]:
    """Width and height of what is brighter than the half."""
    bright = np.asarray(image)[..., 0] > 190
    return int(bright.any(0).sum()), int(bright.any(1).sum())


@given(
    st.integers(20, 900), st.integers(20, 900), st.sampled_from(FITS), st.sampled_from([SIZE, (224, 224), (90, 160)])
)
@settings(max_examples=60, deadline=None)
def test_any_shape_becomes_exactly_the_size(width: int, height: int, how: str, size: tuple[int, int]) -> None:
    fitted = fit_frame(Image.new("RGB", (width, height)), size, how)  # type: ignore[arg-type]
    assert fitted.size == size
    assert fitted.mode == "RGB"


@pytest.mark.parametrize("how", ["crop", "pad"])
@pytest.mark.parametrize("source", [(800, 600), (526, 330), (1280, 720), (1164, 874), (400, 700)])
def test_crop_and_pad_keep_a_disc_round(source: tuple[int, int], how: str) -> None:
    fitted = fit_frame(disc(*source, radius=40), SIZE, how)  # type: ignore[arg-type]
    width, height = extent(fitted)
    assert abs(width - height) <= 2


@pytest.mark.parametrize("how", FITS)
@pytest.mark.parametrize("source", [(800, 600), (1280, 720), (900, 300), (416, 416)])
def test_a_box_goes_back_to_where_it_came_from(source: tuple[int, int], how: str) -> None:
    image, place = Image.new("RGB", source, (20, 20, 20)), (source[0] // 2 - 20, source[1] // 2 - 10)
    image.paste((250, 250, 250), (*place, place[0] + 40, place[1] + 40))
    size = (672, 378)
    ys, xs = np.nonzero(np.asarray(fit_frame(image, size, how))[..., 0] > 200)
    found = unfitted((xs.min(), ys.min(), xs.max() + 1, ys.max() + 1), source, size, how)
    assert found == pytest.approx((*place, place[0] + 40, place[1] + 40), abs=3)


def test_auto_undoes_a_squeeze_to_a_square_and_crops_a_camera_frame() -> None:
    squeezed = disc(1280, 720, 90).resize((416, 416))
    width, height = extent(fit_frame(squeezed, SIZE))
    assert abs(width - height) <= 2
    camera = fit_frame(disc(800, 600, 40), SIZE)
    assert extent(camera) == extent(fit_frame(disc(800, 600, 40), SIZE, "crop"))


@given(st.integers(20, 2000), st.integers(20, 2000))
def test_crop_box_lies_inside_and_has_the_aspect(width: int, height: int) -> None:
    x0, y0, x1, y1 = crop_box((width, height), SIZE)
    assert -1e-6 <= x0 < x1 <= width + 1e-6
    assert -1e-6 <= y0 < y1 <= height + 1e-6
    assert (x1 - x0) / (y1 - y0) == pytest.approx(SIZE[0] / SIZE[1])
    assert x1 - x0 == pytest.approx(width) or y1 - y0 == pytest.approx(height)


def test_exif_turns_the_picture_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (60, 40), "black")
    image.paste("red", (0, 0, 60, 10))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned clockwise by 90 degrees
    image.save(tmp_path / "phone.png", exif=exif)
    opened = open_image(tmp_path / "phone.png")
    assert opened.size == (40, 60)
    assert opened.getpixel((38, 30)) == (255, 0, 0)  # the top row is now the right column


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16"])
def test_any_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
    Image.new("L", (32, 32), 128).convert(mode).save(path)
    opened = open_image(path)
    assert opened.mode == "RGB"
    assert opened.size == (32, 32)


def test_sixteen_bit_grey_keeps_its_range(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    values = np.asarray(open_image(tmp_path / "ramp.png"))[..., 0]
    assert values.min() == 0
    assert values.max() >= 254
    assert abs(float(values.mean()) - 127) < 2


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header claims width x height and that holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"not an image at all", "not a readable image"),
        (bomb(100_000, 100_000), "megapixels"),
        (bomb(400, 300), "not a readable image"),
        (bomb(400, 2), "too small"),
    ],
)
def test_bad_files_are_refused_with_their_name(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=word) as caught:
        open_image(path)
    assert "bad.png" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_cut_jpeg_is_refused(tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (80, 80, 3), dtype=np.uint8))
    noise.save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:900])
    with pytest.raises(InputError, match="not a readable image"):
        open_image(tmp_path / "cut.jpg")


def test_the_pixel_limit_is_about_pixels_not_bytes(tmp_path: Path) -> None:
    side = int(MAX_PIXELS**0.5) + 10
    (tmp_path / "wide.png").write_bytes(bomb(side, side))
    with pytest.raises(InputError, match="megapixels"):
        open_image(tmp_path / "wide.png")


def test_folders_are_searched_in_depth_and_order(tmp_path: Path) -> None:
    for name in ("b/2.JPG", "a.png", "b/1.jpeg", ".hidden/3.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = [path.relative_to(tmp_path).as_posix() for path in find_images([tmp_path, tmp_path / "a.png"])]
    assert found == ["a.png", "b/1.jpeg", "b/2.JPG"]
    with pytest.raises(InputError, match="no such"):
        find_images([tmp_path / "gone"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no pictures"):
        find_images([tmp_path / "empty"])
