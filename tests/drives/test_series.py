"""Stamps rise after mending at the least cost; signals are merged on one axis without being invented."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacenote.drives.drive import MAX_GAP_S
from pacenote.drives.series import MAX_RATE_HZ, Series, dropped, longest_rise, merge, thin, tidy


def rises(stamps: list[float]) -> bool:
    return all(b > a for a, b in pairwise(stamps))


@given(st.lists(st.integers(0, 6), max_size=9))
def test_as_few_stamps_as_possible_are_left_out(stamps: list[int]) -> None:
    kept = [stamp for stamp, keep in zip(stamps, longest_rise(stamps), strict=True) if keep]
    assert rises([float(stamp) for stamp in kept])
    longer = combinations(stamps, len(kept) + 1) if len(kept) < len(stamps) else []
    assert not any(rises([float(s) for s in some]) for some in longer)


def test_one_wild_stamp_costs_one_stamp() -> None:
    stamps = np.arange(100.0)
    stamps[40], stamps[70] = 1e9, -5.0
    keep = longest_rise(stamps)
    assert np.flatnonzero(~keep).tolist() == [40, 70]


def test_stamps_that_are_no_number_go() -> None:
    assert longest_rise([0.0, float("nan"), 1.0, float("inf")]).tolist() == [True, False, True, False]
    assert longest_rise([]).tolist() == []


def test_what_is_left_out_is_counted() -> None:
    stamps = [0.0, 1.0, 1.0, 2.0, 1.5, 3.0]
    assert dropped(stamps, longest_rise(stamps), "frames") == [
        "frames: 2 of 6 left out (1 with a stamp twice, 1 out of order)"
    ]
    assert dropped([0.0, 1.0], np.array([True, True]), "frames") == []


@given(st.floats(25, 2000), st.floats(0.5, 20))
def test_a_fast_signal_is_averaged_to_the_rate(rate: float, seconds: float) -> None:
    times = np.arange(0, seconds, 1 / rate)
    thinned, values = thin(times, 3 * times)
    assert len(thinned) <= seconds * MAX_RATE_HZ + 1
    assert values == pytest.approx(3 * thinned)  # a ramp stays that ramp: time and value are averaged alike
    assert (np.diff(thinned) > 0).all()


def test_a_slow_signal_stays_as_it_is() -> None:
    times = np.arange(0, 5, 1 / MAX_RATE_HZ)
    assert thin(times, times)[0] is times


def test_unknown_values_are_no_values() -> None:
    notes: list[str] = []
    told = tidy(Series.of("speed_mps", [0, 1, 2], [1, float("nan"), 3]), notes)
    assert told.time_s.tolist() == [0, 2]
    assert notes == []


def test_merging_keeps_each_signal_at_its_own_stamps() -> None:
    signals = merge([
        Series.of("speed_mps", [0.0, 1.0, 2.0], [5, 6, 7]),
        Series.of("yaw_rate", [0.5, 1.0], [0.1, 0.2]),
        Series.of("speed_mps", [0.0, 3.0], [99, 99]),
    ])  # fmt: skip
    assert signals.time_s.tolist() == [0.0, 0.5, 1.0, 2.0]
    assert signals.at("speed_mps", [0.0, 0.5, 1.5]).tolist() == [5.0, 5.5, 6.5]  # of two speeds the first counts
    assert np.isnan(signals.values["yaw_rate"][[0, 3]]).all()
    assert np.isnan(signals.at("speed_mps", 2.0 + MAX_GAP_S + 0.1)).all()


def test_nothing_merges_to_nothing() -> None:
    assert len(merge([]).time_s) == 0
    assert len(merge([Series.of("speed_mps", [], [])]).time_s) == 0
