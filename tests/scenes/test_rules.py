"""The speed table: the papers' situations, and what must hold for any situation."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacenote.scenes.rules import DEFAULT_KMH, Seen, recommend, recommend_unknown

SITUATIONS = st.builds(
    Seen,
    road_class=st.sampled_from(sorted(DEFAULT_KMH)),
    limit_kmh=st.none() | st.sampled_from(range(10, 131, 10)),
    light=st.sampled_from(["none", "red", "yellow", "green", "off"]),
    light_m=st.floats(0, 150),
    place=st.sampled_from(["junction", "toll"]),
    crossing=st.booleans(),
    intersection=st.booleans(),
    works=st.booleans(),
    hazard=st.booleans(),
    pedestrian=st.booleans(),
    weather=st.sampled_from(["clear", "overcast", "rain", "fog", "snow"]),
    visibility_m=st.floats(20, 20000),
    time=st.sampled_from(["day", "dusk", "night"]),
)
WORSE = {
    "light": "red",
    "crossing": True,
    "works": True,
    "hazard": True,
    "pedestrian": True,
    "weather": "snow",
    "time": "night",
}


@pytest.mark.parametrize(
    ("seen", "speed"),
    [
        # Fig. 5: rainy city street, green light, pedestrians crossing, intersection
        (Seen("urban", light="green", pedestrian=True, weather="rain", intersection=True), 20),
        # Fig. 7: red light, cones, intersection, on a road of 70
        (Seen("arterial", light="red", light_m=20, works=True, intersection=True), 40),
        # Fig. 3: red for straight, green for left, pedestrian crossing
        (Seen("urban", light="red", light_m=20, crossing=True), 20),
        # Fig. 9: green arrow at the toll station; the same picture read as a plain red light
        (Seen("toll", light="green", place="toll"), 20),
        (Seen("urban", light="red", light_m=20), 30),
    ],
)
def test_the_papers_situations(seen: Seen, speed: int) -> None:
    assert recommend(seen)[0] == speed


@given(SITUATIONS)
def test_in_range_and_explained(seen: Seen) -> None:
    speed, lines = recommend(seen)
    assert speed % 5 == 0
    assert 0 <= speed <= 130
    assert lines
    assert all(line.startswith("speed: ") for line in lines)
    assert lines[-1].endswith(str(speed))
    base = DEFAULT_KMH[seen.road_class] if seen.limit_kmh is None else seen.limit_kmh
    assert speed <= base


@given(SITUATIONS, st.sampled_from(sorted(WORSE)))
def test_a_worse_situation_is_never_faster(seen: Seen, name: str) -> None:
    assert recommend(replace(seen, **{name: WORSE[name]}))[0] <= recommend(seen)[0]


def test_each_factor_alone_moves_the_answer() -> None:
    plain = Seen("arterial")
    changed = [replace(plain, **{name: value}) for name, value in WORSE.items()] + [
        replace(plain, intersection=True),
        replace(plain, weather="fog", visibility_m=300),
        replace(plain, weather="rain"),
    ]
    assert all(recommend(seen)[0] < recommend(plain)[0] for seen in changed)
    assert recommend(replace(plain, light="green", intersection=True))[0] == recommend(plain)[0]


@given(SITUATIONS)
def test_unknown_facts_leave_a_speed_only_if_they_do_not_matter(seen: Seen) -> None:
    speed, lines = recommend_unknown(seen, {"crossing": (False, True), "light": ("none", "red")})
    possible = {
        recommend(replace(seen, crossing=crossing, light=light))[0]
        for crossing in (False, True)
        for light in ("none", "red")
    } | {recommend(seen)[0]}
    assert speed == (possible.pop() if len(possible) == 1 else None)
    if speed is None:
        assert "unknown" in lines[-1]


def test_an_unknown_fact_must_be_one_of_the_table() -> None:
    with pytest.raises(ValueError, match="moon"):
        recommend_unknown(Seen(), {"moon": (False, True)})
