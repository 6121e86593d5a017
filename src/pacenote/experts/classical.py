"""Lit traffic lights and cones found by colour and shape: nothing to fetch, some 50 ms a frame on one core.

Each finder cuts regions of the right hue out of a picture and measures them; a logistic regression turns the measures
into a confidence. Most are ratios, so that neither size nor brightness of the picture matters much. The weights were
fitted on 160 rendered frames (`benchmarks/experts.py --fit`), never on photos: there many small lights are missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pacenote.experts.detection import Box, Detection, clipped, suppressed
from pacenote.experts.regions import Array, Sums, columns, connected, filled, within
from pacenote.work import digest

if TYPE_CHECKING:
    from PIL import Image

LONGEST = 1280  # px: larger pictures are scaled down to it, their boxes back up
# Hue in degrees / 2, as OpenCV counts; red lies on both sides of 0. Green lamps reach far towards blue.
HUES = {"red": ((0, 9), (168, 180)), "yellow": ((10, 34),), "green": ((55, 99),)}
CONE_HUES = ((0, 22), (170, 180))
# Each pass cuts tighter: a lamp off its own glow, a cone off the ones behind it. What both find is told once.
LAMP_PASSES = ((0.5, 70), (0.8, 110))  # least share of the brightest value near by, least saturation
CONE_PASSES = (95, 150)  # least saturation
LAMP_VALUE, CONE_VALUE = 80, 50
LAMP_ROWS, CONE_ROWS = 0.68, 0.3  # of the height: no lamp is sought below, no cone above
HORIZON = 0.42  # of the height: where a level camera in a car has it

LIGHT_WEIGHTS = {
    "one": -9.29, "yellow": -1.55, "size": 3.41, "size2": -3.54, "aspect": -4.86, "square": -17.67, "value": 8.47,
    "saturation": 5.23, "ring": -1.88, "behind": 1.77, "colour": -1.23, "row": -14.23, "row2": -28.6, "near": -0.84,
}  # fmt: skip
CONE_WEIGHTS = {
    "one": 1.56, "height": 1.5, "aspect": 1.06, "fill": -2.89, "taper": -2.36, "value": 3.26, "saturation": 6.28,
    "ground": -4.08, "under": -0.82, "far": 1.53, "stature": -1.39, "stature2": -0.89, "red": -3.02, "brown": -4.14,
    "mates": 0.92, "rivals": -1.03,
}  # fmt: skip
LEAST = 0.45  # confidence: about where F1 is best on rendered frames that the weights had not seen


@dataclass(frozen=True)
class Regions:
    """What may be things of `kind`: `boxes` (N, 4) px of the prepared picture, the `states` of lights, else "", and
    each `measure` (N,) by name."""

    kind: str
    boxes: Array
    states: tuple[str, ...]
    measures: dict[str, Array]

    def confidence(self, weights: dict[str, float]) -> Array:
        """(N,) probabilities."""
        score = sum((weight * self.measures[name] for name, weight in weights.items()), np.zeros(len(self.boxes)))
        return np.asarray(1 / (1 + np.exp(-score)))


class Classical:
    """The expert: lit lights with their state, and cones (drums, panels and tubes too)."""

    name = "classical"
    kinds = frozenset(("traffic_light", "cone"))
    digest = digest([
        LIGHT_WEIGHTS, CONE_WEIGHTS, LEAST, LONGEST, HUES, CONE_HUES, LAMP_PASSES, CONE_PASSES, LAMP_VALUE, CONE_VALUE,
        LAMP_ROWS, CONE_ROWS, HORIZON,
    ])  # fmt: skip

    def detect(self, images: Sequence[Image.Image]) -> list[list[Detection]]:
        """The detections of each picture, best first."""
        return [self._detect(image) for image in images]

    def _detect(self, image: Image.Image) -> list[Detection]:
        hsv, scale = prepare(image)
        found: list[Detection] = []
        for seen, weights in ((lights(hsv), LIGHT_WEIGHTS), (cones(hsv), CONE_WEIGHTS)):
            for box, state, confidence in zip(seen.boxes * scale, seen.states, seen.confidence(weights), strict=True):
                inside = clipped(box, image.size)
                if confidence >= LEAST and inside:
                    found.append(Detection(seen.kind, inside, float(confidence), state))
        return suppressed(found, 0.3)


def prepare(image: Image.Image) -> tuple[Array, float]:
    """(H, W, 3) uint8 hue, saturation, value of the picture, at most LONGEST px long, and the factor from its pixels to
    those of `image`."""
    import cv2

    pixels = np.asarray(image.convert("RGB"))
    scale = max(1.0, max(image.size) / LONGEST)
    if scale > 1:
        size = (max(1, round(image.width / scale)), max(1, round(image.height / scale)))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV), scale


def lights(hsv: Array) -> Regions:
    """Compact bright regions of a lamp's hue, not low in the picture."""
    import cv2

    height = len(hsv)
    hue, saturation, value = hsv[..., 0], hsv[..., 1], hsv[..., 2]
    near = cv2.dilate(value, np.ones((15, 15), np.uint8))
    found, states = [np.zeros((0, 5))], []
    for share, least in LAMP_PASSES:
        bright = (value >= LAMP_VALUE) & (value >= share * near) & (saturation >= least)
        bright[int(LAMP_ROWS * height) :] = False
        for state, hues in HUES.items():
            x, y, w, h, area = connected(filled(bright & within(hue, hues)))
            d = np.maximum(w, h)
            good = (area >= 6) & (d <= 0.1 * height) & (d < 2.2 * np.minimum(w, h)) & (area > 0.45 * w * h)
            found.append(np.stack([x, y, x + w, y + h, area], 1)[good])
            states += [state] * int(good.sum())
    joined = np.concatenate(found)
    return Regions("traffic_light", joined[:, :4], tuple(states), _lamp_measures(hsv, joined, np.array(states)))


def _lamp_measures(hsv: Array, regions: Array, states: Array) -> dict[str, Array]:
    height, box = len(hsv), regions[:, :4]
    x0, y0, x1, y1, area = regions.T
    value, saturation = Sums(hsv[..., 2]), Sums(hsv[..., 1])
    w, h = x1 - x0, y1 - y0
    d = np.maximum(w, h)
    shine, colour = np.maximum(value.mean(box), 1), np.maximum(saturation.mean(box), 1)
    size, row = np.log(d / height / 0.02), (y0 + y1) / 2 / height - 0.35
    across, along = np.abs((x0 + x1)[:, None] - x0 - x1) / 2 / d[:, None], np.abs(y0[:, None] - y0) / d[:, None]
    near = (states[:, None] == states) & (across < 8) & (along < 8)
    return {
        "one": np.ones(len(d)),
        "yellow": (states == "yellow").astype(float),
        "size": size,
        "size2": size**2,
        "aspect": np.abs(np.log(w / h)),
        "square": np.maximum(area / (w * h) - 0.82, 0) * (d > 5),  # a disc fills 0.79 of its box, a sign all
        "value": shine / 255,
        "saturation": colour / 255,
        # a lamp sits in a dark grey housing, the housing before the sky
        "ring": np.log(value.ring(box, 0.25 * d, 0.7 * d) / shine + 0.1),
        "behind": np.log(value.ring(box, 1.2 * d, 2.5 * d) / shine + 0.1),
        "colour": np.log(saturation.ring(box, 0.25 * d, 0.7 * d) / colour + 0.1),
        "row": row,
        "row2": row**2,
        "near": np.log(np.maximum(near.sum(1), 1)),  # windows, signs and leaves come in numbers
    }


def cones(hsv: Array) -> Regions:
    """Orange and red regions with the white bands between them, not high in the picture."""
    import cv2

    height = len(hsv)
    hue, saturation, value = hsv[..., 0], hsv[..., 1], hsv[..., 2]
    reach = max(3, height // 18)  # px that a white band may be high
    column = np.ones((reach, 1), np.uint8)
    parts = []
    for least in CONE_PASSES:
        orange = (within(hue, CONE_HUES) & (saturation >= least) & (value >= CONE_VALUE)).astype(np.uint8)
        orange[: int(CONE_ROWS * height)] = 0
        between = cv2.dilate(orange, column, anchor=(0, reach - 1)) & cv2.dilate(orange, column, anchor=(0, 0))
        painted = cv2.dilate(value * orange, np.ones((2 * reach + 1, 3), np.uint8))
        white = (between > 0) & (saturation < 120) & (value > 0.7 * painted)
        mask = orange | white.astype(np.uint8)
        x, y, w, h, area = connected(mask)
        good = (area >= 14) & (h >= 5) & (h < 0.5 * height) & (h > 0.6 * w) & (h < 9 * w) & (y + h > 0.4 * height)
        box = np.stack([x, y, x + w, y + h], 1)[good & (area > 0.25 * w * h)]
        parts.append((box, _cone_measures(hsv, box, mask)))
    boxes = np.concatenate([box for box, _ in parts])
    measures = {name: np.concatenate([part[name] for _, part in parts]) for name in parts[0][1]}
    return Regions("cone", boxes, ("",) * len(boxes), measures)


def _cone_measures(hsv: Array, box: Array, mask: Array) -> dict[str, Array]:
    height = len(hsv)
    hue = hsv[..., 0]
    value, saturation, covered = Sums(hsv[..., 2]), Sums(hsv[..., 1]), Sums(mask)
    red, brown = Sums(mask * ((hue < 4) | (hue > 160))), Sums(mask * ((hue > 15) & (hue < 26)))
    x0, y0, x1, y1 = box.T
    w, h = x1 - x0, y1 - y0
    shine, share = np.maximum(value.mean(box), 1), np.maximum(covered.mean(box), 0.01)
    top, bottom = covered.mean(columns(x0, y0, x1, y0 + h / 3)), covered.mean(columns(x0, y1 - h / 3, x1, y1))
    foot = columns(x0, y1 + 0.1 * h, x1, y1 + 0.1 * h + np.maximum(2, 0.3 * h))
    left = columns(x0 - 1.2 * w, y0 + h / 2, x0 - 0.2 * w, y1)
    right = columns(x1 + 0.2 * w, y0 + h / 2, x1 + 1.2 * w, y1)
    beside = np.maximum((value.mean(left) + value.mean(right)) / 2, 1)
    # A thing of height m on the ground spans m / (height of the camera) of the way from its foot to the horizon.
    stature = np.log(h / np.maximum(y1 - HORIZON * height, 0.01 * height) / 0.5).clip(-2, 2)
    aspect, colour = np.log(h / w / 1.8), saturation.mean(box)
    alike = [np.abs(a[:, None] - a) < most for a, most in ((aspect, 0.35), (stature, 0.35), (colour, 40))]
    return {
        "one": np.ones(len(h)),
        "height": np.log(h / height / 0.08),
        "aspect": aspect,
        "fill": share,
        "taper": top / np.maximum(bottom, 0.1),
        "value": shine / 255,
        "saturation": colour / 255,
        "ground": saturation.mean(foot) / 255,
        # road goes on below a cone as beside it; below a tail lamp come bumper and shadow
        "under": np.log(value.mean(foot) / beside + 0.2),
        "far": np.log(value.mean(columns(x0, y1 + 0.5 * h, x1, y1 + 1.5 * h)) / beside + 0.2),
        "stature": stature,
        "stature2": stature**2,
        "red": red.mean(box) / share,
        "brown": brown.mean(box) / share,
        "mates": np.log(np.maximum(np.logical_and.reduce(alike).sum(1), 1)),
        "rivals": np.full(len(h), np.log(max(len(h), 1))),
    }


def lamp_state(image: Image.Image, box: Box) -> str:
    """The state of the traffic light in `box` px: the hue of a lamp that shines most; "" where none does, for a light
    that is off and the back of one look alike."""
    x0, y0, x1, y1 = (round(edge) for edge in box)
    hsv, _ = prepare(image.crop((x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))))
    saturation, value = hsv[..., 1].astype(float), hsv[..., 2].astype(float)
    lit = (saturation >= LAMP_PASSES[0][1]) & (value >= max(LAMP_VALUE, 0.6 * value.max()))
    sums = {state: float((saturation * value)[lit & within(hsv[..., 0], hues)].sum()) for state, hues in HUES.items()}
    best = max(sums, key=lambda state: sums[state])
    # A lamp fills a tenth of its housing; a tenth of it in full light and colour must be there.
    return best if sums[best] > 0.01 * 255**2 * lit.size else ""
