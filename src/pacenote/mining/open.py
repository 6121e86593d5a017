"""Drives to mine: recordings as `drives.find` knows them, and those of a Dataset, whose truth is left behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pacenote.drives.drive import SIGNALS, Drive, DriveFrame, DriveRef, Signals
from pacenote.errors import InputError

DATASET = "dataset"
SPLIT = "split"


def find(path: Path, split: str = "") -> list[DriveRef]:
    """The drives at `path`, sorted by name. `split` of a Dataset; "": all. InputError where there are none."""
    if not (path / "dataset.json").is_file():
        from pacenote.drives.find import find_drives

        return find_drives(path)
    from pacenote.data import Dataset

    refs = []
    for name in (split,) if split else Dataset.open(path).splits:
        drives = {drive for drive in Dataset.open(path, name).column("drive") if drive}
        refs += [DriveRef(path, DATASET, drive, {SPLIT: name}) for drive in sorted(drives)]
    if not refs:
        raise InputError(f"{path}: no row of this Dataset belongs to a drive; give drives, or render some")
    return refs


def open_drive(ref: DriveRef) -> Drive:
    """The drive of a reference."""
    if ref.format != DATASET:
        from pacenote.drives.find import open_drive as open_recording

        return open_recording(ref)
    from pacenote.data import Dataset

    data = Dataset.open(ref.path, ref.options[SPLIT])
    rows = sorted(
        (row["time_s"] if row["time_s"] is not None else float(k), k, row)
        for k, row in enumerate(data.table(["drive", "time_s", "speed_mps", "accel_mps2", "yaw_rate"]).to_pylist())
        if row["drive"] == ref.name
    )
    if not rows:
        raise InputError(f"{ref.path}: no drive {ref.name} in split {ref.options[SPLIT]}")
    times = np.array([time for time, *_ in rows])
    first = np.concatenate([[True], np.diff(times) > 0])
    values = {
        name: np.array([np.nan if row[name] is None else row[name] for *_, row in rows], dtype=np.float64)[first]
        for name in SIGNALS
        if name in rows[0][2]
    }
    order = [k for _, k, _ in rows]
    return Drive(
        ref.name,
        lambda: _frames(data, order),
        Signals(times[first], values),
        licence=data[order[0]].licence,
        source=str(ref.path),
    )


def _frames(data: Any, order: Sequence[int]) -> Iterator[DriveFrame]:
    from pacenote.advisory import given

    for number, k in enumerate(order):
        sample = data[k]
        if sample.images:
            time = sample.time_s if sample.time_s is not None else float(number)
            yield DriveFrame(number, time, sample.images[0].bytes, given=given(sample.question))
