"""A Drive: frames with signals on one clock, read as a stream."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pacenote.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

Floats = npt.NDArray[np.float64]

SIGNALS = ("speed_mps", "accel_mps2", "yaw_rate", "x_m", "y_m", "lux", "wipers")
# m/s, m/s^2, rad/s (left is positive), metres in a local plane, light outside in lux, 1 while wiping
MAX_GAP_S = 1.5  # a hole of a signal longer than this is "unknown", not interpolated


@dataclass(frozen=True)
class DriveRef:
    """Where a drive is: plain data that a worker process can be sent. `format` names a reader."""

    path: Path
    format: str
    name: str  # unique within `path`; the id of the Drive
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DriveFrame:
    """One picture: its number in the drive, its time in s on the drive's clock, and the picture, encoded or decoded.

    `encoded`: JPEG, PNG or WebP bytes where the source holds such; else b"" and `decoded` is there: the picture, or
    what makes it when it is asked for, since most frames of a video are passed over. `given`: what is
    told beside the picture, such as the limit from a map; a sentence that a question may begin with.
    """

    index: int
    time_s: float
    encoded: bytes = b""
    decoded: Image.Image | Callable[[], Image.Image] | None = None
    given: str = ""

    def image(self) -> Image.Image:
        """Upright RGB. Raises InputError where the bytes are no picture."""
        if self.decoded is not None:
            return self.decoded() if callable(self.decoded) else self.decoded
        import io

        from PIL import Image, ImageOps

        try:
            with Image.open(io.BytesIO(self.encoded)) as image:
                return ImageOps.exif_transpose(image).convert("RGB")
        except (OSError, ValueError, SyntaxError, EOFError) as error:
            raise InputError(f"frame {self.index}: not a readable picture ({error}); replace or remove it") from None


@dataclass(frozen=True)
class Signals:
    """Signals over time. `time_s` (N,) strictly rising; `values` name of SIGNALS -> (N,), NaN where unknown.

    Each source's stamps are merged into one axis, so a column may be NaN where only another was measured.
    """

    time_s: Floats
    values: Mapping[str, Floats]

    def __post_init__(self) -> None:
        unknown = set(self.values) - set(SIGNALS)
        if unknown:
            raise ValueError(f"unknown signal '{min(unknown)}'; known: {', '.join(SIGNALS)}")
        if any(len(column) != len(self.time_s) for column in self.values.values()):
            raise ValueError("every signal needs one value a time")
        if len(self.time_s) > 1 and not bool((np.diff(self.time_s) > 0).all()):
            raise ValueError("times of signals must rise")

    @classmethod
    def none(cls) -> Signals:
        return cls(np.empty(0), {})

    def at(self, name: str, times: npt.ArrayLike) -> Floats:
        """The signal (T,) at `times` in s, linear between the measured neighbours; NaN outside, and in holes over
        MAX_GAP_S."""
        wanted = np.atleast_1d(np.asarray(times, dtype=np.float64))
        column = self.values.get(name)
        known = np.zeros(0, dtype=bool) if column is None else np.isfinite(column)
        if column is None or not known.any():
            return np.full(len(wanted), math.nan)
        when, what = self.time_s[known], column[known]
        told = np.interp(wanted, when, what)
        right = np.searchsorted(when, wanted, side="left").clip(0, len(when) - 1)
        left = np.where(when[right] == wanted, right, np.maximum(right - 1, 0))
        hole = (when[right] - when[left] > MAX_GAP_S) | (wanted < when[0] - MAX_GAP_S) | (wanted > when[-1] + MAX_GAP_S)
        return np.where(hole, math.nan, told)


@dataclass(frozen=True)
class Offset:
    """How much later the signals' clock runs than the frames', in s, and its standard deviation; both 0 where it is
    known to be none, `sd_s` infinite where nothing is known."""

    s: float = 0.0
    sd_s: float = 0.0


@dataclass(frozen=True)
class Drive:
    """`read()` gives the frames in the order of time, each call anew, one in memory at a time. `signals` are on the
    frames' clock already: `offset` says what was corrected. `notes` say what is missing or was mended, a line each."""

    id: str
    read: Callable[[], Iterator[DriveFrame]]
    signals: Signals
    camera: str = "CAM_FRONT"
    offset: Offset = Offset()
    licence: str = ""
    source: str = ""
    notes: tuple[str, ...] = ()
    began: float | None = None  # when the drive's clock was 0, in s since 1970, where that is known

    def frames(self, rate_hz: float | None = None) -> Iterator[DriveFrame]:
        """The frames, or at most `rate_hz` of them a second: the first of each slice of time."""
        if rate_hz is None:
            yield from self.read()
            return
        slice_ = -math.inf
        for frame in self.read():
            own = math.floor(frame.time_s * rate_hz + 1e-6)
            if own > slice_:
                slice_ = own
                yield frame
