"""The words of other detectors, boxes, suppression, and the door to all experts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacenote.errors import InputError
from pacenote.experts import KINDS, Detection, open_expert, suppressed
from pacenote.experts.detection import KIND_OF_NAME, STATES, clipped, iou, kind_of

corner = st.floats(-50, 150)
side = st.floats(1, 80)
boxes = st.tuples(corner, corner, side, side).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
detections = st.builds(Detection, st.sampled_from(KINDS), boxes, st.floats(0, 1))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("traffic light", ("traffic_light", "")),
        ("traffic light red", ("traffic_light", "red")),
        ("red_light", ("traffic_light", "red")),
        ("TrafficLight-GreenLeft", ("traffic_light", "green")),
        ("Yellow", ("traffic_light", "yellow")),
        ("amber light", ("traffic_light", "yellow")),
        ("traffic_light_off", ("traffic_light", "off")),
        ("person", ("pedestrian", "")),
        ("Traffic Cone", ("cone", "")),
        ("truck", ("vehicle", "")),
        ("speedLimit 50", ("speed_limit", "")),
        ("stop sign", None),
        ("stop", None),
        ("orange", None),
        ("red car light green", None),
        ("street light", None),
        ("", None),
    ],
)
def test_names_of_others(name: str, wanted: tuple[str, str] | None) -> None:
    assert kind_of(name) == wanted


def test_every_known_name_is_spelt_as_it_is_looked_up() -> None:
    assert set(KIND_OF_NAME.values()) == set(KINDS)
    assert all(kind_of(name) == (kind, "") for name, kind in KIND_OF_NAME.items())


@given(st.text(max_size=30))
def test_any_name_is_read(name: str) -> None:
    found = kind_of(name)
    assert found is None or (found[0] in KINDS and found[1] in ("", *STATES))


@given(boxes)
def test_a_clipped_box_is_inside(box: tuple[float, float, float, float]) -> None:
    held = clipped(box, (100, 60))
    outside = box[2] <= 0 or box[3] <= 0 or box[0] >= 100 or box[1] >= 60
    assert (held is None) == outside
    if held:
        assert 0 <= held[0] < held[2] <= 100 and 0 <= held[1] < held[3] <= 60


@given(st.lists(detections, max_size=12))
def test_suppression_keeps_the_best_of_what_overlaps(given_ones: list[Detection]) -> None:
    kept = suppressed(given_ones)
    assert [one.confidence for one in kept] == sorted((one.confidence for one in kept), reverse=True)
    for i, one in enumerate(kept):
        assert all(one.kind != other.kind or iou(one.box, other.box) <= 0.5 for other in kept[:i])
    for one in given_ones:
        assert one in kept or any(
            better.kind == one.kind and better.confidence >= one.confidence and iou(one.box, better.box) > 0.5
            for better in kept
        )
    assert suppressed(kept) == kept


def test_the_door(tmp_path: Path) -> None:
    expert = open_expert("classical")
    assert expert.name == "classical" and len(expert.digest) == 12
    for spec, message in (
        ("clasical", "unknown expert 'clasical'; choose one of: classical"),
        ("", "unknown expert"),
        (str(tmp_path / "none.onnx"), "no such file"),
        (str(tmp_path), "cannot be loaded"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            open_expert(spec)
        assert "\n" not in str(caught.value)
