"""Crude drawn streets with small lights, cones and zebras: enough to see whether a tower learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from pacenote.advisory import CROSSROADS, OBSTACLES, Light, Truth
from pacenote.data.classes import CLASS_INDEX
from pacenote.training.frames import Frames, Record

SIZE = (672, 378)
LENS = {"red": (235, 40, 30), "yellow": (245, 190, 30), "green": (40, 225, 120)}


def street(seed: int) -> tuple[np.ndarray, np.ndarray, Record]:
    """(378, 672, 3) image, (378, 672) class map, record."""
    rng = np.random.default_rng(seed)
    width, height = SIZE
    night = rng.random() < 0.3
    base = rng.uniform(0.15, 0.4) if night else rng.uniform(0.6, 1.1)

    def colour(r: float, g: float, b: float, lit: bool = False) -> tuple[int, int, int]:
        jitter = rng.normal(1, 0.08, 3)
        scale = 1.0 if lit else base
        return tuple(int(np.clip(c * scale * j, 0, 255)) for c, j in zip((r, g, b), jitter, strict=True))  # type: ignore[return-value]

    image, classes = Image.new("RGB", SIZE), Image.new("L", SIZE)
    paint, mark = ImageDraw.Draw(image), ImageDraw.Draw(classes)

    def both(method: str, shape: list, fill: tuple[int, int, int], name: str) -> None:
        getattr(paint, method)(shape, fill=fill)
        getattr(mark, method)(shape, fill=CLASS_INDEX[name])

    horizon, vanish = int(rng.integers(150, 210)), int(rng.integers(260, 420))
    both("rectangle", [0, 0, width, horizon], colour(130, 180, 235), "sky")
    both("rectangle", [0, horizon, width, height], colour(95, 120, 70), "terrain")
    for _ in range(int(rng.integers(3, 9))):
        x, w, h = int(rng.integers(-50, width)), int(rng.integers(30, 130)), int(rng.integers(30, 170))
        both("rectangle", [x, horizon - h, x + w, horizon + 8], colour(*rng.integers(60, 220, 3)), "building")
        for _ in range(6):  # windows: bright distractors
            wx, wy = x + int(rng.integers(0, w)), horizon - int(rng.integers(0, h))
            paint.rectangle([wx, wy, wx + 5, wy + 6], fill=colour(*rng.integers(100, 255, 3), lit=rng.random() < 0.5))
    left, right = int(rng.integers(-250, 80)), int(rng.integers(590, 920))
    both(
        "polygon",
        [(vanish - 8, horizon), (vanish + 8, horizon), (right, height), (left, height)],
        colour(92, 92, 97),
        "road",
    )
    for k in range(12):
        y0, y1 = horizon + (height - horizon) * (k / 12) ** 2, horizon + (height - horizon) * ((k + 0.5) / 12) ** 2
        both("line", [(vanish, y0), (vanish, y1)], colour(230, 230, 225), "line")
    objects: list[dict] = []
    number = 0

    def note(kind: str, box: tuple[float, float, float, float], **more: object) -> None:
        nonlocal number
        number += 1
        objects.append({"id": number, "kind": kind, "box": [float(v) for v in box], "stated": True, **more})

    crossing = rng.random() < 0.45
    if crossing:
        y = int(rng.integers(horizon + 30, height - 50))
        depth = int(8 + (y - horizon) * 0.18)
        for x in range(0, width, int(14 + (y - horizon) * 0.2)):
            both("rectangle", [x, y, x + 8 + (y - horizon) // 12, y + depth], colour(235, 235, 230), "zebra")
        note("pedestrian_crossing", (0, y, width, y + depth), role="ahead")
    for _ in range(int(rng.integers(0, 6))):
        y = int(rng.integers(horizon + 5, height - 30))
        s = 8 + (y - horizon) * 0.35
        x = int(rng.integers(0, width))
        both("rectangle", [x, y - s, x + 1.8 * s, y], colour(*rng.integers(30, 230, 3)), "vehicle")
        for dx in (0.1, 1.6):  # rear lamps: red that is no traffic light
            paint.rectangle(
                [x + dx * s, y - 0.5 * s, x + (dx + 0.12) * s, y - 0.4 * s], fill=colour(220, 30, 30, lit=True)
            )
    cones = rng.random() < 0.45
    if cones:
        for _ in range(int(rng.integers(1, 6))):
            y = int(rng.integers(horizon + 35, height - 5))
            s = 6 + (y - horizon) * 0.22
            x = int(rng.integers(60, width - 60))
            both("polygon", [(x - s / 3, y), (x + s / 3, y), (x, y - s)], colour(240, 100, 25), "cone")
            note("cone", (x - s / 3, y - s, x + s / 3, y), role="obstacle")
    state = str(rng.choice(["none", "none", "red", "yellow", "green"]))
    if state != "none":
        for _ in range(int(rng.integers(1, 3))):
            r = rng.uniform(2.3, 5.5)
            x, y = rng.uniform(80, width - 80), rng.uniform(30, horizon - 15)
            both("rectangle", [x - 1.6 * r, y - 4 * r, x + 1.6 * r, y + 4 * r], (18, 18, 20), "light_housing")
            both("rectangle", [x - 1, y + 4 * r, x + 1, horizon + 15], colour(70, 70, 72), "light_housing")
            dy = {"red": -2.6, "yellow": 0.0, "green": 2.6}[state] * r
            both("ellipse", [x - r, y + dy - r, x + r, y + dy + r], LENS[state], f"light_{state}")
            note("traffic_light", (x - r, y + dy - r, x + r, y + dy + r), state=state, role="ego", lens_px=2 * r)
    pixels = np.asarray(image).astype(np.int16) + rng.normal(0, rng.uniform(1, 8), (height, width, 1)).astype(np.int16)
    kinds = dict.fromkeys(OBSTACLES, False) | {"cone": cones}
    truth = Truth(
        speed_kmh=0 if state == "red" else 20 if cones else 30 if crossing else 50,
        light=Light(state),
        obstacles=kinds,
        crossroad={kind: kind == "pedestrian_crossing" and crossing for kind in CROSSROADS},
    )
    record = Record(
        f"street-{seed}", truth, tuple(objects), {"time": "night" if night else "day"}, 8.0, 1.0, {}, str(seed)
    )
    return np.clip(pixels, 0, 255).astype(np.uint8), np.asarray(classes), record


def streets(count: int, seed: int = 0) -> Frames:
    """`count` drawn streets in memory."""
    drawn = [street(seed * 100_000 + i) for i in range(count)]
    return Frames(
        np.stack([d[0] for d in drawn]),
        np.stack([d[1] for d in drawn]),
        np.ones(count, bool),
        tuple(d[2] for d in drawn),
    )


if __name__ == "__main__":
    Path("streets").mkdir(exist_ok=True)
    for i in range(6):
        Image.fromarray(street(i)[0]).save(f"streets/{i}.png")
