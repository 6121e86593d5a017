"""BDD100K: videos/SPLIT/ID.mov with info/SPLIT/ID.json (or the JSON beside the video).

The info holds `startTime` in ms since 1970, `locations` at about 1 Hz (`timestamp` in ms, `speed` in m/s with -1 for
unknown, `course` in degrees clockwise from north, `latitude`, `longitude`), and `gyro` and `accelerometer` of the
phone at 50 Hz in the phone's own axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pacenote.drives.build import Recording, build_drive
from pacenote.drives.clip import read_stamps
from pacenote.drives.drive import Drive, DriveRef, Floats
from pacenote.drives.geo import local_metres
from pacenote.drives.readers.video import decoded
from pacenote.drives.series import Series, longest_rise
from pacenote.errors import InputError
from pacenote.work import read_json

WANTED = "NAME.mov with info JSON (BDD100K: videos/ and info/ side by side)"
LICENCE = "BDD100K licence (non-commercial research)"
LIKE = 0.5  # correlation of gyro and course above which the gyro's sign is taken as told


def find(path: Path) -> list[DriveRef]:
    files = [path] if path.is_file() else sorted(path.rglob("*.mov"))
    root = path.parent if path.is_file() else path
    pairs = [(file, _info_of(file)) for file in files if file.suffix.lower() == ".mov"]
    return [
        DriveRef(file, "bdd100k", file.relative_to(root).with_suffix("").as_posix(), {"info": str(info)})
        for file, info in pairs
        if info is not None
    ]


def _info_of(video: Path) -> Path | None:
    beside = video.with_suffix(".json")
    if beside.is_file():
        held = read_json(beside)
        return beside if isinstance(held, dict) and "startTime" in held else None
    parts = list(video.with_suffix(".json").parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "videos":
            other = Path(*parts[:place], "info", *parts[place + 1 :])
            return other if other.is_file() else None
    return None


def open(ref: DriveRef) -> Drive:
    stamps = read_stamps(ref.path)
    notes = list(stamps.notes)
    info = ref.options.get("info") or _info_of(ref.path)
    series = read_info(Path(info), notes) if info else []
    began = float(read_json(info)["startTime"]) / 1e3 if info else None
    recording = Recording(
        stamps.time_s, lambda: decoded(ref.path), series, began=began, licence=LICENCE, source="BDD100K", notes=notes
    )  # fmt: skip
    return build_drive(ref, recording)


def read_info(path: Path, notes: list[str]) -> list[Series]:
    """The signals of an info file, in s from the start of the video. Raises InputError for another kind of file."""
    held = read_json(path)
    if not isinstance(held, dict) or not isinstance(held.get("startTime"), int | float):
        raise InputError(f"{path}: no info of BDD100K (no startTime); check the download")
    start = float(held["startTime"]) / 1e3
    places = held.get("locations") or held.get("gps") or []
    times = _column(places, "timestamp") / 1e3 - start
    speed, lat, lon = (_column(places, name) for name in ("speed", "latitude", "longitude"))
    if unknown := int((speed < 0).sum()):
        notes.append(f"speed_mps: {unknown} of {len(speed)} values are -1, unknown")
        speed[speed < 0] = np.nan
    x, y = local_metres(lat, lon)
    series = [
        Series.of("speed_mps", times, speed, path.name),
        Series.of("x_m", times, x, path.name),
        Series.of("y_m", times, y, path.name),
    ]
    turn = _yaw_rate(held, start, times, _column(places, "course"), notes)
    return [*series, turn] if turn is not None else series


def _column(rows: Sequence[dict[str, Any]], name: str) -> Floats:
    return np.array([row.get(name) if row.get(name) is not None else np.nan for row in rows], dtype=np.float64)


def _yaw_rate(held: dict[str, Any], start: float, times: Floats, course: Floats, notes: list[str]) -> Series | None:
    """The gyro about the vertical. The phone hangs in any way, so the vertical is the mean of the accelerometer;
    whether that points up or down differs between phones, and is told by the course."""
    gyro, accel = held.get("gyro") or [], held.get("accelerometer") or []
    if not gyro or not accel:
        return None
    spin = np.stack([_column(gyro, axis) for axis in "xyz"], axis=1)
    vertical = np.nanmean(np.stack([_column(accel, axis) for axis in "xyz"], axis=1), axis=0)
    length = float(np.linalg.norm(vertical))
    when = _column(gyro, "timestamp") / 1e3 - start
    keep = longest_rise(when)
    if not length > 0 or keep.sum() < 2:
        return None
    turn = spin @ (vertical / length)
    sign = _sign(when[keep], turn[keep], times, course)
    if not sign:
        notes.append("yaw_rate: the course does not tell the gyro's sign; left out")
        return None
    return Series.of("yaw_rate", when, sign * turn, "gyro")


def _sign(when: Floats, turn: Floats, times: Floats, course: Floats) -> int:
    """+1 or -1 so that a turn to the left is positive; 0 where the course does not tell."""
    known = np.isfinite(times) & np.isfinite(course) & (course >= 0)
    keep = longest_rise(times[known])
    times, course = times[known][keep], np.unwrap(np.radians(course[known][keep]))
    if len(times) < 4:
        return 0
    turned = np.concatenate([[0.0], np.cumsum((turn[1:] + turn[:-1]) / 2 * np.diff(when))])
    by_gyro = np.diff(np.interp(times, when, turned))
    by_course = -np.diff(course)  # clockwise is to the right
    if by_gyro.std() == 0 or by_course.std() == 0:
        return 0
    likeness = float(np.corrcoef(by_gyro, by_course)[0, 1])
    return int(np.sign(likeness)) if abs(likeness) > LIKE else 0
