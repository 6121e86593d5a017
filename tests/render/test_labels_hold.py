"""The promise of the labels, on real renders: nothing below the gates is named, whoever did the work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from pacenote.data import Dataset
from pacenote.scenes.gates import Gates

pytestmark = pytest.mark.slow
GATES = Gates()
SCENES, FEW = 200, 12


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "small.yaml"
    settings = {
        "name": "small",
        "seed": 7,
        "parts": {"train": SCENES},
        "camera": {"width": 448, "height": 252},
        "networks": {"scenes_each": 20},
    }
    path.write_text(yaml.safe_dump(settings))
    return path


def command(recipe: Path, out: Path, count: int, workers: int) -> list[str]:
    options = ["--split", "train", "--count", str(count), "--workers", str(workers), "--preset", "draft"]
    return [sys.executable, "-c", "import sys; from pacenote.cli import main; sys.exit(main())", "render", str(recipe),
            "--out", str(out), *options]  # fmt: skip


def render(recipe: Path, out: Path, count: int, workers: int) -> Dataset:
    done = subprocess.run(command(recipe, out, count, workers), capture_output=True, text=True, check=False)
    if done.returncode and "install" in done.stderr:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr
    return Dataset.open(out, "train")


@pytest.fixture(scope="module")
def dataset(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return render(recipe, tmp_path_factory.mktemp("labels") / "out", SCENES, 2)


def test_every_scene_is_a_sample_or_a_rejection_with_a_reason(dataset: Dataset) -> None:
    rejected = dataset.rejected()
    assert len(dataset) + len(rejected) == SCENES
    assert all(row.reason for row in rejected)
    assert not [row for row in rejected if row.reason.startswith("failed")]
    assert len(rejected) < SCENES / 4


def test_no_truth_names_an_object_below_the_gates(dataset: Dataset) -> None:
    for sample in dataset:
        truth, objects = sample.truth, (sample.evidence or {})["objects"]
        assert truth is not None
        for kind, fact in (truth.obstacles | truth.crossroad).items():
            seen = [item for item in objects if item["kind"] == kind]
            if fact:
                assert any(item["stated"] for item in seen), (sample.id, kind)
            if fact is False:
                assert not [i for i in seen if i["stated"] is not False and i["role"] != "beside"], (sample.id, kind)
        ego = [item for item in objects if item["kind"] == "traffic_light" and item["role"] == "ego"]
        if truth.light_state == "none":
            assert not [item for item in ego if item["stated"] is not False], sample.id
        elif truth.light_state is not None:
            assert {item["state"].split()[0] for item in ego if item["stated"]} == {truth.light_state}, sample.id
        for item in objects:
            assert item["reason"], sample.id
            if not item["stated"]:
                continue
            if item["kind"] == "traffic_light":
                assert item["lens_px"] >= GATES.lens_stated_px
                assert item["visible"] >= GATES.lens_visible
                assert item["contrast"] >= GATES.lens_contrast
            elif item["kind"] in GATES.height_px:
                assert item["box"][3] - item["box"][1] >= GATES.height_px[item["kind"]]
                assert item["pixels"] >= GATES.area_px[item["kind"]]
                assert item["visible"] >= GATES.visible
                least = GATES.least_contrast(GATES.contrast, item["pixels"], GATES.area_px[item["kind"]])
                assert item["contrast"] >= least - 0.05  # the evidence is rounded
            elif item["kind"] == "intersection":
                assert item["distance_m"] is not None
                assert item["pixels"] >= GATES.junction_px
            elif item["kind"] == "pedestrian_crossing":
                assert item["pixels"] >= GATES.zebra_px


def facts(dataset: Dataset) -> dict[str, tuple[object, ...]]:
    return {sample.id: (sample.truth, sample.provenance["index_pass"]) for sample in dataset}


def test_truth_and_index_pass_do_not_depend_on_the_workers(recipe: Path, dataset: Dataset, tmp_path: Path) -> None:
    alone = facts(render(recipe, tmp_path / "alone", FEW, 1))
    both = facts(dataset)
    assert alone == {id: both[id] for id in alone}


def test_a_killed_run_resumes_to_the_same(recipe: Path, dataset: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(command(recipe, out, FEW, 2), start_new_session=True, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not list(out.glob(".done/train-*.json")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "dataset.json").exists()
    resumed = facts(render(recipe, out, FEW, 2))
    both = facts(dataset)
    assert resumed == {id: both[id] for id in resumed}
