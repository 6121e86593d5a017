"""A folder of pictures whose names are times, or with a frames.csv (columns file and time), and perhaps signals.csv."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pacenote.drives.build import Recording, build_drive
from pacenote.drives.csv_signals import epoch_seconds, read_csv_signals
from pacenote.drives.drive import Drive, DriveFrame, DriveRef
from pacenote.drives.series import Series, shifted
from pacenote.errors import InputError

WANTED = "a folder of pictures named by time (1533151603512404.jpg, 2024-05-01_12-30-00-250000.jpg) or with frames.csv"
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
LEAST = 2  # pictures that make a drive
EPOCH = re.compile(r"(?<!\d)(\d{10}(?:\.\d+)?|\d{13}|\d{16}|\d{19})(?!\d)")  # s, ms, µs, ns since 1970
DATE = re.compile(
    r"(?<!\d)(\d{4})-?(\d\d)-?(\d\d)[ T_-](\d\d)[-:_]?(\d\d)[-:_]?(\d\d)(?:[-._](\d{1,6}))?(?!\d)"
)  # 2024-05-01_12-30-00-250000


def find(path: Path) -> list[DriveRef]:
    if path.is_file():
        return []
    folders = [path, *sorted(folder for folder in path.rglob("*") if folder.is_dir())]
    return [
        DriveRef(folder, "images", folder.name if folder == path else folder.relative_to(path).as_posix())
        for folder in folders
        if (folder / "frames.csv").is_file() or _timed(folder)
    ]


def _timed(folder: Path) -> bool:
    count = 0
    for file in folder.iterdir():
        count += file.suffix.lower() in SUFFIXES and stamp_of(file.stem) is not None
        if count >= LEAST:
            return True
    return False


def stamp_of(name: str) -> float | None:
    """Seconds since 1970 that the name of a picture tells, or None; a date without a zone is UTC."""
    if date := DATE.search(name):
        *whole, part = date.groups()
        try:
            moment = datetime(*(int(value) for value in whole), tzinfo=UTC)  # type: ignore[misc, arg-type]
        except ValueError:
            return None
        return moment.timestamp() + (float(f"0.{part}") if part else 0.0)
    found = EPOCH.findall(name)
    return epoch_seconds(found[-1]) if found else None


def open(ref: DriveRef) -> Drive:
    notes: list[str] = []
    listed = ref.path / "frames.csv"
    rows = _of_list(listed, notes) if listed.is_file() else _of_names(ref.path, notes)
    files, times = [file for _, file in rows], [time for time, _ in rows]
    if not rows:
        raise InputError(f"{ref.path}: no picture with a time; name pictures by time or list them in frames.csv")
    series = _signals(ref.path, times[0], notes)
    return build_drive(ref, Recording(times, lambda: _read(files, times), series, notes=notes))


def _of_names(folder: Path, notes: list[str]) -> list[tuple[float, Path]]:
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
    told = [(time, file) for file in files if (time := stamp_of(file.stem)) is not None]
    if len(told) < len(files):
        notes.append(f"frames: {len(files) - len(told)} picture(s) without a time in the name left out")
    return sorted(told)


def _of_list(path: Path, notes: list[str]) -> list[tuple[float, Path]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [{(key or "").strip().lower(): value for key, value in row.items()} for row in csv.DictReader(file)]
        if lines and not {"file", "time"} <= set(lines[0]):
            raise InputError(f"{path}: needs the columns file and time; it has {', '.join(lines[0])}")
        rows = [(epoch_seconds(line["time"]), path.parent / line["file"]) for line in lines]
    except (UnicodeDecodeError, csv.Error, ValueError, TypeError) as error:
        raise InputError(f"{path}: not a list of files and times ({error}); see docs/drives.md") from None
    there = [(time, file) for time, file in rows if file.is_file()]
    if len(there) < len(rows):
        notes.append(f"frames: {len(rows) - len(there)} of {len(rows)} listed pictures are missing")
    return there


def _signals(folder: Path, first: float, notes: list[str]) -> list[Series]:
    path = folder / "signals.csv"
    if not path.is_file():
        return []
    series, since_1970 = read_csv_signals(path, notes)
    if since_1970 == (first >= 1e8):
        return series
    notes.append("signals.csv: its times are taken to start with the first picture")
    start = min(float(one.time_s.min()) for one in series if len(one.time_s)) if since_1970 else 0.0
    return shifted(series, first - start)


def _read(files: Sequence[Path], times: Sequence[float]) -> Iterator[DriveFrame]:
    for index, (file, time_s) in enumerate(zip(files, times, strict=True)):
        try:
            yield DriveFrame(index, time_s, file.read_bytes())
        except OSError as error:
            raise InputError(f"{file}: cannot read it ({error.strerror}); remove it from the folder") from None
