"""Tiny real recordings of every format. Frame k is grey of level 10 k; the car starts at 5 m/s and gains 1 m/s^2."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

FRAMES, RATE = 20, 5.0
SIZE = (64, 36)
EPOCH = 1_700_000_000.0
LAT0, LON0 = 48.0, 11.0
METRE_DEG = 1 / 111_195.08  # of latitude, on the mean sphere


def level(k: int) -> int:
    return min(10 * k, 250)


def pixels(k: int) -> np.ndarray:
    return np.full((SIZE[1], SIZE[0], 3), level(k), np.uint8)


def jpeg(k: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels(k)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def speed(t: float) -> float:
    return 5.0 + t


def way(t: float) -> float:
    """Metres driven north since 0."""
    return 5.0 * t + t * t / 2


def shown(image: Image.Image) -> float:
    """The k of the frame that this picture is."""
    return float(np.asarray(image).mean()) / 10


def times(frames: int = FRAMES, rate: float = RATE) -> list[float]:
    return [k / rate for k in range(frames)]


def write_csv(path: Path, header: str, rows: Sequence[Sequence[Any]]) -> Path:
    path.write_text("\n".join([header, *(",".join(str(cell) for cell in row) for row in rows)]) + "\n")
    return path


# --- video -------------------------------------------------------------------------------------------------------


def write_video(
    path: Path,
    stamps: Sequence[float] | None = None,
    created: str = "",
    faststart: bool = False,
    codec: str = "libx264",
) -> Path:
    """A video whose frame k is shown at stamps[k] s."""
    stamps = times() if stamps is None else stamps
    options = {"movflags": "faststart"} if faststart else {}
    with av.open(str(path), "w", options=options) as container:
        if created:
            container.metadata["creation_time"] = created
        stream = container.add_stream(
            codec, rate=10, options={"x265-params": "log-level=none"} if codec == "libx265" else {}
        )
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for k, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(pixels(k), "rgb24")
            frame.pts, frame.time_base = round(stamp * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_gpx(path: Path, start: float = EPOCH, with_speed: bool = False, seconds: int = 8) -> Path:
    points = []
    for t in range(seconds):
        moment = np.datetime64(int((start + t) * 1000), "ms")
        told = f"<speed>{speed(t)}</speed>" if with_speed else ""
        at = f'lat="{LAT0 + way(t) * METRE_DEG:.9f}" lon="{LON0}"'
        points.append(f"<trkpt {at}><time>{moment}Z</time><extensions>{told}</extensions></trkpt>")
    body = f"<trk><trkseg>{''.join(points)}</trkseg></trk>"
    path.write_text(f'<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1">{body}</gpx>')
    return path


# --- ROS ---------------------------------------------------------------------------------------------------------


def write_bag(
    path: Path, ros: int, storage: str = "sqlite3", stamps: Sequence[float] | None = None, raw: str = ""
) -> Path:
    """A bag of either ROS: front and rear pictures, odometry, IMU, fixes, and a command that must not be read."""
    from rosbags.rosbag1 import Writer as Writer1
    from rosbags.rosbag2 import StoragePlugin
    from rosbags.rosbag2 import Writer as Writer2
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS1_NOETIC if ros == 1 else Stores.ROS2_HUMBLE)
    types = store.types
    plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
    writer = Writer1(path) if ros == 1 else Writer2(path, version=9, storage_plugin=plugin)

    def header(t: float) -> Any:
        sec, nano = divmod(round((EPOCH + t) * 1e9), 10**9)
        extra = {"seq": 0} if ros == 1 else {}
        stamp = types["builtin_interfaces/msg/Time"](sec=sec, nanosec=nano)
        return types["std_msgs/msg/Header"](**extra, stamp=stamp, frame_id="car")

    def vector(kind: str, *values: float) -> Any:
        return types[f"geometry_msgs/msg/{kind}"](*values)

    def picture(t: float, k: int) -> Any:
        if not raw:
            data = np.frombuffer(jpeg(k), np.uint8)
            return types["sensor_msgs/msg/CompressedImage"](header=header(t), format="jpeg", data=data)
        grid = pixels(k)[..., :1] if raw == "mono8" else pixels(k)
        return types["sensor_msgs/msg/Image"](
            header=header(t), height=SIZE[1], width=SIZE[0], encoding=raw, is_bigendian=0,
            step=grid.shape[1] * grid.shape[2], data=grid.ravel(),
        )  # fmt: skip

    def twist(v: float, yaw: float) -> Any:
        return types["geometry_msgs/msg/Twist"](
            linear=vector("Vector3", v, 0.0, 0.0), angular=vector("Vector3", 0.0, 0.0, yaw)
        )

    def odometry(t: float) -> Any:
        pose = types["geometry_msgs/msg/Pose"](
            vector("Point", way(t), 0.0, 0.0), vector("Quaternion", 0.0, 0.0, 0.0, 1.0)
        )
        with_cov = types["geometry_msgs/msg/PoseWithCovariance"](pose, np.zeros(36))
        moved = types["geometry_msgs/msg/TwistWithCovariance"](twist(speed(t), 0.1), np.zeros(36))
        return types["nav_msgs/msg/Odometry"](header(t), "car", with_cov, moved)

    def imu(t: float) -> Any:
        return types["sensor_msgs/msg/Imu"](
            header(t), vector("Quaternion", 0.0, 0.0, 0.0, 1.0), np.zeros(9),
            vector("Vector3", 0.0, 0.0, 0.1), np.zeros(9), vector("Vector3", 1.0, 0.0, 9.8), np.zeros(9),
        )  # fmt: skip

    image = "sensor_msgs/msg/Image" if raw else "sensor_msgs/msg/CompressedImage"
    kinds = {
        "/camera/front/image": image, "/camera/rear/image": image, "/odom": "nav_msgs/msg/Odometry",
        "/imu": "sensor_msgs/msg/Imu", "/cmd_vel": "geometry_msgs/msg/Twist",
    }  # fmt: skip
    with writer:
        lines = {name: writer.add_connection(name, kind, typestore=store) for name, kind in kinds.items()}

        def write(name: str, t: float, body: Any) -> None:
            encode = store.serialize_ros1 if ros == 1 else store.serialize_cdr
            writer.write(lines[name], round((EPOCH + t) * 1e9), encode(body, kinds[name]))

        for k, t in enumerate(times() if stamps is None else stamps):
            came = k / RATE + 0.03  # when it was recorded: later than it was taken, and always in order
            write("/camera/front/image", came, picture(t, k))
            write("/camera/rear/image", came, picture(t, 0))
            write("/cmd_vel", came, twist(99.0, 0.0))
        for t in times(40, 10):
            write("/odom", t, odometry(t))
            write("/imu", t, imu(t))
    return path


# --- nuScenes ----------------------------------------------------------------------------------------------------


def write_nuscenes(root: Path, can: str = "pose", cameras: int = 6) -> Path:
    """One scene of the true schema; `can`: pose, monitor or "" for none."""
    from pacenote.drives.readers.nuscenes import CAMERAS

    tables: dict[str, list[dict[str, Any]]] = {
        "scene": [{"token": "s", "name": "scene-0061", "first_sample_token": "m0", "last_sample_token": "m0",
                   "nbr_samples": 1, "log_token": "l", "description": ""}],
        "sample": [{"token": "m0", "timestamp": int(EPOCH * 1e6), "scene_token": "s", "prev": "", "next": ""}],
        "sensor": [{"token": f"n{c}", "channel": c, "modality": "camera"} for c in CAMERAS]
        + [{"token": "nLIDAR", "channel": "LIDAR_TOP", "modality": "lidar"}],
        "calibrated_sensor": [{"token": f"c{c}", "sensor_token": f"n{c}", "translation": [0, 0, 0],
                               "rotation": [1, 0, 0, 0], "camera_intrinsic": []} for c in (*CAMERAS, "LIDAR")],
        "sample_data": [], "ego_pose": [],
    }  # fmt: skip
    for camera in CAMERAS[:cameras]:
        for k, t in enumerate(times()):
            folder = "samples" if k % 5 == 0 else "sweeps"
            file = root / folder / camera / f"n__{camera}__{int((EPOCH + t) * 1e6)}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(jpeg(k))
            token, utime = f"{camera}{k}", round((EPOCH + t) * 1e6)
            tables["sample_data"].append(
                {"token": token, "sample_token": "m0", "ego_pose_token": token, "calibrated_sensor_token": f"c{camera}",
                 "filename": file.relative_to(root).as_posix(), "fileformat": "jpg", "width": SIZE[0],
                 "height": SIZE[1], "timestamp": utime, "is_key_frame": k % 5 == 0, "next": "", "prev": ""}
            )  # fmt: skip
            turn = 0.1 * t
            tables["ego_pose"].append(
                {"token": token, "timestamp": utime, "translation": [way(t), 3.0, 0.0],
                 "rotation": [math.cos(turn / 2), 0, 0, math.sin(turn / 2)]}
            )  # fmt: skip
    lidar = {**tables["sample_data"][0], "token": "L", "calibrated_sensor_token": "cLIDAR", "filename": "sweeps/L.bin"}
    tables["sample_data"].append(lidar)
    tables["sample_data"].reverse()  # the tables are in no order of time
    (root / "v1.0-mini").mkdir(parents=True)
    for name, rows in tables.items():
        (root / "v1.0-mini" / f"{name}.json").write_text(json.dumps(rows))
    bus = root / "can_bus"
    bus.mkdir()
    if can == "pose":
        rows = [
            {"utime": round((EPOCH + t) * 1e6), "vel": [speed(t), 0, 0], "accel": [1.0, 0, 9.8], "pos": [way(t), 3, 0],
             "rotation_rate": [0, 0, 0.1], "orientation": [1, 0, 0, 0]} for t in times(200, 50)
        ]  # fmt: skip
        (bus / "scene-0061_pose.json").write_text(json.dumps(rows))
    if can == "monitor":
        rows = [{"utime": round((EPOCH + t) * 1e6), "vehicle_speed": 3.6 * speed(t)} for t in times(9, 2)]
        (bus / "scene-0061_vehicle_monitor.json").write_text(json.dumps(rows))
    return root


# --- BDD100K, comma2k19 ------------------------------------------------------------------------------------------


def axes(vector: np.ndarray) -> dict[str, float]:
    return dict(zip("xyz", vector.tolist(), strict=True))


def write_bdd100k(root: Path, flipped: bool = False, course: bool = True) -> Path:
    """A video of 8 s with its info; the car turns left by 0.1 rad/s, and the phone hangs slanted."""
    video = root / "videos" / "train" / "b1c66a42-6f7d68ca.mov"
    info = root / "info" / "train" / "b1c66a42-6f7d68ca.json"
    for file in (video, info):
        file.parent.mkdir(parents=True)
    write_video(video, times(80, 10))
    up = np.array([0.6, 0.0, 0.8]) * (-1 if flipped else 1)
    turn = np.array([0.6, 0.0, 0.8])
    rates = {t: 0.1 * math.sin(t) for t in times(400, 50)}
    heading = 0.0
    course_at = {}
    for t, rate in rates.items():
        course_at[round(t, 3)] = (360 - math.degrees(heading)) % 360
        heading += rate / 50
    ms = round(EPOCH * 1e3)
    held = {
        "rideID": "x", "startTime": ms, "endTime": ms + 8000, "filename": "no.mov",
        "locations": [
            {"timestamp": ms + 1000 * t, "speed": -1 if t == 3 else speed(t), "latitude": LAT0 + way(t) * METRE_DEG,
             "longitude": LON0, "course": course_at[float(t)] if course else -1} for t in range(8)
        ],
        "gyro": [{"timestamp": ms + round(1000 * t), **axes(rate * turn)} for t, rate in rates.items()],
        "accelerometer": [{"timestamp": ms + round(1000 * t), **axes(9.8 * up)} for t in rates],
    }  # fmt: skip
    info.write_text(json.dumps(held))
    return root


def write_comma2k19(root: Path, video: bool = True) -> Path:
    """A segment in the layout of the published example, whose names hold a bar."""
    segment = root / "b0c9d2329ad1606b|2018-08-02--08-34-47" / "40"
    boot = 1234.5
    logs = {
        "CAN/speed": [[speed(t)] for t in times(320, 80)],
        "CAN/steering_angle": [0.0 for _ in times(320, 80)],
        "IMU/gyro": [[0.0, 0.0, -0.1] for _ in times(320, 80)],
        "IMU/accelerometer": [[1.0, 0.0, 9.8] for _ in times(320, 80)],
    }
    for name, values in logs.items():
        folder = segment / "processed_log" / name
        folder.mkdir(parents=True)
        for file, array in (("t", [boot + t for t in times(320, 80)]), ("value", values)):
            with (folder / file).open("wb") as handle:
                np.save(handle, np.array(array))
    pose = segment / "global_pose"
    pose.mkdir()
    radius = 6_378_137.0
    places = [[radius * math.cos(way(t) / radius), 0.0, radius * math.sin(way(t) / radius)] for t in times()]
    for name, array in (("frame_times", [boot + t for t in times()]), ("frame_positions", places)):
        with (pose / name).open("wb") as handle:
            np.save(handle, np.array(array))
    Image.fromarray(pixels(0)).save(segment / "preview.png")
    if video:
        write_video(segment / "video.mp4", codec="libx265")
        with (
            av.open(str(segment / "video.mp4")) as source,
            av.open(str(segment / "video.hevc"), "w", format="hevc") as bare,
        ):
            stream = bare.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(source.streams.video[0]):
                if packet.dts is not None:
                    packet.stream = stream
                    bare.mux(packet)
        (segment / "video.mp4").unlink()
    return root
