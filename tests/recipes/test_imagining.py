"""The stages that paint, at tiny size: what they leave, what makes them run again, what they refuse."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from pacenote.data import Card, Dataset, DatasetWriter
from pacenote.errors import InputError
from pacenote.recipes import load, run_recipe
from pacenote.recipes.imagining import Counts, Imagine, StarterPainter, Take, in_turn
from pacenote.recipes.stage import Context
from pacenote.work import Page, read_json
from tests.imagine import streets, tiny


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.few_frames(tmp_path_factory.mktemp("imagining") / "data")


def test_scenes_give_in_turn_and_fewer_are_a_part_of_more() -> None:
    scenes = ["a"] * 10 + ["b"] * 3 + [None, None]
    order = in_turn(scenes, 4)
    assert sorted(order) == list(range(15)) and order == in_turn(scenes, 4) != in_turn(scenes, 5)
    for count in range(1, 15):
        held = Counter(scenes[row] for row in order[:count])
        assert held["a"] <= held["b"] + 1 or held["b"] == 3
        assert count > 4 or held[None] <= 2


def test_as_many_are_taken_as_another_has_and_too_many_are_refused(data: Path, tmp_path: Path) -> None:
    context = Context(seed=3, run=tmp_path)
    Take(data=str(data), count=4).run(tmp_path / "four", context)
    Take(data=str(data), like=str(tmp_path / "four")).run(tmp_path / "like", context)
    four, like = Dataset.open(tmp_path / "four"), Dataset.open(tmp_path / "like")
    assert len(four) == 4 and four.column("id") == like.column("id")
    assert set(four.column("id")) <= set(Dataset.open(data).column("id"))
    with pytest.raises(InputError, match="12 frames in train, 13 are asked for"):
        Take(data=str(data), count=13).run(tmp_path / "more", context)
    with pytest.raises(InputError, match="one of the two"):
        Take(data=str(data))


def test_bare_frames_hold_what_people_could_have_labelled(data: Path, tmp_path: Path) -> None:
    whole = Dataset.open(data)
    assert any(sample.segmentation for sample in whole) and any(sample.evidence for sample in whole)
    Take(data=str(data), count=len(whole), bare=True).run(tmp_path / "bare", Context(seed=3, run=tmp_path))
    bare = {sample.id: sample for sample in Dataset.open(tmp_path / "bare")}
    assert {id: sample.truth for id, sample in bare.items()} == {sample.id: sample.truth for sample in whole}
    assert not any(sample.segmentation or sample.evidence for sample in bare.values())


def test_cards_are_counted_beside_the_paper(data: Path, tmp_path: Path) -> None:
    stage = Counts(rows={"Real data": (str(data), str(data)), "Other": (str(data),)})
    stage.run(tmp_path, Context(seed=0, run=tmp_path))
    found = read_json(tmp_path / "counts.json")
    assert found["Real data"]["splits"] == {"train": 24} and found["Other"]["splits"] == {"train": 12}
    assert sum(found["Other"]["light"].values()) == 12
    page = Page("x")
    stage.show(page, tmp_path)
    assert "19,360" in page.html() or "19360" in page.html()


@pytest.mark.parametrize("wrong", [{"roundz": 2}, {"lora": {"ranks": 3}}, {"rounds": 0}])
def test_wrong_options_are_said_when_the_recipe_is_read(wrong: dict) -> None:
    with pytest.raises(InputError, match="options"):
        Imagine(pairs="p", painter="p", judge="a", second="b", options=wrong)


def test_wrong_options_of_a_painter_are_said_too() -> None:
    with pytest.raises(InputError, match="options"):
        StarterPainter(data=("d",), options={"stepz": 1})


def test_a_model_under_training_may_not_judge(data: Path, tmp_path: Path) -> None:
    stage = Imagine(
        pairs=str(data), painter="none", judge="starter-student", second="starter-teacher", trained=("starter-student",)
    )
    with pytest.raises(InputError, match="starter-student"):
        stage.run(tmp_path, Context(seed=0, run=tmp_path))


RUN = """
name: painted
inputs: {data: DATA, painter: PAINTER, limit: 6}
stages:
  pairs: {kind: pairs, data: ["${inputs.data}"]}
  imagine:
    kind: imagine
    pairs: "${pairs.out}"
    painter: "${inputs.painter}"
    original: "${inputs.data}"
    judge: starter-distilled
    second: starter-student
    tower: starter-student
    device: cpu
    options: {rounds: 1, specs: 2, images: 2, probe: 4, control: true, relabelled: 1.0,
              lora: {rank: 2, steps: 2, batch: 1, accumulate: 1}}
  edit: {kind: edit, data: "${inputs.data}", edits: [fog, night], limit: "${inputs.limit}"}
  few: {kind: take, data: "${pairs.out}", count: 3}
  counts: {kind: counts, rows: {Real data: ["${inputs.data}"], Text-to-image: ["${few.out}"]}}
"""


def test_pairs_of_test_frames_stay_test_frames_and_are_shown(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "data", Card("few")) as writer:
        for sample in Dataset.open("streets-test", "test").select(range(8)):
            writer.add(sample, "test")
    file = tmp_path / "r.yaml"
    file.write_text(
        f"name: pairs\nstages:\n  pairs: {{kind: pairs, data: [{tmp_path / 'data'}], split: test}}\n"
        "  report: {kind: report, title: Pairs}\n"
    )
    assert run_recipe(load(file), tmp_path / "run") is not None
    assert set(Dataset.open(tmp_path / "run" / "stages" / "pairs").card["splits"]) == {"test"}


@pytest.mark.slow
def test_a_recipe_paints_and_only_what_changed_runs_again(data: Path, tmp_path: Path) -> None:
    tiny.untrained(tmp_path / "painter")
    file = tmp_path / "r.yaml"
    file.write_text(RUN.replace("DATA", str(data)).replace("PAINTER", str(tmp_path / "painter")))
    page = run_recipe(load(file), tmp_path / "run")
    made = tmp_path / "run" / "stages"
    assert {"rounds", "kept"} <= set(read_json(made / "imagine" / "figures.json"))
    assert "probe-00: the same specs" in page.read_text() and len(Dataset.open(made / "few")) == 3
    before = {file: file.stat().st_mtime_ns for file in made.glob("imagine/probe-*/train-*.parquet")}
    (made / ".imagine.begun").write_text(read_json(made / "imagine.json")["key"])  # as if killed before its marker
    (made / "imagine.json").unlink()
    run_recipe(load(file, inputs={"limit": 4}), tmp_path / "run")
    ended = {name: held["status"] for name, held in read_json(tmp_path / "run" / "run.json")["stages"].items()}
    assert ended == {"pairs": "unchanged", "imagine": "done", "edit": "done", "few": "unchanged", "counts": "unchanged"}
    assert before and before == {file: file.stat().st_mtime_ns for file in before}  # nothing was painted twice


@pytest.mark.slow
def test_a_starter_painter_is_a_stage(tmp_path: Path) -> None:
    from dataclasses import asdict

    wanted = [streets.spec(light, cone) for light in ("red", "green", "none") for cone in (False, True)]
    streets.street_data(tmp_path / "data", wanted)
    options = {name: value for name, value in asdict(tiny.STARTER).items() if name != "seed"}
    stage = StarterPainter(data=(str(tmp_path / "data"),), options=options, device="cpu")
    out = tmp_path / "out"
    stage.run(out, Context(seed=2, run=tmp_path))
    assert (out / "painter" / "model_index.json").is_file()
    before = (out / "training.json").stat().st_mtime_ns
    stage.run(out, Context(seed=2, run=tmp_path))  # nothing is left to do
    assert (out / "training.json").stat().st_mtime_ns == before
