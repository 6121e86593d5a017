"""A car's own speed over time, from a CSV file."""

import bisect
import csv
import itertools
import math
from dataclasses import dataclass
from pathlib import Path

from pacenote.errors import InputError

TIMES = {"t_s": 1.0, "time_s": 1.0, "t": 1.0, "time": 1.0, "seconds": 1.0, "t_ms": 1e-3, "time_ms": 1e-3}
SPEEDS = {"v_kmh": 1.0, "speed_kmh": 1.0, "v_ms": 3.6, "v_mps": 3.6, "speed_ms": 3.6, "speed_mps": 3.6, "vego": 3.6}
SPEEDS |= {"speed_mph": 1.609344, "v_mph": 1.609344}  # a column without a unit is refused, not guessed
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
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
            time_name = next((n for n in TIMES if n in names), None)
            speed_name = next((n for n in SPEEDS if n in names), None)
            if time_name is None or speed_name is None:
                has = ", ".join(names) or "nothing"
                raise InputError(f"{path}: needs a column t_s and one of v_kmh, v_ms or speed_mph; it has {has}")
            rows: list[tuple[float, float]] = []
            for row in reader:
                try:
                    time = float(row[names[time_name]]) * TIMES[time_name]
                    speed = float(row[names[speed_name]]) * SPEEDS[speed_name]
                except (TypeError, ValueError):
                    continue
                if math.isfinite(time) and math.isfinite(speed):
                    rows.append((time, max(speed, 0.0)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV text file; export the log as CSV in UTF-8") from error
    if not rows:
        raise InputError(f"{path}: no row with a time and a speed; check the export")
    if any(b[0] < a[0] for a, b in itertools.pairwise(rows)):
        raise InputError(f"{path}: the times run backwards; sort the log by {time_name}")
    unique = dict(rows)  # of equal times the last counts
    return SpeedLog(tuple(unique), tuple(unique.values()))
