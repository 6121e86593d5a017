"""A good set has no findings; each planted fault is found once, with its level and its sample."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pacenote.advisory import Light, Truth
from pacenote.data import Picture, Sample
from pacenote.data.check import check_dataset
from pacenote.data.classes import CLASS_OF_KIND, CLASSES, LIGHT_CLASS, PALETTE, class_of

from .conftest import picture, sample

Make = Callable[..., Path]
CONE = {"id": 7, "kind": "cone", "state": "cone", "box": [3, 4, 20, 30], "stated": True, "role": "obstacle"}
RED = {"id": 8, "kind": "traffic_light", "state": "red", "box": [30, 4, 33, 9], "stated": True, "role": "ego"}


def good(seed: int, **changes: Any) -> Sample:
    cone, red = seed % 2 == 0, seed % 3 == 0
    truth = Truth(
        speed_kmh=30,
        light=Light("red" if red else "none"),
        obstacles={"cone": cone, "barrier": False, "crash": None},
        crossroad={"intersection": False, "pedestrian_crossing": seed % 2 == 1},
    )
    objects = [CONE] * cone + [RED] * red
    if seed % 2:
        objects.append(
            {"id": 9, "kind": "pedestrian_crossing", "box": [0, 20, 64, 36], "stated": True, "role": "ahead"}
        )
    return sample(seed, **({"truth": truth, "evidence": {"objects": objects}, "conditions": {}} | changes))


def test_a_good_set_has_no_findings(make_dataset: Make) -> None:
    report = check_dataset(
        make_dataset([("train", good(i)) for i in range(8)] + [("test", good(i)) for i in range(8, 16)])
    )
    errors = [finding for finding in report.findings if finding.level == "error"]
    assert errors == []
    assert report.ok
    assert "no errors" in report.text()


PLANTED: list[tuple[str, str, dict[str, Any]]] = [
    ("pictures", "an advisory without a picture", {"images": (), "segmentation": None}),
    ("pictures", "not a readable image", {"images": (Picture(picture(5).bytes[:-900], "x.png"),)}),
    ("pictures", "not a readable image (empty file)", {"images": (Picture(b"", "x.png"),)}),
    ("pictures", "segmentation of another shape", {"segmentation": Picture.encode_classes(np.zeros((9, 9), np.uint8))}),
    ("pictures", "a class above", {"segmentation": Picture.encode_classes(np.full((36, 64), 200, np.uint8))}),
    ("pictures", "a box outside", {"evidence": {"objects": [{**CONE, "box": [3, 4, 70, 30]}]}}),
    ("answer", "contradicts the truth in speed", {"answer": "Recommended speed: 50 km/h. Traffic light: none. "
        "Obstacles: cone, steer around it. Crossroad: none."}),
    ("answer", "cannot be read", {"answer": "I see a road."}),
    ("evidence", "states a cone that the truth denies", {"truth": Truth(obstacles={"cone": False})}),
    ("evidence", "names a crash that no evidence", {"truth": Truth(obstacles={"crash": True})}),
    ("evidence", "names a light that no evidence", {"truth": Truth(light=Light("green"))}),
    ("weights", "a weight that is negative", {"weight": -1.0}),
    ("weights", "probability outside", {"posterior": {"light": {"red": 1.5}}}),
    ("twins", "twin_of names a sample", {"twin_of": "nowhere"}),
]  # fmt: skip


@pytest.mark.parametrize(("check", "words", "changes"), PLANTED)
def test_each_fault_is_found_at_its_sample(make_dataset: Make, check: str, words: str, changes: dict[str, Any]) -> None:
    path = make_dataset([("train", good(0)), ("train", good(1)), ("train", good(2, **changes))])
    words = words.replace("a box outside", "an evidence box outside")
    found = [f for f in check_dataset(path).findings if f.check == check and words in f.message]
    assert [finding.ids for finding in found] == [["scene-00002"]]


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("scene", {"scene": "scene-00000"}),
        ("twin", {"twin_of": "scene-00000"}),
        ("image", {"images": (picture(0),)}),
        ("network", {"conditions": {"network": "n"}}),
    ],
)
def test_leaks_between_splits_are_errors(make_dataset: Make, kind: str, changes: dict[str, Any]) -> None:
    first = good(0, conditions={"network": "n"})
    report = check_dataset(make_dataset([("train", first), ("train", good(1)), ("test", good(2, **changes))]))
    leaked = [finding for finding in report.findings if finding.check == "leakage"]
    assert [finding.message for finding in leaked] == [f"a {kind} is in more than one split"]
    assert leaked[0].ids == ["scene-00000", "scene-00002"]
    assert not report.ok
    assert json.loads(json.dumps(report.to_dict()))["ok"] is False


def test_same_picture_with_two_truths_is_an_error(make_dataset: Make) -> None:
    rows = [good(0), good(1, images=(picture(0),)), good(2, images=(picture(0),), truth=good(0).truth)]
    findings = {f.message: f for f in check_dataset(make_dataset([("train", row) for row in rows])).findings}
    assert findings["the same picture with two truths"].ids == ["scene-00001"]
    assert findings["the same picture twice"].level == "warning"


def test_a_smaller_segmentation_of_the_same_view_is_fine(make_dataset: Make) -> None:
    half = Picture.encode_classes(np.zeros((18, 32), np.uint8))
    report = check_dataset(make_dataset([("train", good(0, segmentation=half)), ("train", good(1))]))
    assert [finding for finding in report.findings if finding.check == "pictures"] == []


def test_lopsided_slots_are_warned_of(make_dataset: Make) -> None:
    report = check_dataset(make_dataset([("train", good(2 * i + 1, evidence=None)) for i in range(12)]))
    assert [f.message for f in report.findings if "crossroad" in f.message] == ["train: crossroad is 'any' in 12 of 12"]


def test_every_kind_of_the_scene_has_a_class() -> None:
    from typing import get_args

    from pacenote.scenes.scene import LightState, MarkingKind, SurfaceKind, ThingKind

    for kinds in (SurfaceKind, MarkingKind, ThingKind):
        assert set(get_args(kinds)) <= set(CLASS_OF_KIND)
    assert set(get_args(LightState)) == set(LIGHT_CLASS)
    assert set(CLASS_OF_KIND.values()) | set(LIGHT_CLASS.values()) <= set(CLASSES)
    assert set(PALETTE) == set(CLASSES)
    assert CLASSES[class_of("light", "red")] == "light_red"
    assert CLASSES[class_of("spaceship")] == "other"
