"""Rows for calibration: which tokens count, which are decisions, and that the losses are the model's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pacenote.data import Dataset
from pacenote.engine.grammar import grammar
from pacenote.errors import InputError
from pacenote.quantize.calibrate import balanced, capture, choose, decisions, dev_loss, encoded
from pacenote.training.batches import answer_rows, collate
from tests.models.tiny import FAMILY_NAMES, tiny_model
from tests.quantize.conftest import write_set


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_the_loss_is_that_of_the_whole_model(family: str, data: Path) -> None:
    model = tiny_model(family)
    samples = [Dataset.open(str(data), split="dev")[i] for i in range(2)]
    rows = capture(model, samples, "rows")
    total, count = 0.0, 0
    with torch.no_grad():
        for sample in samples:
            hidden, wanted, _ = answer_rows(model.model, collate([encoded(model, sample)], model))
            logits = model.model.get_output_embeddings()(hidden)
            each = torch.nn.functional.cross_entropy(logits, wanted, reduction="sum")
            total, count = total + float(each), count + len(wanted)
    assert dev_loss(model, rows).loss == pytest.approx(total / count, rel=1e-5)


def test_masks_hold_as_many_of_each_kind(data: Path) -> None:
    model = tiny_model("qwen2_5_vl")
    (row,) = capture(model, [Dataset.open(str(data), split="dev")[0]], "rows")
    rng = np.random.default_rng(0)
    length = len(row.image)
    assert balanced(row, "all", rng).sum() == length
    mask = balanced(row, "equal", rng)[0].bool()
    predicts = torch.zeros(length, dtype=torch.bool)
    predicts[row.start : row.start + len(row.answer)] = True
    assert mask[predicts].all()
    assert int((mask & row.image).sum()) == min(int(row.image.sum()), len(row.answer))
    mask = balanced(row, "decisions", rng)[0].bool()
    assert mask[[row.start + place for place in row.decisions]].all()
    assert int(mask.sum()) == min(2 * len(row.decisions), length)


def test_decisions_are_the_nodes_with_a_choice() -> None:
    model = tiny_model("qwen2_5_vl")
    own = grammar(model.tokenizer)
    from tests.evaluate.scripted import truth_of

    ids = model.tokenizer(truth_of(1).advisory().text(), add_special_tokens=False)["input_ids"]
    found = decisions(own.children, (*ids, model.end_id))
    assert 4 <= len(found) < len(ids) and len(ids) not in [place for place, _ in found]
    assert all(len(options) > 1 and ids[place] in options for place, options in found)
    assert decisions((), ids) == tuple((place, ()) for place in range(len(ids)))


def test_rows_are_drawn_by_seed(data: Path) -> None:
    one, same, other = ([s.id for s in choose([str(data)], "train", 5, seed, "--rows", 5)] for seed in (1, 1, 2))
    assert one == same != other and len(set(one)) == 5


def test_each_split_comes_from_the_sets_that_have_it(tmp_path: Path) -> None:
    one, other = write_set(tmp_path / "one", {"train": 3}), write_set(tmp_path / "other", {"dev": 2})
    both = [str(one), str(other)]
    assert {s.scene for s in choose(both, "train", 9, 0, "--rows", 1)} == {"train0", "train1"}
    assert {s.scene for s in choose(both, "dev", 9, 0, "--dev-rows", 1)} == {"dev0"}
    with pytest.raises(InputError, match="0 rows of split dev can be used, 1 are needed"):
        choose([str(one)], "dev", 9, 0, "--dev-rows", 1)
