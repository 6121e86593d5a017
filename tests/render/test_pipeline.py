"""The pipeline from scenes to a Dataset: what it writes, what it does with failures, how it resumes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pacenote.data import CLASS_INDEX, Dataset
from pacenote.errors import InputError, PacenoteError
from pacenote.render import pipeline
from pacenote.render.pipeline import halve, index_digest, intrinsics, render_dataset
from pacenote.scenes.recipe import SceneRecipe
from pacenote.scenes.scene import Camera, Environment, Facts, Scene
from tests.scenes.street import Street

RECIPE = SceneRecipe(name="painted", parts={"train": 24, "test": 5})


def painted(index: int) -> Street:
    street = Street(environment=Environment("rain", wetness=0.7))
    street.light(10, ("red", "green")[index % 2])
    if index % 3 == 0:
        street.thing(30, "cone", 12, 20)
    if index % 4 == 3:
        street.light(20, ("green", "red")[index % 2], x=420)  # contradicts: rejected
    return street


@pytest.fixture
def shots(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Replaces SUMO and Blender by painted streets; records which indices were rendered."""
    taken: list[int] = []

    def scenes(order: pipeline.Order) -> Iterator[tuple[str, Scene | str]]:
        for index in range(order.start, order.start + order.count):
            name = f"painted-{index}"
            facts = Facts(limit_kmh=60, limit_in_context=index % 5 == 0)
            if index == 2:
                yield name, "no junction fits"
                continue
            scene = dataclasses.replace(painted(index).scene, id=name, index=index, facts=facts, network="n1")
            yield name, scene

    def shoot(scene: Scene, preset: str, spend: Any) -> tuple[Any, Any]:
        taken.append(scene.index)
        if scene.index == 5:
            raise RuntimeError("the sky fell")
        street = painted(scene.index)
        return street.frame, street

    monkeypatch.setattr(pipeline, "scenes", scenes)
    monkeypatch.setattr(pipeline, "shoot", shoot)
    return taken


def test_a_dataset_of_painted_streets(tmp_path: Path, shots: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    card = render_dataset(RECIPE, tmp_path / "out")
    assert "1 of 4 scenes failed: RuntimeError: the sky fell" in capsys.readouterr().err
    dataset = Dataset.open(tmp_path / "out")
    rejected = {row.id: row.reason for row in dataset.rejected()}
    assert len(dataset) + len(rejected) == 24
    assert rejected["painted-2"] == "no junction fits"
    assert "the sky fell" in rejected["painted-5"]
    assert "contradict" in rejected["painted-3"]
    assert set(rejected) == {"painted-2", "painted-5"} | {f"painted-{i}" for i in range(3, 24, 4)}
    assert sum(card["rejected"].values()) == len(rejected)
    by_id = {sample.id: sample for sample in dataset}
    sample = by_id["painted-0"]
    assert sample.truth is not None
    assert sample.truth.light_state == "red"
    assert sample.truth.obstacles["cone"] is True
    assert by_id["painted-1"].truth.obstacles["cone"] is False
    assert sample.image().size == (672, 378)
    assert sample.conditions["weather"] == "rain"
    assert sample.conditions["light_px"] == 10
    assert sample.question == "The speed limit here is 60 km/h. Advise the driver."
    assert sample.conditions["limit_kmh"] == 60
    assert "limit_kmh" not in by_id["painted-1"].conditions
    classes = sample.class_map()
    assert classes is not None
    assert classes.shape == (189, 336)
    assert classes[42, 167] == CLASS_INDEX["light_red"]
    assert sample.camera is not None
    assert sample.camera["fx"] == pytest.approx(336 / np.tan(np.pi / 6))
    json.dumps(dict(sample.provenance))


def test_a_resumed_run_redoes_nothing_and_gives_the_same(tmp_path: Path, shots: list[int]) -> None:
    render_dataset(RECIPE, tmp_path / "whole")
    whole = [(sample.id, sample.truth, sample.provenance) for sample in Dataset.open(tmp_path / "whole")]
    out = tmp_path / "out"
    render_dataset(RECIPE, out)
    victim = sorted(out.glob("train-*.parquet"))[1]
    victim.unlink()  # as if killed before this shard was done
    shots.clear()
    render_dataset(RECIPE, out)
    assert shots == [4, 5, 6, 7]
    assert [(sample.id, sample.truth, sample.provenance) for sample in Dataset.open(out)] == whole


def test_parts_share_a_directory_and_other_settings_do_not(tmp_path: Path, shots: list[int]) -> None:
    render_dataset(RECIPE, tmp_path, "train")
    card = render_dataset(RECIPE, tmp_path, "test")
    assert set(card["splits"]) == {"train", "test"}
    with pytest.raises(InputError, match="another count"):
        render_dataset(RECIPE, tmp_path, "train", 100)
    with pytest.raises(InputError, match="other settings"):
        render_dataset(dataclasses.replace(RECIPE, seed=1), tmp_path, "train")


def test_requests_that_make_no_sense(tmp_path: Path) -> None:
    for request in ({"split": "nose"}, {"mode": "films"}, {"count": 0}, {"split": "dev"}):
        with pytest.raises(InputError):
            render_dataset(RECIPE, tmp_path / "out", **request)  # type: ignore[arg-type]


def test_a_run_in_which_everything_fails_stops(
    tmp_path: Path, shots: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("no light at all")

    monkeypatch.setattr(pipeline, "shoot", broken)
    with pytest.raises(PacenoteError, match="no light at all"):
        render_dataset(RECIPE, tmp_path / "out")


def test_a_missing_renderer_stops_at_once(tmp_path: Path, shots: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any) -> None:
        raise InputError("Blender is not installed; run make setup")

    monkeypatch.setattr(pipeline, "shoot", missing)
    with pytest.raises(InputError, match="make setup"):
        render_dataset(RECIPE, tmp_path / "out")


def test_twins_are_kept_in_pairs_that_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    streets = {}

    def scenes(order: pipeline.Order) -> Iterator[tuple[str, Scene | str]]:
        for index in range(order.start, order.start + order.count):
            for part in ("", "-twin"):
                street = painted(index - index % 2 + (index % 2 if part else 0))
                name = f"pair-{index}{part}"
                streets[name] = street
                scene = dataclasses.replace(
                    street.scene, id=name, index=index, twin_of=f"pair-{index}" if part else "", flipped="light"
                )
                yield name, scene

    def shoot(scene: Scene, *_: Any) -> tuple[Any, Any]:
        return streets[scene.id].frame, streets[scene.id]

    monkeypatch.setattr(pipeline, "scenes", scenes)
    monkeypatch.setattr(pipeline, "shoot", shoot)
    render_dataset(RECIPE, tmp_path, count=4, mode="twins")
    dataset = Dataset.open(tmp_path)
    assert [(sample.id, sample.twin_of) for sample in dataset] == [("pair-1", ""), ("pair-1-twin", "pair-1")]
    reasons = {row.id: row.reason for row in dataset.rejected()}
    assert "does not show" in reasons["pair-0"]
    assert reasons["pair-3"] == "its twin was rejected"


def test_halving_keeps_a_single_pixel_of_a_light() -> None:
    classes = np.full((9, 11), CLASS_INDEX["sky"], np.uint8)
    classes[3, 5] = CLASS_INDEX["light_red"]
    classes[6, 7] = CLASS_INDEX["building"]
    half = halve(classes)
    assert half.shape == (4, 5)
    assert half[1, 2] == CLASS_INDEX["light_red"]
    assert (half == CLASS_INDEX["light_red"]).sum() == 1
    assert (half == CLASS_INDEX["building"]).sum() == 0  # nearest takes the upper left pixel


def test_the_index_digest_tells_one_pixel() -> None:
    index = np.zeros((4, 5), np.int32)
    other = index.copy()
    other[3, 4] = 1
    assert index_digest(index) == index_digest(index.copy()) != index_digest(other)


@pytest.mark.parametrize("k1", [-0.06, 0.02, 0.0])
def test_intrinsics_are_those_of_the_lens(k1: float) -> None:
    """A pixel of the finished frame, followed back through the lens and along its ray, is found again by OpenCV."""
    import cv2

    from pacenote.render.finish import _maps

    width, height, fov = 672, 378, 70.0
    held = intrinsics(Camera(1, 2, 1.5, 0.3, fov=fov, k1=k1), width, height)
    map_x, map_y, _ = _maps(width, height, k1)
    focal = width / 2 / np.tan(np.radians(fov) / 2)
    for column, row in ((5, 7), (600, 40), (336, 189), (500, 350)):
        x = (map_x[row, column] + 0.5 - width / 2) / focal
        y = (map_y[row, column] + 0.5 - height / 2) / focal
        matrix = np.array([[held["fx"], 0, held["cx"]], [0, held["fy"], held["cy"]], [0, 0, 1]])
        found, _ = cv2.projectPoints(
            np.array([[x, y, 1.0]]), np.zeros(3), np.zeros(3), matrix, np.array([held["k1"], 0, 0, 0])
        )
        np.testing.assert_allclose(found.ravel(), (column + 0.5, row + 0.5), atol=0.05)


def test_intrinsics() -> None:
    held = intrinsics(Camera(1, 2, 1.5, 0.3, fov=90.0), 672, 378)
    assert held["fx"] == pytest.approx(336)
    assert held["cx"] == 336
    assert held["yaw"] == 0.3
