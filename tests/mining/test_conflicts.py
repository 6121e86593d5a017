"""A picture that the car's sensors contradict is named; what is not known contradicts nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacenote.mining.conflicts import conflicts, implausible, local_hour
from pacenote.mining.labels import Labels

DAY, NIGHT = {"weather": "clear", "time": "day"}, {"weather": "rain", "time": "night"}


@pytest.mark.parametrize(
    ("seen", "signals", "reasons"),
    [
        (DAY, {"lux": 4.2}, ("picture says day, lux 4",)),
        (DAY, {"lux": 1500.0}, ()),
        (NIGHT, {"lux": 30_000.0}, ("picture says night, lux 30000",)),
        (NIGHT, {"lux": 20.0}, ()),
        ({"time": "dusk"}, {"lux": 60_000.0}, ("picture says dusk, lux 60000",)),
        (DAY, {"hour": 23.75}, ("picture says day, clock 23:45",)),
        (DAY, {"hour": 2.0}, ("picture says day, clock 02:00",)),
        (DAY, {"hour": 18.0}, ()),
        (NIGHT, {"hour": 12.5}, ("picture says night, clock 12:30",)),
        (DAY, {"wipers": 1.0}, ("picture says clear, wipers on",)),
        (DAY, {"wipers": 0.1}, ()),
        (NIGHT, {"wipers": 0.0}, ("picture says rain, wipers off",)),
        ({"weather": "snow"}, {"wipers": 1.0}, ()),
        (DAY, {"lux": 0.0, "hour": 0.0, "wipers": 0.9},
         ("picture says day, lux 0", "picture says day, clock 00:00", "picture says clear, wipers on")),
    ],
)  # fmt: skip
def test_reasons(seen: dict[str, str], signals: dict[str, float], reasons: tuple[str, ...]) -> None:
    assert conflicts(seen, **signals) == reasons


maybe = st.sampled_from([None, math.nan])


@given(st.sampled_from([DAY, NIGHT, {}]), maybe, maybe, maybe)
def test_what_is_not_known_contradicts_nothing(
    seen: dict[str, str], lux: float | None, wipers: float | None, hour: float | None
) -> None:
    assert conflicts(seen, lux=lux, wipers=wipers, hour=hour) == ()


def test_without_a_look_nothing_is_contradicted() -> None:
    assert conflicts({}, lux=0.0, wipers=1.0, hour=1.0) == ()


def test_the_hour_needs_a_clock_since_1970_and_an_offset() -> None:
    noon = 1_767_268_800.0  # 2026-01-01 12:00 UTC
    assert local_hour(noon, 0.0) == 12.0
    assert local_hour(noon, -7.0) == 5.0
    assert local_hour(noon, 13.0) == 1.0
    assert local_hour(noon, None) is None
    assert local_hour(812.5, 0.0) is None
    assert local_hour(math.nan, 0.0) is None


def test_a_seldom_kind_in_many_drives_is_told_and_one_crash_is_not() -> None:
    def drive(*there: int) -> Labels:
        return Labels({"obstacles.crash": np.array(there), "obstacles.cone": np.array([1] * len(there))}, {})

    many = [drive(1, 1, 0, 0), drive(0, 1, 0, 0), drive(1, 0, 0, 0), drive(0, 0, 0, 0)]
    (line,) = implausible(many)
    assert "crash is the label of 25% of the frames, in 3 of 4 drives" in line and "--unknown crash" in line
    assert implausible([drive(1, 1, 1, 1), *many[3:] * 9]) == []  # behind a crash for a while
    assert implausible([]) == [] and implausible([Labels({}, {})]) == []
