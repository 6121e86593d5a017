"""Tileable textures painted with numpy once a worker: ground, walls, shop fronts, clouds. All values linear 0..1."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

FACADES = 10
FACADE_M = (12.8, 12.8)  # metres of one tile: four bays, four floors
SHOP_M = (16.0, 4.2)


def fbm(shape: tuple[int, int], beta: float, seed: int, low: float = 0.0) -> np.ndarray:
    """Tileable 1/f^beta noise, mean 0, deviation 1; `low` removes waves longer than 1/low of the tile."""
    rng = np.random.default_rng(seed)
    fy, fx = np.fft.fftfreq(shape[0])[:, None] * shape[0], np.fft.rfftfreq(shape[1])[None] * shape[1]
    f = np.hypot(fy, fx)
    spectrum = np.where(f > low, np.maximum(f, 1.0) ** (-beta / 2), 0.0)
    phase = rng.normal(size=f.shape) + 1j * rng.normal(size=f.shape)
    out = np.fft.irfft2(spectrum * phase, shape)
    out -= out.mean()
    return out / (out.std() + 1e-9)


def _rgba(grey_or_rgb: np.ndarray, alpha: np.ndarray | float = 1.0) -> np.ndarray:
    out = np.empty((*grey_or_rgb.shape[:2], 4), np.float32)
    out[..., :3] = grey_or_rgb[..., None] if grey_or_rgb.ndim == 2 else grey_or_rgb
    out[..., 3] = alpha
    return np.clip(out, 0, 1)


def _walk(canvas: np.ndarray, rng, steps: int, width: int, value: float) -> None:
    """A crack: a random walk over a torus."""
    n = canvas.shape[0]
    y, x, angle = rng.uniform(0, n), rng.uniform(0, n), rng.uniform(0, 2 * np.pi)
    for _ in range(steps):
        angle += rng.normal(0, 0.35)
        x, y = x + 1.2 * np.cos(angle), y + 1.2 * np.sin(angle)
        for d in range(width):
            canvas[int(y + d) % n, int(x) % n] = min(canvas[int(y + d) % n, int(x) % n], value)


def asphalt() -> np.ndarray:
    """RGB: multiplier of the base colour over a 10 m tile; alpha: how smooth it is (wet sheen, patches)."""
    n = 768
    rng = np.random.default_rng(11)
    grain = fbm((n, n), 0.3, 1, 40)
    blotch = fbm((n, n), 2.4, 2)
    fine = fbm((n, n), 1.4, 3, 6)
    value = 0.62 + 0.085 * grain + 0.045 * blotch + 0.04 * fine
    crack = np.ones((n, n))
    for _ in range(14):
        _walk(crack, rng, int(rng.integers(60, 420)), int(rng.integers(1, 3)), rng.uniform(0.35, 0.75))
    value *= crack
    return _rgba(value, 0.5 + 0.2 * blotch)


def wear() -> np.ndarray:
    """R: stains and patches over a 45 m tile; G: puddle height; B: paint wear; alpha: coarse noise."""
    n = 768
    rng = np.random.default_rng(12)
    stain = 0.5 + 0.10 * fbm((n, n), 2.6, 5) + 0.04 * fbm((n, n), 1.5, 6, 8)
    for _ in range(16):  # repairs: darker or lighter rectangles with a tar seam
        y, x = rng.integers(0, n, 2)
        h, w = rng.integers(12, 90), rng.integers(12, 40)
        ys, xs = np.arange(y, y + h) % n, np.arange(x, x + w) % n
        stain[np.ix_(ys, xs)] += rng.choice((-0.13, -0.09, 0.07))
        stain[np.ix_(ys[[0, -1]], xs)] -= 0.12
        stain[np.ix_(ys, xs[[0, -1]])] -= 0.12
    for _ in range(22):  # oil drips
        y, x = rng.integers(0, n, 2)
        r = rng.integers(2, 9)
        yy, xx = np.mgrid[-r : r + 1, -r : r + 1]
        stain[np.ix_((y + np.arange(-r, r + 1)) % n, (x + np.arange(-r, r + 1)) % n)] -= 0.16 * np.exp(
            -(yy**2 + xx**2) / (r * r / 2)
        )
    puddle = 0.5 + 0.18 * fbm((n, n), 2.8, 7)
    paint = 0.5 + 0.17 * fbm((n, n), 0.9, 8, 3) + 0.1 * fbm((n, n), 2.4, 9)
    return _rgba(np.stack([stain, puddle, paint], axis=-1), 0.5 + 0.2 * fbm((n, n), 1.9, 10))


def slabs() -> np.ndarray:
    """Paving over a 6 m tile: 0.5 m slabs with joints and per-slab tone."""
    n = 512
    rng = np.random.default_rng(13)
    cells = 12
    step = n / cells
    y, x = np.mgrid[0:n, 0:n]
    tone = rng.normal(0.62, 0.05, (cells, cells))
    iy, ix = (y / step).astype(int) % cells, (x / step).astype(int) % cells
    value = tone[iy, ix] + 0.05 * fbm((n, n), 0.8, 14) + 0.035 * fbm((n, n), 2.4, 15)
    joint = (np.minimum(y % step, x % step) < 1.6).astype(float)
    return _rgba(value * (1 - 0.4 * joint))


def grass() -> np.ndarray:
    """RGB multiplier over a 9 m tile."""
    n = 512
    blade = fbm((n, n), 0.5, 16, 30)
    clump = fbm((n, n), 2.0, 17)
    dry = np.clip(0.5 + 0.28 * fbm((n, n), 2.4, 18), 0, 1)[..., None]
    value = (0.55 + 0.16 * blade + 0.10 * clump)[..., None]
    return _rgba(value * (dry * (1.25, 1.0, 0.72) + (1 - dry) * (0.85, 1.0, 0.9)))


def rough() -> np.ndarray:
    """Plaster/concrete multiplier over a 7 m tile, streaked downwards (v up)."""
    n = 384
    streak = fbm((n, n), 1.6, 19)
    streak = np.fft.ifft(np.fft.fft(streak, axis=0) * np.exp(-np.abs(np.fft.fftfreq(n))[:, None] * n / 5), axis=0).real
    value = 0.64 + 0.05 * fbm((n, n), 1.2, 20) + 0.05 * streak / (streak.std() + 1e-9)
    return _rgba(value)


_WALLS = [  # base colour, texture, window width and height (m), sill height, frame colour, glass tone
    ((0.30, 0.12, 0.08), "brick", 1.5, 1.8, 0.8, (0.6, 0.6, 0.57), 0.03),
    ((0.62, 0.57, 0.47), "plaster", 1.6, 1.7, 0.9, (0.65, 0.65, 0.63), 0.04),
    ((0.55, 0.55, 0.54), "panel", 2.2, 1.6, 0.9, (0.25, 0.25, 0.26), 0.05),
    ((0.08, 0.11, 0.14), "curtain", 3.05, 2.75, 0.25, (0.22, 0.23, 0.24), 0.05),
    ((0.38, 0.17, 0.10), "brick", 1.2, 1.9, 0.7, (0.05, 0.05, 0.05), 0.03),
    ((0.66, 0.66, 0.65), "panel", 2.6, 1.5, 0.95, (0.55, 0.56, 0.57), 0.06),
    ((0.35, 0.36, 0.36), "band", 3.2, 1.5, 0.9, (0.1, 0.1, 0.1), 0.03),
    ((0.60, 0.45, 0.30), "plaster", 1.2, 1.5, 1.0, (0.7, 0.7, 0.68), 0.04),
    ((0.18, 0.22, 0.25), "curtain", 1.55, 2.9, 0.15, (0.4, 0.42, 0.44), 0.07),
    ((0.46, 0.41, 0.36), "stone", 1.4, 2.0, 0.7, (0.3, 0.28, 0.25), 0.03),
]


def _wall_ground(kind: str, base, n: int, metres: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:n, 0:n] * (metres / n)
    value = 1.0 + 0.05 * fbm((n, n), 1.4, seed) + 0.05 * fbm((n, n), 2.6, seed + 1)
    if kind == "brick":
        row = np.floor(y / 0.1).astype(int)
        brick = np.floor((x + 0.13 * (row % 2)) / 0.26).astype(int)
        tone = rng.normal(1, 0.16, (row.max() + 1, brick.max() + 2))
        value *= tone[row, brick]
        joint = ((y % 0.1) < 0.018) | (((x + 0.13 * (row % 2)) % 0.26) < 0.018)
        return np.where(joint[..., None], np.array((0.42, 0.39, 0.35)), np.asarray(base) * value[..., None])
    if kind in ("panel", "stone"):
        w, h = (3.2, 1.6) if kind == "panel" else (0.8, 0.4)
        joint = ((y % h) < 0.04) | ((x % w) < 0.04)
        value = np.where(joint, value * 0.68, value)
        if kind == "stone":
            tone = rng.normal(1, 0.08, (64, 64))
            value = value * tone[np.floor(y / h).astype(int), np.floor(x / w).astype(int)]
    return np.asarray(base) * value[..., None]


@lru_cache(maxsize=1)
def curtains() -> np.ndarray:
    return np.random.default_rng(21).random((64, 6))


def facade(k: int, metres: float = 12.8, cells: int = 4, spec=None) -> np.ndarray:
    """RGB wall with windows; alpha: 0 wall, 0.5 glass, 1 glass of a room that is lit at night."""
    n = 512
    base, kind, ww, wh, sill, frame, glass = spec or _WALLS[k]
    rgb = _wall_ground(kind, base, n, metres, 100 + 7 * k)
    alpha = np.zeros((n, n))
    rng = np.random.default_rng(900 + k)
    cell = n / cells
    px = n / metres
    for i in range(cells):
        for j in range(cells):
            if spec and rng.random() < 0.35:
                continue  # a house has few windows
            x0 = int(i * cell + (cell - ww * px) / 2)
            y0 = int(j * cell + sill * px)
            x1, y1 = int(x0 + ww * px), min(int(y0 + wh * px), n)
            x0, x1 = max(x0, 0), min(x1, n)
            f = max(int(0.07 * px), 2)
            rgb[y0:y1, x0:x1] = frame
            room = rng.random()
            blind = rng.random()
            g = np.full((y1 - y0 - 2 * f, x1 - x0 - 2 * f, 3), glass) * np.array((0.8, 0.95, 1.1))
            height = np.linspace(0, 1, g.shape[0])[:, None, None]
            g = g * (0.6 + 0.9 * height)
            if blind < 0.45:  # curtains or a blind drawn part of the way
                part = int(g.shape[0] * rng.uniform(0.2, 0.9))
                tone = rng.uniform(0.12, 0.4) * np.array((1, 0.97, 0.9))
                g[-part:] = tone * (0.85 + 0.15 * np.sin(np.arange(g.shape[1]) * 0.9))[None, :, None]
            rgb[y0 + f : y1 - f, x0 + f : x1 - f] = g
            alpha[y0 + f : y1 - f, x0 + f : x1 - f] = 1.0 if room < 0.33 else 0.5
            mid = (x0 + x1) // 2
            bars = [mid] if ww < 2.4 else [x0 + (x1 - x0) // 3, x0 + 2 * (x1 - x0) // 3]
            for b in bars:
                rgb[y0:y1, b - f // 2 : b + (f + 1) // 2] = frame
                alpha[y0:y1, b - f // 2 : b + (f + 1) // 2] = 0
            if kind not in ("curtain", "band"):
                rgb[max(y0 - 3, 0) : y0, max(x0 - 4, 0) : x1 + 4] = np.asarray(frame) * 0.8 + 0.1
                rgb[max(y0 - 9, 0) : max(y0 - 3, 0), x0:x1] *= 0.72
                rgb[y1 - f : y1, x0:x1] *= 0.45  # the lintel's shade
            if kind in ("plaster", "panel") and rng.random() < 0.2:  # an air conditioner
                rgb[max(y0 - 26, 0) : max(y0 - 6, 0), x0 + 4 : x0 + 34] = (0.5, 0.5, 0.48)
                rgb[max(y0 - 22, 0) : max(y0 - 10, 0), x0 + 8 : x0 + 22] = (0.12, 0.12, 0.12)
    return _rgba(rgb, alpha)


def house(k: int) -> np.ndarray:
    spec = [
        ((0.62, 0.60, 0.54), "plaster", 1.2, 1.35, 0.55, (0.7, 0.7, 0.68), 0.04),
        ((0.34, 0.15, 0.10), "brick", 1.3, 1.3, 0.55, (0.7, 0.7, 0.7), 0.04),
    ][k]
    return facade(50 + k, 8.0, 3, spec)


def shop() -> np.ndarray:
    """Shop fronts: panes with goods and reflections, doors, pillars; alpha as in `facade`."""
    h, w = 192, 768
    rng = np.random.default_rng(31)
    rgb = np.full((h, w, 3), 0.2) * (1 + 0.05 * fbm((h, w), 1.5, 32)[..., None])
    alpha = np.zeros((h, w))
    for i in range(8):
        x0, x1 = i * 96 + 5, (i + 1) * 96 - 5
        tone = rng.uniform(0.05, 0.5) * np.array([1, rng.uniform(0.7, 1), rng.uniform(0.5, 1)])
        rgb[:, i * 96 : (i + 1) * 96] *= 0.3 + 2.0 * tone
        base, top = int(rng.integers(8, 26)), 142
        inside = 0.035 + 0.012 * fbm((top - base, x1 - x0), 2.6, 40 + i)[..., None] * np.ones(3)
        for _ in range(7):  # goods, posters, people inside, dim behind the pane
            gx, gy = rng.integers(0, x1 - x0 - 8), int((top - base - 12) * rng.random() ** 1.7)
            gw, gh = rng.integers(8, 34), rng.integers(8, 40)
            tone = rng.uniform(0.02, 0.13) * (1 + 0.25 * rng.normal(size=3))
            inside[gy : gy + gh, gx : gx + gw] = np.clip(tone, 0.01, 0.4)
        rgb[base:top, x0:x1] = inside
        alpha[base:top, x0:x1] = 1.0 if rng.random() < 0.7 else 0.5
        if rng.random() < 0.5:
            d = x0 + int(rng.integers(4, 50))
            for a, b in ((d, d + 3), (d + 29, d + 32)):
                rgb[4:132, a:b] = 0.05
                alpha[4:132, a:b] = 0
        rgb[top : top + 4, x0:x1] = 0.06
    return _rgba(rgb, alpha)


def roof() -> np.ndarray:
    """Tile courses over 3 m."""
    n = 256
    y, x = np.mgrid[0:n, 0:n]
    course = (y % 24) / 24
    value = 0.45 + 0.35 * course + 0.07 * np.sin(x * 2 * np.pi / 21.33) + 0.06 * fbm((n, n), 1.5, 33)
    return _rgba(value)


def clouds(k: int) -> np.ndarray:
    """R: cloud density, G: its shading; u = azimuth (tileable), v = elevation of the upper half."""
    h, w = 256, 1024
    rng = np.random.default_rng(60 + k)
    big = fbm((h * 2, w), (2.9, 3.3, 2.6, 3.0)[k % 4], 70 + k)[:h]
    fine = fbm((h * 2, w), 1.9, 80 + k)[:h]
    field = big + 0.28 * fine
    cover = (-0.2, 0.35, 0.8, -0.9)[k % 4] + rng.uniform(-0.2, 0.2)
    density = 1 / (1 + np.exp(-(field - cover) * 3.2))
    lit = np.clip(0.72 + 0.16 * (np.roll(field, 6, axis=0) - field) * 2.2 - 0.12 * (field - cover), 0.3, 1)
    return _rgba(np.stack([density, lit, density], axis=-1))
