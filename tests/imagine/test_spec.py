"""A caption names everything that a frame shows and nothing else; specs are drawn from the long tail."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacenote.advisory import CROSSROADS, LIGHT_STATES, OBSTACLES, Advisory, Light, Truth
from pacenote.data import Dataset
from pacenote.data.sample import Sample
from pacenote.errors import InputError
from pacenote.imagine.spec import OBSTACLE, ROAD, TIME, WEATHER, Spec, caption, draw_specs, spec_of

NOTHING = Advisory(50, Light("none"), frozenset(), frozenset())
specs = st.builds(
    Spec,
    st.builds(
        Advisory,
        st.none() | st.sampled_from([0, 20, 130]),
        st.sampled_from(LIGHT_STATES).map(Light) | st.just(Light("red", "left", "toll", ("green", "straight"))),
        st.frozensets(st.sampled_from(OBSTACLES)),
        st.frozensets(st.sampled_from(CROSSROADS)),
    ),
    st.sampled_from(["", *WEATHER]),
    st.sampled_from(["", *TIME]),
    st.sampled_from(["", *ROAD]),
    st.sampled_from(["", "a car ahead"]),
)


@given(specs)
def test_a_prompt_names_what_is_there_and_nothing_else(spec: Spec) -> None:
    text = spec.prompt()
    assert {kind for kind, words in OBSTACLE.items() if words in text.lower()} == spec.obstacles
    assert ("light" in text) == (spec.light.state != "none")
    assert ("intersection" in text) == ("intersection" in spec.crossroad)
    assert ("crossing" in text) == ("pedestrian_crossing" in spec.crossroad)
    assert all(word not in spec.negative() for word in spec.obstacles)


@given(specs)
def test_the_light_obstacles_and_crossroad_are_read_back_from_json(spec: Spec) -> None:
    again = Spec.from_dict(spec.to_dict())
    assert again == spec and again.digest == spec.digest
    assert spec.truth.advisory() == spec.advisory


@given(specs, specs)
def test_a_prompt_tells_its_facts_and_no_two_are_confused(one: Spec, two: Spec) -> None:
    told = [(s.advisory, s.weather, s.time or "day", s.road_class, s.vehicles) for s in (one, two)]
    assert (told[0] == told[1]) == (one.prompt() == two.prompt())


def test_the_form_is_that_of_the_paper() -> None:
    advisory = Advisory(20, Light("green"), frozenset({"pedestrian"}), frozenset({"intersection"}))
    spec = Spec(advisory, "rain", "day", "urban", "several cars ahead")
    assert spec.prompt() == (
        "Rainy city street. Several cars ahead. Green light on, a pedestrian on the road."
        " Wet ground, caution needed at the upcoming intersection. Recommended speed: 20 km/h."
    )


@pytest.mark.parametrize("slot", ["light", "obstacles", "crossroad"])
def test_an_empty_slot_is_refused(slot: str) -> None:
    with pytest.raises(InputError, match=f"{slot} is empty"):
        Spec(replace(NOTHING, **{slot: None}))


def test_an_unknown_fact_has_no_caption() -> None:
    sample = Sample("a", truth=Truth(speed_kmh=50, light_state="none", obstacles_any=False))
    with pytest.raises(InputError, match="crossroad is not known"):
        caption(sample)


def test_a_strange_weather_is_refused() -> None:
    with pytest.raises(InputError, match="weather 'hail'"):
        Spec(NOTHING, weather="hail")


def test_the_speed_follows_the_rules_or_is_open() -> None:
    def speed(light: str, weather: str) -> int | None:
        advisory = Advisory(None, Light(light), frozenset({"cone"}), frozenset())
        return Spec(advisory, weather, "day", "arterial").with_rules().advisory.speed_kmh

    assert speed("none", "clear") == 60
    assert speed("red", "clear") is None  # how far the light is decides it
    assert speed("none", "fog") is None


def test_what_is_rare_is_drawn_more_often_and_the_draw_is_seeded() -> None:
    common = Spec(NOTHING, "clear", "day", "urban")
    rare = Spec(replace(NOTHING, obstacles=frozenset({"crash"})), "snow", "night", "arterial")
    known = [common] * 97 + [rare] * 3
    drawn = draw_specs(known, 400, seed=3)
    share = Counter("crash" in spec.obstacles for spec in drawn)[True] / 400
    assert 0.35 < share < 0.65
    assert drawn == draw_specs(known, 400, seed=3) != draw_specs(known, 400, seed=4)
    assert drawn[:100] != [common] * 100
    with pytest.raises(InputError, match="no frame"):
        draw_specs([], 3)


def test_shipped_frames_have_captions() -> None:
    found = 0
    for sample in Dataset.open("streets-test", "test").select(range(20)):
        try:
            spec = spec_of(sample)
        except InputError:
            continue
        found += 1
        assert spec.truth.advisory() == sample.truth.advisory()  # type: ignore[union-attr]
        assert caption(sample).startswith((*[w.capitalize() for w in WEATHER.values()],))
    assert found > 10
