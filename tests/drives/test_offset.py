"""The offset of the clocks is found where the drive tells it, with a deviation that holds; else none is claimed."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from pacenote.drives.build import SHARP_S, Recording, build_drive
from pacenote.drives.clip import read_frames
from pacenote.drives.drive import Drive, DriveFrame, DriveRef, Signals
from pacenote.drives.offset import Motion, estimate_offset, measure_motion, offset_of_motion
from pacenote.drives.series import Series
from pacenote.errors import InputError
from tests.drives.synthetic import Way

SECONDS = 40.0


@pytest.mark.parametrize("seed", range(2))
def test_a_known_offset_is_recovered_from_pictures(seed: int) -> None:
    late = float(np.random.default_rng(seed + 100).uniform(-1.5, 1.5))
    way = Way(seed, SECONDS)
    offset, why = estimate_offset(way.frames(seed, SECONDS), way.signals(late))
    assert why == ""
    assert offset.sd_s < SHARP_S
    assert offset.s == pytest.approx(late, abs=4 * offset.sd_s)
    assert offset.s == pytest.approx(late, abs=0.15)


def test_speed_alone_or_turning_alone_tell_the_offset_too() -> None:
    way = Way(1, SECONDS)
    motion = measure_motion(way.frames(1, SECONDS))
    for name in ("speed_mps", "yaw_rate"):
        offset, why = offset_of_motion(motion, way.signals(0.7, names=(name,)), [name])
        assert why == ""
        assert offset.s == pytest.approx(0.7, abs=4 * offset.sd_s)
        assert offset.sd_s < 0.4


def test_zoom_grows_with_speed_and_turn_with_the_yaw_rate() -> None:
    way = Way(2, SECONDS)
    motion = measure_motion(way.frames(2, SECONDS))
    signals = way.signals(0.0)
    assert np.corrcoef(motion.zoom, signals.at("speed_mps", motion.time_s))[0, 1] > 0.6
    assert np.corrcoef(motion.turn, signals.at("yaw_rate", motion.time_s))[0, 1] > 0.6


def noisy(seed: int, late: float, noise: float) -> tuple[Motion, Signals]:
    """Motion as it would be measured, with noise, so that many drives can be tried."""
    way = Way(seed, 60.0)
    random = np.random.default_rng(seed)
    times = np.arange(0, 60, 0.1)
    zoom = np.interp(times, way.time, way.speed) * 0.05
    turn = np.interp(times, way.time, way.yaw) * 0.8
    zoom = zoom + random.normal(0, noise * zoom.std(), len(times))
    return Motion(times, zoom, turn + random.normal(0, noise * turn.std(), len(times))), way.signals(late)


@pytest.mark.slow
def test_the_deviation_holds_over_many_drives() -> None:
    """Seeded sweep: the estimates lie within 3 deviations, and the deviation grows with the noise."""
    deviations = []
    for noise in (0.3, 1.5):
        far, told = 0, []
        for seed in range(40):
            late = float(np.random.default_rng(seed).uniform(-1.5, 1.5))
            offset, why = offset_of_motion(*noisy(seed, late, noise), ["speed_mps", "yaw_rate"])
            assert why == ""
            far += abs(offset.s - late) > 3 * offset.sd_s
            told.append(offset.sd_s)
        assert far <= 1
        deviations.append(float(np.median(told)))
    assert deviations[0] < deviations[1]


def test_a_constant_speed_tells_nothing() -> None:
    way = Way(0, SECONDS, flat=True)
    offset, why = estimate_offset(way.frames(0, SECONDS), way.signals(0.5))
    assert (offset.s, offset.sd_s) == (0.0, math.inf)
    assert "hardly change" in why


def test_pictures_of_another_drive_tell_nothing_sharp() -> None:
    told = 0
    for seed in range(10):
        offset, _ = offset_of_motion(noisy(seed, 0.0, 0.5)[0], noisy(seed + 50, 0.0, 0.5)[1], ["speed_mps", "yaw_rate"])
        told += offset.sd_s < SHARP_S
    assert told <= 1


def test_a_broken_picture_costs_its_pairs_only() -> None:
    way = Way(1, 10.0)
    frames = list(way.frames(1, 10.0))
    frames[50] = DriveFrame(50, frames[50].time_s, b"no picture")
    assert len(measure_motion(frames).time_s) == len(frames) - 1 - 2


def test_too_few_frames_or_no_overlap_tell_nothing() -> None:
    motion, signals = noisy(0, 0.0, 0.3)
    short = Motion(motion.time_s[:10], motion.zoom[:10], motion.turn[:10])
    assert "steps between frames" in offset_of_motion(short, signals, ["speed_mps"])[1]
    away = Signals(signals.time_s + 1000, signals.values)
    assert "hardly overlap" in offset_of_motion(motion, away, ["speed_mps"])[1]
    assert "neither" in estimate_offset(iter(()), Signals.none())[1]


def drive_of(way: Way, late: float, **options: str) -> Drive:
    stamps = [frame.time_s for frame in way.frames(3, SECONDS)]
    told = way.signals(late)
    series = [Series(name, told.time_s, column) for name, column in told.values.items()]
    return build_drive(
        DriveRef(Path("d"), "video", "d", options), Recording(stamps, lambda: way.frames(3, SECONDS), series)
    )


def test_a_sharp_offset_is_corrected_and_noted() -> None:
    way = Way(3, SECONDS)
    drive, left = drive_of(way, 0.8), drive_of(way, 0.8, offset="none")
    at = np.arange(2.0, 38.0)
    truth = np.interp(at, way.time, way.yaw)
    wrong, right = (np.abs(one.signals.at("yaw_rate", at) - truth).mean() for one in (left, drive))
    assert right < 0.2 * wrong
    assert any("+0.8" in note and "corrected" in note for note in drive.notes)


def test_an_offset_can_be_given_or_left() -> None:
    way = Way(3, SECONDS)
    given, left = drive_of(way, 0.8, offset="0.8"), drive_of(way, 0.8, offset="none")
    assert given.signals.at("yaw_rate", [9.0]) == pytest.approx(np.interp([9.0], way.time, way.yaw), abs=1e-3)
    assert (given.offset.s, given.offset.sd_s) == (0.8, 0.0)
    assert left.offset.sd_s == math.inf
    with pytest.raises(InputError, match="offset 'soon' is unknown"):
        drive_of(way, 0.8, offset="soon")


@pytest.mark.slow
def test_real_clips_agree_with_their_published_alignment(real: Path) -> None:
    """Clips of 4 to 5 s in logs of 60 s; those with a checked alignment. A steering angle times speed is the turn."""
    folder = real / "openlka_can"
    sharp = 0
    for clip in json.loads((folder / "clips.json").read_text()):
        place = folder / Path(clip["clip"]).parent.name
        with (place / "speed_log.csv").open() as file:
            rows = list(csv.DictReader(file))
        speed = np.array([float(row["v_ms"]) for row in rows])
        steer = np.radians([float(row["op_state_steer_angle"] or "nan") for row in rows])
        times = np.array([float(row["t_s"]) for row in rows])
        signals = Signals(times, {"speed_mps": speed, "yaw_rate": steer * speed / 42})
        frames = (DriveFrame(one.index, one.time_s, decoded=one.image) for one in read_frames(place / "clip.mp4"))
        offset, why = offset_of_motion(measure_motion(frames), signals, ["speed_mps", "yaw_rate"], max_s=6.0)
        if clip["alignment"].startswith("cc") and not why:
            assert offset.s == pytest.approx(clip["clip_start_row"] / clip["log_hz"], abs=3 * offset.sd_s + 0.1)
            sharp += offset.sd_s < SHARP_S
        elif clip["alignment"] == "constant":
            assert offset.sd_s > SHARP_S
    assert sharp >= 2
