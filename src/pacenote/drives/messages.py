"""Pictures and signals in recorded messages, whether from a rosbag or an MCAP file.

A schema is known by its name without the middle part that ROS 2 adds: `sensor_msgs/msg/Imu` is `sensor_msgs/Imu`.
Signals are in SI units and in the axes of ROS (REP 103: x forward, y left, z up), so a turn to the left is positive.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pacenote.drives.drive import SIGNALS, DriveFrame, DriveRef
from pacenote.drives.geo import local_metres
from pacenote.drives.series import Series
from pacenote.errors import InputError

OURS = "pacenote.Signals"
IMAGES = (
    "sensor_msgs/CompressedImage",
    "sensor_msgs/Image",
    "foxglove.CompressedImage",
    "foxglove_msgs/CompressedImage",
)
ASIDE = ("rear", "back", "left", "right", "side", "depth", "inside", "cabin", "infra", "thermal", "semantic")
RAW = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1, "8UC1": 1, "8UC3": 3}  # encoding -> bytes a pixel


@dataclass(frozen=True)
class Topic:
    name: str
    schema: str  # as `plain_schema` gives it
    count: int


@dataclass(frozen=True)
class Message:
    topic: str
    time_s: float  # when it was recorded
    body: Any  # attributes (ROS, protobuf) or keys (JSON)


class Source(Protocol):
    """A file of messages."""

    topics: list[Topic]

    def messages(self, topics: Iterable[str]) -> Iterator[Message]:
        """The messages of these topics, in the order of recording, one in memory at a time."""


def plain_schema(name: str) -> str:
    return name.replace("/msg/", "/")


def get(body: Any, *path: str) -> Any:
    """A nested field of a message; None where it lacks it."""
    for name in path:
        body = body.get(name) if isinstance(body, Mapping) else getattr(body, name, None)
        if body is None:
            return None
    return body


def stamp(message: Message) -> float:
    """When the sensor measured: the header's stamp where it is set, else the time of recording."""
    for path in (("header", "stamp"), ("timestamp",)):
        told = get(message.body, *path)
        if told is None:
            continue
        seconds = next((value for name in ("sec", "secs", "seconds") if (value := get(told, name)) is not None), None)
        parts = next(
            (value for name in ("nanosec", "nsec", "nsecs", "nanos") if (value := get(told, name)) is not None), 0
        )
        if seconds:
            return float(seconds) + float(parts) * 1e-9
    return message.time_s


# --- pictures ----------------------------------------------------------------------------------------------------


def choose_pictures(ref: DriveRef, topics: Sequence[Topic], notes: list[str]) -> Topic:
    """The topic of pictures: option `image_topic`, else the front-most with the most messages, which a note names."""
    offered = [topic for topic in topics if topic.schema in IMAGES and topic.count]
    names = ", ".join(topic.name for topic in offered)
    if not offered:
        raise InputError(f"{ref.path}: no pictures in it; it needs a topic of {', '.join(IMAGES)}")
    wanted = ref.options.get("image_topic")
    if wanted:
        for topic in offered:
            if topic.name == wanted:
                return topic
        raise InputError(f"{ref.path}: no pictures on '{wanted}'; image_topic is one of {names}")
    best = max(offered, key=_frontness)
    if len(offered) > 1:
        notes.append(f"pictures of {best.name}, of {names}")
    return best


def _frontness(topic: Topic) -> tuple[bool, bool, int]:
    name = topic.name.lower()
    return "front" in name and not _aside(name), not _aside(name), topic.count


def _aside(name: str) -> bool:
    return any(word in name for word in ASIDE)


def frame(message: Message, index: int, schema: str) -> DriveFrame:
    """The picture of a message. Raises InputError for an encoding that cannot be shown."""
    data = get(message.body, "data")
    if data is None:
        raise InputError(f"{message.topic}: a message without data; record the topic again")
    raw = base64.b64decode(data) if isinstance(data, str) else bytes(data)
    if schema != "sensor_msgs/Image":
        return DriveFrame(index, stamp(message), raw, given=get(message.body, "given") or "")
    return DriveFrame(index, stamp(message), decoded=_raw_image(message, raw))


def _raw_image(message: Message, raw: bytes) -> Any:
    from PIL import Image

    height, width, step = (int(get(message.body, name) or 0) for name in ("height", "width", "step"))
    encoding = str(get(message.body, "encoding"))
    depth = RAW.get(encoding)
    if depth is None:
        raise InputError(
            f"{message.topic}: pictures of '{encoding}' are not read; record {', '.join(RAW)} or compressed"
        )
    step = step or width * depth
    if not height or not width or step < width * depth or len(raw) < step * height:
        raise InputError(f"{message.topic}: a picture of {width}x{height} in {len(raw)} bytes; record the topic again")
    pixels = np.frombuffer(raw, np.uint8, step * height).reshape(height, step)[:, : width * depth]
    pixels = pixels.reshape(height, width, depth)
    if depth == 1:
        return Image.fromarray(pixels[..., 0]).convert("RGB")
    order = [2, 1, 0] if encoding.startswith(("bgr", "8UC3")) else [0, 1, 2]
    return Image.fromarray(np.ascontiguousarray(pixels[..., order]))


# --- signals -----------------------------------------------------------------------------------------------------


Row = dict[str, float]


def _of_ours(body: Any) -> Row:
    return {name: float(value) for name in SIGNALS if (value := get(body, name)) is not None}


def _speed(vector: Any) -> float:
    return math.hypot(get(vector, "x"), get(vector, "y"))


def _of_odometry(body: Any) -> Row:
    twist, place = get(body, "twist", "twist"), get(body, "pose", "pose", "position")
    row = {"speed_mps": _speed(get(twist, "linear")), "yaw_rate": get(twist, "angular", "z")}
    return {**row, "x_m": get(place, "x"), "y_m": get(place, "y")}


def _of_twist(body: Any) -> Row:
    twist = get(body, "twist") or body
    return {"speed_mps": _speed(get(twist, "linear")), "yaw_rate": get(twist, "angular", "z")}


def _of_imu(body: Any) -> Row:
    return {"yaw_rate": get(body, "angular_velocity", "z"), "accel_mps2": get(body, "linear_acceleration", "x")}


def _of_fix(body: Any) -> Row:
    status = get(body, "status", "status")
    if status is not None and status < 0:  # sensor_msgs/NavSatStatus: STATUS_NO_FIX
        return {}
    return {"latitude": get(body, "latitude"), "longitude": get(body, "longitude")}


# In the order of trust: of each signal the first that is recorded counts.
SCHEMAS: dict[str, Callable[[Any], Row]] = {
    OURS: _of_ours,
    "nav_msgs/Odometry": _of_odometry,
    "geometry_msgs/TwistStamped": _of_twist,
    "geometry_msgs/Twist": _of_twist,
    "sensor_msgs/Imu": _of_imu,
    "sensor_msgs/NavSatFix": _of_fix,
}


def choose_signals(ref: DriveRef, topics: Sequence[Topic]) -> list[Topic]:
    """The topics of signals in the order of trust: those of option `signal_topics` (comma-separated), else all but
    commands (a `cmd_vel` says what was wished, not what was)."""
    offered = [topic for topic in topics if topic.schema in SCHEMAS and topic.count]
    wanted = [name.strip() for name in ref.options.get("signal_topics", "").split(",") if name.strip()]
    if missing := [name for name in wanted if name not in {topic.name for topic in offered}]:
        names = ", ".join(topic.name for topic in offered) or "none"
        raise InputError(f"{ref.path}: no signals on '{missing[0]}'; signal_topics are among {names}")
    chosen = [topic for topic in offered if (topic.name in wanted if wanted else "cmd" not in topic.name.lower())]
    rank = list(SCHEMAS)
    return sorted(chosen, key=lambda topic: (rank.index(topic.schema), -topic.count))


def read_signals(source: Source, topics: Sequence[Topic]) -> list[Series]:
    """All signals of the topics, those of an earlier topic first; latitude and longitude become local metres."""
    schema = {topic.name: topic.schema for topic in topics}
    table: dict[tuple[str, str], tuple[list[float], list[float]]] = {}
    for message in source.messages(schema) if schema else ():
        when = stamp(message)
        for name, value in SCHEMAS[schema[message.topic]](message.body).items():
            times, values = table.setdefault((message.topic, name), ([], []))
            times.append(when)
            values.append(math.nan if value is None else float(value))
    series = []
    for topic in topics:
        if (topic.name, "latitude") in table:
            times, lat = table[topic.name, "latitude"]
            x, y = local_metres(lat, table[topic.name, "longitude"][1])
            series += [Series.of("x_m", times, x, topic.name), Series.of("y_m", times, y, topic.name)]
        series += [
            Series.of(name, *table[topic.name, name], topic.name) for name in SIGNALS if (topic.name, name) in table
        ]
    return series
