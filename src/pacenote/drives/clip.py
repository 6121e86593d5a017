"""Frames of a video clip, decoded one at a time with PyAV."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
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
    image: "Image.Image"


def _open(path: Path) -> Any:
    import av

    if not path.is_file():
        raise InputError(f"{path}: no such clip; check the path")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the clip is empty; copy it again")
    try:
        container = av.open(str(path))
    except (av.FFmpegError, ValueError, OSError) as error:
        raise InputError(f"{path}: not a readable video ({_reason(error)}); re-encode it as H.264 in MP4") from error
    if not container.streams.video:
        container.close()
        raise InputError(f"{path}: no picture track in this file; give a video")
    return container


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


def read_frames(path: Path, every: int = 1) -> Iterator[ClipFrame]:
    """Each `every`-th frame of the clip, in order, from the first; times follow the frames' own time stamps.

    A damaged frame within the clip is passed over; InputError where none can be decoded at all.
    """
    import av

    if every < 1:
        raise InputError(f"every {every} frames: give a number of at least 1")
    shown, first = 0, None
    with _open(path) as container:
        clip = _clip(path, container)
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        index, error = -1, None
        for packet in container.demux(stream):
            try:
                decoded = packet.decode()
            except av.FFmpegError as broken:
                error = broken
                continue
            for frame in decoded:
                index += 1
                time_s = float(frame.time) if frame.time is not None else index / float(clip.rate)
                first = time_s if first is None else first
                if index % every:
                    continue
                image = frame.to_image()
                turn = int(getattr(frame, "rotation", 0) or 0) % 360
                if turn:
                    image = image.rotate(turn, expand=True)
                shown += 1
                yield ClipFrame(index, time_s - first, image)
    if not shown:
        why = f" ({_reason(error)})" if error else ""
        raise InputError(f"{path}: no frame of this clip can be decoded{why}; re-encode it as H.264 in MP4")
