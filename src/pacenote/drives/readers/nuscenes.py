"""nuScenes: a dataroot with v1.0-*/ tables, samples/, sweeps/ and, if unpacked, can_bus/. Each scene is a drive.

Schema: docs/schema_nuscenes.md and can_bus/README.md of the nuScenes devkit. Stamps are µs since 1970. From the CAN
bus come `pose` (50 Hz; the car's frame: x forward, z up) and, where a scene lacks it, `vehicle_monitor` (2 Hz, km/h);
`zoesensors` holds pedals and steering only. Without CAN, positions and the turn follow from `ego_pose`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pacenote.drives.build import Recording, build_drive
from pacenote.drives.drive import Drive, DriveFrame, DriveRef, Offset
from pacenote.drives.series import Series
from pacenote.errors import InputError
from pacenote.work import read_json

WANTED = "v1.0-*/scene.json (nuScenes dataroot)"
CAMERAS = ("CAM_FRONT", "CAM_FRONT_LEFT", "CAM_FRONT_RIGHT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_BACK_RIGHT")
LICENCE = "CC BY-NC-SA 4.0 (nuScenes)"
US = 1e-6


@dataclass(frozen=True)
class Shot:
    """One row of sample_data: stamp in µs, file under the dataroot, and the car's pose (x, y in m, heading in rad)."""

    utime: int
    file: str
    x_m: float
    y_m: float
    heading: float


Shots = dict[str, dict[str, list[Shot]]]  # scene name -> camera -> shots in the order of time


def find(path: Path) -> list[DriveRef]:
    if path.is_file():
        return []
    return [
        DriveRef(tables.parent, "nuscenes", scene["name"], {"version": tables.name})
        for tables in _tables(path)
        for scene in _rows(tables / "scene.json", "name")
    ]


def _tables(path: Path) -> list[Path]:
    if path.name.startswith("v1.0-") and (path / "scene.json").is_file():
        return [path]
    return sorted(file.parent for depth in ("", "*/") for file in path.glob(f"{depth}v1.0-*/scene.json"))


def open(ref: DriveRef) -> Drive:
    """Options: `version` (v1.0-mini, ...) and `camera` (default CAM_FRONT)."""
    version = ref.options.get("version") or _tables(ref.path)[0].name
    camera = ref.options.get("camera", CAMERAS[0])
    if camera not in CAMERAS:
        raise InputError(f"{ref.path}: no camera '{camera}'; give one of {', '.join(CAMERAS)}")
    shots = _index(ref.path / version).get(ref.name)
    if shots is None:
        raise InputError(f"{ref.path}: no scene '{ref.name}' in {version}; see its scene.json")
    notes = _missing_cameras(ref.path, shots)
    own = [shot for shot in shots.get(camera, []) if (ref.path / shot.file).is_file()]
    if not own:
        raise InputError(f"{ref.path}: no picture of {camera} for {ref.name}; unpack samples/ and sweeps/")
    if len(own) < len(shots[camera]):
        notes.append(f"frames: {len(shots[camera]) - len(own)} of {len(shots[camera])} pictures of {camera} missing")
    series = [*_can(ref.path, ref.name, notes), *_of_poses(own)]  # of each signal the first that is known counts
    recording = Recording(
        [shot.utime * US for shot in own],
        lambda: _read(ref.path, own),
        series,
        offset=Offset(),
        camera=camera,
        licence=LICENCE,
        source=f"nuScenes {version}",
        notes=notes,
    )
    return build_drive(ref, recording)


def _read(root: Path, shots: Sequence[Shot]) -> Iterator[DriveFrame]:
    for index, shot in enumerate(shots):
        yield DriveFrame(index, shot.utime * US, (root / shot.file).read_bytes())


def _missing_cameras(root: Path, shots: dict[str, list[Shot]]) -> list[str]:
    """A note of the cameras of the six that the scene lacks: no row, or not one picture."""
    gone = [name for name in CAMERAS if not any((root / shot.file).is_file() for shot in shots.get(name, []))]
    return [f"no pictures of {', '.join(gone)}"] if gone else []


def _rows(path: Path, *keys: str) -> list[dict[str, Any]]:
    rows = read_json(path)
    if not isinstance(rows, list) or any(not isinstance(row, dict) or not set(keys) <= row.keys() for row in rows):
        raise InputError(f"{path}: not a table of nuScenes (rows need {', '.join(keys)}); unpack the metadata again")
    return rows


@lru_cache(maxsize=1)  # a table of the full set is a gigabyte: read once a process, and only what is needed kept
def _index(tables: Path) -> Shots:
    scenes = {row["token"]: row["name"] for row in _rows(tables / "scene.json", "token", "name")}
    scene_of = {
        row["token"]: scenes[row["scene_token"]] for row in _rows(tables / "sample.json", "token", "scene_token")
    }
    channel = {row["token"]: row["channel"] for row in _rows(tables / "sensor.json", "token", "channel")}
    mounted = _rows(tables / "calibrated_sensor.json", "token", "sensor_token")
    camera_of = {row["token"]: name for row in mounted if (name := channel[row["sensor_token"]]) in CAMERAS}
    keys = ("sample_token", "calibrated_sensor_token", "ego_pose_token", "filename", "timestamp")
    rows = [
        tuple(row[key] for key in keys)
        for row in _rows(tables / "sample_data.json", *keys)
        if row["calibrated_sensor_token"] in camera_of
    ]
    wanted = {row[2] for row in rows}
    poses = {
        row["token"]: (*row["translation"][:2], _heading(row["rotation"]))
        for row in _rows(tables / "ego_pose.json", "token", "translation", "rotation")
        if row["token"] in wanted
    }
    shots: Shots = defaultdict(lambda: defaultdict(list))
    for sample, mount, pose, file, utime in rows:
        shots[scene_of[sample]][camera_of[mount]].append(Shot(int(utime), file, *poses[pose]))
    for by_camera in shots.values():
        for one in by_camera.values():
            one.sort(key=lambda shot: shot.utime)
    return {name: dict(by_camera) for name, by_camera in shots.items()}


def _heading(rotation: Sequence[float]) -> float:
    """Yaw in rad, counter-clockwise, of a quaternion w, x, y, z."""
    w, x, y, z = rotation
    return math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))


def _of_poses(shots: Sequence[Shot]) -> list[Series]:
    times = np.array([shot.utime * US for shot in shots])
    heading = np.unwrap([shot.heading for shot in shots])
    series = [
        Series.of("x_m", times, [shot.x_m for shot in shots], "ego_pose"),
        Series.of("y_m", times, [shot.y_m for shot in shots], "ego_pose"),
    ]
    rise = np.diff(times)
    if len(times) > 1 and (rise > 0).all():
        series.append(Series.of("yaw_rate", (times[1:] + times[:-1]) / 2, np.diff(heading) / rise, "ego_pose"))
    return series


def _can(root: Path, scene: str, notes: list[str]) -> list[Series]:
    """Signals of the CAN bus; none for the scenes that lack it."""
    pose, monitor = (root / "can_bus" / f"{scene}_{name}.json" for name in ("pose", "vehicle_monitor"))
    if pose.is_file():
        rows = _rows(pose, "utime", "vel", "accel", "rotation_rate", "pos")
        times = [row["utime"] * US for row in rows]
        columns = {
            "speed_mps": [math.hypot(*row["vel"][:2]) for row in rows],
            "accel_mps2": [row["accel"][0] for row in rows],
            "yaw_rate": [row["rotation_rate"][2] for row in rows],
            "x_m": [row["pos"][0] for row in rows],
            "y_m": [row["pos"][1] for row in rows],
        }
        return [Series.of(name, times, values, "CAN pose") for name, values in columns.items()] if rows else []
    if monitor.is_file():
        rows = _rows(monitor, "utime", "vehicle_speed")
        notes.append("speed is that of vehicle_monitor at 2 Hz: the scene has no CAN pose")
        speeds = [row["vehicle_speed"] / 3.6 for row in rows]
        return [Series.of("speed_mps", [row["utime"] * US for row in rows], speeds, "vehicle_monitor")] if rows else []
    notes.append("no CAN bus for this scene: signals follow from ego_pose")
    return []
