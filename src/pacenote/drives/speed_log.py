"""A car's own speed over time, from a CSV file."""

from __future__ import annotations

import bisect
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pacenote.drives.csv_signals import SPEEDS, read_table
from pacenote.errors import InputError

MAX_GAP_S = 1.0  # a hole longer than this is "unknown", not interpolated


@dataclass(frozen=True)
class SpeedLog:
    """Speeds in km/h at rising times in seconds."""

    time_s: tuple[float, ...]
    speed_kmh: tuple[float, ...]

    def at(self, time_s: float) -> float | None:
        """km/h at `time_s`, linear between neighbours; None outside the log or in a hole over one second."""
        if not self.time_s or not self.time_s[0] - MAX_GAP_S / 2 <= time_s <= self.time_s[-1] + MAX_GAP_S / 2:
            return None
        right = bisect.bisect_left(self.time_s, time_s)
        if right == 0:
            return self.speed_kmh[0]
        if right == len(self.time_s):
            return self.speed_kmh[-1]
        t0, t1 = self.time_s[right - 1], self.time_s[right]
        if t1 - t0 > MAX_GAP_S and time_s not in (t0, t1):
            return None
        share = (time_s - t0) / (t1 - t0)
        return self.speed_kmh[right - 1] * (1 - share) + self.speed_kmh[right] * share


def read_speed_log(path: Path) -> SpeedLog:
    """The log in `path`: a CSV with a time column (`t_s`, `time_s`, `time_ms`, ...) and a speed column whose name
    carries its unit (`v_kmh`, `v_ms`, `speed_mps`, `speed_mph`, ...). Rows without a number are passed over.

    Raises InputError for a missing file or columns, no usable row, or times that run backwards.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such speed log; check the path")
    table = read_table(path)
    speed_name = next((name for name in SPEEDS if name in table.columns), None)
    if speed_name is None:
        has = ", ".join((table.time_name, *table.columns))
        raise InputError(f"{path}: needs a column v_kmh, v_ms or speed_mph; it has {has}")
    speeds = table.numbers(speed_name, SPEEDS[speed_name])
    known = np.isfinite(speeds)
    rows = list(zip(table.time_s[known].tolist(), np.maximum(speeds[known], 0.0).tolist(), strict=True))
    if not rows:
        raise InputError(f"{path}: no row with a time and a speed; check the export")
    if any(b[0] < a[0] for a, b in itertools.pairwise(rows)):
        raise InputError(f"{path}: the times run backwards; sort the log by {table.time_name}")
    unique = dict(rows)  # of equal times the last counts
    return SpeedLog(tuple(unique), tuple(unique.values()))
