"""Rounds of mining stop where the model no longer improves, and leave the best one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pacenote.errors import InputError
from pacenote.recipes.mining import Mine, Rounds
from pacenote.recipes.recipe import load
from pacenote.recipes.stage import Context
from pacenote.work import read_json

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def rounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs rounds whose models score what is asked for: a model is a directory with its number in a file."""

    def run(averages: list[float]) -> tuple[list[dict], str, list[str]]:
        start = tmp_path / "start"
        start.mkdir()
        (start / "config.json").write_text("{}")
        (start / "number").write_text("0")
        labelers: list[str] = []

        def mined(self: Rounds, labeler: str, method: str, out: Path, context: Context, **lent: Any) -> Any:
            labelers.append((Path(labeler) / "number").read_text())
            return SimpleNamespace(out=out, card={"splits": {"train": {"samples": 5}}})

        def train(recipe: Any, data: Any, out: Path, **options: Any) -> Path:
            number = int((Path(recipe.inputs["start"]) / "number").read_text()) + 1
            (out / "model").mkdir(parents=True)
            (out / "model" / "number").write_text(str(number))
            return out / "model"

        monkeypatch.setattr(Rounds, "mined", mined)
        monkeypatch.setattr(Rounds, "_average", lambda self, model, out, context: averages[int(out.name[-1])])
        monkeypatch.setattr("pacenote.training.run.train", train)
        monkeypatch.setattr(
            "pacenote.training.recipe.read_recipe", lambda path, seed, inputs: SimpleNamespace(inputs=inputs)
        )
        stage = Rounds(drives=("d",), recipe="r.yaml", model=str(start), dev="streets-test", rounds=4)
        out = tmp_path / "out"
        out.mkdir()
        stage.run(out, Context(seed=0, run=tmp_path))
        return read_json(out / "rounds.json"), (out / "model" / "number").read_text(), labelers

    return run


def test_it_stops_at_the_first_round_without_a_gain_and_keeps_the_best(rounds: Any) -> None:
    told, best, labelers = rounds([0.5, 0.6, 0.65, 0.64, 0.9])
    assert [one["average"] for one in told] == [0.5, 0.6, 0.65, 0.64]
    assert best == "2"
    assert labelers == ["0", "1", "2"]  # each round's labeler is the round before's model


def test_a_start_that_nothing_betters_stays(rounds: Any) -> None:
    told, best, _ = rounds([0.7, 0.6])
    assert len(told) == 2
    assert best == "0"


def test_what_decides_whether_to_mine_again(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"1")
    one = Mine(drives=(str(tmp_path),))
    before = one.sources()
    assert set(before) == {"drives.0", "labeler", "prompts"}
    (tmp_path / "a.mp4").write_bytes(b"2")
    assert one.sources() != before
    assert Mine(drives=(str(tmp_path),), method="raw").settings() != one.settings()


def test_a_wrong_method_is_said_when_the_recipe_is_read(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text("name: r\nstages:\n  m: {kind: mine, drives: [x], method: best}\n")
    with pytest.raises(InputError, match="method"):
        load(file).stage("m", {})


def test_the_shipped_recipe_reads() -> None:
    recipe = load(REPOSITORY / "recipes" / "mine.yaml")
    assert {"full", "window", "raw"} <= set(recipe.stages)
