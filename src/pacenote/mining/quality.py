"""Is a frame of a drive worth a label? Black, washed out, blurred and frozen frames are not; night and rain are.

Filters that know one threshold for all pictures call night "black" and rain "blurred", and so lose just the rare
frames. Here darkness means that nothing at all is lit, and sharpness is measured against the same drive's own frames.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL import Image

Grey = npt.NDArray[np.uint8]

WIDTH = 448  # px: blur that a model's view of the frame does not show is none


@dataclass(frozen=True)
class Limits:
    """Where a frame is refused. Levels are of 0-255 luminance at a width of `WIDTH` px.

    A frame is *black* when all but the brightest 0.1 % lie below `black`: one lamp is enough to pass. It is *washed
    out* when over `white_share` of it is clipped, and *one colour* when its deviation is below `flat` (a lens cap, the
    grey of a lost stream). It is *blurred* when its sharpness is below `blur` of the median of the drive's last
    `memory` frames, once `least_memory` of them are known. It is *frozen* when at most `frozen_share` of its pixels
    differ from the last frame that was new by over `frozen_level` plus `frozen_contrast` of the brighter one (a dark
    road changes by few levels), though the car has driven `frozen_m` metres since.
    """

    black: float = 24.0
    white_level: int = 250
    white_share: float = 0.6
    flat: float = 2.0
    blur: float = 0.2
    memory: int = 151
    least_memory: int = 9
    frozen_level: float = 4.0
    frozen_contrast: float = 0.06
    frozen_share: float = 0.0005
    frozen_m: float = 0.5


class Quality:
    """Judges the frames of one drive as they come; holds one small grey picture and `limits.memory` numbers.

    A drive that is blurred from its first frame to its last has no sharp frame to be measured against and passes; a
    blur that lasts longer than half the memory becomes the norm.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._sharpness: deque[float] = deque(maxlen=self.limits.memory)
        self._new: Grey | None = None  # the last frame that differed from the one before
        self._time_s = math.nan
        self._driven_m = 0.0  # since `_new`

    def judge(self, image: Image.Image, time_s: float, speed_mps: float | None = None) -> str | None:
        """None for a frame that is worth a label, else why not, in a few words with the measure.

        Call it with every frame in the order of time. `speed_mps` None or NaN: not known, so nothing is called frozen.
        """
        grey = shrunk(image)
        reason = self._exposure(grey) or self._blur(grey)
        return self._frozen(grey, time_s, speed_mps) or reason

    def _exposure(self, grey: Grey) -> str | None:
        limits = self.limits
        brightest = float(np.percentile(grey, 99.9))
        if brightest < limits.black:
            return f"black: nothing is brighter than {brightest:.0f} of 255"
        clipped = float((grey >= limits.white_level).mean())
        if clipped > limits.white_share:
            return f"washed out: {clipped:.0%} is clipped"
        spread = float(grey.std())
        return f"one colour: levels deviate by {spread:.1f}" if spread < limits.flat else None

    def _blur(self, grey: Grey) -> str | None:
        own = sharpness(grey)
        usual = float(np.median(self._sharpness)) if len(self._sharpness) >= self.limits.least_memory else 0.0
        self._sharpness.append(own)
        return f"blurred: {own / usual:.2f} of the drive's sharpness" if own < self.limits.blur * usual else None

    def _frozen(self, grey: Grey, time_s: float, speed_mps: float | None) -> str | None:
        known = speed_mps is not None and math.isfinite(speed_mps) and math.isfinite(self._time_s)
        self._driven_m += (speed_mps or 0.0) * max(0.0, time_s - self._time_s) if known else 0.0
        self._time_s = time_s
        if self._new is None or self._new.shape != grey.shape or self._differs(self._new, grey):
            self._new, self._driven_m = grey, 0.0
            return None
        if self._driven_m < self.limits.frozen_m:
            return None
        return f"frozen: the same picture after {self._driven_m:.1f} m"

    def _differs(self, a: Grey, b: Grey) -> bool:
        import cv2

        limit = self.limits.frozen_level + self.limits.frozen_contrast * np.maximum(a, b)
        return float((cv2.absdiff(a, b) > limit).mean()) > self.limits.frozen_share


def shrunk(image: Image.Image) -> Grey:
    """The luminance (height, width) uint8 of `image`, at most `WIDTH` px wide."""
    import cv2

    grey = np.asarray(image.convert("L"))
    if grey.shape[1] <= WIDTH:
        return grey
    size = (WIDTH, max(1, round(grey.shape[0] * WIDTH / grey.shape[1])))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def sharpness(grey: Grey) -> float:
    """Variance of the Laplacian (Pech-Pacheco et al. 2000) over the variance of the levels: dim light lowers both
    alike, blur only the first."""
    import cv2

    return float(cv2.Laplacian(grey, cv2.CV_64F).var() / (grey.astype(np.float64).var() + 1.0))
