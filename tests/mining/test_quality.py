"""What shows nothing is refused with its reason; night, rain and a standing car are not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pacenote.drives.clip import read_frames
from pacenote.mining.quality import Limits, Quality, sharpness, shrunk


def street(seed: int, light: float = 1.0) -> Image.Image:
    """Blocks of all sizes with fine texture; `light` dims all but one lamp."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((252, 448, 3), np.float32)
    for size in (63, 21, 7):
        blocks = rng.uniform(0, 85, (-(-252 // size), -(-448 // size), 3)).astype(np.float32)
        picture += cv2.resize(blocks, None, fx=size, fy=size, interpolation=cv2.INTER_NEAREST)[:252, :448]
    picture *= light
    picture[60:74, 200:214] = (255, 220, 180)
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))


def blurred(image: Image.Image, sigma: float) -> Image.Image:
    return Image.fromarray(cv2.GaussianBlur(np.asarray(image), (0, 0), sigma))


def plain(level: int, noise: int = 0) -> Image.Image:
    grain = np.random.default_rng(0).integers(-noise, noise + 1, (252, 448, 3))
    return Image.fromarray((grain + level).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("image", "reason"),
    [(plain(0), "black"), (plain(6, 6), "black"), (plain(254, 3), "washed out"), (plain(128, 1), "one colour")],
)
def test_what_shows_nothing_is_refused(image: Image.Image, reason: str) -> None:
    assert (Quality().judge(image, 0.0) or "").startswith(reason)


@pytest.mark.parametrize("light", [1.0, 0.3, 0.05])
def test_darkness_is_no_fault_while_a_lamp_is_lit(light: float) -> None:
    quality = Quality()
    assert [quality.judge(street(k, light), k / 10, 10.0) for k in range(20)] == [None] * 20


def test_blur_is_measured_against_the_drive_itself() -> None:
    quality = Quality()
    soft = [blurred(street(k), 1.0) for k in range(30)]  # a soft lens is this drive's norm
    assert [quality.judge(image, k / 10, 10.0) for k, image in enumerate(soft)] == [None] * 30
    assert (quality.judge(blurred(street(99), 6.0), 3.0, 10.0) or "").startswith("blurred")
    assert quality.judge(blurred(street(100), 1.0), 3.1, 10.0) is None
    assert Quality().judge(blurred(street(99), 6.0), 0.0, 10.0) is None  # nothing to measure it against


def test_a_tunnel_is_not_blur() -> None:
    quality = Quality()
    lights = [1.0] * 15 + [0.08] * 15
    assert not [r for k, light in enumerate(lights) if (r := quality.judge(street(k, light), k / 10, 10.0))]


@pytest.mark.parametrize(
    ("speed", "frozen"), [(10.0, True), (0.0, False), (None, False), (float("nan"), False), (0.2, False)]
)
def test_an_equal_picture_is_frozen_only_while_the_car_drives(speed: float | None, frozen: bool) -> None:
    quality = Quality()
    still = street(1)
    judged = [quality.judge(still, k / 30, speed) for k in range(8)]
    assert judged[0] is None
    assert bool(judged[-1] and judged[-1].startswith("frozen")) is frozen
    assert quality.judge(street(2), 1.0, speed) is None
    assert quality.judge(street(3), 1.1, speed) is None


def test_a_freeze_that_was_compressed_again_is_one_too() -> None:
    quality, noise = Quality(), np.random.default_rng(0)
    base = np.asarray(street(4)).astype(int)
    noisy = [
        Image.fromarray((base + noise.integers(-2, 3, base.shape)).clip(0, 255).astype(np.uint8)) for _ in range(4)
    ]
    assert [bool(quality.judge(image, k / 5, 10.0)) for k, image in enumerate(noisy)] == [False, True, True, True]


def test_memory_is_bounded() -> None:
    quality = Quality(Limits(memory=11))
    for k in range(40):
        quality.judge(street(k % 5), k / 10, 1.0)
    assert len(quality._sharpness) == 11


def test_dim_light_leaves_sharpness_as_it_is() -> None:
    bright, dim = (sharpness(shrunk(street(3, light))) for light in (1.0, 0.4))
    assert dim == pytest.approx(bright, rel=0.5)
    assert sharpness(shrunk(blurred(street(3), 4.0))) < 0.1 * bright


def test_real_photos_of_day_night_and_rain_pass(real: Path) -> None:
    photos = [path for path in sorted(real.glob("*/images/*")) if path.suffix in (".jpg", ".png")]
    photos += sorted(real.glob("openlka_can/*/frame_0000.jpg"))
    assert len(photos) > 150
    dark = 0
    for path in photos[:: max(1, len(photos) // 80)] + sorted(real.glob("comma10k_samples/images/*")):
        image = Image.open(path)
        dark += np.asarray(image.convert("L")).mean() < 50
        assert Quality().judge(image, 0.0) is None, path
    assert dark >= 2  # there is night among them


def test_real_drives_pass_and_a_blurred_frame_of_one_does_not(real: Path) -> None:
    for clip in ("openlka_can/c02/clip.mp4", "openlka_can/c15/clip.mp4"):
        quality = Quality()
        frames = list(read_frames(real / clip, every=4))
        assert not [reason for frame in frames if (reason := quality.judge(frame.image, frame.time_s, 10.0))]
        worse = blurred(frames[-1].image, 5.0)
        assert (quality.judge(worse, frames[-1].time_s + 0.2, 10.0) or "").startswith("blurred")
