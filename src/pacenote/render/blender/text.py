"""Words as flat geometry on a plane that looks along +x (Blender's built-in font, tessellated once a word)."""

from __future__ import annotations

from functools import lru_cache

import bpy
import numpy as np

from .geometry import Mesh


@lru_cache(maxsize=256)
def _outline(word: str) -> tuple[np.ndarray, list[tuple[int, ...]]]:
    """(vertices in the text's own plane, centred, capital height 1; faces)."""
    curve = bpy.data.curves.new("word", "FONT")
    curve.body = word
    curve.size = 1.0
    curve.offset = 0.022  # bolder, as on signs
    curve.resolution_u = 3
    thing = bpy.data.objects.new("word", curve)
    flat = thing.to_mesh()
    points = np.empty(len(flat.vertices) * 3, np.float32)
    flat.vertices.foreach_get("co", points)
    faces = [tuple(p.vertices) for p in flat.polygons]
    thing.to_mesh_clear()
    bpy.data.objects.remove(thing)
    bpy.data.curves.remove(curve)
    points = points.reshape(-1, 3)[:, :2].astype(float)
    if len(points) == 0:
        return points, []
    low, high = points.min(axis=0), points.max(axis=0)
    points = (points - (low + high) / 2) / max(high[1] - low[1], 1e-6)
    return points, faces


def write(mesh: Mesh, word: str, at, height: float, colour, limit: float = 1e9, material: str = "retro") -> None:
    """Centre `word` at `at`, read from +x; shrink it to `limit` metres of width."""
    points, faces = _outline(word)
    if not faces:
        return
    wide = float(np.ptp(points[:, 0])) * height
    height *= min(1.0, limit / wide)
    # Read from +x towards -x, the reader's right is +y.
    mesh.add([(at[0], at[1] + x * height, at[2] + y * height) for x, y in points.tolist()], faces, material, colour)


def ground_word(word: str, at, ahead, length: float, width: float) -> tuple[list, list]:
    """(vertices x, y; faces) of a word painted on the road, read by a driver who looks along `ahead`."""
    points, faces = _outline(word)
    if not faces:
        return [], []
    u = np.asarray(ahead, float) - np.asarray(at, float)
    u /= np.linalg.norm(u) or 1.0
    right = np.array([u[1], -u[0]])
    scale = width / max(float(np.ptp(points[:, 0])), 1e-6)
    p = np.asarray(at) + points[:, :1] * scale * right + points[:, 1:] * length * u
    return p.tolist(), faces
