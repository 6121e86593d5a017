"""Another weather or time of day for a photo, argued from physics: air that scatters by distance, light that falls.

A photo has no depth pass. Where a class map says what is ground, the distance of ground is that of a flat plane below
the camera, and what stands on it is as far as its foot; without one everything below the horizon counts as ground and
what lies above it as `FAR`. Fog, rain, snow and drops on the glass are those of the renders (`render.finish`), applied
to linear light. Night leaves lamps their own light and gives the road that of the headlights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pacenote.data.classes import CLASS_INDEX
from pacenote.render import finish
from pacenote.scenes.scene import Camera, Environment

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

CAMERA_M = 1.5  # height of a dash camera where the frame does not tell
FOV = 70.0  # degrees across, of a dash camera where the frame does not tell
FAR = 150.0  # m: what rises above the horizon of a photo without a class map
NEAREST = 2.0  # m
GROUND = ("road", "junction", "line", "zebra", "stop_line", "arrow", "number", "sidewalk", "terrain")
LAMPS = ("light_red", "light_yellow", "light_green", "neon")
WHITENED = ("terrain", "vegetation", "sidewalk")
HEADLIGHT_M = 12.0  # distance at which headlights light the road as much as they meter for
NIGHT, DUSK = 0.012, 0.18  # daylight that is left
VISIBILITY = {"rain": (800.0, 4000.0), "fog": (60.0, 300.0), "snow": (250.0, 1500.0)}  # m, as scenes are drawn


@dataclass(frozen=True)
class View:
    """A photo before a change: `linear` light (h, w, 3), class map (h, w) or None, distances (h, w) m (inf = sky)."""

    linear: Floats
    classes: Bytes | None
    depth: Floats
    camera: Camera


@dataclass(frozen=True)
class _Setting:
    """What `render.finish` reads of a scene."""

    environment: Environment
    camera: Camera


def view_of(pixels: Bytes, classes: Bytes | None, camera: Mapping[str, float] | None, horizon: float = 0.45) -> View:
    """Look at an RGB photo (h, w, 3). `camera`: as in a Sample (fy, cy, z, pitch of `images[0]`); without it a flat
    plane `CAMERA_M` below a camera whose horizon lies at `horizon` of the height."""
    height, width = pixels.shape[:2]
    if camera and camera.get("fx"):
        scale = width / camera["width"]
        focal, centre = camera["fy"] * scale, camera["cy"] * scale
        level, above = centre + focal * math.tan(camera.get("pitch", 0.0)), _above(camera)
    else:
        focal = width / 2 / math.tan(math.radians(FOV) / 2)
        level, above = horizon * height, CAMERA_M
    fov = 2 * math.degrees(math.atan(width / 2 / focal))
    seen = Camera(0.0, 0.0, above, 0.0, fov=fov, width=width, height=height)
    return View(to_linear(pixels), classes, _depth(classes, (height, width), level, focal * above), seen)


def _above(camera: Mapping[str, float]) -> float:
    return float(np.clip(camera.get("z", CAMERA_M), 0.8, 4.0))


def _depth(classes: Bytes | None, shape: tuple[int, int], level: float, scale: float) -> Floats:
    """Distances: scale / rows below the level on the ground; up a column, what stands there is as far as its foot."""
    height, width = shape
    rows = np.arange(height, dtype=np.float32)[:, None] + 0.5
    plane = np.where(rows > level, scale / np.maximum(rows - level, 1e-3), FAR)
    plane = np.clip(np.broadcast_to(plane, shape), NEAREST, 10 * FAR).astype(np.float32)
    if classes is None:
        return np.where(rows > level, plane, FAR).astype(np.float32)
    ground = np.isin(classes, [CLASS_INDEX[name] for name in GROUND]) & (rows > level)
    depth = np.where(ground, plane, np.nan).astype(np.float32)
    below = np.full(width, np.nan, np.float32)
    for row in range(height - 1, -1, -1):
        below = np.where(np.isnan(depth[row]), below, depth[row])
        depth[row] = below
    depth = np.where(np.isnan(depth), NEAREST * 2, depth)  # the own bonnet, or a column without any ground
    return np.where(classes == CLASS_INDEX["sky"], np.inf, depth).astype(np.float32)


def to_linear(pixels: Bytes) -> Floats:
    """sRGB bytes to linear light 0..1 (IEC 61966-2-1)."""
    x = pixels.astype(np.float32) / 255
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4).astype(np.float32)


def to_pixels(linear: Floats) -> Bytes:
    """Inverse of `to_linear`; what is brighter than white is clipped."""
    x = np.clip(linear, 0, 1)
    srgb = np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 1e-7) ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(srgb * 255), np.uint8)


def with_weather(view: View, weather: str, time: str, rng: np.random.Generator) -> tuple[Bytes, dict[str, float]]:
    """The photo in rain, fog or snow at its own `time` of day, and the numbers behind it."""
    low, high = VISIBILITY[weather]
    visibility = math.exp(rng.uniform(math.log(low), math.log(high)))
    air = Environment(weather=weather, time=time, visibility_m=visibility, wetness=0.8 if weather == "rain" else 0.0)  # type: ignore[arg-type]
    setting: Any = _Setting(replace(air, seed=int(rng.integers(2**31))), view.camera)
    linear = {"rain": _wet, "snow": _snowed, "fog": lambda view, rng: view.linear}[weather](view, rng)
    linear = finish.fog(linear, view.depth, setting, rng)
    linear = finish.precipitation(linear, view.depth, setting, rng)
    return to_pixels(finish.glass(linear, setting, rng)), {"visibility_m": round(visibility, 1)}


def _wet(view: View, rng: np.random.Generator) -> Floats:
    """Under an overcast sky colours fade; wet ground is darker (water fills its pores) and mirrors what is above it."""
    grey = view.linear.mean(axis=2, keepdims=True)
    linear = 0.75 * (0.65 * view.linear + 0.35 * grey)
    ground = _ground(view)[..., None]
    mirrored = _blur(np.ascontiguousarray(linear[::-1]), linear.shape[1] * 0.01)
    return (linear * (1 - 0.35 * ground) + 0.12 * mirrored * ground).astype(np.float32)


def _snowed(view: View, rng: np.random.Generator) -> Floats:
    """Snow lies on verges and trees and thinly on the road; its albedo is about 0.8 of the light that falls."""
    light = float(np.percentile(view.linear, 90))
    noise = _blur(rng.random((*view.linear.shape[:2], 1), np.float32).repeat(3, 2), view.linear.shape[1] * 0.01)
    patchy = np.clip((noise[..., :1] - noise.mean()) / (noise.std() + 1e-6) * 0.25 + 0.6, 0.2, 0.95)
    cover = np.full(view.linear.shape[:2], 0.15, np.float32) * _ground(view)
    if view.classes is not None:
        cover = np.where(np.isin(view.classes, [CLASS_INDEX[name] for name in WHITENED]), 0.85, cover)
    amount = (cover[..., None] * patchy).astype(np.float32)
    white = 0.8 * light * np.array((0.97, 0.99, 1.03), np.float32)
    return (view.linear * (1 - amount) + white * amount).astype(np.float32)


def _ground(view: View) -> Floats:
    if view.classes is None:
        rows = np.arange(view.linear.shape[0])[:, None] / view.linear.shape[0]
        return np.broadcast_to(rows > 0.5, view.linear.shape[:2]).astype(np.float32)
    return np.isin(view.classes, [CLASS_INDEX[name] for name in GROUND]).astype(np.float32)


def at_night(view: View, time: str, lamps: Floats | None, rng: np.random.Generator) -> tuple[Bytes, dict[str, float]]:
    """The photo at dusk or at night: little bluish daylight, headlights on what is near (falling with the square of the
    distance, and to the sides), lamps as bright as before with glare around them, the sensor's noise.

    `lamps`: (h, w) 0..1 where light shines by itself; None: the lamps of the class map.
    """
    left = (DUSK if time == "dusk" else NIGHT) * float(rng.uniform(0.7, 1.4))
    blue = np.array((0.85, 0.95, 1.2) if time == "night" else (1.05, 0.95, 0.95), np.float32)
    height, width = view.linear.shape[:2]
    sideways = (np.arange(width, dtype=np.float32)[None, :] + 0.5) / width * 2 - 1
    rows = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height
    beam = np.exp(-1.8 * sideways**2) * np.clip((rows - 0.3) / 0.2, 0.05, 1)  # cut off above, as dipped beams are
    near = np.where(np.isfinite(view.depth), np.minimum((HEADLIGHT_M / view.depth) ** 2, 1.6), 0)
    warm = np.array((1.0, 0.93, 0.8), np.float32)
    lit = view.linear * (left * blue + (0.45 * beam * near)[..., None] * warm)
    shining = _lamps(view) if lamps is None else lamps
    lit = lit * (1 - shining[..., None]) + np.maximum(view.linear, lit) * 1.1 * shining[..., None]
    setting: Any = _Setting(Environment(time="night"), view.camera)
    lit = finish.bloom(lit + 0.6 * np.maximum(shining[..., None] * view.linear, 0), setting, rng)
    grain = rng.standard_normal(lit.shape, np.float32) * (0.004 + 0.02 * np.sqrt(np.maximum(lit, 0)))
    return to_pixels((lit * 1.4 + grain).astype(np.float32)), {"daylight": round(left, 4)}


def _lamps(view: View) -> Floats:
    if view.classes is None:
        return np.zeros(view.linear.shape[:2], np.float32)
    on = np.isin(view.classes, [CLASS_INDEX[name] for name in LAMPS]).astype(np.float32)
    return _blur(on[..., None].repeat(3, 2), 0.7)[..., 0]


def _blur(image: Floats, sigma: float) -> Floats:
    import cv2

    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32)
