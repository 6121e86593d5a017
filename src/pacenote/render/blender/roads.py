"""Surfaces and road paint as meshes in the scene's shifted frame."""

from __future__ import annotations

import math

import numpy as np

from .geometry import Mesh, cut, length_of, ribbon
from .text import ground_word

_PAINT = {"white": (0.72, 0.72, 0.70), "yellow": (0.72, 0.44, 0.03), "red": (0.30, 0.045, 0.035)}
_TOP = {
    "asphalt": "asphalt",
    "junction": "asphalt",
    "concrete": "sidewalk",
    "sidewalk": "sidewalk",
    "island": "sidewalk",
    "grass": "grass",
    "dirt": "dirt",
    "plaza": "sidewalk",
}
_SLAB = [(0.52, 0.50, 0.47), (0.42, 0.40, 0.38), (0.48, 0.36, 0.30), (0.58, 0.57, 0.55), (0.36, 0.36, 0.37)]
KERB = (0.50, 0.49, 0.46)


def _inset(outline: np.ndarray, by: float) -> np.ndarray:
    """Move every corner inwards; the outline is counter-clockwise."""
    a, b = np.roll(outline, 1, axis=0), np.roll(outline, -1, axis=0)
    t = b - a
    t /= np.maximum(np.linalg.norm(t, axis=1, keepdims=True), 1e-6)
    return outline + by * np.stack([-t[:, 1], t[:, 0]], axis=1)


def surface(mesh: Mesh, kind: str, outline, z: float, seed: int, tone: int) -> None:
    """A ground polygon; raised ones get a kerb."""
    p = np.asarray(outline, float)
    if len(p) > 1 and np.allclose(p[0], p[-1]):
        p = p[:-1]
    if len(p) < 3:
        return
    x, y = p[:, 0], p[:, 1]
    if float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) < 0:
        p = p[::-1]
    slab = _SLAB[(tone + (seed if kind in ("island", "plaza") else 0)) % len(_SLAB)]
    colour = {"concrete": (0.55, 0.54, 0.52)}.get(kind, slab)
    top = _TOP[kind]
    mesh.prism(p.tolist(), 0.0, z, top, "concrete", colour, KERB) if z > 0.02 else mesh.add(
        [(a, b, z) for a, b in p.tolist()], [tuple(range(len(p)))], top, colour
    )
    if z > 0.02 and kind in ("sidewalk", "island", "concrete", "plaza"):
        inner = _inset(p, 0.16)
        n = len(p)
        points = [(a, b, z + 0.006) for a, b in np.concatenate([p, inner]).tolist()]
        faces = [(i, (i + 1) % n, n + (i + 1) % n, n + i) for i in range(n)]
        mesh.add(points, faces, "concrete", KERB)


def _arrow(text: str) -> list[list[tuple[float, float]]]:
    """Polygons of a lane arrow in (right, ahead), 5 m long, tail at 0."""
    shaft = [(-0.09, 0.0), (0.09, 0.0), (0.09, 3.3), (-0.09, 3.3)]
    parts = [shaft] if "straight" in text else [[(x, min(y, 2.6)) for x, y in shaft]]
    if "straight" in text:
        parts.append([(-0.36, 3.3), (0.36, 3.3), (0.0, 5.0)])
    for word, s in (("left", -1), ("right", 1)):
        if word in text:
            base = 2.0 if "straight" in text else 2.6
            parts.append(
                [(s * 0.0, base - 0.35), (s * 0.75, base + 0.45), (s * 0.75, base + 0.75), (s * 0.0, base + 0.1)]
            )
            parts.append([(s * 0.72, base + 0.05), (s * 1.35, base + 0.95), (s * 0.72, base + 1.35)])
    return parts


def _half_plane(polygon: list, normal, offset: float) -> list:
    out = []
    for p, q in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        a, b = float(np.dot(normal, p)) - offset, float(np.dot(normal, q)) - offset
        if a >= 0:
            out.append(p)
        if (a >= 0) != (b >= 0):
            t = a / (a - b)
            out.append((p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])))
    return out


def _hatch(points, width: float) -> list[list[tuple[float, float]]]:
    if len(points) < 3:
        p = np.asarray(points, float)
        d = p[1] - p[0]
        length = float(np.linalg.norm(d)) or 1.0
        d /= length
        n = np.array([-d[1], d[0]]) * width / 2
        out = []
        for s in np.arange(0, max(length - 1.0, 0.1), 2.0):
            a = p[0] + d * s
            out.append([tuple(a - n), tuple(a - n + d * 0.6), tuple(a + n + d * 1.6), tuple(a + n + d * 1.0)])
        return out
    outline = [tuple(map(float, p)) for p in points]
    normal = np.array([math.cos(0.8), math.sin(0.8)])
    reach = [float(np.dot(normal, p)) for p in outline]
    out = []
    for s in np.arange(min(reach), max(reach), 1.8):
        band = _half_plane(_half_plane(outline, normal, s), -normal, -(s + 0.6))
        if len(band) >= 3:
            out.append(band)
    return out


def marking(mesh: Mesh, mark: dict, seed: int) -> None:
    """Add one Marking's paint to a mesh."""
    points, width, z, kind = mark["points"], mark["width"], mark["z"] + 0.004, mark["kind"]
    paint = (*_PAINT[mark["colour"]], mark["wear"])
    if kind in ("line", "stop_line"):
        mesh.add(*ribbon(points, width, z), "paint", paint)
        return
    if kind == "dashes":
        on, period = ((3.0, 12.0), (3.0, 9.0), (2.0, 6.0))[seed % 3]
        total = length_of(points)
        for start in np.arange(1.0, total, period):
            part = cut(points, float(start), float(start) + on)
            if len(part) > 1:
                mesh.add(*ribbon(part, width, z), "paint", paint)
        return
    if kind == "zebra":
        total = length_of(points)
        pitch, bar = ((1.0, 0.5), (0.9, 0.45), (1.2, 0.6))[seed % 3]
        for start in np.arange(0.15, max(total - 0.3, 0.2), pitch):
            part = cut(points, float(start), min(float(start) + bar, total))
            if len(part) > 1:
                mesh.add(*ribbon([part[0], part[-1]], width, z), "paint", paint)
        return
    at = np.asarray(points[0], float)
    ahead = np.asarray(points[1] if len(points) > 1 else (at[0] + 1, at[1]), float)
    u = ahead - at
    u /= np.linalg.norm(u) or 1.0
    right = np.array([u[1], -u[0]])
    if kind == "arrow":
        for polygon in _arrow(mark["text"]):
            corners = [at + right * x + u * y for x, y in polygon]
            mesh.add([(p[0], p[1], z) for p in corners], [tuple(range(len(corners)))], "paint", paint)
    elif kind == "number":
        flat, faces = ground_word(mark["text"], at, ahead, 2.6, 0.62 * max(len(mark["text"]), 1))
        mesh.add([(x, y, z) for x, y in flat], faces, "paint", paint)
    elif kind == "hatch":
        for polygon in _hatch(points, width):
            mesh.add([(x, y, z) for x, y in polygon], [tuple(range(len(polygon)))], "paint", paint)
