"""Labels from painted passes: visible is stated, doubtful is null, contradictory is rejected."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacenote.advisory import Light
from pacenote.data.classes import CLASSES
from pacenote.scenes.gates import Gates
from pacenote.scenes.label import Labelled, Rejected, distance_to_road, label
from pacenote.scenes.scene import Environment, Facts, Surface
from tests.scenes.street import Street

GATES = Gates()


def labelled(street: Street) -> Labelled:
    result = label(street.scene, street, street.frame)
    assert isinstance(result, Labelled), result
    return result


def test_an_empty_street_has_nothing() -> None:
    truth = labelled(Street()).truth
    assert truth.light == Light("none")
    assert truth.obstacles_any is False
    assert truth.crossroad_any is False
    assert truth.speed_kmh == 50


@pytest.mark.parametrize("state", ["red", "yellow", "green", "off"])
def test_a_clear_light_is_stated(state: str) -> None:
    street = Street()
    street.light(10, state)
    result = labelled(street)
    assert result.truth.light == Light(state)
    assert result.light_px == 10
    assert result.light_m == 25
    assert CLASSES[result.segmentation[85, 335]] == f"light_{state}"
    assert CLASSES[result.segmentation[75, 325]] == "light_housing"


@settings(deadline=None, max_examples=40)
@given(size=st.integers(1, 20), state=st.sampled_from(["red", "yellow", "green", "off"]))
def test_a_small_light_is_unknown_never_none(size: int, state: str) -> None:
    street = Street()
    street.light(10, state, size=size)
    least = GATES.lens_off_px if state == "off" else GATES.lens_stated_px
    truth = labelled(street).truth
    assert truth.light_state == (state if size >= least else None)


def test_a_hidden_light_is_none_and_a_half_hidden_one_rejected() -> None:
    street = Street()
    street.light(10, "red")
    street.paint(50, 325, 75, 30, 30, (200, 200, 200), 8.0)
    assert labelled(street).truth.light == Light("none")
    street = Street()
    street.light(10, "red")
    street.paint(50, 330, 80, 10, 8, (200, 200, 200), 8.0)
    result = label(street.scene, street, street.frame)
    assert isinstance(result, Rejected)
    assert "half occluded" in result.reason


def test_a_lens_that_falls_between_the_samples_is_unknown() -> None:
    street = Street()
    street.light(10, "red", size=2)
    street.index[80:82, 330:332] = 10
    assert labelled(street).truth.light_state is None


def test_a_lens_whose_colour_the_frame_lost_is_unknown() -> None:
    for shown in ("off", "yellow"):
        street = Street()
        street.light(10, "red", shown=shown)
        result = labelled(street)
        assert result.truth.light_state is None
        assert not any(item["stated"] for item in result.evidence["objects"])


def test_contradicting_ego_lights_are_rejected() -> None:
    street = Street()
    street.light(10, "red")
    street.light(20, "green", x=400)
    result = label(street.scene, street, street.frame)
    assert isinstance(result, Rejected)
    assert "contradict" in result.reason


def test_a_second_light_is_named_only_with_an_arrow() -> None:
    street = Street()
    street.light(10, "red", movement="straight")
    street.light(20, "green", x=250, role="other", movement="left", arrow=True)
    assert labelled(street).truth.light == Light("red", "straight", other=("green", "left"))

    street = Street()
    street.light(10, "red", movement="straight")
    street.light(20, "green", x=250, role="other", movement="left")
    result = label(street.scene, street, street.frame)
    assert isinstance(result, Rejected)
    assert "which lane" in result.reason

    street = Street()
    street.light(10, "red")
    street.light(20, "red", x=250, role="other", movement="left", arrow=True)
    assert labelled(street).truth.light == Light("red")  # the same state again is not worth naming


def test_an_arrow_too_small_to_read_leaves_the_state_known() -> None:
    street = Street()
    street.light(10, "green", size=5, movement="left", arrow=True)
    truth = labelled(street).truth
    assert truth.light is None
    assert truth.light_state == "green"


def test_another_lanes_light_alone_is_unknown_and_a_distractor_is_none() -> None:
    street = Street()
    street.light(20, "green", role="other", movement="left", arrow=True)
    assert labelled(street).truth.light_state is None
    street = Street()
    street.light(20, "red", role="distractor")
    assert labelled(street).truth.light_state == "none"


def test_a_toll_light() -> None:
    street = Street(Facts(road_class="toll", limit_kmh=40))
    street.light(10, "green", place="toll")
    street.light(20, "red", x=420, place="toll", role="other")
    truth = labelled(street).truth
    assert truth.light == Light("green", place="toll")
    assert truth.speed_kmh == 20


@settings(deadline=None, max_examples=40)
@given(
    kind=st.sampled_from(["cone", "barrier", "construction", "debris", "pedestrian", "animal", "crash"]),
    width=st.integers(1, 30),
    height=st.integers(1, 40),
)
def test_obstacles_pass_the_gates_or_are_unknown(kind: str, width: int, height: int) -> None:
    street = Street()
    street.thing(30, kind, width, height)
    facts = labelled(street).truth.obstacles
    passes = height >= GATES.height_px[kind] and width * height >= GATES.area_px[kind]
    expected = True if passes else None if width * height > GATES.negligible_px else False
    assert facts[kind] is expected
    assert all(value is False for name, value in facts.items() if name != kind)


def test_an_obstacle_without_contrast_is_unknown() -> None:
    street = Street()
    street.thing(30, "cone", shown=(121, 121, 121))
    assert labelled(street).truth.obstacles["cone"] is None


def test_pedestrians_count_only_on_the_road() -> None:
    road = Surface("asphalt", ((0, -4), (60, -4), (60, 4), (0, 4)))
    for y, on_road, expected in ((0.0, True, True), (4.5, False, None), (6.0, False, False)):
        street = Street()
        street.items["surfaces"].append(road)
        street.thing(30, "pedestrian", on_road=on_road, y=y)
        result = labelled(street)
        assert result.truth.obstacles["pedestrian"] is expected
        assert result.evidence["objects"][0]["kind"] == "pedestrian"  # its box is kept either way


def test_distance_to_road() -> None:
    road = (Surface("asphalt", ((0, 0), (10, 0), (10, 4), (0, 4))), Surface("grass", ((0, 4), (9, 9), (0, 9))))
    assert distance_to_road(road, 5, 2) == 0
    assert distance_to_road(road, 5, 6) == pytest.approx(2)
    assert distance_to_road(road, 13, 8) == pytest.approx(5)
    assert distance_to_road((), 0, 0) == np.inf


@pytest.mark.parametrize(("metres", "expected"), [(5, True), (49, True), (60, None), (79, None), (95, False)])
def test_crossroad_by_distance(metres: float, expected: bool | None) -> None:
    street = Street()
    street.junction(40, metres)
    assert labelled(street).truth.crossroad["intersection"] is expected
    street = Street()
    street.zebra(41, metres)
    assert labelled(street).truth.crossroad["pedestrian_crossing"] is expected


def test_a_junction_that_cannot_be_seen_is_unknown() -> None:
    street = Street()
    street.junction(40, 20, h=1)
    assert labelled(street).truth.crossroad["intersection"] is None
    street = Street()
    street.junction(40, 20, ahead=False)
    assert labelled(street).truth.crossroad["intersection"] is None


def test_a_crossing_beside_our_route_is_unknown() -> None:
    street = Street()
    street.zebra(41, ours=False)
    assert labelled(street).truth.crossroad["pedestrian_crossing"] is None


def test_the_limit_is_a_legible_sign_the_context_or_the_default() -> None:
    for size, speed in ((30, 30), (4, 50), (14, None)):
        street = Street(Facts(limit_kmh=30, limit_sources=(60,)))
        street.thing(60, "speed_sign", size, 60, on_road=False, text="30")
        assert labelled(street).truth.speed_kmh == speed
    street = Street(Facts(limit_kmh=80, limit_in_context=True))
    assert labelled(street).truth.speed_kmh == 80
    assert labelled(Street(Facts(limit_kmh=80))).truth.speed_kmh == 50  # a limit that nothing shows


def test_unknown_facts_make_the_speed_unknown() -> None:
    street = Street()
    street.light(10, "red", size=3)
    assert labelled(street).truth.speed_kmh is None
    street = Street(Facts(road_class="residential"), Environment("snow", "night"))
    street.light(10, "red", size=3)
    assert labelled(street).truth.speed_kmh == 20  # the same whatever the light shows


def test_the_evidence_is_plain_json_and_its_boxes_hold_the_objects() -> None:
    street = Street(environment=Environment("rain", wetness=0.8))
    street.junction(40)
    street.light(10, "green")
    street.thing(30, "pedestrian", state=("walk", "umbrella"))
    street.thing(31, "pedestrian", x=340, state=("walk", "umbrella"))
    result = labelled(street)
    held = json.loads(json.dumps(result.evidence, allow_nan=False))
    boxes = {item["id"]: item["box"] for item in held["objects"]}
    assert boxes[11] == [330, 80, 340, 90]
    assert result.truth.speed_kmh == 20
    for words in ("Rainy city street", "green light on", "umbrellas", "puddles", "intersection", "20 km/h"):
        assert words.lower() in result.description.lower()


def test_sizes_must_agree() -> None:
    street = Street()
    with pytest.raises(ValueError, match="differ"):
        label(street.scene, street, street.frame[:100])


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_no_truth_names_what_the_evidence_does_not_state(data: st.DataObject) -> None:
    street = Street()
    if data.draw(st.booleans()):
        street.junction(40, data.draw(st.floats(1, 100)), data.draw(st.integers(1, 20)))
    if data.draw(st.booleans()):
        street.zebra(41, data.draw(st.floats(1, 100)), data.draw(st.integers(1, 300)))
    for id, role in ((10, "ego"), (14, "ego"), (18, "other"), (22, "cross")):
        if data.draw(st.booleans()):
            state, size = data.draw(st.sampled_from(["red", "green"])), data.draw(st.integers(1, 12))
            movement = data.draw(st.sampled_from(["any", "left"]))
            street.light(id, state, size, 100 + 20 * id, role=role, movement=movement, arrow=movement == "left")
    for id, kind in enumerate(("cone", "pedestrian", "debris", "animal"), 60):
        if data.draw(st.booleans()):
            size = data.draw(st.integers(1, 40))
            street.thing(id, kind, size, size, 100 + 50 * (id - 60), on_road=data.draw(st.booleans()))
    result = label(street.scene, street, street.frame)
    if isinstance(result, Rejected):
        assert result.reason
        return
    objects = result.evidence["objects"]
    stated = [item for item in objects if item["stated"]]
    for kind, value in (result.truth.obstacles | result.truth.crossroad).items():
        seen = [item for item in objects if item["kind"] == kind]
        if value:
            assert any(item["stated"] for item in seen)
        elif value is False:
            assert not any(item["stated"] is not False for item in seen if item["role"] != "beside")
    lights = [item for item in stated if item["kind"] == "traffic_light" and item["role"] == "ego"]
    if result.truth.light_state not in (None, "none"):
        assert {item["state"].split()[0] for item in lights} == {result.truth.light_state}
        assert all(item["lens_px"] >= GATES.lens_stated_px for item in lights)
    if result.truth.light_state == "none":
        assert not any(
            i["kind"] == "traffic_light" and i["role"] == "ego" and i["stated"] is not False for i in objects
        )
    assert all(item["reason"] for item in objects)


def test_gates_can_be_moved() -> None:
    street = Street()
    street.thing(30, "cone", 8, 9)
    strict = label(street.scene, street, street.frame)
    loose = label(street.scene, street, street.frame, replace(GATES, height_px={**GATES.height_px, "cone": 5.0}))
    assert isinstance(strict, Labelled)
    assert strict.truth.obstacles["cone"] is None
    assert isinstance(loose, Labelled)
    assert loose.truth.obstacles["cone"] is True
