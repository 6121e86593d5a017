"""Where in a frame the claimed light may be: the most likely coloured blob. A pointer for the eye, not a detector."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

UPPER_SHARE = 0.62  # lights hang above this share of the height; tail lamps and paint lie below
MAX_SIDE = 1280  # px; larger frames are searched scaled down
# Hue windows of OpenCV's HSV (0-179) with the least saturation and value of a lit lens.
HUES: dict[str, tuple[tuple[int, int], ...]] = {
    "red": ((0, 9), (170, 179)),
    "yellow": ((13, 34),),
    "green": ((42, 98),),  # signal green is bluish
}
MIN_SATURATION, MIN_VALUE = 95, 110
Box = tuple[float, float, float, float]  # x0, y0, x1, y1


@dataclass(frozen=True)
class Blob:
    """A coloured spot: box (x0, y0, x1, y1) in px of the frame, and a score that compares spots of one frame. `told`:
    the model's own look names a light there."""

    box: tuple[int, int, int, int]
    score: float
    told: bool = False


def find_coloured_blob(
    image: "Image.Image", state: str, near: Blob | None = None, leash: float = 1.0, within: Box | None = None
) -> Blob | None:
    """The compact, saturated spot of the state's colour in the upper part of the frame that stands out most.

    `near`: where it was in the frame before; a spot there counts twice, and one farther away than `leash` (a share of
    the frame's width) not at all. `within`: px of the frame, outside of which nothing is looked for; a low light counts
    there, too. `state` is red, yellow or green; None for others and where no spot qualifies.
    It takes a neon sign or a tail lamp as gladly as a signal: the model's answer is not made from it.
    """
    if state not in HUES:
        return None
    import cv2
    import numpy as np

    scale = min(1.0, MAX_SIDE / image.width)
    small = image if scale == 1.0 else image.resize((round(image.width * scale), round(image.height * scale)))
    top = np.asarray(small.convert("RGB"))
    if within is None:
        top = top[: max(1, round(small.height * UPPER_SHARE))]
    hsv = cv2.cvtColor(top, cv2.COLOR_RGB2HSV)
    mask = np.zeros(hsv.shape[:2], np.uint8)
    for low, high in HUES[state]:
        mask |= cv2.inRange(hsv, (low, MIN_SATURATION, MIN_VALUE), (high, 255, 255))
    if within is not None:
        x0, y0, x1, y1 = (round(value * scale) for value in within)
        inside = np.zeros_like(mask)
        inside[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = 255
        mask &= inside
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    spots = [_score(hsv, labels, index, stats[index], small.size) for index in range(1, count)]
    best: Blob | None = None
    for spot in spots:
        if spot is None:
            continue
        x0, y0, x1, y1 = (round(value / scale) for value in spot.box)
        score = spot.score
        if near is not None:
            away = _distance(near.box, (x0, y0, x1, y1)) / image.width
            if away > leash:
                continue
            score *= 2.0 if away < 0.06 else 1.0
        if best is None or score > best.score:
            best = Blob((x0, y0, x1, y1), score)
    return best


def _distance(one: tuple[int, int, int, int], two: tuple[int, int, int, int]) -> float:
    """Between the centres, px."""
    dx = (one[0] + one[2] - two[0] - two[2]) / 2
    dy = (one[1] + one[3] - two[1] - two[3]) / 2
    return float((dx * dx + dy * dy) ** 0.5)


def _score(hsv: Any, labels: Any, index: int, stat: Any, frame: tuple[int, int]) -> Blob | None:
    """Colour strength x fill x contrast to the darker surrounding x height in the frame; None for a wrong shape."""
    import numpy as np

    x, y, width, height, area = (int(value) for value in stat)
    long, short = max(width, height), min(width, height)
    if area < 4 or long > frame[0] * 0.07 or long > 2.2 * short + 1:
        return None
    inside = labels[y : y + height, x : x + width] == index
    part = hsv[y : y + height, x : x + width][inside].astype(float) / 255
    strength = float((part[:, 1] * part[:, 2]).mean())
    margin = max(2, long)
    around = (
        hsv[max(0, y - margin) : y + height + margin, max(0, x - margin) : x + width + margin, 2].astype(float) / 255
    )
    contrast = float(part[:, 2].mean() - np.percentile(around, 30))
    if contrast < 0.1:
        return None
    fill = area / (width * height)
    size = min(1.0, long / (frame[0] * 0.012))  # below about 15 px in 1280 a spot counts less: specks are many
    height_share = (y + height / 2) / frame[1]
    above = math.exp(-3.5 * height_share)  # signals hang high, tail lamps and blinkers sit near the horizon
    return Blob((x, y, x + width, y + height), strength * fill * (0.3 + contrast) * (0.4 + 0.6 * size) * above)


def zoom(image: "Image.Image", box: tuple[int, int, int, int], side: int, times: float = 4.0) -> "Image.Image":
    """A square of `side` px around the box, `times` as wide as the box at least, from the sharp frame."""
    from PIL import Image

    x0, y0, x1, y1 = box
    half = max((x1 - x0) * times, (y1 - y0) * times, image.width * 0.03) / 2
    half = min(half, min(image.size) / 2)
    cx = min(max((x0 + x1) / 2, half), image.width - half)
    cy = min(max((y0 + y1) / 2, half), image.height - half)
    region = (cx - half, cy - half, cx + half, cy + half)
    return image.resize((side, side), Image.Resampling.BICUBIC, box=region)
