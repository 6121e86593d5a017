"""What a teacher saw once: the same as if it looked now, resumed exactly, the same views in every training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pacenote.errors import InputError
from pacenote.training import dense, sights
from pacenote.training.augment import SEEN, Strength
from pacenote.training.dense import DenseOptions, TaughtStream, dense_teacher, pretrain
from pacenote.training.loop import autocast
from pacenote.training.recipe import parse_recipe
from pacenote.training.shared import Shared
from pacenote.training.sights import Views, look
from pacenote.training.targets import TARGETS, UNKNOWN
from pacenote.training.tower import DenseTask, QwenEncoder
from tests.training.conftest import tiny

PLACID = Strength(photometric=0.0)


@pytest.fixture(scope="module")
def teacher(tokenizer: Any, drawn: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A wider model with heads beside its weights."""
    place = tmp_path_factory.mktemp("teacher")
    model = tiny(tokenizer, seed=1, width=48, heads=2)
    options = DenseOptions(steps=4, batch=4, view=(224, 168), compile=False)
    task = pretrain(QwenEncoder(model.model.model.visual), drawn, options, place / "run", device="cpu")
    model.save(place / "model")
    save_file(dense.head_state(task), place / "model" / dense.HEADS)
    return str(place / "model")


def test_the_loss_is_that_of_a_teacher_that_looks_now(tokenizer: Any, drawn: Any, teacher: str, tmp_path: Path) -> None:
    encoder = QwenEncoder(tiny(tokenizer, seed=2).model.model.visual)
    theirs = dense_teacher(encoder, teacher)
    views = Views(drawn, 2, PLACID, (224, 168))
    stream = TaughtStream(views, look(theirs, views, tmp_path, batch=5), lambda k: k, len(views), 0, encoder.patch)
    batch = dense.collate([stream[k] for k in (0, 7, 13, 23)])
    ones = torch.ones(batch["cells"].shape[-1])
    task = DenseTask(encoder, ones, ones, 0.3, torch.ones(batch["patches"].shape[-1]), theirs).eval()
    sight = batch.pop("sight")
    elsewhere = {name: torch.from_numpy(np.roll(values.numpy(), 1, 0)) for name, values in sight.items()}
    with torch.no_grad(), autocast("cpu"):
        stored, foreign = (float(task(**batch, sight=one)["loss"]) for one in (sight, elsewhere))
        now = float(task(**batch)["loss"])
    assert abs(stored - now) < 0.002 * now
    assert abs(foreign - now) > 5 * abs(stored - now)  # what it saw elsewhere would have been told


def test_looking_goes_on_where_it_was_stopped(
    tokenizer: Any, drawn: Any, teacher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = dense_teacher(QwenEncoder(tiny(tokenizer).model.model.visual), teacher)
    views = Views(drawn, 2, PLACID, (84, 84))
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole = look(theirs, views, tmp_path / "whole", batch=1)
    real, seen = sights.view_of, []

    def dies(frames: Any, index: int, *rest: Any) -> Any:
        if len(seen) == 20:
            raise KeyboardInterrupt
        seen.append(index)
        return real(frames, index, *rest)

    monkeypatch.setattr(sights, "view_of", dies)
    with pytest.raises(KeyboardInterrupt):
        look(theirs, views, tmp_path / "killed", batch=1)
    assert (tmp_path / "killed" / sights.DONE).read_text() == "16"
    seen.clear()
    again = look(theirs, views, tmp_path / "killed", batch=1)
    assert len(seen) == 8
    assert sorted(again.held) == ["cells", "facts", "patches", "tokens"]
    for name, values in whole.held.items():
        np.testing.assert_array_equal(again.held[name], values)


def test_views_are_the_same_in_every_training_and_light_is_not(drawn: Any, tmp_path: Path) -> None:
    views = Views(drawn, 3, Strength(), SEEN)
    held = sights.Sights({"tokens": np.zeros((len(views), 1), np.int16)})
    one, two = (TaughtStream(views, held, lambda k: 5, 9, seed) for seed in (1, 2))
    assert not np.array_equal(one[0]["images"], two[0]["images"]) and not np.array_equal(
        one[0]["images"], one[1]["images"]
    )
    assert np.array_equal(one[0]["cells"], two[1]["cells"]) and np.array_equal(one[0]["images"], one[0]["images"])
    assert not np.array_equal(views[5].image, views[5 + len(drawn)].image)  # another view of the same frame
    again = Views(drawn, 3, replace(Strength(), photometric=0.2), SEEN)
    assert np.array_equal(views[5].image, again[5].image)


def test_two_trainings_look_once(
    tokenizer: Any, drawn: Any, teacher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, looks = Shared(tmp_path / "cache", "drawn"), []
    real = dense.look
    monkeypatch.setattr(dense, "look", lambda *given: looks.append(given[2]) or real(*given))
    bare = replace(drawn, has_map=np.zeros(len(drawn), bool))
    for seed in (1, 2):
        options = DenseOptions(steps=2, batch=4, seed=seed, copies=2, teacher=teacher, view=(84, 84), compile=False)
        encoder = QwenEncoder(tiny(tokenizer, seed=2).model.model.visual)
        before = [p.clone() for p in encoder.parameters()]
        pretrain(encoder, bare, options, tmp_path / str(seed), device="cpu", shared=shared)
        assert not all(torch.equal(p, q) for p, q in zip(before, encoder.parameters(), strict=True))
    assert looks[0] == looks[1] and looks[0].parent == tmp_path / "cache"
    assert (looks[0] / sights.DONE).read_text() == "24"


def test_a_teacher_tells_where_parts_are_worth_a_look(tokenizer: Any, drawn: Any, teacher: str, tmp_path: Path) -> None:
    """A box lies on the cell in which the heads see the class, and only where they do."""
    for name in ("all", "none"):
        (tmp_path / name).mkdir()
    theirs = dense_teacher(QwenEncoder(tiny(tokenizer).model.model.visual), teacher)
    with torch.no_grad():  # a head that sees cones where it is bright, and nothing else
        theirs.task.heads.cells.weight.zero_()
        theirs.task.heads.cells.bias.fill_(-9.0)
        theirs.task.heads.cells.bias[TARGETS.index("cone")] = 0.0
    found = sights.aimed(theirs, drawn, tmp_path / "all")
    assert len(found.aims) == len(drawn) and {*found.aims[0]} == {"cone"} and len(found.aims[0]["cone"]) == 144
    assert found.aims[0]["cone"][17] == [42.0, 42.0, 84.0, 84.0]
    with torch.no_grad():
        theirs.task.heads.cells.bias[TARGETS.index("cone")] = -1.0  # p = .27
    assert sights.aimed(theirs, drawn, tmp_path / "none").aims == ({},) * len(drawn)


def test_parts_say_nothing_of_facts_that_they_may_have_lost(drawn: Any) -> None:
    """Without evidence only the whole frame shows what an answer about it says."""
    blank = replace(drawn, has_map=np.zeros(12, bool), records=tuple(replace(r, objects=()) for r in drawn.records))
    rng = np.random.default_rng(0)
    whole, part = (dense.item(blank, 0, rng, PLACID, size)["facts"] for size in (SEEN, (224, 168)))
    assert (whole != UNKNOWN).any() and (part == UNKNOWN).all()
    assert (dense.item(drawn, 0, rng, PLACID, (224, 168))["facts"] != UNKNOWN).any()


def test_copies_without_a_teacher_are_refused() -> None:
    raw = {"name": "x", "model": {"size": "student"}, "stages": [{"kind": "dense", "copies": 2}]}
    with pytest.raises(InputError, match="stage 1: copies are the views at which a teacher looks once; name a teacher"):
        parse_recipe(raw)
