"""Project meshes to the image: clipped triangles an object would cover, whatever stands before it."""

from __future__ import annotations

import numpy as np

NEAR = 0.2  # metres
_DIRECTIONS = np.stack([np.cos(np.arange(32) * np.pi / 16), np.sin(np.arange(32) * np.pi / 16)])


class Projector:
    """World -> pixels of a pinhole camera (x right, y down, pixel centres at .5)."""

    def __init__(self, rotation: np.ndarray, origin: np.ndarray, fov: float, width: int, height: int) -> None:
        self.rotation, self.origin = rotation, origin  # rows: right, down, forward
        self.focal = width / 2 / np.tan(fov / 2)
        self.centre = np.array([width / 2, height / 2])

    def camera(self, points: np.ndarray) -> np.ndarray:
        return (points - self.origin) @ self.rotation.T

    def pixels(self, camera: np.ndarray) -> np.ndarray:
        return self.centre + self.focal * camera[..., :2] / camera[..., 2:]

    def triangles(self, triangles: np.ndarray) -> np.ndarray:
        """(n, 3, 3) world triangles -> (m, 3, 2) pixels, cut at the near plane."""
        c = self.camera(triangles.reshape(-1, 3)).reshape(-1, 3, 3)
        front = c[..., 2] > NEAR
        whole = front.all(axis=1)
        parts = [self.pixels(c[whole])]
        for triangle, ahead in zip(c[front.any(axis=1) & ~whole], front[front.any(axis=1) & ~whole], strict=True):
            corners = []
            for i in range(3):
                p, q = triangle[i], triangle[(i + 1) % 3]
                if ahead[i]:
                    corners.append(p)
                if ahead[i] != ahead[(i + 1) % 3]:
                    corners.append(p + (NEAR - p[2]) / (q[2] - p[2]) * (q - p))
            flat = self.pixels(np.asarray(corners))
            parts.append(np.stack([flat[[0, i, i + 1]] for i in range(1, len(flat) - 1)]))
        return np.concatenate(parts).astype(np.float32)

    def hull(self, points: np.ndarray) -> np.ndarray:
        """(n, 3) world points -> the triangles of (nearly) their convex hull in pixels; for bulky scenery."""
        c = self.camera(points)
        c = c[c[:, 2] > NEAR]
        if len(c) < 3:
            return np.empty((0, 3, 2), np.float32)
        flat = self.pixels(c)
        ring = flat[np.argmax(flat @ _DIRECTIONS, axis=0)]
        n = len(ring)
        return np.stack([np.broadcast_to(ring[0], (n - 2, 2)), ring[1:-1], ring[2:]], axis=1).astype(np.float32)
