import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacenote.advisory import CROSSROADS, OBSTACLES, SLOTS, Advisory, Light, Truth, advisory_schema, slot_text
from tests.advisory.strategies import advisories, partial_advisories, truths

EXAMPLE = Advisory(
    20,
    Light("red", "straight", other=("green", "left")),
    frozenset({"barrier", "cone"}),
    frozenset({"intersection", "pedestrian_crossing"}),
)


def test_canonical_text_is_the_agreed_sentence() -> None:
    assert EXAMPLE.text() == (
        "Recommended speed: 20 km/h. Traffic light: red for straight, stop and wait; green for left. "
        "Obstacles: cone and barrier, steer around them. "
        "Crossroad: intersection and pedestrian crossing, slow down."
    )
    toll = Advisory(20, Light("green", "any", "toll"), frozenset(), frozenset())
    assert toll.text() == (
        "Recommended speed: 20 km/h. Traffic light: green at the toll station, proceed. Obstacles: none. "
        "Crossroad: none."
    )


@given(advisories)
def test_parse_inverts_text(advisory: Advisory) -> None:
    assert Advisory.parse(advisory.text()) == advisory


@given(partial_advisories)
def test_json_round_trip_and_schema(advisory: Advisory) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    value = json.loads(json.dumps(advisory.to_dict()))
    jsonschema.validate(value, advisory_schema())
    assert Advisory.from_dict(value) == advisory


@given(advisories, st.sampled_from(SLOTS))
def test_slot_texts_join_to_the_text(advisory: Advisory, slot: str) -> None:
    assert slot_text(advisory, slot) in advisory.text()
    assert " ".join(slot_text(advisory, s) for s in SLOTS) == advisory.text()


@pytest.mark.parametrize("slot", SLOTS)
def test_text_refuses_an_unreadable_slot(slot: str) -> None:
    fields = {"speed_kmh": 20, "light": Light("none"), "obstacles": frozenset(), "crossroad": frozenset()}
    fields["speed_kmh" if slot == "speed" else slot] = None
    with pytest.raises(ValueError, match=slot):
        Advisory(**fields).text()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "arguments",
    [
        ("none", "left"),
        ("none", "any", "toll"),
        ("none", "any", "junction", ("red", "left")),
        ("blue",),
        ("red", "up"),
        ("red", "any", "junction", ("none", "left")),
        ("red", "any", "junction", ("green",)),
    ],
)
def test_light_rejects_what_cannot_be(arguments: tuple) -> None:
    with pytest.raises(ValueError):
        Light(*arguments)


@pytest.mark.parametrize("speed", [-5, 3, 135, 20.0, True, "20"])
def test_advisory_rejects_a_speed_outside_the_grid(speed: object) -> None:
    with pytest.raises(ValueError, match="speed_kmh"):
        Advisory(speed, None, None, None)  # type: ignore[arg-type]


def test_advisory_rejects_unknown_kinds() -> None:
    with pytest.raises(ValueError, match="moose"):
        Advisory(None, None, frozenset({"moose"}), None)
    with pytest.raises(ValueError):
        Advisory(None, None, "cone", None)  # type: ignore[arg-type]


@given(truths())
def test_truth_round_trips_and_is_consistent(truth: Truth) -> None:
    assert Truth.from_dict(json.loads(json.dumps(truth.to_dict()))) == truth
    for facts, present in ((truth.obstacles, truth.obstacles_any), (truth.crossroad, truth.crossroad_any)):
        if any(facts.values()):
            assert present is True
        if present is False:
            assert set(facts.values()) == {False}
    if truth.light is not None:
        assert truth.light_state == truth.light.state


@given(truths())
def test_an_unknown_fact_leaves_its_slot_unknown(truth: Truth) -> None:
    advisory = truth.advisory()
    assert (advisory.obstacles is None) == (None in truth.obstacles.values())
    assert (advisory.crossroad is None) == (None in truth.crossroad.values())
    assert (advisory.speed_kmh, advisory.light) == (truth.speed_kmh, truth.light)


@given(partial_advisories)
def test_truth_of_an_advisory_gives_it_back(advisory: Advisory) -> None:
    assert Truth.from_advisory(advisory).advisory() == advisory


def test_truth_fills_in_what_follows_and_rejects_contradictions() -> None:
    assert Truth(light_state="none").light == Light("none")
    assert Truth(obstacles={"cone": True}).obstacles_any is True
    assert Truth(obstacles={"cone": False}).obstacles_any is None
    assert Truth(crossroad_any=False).crossroad == dict.fromkeys(CROSSROADS, False)
    assert Truth.unknown().obstacles == dict.fromkeys(OBSTACLES)
    for wrong in (
        {"light": Light("red"), "light_state": "green"},
        {"obstacles": {"cone": True}, "obstacles_any": False},
        {"crossroad": dict.fromkeys(CROSSROADS, False), "crossroad_any": True},
        {"obstacles": {"cones": True}},
        {"obstacles": {"cone": 1}},
    ):
        with pytest.raises(ValueError):
            Truth(**wrong)  # type: ignore[arg-type]
