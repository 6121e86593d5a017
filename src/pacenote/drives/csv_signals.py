"""Signals from a CSV file: a time column, and columns whose names carry their unit."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from pacenote.drives.drive import Floats
from pacenote.drives.geo import local_metres
from pacenote.drives.series import Series
from pacenote.errors import InputError

TIMES = {"t_s": 1.0, "time_s": 1.0, "t": 1.0, "time": 1.0, "seconds": 1.0, "t_ms": 1e-3, "time_ms": 1e-3}
STAMPS = ("timestamp", "utc", "epoch", "unix", "datetime")  # since 1970, in a unit that its size tells, or ISO 8601
SPEEDS = {"v_kmh": 1.0, "speed_kmh": 1.0, "v_ms": 3.6, "v_mps": 3.6, "speed_ms": 3.6, "speed_mps": 3.6, "vego": 3.6}
SPEEDS |= {"speed_mph": 1.609344, "v_mph": 1.609344}  # a column without a unit is refused, not guessed
DEGREE = math.pi / 180
COLUMNS = {  # signal: names of columns -> factor to SI
    "speed_mps": {name: factor / 3.6 for name, factor in SPEEDS.items()},
    "accel_mps2": {"accel_mps2": 1.0, "accel_ms2": 1.0, "a_ms2": 1.0, "a_mps2": 1.0, "aego": 1.0, "accel_g": 9.80665},
    "yaw_rate": {"yaw_rate": 1.0, "yaw_rate_rads": 1.0, "yaw_rate_rad_s": 1.0}
    | {"yaw_rate_degs": DEGREE, "yaw_rate_deg_s": DEGREE},
    "x_m": {"x_m": 1.0},
    "y_m": {"y_m": 1.0},
    "lux": {"lux": 1.0},
    "wipers": {"wipers": 1.0},
}  # fmt: skip
LATITUDES, LONGITUDES = ("lat", "latitude", "lat_deg"), ("lon", "lng", "longitude", "lon_deg")
UNITLESS = ("speed", "v", "velocity", "accel", "acceleration", "yawrate")
EPOCH_S = 1e8  # seconds from here on are since 1970, not since the start of a recording


def epoch_seconds(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 text (UTC unless it says otherwise) or a number of s, ms, µs or ns.

    The size tells the unit: from 1973 to 5138 in seconds, the others do not overlap. ValueError for another text.
    """
    try:
        value = float(text)
    except ValueError:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    for factor in (1.0, 1e-3, 1e-6, 1e-9):
        if value * factor < 1e11:
            return value * factor
    raise ValueError(f"{text} is no time since 1970")


@dataclass(frozen=True)
class Table:
    """A CSV file as it is: `time_s` (N,), whether it counts from 1970, and other columns as text by lower-case name."""

    path: Path
    time_name: str
    time_s: Floats
    since_1970: bool
    columns: dict[str, list[str]]

    def numbers(self, name: str, factor: float = 1.0) -> Floats:
        """The column (N,), NaN where it holds no number."""
        return np.array([_number(text) for text in self.columns[name]]) * factor


def _number(text: str | None) -> float:
    try:
        value = float(text or "nan")
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def read_table(path: Path) -> Table:
    """The CSV file with its time column; rows without a time are passed over.

    Raises InputError for a missing or unreadable file and for one without a time column.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
            time_name = next((name for name in (*TIMES, *STAMPS) if name in names), None)
            if time_name is None:
                raise InputError(f"{path}: needs a time column (t_s, time_ms or timestamp); it has {_named(names)}")
            times: list[float] = []
            columns: dict[str, list[str]] = {name: [] for name in names if name != time_name}
            for row in reader:
                time = _time(row[names[time_name]], TIMES.get(time_name))
                if math.isnan(time):
                    continue
                times.append(time)
                for name, column in columns.items():
                    column.append(row[names[name]] or "")
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV text file; export the log as CSV in UTF-8") from error
    stamps = np.array(times)
    return Table(path, time_name, stamps, bool(len(stamps)) and float(np.median(stamps)) >= EPOCH_S, columns)


def _named(names: dict[str, str]) -> str:
    return ", ".join(names) or "nothing"


def _time(text: str | None, factor: float | None) -> float:
    """Seconds of a time cell, NaN where it holds none; without a `factor` it is a stamp since 1970."""
    try:
        return float("nan") if text is None else epoch_seconds(text) if factor is None else float(text) * factor
    except (ValueError, OverflowError):
        return math.nan


def read_csv_signals(path: Path, notes: list[str]) -> tuple[list[Series], bool]:
    """The signals of the file, and whether their stamps count from 1970.

    Latitude and longitude become metres in a local plane. A column without a unit in its name is left out and noted.
    Raises InputError for a file that is no table with times, or that holds no signal.
    """
    table = read_table(path)
    series = []
    for signal, names in COLUMNS.items():
        name = next((name for name in names if name in table.columns), None)
        if name is not None:
            series.append(Series.of(signal, table.time_s, table.numbers(name, names[name]), path.name))
    lat = next((name for name in LATITUDES if name in table.columns), None)
    lon = next((name for name in LONGITUDES if name in table.columns), None)
    if lat and lon and not {"x_m", "y_m"} & set(table.columns):
        x, y = local_metres(table.numbers(lat), table.numbers(lon))
        series += [Series.of("x_m", table.time_s, x, path.name), Series.of("y_m", table.time_s, y, path.name)]
    for name in UNITLESS:
        if name in table.columns:
            notes.append(
                f"{path.name}: column '{name}' names no unit, so it is left out; call it {name}_kmh or the like"
            )
    if not series:
        raise InputError(
            f"{path}: no signal in it; name columns like speed_kmh, accel_mps2, yaw_rate_degs, lat and lon"
        )
    return series, table.since_1970
