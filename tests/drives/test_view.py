"""The page of a drive says what the drive holds, needs nothing beside it, and stays small however long the drive."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pacenote.cli import main
from pacenote.drives.drive import Drive, DriveFrame, Signals
from pacenote.drives.view import Sheet, view_drive
from tests.drives.recordings import jpeg, speed, times, write_csv, write_nuscenes, write_video


def test_the_page_of_a_drive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_video(tmp_path / "d.mp4")
    write_csv(tmp_path / "d.csv", "t_s,speed_kmh,accel_mps2", [(t, 3.6 * speed(t), 1) for t in times(50, 10)])
    out = tmp_path / "page.html"
    assert main(["data", "view", str(tmp_path / "d.mp4"), "--out", str(out), "--count", "6"]) == 0
    assert "d (video), 20 frames" in capsys.readouterr().out
    page = out.read_text()
    assert page.count('<img class="zoom"') == 6
    assert "20 of 64×36 pixels" in page
    assert "0 min 3.8 s" in page
    assert "speed, acceleration" in page
    assert "for 100% of the frames" in page
    assert "0:00.0 · 18 km/h" in page
    assert "taken to start with the video" in page
    assert page.count("data:image/svg+xml") == 1
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)


def test_a_drive_without_signals_has_a_page_without_plots(tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    assert main(["data", "view", str(write_video(tmp_path / "d.mp4")), "--out", str(out)]) == 0
    page = out.read_text()
    assert "svg" not in page
    assert "no speed" in page


def test_one_of_several_drives_and_an_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_nuscenes(tmp_path / "nu", cameras=5)
    out = tmp_path / "page.html"
    line = ["data", "view", str(root), "--out", str(out)]
    assert main([*line, "--drive", "scene-0061", "--option", "camera=CAM_BACK"]) == 0
    page = out.read_text()
    assert "CAM_BACK" in page
    assert "no pictures of CAM_BACK_RIGHT" in page
    assert main([*line, "--drive", "scene-9"]) == 2
    assert "scene-0061" in capsys.readouterr().err
    assert main([*line, "--option", "camera"]) == 2
    assert main([*line, "--where", "light=red"]) == 2
    assert "for a Dataset" in capsys.readouterr().err


def test_a_path_without_a_drive_says_what_was_looked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    assert main(["data", "view", str(tmp_path / "notes.txt"), "--out", str(tmp_path / "p.html")]) == 2
    assert "looked for" in capsys.readouterr().err
    assert not (tmp_path / "p.html").exists()


@pytest.mark.parametrize("frames", [1, 5, 6, 7, 12, 100, 1001])
def test_the_sheet_is_even_and_bounded(frames: int) -> None:
    sheet = Sheet(6)
    for k in range(frames):
        sheet.add(DriveFrame(k, k / 10, jpeg(0)))
        assert len(sheet.shown) < 2 * 6
    chosen = [time for time, _ in sheet.chosen()]
    assert len(chosen) == min(frames, 6)
    assert chosen[0] == 0
    if frames >= 12:
        steps = np.diff(chosen)
        assert steps.max() <= 2.01 * steps.min()  # even, up to the rounding of places
        assert chosen[-1] > 0.85 * (frames - 1) / 10
    assert len(sheet.times) == frames


def test_a_hole_in_a_signal_is_a_break_in_its_line(tmp_path: Path) -> None:
    def read() -> Iterator[DriveFrame]:
        for k in range(30):
            yield DriveFrame(k, k / 2, jpeg(k))

    axis = np.concatenate([np.arange(0, 4, 0.1), np.arange(9, 15, 0.1)])
    signals = Signals(axis, {"speed_mps": 0 * axis + 10})
    assert view_drive(Drive("d", read, signals), tmp_path / "p.html") == 30
    page = (tmp_path / "p.html").read_text()
    assert re.search(r"for (6|7)\d% of the frames", page)
