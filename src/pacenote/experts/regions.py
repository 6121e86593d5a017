"""Regions of a mask, and measures over all of their boxes at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Sums:
    """Means of an (H, W) array over boxes (N, 4) px, each in constant time; what is outside the picture is left out."""

    def __init__(self, values: Array) -> None:
        import cv2

        self.table = cv2.integral(values, sdepth=cv2.CV_64F)

    def _sum(self, box: Array) -> tuple[Array, Array]:
        limit = np.array(self.table.shape)[[1, 0, 1, 0]] - 1
        x0, y0, x1, y1 = np.clip(np.round(box), 0, limit).astype(int).T
        table = self.table
        return table[y1, x1] - table[y0, x1] - table[y1, x0] + table[y0, x0], (x1 - x0) * (y1 - y0)

    def mean(self, box: Array) -> Array:
        """(N,); 0 where nothing of a box is inside."""
        total, count = self._sum(box)
        return total / np.maximum(count, 1)

    def ring(self, box: Array, near: Array, far: Array) -> Array:
        """(N,) means of what lies between `near` and `far` px around the boxes."""
        outwards = np.array([-1, -1, 1, 1])
        outer, all_pixels = self._sum(box + outwards * np.maximum(far, near + 1)[:, None])
        inner, inner_pixels = self._sum(box + outwards * near[:, None])
        return (outer - inner) / np.maximum(all_pixels - inner_pixels, 1)


def columns(*values: Array) -> Array:
    """K arrays (N,) -> (N, K)."""
    return np.stack(values, 1)


def connected(mask: Array) -> Array:
    """(5, N) x, y, width, height, area of the connected regions of a mask."""
    import cv2

    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    return np.asarray(stats[1:].T, float)


def within(hue: Array, ranges: Sequence[tuple[int, int]]) -> Array:
    """Where `hue` is in one of the ranges, both ends included."""
    return np.logical_or.reduce([(hue >= low) & (hue <= high) for low, high in ranges])


def filled(mask: Array) -> Array:
    """The regions of a mask with their holes: the core of a lamp is burnt to white."""
    import cv2

    out = mask.astype(np.uint8)
    contours, _ = cv2.findContours(out, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(out, contours, -1, 1, cv2.FILLED))
