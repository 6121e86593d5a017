"""MP4, MKV, MOV and AVI with signals beside them: NAME.csv, NAME.gpx, or speed_log.csv in the folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pacenote.drives.build import Recording, build_drive
from pacenote.drives.clip import read_lazily, read_stamps
from pacenote.drives.csv_signals import read_csv_signals
from pacenote.drives.drive import Drive, DriveFrame, DriveRef
from pacenote.drives.gpx import read_gpx
from pacenote.drives.series import Series, shifted

WANTED = "a video (.mp4, .mkv, .mov, .avi)"
SUFFIXES = {".mp4", ".mkv", ".mov", ".avi", ".m4v"}


def find(path: Path) -> list[DriveRef]:
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    root = path.parent if path.is_file() else path
    return [
        DriveRef(file, "video", file.relative_to(root).with_suffix("").as_posix())
        for file in files
        if file.suffix.lower() in SUFFIXES and file.is_file() and not file.name.startswith(".")
    ]


def open(ref: DriveRef) -> Drive:
    stamps = read_stamps(ref.path)
    notes = list(stamps.notes)
    series = signals_beside(ref.path, ref.path.stem, stamps.created, stamps.time_s[-1], notes)
    return build_drive(
        ref, Recording(stamps.time_s, lambda: decoded(ref.path), series, began=stamps.created, notes=notes)
    )


def decoded(path: Path) -> Iterator[DriveFrame]:
    """The frames of the video; `index` is the frame's place in the video."""
    for index, time_s, picture in read_lazily(path):
        yield DriveFrame(index, time_s, decoded=picture)


def signals_beside(
    path: Path, stem: str, created: float | None, length_s: float, notes: list[str], ours: str = "speed_log.csv"
) -> list[Series]:
    """Signals from the file beside `path`, on the video's clock: by the moment at which it was `created` (seconds since
    1970) where both know the date and overlap, else both start at 0."""
    log = _log(path, stem, notes, ours)
    if log is None:
        return []
    series, since_1970 = (read_gpx(log), True) if log.suffix.lower() == ".gpx" else read_csv_signals(log, notes)
    starts = [float(one.time_s.min()) for one in series if len(one.time_s)]
    ends = [float(one.time_s.max()) for one in series if len(one.time_s)]
    if not starts:
        return []
    if since_1970 and created is not None and min(starts) < created + length_s and max(ends) > created:
        return shifted(series, -created)
    if since_1970:
        why = "the video has no date" if created is None else "it does not overlap with the video's date"
        notes.append(f"{log.name}: {why}, so both are taken to start together")
        return shifted(series, -min(starts))
    notes.append(f"{log.name}: its times are taken to start with the video")
    return series


def _log(path: Path, stem: str, notes: list[str], ours: str) -> Path | None:
    for name in (f"{stem}.csv", f"{stem}.gpx", f"{stem}.GPX"):
        if (path.parent / name).is_file():
            return path.parent / name
    shared = path.parent / ours
    if not shared.is_file():
        return None
    videos = [file for file in path.parent.iterdir() if file.suffix.lower() in SUFFIXES]
    if len(videos) > 1:
        notes.append(f"{ours} lies beside {len(videos)} videos and is not used; name it {stem}.csv")
        return None
    return shared
