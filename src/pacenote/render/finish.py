"""Scene-linear passes -> the photo a dash camera would have stored: fog, glare, weather on the glass, lens, sensor.

Everything is a function of (passes, scene.environment, scene.camera.k1); random choices come from environment.seed.
"""

from __future__ import annotations

import dataclasses
import io
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pacenote.errors import InputError
from pacenote.render.passes import Footprint, Passes
from pacenote.scenes.scene import Scene

Image = NDArray[np.float32]
# Camera exposure: the mean (log) luminance that the auto exposure aims at, and the gains it may use.
_KEY = {"day": 0.105, "dusk": 0.075, "night": 0.030}
_GAIN = {"day": (0.5, 4.0), "dusk": (0.8, 12.0), "night": (2.0, 34.0)}


def finish(passes: Passes, scene: Scene) -> tuple[NDArray[np.uint8], Passes]:
    """(HxWx3 uint8 sRGB frame, the passes warped by the lens alike)."""
    env = scene.environment
    rng = np.random.default_rng([env.seed & 0x7FFFFFFF, 20])
    linear = np.ascontiguousarray(passes.linear, np.float32)
    linear = fog(linear, passes.depth, scene, rng)
    gain = exposure(linear, passes.depth, scene, rng)
    linear = linear * gain
    linear = precipitation(linear, passes.depth, scene, rng)
    linear = bloom(linear, scene, rng)
    linear, warped = lens(linear, passes, scene, rng)
    linear = glass(linear, scene, rng)
    frame = develop(linear, scene, rng)
    return sensor(frame, gain, scene, rng), warped


def encode_jpeg(frame: NDArray[np.uint8], quality: int = 88) -> bytes:
    """JPEG bytes of an RGB frame."""
    from PIL import Image as Pillow

    out = io.BytesIO()
    Pillow.fromarray(frame).save(out, "JPEG", quality=quality)
    return out.getvalue()


def _blur(image: Image, sigma: float) -> Image:
    """Gaussian blur; wide ones on a smaller copy."""
    import cv2

    shrink = 1
    while sigma / shrink > 3.0:
        shrink *= 2
    if shrink == 1:
        return cv2.GaussianBlur(image, (0, 0), sigma)
    height, width = image.shape[:2]
    small = cv2.resize(image, (max(width // shrink, 1), max(height // shrink, 1)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / shrink)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def transmittance(depth: NDArray[np.float32], scene: Scene) -> Image:
    """Beer-Lambert transmittance of each pixel, exp(-3.912 d / visibility) (Koschmieder)."""
    height, width = depth.shape
    tan = math.tan(math.radians(scene.camera.fov) / 2)
    x = (np.arange(width, dtype=np.float32) + 0.5) / width * 2 - 1
    y = ((np.arange(height, dtype=np.float32) + 0.5) / height * 2 - 1) * height / width
    slant = np.sqrt(1 + (x[None, :] ** 2 + y[:, None] ** 2) * tan * tan)
    distance = np.where(np.isfinite(depth), depth, 2500.0) * slant
    return np.exp(-3.912 / max(scene.environment.visibility_m, 1.0) * distance).astype(np.float32)


def fog(linear: Image, depth: NDArray[np.float32], scene: Scene, rng: np.random.Generator) -> Image:
    """Mix towards the airlight by depth; lamps get a halo of scattered light."""
    env = scene.environment
    through = transmittance(depth, scene)[..., None]
    sky = ~np.isfinite(depth)
    if sky.sum() > 50:
        air = np.median(linear[sky], axis=0)
    else:
        air = np.array(
            {"day": (0.55, 0.60, 0.66), "dusk": (0.12, 0.12, 0.14), "night": (0.002, 0.002, 0.002)}[env.time],
            np.float32,
        )
    if env.time == "night":
        air = air + 0.35 * linear.reshape(-1, 3).mean(axis=0)
    elif env.weather == "fog":
        air = air.mean() * np.array((0.98, 1.0, 1.02), np.float32) * float(rng.uniform(0.85, 1.1))
    out = linear * through + air.astype(np.float32) * (1 - through)
    thick = min(400.0 / max(env.visibility_m, 1.0), 1.0)
    if thick > 0.05 and env.time != "day":
        bright = np.clip(linear - 0.3, 0, 20) * through
        out = out + thick * 0.35 * (_blur(bright, linear.shape[1] * 0.02) + 0.6 * _blur(bright, linear.shape[1] * 0.06))
    return out


def exposure(linear: Image, depth: NDArray[np.float32], scene: Scene, rng: np.random.Generator) -> float:
    """The gain of the camera's auto exposure, metered over the lower part, within its limits."""
    env = scene.environment
    luminance = linear @ np.array((0.2126, 0.7152, 0.0722), np.float32)
    height = luminance.shape[0]
    part = luminance[int(height * 0.30) :]
    mean = float(np.exp(np.log(np.maximum(part, 1e-4)).mean()))
    bright = float(np.percentile(luminance, 92))
    gain = _KEY[env.time] / max(mean, 1e-4)
    if env.time == "day":  # hold the sky
        gain = gain**0.5 * (0.66 / max(bright, 1e-3)) ** 0.5
    else:  # hold what the headlamps strike
        gain = min(gain, 2.4 / max(bright, 1e-3))
    low, high = _GAIN[env.time]
    gain = float(np.clip(gain, low, high))
    return gain * 2.0 ** (env.exposure_ev + float(rng.normal(-0.05, 0.3)))


def bloom(linear: Image, scene: Scene, rng: np.random.Generator) -> Image:
    """Glare of what is brighter than the sensor's white, over three widths."""
    width = linear.shape[1]
    bright = np.minimum(np.maximum(linear - 0.9, 0), 12.0)
    if float(bright.max()) <= 0:
        return linear
    night = scene.environment.time != "day"
    strength = float(rng.uniform(0.5, 1.3)) * (1.0 if night else 0.45)
    wet = 1.6 if scene.environment.weather == "rain" else 1.0
    out = linear + strength * 0.20 * _blur(bright, width * 0.0022)
    out += strength * wet * 0.075 * _blur(bright, width * 0.009)
    return out + strength * wet * 0.035 * _blur(bright, width * 0.04)


def precipitation(linear: Image, depth: NDArray[np.float32], scene: Scene, rng: np.random.Generator) -> Image:
    """Rain streaks or snowflakes in the air, lit by what is behind them."""
    import cv2

    weather = scene.environment.weather
    if weather not in ("rain", "snow"):
        return linear
    height, width = linear.shape[:2]
    scale = width / 672
    layer = np.zeros((height, width), np.float32)
    density = float(rng.uniform(0.3, 1.0))
    lean = float(rng.normal(0, 0.12))
    ambient = _blur(linear, width * 0.05)
    if weather == "rain":
        for _ in range(int(260 * density)):
            x, y, near = rng.uniform(0, width), rng.uniform(-0.1, 1) * height, rng.uniform(0.2, 1) ** 2
            run = (6 + 26 * near) * scale
            end = (x + lean * run + (x - width / 2) / width * run * 0.5, y + run)
            cv2.line(
                layer,
                (int(x * 8), int(y * 8)),
                (int(end[0] * 8), int(end[1] * 8)),
                float(0.10 + 0.28 * near),
                1,
                cv2.LINE_AA,
                3,
            )
        layer = cv2.GaussianBlur(layer, (0, 0), 0.6 * scale)
        tone = ambient * 1.15 + 0.03
        return linear + layer[..., None] * 0.5 * (tone - 0.4 * linear)
    for _ in range(int(620 * density)):
        x, y, near = rng.uniform(0, width), rng.uniform(0, 1) * height, rng.uniform(0.05, 1) ** 3
        radius = (0.5 + 2.6 * near) * scale
        axes = (max(int(radius * 8), 3), max(int(radius * (1 + 1.2 * near) * 8), 3))
        angle = float(np.degrees(np.arctan2(y - height / 2, x - width / 2)) - 90)
        cv2.ellipse(layer, ((x, y), (axes[0] / 4, axes[1] / 4), angle), float(0.85 - 0.45 * near), -1, cv2.LINE_AA)
    layer = np.clip(cv2.GaussianBlur(layer, (0, 0), 0.7 * scale), 0, 1)
    tone = np.maximum(ambient * 1.5, 0.05 if scene.environment.time == "night" else 0.5)
    return linear + layer[..., None] * (tone - linear) * 0.8


def shrink(width: int, height: int, k1: float) -> float:
    """Barrel distortion pulls the frame's edge inwards, by this factor at most; the lens enlarges the picture by its
    inverse, so that nothing from outside is asked for. `k1` counts radii in half widths of the frame."""
    edge = np.array([1.0, height / width, math.hypot(1.0, height / width)])
    zoom = float(min(1.0, (1 + k1 * edge**2).min()))
    if zoom < 0.3:
        raise InputError(f"camera k1 = {k1} is too strong a distortion; use -0.5 to 1")
    return zoom


def _maps(width: int, height: int, k1: float) -> tuple[Image, Image, float]:
    """Source coordinates of each pixel of the warped image, and the factor from its radii to distorted radii."""
    half = width / 2

    def undo(r: NDArray[np.float64]) -> NDArray[np.float64]:
        out = r.copy()
        for _ in range(6):  # Newton on out (1 + k1 out^2) = r
            out -= (out * (1 + k1 * out**2) - r) / np.maximum(1 + 3 * k1 * out**2, 0.2)
        return out

    zoom = shrink(width, height, k1)
    x = (np.arange(width) + 0.5 - width / 2) / half
    y = (np.arange(height) + 0.5 - height / 2) / half
    r = np.hypot(x[None, :], y[:, None])
    ratio = undo(zoom * r) / np.maximum(r, 1e-9)
    map_x = (x[None, :] * ratio * half + width / 2 - 0.5).astype(np.float32)
    map_y = (y[:, None] * ratio * half + height / 2 - 0.5).astype(np.float32)
    return map_x, map_y, zoom


def lens(linear: Image, passes: Passes, scene: Scene, rng: np.random.Generator) -> tuple[Image, Passes]:
    """Radial distortion of picture, index, depth and footprints alike; softness and vignette of the picture."""
    import cv2

    height, width = linear.shape[:2]
    k1 = scene.camera.k1
    warped = passes
    if abs(k1) > 1e-4:
        map_x, map_y, zoom = _maps(width, height, k1)
        linear = cv2.remap(linear, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        linear = np.maximum(linear, 0)
        near = (np.clip(np.rint(map_y), 0, height - 1).astype(int), np.clip(np.rint(map_x), 0, width - 1).astype(int))
        index, depth = passes.index[near], passes.depth[near]
        seen = np.bincount(index.ravel())
        footprints = {}
        for id, old in passes.footprints.items():
            moved = _moved(old, width, height, k1, zoom, int(seen[id]) if id < len(seen) else 0)
            if moved:
                footprints[id] = moved
        warped = dataclasses.replace(
            passes, linear=passes.linear[near], index=index, depth=depth, footprints=footprints
        )
    soft = float(rng.choice((0.0, 0.35, 0.5, 0.7, 0.95))) * width / 672
    if soft > 0:
        linear = cv2.GaussianBlur(linear, (0, 0), soft)
    x = (np.arange(width, dtype=np.float32) + 0.5) / width * 2 - 1
    y = (np.arange(height, dtype=np.float32) + 0.5) / height * 2 - 1
    fall = float(rng.uniform(0.0, 0.32))
    return linear * (1 - fall * (x[None, :] ** 2 + 0.6 * y[:, None] ** 2) / 1.6)[..., None], warped


def _moved(old: Footprint, width: int, height: int, k1: float, zoom: float, visible: int) -> Footprint | None:
    """A footprint through the lens: its box by the outline's points, its area by the local magnification."""
    half = width / 2
    x0, y0, x1, y1 = old.box
    t = np.linspace(0, 1, 5)
    xs = np.concatenate([x0 + t * (x1 - x0), x0 + t * (x1 - x0), np.full(5, x0), np.full(5, x1)])
    ys = np.concatenate([np.full(5, y0), np.full(5, y1), y0 + t * (y1 - y0), y0 + t * (y1 - y0)])
    u, v = (xs - width / 2) / half, (ys - height / 2) / half
    grow = (1 + k1 * (u * u + v * v)) / zoom
    a, b = u * grow * half + width / 2, v * grow * half + height / 2
    box = (
        max(float(a.min()), 0.0),
        max(float(b.min()), 0.0),
        min(float(a.max()), float(width)),
        min(float(b.max()), float(height)),
    )
    if box[2] - box[0] <= 0 or box[3] - box[1] <= 0:
        return None
    before = max((x1 - x0) * (y1 - y0), 1e-6)
    cut = (box[2] - box[0]) * (box[3] - box[1]) / max(float((a.max() - a.min()) * (b.max() - b.min())), 1e-6)
    area = old.pixels * (box[2] - box[0]) * (box[3] - box[1]) / before
    return Footprint(max(round(area), visible, 1), box, min(old.in_frame * min(cut, 1.0), 1.0))


def glass(linear: Image, scene: Scene, rng: np.random.Generator) -> Image:
    """The windscreen: drops that bend the view in rain, a veil of dirt against the light."""
    import cv2

    height, width = linear.shape[:2]
    env = scene.environment
    scale = width / 672
    veil = float(rng.choice((0.0, 0.0, 0.004, 0.012, 0.03))) * (1.0 if env.time == "day" else 0.3)
    if veil > 0:
        linear = linear + veil * linear.reshape(-1, 3).mean(axis=0) * 3
    drops = 0
    if env.weather == "rain":
        drops = int(rng.choice((0, 12, 40, 90)))
    elif env.wetness > 0.6 and rng.random() < 0.3:
        drops = 8
    if drops == 0:
        return linear
    dx = np.zeros((height, width), np.float32)
    dy = np.zeros((height, width), np.float32)
    mask = np.zeros((height, width), np.float32)
    for _ in range(drops):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        r = float(rng.uniform(1.5, 5.5) * scale * (1.5 if rng.random() < 0.1 else 1.0))
        x0, x1 = max(int(x - r), 0), min(int(x + r) + 1, width)
        y0, y1 = max(int(y - r), 0), min(int(y + r) + 1, height)
        if x1 <= x0 or y1 <= y0:
            continue
        v, u = np.mgrid[y0:y1, x0:x1].astype(np.float32)
        q = np.hypot(u - x, (v - y) * 0.85) / r
        inside = np.clip((1 - q) * 3, 0, 1)
        mask[y0:y1, x0:x1] = np.maximum(mask[y0:y1, x0:x1], inside)
        dx[y0:y1, x0:x1] = np.where(inside > 0, -(u - x) * 6, dx[y0:y1, x0:x1])
        dy[y0:y1, x0:x1] = np.where(inside > 0, -(v - y) * 6, dy[y0:y1, x0:x1])
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    soft = _blur(linear, 1.6 * scale)
    seen = cv2.remap(soft, xs + dx, ys + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    mask = mask[..., None] * 0.8
    return linear * (1 - mask) + seen * 0.95 * mask


def develop(linear: Image, scene: Scene, rng: np.random.Generator) -> Image:
    """White balance, filmic curve (Hable's shape, fitted to leave mid grey alone), saturation, sRGB 0..1."""
    time = scene.environment.time
    warm = float(rng.normal(0, 0.045 if time == "day" else 0.06))
    tint = float(rng.normal(0.005, 0.02 if time == "day" else 0.045))
    linear = linear * np.array((1 + warm, 1 + tint, 1 - warm), np.float32)
    toe = float(rng.uniform(0.75, 1.25))
    x = np.maximum(linear, 0) * np.float32(1.15)
    curve = (x * (x * np.float32(2.2) + np.float32(0.06 * toe))) / (
        x * (x * np.float32(2.05) + np.float32(0.62)) + np.float32(0.12)
    )
    curve = np.clip(curve, 0, 1)
    grey = (curve @ np.array((0.2126, 0.7152, 0.0722), np.float32))[..., None]
    curve = grey + (curve - grey) * np.float32(rng.uniform(0.82, 1.30))
    curve = np.clip(curve, 0, 1)
    out = np.where(curve <= 0.0031308, curve * 12.92, 1.055 * np.power(np.maximum(curve, 1e-7), 1 / 2.4) - 0.055)
    contrast = float(rng.normal(1.06, 0.07))
    return np.clip((out - 0.45) * contrast + 0.45, 0, 1).astype(np.float32)


def sensor(frame: Image, gain: float, scene: Scene, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Noise that grows with the gain, its correlation as a phone's denoiser leaves it, a little sharpening, 8 bits."""
    import cv2

    height, width = frame.shape[:2]
    level = float(rng.uniform(0.0015, 0.0065)) * (1 + 0.10 * max(gain, 0.0))
    level = min(level, 0.022)
    noise: Any = rng.standard_normal((height, width, 3), dtype=np.float32)
    grain = 0.6 * noise.mean(axis=2, keepdims=True) * 1.7 + 0.5 * noise
    if rng.random() < 0.5:
        grain = cv2.GaussianBlur(grain, (0, 0), 0.6) * 1.6
    shaped = frame + grain * level * (0.55 + 0.6 * np.sqrt(frame + 0.02))
    sharp = float(rng.choice((0.0, 0.25, 0.5)))
    if sharp > 0:
        shaped = shaped + sharp * (frame - cv2.GaussianBlur(frame, (0, 0), 1.2))
    return np.clip(np.rint(shaped * 255), 0, 255).astype(np.uint8)
