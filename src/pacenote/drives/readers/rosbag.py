"""ROS 1 bags (.bag) and ROS 2 bags (a folder with metadata.yaml and .db3 or .mcap files), without ROS."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pacenote.drives.build import Recording, build_drive
from pacenote.drives.drive import Drive, DriveFrame, DriveRef
from pacenote.drives.messages import (
    Message,
    Topic,
    choose_pictures,
    choose_signals,
    frame,
    plain_schema,
    read_signals,
    stamp,
)
from pacenote.errors import InputError

WANTED = "a ROS 1 bag (.bag) or a ROS 2 bag (a folder with metadata.yaml)"


def find(path: Path) -> list[DriveRef]:
    if path.is_file():
        bags = [path] if path.suffix == ".bag" or path.name == "metadata.yaml" else []
    else:
        bags = sorted([*path.rglob("*.bag"), *path.rglob("metadata.yaml")])
    refs = []
    for bag in bags:
        if bag.name != "metadata.yaml":
            refs.append(DriveRef(bag, "rosbag", bag.with_suffix("").name if path.is_file() else _name(bag, path)))
        elif "rosbag2_bagfile_information" in bag.read_text(encoding="utf-8", errors="replace")[:4096]:
            refs.append(DriveRef(bag.parent, "rosbag", _name(bag.parent, path)))
    return refs


def _name(bag: Path, root: Path) -> str:
    return bag.name if bag == root or not bag.is_relative_to(root) else bag.relative_to(root).with_suffix("").as_posix()


def open(ref: DriveRef) -> Drive:
    """Options: `image_topic`, `signal_topics`, `offset`."""
    source = BagSource(ref.path)
    notes: list[str] = []
    pictures = choose_pictures(ref, source.topics, notes)
    series = read_signals(source, choose_signals(ref, source.topics))
    times = [stamp(message) for message in source.messages([pictures.name])]
    return build_drive(ref, Recording(times, lambda: _frames(source, pictures), series, notes=notes))


def _frames(source: BagSource, pictures: Topic) -> Iterator[DriveFrame]:
    for index, message in enumerate(source.messages([pictures.name])):
        yield frame(message, index, pictures.schema)


class BagSource:
    """The messages of a bag of either ROS."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _opened(path) as bag:
            self.topics = [
                Topic(name, plain_schema(topic.msgtype or ""), topic.msgcount) for name, topic in bag.topics.items()
            ]

    def messages(self, topics: Iterable[str]) -> Iterator[Message]:
        wanted = set(topics)
        with _opened(self.path) as bag:
            connections = [one for one in bag.connections if one.topic in wanted]
            for connection, time_ns, data in bag.messages(connections) if connections else ():
                yield Message(connection.topic, time_ns * 1e-9, bag.deserialize(data, connection.msgtype))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The bag while it is read; what rosbags says of a broken one becomes an InputError."""
    from rosbags.highlevel import AnyReader
    from rosbags.highlevel.anyreader import AnyReaderError, ReaderErrors
    from rosbags.typesys import Stores, get_typestore

    try:
        with AnyReader([path], default_typestore=get_typestore(Stores.ROS2_HUMBLE)) as bag:
            yield bag
    except (AnyReaderError, *ReaderErrors, FileNotFoundError, struct.error) as error:
        why = str(error).split("\n")[0] or type(error).__name__
        mend = "rosbag reindex" if path.suffix == ".bag" else "ros2 bag reindex"
        raise InputError(f"{path}: not a readable bag ({why}); copy it again, or run `{mend}` on it") from None
