"""Early stopping: the best check is what is kept, it survives a stop, and no dev split is an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from pacenote.data import Dataset
from pacenote.errors import InputError
from pacenote.models import PARTS
from pacenote.training import judge as room
from pacenote.training.judge import BEST, HISTORY, Judge, average, dev_judge
from pacenote.training.loop import fit
from pacenote.training.tune import TuneOptions, tune
from tests.models.tiny import tiny_model
from tests.training.test_teach import dataset


class Line(torch.nn.Module):
    """One weight that every step moves."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": -(self.weight * x).mean()}


def collate(items: list[float]) -> dict[str, torch.Tensor]:
    return {"x": torch.tensor(items)}


def run(model: Line, out: Path, scores: list[float], patience: int = 0, **more: Any) -> dict[str, float]:
    said = iter(scores)
    seen: list[float] = []

    def score() -> float:
        assert not model.training
        seen.append(float(model.weight.detach()))
        return next(said)

    groups = [{"params": list(model.parameters()), "lr": 0.1}]
    judge = Judge(score, 5, patience)
    steps = {"steps": 10, "batch": 1, "groups": groups, "warmup": 0.0, "device": "cpu", "judge": judge, **more}
    figures = fit(model, [1.0] * 10, collate, out, **steps)
    return {**figures, "seen": seen}  # type: ignore[dict-item]


def test_the_best_check_is_kept(tmp_path: Path) -> None:
    model = Line()
    figures = run(model, tmp_path, [0.1, 0.5, 0.3, 0.2, 0.4])
    assert (figures["best_step"], figures["best_score"]) == (4, 0.5)
    assert float(model.weight.detach()) == figures["seen"][1]  # type: ignore[index]
    assert [step for step, _ in json.loads((tmp_path / HISTORY).read_text())] == [2, 4, 6, 8, 10]
    assert (tmp_path / BEST).is_file()


def test_it_stops_when_patience_is_over(tmp_path: Path) -> None:
    figures = run(Line(), tmp_path, [0.5, 0.4, 0.3, 0.9, 0.9], patience=2)
    assert [step for step, _ in json.loads((tmp_path / HISTORY).read_text())] == [2, 4, 6]
    assert figures["best_step"] == 2


def test_a_stopped_run_asks_again_what_its_checkpoint_has_not_seen(tmp_path: Path) -> None:
    """Killed at step 7 with a checkpoint of step 5: the check of step 6 is forgotten and made again."""

    class Killed(Exception):
        pass

    def dies(items: list[float]) -> dict[str, torch.Tensor]:
        calls.append(1)
        if len(calls) > 7:
            raise Killed
        return collate(items)

    calls: list[int] = []
    model = Line()
    said = iter([0.1, 0.2, 0.9])
    groups = [{"params": list(model.parameters()), "lr": 0.1}]
    common: dict[str, Any] = {"steps": 10, "batch": 1, "warmup": 0.0, "device": "cpu", "save_every": 5}
    with pytest.raises(Killed):
        fit(model, [1.0] * 10, dies, tmp_path, groups=groups, judge=Judge(lambda: next(said), 5), **common)
    assert len(json.loads((tmp_path / HISTORY).read_text())) == 3
    again = Line()
    figures = run(again, tmp_path, [0.3, 0.2, 0.1], save_every=5)
    assert json.loads((tmp_path / HISTORY).read_text()) == [[2, 0.1], [4, 0.2], [6, 0.3], [8, 0.2], [10, 0.1]]
    assert figures["best_step"] == 6 and float(again.weight.detach()) == figures["seen"][0]  # type: ignore[index]


@pytest.fixture(scope="module")
def data(tmp_path_factory: Any) -> Any:
    return list(Dataset.open(dataset(tmp_path_factory.mktemp("data") / "streets")))


def test_a_tune_stage_asks_the_dev_split(data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("internvl")
    told = iter([0.2, 0.1])
    monkeypatch.setattr(room, "average", lambda model, samples: next(told) + 0 * len(samples))
    options = TuneOptions(epochs=4, batch=6, lr=dict.fromkeys(PARTS, 1e-3), checks=2)
    figures = tune(model, data, options, tmp_path, "cpu", dev=data[:2])
    assert (figures["best_step"], figures["best_score"]) == (2, 0.2)
    with pytest.raises(InputError, match="no dev split"):
        tune(tiny_model("internvl"), data, options, tmp_path / "x", "cpu")


def test_the_average_is_that_of_the_answers(data: Any) -> None:
    assert 0 <= average(tiny_model("internvl"), data[:3], batch=2) <= 1
    assert dev_judge(tiny_model("internvl"), data, 0) is None
