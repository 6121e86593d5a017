"""One signal as one source measured it, and many of them merged into Signals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pacenote.drives.drive import SIGNALS, Floats, Signals

MAX_RATE_HZ = 20.0  # a faster signal is averaged to this rate: an IMU at 1 kHz would fill the memory for nothing


@dataclass(frozen=True)
class Series:
    """`name` of SIGNALS; `time_s` (N,) and `value` (N,) as recorded, in any order. `source`: whom notes speak of."""

    name: str
    time_s: Floats
    value: Floats
    source: str = ""

    @classmethod
    def of(cls, name: str, time_s: npt.ArrayLike, value: npt.ArrayLike, source: str = "") -> Series:
        return cls(name, np.asarray(time_s, dtype=np.float64), np.asarray(value, dtype=np.float64), source)


def longest_rise(times: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Which of the stamps (N,) to keep so that they rise strictly and as few as possible go.

    The longest increasing subsequence, O(N log N): one wild stamp, forward or backward, costs one stamp, not all
    that follow it. A stamp that is no finite number goes too.
    """
    from bisect import bisect_left

    stamps = np.asarray(times, dtype=np.float64)
    if np.isfinite(stamps).all() and (np.diff(stamps) > 0).all():
        return np.ones(len(stamps), dtype=bool)
    ends: list[float] = []  # ends[k]: the smallest stamp that ends a rise of k + 1
    at: list[int] = []  # its place
    before = np.full(len(stamps), -1)
    for place, stamp in enumerate(stamps.tolist()):
        if not np.isfinite(stamp):
            continue
        length = bisect_left(ends, stamp)
        if length == len(ends):
            ends.append(stamp)
            at.append(place)
        elif ends[length] == stamp:
            continue  # of equal stamps the first stays
        else:
            ends[length], at[length] = stamp, place
        before[place] = at[length - 1] if length else -1
    keep = np.zeros(len(stamps), dtype=bool)
    place = at[-1] if at else -1
    while place >= 0:
        keep[place] = True
        place = int(before[place])
    return keep


def dropped(times: npt.ArrayLike, keep: npt.NDArray[np.bool_], what: str) -> list[str]:
    """A note about the stamps that `keep` leaves out, or none."""
    stamps = np.asarray(times, dtype=np.float64)
    gone = int((~keep).sum())
    if not gone:
        return []
    twice = int(np.isin(stamps[~keep], stamps[keep]).sum())
    return [f"{what}: {gone} of {len(stamps)} left out ({twice} with a stamp twice, {gone - twice} out of order)"]


def tidy(series: Series, notes: list[str]) -> Series:
    """The series with rising stamps, without unknown values, at most MAX_RATE_HZ; what went is added to `notes`."""
    known = np.isfinite(series.time_s) & np.isfinite(series.value)
    times, values = series.time_s[known], series.value[known]
    keep = longest_rise(times)
    told = f"{series.name} of {series.source}" if series.source else series.name
    notes += dropped(times, keep, f"values of {told}")
    times, values = thin(times[keep], values[keep])
    return Series(series.name, times, values, series.source)


def thin(times: Floats, values: Floats) -> tuple[Floats, Floats]:
    """At most MAX_RATE_HZ: time and value averaged within each slice of time; a slower series stays as it is."""
    if len(times) < 2 or float(np.median(np.diff(times))) >= 0.999 / MAX_RATE_HZ:
        return times, values
    _, group = np.unique(np.floor(times * MAX_RATE_HZ + 1e-6), return_inverse=True)
    count = np.bincount(group)
    return np.bincount(group, times) / count, np.bincount(group, values) / count


def merge(series: Sequence[Series]) -> Signals:
    """Tidied series on one axis, the union of their stamps; of several of one name the first counts."""
    first: dict[str, Series] = {}
    for one in series:
        if len(one.time_s) and one.name not in first:
            first[one.name] = one
    if not first:
        return Signals.none()
    axis = np.unique(np.concatenate([one.time_s for one in first.values()]))
    columns = {}
    for name in (name for name in SIGNALS if name in first):
        column = np.full(len(axis), np.nan)
        column[np.searchsorted(axis, first[name].time_s)] = first[name].value
        columns[name] = column
    return Signals(axis, columns)


def shifted(series: Iterable[Series], by_s: float) -> list[Series]:
    """The series with `by_s` added to every stamp."""
    return [Series(one.name, one.time_s + by_s, one.value, one.source) for one in series]
