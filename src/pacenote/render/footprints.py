"""Footprints from projected triangles: area, box and share in frame, without a second render."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pacenote.render.passes import Footprint

_FINE = 160  # pixels of the local canvas's longer side that small objects are enlarged to


def rasterise(
    triangles: NDArray[np.float32], owners: NDArray[np.int32], index: NDArray[np.int32]
) -> dict[int, Footprint]:
    """`triangles` (n, 3, 2) in pixels (pixel centres at .5), `owners` (n,) their ids, `index` the object-index pass.

    The area is measured on a canvas that is enlarged for small objects (a lens of four pixels) and is never less than
    what the index pass shows: what is seen would be covered.
    """
    height, width = index.shape
    seen = np.bincount(index.ravel()) if index.size else np.zeros(1, int)
    order = np.argsort(owners, kind="stable")
    ids, starts = np.unique(owners[order], return_index=True)
    out: dict[int, Footprint] = {}
    for id, part in zip(ids.tolist(), np.split(triangles[order], starts[1:]), strict=True):
        visible = int(seen[id]) if id < len(seen) else 0
        found = _measure(part, width, height, visible)
        if found is not None:
            out[id] = found
    return out


def _measure(triangles: NDArray[np.float32], width: int, height: int, visible: int) -> Footprint | None:
    import cv2

    low, high = triangles.min(axis=(0, 1)), triangles.max(axis=(0, 1))
    if high[0] <= 0 or high[1] <= 0 or low[0] >= width or low[1] >= height:
        return None
    box = (float(max(low[0], 0)), float(max(low[1], 0)), float(min(high[0], width)), float(min(high[1], height)))
    # the canvas: the object, but no farther than one frame outside the frame
    x0, y0 = max(float(low[0]), -width), max(float(low[1]), -height)
    x1, y1 = min(float(high[0]), 2.0 * width), min(float(high[1]), 2.0 * height)
    longer = max(x1 - x0, y1 - y0, 1e-3)
    scale = min(_FINE / longer, 16.0)
    if longer > _FINE:
        scale = max(scale, 0.25)
    canvas = np.zeros((int((y1 - y0) * scale) + 2, int((x1 - x0) * scale) + 2), np.uint8)
    points = np.clip((triangles - (x0, y0)) * scale, -30000, 30000)
    fixed = np.rint(points * 16 - 8).astype(np.int32)  # four fractional bits; OpenCV's pixel centres are integers
    for triangle in fixed:
        cv2.fillConvexPoly(canvas, triangle, 1, shift=4)
    total = int(canvas.sum())
    if total == 0:
        return None
    a, b = max(int((box[0] - x0) * scale), 0), max(int((box[1] - y0) * scale), 0)
    c, d = int(np.ceil((box[2] - x0) * scale)) + 1, int(np.ceil((box[3] - y0) * scale)) + 1
    inside = int(canvas[b:d, a:c].sum())
    # fillConvexPoly also draws the outline: about half a canvas pixel too much all round
    edge = cv2.erode(canvas, np.ones((3, 3), np.uint8))[b:d, a:c].sum()
    area = (inside - 0.5 * (inside - float(edge))) / scale**2
    if inside == 0:
        return None
    return Footprint(max(round(area), visible, 1), box, min(inside / total, 1.0))
