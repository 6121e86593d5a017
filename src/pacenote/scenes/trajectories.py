"""Trajectories of other simulators (CARLA, LimSim, ...) in place of SUMO's traffic.

A CSV or Parquet file with the columns time (s), id, type, x, y (m, the middle of the vehicle, in the frame of the road
network), heading (degrees counter-clockwise from +x) and optionally speed (m/s). `docs/scenes.md` says how to write
one.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pacenote.errors import InputError
from pacenote.scenes.streets import Streets
from pacenote.scenes.traffic import SIZES, TYPES, Traffic

COLUMNS = ("time", "id", "type", "x", "y", "heading")
# What other simulators call their actors; anything else that is not a person counts as a car.
NAMES = {
    "truck": "truck",
    "trailer": "truck",
    "lorry": "truck",
    "bus": "bus",
    "van": "van",
    "delivery": "van",
    "sprinter": "van",
    "motorcycle": "motorcycle",
    "harley": "motorcycle",
    "yamaha": "motorcycle",
    "kawasaki": "motorcycle",
    "vespa": "motorcycle",
    "bicycle": "bicycle",
    "bike": "bicycle",
    "omafiets": "bicycle",
    "crossbike": "bicycle",
}
PEOPLE = ("walker", "pedestrian", "person")


def kind_of(name: str) -> str:
    """Our vehicle type for another simulator's name, "" for people (they are placed by rules)."""
    lower = name.lower()
    if any(word in lower for word in PEOPLE):
        return ""
    return next((kind for word, kind in NAMES.items() if word in lower), "car")


def read_trajectories(path: Path, streets: Streets) -> Traffic:
    """Read a file as Traffic; signals follow the network's own programs. InputError names the file and the mend."""
    return _read(
        path, streets.path, tuple(sorted(streets.phases.items())), path.stat().st_mtime if path.is_file() else 0.0
    )


@lru_cache(maxsize=2)
def _read(
    path: Path, _network: Path, phases: tuple[tuple[str, tuple[tuple[float, str], ...]], ...], _changed: float
) -> Traffic:
    table = _table(path)
    kinds = np.array([kind_of(str(name)) for name in table["type"]])
    keep = kinds != ""
    if not keep.any():
        raise InputError(f"{path}: no vehicle in it; write one row a vehicle and time step")
    try:
        time, x, y, heading = (np.asarray(table[name], dtype=float)[keep] for name in ("time", "x", "y", "heading"))
        speed = np.asarray(table["speed"], dtype=float)[keep] if "speed" in table else np.full(len(time), math.nan)
    except ValueError as error:
        raise InputError(f"{path}: a number was expected ({error}); mend that row") from None
    if not all(np.isfinite(column).all() for column in (time, x, y, heading)):
        raise InputError(f"{path}: time, x, y and heading must be finite numbers in every row")
    names, who = np.unique(np.array([str(name) for name in table["id"]])[keep], return_inverse=True)
    yaw = np.radians(heading)
    code = np.array([TYPES.index(kind) for kind in kinds[keep]], dtype=np.int16)
    half = np.array([SIZES[kind][0] / 2 for kind in TYPES])[code]
    order = np.lexsort((who, time))
    speed = np.where(np.isnan(speed), _speeds(time, who, x, y), speed)
    times = np.arange(math.floor(time.min()), math.ceil(time.max()) + 1.0, 1.0)
    return Traffic(
        times=np.round(time[order], 3),
        who=who[order].astype(np.int32),
        kind=code[order],
        x=(x + np.cos(yaw) * half)[order],
        y=(y + np.sin(yaw) * half)[order],
        yaw=yaw[order],
        speed=speed[order],
        lane=np.zeros(len(order), dtype=np.int32),
        names=tuple(str(n) for n in names),
        kinds=TYPES,
        lanes=("",),
        tls_times=times,
        states={tls: tuple(program_state(program, float(t)) for t in times) for tls, program in phases},
    )


def program_state(program: tuple[tuple[float, str], ...], time: float) -> str:
    """The signal string of a fixed-time program (durations in s and states) at a time."""
    cycle = sum(duration for duration, _ in program)
    left = time % cycle if cycle > 0 else 0.0
    for duration, state in program:
        if left < duration:
            return state
        left -= duration
    return program[-1][1] if program else ""


def _speeds(
    time: NDArray[np.float64], who: NDArray[np.intp], x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Speeds from positions, m/s."""
    speed = np.zeros(len(time))
    for number in np.unique(who):
        rows = np.flatnonzero(who == number)
        rows = rows[np.argsort(time[rows])]
        if len(rows) > 1:
            steps = np.hypot(np.diff(x[rows]), np.diff(y[rows])) / np.maximum(np.diff(time[rows]), 1e-3)
            speed[rows] = np.append(steps, steps[-1])
    return speed


def _table(path: Path) -> dict[str, list[object]]:
    if not path.is_file():
        raise InputError(f"{path}: no such trajectory file; mend traffic.trajectories in the recipe")
    import pyarrow as pa

    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            table = pq.read_table(path)
        else:
            from pyarrow import csv

            text = {"id": pa.string(), "type": pa.string()}
            table = csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=text, strings_can_be_null=False))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a CSV or Parquet table ({' '.join(str(error).split())[:120]})") from None
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise InputError(f"{path}: lacks the column {missing[0]}; it needs {', '.join(COLUMNS)}")
    return {name: table.column(name).to_pylist() for name in table.column_names}
