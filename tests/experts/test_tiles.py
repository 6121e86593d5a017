"""Parts of a picture looked at as if they were near: their boxes, what concerns the ego car, and kinds."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pacenote.advisory import OBSTACLES
from pacenote.cli import main
from pacenote.data import Card, Dataset, DatasetWriter
from pacenote.data.classes import CLASS_INDEX, CLASSES
from pacenote.errors import InputError
from pacenote.experts import open_expert
from pacenote.experts.detection import Detection, likely
from pacenote.experts.tiles import FILE, TileLook, cut, fit, meant, moved, parts
from pacenote.models import load, resolve
from tests.models.tiny import tiny_model

STUDENT = "starter-student"


@given(width=st.integers(20, 2000), height=st.integers(20, 2000))
def test_parts_cover_the_picture_and_overlap(width: int, height: int) -> None:
    covered = np.zeros((height, width), np.uint8)
    for x0, y0, x1, y1 in parts((width, height)):
        assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
        covered[y0:y1, x0:x1] += 1
    assert covered.min() >= 1 and covered[height // 2, width // 2] == 4


def test_what_concerns_the_ego_car_is_the_whole_frames() -> None:
    own = np.arange(9 * 16, dtype=float).reshape(9, 16, 1)
    assert (cut(own, (0.0, 0.0, 1.0, 1.0), (9, 16)) == own).all()
    quarter = cut(own, (0.5, 0.0, 1.0, 1.0), (9, 16))
    assert quarter.shape == own.shape
    assert set(quarter[0].ravel()) == set(own[0, 8:].ravel())  # each of its cells twice
    assert moved(Detection("cone", (1, 2, 3, 4), 0.5), (10, 20, 30, 40)).box == (11, 22, 13, 24)


def test_it_looks_at_parts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    image = Dataset.open("streets-test", "test")[0].image(0)
    expert = open_expert(f"tiles:{STUDENT}")
    assert isinstance(expert, TileLook) and expert.name == "tiles"
    seen: list[tuple[int, int]] = []
    real = expert._told
    monkeypatch.setattr(expert, "_told", lambda images: seen.extend(one.size for one in images) or real(images))  # type: ignore[func-returns-value]
    (found,) = expert.detect([image])
    assert seen == [image.size] + 4 * [(round(0.6 * image.width), round(0.6 * image.height))]
    assert found and {one.kind for one in found} <= set(OBSTACLES) == expert.kinds
    assert [likely(one) for one in found] == sorted((likely(one) for one in found), reverse=True)
    for one in found:
        x0, y0, x1, y1 = one.box
        assert 0 <= x0 < x1 <= image.width + 1e-6 and 0 <= y0 < y1 <= image.height + 1e-6
    assert expert.digest != open_expert(f"look:{STUDENT}").digest


def test_of_lights_the_part_tells_whose_they_are() -> None:
    expert = open_expert(f"lights:{STUDENT}")
    assert expert.name == "lights" and expert.kinds == {"traffic_light"}
    assert expert.digest != open_expert(f"tiles:{STUDENT}").digest
    whole, part = np.zeros((9, 16, 40)), np.ones((9, 16, 40))

    def told(images: list[Image.Image]) -> list[tuple[np.ndarray, np.ndarray]]:
        near = len(images) > 1
        patches = np.zeros((18, 32, len(CLASSES)))
        if near:
            patches[4, 5, CLASS_INDEX["light_red"]] = 0.9
        return [(patches, part if near else whole) for _ in images]

    expert._told = told  # type: ignore[method-assign, assignment]
    (found,) = expert.detect([Image.new("RGB", (640, 360))])
    assert found and found[0].state == "red" and likely(found[0]) == pytest.approx(0.9)  # the whole frame sees none
    obstacles, both = open_expert(f"tiles:{STUDENT}"), open_expert(f"parts:{STUDENT}")
    obstacles._told = both._told = told  # type: ignore[attr-defined]
    assert obstacles.detect([Image.new("RGB", (640, 360))]) == [[]]
    assert both.detect([Image.new("RGB", (640, 360))]) == [found]


def test_one_look_at_the_parts_tells_of_obstacles_and_lights() -> None:
    image = Dataset.open("streets-test", "test")[0].image(0)
    (told,) = open_expert("parts:starter-teacher").detect([image])
    lights, obstacles = (open_expert(f"{name}:starter-teacher").detect([image])[0] for name in ("lights", "tiles"))
    assert sorted(map(repr, told)) == sorted(map(repr, lights + obstacles))


def test_a_small_thing_is_likelier_in_a_part() -> None:
    """The teacher learnt from parts of frames: over frames with cones it is surer of them than from afar."""
    held = Dataset.open("streets-test", "test")
    coned = [i for i, truth in enumerate(held.column("truth")) if "cone" in str(truth)]
    frames = [one for one in held.select(coned[:60]) if one.truth and one.truth.obstacles.get("cone")][:12]
    images = [one.image(0) for one in frames]
    assert len(images) >= 8
    torch.manual_seed(0)
    tiles = TileLook(load("starter-teacher"), {})
    near, far = (
        [max((likely(d) for d in own if d.kind == "cone"), default=0.0) for own in expert.detect(images)]
        for expert in (tiles, open_expert("look:starter-teacher"))
    )
    assert np.mean(near) > np.mean(far)
    assert all(a >= b - 0.02 for a, b in zip(near, far, strict=True))  # the whole frame is one of its looks


@given(scale=st.floats(0.3, 2), offset=st.floats(-3, 1), seed=st.integers(0, 99))
@settings(max_examples=25)
def test_a_fitted_line_means_what_it_says(scale: float, offset: float, seed: int) -> None:
    draw = np.random.default_rng(seed)
    odds = draw.normal(2, 2, 3000).clip(-6, 6)
    p, there = 1 / (1 + np.exp(-odds)), draw.random(3000) < 1 / (1 + np.exp(-(scale * odds + offset)))
    rare = {"crash": (p[:10], np.zeros(10, bool))}  # too few for a line of its own
    told = {"cone": (p, there), **rare}
    lines = fit({kind: own for kind, (own, _) in told.items()}, {kind: own for kind, (_, own) in told.items()})
    assert lines["cone"] == pytest.approx((scale, offset), abs=0.35)
    assert abs(lines["crash"][0] - lines["cone"][0]) < 0.5 and lines["crash"][1] <= lines["cone"][1] + 0.1
    one = meant(Detection("cone", (0, 0, 1, 1), 0.9, own=0.5), (1.0, 0.0))
    assert one.own is None and likely(one) == pytest.approx(0.45)
    with pytest.raises(InputError, match="with obstacles"):
        fit({"cone": [0.5, 0.6]}, {"cone": [True, True]})


def test_a_calibration_lies_beside_the_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(resolve(STUDENT), tmp_path / "model")
    data = tmp_path / "data"
    with DatasetWriter(data, Card("some")) as writer:
        for one in Dataset.open("streets-test", "test").select(range(12)):
            writer.add(one, "dev")
    assert main(["calibrate", str(tmp_path / "model"), str(data), "--tiles"]) == 0
    assert "barrier" in capsys.readouterr().out
    image = Dataset.open("streets-test", "test")[0].image(0)
    plain, told = (open_expert(f"tiles:{name}") for name in (STUDENT, tmp_path / "model"))
    assert plain.digest != told.digest
    (before,), (after,) = plain.detect([image]), told.detect([image])
    assert {one.box for one in before} == {one.box for one in after}
    assert all(one.own is None for one in after)
    (tmp_path / "model" / FILE).write_text("{}")
    with pytest.raises(InputError, match="calibrate --tiles"):
        open_expert(f"tiles:{tmp_path / 'model'}")


def test_a_model_without_heads_is_refused() -> None:
    with pytest.raises(InputError, match="has no heads"):
        TileLook(tiny_model("qwen2_5_vl"))


def test_tiny_pictures_are_looked_at() -> None:
    expert = TileLook(load(STUDENT))
    assert isinstance(expert.detect([Image.new("RGB", (30, 20))])[0], list)
