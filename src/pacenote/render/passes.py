"""What a renderer gives back for one Scene."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Footprint:
    """What an object would cover if nothing stood before it.

    `pixels`: its area inside the frame, pixels of the pass, at least the pixels that are visible.
    `box`: (x0, y0, x1, y1) in pixels, clipped to the frame. `in_frame`: 0..1, the share of its projected area that
    lies inside the frame (1 = not truncated).
    """

    pixels: int
    box: tuple[float, float, float, float]
    in_frame: float


@dataclass(frozen=True)
class Passes:
    """`linear` HxWx3 float32 scene-linear radiance without fog; `index` HxW int32, the id of the object seen (0 =
    none); `depth` HxW float32, metres along the view axis (inf = sky); `footprints` by id. `seconds` and `warnings`
    tell what the frame cost; they are not part of the picture."""

    linear: NDArray[np.float32]
    index: NDArray[np.int32]
    depth: NDArray[np.float32]
    footprints: dict[int, Footprint]
    seconds: dict[str, float] = field(default_factory=dict, compare=False)
