"""What holds for a model of any family: its parts, its placeholders, padding, saving, asking."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from pacenote.errors import InputError
from pacenote.models import PARTS, load
from pacenote.models.processor import limit_pixels
from tests.models.test_families import picture
from tests.models.tiny import FAMILY_NAMES, tiny_model


@pytest.fixture(scope="module", params=FAMILY_NAMES)
def model(request: Any) -> Any:
    return tiny_model(request.param)


QUESTIONS = ["Short?", "A much longer question about the traffic light, is it red or green or none?", "Third?"]


def pictures() -> list[list[Any]]:
    return [[picture(0)], [picture(1), picture(2, (112, 112))], [picture(3, (300, 300))]]


def test_every_parameter_has_a_part(model: Any) -> None:
    parts = {model.family.part(name) for name, _ in model.model.named_parameters()}
    assert parts == set(PARTS)
    tower = {id(p) for p in model.family.visual(model.model).parameters()}
    named = {name: p for name, p in model.model.named_parameters() if model.family.part(name) == "vision"}
    assert {id(p) for p in named.values()} <= tower
    language = {id(p) for p in model.family.language(model.model).parameters()}
    assert {id(p) for n, p in model.model.named_parameters() if model.family.part(n) == "language"} <= language


def test_the_named_linear_layers_are_those_of_the_blocks(model: Any) -> None:
    for module, names in (
        (model.family.language(model.model).layers, model.family.linear),
        (model.family.visual(model.model), model.family.vision_linear),
    ):
        found = {name.rsplit(".", 1)[-1] for name, m in module.named_modules() if isinstance(m, torch.nn.Linear)}
        assert set(names) <= found
        if module is not model.family.visual(model.model):
            assert set(names) == found


def test_a_placeholder_for_every_feature(model: Any) -> None:
    batch = model.inputs(pictures(), QUESTIONS)
    found = int((batch["input_ids"] == model.model.config.image_token_id).sum())
    assert found == model.family.features(batch, model.model.config) > 16
    assert model.family.features({"input_ids": batch["input_ids"]}, model.model.config) == 0
    hidden = model.model.model(**batch).last_hidden_state
    assert hidden.shape[:2] == batch["input_ids"].shape


def test_placeholders_in_a_question_are_no_images(model: Any) -> None:
    stray = " ".join(model.family.placeholders)
    plain, tricked = (model.inputs([[picture(0)]], [f"Look {words} here"]) for words in ("", stray))
    token = model.model.config.image_token_id
    assert (plain["input_ids"] == token).sum() == (tricked["input_ids"] == token).sum()
    assert model.prompt(0, stray).count(model.family.end) == model.prompt(0, "x").count(model.family.end)


def test_the_words_stand_in_the_prompt_in_order(model: Any) -> None:
    text = model.prompt(2, "Is it red?", ("frame", "crop"))
    assert text.index("co-driver") < text.index("crop: ") < text.index("Is it red?")


def test_left_padding_does_not_change_the_logits(model: Any) -> None:
    with torch.no_grad():
        together = model.model(**model.inputs(pictures(), QUESTIONS)).logits[:, -1]
        alone = [
            model.model(**model.inputs([i], [q])).logits[0, -1] for i, q in zip(pictures(), QUESTIONS, strict=True)
        ]
    for row, one in enumerate(alone):
        torch.testing.assert_close(together[row], one, rtol=1e-3, atol=2e-4)


def test_saved_and_loaded_logits_are_equal(model: Any, tmp_path: Path) -> None:
    model.save(tmp_path)
    back = load(str(tmp_path))
    assert back.family is model.family
    batch, same = (m.inputs(pictures(), QUESTIONS) for m in (model, back))
    assert all(torch.equal(batch[key], same[key]) for key in batch)
    with torch.no_grad():
        assert torch.equal(model.model(**batch).logits, back.model(**same).logits)


def test_answers_with_confidence(model: Any) -> None:
    from pacenote.engine.plain import ask

    answers = ask(model, pictures(), QUESTIONS, max_new_tokens=5)
    assert [a.text for a in answers] == model.generate(pictures(), QUESTIONS, 5)


def test_the_picture_matters(model: Any) -> None:
    one, two = (model.inputs([[picture(seed)]], ["What?"]) for seed in (0, 1))
    with torch.no_grad():
        assert not torch.allclose(model.model(**one).logits[0, -1], model.model(**two).logits[0, -1])


def test_fewer_pixels_are_fewer_tokens_also_after_loading(tmp_path: Path, model: Any) -> None:
    own = tiny_model(model.family.name)
    before = own.inputs([[picture(0)]], ["?"])["input_ids"].shape[1]
    limit_pixels(own.family.name, own.processor.image_processor, 20_000)
    after = own.inputs([[picture(0)]], ["?"])["input_ids"].shape[1]
    assert after < before
    own.save(tmp_path)
    assert load(str(tmp_path)).inputs([[picture(0)]], ["?"])["input_ids"].shape[1] == after
    with pytest.raises(InputError, match="less than one visual token"):
        limit_pixels(own.family.name, own.processor.image_processor, 100)
