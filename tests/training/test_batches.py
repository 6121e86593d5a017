"""Prompt and answer as inputs, on every family: labels, padding, placeholders, batches that equal single rows."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pacenote.errors import InputError
from pacenote.training.batches import IGNORE, answer_rows, collate, encode
from tests.models.test_families import picture
from tests.models.tiny import FAMILY_NAMES, tiny_model

PIECES = [("Recommended speed: 20 km/h.", 1.0), (" Traffic light: red,", 0.0), (" stop and wait.", 0.5)]


@pytest.fixture(scope="module", params=FAMILY_NAMES)
def model(request: Any) -> Any:
    return tiny_model(request.param)


def rows(model: Any) -> list[Any]:
    return [
        encode(model, "a", [picture(0)], "Advise the driver.", PIECES),
        encode(model, "b", [picture(1), picture(2, (112, 112))], "Is the light red or green?", [("red", 1.0)]),
        encode(model, "c", [], "Hello?", [("None.", 1.0)]),
    ]


def test_labels_are_the_answers_and_nothing_else(model: Any) -> None:
    batch = collate(rows(model), model)
    labels = batch["labels"]
    assert (labels != model.model.config.image_token_id).all()
    for row, one in zip(labels, rows(model), strict=True):
        learnt = [token for token, weight in zip(one.answer, one.weights, strict=True) if weight]
        assert row[row != IGNORE].tolist() == learnt
    said = model.tokenizer.decode(labels[0][labels[0] != IGNORE])
    assert said == "Recommended speed: 20 km/h. stop and wait." + model.family.end
    assert (batch["label_weights"][labels != IGNORE] > 0).all()


def test_the_tokens_are_those_of_the_prompt_and_then_the_answer(model: Any) -> None:
    one = rows(model)[0]
    batch = collate([one], model)
    plain = model.inputs([[picture(0)]], ["Advise the driver."])["input_ids"][0].tolist()
    assert batch["input_ids"][0].tolist() == [*plain, *one.answer]


def test_padding_side_and_company_do_not_matter(model: Any) -> None:
    own = rows(model)
    with torch.no_grad():
        alone = [answer_rows(model.model, collate([row], model)) for row in own]
        for side in ("right", "left"):
            hidden, labels, weights = answer_rows(model.model, collate(own, model, side))
            assert torch.equal(labels, torch.cat([a[1] for a in alone]))
            assert torch.equal(weights, torch.cat([a[2] for a in alone]))
            torch.testing.assert_close(hidden, torch.cat([a[0] for a in alone]), rtol=1e-3, atol=2e-4)


def test_the_rows_are_the_models_own_logits(model: Any) -> None:
    batch = collate(rows(model)[:1], model)
    inputs = {k: v for k, v in batch.items() if k not in ("labels", "label_weights")}
    with torch.no_grad():
        hidden, labels, _ = answer_rows(model.model, batch)
        logits = model.model(**inputs).logits[0]
    at = torch.nonzero(batch["labels"][0] != IGNORE)[:, 0]
    torch.testing.assert_close(model.model.get_output_embeddings()(hidden), logits[at - 1], rtol=1e-3, atol=1e-4)
    assert labels.tolist() == batch["input_ids"][0][at].tolist()


def test_a_placeholder_in_an_answer_is_refused(model: Any) -> None:
    token = model.tokenizer.convert_ids_to_tokens(model.model.config.image_token_id)
    with pytest.raises(InputError, match="sample x: its answer holds an image placeholder"):
        encode(model, "x", [picture(0)], "What?", [(f"I see {token}", 1.0)])


def test_a_truncated_prompt_is_refused(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = type(model).inputs

    def cut(self: Any, *args: Any, **more: Any) -> Any:
        batch = whole(self, *args, **more)
        batch["input_ids"] = batch["input_ids"][:, 30:60]
        return batch

    monkeypatch.setattr(type(model), "inputs", cut)
    with pytest.raises(InputError, match=r"sample x: \d+ image placeholders for \d+ visual features"):
        encode(model, "x", [picture(0)], "What?", [("Nothing.", 1.0)])
