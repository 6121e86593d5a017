"""A wrong unit is corrected only where the data tells it, and every mend and every doubt is noted."""

from __future__ import annotations

import numpy as np
import pytest

from pacenote.drives.mend import mend_frames, mend_series
from pacenote.drives.series import Series
from pacenote.errors import InputError

SECONDS = np.arange(0.0, 60.0)
SPEED = 12 + 8 * np.sin(SECONDS / 6)  # m/s
WAY = np.concatenate([[0.0], np.cumsum((SPEED[1:] + SPEED[:-1]) / 2)])
POSITIONS = [Series.of("x_m", SECONDS, WAY), Series.of("y_m", SECONDS, 0 * WAY)]
ACCEL = [Series.of("accel_mps2", np.arange(0, 60, 0.1), 8 / 6 * np.cos(np.arange(0, 60, 0.1) / 6))]


def mended(factor: float, others: list[Series], speed: np.ndarray = SPEED) -> tuple[np.ndarray, list[str]]:
    notes: list[str] = []
    series = mend_series([Series.of("speed_mps", SECONDS, factor * speed), *others], notes)
    return next(one.value for one in series if one.name == "speed_mps"), notes


@pytest.mark.parametrize("factor", [3.6, 1 / 0.44704, 1 / 3.6, 0.44704])
@pytest.mark.parametrize("others", [POSITIONS, ACCEL], ids=["positions", "acceleration"])
def test_a_wrong_unit_is_corrected_where_another_signal_tells_it(factor: float, others: list[Series]) -> None:
    speed, notes = mended(factor, others)
    assert speed == pytest.approx(SPEED)
    assert any("corrected" in note for note in notes)


@pytest.mark.parametrize("others", [POSITIONS, ACCEL, []], ids=["positions", "acceleration", "alone"])
def test_a_right_unit_is_left_alone_without_a_word(others: list[Series]) -> None:
    speed, notes = mended(1.0, others)
    assert speed == pytest.approx(SPEED)
    assert notes == []


def test_an_impossible_speed_is_km_h_where_only_that_is_possible() -> None:
    """120 "m/s" with 30 m/s^2 is 120 km/h: in mph it would brake harder than tyres can."""
    speed = np.concatenate([np.linspace(0, 120, 10), np.full(20, 120.0), np.linspace(120, 0, 5), np.zeros(25)])
    told, notes = mended(1.0, [], speed)
    assert told == pytest.approx(speed / 3.6)
    assert any("km/h" in note and "corrected" in note for note in notes)


def test_a_doubt_that_nothing_settles_is_noted_and_left() -> None:
    speed = np.linspace(80, 100, 60)  # as m/s impossible, as km/h and mph both possible
    told, notes = mended(1.0, [], speed)
    assert told == pytest.approx(speed)
    assert any("doubtful" in note for note in notes)


def test_speeds_that_no_unit_explains_are_noted() -> None:
    told, notes = mended(1.6, POSITIONS)
    assert told == pytest.approx(1.6 * SPEED)
    assert any("1.60 times" in note for note in notes)


def test_speed_follows_from_positions_where_it_is_missing() -> None:
    notes: list[str] = []
    series = mend_series(POSITIONS, notes)
    speed = next(one for one in series if one.name == "speed_mps")
    assert speed.value == pytest.approx(np.interp(speed.time_s, SECONDS, SPEED), abs=0.1)
    assert "speed follows from the positions" in notes[0]


def test_missing_signals_are_noted() -> None:
    notes: list[str] = []
    assert mend_series([], notes) == []
    assert notes == ["no speed: neither speeds nor positions were recorded"]


def test_a_hole_in_a_signal_is_noted() -> None:
    notes: list[str] = []
    keep = (SECONDS < 20) | (SECONDS > 31)
    mend_series([Series.of("speed_mps", SECONDS[keep], SPEED[keep])], notes)
    assert notes == ["speed_mps: 1 gap(s), the longest 13.0 s"]


def test_backward_and_duplicate_stamps_of_a_signal_are_counted() -> None:
    notes: list[str] = []
    times = SECONDS.copy()
    times[10], times[30] = 9.0, 3.0
    mend_series([Series.of("speed_mps", times, SPEED, "log.csv")], notes)
    assert notes[0] == "values of speed_mps of log.csv: 2 of 60 left out (2 with a stamp twice, 0 out of order)"


def test_gaps_and_bad_stamps_of_frames_are_noted() -> None:
    notes: list[str] = []
    keep = mend_frames("d", [0.0, 0.1, 0.1, 0.2, 0.15, 0.3, 5.0, 5.1, 5.2], notes)
    assert keep.sum() == 7
    assert "1 with a stamp twice, 1 out of order" in notes[0]
    assert "1 gap(s), the longest 4.7 s" in notes[1]


def test_a_varying_rate_is_noted_a_steady_one_is_not() -> None:
    notes: list[str] = []
    mend_frames("d", np.cumsum([0.03, 0.05, 0.1] * 10), notes)
    assert "the rate varies" in notes[0]
    steady: list[str] = []
    mend_frames("d", np.arange(50) / 30, steady)
    assert steady == []


@pytest.mark.parametrize("stamps", [[], [1.0], [2.0, 2.0, 2.0], [float("nan"), 1.0]])
def test_a_drive_of_no_length_is_refused(stamps: list[float]) -> None:
    with pytest.raises(InputError, match=r"drive\.mp4.*two moments"):
        mend_frames("drive.mp4", stamps, [])
