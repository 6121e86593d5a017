"""The beginning of a long clip, cut without decoding it."""

from __future__ import annotations

from pathlib import Path

from pacenote.errors import InputError
from pacenote.work import atomic


def cut(clip: Path, seconds: float, out: Path) -> Path:
    """Copy the first `seconds` of the video stream into `out` (.mp4); `clip` itself when it is not longer.

    Packets are copied as they are. InputError when the clip cannot be read or its codec does not fit into MP4.
    """
    import av

    from pacenote.drives.clip import read_clip

    if read_clip(clip).seconds <= seconds + 0.5:
        return clip
    try:
        with av.open(str(clip)) as source, atomic(out) as partial, av.open(str(partial), "w") as target:
            stream = source.streams.video[0]
            copy = target.add_stream_from_template(stream)
            end = (stream.start_time or 0) + seconds / stream.time_base
            for packet in source.demux(stream):
                if packet.dts is None:  # the empty packet that flushes a decoder
                    continue
                if packet.dts > end:
                    break
                packet.stream = copy
                target.mux(packet)
    except (av.FFmpegError, ValueError) as error:
        raise InputError(f"{clip}: its first {seconds:g} s cannot be cut ({error}); give a shorter MP4") from None
    return out
