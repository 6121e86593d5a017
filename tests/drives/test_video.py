"""A video keeps its own stamps, finds the signals beside it, and is read as far as it goes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from pacenote.drives.clip import read_stamps
from pacenote.drives.drive import Drive
from pacenote.drives.find import find_drives, open_drive, pick_drive
from pacenote.errors import InputError
from tests.drives.recordings import EPOCH, shown, speed, times, write_csv, write_gpx, write_video

CREATED = "2023-11-14T22:13:20.000000Z"  # EPOCH


def opened(path: Path) -> Drive:
    return open_drive(pick_drive(find_drives(path), None, {"offset": "none"}))


def speed_at(drive: Drive, t: float) -> float:
    return float(drive.signals.at("speed_mps", t)[0])


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".avi"])
def test_each_container_gives_its_frames_in_order(tmp_path: Path, suffix: str) -> None:
    codec = "mpeg4" if suffix == ".avi" else "libx264"
    drive = opened(write_video(tmp_path / f"d{suffix}", times(20, 10), codec=codec))
    frames = list(drive.read())
    assert [frame.index for frame in frames] == list(range(20))
    assert [shown(frame.image()) for frame in frames] == pytest.approx(range(20), abs=0.4)
    assert [frame.time_s for frame in frames] == pytest.approx(times(20, 10), abs=2e-3)
    assert [frame.index for frame in drive.read()] == list(range(20))  # each call reads anew


def test_a_variable_frame_rate_keeps_its_stamps(tmp_path: Path) -> None:
    stamps = [0.0, 0.04, 0.08, 0.3, 0.34, 0.9, 1.0, 1.04, 1.6, 1.64]
    drive = opened(write_video(tmp_path / "d.mp4", stamps))
    assert [frame.time_s for frame in drive.read()] == pytest.approx(stamps, abs=2e-3)
    assert any("rate varies" in note for note in drive.notes)


def test_a_gap_is_noted_and_not_filled(tmp_path: Path) -> None:
    stamps = [0.0, 0.1, 0.2, 6.2, 6.3, 6.4]
    drive = opened(write_video(tmp_path / "d.mp4", stamps))
    assert [frame.time_s for frame in drive.read()] == pytest.approx(stamps, abs=2e-3)
    assert "frames: 1 gap(s), the longest 6.0 s" in drive.notes


def test_a_csv_of_the_same_name_gives_the_signals(tmp_path: Path) -> None:
    write_video(tmp_path / "d.mp4")
    write_csv(tmp_path / "d.csv", "t_s,speed_kmh", [(t, 3.6 * speed(t)) for t in times(50, 10)])
    drive = opened(tmp_path)
    assert speed_at(drive, 1.5) == pytest.approx(speed(1.5))
    assert "d.csv: its times are taken to start with the video" in drive.notes


def test_a_speed_log_serves_the_only_video_beside_it(tmp_path: Path) -> None:
    write_csv(tmp_path / "speed_log.csv", "t_s,v_ms", [(t, speed(t)) for t in times()])
    write_video(tmp_path / "a.mp4")
    assert speed_at(opened(tmp_path), 1.5) == pytest.approx(speed(1.5))
    write_video(tmp_path / "b.mp4")
    refs = find_drives(tmp_path)
    assert [ref.name for ref in refs] == ["a", "b"]
    drive = open_drive(refs[0])
    assert not drive.signals.values
    assert "speed_log.csv lies beside 2 videos and is not used; name it a.csv" in drive.notes
    assert any(note.startswith("no speed") for note in drive.notes)


def test_dates_put_a_track_in_its_place(tmp_path: Path) -> None:
    write_video(tmp_path / "d.mp4", created=CREATED)
    write_gpx(tmp_path / "d.gpx", start=EPOCH - 2)  # the track began two seconds earlier
    drive = opened(tmp_path)
    assert drive.began == EPOCH
    assert speed_at(drive, 1.5) == pytest.approx(speed(3.5), abs=1e-3)
    assert not any("taken to start" in note for note in drive.notes)


@pytest.mark.parametrize(("created", "why"), [("", "has no date"), ("2020-01-01T00:00:00Z", "does not overlap")])
def test_without_common_dates_both_start_together_and_a_note_says_so(tmp_path: Path, created: str, why: str) -> None:
    write_video(tmp_path / "d.mp4", created=created)
    write_gpx(tmp_path / "d.gpx", start=EPOCH)
    drive = opened(tmp_path)
    assert speed_at(drive, 1.5) == pytest.approx(speed(1.5), abs=1e-3)
    assert any(why in note for note in drive.notes)


def test_signals_of_another_time_are_noted(tmp_path: Path) -> None:
    write_video(tmp_path / "d.mp4")
    write_csv(tmp_path / "d.csv", "t_s,speed_kmh", [(500 + t, 36) for t in times()])
    drive = opened(tmp_path)
    assert math.isnan(speed_at(drive, 1.0))
    assert any("none within the frames' time, they start +500 s" in note for note in drive.notes)


def test_a_cut_video_with_its_index_is_read_up_to_the_cut(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "d.mp4", times(60, 10), faststart=True)
    content = whole.read_bytes()
    assert content.find(b"moov") < content.find(b"mdat")
    whole.write_bytes(content[: content.find(b"mdat") + (len(content) - content.find(b"mdat")) * 2 // 3])
    drive = opened(whole)
    seen = [frame.time_s for frame in drive.read()]
    assert 2 <= len(seen) < 60
    # Frames right before the cut lean on ones behind it, and some of them are lost; all others keep their own stamps.
    assert [round(time * 10) for time in seen[: len(seen) - 4]] == list(range(len(seen) - 4))
    assert all(time * 10 == pytest.approx(round(time * 10), abs=0.02) for time in seen)
    assert seen == sorted(seen)
    assert any("cut off" in note and "of 60 frames" in note for note in drive.notes)


def test_a_cut_video_without_its_index_is_refused_with_the_mend(tmp_path: Path) -> None:
    path = write_video(tmp_path / "d.mp4", times(60, 10))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"d\.mp4: cut off before its index .*untrunc"):
        opened(path)


def test_a_single_frame_is_no_drive(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"d\.mp4.*two moments"):
        opened(write_video(tmp_path / "d.mp4", [0.0]))


def test_a_log_that_is_no_table_is_refused_not_ignored(tmp_path: Path) -> None:
    write_video(tmp_path / "d.mp4")
    (tmp_path / "d.csv").write_text("nothing\n1\n")
    with pytest.raises(InputError, match=r"d\.csv"):
        opened(tmp_path)


def test_stamps_are_read_without_decoding(tmp_path: Path) -> None:
    stamps = read_stamps(write_video(tmp_path / "d.mp4", times(30, 10), created=CREATED))
    assert stamps.time_s == pytest.approx(times(30, 10))
    assert stamps.created == EPOCH
    assert stamps.notes == ()


def test_real_clips_open_with_their_logs(real: Path) -> None:
    folder = real / "openlka_can"
    refs = {ref.name: ref for ref in find_drives(folder)}
    assert len(refs) >= 10
    drive = open_drive(refs["c22/clip"])
    frames = list(drive.frames(rate_hz=2))
    assert 8 <= len(frames) <= 11
    assert np.isfinite(drive.signals.at("speed_mps", [frame.time_s for frame in frames])).all()
    assert np.asarray(frames[0].image()).std() > 10
    assert math.isinf(drive.offset.sd_s) or drive.offset.sd_s > 0
