"""An edited photo keeps the facts that can still be seen, gains those that were put in, and forgets what it hides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pacenote.data import CLASS_INDEX, Card, Dataset, DatasetWriter
from pacenote.data.sample import Picture, Sample
from pacenote.errors import InputError
from pacenote.imagine.edit import EDITS, Impossible, edit_dataset, edited
from pacenote.imagine.known import forget
from pacenote.imagine.weather import FAR, view_of
from pacenote.training.cutouts import Lent


@pytest.fixture(scope="module")
def frames() -> list[Sample]:
    return list(Dataset.open("streets-test", "test").select(range(80)))


def find(frames: list[Sample], **wanted: Any) -> Sample:
    """The first frame with these conditions and, as `light` or `cone`, these facts."""
    for one in frames:
        held = {**one.conditions, "light": one.truth.light_state, **one.truth.obstacles}  # type: ignore[union-attr]
        if all(held.get(name) == value for name, value in wanted.items()):
            return one
    raise AssertionError(f"no frame with {wanted}")


def pixels(sample: Sample) -> np.ndarray:
    return np.asarray(sample.image(0), np.float64)


def test_the_ground_is_a_plane_and_things_are_as_far_as_their_feet() -> None:
    height, width = 100, 160
    classes = np.full((height, width), CLASS_INDEX["sky"], np.uint8)
    classes[50:] = CLASS_INDEX["road"]
    classes[20:60, 40:50] = CLASS_INDEX["building"]
    camera = {"width": 160.0, "fx": 100.0, "fy": 100.0, "cy": 40.0, "z": 1.5, "pitch": 0.0}
    depth = view_of(np.zeros((height, width, 3), np.uint8), classes, camera).depth
    assert depth[69, 0] == pytest.approx(1.5 * 100 / 29.5)
    assert np.isinf(depth[10, 0])
    assert (depth[20:60, 45] == depth[60, 45]).all() and np.isinf(depth[19, 45])
    flat = view_of(np.zeros((height, width, 3), np.uint8), None, None).depth
    assert flat[0, 0] == FAR and flat[-1, 0] < 5 < flat[60, 0]


def test_fog_takes_contrast_from_what_is_far(frames: list[Sample]) -> None:
    clear = find(frames, weather="clear", time="day")
    after = edited(clear, "fog", Lent(), 0)
    assert (
        after.conditions["weather"] == "fog"
        and after.provenance["edited"]["of"] == clear.id
        and after.source == "imagined"
    )
    assert pixels(after)[100:200].std() < 0.75 * pixels(clear)[100:200].std()
    assert after.provenance["edited"]["visibility_m"] <= 300


def test_thick_fog_hides_a_far_light_and_forgets_it(frames: list[Sample], monkeypatch: Any) -> None:
    from pacenote.imagine import weather

    lit = next(
        one for one in frames
        if one.conditions["weather"] in ("clear", "overcast") and one.truth.light_state in ("red", "green")  # type: ignore[union-attr]
        and one.conditions["light_m"] > 12
    )  # fmt: skip
    monkeypatch.setitem(weather.VISIBILITY, "fog", (5.0, 6.0))
    after = edited(lit, "fog", Lent(), 0)
    assert after.truth.light_state is None and after.truth.speed_kmh is None  # type: ignore[union-attr]
    assert any(
        item["stated"] is None and item["reason"] == "hidden by the change" for item in after.evidence["objects"]
    )  # type: ignore[index]
    monkeypatch.setitem(weather.VISIBILITY, "fog", (30000.0, 40000.0))
    assert edited(lit, "fog", Lent(), 0).truth.light == lit.truth.light  # type: ignore[union-attr]


def test_night_is_dark_and_lights_shine_on(frames: list[Sample]) -> None:
    lit = next(
        one for one in frames if one.conditions["time"] == "day" and one.truth.light_state == "red"  # type: ignore[union-attr]
    )  # fmt: skip
    after = edited(lit, "night", Lent(), 0)
    assert pixels(after).mean() < 0.4 * pixels(lit).mean()
    assert after.truth.light == lit.truth.light and after.conditions["time"] == "night"  # type: ignore[union-attr]
    box = next(o["box"] for o in lit.evidence["objects"] if o["kind"] == "traffic_light" and o["stated"])  # type: ignore[index]
    x, y = int((box[0] + box[2]) / 2), int((box[1] + box[3]) / 2)
    lens = pixels(after)[y - 2 : y + 3, x - 2 : x + 3].mean((0, 1))
    assert lens[0] > 120 and lens[0] > 1.5 * lens[1]


def test_a_changed_test_frame_stays_a_test_frame(frames: list[Sample], tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "data", Card("some")) as writer:
        for one in frames:
            writer.add(one, "test")
    after = edit_dataset(tmp_path / "data", tmp_path / "out", ["fog", "view"], split="test", limit=6)
    assert len(after) and set(after.card["splits"]) == {"test"}


@pytest.mark.parametrize("kind", ["cone", "barrier"])
def test_what_is_put_up_is_true_and_seen(frames: list[Sample], tmp_path: Path, kind: str) -> None:
    with DatasetWriter(tmp_path / "data", Card("some")) as writer:
        for one in frames:
            writer.add(one)
    after = edit_dataset(tmp_path / "data", tmp_path / "out", [kind], limit=60)
    before = {one.id: one for one in frames}
    assert len(after) > 15
    for one in after:
        base = before[one.provenance["edited"]["of"]]
        assert one.truth.obstacles[kind] is True and not base.truth.obstacles[kind]  # type: ignore[union-attr]
        new = one.evidence["objects"][len(base.evidence["objects"]) :]  # type: ignore[index]
        assert new and all(item["kind"] == kind for item in new)
        x0, y0, x1, y1 = (round(v) for v in new[0]["box"])
        assert np.abs(pixels(one) - pixels(base))[y0:y1, x0:x1].mean() > 6
        assert (one.class_map()[y0:y1, x0:x1] == CLASS_INDEX[kind]).mean() > 0.2  # type: ignore[index]
    reasons = {row.reason for row in after.rejected()}
    assert any("is there already" in reason for reason in reasons)


def test_what_no_frame_lends_is_not_put_up(frames: list[Sample]) -> None:
    free = next(one for one in frames if not one.truth.obstacles["crash"] and one.conditions["time"] == "day")  # type: ignore[union-attr]
    with pytest.raises(Impossible, match="no frame by day lends one"):
        edited(free, "crash", Lent(), 3)


def test_a_turned_camera_moves_boxes_with_the_picture(frames: list[Sample]) -> None:
    lit = find(frames, light="red", time="day")
    after = edited(lit, "view", Lent(), 3)
    for old, new in zip(lit.evidence["objects"], after.evidence["objects"], strict=True):  # type: ignore[index]
        if new.get("in_frame", 0) > 0.99 and old["kind"] == "traffic_light" and old["stated"] and new["box"]:
            assert new["box"] != old["box"]
            patches = [
                pixels(one)[round(b[1]) : round(b[3]), round(b[0]) : round(b[2])].mean((0, 1))
                for one, b in ((lit, old["box"]), (after, new["box"]))
            ]
            assert np.abs(patches[0] - patches[1]).max() < 40
    assert (pixels(after)[:3] > 0).any() and after.camera is None


def test_speed_is_told_only_by_the_rules(frames: list[Sample]) -> None:
    for one in frames[:30]:
        for name in ("snow", "night"):
            try:
                after = edited(one, name, Lent(), 1)
            except Impossible:
                continue
            if after.truth.speed_kmh is not None:  # type: ignore[union-attr]
                assert after.truth.speed_kmh <= one.truth.speed_kmh  # type: ignore[union-attr, operator]
    strange = replace(frames[0], truth=replace(frames[0].truth, speed_kmh=130))  # type: ignore[type-var]
    assert edited(strange, "view", Lent(), 0).truth.speed_kmh is None  # type: ignore[union-attr]


def test_photos_without_a_class_map_get_weather_but_nothing_put_up(frames: list[Sample]) -> None:
    bare = replace(find(frames, weather="clear", time="day"), segmentation=None, camera=None)
    assert edited(bare, "rain", Lent(), 0).segmentation is None
    with pytest.raises(Impossible, match="without a class map"):
        edited(bare, "cone", Lent(), 0)


def test_forgetting_keeps_what_is_false(frames: list[Sample]) -> None:
    truth = find(frames, cone=True).truth
    assert truth is not None
    left = forget(truth, [{"kind": "cone"}, {"kind": "animal"}, {"kind": "traffic_light"}])
    assert left.obstacles["cone"] is None and left.light_state is None
    assert left.obstacles["animal"] == truth.obstacles["animal"]


def test_the_same_seed_gives_the_same_photo(frames: list[Sample]) -> None:
    clear = find(frames, weather="clear", time="day")
    one, two, other = (edited(clear, "rain", Lent(), seed) for seed in (0, 0, 1))
    assert one == two and one.images != other.images


def test_strange_edits_and_weather_upon_weather_are_refused(frames: list[Sample], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--edits hail"):
        edit_dataset("streets-test", tmp_path / "out", ["hail"], split="test")
    with pytest.raises(Impossible, match="already"):
        edited(find(frames, weather="rain"), "fog", Lent(), 0)
    assert {"rain", "fog", "snow", "dusk", "night", "view", "cone", "barrier", "crash"} <= set(EDITS)


def test_a_broken_picture_names_its_sample(frames: list[Sample]) -> None:
    broken = replace(find(frames, weather="clear"), images=(Picture(b"no picture"),), image_roles=(), cameras=())
    with pytest.raises(InputError, match=broken.id):
        edited(broken, "fog", Lent(), 0)
