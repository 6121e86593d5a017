"""A Drive as one MCAP file that Foxglove opens: pictures, signals and, if given, advisories.

Pictures are `foxglove.CompressedImage` and advisories `foxglove.Log`, both in JSON with the published schemas, so that
the Image and Log panels show them; signals are `pacenote.Signals` in JSON, for the Plot panel.
"""

from __future__ import annotations

import base64
import heapq
import io
import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pacenote.drives.drive import SIGNALS, Drive, DriveFrame, Signals
from pacenote.drives.messages import OURS
from pacenote.drives.readers.mcap import OURS_METADATA
from pacenote.work import atomic

JPEG_QUALITY = 92
FORMATS = {b"\xff\xd8": "jpeg", b"\x89P": "png", b"RI": "webp"}  # first bytes of an encoded picture
_TIME = {
    "type": "object",
    "title": "time",
    "properties": {"sec": {"type": "integer", "minimum": 0}, "nsec": {"type": "integer", "minimum": 0}},
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "foxglove.CompressedImage": {
        "timestamp": _TIME,
        "frame_id": {"type": "string"},
        "data": {"type": "string", "contentEncoding": "base64"},
        "format": {"type": "string"},
    },
    OURS: {name: {"type": "number"} for name in SIGNALS},
    "foxglove.Log": {
        "timestamp": _TIME,
        "level": {"type": "integer"},
        "message": {"type": "string"},
        "name": {"type": "string"},
        "file": {"type": "string"},
        "line": {"type": "integer", "minimum": 0},
    },
}
TOPICS = {"foxglove.CompressedImage": "/camera/image", OURS: "/signals", "foxglove.Log": "/advisory"}
Item = tuple[float, int, str, dict[str, Any]]  # time in s, rank among equal times, schema, body


def write_mcap(drive: Drive, path: str | Path, texts: Iterable[tuple[float, str]] = ()) -> Path:
    """Write `drive` to `path`, whole or not at all; `texts` are advisories (time in s on the drive's clock, text) in
    the order of time. JPEG, PNG and WebP bytes are kept as they are. One frame is in memory at a time.

    A time t of the drive is stamped `zero_s` + t, since MCAP's times are not negative; reading takes it off again.
    """
    from mcap.writer import Writer

    first = float(drive.signals.time_s[0]) if len(drive.signals.time_s) else 0.0
    zero_s = float(max(0, math.ceil(-first)))
    told = {"id": drive.id, "camera": drive.camera, "licence": drive.licence, "source": drive.source}
    told |= {"offset_s": repr(drive.offset.s), "offset_sd_s": repr(drive.offset.sd_s)}
    told |= {} if drive.began is None else {"began": repr(drive.began)}
    with atomic(path) as partial:
        writer = Writer(str(partial))
        writer.start()
        writer.add_metadata(OURS_METADATA, {**told, "zero_s": str(zero_s), "notes": json.dumps(list(drive.notes))})
        channels: dict[str, int] = {}
        streams = (_signals(drive.signals), _pictures(drive.read(), drive.camera, zero_s), _texts(texts, zero_s))
        for time_s, _rank, schema, body in heapq.merge(*streams, key=lambda item: item[:2]):
            if schema not in channels:
                channels[schema] = _channel(writer, schema)
            stamp = round((zero_s + time_s) * 1e9)
            writer.add_message(channels[schema], stamp, json.dumps(body).encode(), stamp)
        writer.finish()
    return Path(path)


def _channel(writer: Any, schema: str) -> int:
    properties = SCHEMAS[schema]
    text = json.dumps({"title": schema, "type": "object", "properties": properties})
    return int(
        writer.register_channel(TOPICS[schema], "json", writer.register_schema(schema, "jsonschema", text.encode()))
    )


def _stamp(seconds: float) -> dict[str, int]:
    sec, nsec = divmod(round(seconds * 1e9), 10**9)
    return {"sec": sec, "nsec": nsec}


def _signals(signals: Signals) -> Iterator[Item]:
    for row, time_s in enumerate(signals.time_s.tolist()):
        body = {name: float(column[row]) for name, column in signals.values.items() if np.isfinite(column[row])}
        yield time_s, 0, OURS, body


def _pictures(frames: Iterable[DriveFrame], camera: str, zero_s: float) -> Iterator[Item]:
    for frame in frames:
        kind, data = _encoded(frame)
        text = base64.b64encode(data).decode("ascii")
        body: dict[str, Any] = {
            "timestamp": _stamp(zero_s + frame.time_s),
            "frame_id": camera,
            "data": text,
            "format": kind,
        }
        body |= {"given": frame.given} if frame.given else {}
        yield frame.time_s, 1, "foxglove.CompressedImage", body


def _encoded(frame: DriveFrame) -> tuple[str, bytes]:
    kind = FORMATS.get(frame.encoded[:2])
    if kind:
        return kind, frame.encoded
    buffer = io.BytesIO()
    frame.image().save(buffer, "JPEG", quality=JPEG_QUALITY)
    return "jpeg", buffer.getvalue()


def _texts(texts: Iterable[tuple[float, str]], zero_s: float) -> Iterator[Item]:
    for time_s, text in texts:
        body = {
            "timestamp": _stamp(zero_s + time_s),
            "level": 2,
            "message": text,
            "name": "pacenote",
            "file": "",
            "line": 0,
        }
        yield time_s, 2, "foxglove.Log", body
