"""Views keep the truth: boxes follow the pixels, hidden evidence is noticed, plain views are the frame."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pacenote.data.classes import CLASS_INDEX, CLASSES
from pacenote.training.augment import CROP_SEEN, PLAIN, SEEN, Strength, crop_of, photometric, view
from pacenote.training.targets import FACTS, OWN, TARGETS, UNKNOWN, cells_of, facts_of, patches_of

LENSES = [CLASS_INDEX[f"light_{state}"] for state in ("red", "yellow", "green")]


def lit(drawn: Any) -> int:
    return next(i for i, r in enumerate(drawn.records) if r.truth.light_state not in ("none", None))


def test_a_plain_view_is_the_frame(drawn: Any) -> None:
    rng = np.random.default_rng(0)
    seen = view(drawn.images[0], drawn.maps[0], drawn.records[0], rng)
    assert seen.image.shape == (252, 448, 3) and seen.classes.shape == (252, 448) and not seen.hidden
    again = view(drawn.images[0], drawn.maps[0], drawn.records[0], np.random.default_rng(5))
    assert (seen.image == again.image).all()


def test_boxes_follow_the_pixels(drawn: Any) -> None:
    """Wherever a view moves a light, its lens pixels lie in the box, up to the rounding of resampling."""
    strength = Strength(photometric=0.0, cutout=0.0)
    checked = 0
    for k in range(60):
        i = k % len(drawn)
        seen = view(drawn.images[i], drawn.maps[i], drawn.records[i], np.random.default_rng(k), strength)
        boxes = [o["box"] for o in seen.record.objects if o["kind"] == "traffic_light"]
        rows, columns = np.nonzero(np.isin(seen.classes, LENSES))
        for y, x in zip(rows, columns, strict=True):
            near = [b for b in boxes if b[0] - 2 <= x <= b[2] + 2 and b[1] - 2 <= y <= b[3] + 2]
            hidden = "traffic_light" in seen.hidden
            assert near or hidden
            checked += 1
    assert checked > 100


def test_small_views_show_something_of_interest(drawn: Any) -> None:
    i = lit(drawn)
    shown = 0
    for k in range(40):
        seen = view(drawn.images[i], drawn.maps[i], drawn.records[i], np.random.default_rng(k), Strength(), (224, 168))
        assert seen.image.shape == (168, 224, 3)
        shown += bool(seen.record.objects)
    assert shown > 24


def test_parts_of_unknown_frames_show_what_is_aimed_at(drawn: Any) -> None:
    """Mirrored or not; a record that knows better goes first."""
    image, classes = np.zeros_like(drawn.images[0]), np.zeros_like(drawn.maps[0])
    image[100:112, 560:572] = 255
    blank = replace(drawn.records[0], objects=())
    strength, shown = Strength(photometric=0.0, cutout=0.0, zoomed=0.0), 0
    for k in range(40):
        rng = np.random.default_rng(k)
        aims = {"light_red": [[560.0, 100.0, 572.0, 112.0]]}
        shown += bool(view(image, classes, blank, rng, strength, (224, 168), aims=aims).image.any())
        chance = view(image, classes, drawn.records[0], np.random.default_rng(k), strength, (224, 168))
        aimed = view(image, classes, drawn.records[0], np.random.default_rng(k), strength, (224, 168), aims=aims)
        assert np.array_equal(chance.image, aimed.image)
    assert shown > 30


def test_same_state_same_view(drawn: Any) -> None:
    one, two = (
        view(drawn.images[1], drawn.maps[1], drawn.records[1], np.random.default_rng(3), Strength()) for _ in "ab"
    )
    assert (one.image == two.image).all() and one.record == two.record


def test_photometric_keeps_the_hue_of_lights() -> None:
    """A red, a yellow and a green lens stay nearer to their own hue than to another's, whatever the camera does."""
    import cv2

    colours = np.array([[235, 40, 30], [245, 190, 30], [40, 225, 120]], np.uint8)
    hues = np.array([0.0, 45.0, 150.0])
    wrong = 0
    for k in range(200):
        patch = np.repeat(np.repeat(colours[None], 30, 0), 30, 1).astype(np.uint8)
        out = photometric(patch, np.random.default_rng(k))
        hsv = cv2.cvtColor(out, cv2.COLOR_RGB2HSV).reshape(30, 3, 30, 3)
        for index in range(3):
            middle = np.median(hsv[10:20, index, 10:20, 0].astype(float) * 2)
            turn = np.abs((hues - middle + 180) % 360 - 180)
            wrong += int(turn.argmin() != index)
    assert wrong <= 12  # of 600


def test_cells_name_what_they_hold() -> None:
    classes = np.zeros((252, 448), np.uint8)
    classes[30:34, 60:64] = CLASS_INDEX["light_red"]  # 16 px in the cell of row 1, column 2
    classes[100, 100] = CLASS_INDEX["cone"]  # a single pixel: too little to say
    light = {"kind": "traffic_light", "state": "red left", "box": [60, 30, 64, 34], "stated": True, "role": "ego"}
    cells = cells_of(classes, [light]).reshape(9, 16, len(TARGETS))
    red, own = TARGETS.index("light_red"), TARGETS.index("own_light_red")
    assert cells[1, 2, red] == 1 and (cells[..., red] == 1).sum() == 1
    assert cells[1, 2, own] == 1 and (cells[..., own] != 0).sum() == 1
    assert cells[3, 3, TARGETS.index("cone")] == UNKNOWN
    doubtful = cells_of(classes, [{**light, "stated": None}]).reshape(9, 16, -1)
    assert doubtful[1, 2, own] == UNKNOWN
    distractor = cells_of(classes, [{**light, "role": "distractor"}])
    assert (distractor[:, -len(OWN) :] == 0).all()


def test_facts_of_a_view(drawn: Any) -> None:
    i = lit(drawn)
    seen = view(drawn.images[i], drawn.maps[i], drawn.records[i], np.random.default_rng(0), PLAIN)
    facts = dict(zip(FACTS, facts_of(seen), strict=True))
    assert facts["light"] > 0 and facts["speed"] != UNKNOWN and facts["obstacles.cone"] in (0, 1)
    assert facts["weather"] == UNKNOWN
    hidden = facts_of(type(seen)(seen.image, seen.classes, seen.record, frozenset({"traffic_light"}), seen.native))
    assert hidden[0] == UNKNOWN and hidden[2] == UNKNOWN and hidden[3] != UNKNOWN


def test_crops_show_the_light(drawn: Any) -> None:
    i = lit(drawn)
    for k in range(10):
        rng = np.random.default_rng(k)
        seen = view(drawn.images[i], drawn.maps[i], drawn.records[i], rng, PLAIN)
        crop = crop_of(seen, rng)
        assert crop.shape == (CROP_SEEN, CROP_SEEN, 3)
        dark = (crop.astype(int).sum(2) < 90).mean()  # the housing
        assert dark > 0.005


def test_seen_size_is_whole_cells() -> None:
    assert SEEN[0] % 28 == 0 and SEEN[1] % 28 == 0 and CROP_SEEN % 28 == 0


def test_patches_add_up_to_their_cells() -> None:
    """Patches name what they hold, in the order in which the tower merges them."""
    rng = np.random.default_rng(4)
    classes = rng.integers(0, 3, (252, 448)).astype(np.uint8)
    classes[14:28, 42:56] = TARGETS.index("cone")  # the lower right quarter of cell (0, 1)
    for patch, merge in ((14, 2), (7, 4)):
        found = patches_of(classes, patch)
        assert found.shape == (144, merge * merge, len(CLASSES))
        cone = found[1, :, TARGETS.index("cone")].reshape(merge, merge)
        assert (cone[merge // 2 :, merge // 2 :] == 1).all() and cone.sum() == (merge // 2) ** 2
        assert (found[..., TARGETS.index("cone")] == 1).sum() == (merge // 2) ** 2


def test_limits_are_named_where_they_are_read() -> None:
    classes = np.zeros((252, 448), np.uint8)
    classes[28:50, 28:50] = TARGETS.index("speed_sign")
    sign = {"kind": "speed_limit", "role": "ahead", "stated": True, "state": "50", "box": [28, 28, 50, 50]}
    at = TARGETS.index("limit_50")
    cells = cells_of(classes, [sign]).reshape(9, 16, -1)
    assert cells[1, 1, at] == 1 and (cells[..., at] == 1).sum() == 1
    half_read = cells_of(classes, [{**sign, "stated": None}]).reshape(9, 16, -1)
    assert half_read[1, 1, at] == UNKNOWN and (half_read[..., TARGETS.index("limit_30")] == 0).all()
