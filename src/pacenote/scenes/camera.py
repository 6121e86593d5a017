"""The ego camera: a dashboard or roof camera with ordinary mounting errors."""

from __future__ import annotations

import math

import numpy as np

from pacenote.scenes.geometry import left_of
from pacenote.scenes.recipe import Cameras
from pacenote.scenes.scene import Camera, Signal
from pacenote.scenes.seeds import uniform


def mount(asked: Cameras, fov: float, x: float, y: float, yaw: float, rng: np.random.Generator) -> Camera:
    """A camera over the middle of a lane at (x, y), looking about along `yaw`."""
    side = left_of(yaw) * float(np.clip(rng.normal(0, 0.22), -0.6, 0.6))
    low, high = asked.height_m
    return Camera(
        x=round(x + float(side[0]), 3),
        y=round(y + float(side[1]), 3),
        z=round(low + (high - low) * float(rng.beta(1.2, 2.2)), 3),
        yaw=round(yaw + float(np.clip(rng.normal(0, 0.018), -0.06, 0.06)), 5),
        pitch=round(math.radians(uniform(rng, *asked.pitch)), 5),
        roll=round(math.radians(float(np.clip(rng.normal(0, asked.roll), -3 * asked.roll, 3 * asked.roll))), 5),
        fov=round(fov, 3),
        width=asked.width,
        height=asked.height,
        k1=round(uniform(rng, *asked.k1), 4),
    )


def pixel(camera: Camera, x: float, y: float, z: float) -> tuple[float, float, float]:
    """(column, row, distance along the axis in metres) of a point, without roll and distortion; the distance is
    negative behind the camera."""
    dx, dy, dz = x - camera.x, y - camera.y, z - camera.z
    forward = dx * math.cos(camera.yaw) + dy * math.sin(camera.yaw)
    left = -dx * math.sin(camera.yaw) + dy * math.cos(camera.yaw)
    depth = forward * math.cos(camera.pitch) + dz * math.sin(camera.pitch)
    up = dz * math.cos(camera.pitch) - forward * math.sin(camera.pitch)
    focal = camera.width / 2 / math.tan(math.radians(camera.fov) / 2)
    safe = max(depth, 1e-3)
    return camera.width / 2 - focal * left / safe, camera.height / 2 - focal * up / safe, depth


def lens_px(camera: Camera, signal: Signal) -> float:
    """Diameter of a signal's lens in pixels, 0 where the head is out of the frame or turned away."""
    column, row, depth = pixel(camera, signal.x, signal.y, signal.z)
    margin = 4.0
    inside = margin < column < camera.width - margin and margin < row < camera.height - margin
    towards = math.atan2(camera.y - signal.y, camera.x - signal.x)
    if depth < 1.0 or not inside or math.cos(signal.yaw - towards) < 0.5:
        return 0.0
    return signal.lens_m * camera.width / 2 / math.tan(math.radians(camera.fov) / 2) / depth
