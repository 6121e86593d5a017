"""comma2k19: a segment folder with video.hevc, processed_log/ and global_pose/ (NumPy arrays without a suffix).

All stamps are seconds since the device's boot. CAN speed is m/s; IMU axes are forward, right, down; positions are
earth-centred metres. The steering angle is not among a Drive's signals.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pacenote.drives.build import Recording, build_drive
from pacenote.drives.clip import read_lazily, read_stamps
from pacenote.drives.drive import Drive, DriveFrame, DriveRef, Offset
from pacenote.drives.geo import local_of_ecef
from pacenote.drives.series import Series
from pacenote.errors import InputError

WANTED = "a segment with video.hevc and processed_log/ (comma2k19)"
LOGS = {  # signal -> folders that may hold it, its column, its sign
    "speed_mps": (("CAN/speed", "CAN/car_speed"), 0, 1.0),
    "accel_mps2": (("IMU/accelerometer", "IMU/acceleration"), 0, 1.0),
    "yaw_rate": (("IMU/gyro", "IMU/gyro_uncalibrated"), 2, -1.0),  # about down: positive to the right
}


def find(path: Path) -> list[DriveRef]:
    if path.is_file():
        return []
    logs = sorted(path.rglob("processed_log"))
    return [
        DriveRef(log.parent, "comma2k19", log.parent.relative_to(path).as_posix() if log.parent != path else path.name)
        for log in logs
        if log.is_dir() and ((log.parent / "global_pose").is_dir() or (log.parent / "video.hevc").is_file())
    ]


def open(ref: DriveRef) -> Drive:
    notes: list[str] = []
    video, pose = ref.path / "video.hevc", ref.path / "global_pose"
    if not video.is_file():
        raise InputError(
            f"{ref.path}: video.hevc is missing, and preview.png alone is no drive; unpack the segment again"
        )
    if not (pose / "frame_times").is_file():
        raise InputError(f"{ref.path}: global_pose/frame_times is missing; unpack the segment again")
    times = [float(time) for time in np.ravel(_array(pose / "frame_times"))]
    recorded = len(read_stamps(video).time_s)
    if recorded != len(times):
        notes.append(f"frames: {recorded} in video.hevc and {len(times)} stamps; those beyond are left out")
    series = [one for name in LOGS if (one := _log(ref.path / "processed_log", name)) is not None]
    series += _positions(pose, times, notes)
    recording = Recording(
        times[:recorded],
        lambda: _read(video, times),
        series,
        offset=Offset(),
        licence="MIT",
        source="comma2k19",
        notes=notes,
    )
    return build_drive(ref, recording)


def _read(video: Path, times: list[float]) -> Iterator[DriveFrame]:
    for index, _time, picture in read_lazily(video):  # a bare stream: its own stamps are made up
        if index < len(times):
            yield DriveFrame(index, times[index], decoded=picture)


def _array(path: Path) -> Any:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not a readable NumPy array ({error}); unpack the segment again") from None


def _log(root: Path, name: str) -> Series | None:
    folders, column, sign = LOGS[name]
    folder = next((root / one for one in folders if (root / one / "t").is_file()), None)
    if folder is None:
        return None
    times, values = np.ravel(_array(folder / "t")), _array(folder / "value")
    values = values.reshape(len(values), -1)[:, column]
    if len(times) != len(values):
        raise InputError(f"{folder}: {len(times)} times and {len(values)} values; unpack the segment again")
    return Series.of(name, times, sign * values, folder.name)


def _positions(pose: Path, times: list[float], notes: list[str]) -> list[Series]:
    if not (pose / "frame_positions").is_file():
        return []
    positions = _array(pose / "frame_positions")
    if positions.shape != (len(times), 3):
        notes.append(f"positions: {len(positions)} for {len(times)} frames; left out")
        return []
    x, y = local_of_ecef(positions)
    return [Series.of("x_m", times, x, "global_pose"), Series.of("y_m", times, y, "global_pose")]
