"""Every frame of a clip comes once, in order, with its time; what is no video is refused in one line."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pacenote.drives.clip import read_clip, read_frames
from pacenote.errors import InputError


def make_clip(path: Path, frames: int = 20, rate: int = 10, size: tuple[int, int] = (96, 64)) -> Path:
    """A clip whose frame k is grey of level 10 k."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for k in range(frames):
            level = np.full((size[1], size[0], 3), min(10 * k, 250), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(level, "rgb24")))
        container.mux(stream.encode(None))
    return path


def test_header(tmp_path: Path) -> None:
    clip = read_clip(make_clip(tmp_path / "c.mp4"))
    assert (clip.width, clip.height, clip.frames, clip.rate) == (96, 64, 20, Fraction(10))
    assert clip.seconds == pytest.approx(2.0)


@pytest.mark.parametrize("every", [1, 3, 7, 50])
def test_each_nth_frame_is_that_frame(tmp_path: Path, every: int) -> None:
    frames = list(read_frames(make_clip(tmp_path / "c.mp4"), every))
    assert [frame.index for frame in frames] == list(range(0, 20, every))
    for frame in frames:
        assert frame.time_s == pytest.approx(frame.index / 10, abs=1e-3)
        assert np.asarray(frame.image).mean() == pytest.approx(10 * frame.index, abs=4)


def test_a_cut_clip_gives_the_frames_that_are_left(tmp_path: Path) -> None:
    path = tmp_path / "c.mkv"  # a Matroska file needs no index at its end
    make_clip(path, frames=60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    assert 0 < len(list(read_frames(path))) < 60


@pytest.mark.parametrize("content", [b"", b"no video" * 100, b"\0" * 5000])
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.mp4") as caught:
        list(read_frames(path))
    assert "\n" not in str(caught.value)


def test_missing_clip_and_bad_step(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such clip"):
        read_clip(tmp_path / "gone.mp4")
    with pytest.raises(InputError, match="at least 1"):
        next(read_frames(make_clip(tmp_path / "c.mp4"), 0))


def test_sound_alone_is_no_clip(tmp_path: Path) -> None:
    import wave

    with wave.open(str(tmp_path / "s.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(b"\0\0" * 800)
    with pytest.raises(InputError, match="no picture track"):
        read_clip(tmp_path / "s.wav")
