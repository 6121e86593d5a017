"""Limit signs put up in other frames' views: the picture, the class map, the evidence and the truth stay one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from pacenote.data.classes import CLASS_INDEX
from pacenote.training.augment import PLAIN, Strength, View, view_of
from pacenote.training.frames import Frames, plate, shown_limit
from pacenote.training.paste import LEAST_PX, cutouts
from tests.training.streets import streets

SIGN = CLASS_INDEX["speed_sign"]
STILL = replace(PLAIN, signs=1.0)


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
    assert [one.item["id"] for one in cutouts(frames)] == [9]
    item = frames.records[0].objects[-1]
    for change in ({"stated": None}, {"box": [200, 300, 300, 330]}):
        first = replace(frames.records[0], objects=({**item, **change},))
        assert not cutouts(replace(frames, records=(first, *frames.records[1:])))
    blank = np.array(frames.images)
    blank[0, 100:140, 540:580] = 128
    assert not cutouts(replace(frames, images=blank))


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
