"""MCAP files: JSON, protobuf or ROS 2 messages; those that `write_mcap` made come back as they were."""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.drives.build import Recording, build_drive
from pacenote.drives.drive import Drive, DriveFrame, DriveRef, Offset
from pacenote.drives.messages import (
    IMAGES,
    SCHEMAS,
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

if TYPE_CHECKING:
    from mcap.records import Schema

WANTED = "an MCAP file (.mcap)"
ENCODINGS = ("jsonschema", "protobuf", "ros2msg")
OURS_METADATA = "pacenote"  # name of the metadata record that `write_mcap` adds


def find(path: Path) -> list[DriveRef]:
    files = [path] if path.is_file() else sorted(path.rglob("*.mcap"))
    root = path.parent if path.is_file() else path
    return [
        DriveRef(file, "mcap", file.relative_to(root).with_suffix("").as_posix())
        for file in files
        if file.suffix.lower() == ".mcap" and file.is_file()
    ]


def open(ref: DriveRef) -> Drive:
    """Options: `image_topic`, `signal_topics`, `offset`."""
    source = McapSource(ref.path)
    notes = list(source.notes)
    pictures = choose_pictures(ref, source.topics, notes)
    told = choose_signals(ref, source.topics)
    ours = source.metadata
    recording = Recording(
        [stamp(message) for message in source.messages([pictures.name])],
        lambda: _frames(source, pictures),
        read_signals(source, told),
        offset=Offset(float(ours["offset_s"]), float(ours["offset_sd_s"])) if ours else None,
        began=float(ours["began"]) - float(ours["zero_s"]) if "began" in ours else None,
        camera=ours.get("camera", "CAM_FRONT"),
        licence=ours.get("licence", ""),
        source=ours.get("source", ""),
        notes=[*json.loads(ours.get("notes", "[]")), *notes],
    )
    return build_drive(ref, recording, float(ours["zero_s"]) if "zero_s" in ours else None)


def _frames(source: McapSource, pictures: Topic) -> Iterator[DriveFrame]:
    for index, message in enumerate(source.messages([pictures.name])):
        yield frame(message, index, pictures.schema)


def _broken() -> tuple[type[Exception], ...]:
    """What the reader and its decompressors raise for a file that is cut or damaged."""
    from mcap.exceptions import McapError
    from zstandard import ZstdError

    return McapError, ZstdError, struct.error, ValueError, EOFError, RuntimeError, OSError


class McapSource:
    """The messages of an MCAP file; of one that is cut off, those up to the cut."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []
        self.metadata: dict[str, str] = {}
        self._whole = True
        counts, schemas = self._summary()
        self.topics = []
        for name, (schema, encoding) in sorted(schemas.items()):
            if encoding in ENCODINGS:
                self.topics.append(Topic(name, plain_schema(schema), counts[name]))
            elif plain_schema(schema) in (*IMAGES, *SCHEMAS):
                self.notes.append(f"{name} is left out: '{encoding}' is not read, only {', '.join(ENCODINGS)}")

    def _summary(self) -> tuple[Counter[str], dict[str, tuple[str, str]]]:
        """Messages, and schema with its encoding, of each topic: from the summary at the end, else by reading all."""
        from mcap.reader import make_reader

        counts: Counter[str] = Counter()
        schemas: dict[str, tuple[str, str]] = {}
        try:
            with self.path.open("rb") as file:
                reader = make_reader(file)
                if (summary := reader.get_summary()) is not None and summary.statistics is not None:
                    for channel in summary.channels.values():
                        counts[channel.topic] += summary.statistics.channel_message_counts.get(channel.id, 0)
                        schema = summary.schemas.get(channel.schema_id)
                        schemas[channel.topic] = (schema.name, schema.encoding) if schema else ("", "")
                    for record in reader.iter_metadata():
                        if record.name == OURS_METADATA:
                            self.metadata = dict(record.metadata)
                    return counts, schemas
        except _broken():
            pass  # it has no end: read it from its start
        self._whole = False
        self.metadata = self._first_metadata()
        for schema, topic, _time, _data in self._records(None):
            counts[topic] += 1
            schemas[topic] = (schema.name, schema.encoding) if schema else ("", "")
        if not counts:
            raise InputError(f"{self.path}: not a readable MCAP file; copy it again, or try `mcap recover`")
        self.notes.append(f"the file is cut off or has no index: {counts.total()} messages up to there are read")
        return counts, schemas

    def _records(self, topics: Iterable[str] | None) -> Iterator[tuple[Schema | None, str, int, bytes]]:
        """Schema, topic, time of recording in ns and bytes of each message, in the order of time; of a file without a
        summary in the order of the file, since sorting would need all of it in memory."""
        from mcap.reader import NonSeekingReader, make_reader

        wanted = None if topics is None else set(topics)
        with self.path.open("rb") as file:
            try:
                reader = make_reader(file) if self._whole else NonSeekingReader(file)
                for schema, channel, message in reader.iter_messages(topics=wanted, log_time_order=self._whole):
                    yield schema, channel.topic, message.log_time, message.data
            except _broken() as error:
                if self._whole:
                    why = str(error).split("\n")[0] or type(error).__name__
                    raise InputError(f"{self.path}: damaged ({why}); repair it with `mcap recover`") from None
                return  # the cut: `_summary` has noted it

    def _first_metadata(self) -> dict[str, str]:
        """What `write_mcap` wrote about the drive; it stands before the first message."""
        from mcap.records import Message as Record
        from mcap.records import Metadata
        from mcap.stream_reader import StreamReader

        with self.path.open("rb") as file, suppress(*_broken()):
            for record in StreamReader(file).records:
                if isinstance(record, Metadata) and record.name == OURS_METADATA:
                    return dict(record.metadata)
                if isinstance(record, Record):
                    break
        return {}

    def messages(self, topics: Iterable[str]) -> Iterator[Message]:
        decoders: dict[int, Callable[[bytes], Any]] = {}
        for schema, topic, time_ns, data in self._records(topics):
            assert schema is not None  # topics without one are not offered
            if schema.id not in decoders:
                decoders[schema.id] = _decoder(schema)
            try:
                body = decoders[schema.id](data)
            except _broken() as error:
                raise InputError(f"{self.path}: a message of {topic} is damaged ({error}); record it again") from None
            yield Message(topic, time_ns * 1e-9, body)


def _decoder(schema: Schema) -> Callable[[bytes], Any]:
    """What makes a message of its bytes, for a schema in one of ENCODINGS."""
    from mcap_protobuf.decoder import DecoderFactory as Protobuf
    from mcap_ros2.decoder import DecoderFactory as Ros2

    if schema.encoding == "jsonschema":
        return json.loads
    decoder = Protobuf().decoder_for("protobuf", schema) or Ros2().decoder_for("cdr", schema)
    assert decoder is not None
    return decoder
