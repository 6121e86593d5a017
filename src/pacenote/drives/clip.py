"""Frames of a video clip, decoded one at a time with PyAV."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 8192 * 4320  # a frame of 8K video; a header that claims more is a broken or hostile file


@dataclass(frozen=True)
class Clip:
    """What the header of a video says."""

    path: Path
    width: int
    height: int
    frames: int  # 0 where the container does not say
    rate: Fraction  # frames per second

    @property
    def seconds(self) -> float:
        return self.frames / float(self.rate)


@dataclass(frozen=True)
class ClipFrame:
    """One decoded frame: its index in the clip, its time in seconds from the first frame, upright RGB."""

    index: int
    time_s: float
    image: Image.Image


def _open(path: Path) -> Any:
    import av

    if not path.is_file():
        raise InputError(f"{path}: no such clip; check the path")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the clip is empty; copy it again")
    try:
        container = av.open(str(path))
    except (av.FFmpegError, ValueError, OSError) as error:
        if _lost_its_index(path):
            raise InputError(
                f"{path}: cut off before its index (no 'moov' box); copy it again, or repair it with untrunc"
            ) from error
        raise InputError(f"{path}: not a readable video ({_reason(error)}); re-encode it as H.264 in MP4") from error
    if not container.streams.video:
        container.close()
        raise InputError(f"{path}: no picture track in this file; give a video")
    return container


def _lost_its_index(path: Path) -> bool:
    """Whether the file is an MP4 or MOV without the box that says where its frames are: it was cut while recording."""
    seen: set[bytes] = set()
    with path.open("rb") as file:
        size, at = path.stat().st_size, 0
        while at + 8 <= size and len(seen) < 64:
            file.seek(at)
            head = file.read(16)
            length, kind = int.from_bytes(head[:4], "big"), head[4:8]
            length = int.from_bytes(head[8:16], "big") if length == 1 else length or size - at
            seen.add(kind)
            if length < 8:
                break
            at += length
    return bool(seen & {b"ftyp", b"mdat"}) and b"moov" not in seen


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error).split("\n")[0] or type(error).__name__


def read_clip(path: Path) -> Clip:
    """The header of the clip. Raises InputError for a missing, empty, corrupt or oversized one."""
    with _open(path) as container:
        return _clip(path, container)


def _clip(path: Path, container: Any) -> Clip:
    stream = container.streams.video[0]
    width, height = stream.codec_context.width, stream.codec_context.height
    if not width or not height:
        raise InputError(f"{path}: the video gives no frame size; re-encode it as H.264 in MP4")
    if width * height > MAX_PIXELS:
        raise InputError(f"{path}: frames of {width}x{height} are over {MAX_PIXELS // 10**6} megapixels; scale it down")
    rate = stream.average_rate or stream.guessed_rate
    if not rate or rate > 1000:
        raise InputError(f"{path}: the video gives no usable frame rate; re-encode it as H.264 in MP4")
    return Clip(path, width, height, stream.frames or 0, Fraction(rate))


@dataclass(frozen=True)
class Stamps:
    """`time_s` of each frame from the first, in the order in which `read_frames` gives them; when the recording began,
    in seconds since 1970, where the file says so; and what is amiss."""

    time_s: list[float]
    created: float | None
    notes: tuple[str, ...]


def read_stamps(path: Path) -> Stamps:
    """The stamps of all frames, without decoding one. Raises InputError as `read_clip` does, and for no frame."""
    import av

    with _open(path) as container:
        clip = _clip(path, container)
        stream = container.streams.video[0]
        created = _created({**container.metadata, **stream.metadata})
        times: list[float] = []
        error = None
        try:
            for packet in container.demux(stream):
                if packet.size and packet.pts is not None and not packet.is_corrupt:
                    times.append(float(packet.pts * packet.time_base))
                elif packet.size and packet.pts is None:
                    times.append(len(times) / float(clip.rate))  # a bare stream, as of H.265, holds no stamps
        except av.FFmpegError as broken:
            error = broken
    if not times:
        raise InputError(f"{path}: holds no frame; copy it again")
    times.sort()  # frames are stored in the order of decoding, and shown in the order of their stamps
    notes = []
    if error is not None or len(times) < clip.frames:
        notes.append(f"the video is cut off: {len(times)} of {clip.frames or 'its'} frames are there")
    return Stamps([time - times[0] for time in times], created, tuple(notes))


def _created(metadata: dict[str, str]) -> float | None:
    from datetime import UTC, datetime

    try:
        moment = datetime.fromisoformat(metadata["creation_time"])
    except (KeyError, ValueError):
        return None
    if moment.year < 1980:  # a camera without a set clock writes 1904 or 1970
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def read_frames(path: Path, every: int = 1) -> Iterator[ClipFrame]:
    """Each `every`-th frame of the clip, in order, from the first; times follow the frames' own time stamps.

    A damaged frame within the clip is passed over; InputError where none can be decoded at all.
    """
    if every < 1:
        raise InputError(f"every {every} frames: give a number of at least 1")
    for index, time_s, picture in read_lazily(path):
        if index % every == 0:
            yield ClipFrame(index, time_s, picture())


def read_lazily(path: Path) -> Iterator[tuple[int, float, Callable[[], Image.Image]]]:
    """Index, time in s and picture of each frame, as `read_frames`; the picture is converted when it is asked for.

    Converting costs several times what decoding does, and most readers want a few frames a second.
    """
    import av

    seen, first, error = 0, 0.0, None
    with _open(path) as container:
        clip = _clip(path, container)
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for packet in container.demux(stream):
            try:
                decoded = packet.decode()
            except av.FFmpegError as broken:
                error = broken
                continue
            for frame in decoded:
                time_s = float(frame.time) if frame.time is not None else seen / float(clip.rate)
                first = time_s if seen == 0 else first
                yield seen, time_s - first, partial(_upright, frame)
                seen += 1
    if not seen:
        why = f" ({_reason(error)})" if error else ""
        raise InputError(f"{path}: no frame of this clip can be decoded{why}; re-encode it as H.264 in MP4")


def _upright(frame: Any) -> Image.Image:
    image: Image.Image = frame.to_image()
    turn = int(getattr(frame, "rotation", 0) or 0) % 360
    return image.rotate(turn, expand=True) if turn else image
