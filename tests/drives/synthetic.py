"""A car on a textured plane with known speed and turn: pictures for the offset between clocks."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from PIL import Image

from pacenote.drives.drive import DriveFrame, Signals

WIDTH, HEIGHT, FOCAL, CAMERA_M = 160, 90, 120.0, 1.4
PIXELS_M = 4  # of the road's texture


def texture(random: np.random.Generator) -> np.ndarray:
    """512 x 512, with detail at every scale, as asphalt, patches and shadows have."""
    shape = (512, 512)
    layers = [
        cv2.resize(random.normal(0, k**0.5, (512 // k,) * 2), shape, interpolation=cv2.INTER_CUBIC)
        for k in (1, 4, 16, 64)
    ]
    whole = np.sum(layers, axis=0)
    return (whole - whole.mean()) / whole.std() * 40 + 128


class Way:
    """Speed and yaw rate that change every 4 s, and the places to which they lead."""

    def __init__(self, seed: int, seconds: float, flat: bool = False) -> None:
        random = np.random.default_rng(seed)
        knots = np.arange(-5, seconds + 10, 4.0)
        self.time = np.arange(-5, seconds + 5, 0.02)
        self.speed = np.interp(self.time, knots, random.uniform(0, 14, len(knots)) if not flat else 10.0 + 0 * knots)
        self.yaw = np.interp(self.time, knots, random.uniform(-0.2, 0.2, len(knots)) if not flat else 0 * knots)
        self.heading = np.cumsum(self.yaw) * 0.02
        self.x = np.cumsum(self.speed * np.cos(self.heading)) * 0.02
        self.y = np.cumsum(self.speed * np.sin(self.heading)) * 0.02

    def signals(self, late_s: float, rate: float = 10.0, names: tuple[str, ...] = ("speed_mps", "yaw_rate")) -> Signals:
        """The signals as a clock tells them that runs `late_s` later than the camera's."""
        told = np.arange(self.time[0] + 3, self.time[-1] - 3, 1 / rate)
        values = {"speed_mps": np.interp(told - late_s, self.time, self.speed)}
        values["yaw_rate"] = np.interp(told - late_s, self.time, self.yaw)
        return Signals(told, {name: values[name] for name in names})

    def frames(self, seed: int, seconds: float, rate: float = 10.0) -> Iterator[DriveFrame]:
        random = np.random.default_rng(seed)
        road, hills = texture(random), cv2.GaussianBlur(random.normal(0, 1, (40, 2048)), (0, 0), 3)
        hills = (hills - hills.mean()) / hills.std() * 40 + 128
        x, y = np.meshgrid(np.arange(WIDTH) - (WIDTH - 1) / 2, np.arange(HEIGHT) - HEIGHT / 2)
        below = y > 4
        ahead = np.where(below, CAMERA_M * FOCAL / np.maximum(y, 1), 0)
        left = -x * ahead / FOCAL
        for k in range(int(seconds * rate)):
            t = k / rate
            heading, at_x, at_y = (np.interp(t, self.time, one) for one in (self.heading, self.x, self.y))
            cos, sin = np.cos(heading), np.sin(heading)
            column = ((at_x + ahead * cos - left * sin) * PIXELS_M).astype(int) % 512
            row = ((at_y + ahead * sin + left * cos) * PIXELS_M).astype(int) % 512
            sky = hills[((y + 45) * 0.75).astype(int).clip(0, 39), (x - FOCAL * heading).astype(int) % 2048]
            grey = np.where(below, road[column, row], sky) + random.normal(0, 6, (HEIGHT, WIDTH))
            yield DriveFrame(k, t, decoded=Image.fromarray(grey.clip(0, 255).astype(np.uint8)).convert("RGB"))
