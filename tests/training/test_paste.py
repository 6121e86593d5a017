"""Signs and obstacles of other frames in a view: the picture, the class map, the evidence and the truth stay one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from pacenote.advisory import OBSTACLES, Truth
from pacenote.data.classes import CLASS_INDEX
from pacenote.training.augment import PLAIN, Strength, View, view_of
from pacenote.training.cutouts import Cutout, cut_sign, cut_thing, lent
from pacenote.training.frames import Frames, plate, shown_limit
from pacenote.training.paste import GROUND, LEAST_PX, with_obstacle
from tests.training.streets import streets

SIGN = CLASS_INDEX["speed_sign"]
STILL = replace(PLAIN, signs=1.0)
STANDING = replace(PLAIN, things=1.0)


@pytest.fixture(scope="module")
def frames() -> Frames:
    """Drawn streets, the first with a sign of 50 km/h on a post."""
    drawn = streets(12)
    images, maps = np.array(drawn.images), np.array(drawn.maps)
    x, y = 560, 120
    cv2.circle(images[0], (x, y), 15, (200, 30, 30), -1)
    cv2.circle(images[0], (x, y), 11, (250, 250, 250), -1)
    cv2.putText(images[0], "50", (x - 9, y + 5), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (10, 10, 10), 1)
    cv2.circle(maps[0], (x, y), 15, SIGN, -1)
    cv2.rectangle(maps[0], (x - 1, y + 15), (x + 1, y + 80), SIGN, -1)
    box = plate([x - 15, y - 15, x + 16, y + 81])
    item = {"kind": "speed_limit", "state": "50", "role": "ahead", "stated": True, "id": 9, "box": box}
    first = replace(drawn.records[0], objects=(*drawn.records[0].objects, item))
    return Frames(images, maps, drawn.has_map, (first, *drawn.records[1:]))


def pairs(frames: Frames, indices: list[int], count: int = 60) -> list[tuple[View, View]]:
    """Views with signs and without, of the same frames."""
    found = []
    for k in range(count):
        index = indices[k % len(indices)]
        plain = view_of(frames, index, np.random.default_rng(k), PLAIN)
        found.append((view_of(frames, index, np.random.default_rng(k), STILL), plain))
    return found


def added(seen: View, plain: View) -> list[dict[str, Any]]:
    return list(seen.record.objects[len(plain.record.objects) :])


def test_the_plate_is_what_shows_the_number() -> None:
    assert plate([10, 20, 40, 140]) == [10, 20, 40, 59]
    assert plate([10, 20, 90, 50]) == [10, 20, 90, 50]  # painted on the road


def test_only_stated_whole_legible_signs_are_lent(frames: Frames) -> None:
    assert [one.item["id"] for one in lent(frames).signs] == [9]
    item = frames.records[0].objects[-1]
    for change in ({"stated": None}, {"box": [200, 300, 300, 330]}):
        first = replace(frames.records[0], objects=({**item, **change},))
        assert not lent(replace(frames, records=(first, *frames.records[1:]))).signs
    blank = np.array(frames.images)
    blank[0, 100:140, 540:580] = 128
    assert not lent(replace(frames, images=blank)).signs


def test_picture_map_and_evidence_change_together(frames: Frames) -> None:
    changed = 0
    for seen, plain in pairs(frames, list(range(1, len(frames)))):
        boxes = [item["box"] for item in added(seen, plain) if "box" in item]
        new = (seen.classes == SIGN) & (plain.classes != SIGN)
        assert bool(boxes) == bool(new.any())
        if not boxes:
            assert seen.record == plain.record and (seen.image == plain.image).all()
            continue
        changed += 1
        for x0, y0, x1, y1 in boxes:
            assert x1 - x0 >= LEAST_PX - 2
            assert (seen.classes[int(y0) : int(y1), int(x0) : int(x1)] == SIGN).mean() > 0.5
        columns = np.flatnonzero((seen.image != plain.image).any((0, 2)))
        assert columns.min() >= min(b[0] for b in boxes) - 4 and columns.max() <= max(b[2] for b in boxes) + 4
        before, after = plain.record.truth, seen.record.truth
        assert after == replace(before, speed_kmh=None)
        known = len(boxes) == 1 and plain.record.objects  # without evidence nothing is known
        assert shown_limit(seen.record.objects) == ("50" if known else None)
    assert changed > 20


def test_a_frame_with_a_limit_of_its_own_is_then_of_unknown_limit(frames: Frames) -> None:
    found = [seen for seen, plain in pairs(frames, [0], 20) if added(seen, plain)]
    assert found and all(shown_limit(seen.record.objects) is None for seen in found)


def test_lights_are_never_covered(frames: Frames) -> None:
    lenses = [CLASS_INDEX[f"light_{state}"] for state in ("red", "yellow", "green")]
    for seen, plain in pairs(frames, list(range(1, len(frames)))):
        assert (np.isin(seen.classes, lenses) == np.isin(plain.classes, lenses)).all()


def test_small_views_take_signs_too(frames: Frames) -> None:
    seen = [view_of(frames, 3, np.random.default_rng(k), Strength(signs=1.0), (84, 84)) for k in range(30)]
    assert sum((one.classes == SIGN).any() for one in seen) > 5


PERSON = CLASS_INDEX["pedestrian"]


@pytest.fixture(scope="module")
def peopled() -> Frames:
    """Drawn streets, each with a person on the road."""
    drawn = streets(12, 3)
    images, maps = np.array(drawn.images), np.array(drawn.maps)
    records = []
    for index, record in enumerate(drawn.records):
        x, y = 330, 280
        for picture, colour in ((images[index], (240, 30, 200)), (maps[index], PERSON)):
            cv2.rectangle(picture, (x, y - 60), (x + 19, y - 1), colour, -1)
        box, person = [x, y - 60.0, x + 20.0, float(y)], {"kind": "pedestrian", "role": "obstacle", "stated": True}
        item = {**person, "id": 50, "box": box, "pixels": 1200, "visible": 1.0}
        records.append(replace(record, truth=with_obstacle(record.truth, "pedestrian"), objects=(item,)))
    return Frames(images, maps, drawn.has_map, tuple(records))


def test_only_whole_things_alone_in_their_box_are_lent(peopled: Frames) -> None:
    found = lent(peopled).things or {}
    assert {kind for kind, _ in found} == {"pedestrian"} and sum(map(len, found.values())) == 12
    item = peopled.records[0].objects[0]
    image, classes = peopled.images[0], peopled.maps[0]
    assert isinstance(cut_thing(image, classes, item), Cutout)
    for change in ({"visible": 0.5}, {"box": [0, 220, 20, 280]}, {"pixels": 400}, {"pixels": 2000}):
        assert cut_thing(image, classes, {**item, **change}) is None
    assert cut_sign(image, classes, {**item, "kind": "speed_limit"}) is None


def test_people_stand_on_the_road_or_well_beside_it(peopled: Frames) -> None:
    roles = {"obstacle": 0, "beside": 0}
    for k in range(120):
        index = k % 12
        plain = view_of(peopled, index, np.random.default_rng(k), PLAIN)
        seen = view_of(peopled, index, np.random.default_rng(k), STANDING)
        for item in added(seen, plain):
            roles[item["role"]] += 1
            x0, y0, x1, y1 = (int(v) for v in item["box"])
            assert (seen.classes[y0:y1, x0:x1] == PERSON).mean() > 0.8
            foot = plain.classes[min(y1, 252) - 1, min(447, (x0 + x1) // 2)]
            assert (foot in GROUND or foot == PERSON) == (item["role"] == "obstacle")
            assert y1 - y0 >= 38  # never farther than it was: 60 px as stored
        changed = (seen.image != plain.image).any(-1)
        boxes = [[int(v) for v in item["box"]] for item in added(seen, plain)]
        for x0, y0, x1, y1 in boxes:
            changed[max(0, y0 - 3) : y1 + 3, max(0, x0 - 3) : x1 + 3] = False
        assert not changed.any()
    assert roles["obstacle"] > 40 and roles["beside"] > 5


def test_who_stands_beside_the_road_changes_no_fact(peopled: Frames) -> None:
    cleared = [replace(r, truth=streets(12, 3).records[i].truth, objects=()) for i, r in enumerate(peopled.records)]
    empty = replace(peopled, records=tuple(cleared))
    vars(empty)["lent"] = peopled.lent
    found = 0
    for k in range(240):
        seen = view_of(empty, k % 12, np.random.default_rng(k), STANDING)
        before = empty.records[k % 12].truth
        on_road = any(item["role"] == "obstacle" for item in seen.record.objects)
        found += not on_road and bool(seen.record.objects)
        assert seen.record.truth == (with_obstacle(before, "pedestrian") if on_road else before)
    assert found > 3


@pytest.mark.parametrize(
    ("kind", "speed", "after"),
    [("pedestrian", 80, 20), ("pedestrian", 10, 10), ("crash", 80, None), ("crash", 20, 20), ("cone", None, None)],
)
def test_the_speed_is_kept_where_the_rules_leave_no_choice(kind: str, speed: int | None, after: int | None) -> None:
    truth = Truth(speed_kmh=speed, obstacles=dict.fromkeys(OBSTACLES, False))
    changed = with_obstacle(truth, kind)
    assert changed.speed_kmh == after and changed.obstacles[kind] is True and changed.obstacles_any is True


def test_a_kind_that_is_there_already_keeps_the_speed() -> None:
    truth = Truth(speed_kmh=60, obstacles=dict.fromkeys(OBSTACLES, False) | {"cone": True})
    assert with_obstacle(truth, "cone") == truth


@pytest.mark.parametrize("before", ["", "crossing", "works", "hazard", "pedestrian", "toll"])
def test_the_speed_that_is_kept_is_what_the_rules_say(before: str) -> None:
    """Over every base speed: with one more obstacle the rule table gives the speed that was kept."""
    from pacenote.scenes.rules import HAZARDS, Seen, recommend

    for limit in range(10, 135, 5):
        seen = Seen(limit_kmh=limit, **({before: True} if before and before != "toll" else {}))
        if before == "toll":
            seen = replace(seen, place="toll", light="red")
        speed = recommend(seen)[0]
        for kind in OBSTACLES:
            there = before == "pedestrian" and kind == "pedestrian"
            truth = Truth(speed_kmh=speed, obstacles=dict.fromkeys(OBSTACLES, False) | {kind: there})
            fact = "pedestrian" if kind == "pedestrian" else "hazard" if kind in HAZARDS else "works"
            after = with_obstacle(truth, kind).speed_kmh
            assert after in (None, recommend(replace(seen, **{fact: True}))[0]), (limit, kind)
