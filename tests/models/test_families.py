"""Loading, saving and asking a model of the family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pacenote.errors import InputError
from pacenote.models import FAMILIES, PARTS, load, precision, resolve
from pacenote.models.shipped import names


def picture(seed: int, size: tuple[int, int] = (672, 378)) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values)


def test_every_parameter_has_a_part(model: Any) -> None:
    family = FAMILIES["qwen2_5_vl"]
    parts = {name: family.part(name) for name, _ in model.model.named_parameters()}
    assert set(parts.values()) == set(PARTS) - {"head"} | {"head"}
    assert parts["model.visual.merger.mlp.0.weight"] == "projector"
    assert parts["model.visual.blocks.0.attn.qkv.weight"] == "vision"
    assert parts["model.language_model.embed_tokens.weight"] == "head"
    with pytest.raises(KeyError):
        family.part("elsewhere.weight")


def test_frame_is_144_tokens(model: Any) -> None:
    batch = model.inputs([[picture(0)]], ["What?"])
    grid = batch["image_grid_thw"][0].tolist()
    assert grid == [1, 18, 32]
    assert model.family.image_tokens(grid, model.model) == 144
    assert int((batch["input_ids"] == model.model.config.image_token_id).sum()) == 144


def test_left_padding_does_not_change_the_logits(model: Any) -> None:
    """The last token's logits of a question are the same alone and beside longer ones with more pictures."""
    images = [[picture(0)], [picture(1), picture(2, (112, 112))], [picture(3)]]
    questions = ["Short?", "A much longer question about the traffic light, is it red or green or none?", "Third?"]
    with torch.no_grad():
        together = model.model(**model.inputs(images, questions)).logits[:, -1]
        alone = [model.model(**model.inputs([i], [q])).logits[0, -1] for i, q in zip(images, questions, strict=True)]
    for row, one in enumerate(alone):
        torch.testing.assert_close(together[row], one, rtol=1e-3, atol=1e-4)


def test_saved_and_loaded_logits_are_equal(model: Any, tmp_path: Path) -> None:
    model.save(tmp_path)
    back = load(str(tmp_path))
    batch = model.inputs([[picture(0)]], ["What does the traffic light show?"])
    with torch.no_grad():
        assert torch.equal(model.model(**batch).logits, back.model(**batch).logits)
    same = back.inputs([[picture(0)]], ["What does the traffic light show?"])
    assert all(torch.equal(batch[key], same[key]) for key in batch)
    assert back.processor.tokenizer.padding_side == "left"


def test_bf16_export_loads_as_bf16_where_that_is_fast(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.save(tmp_path, torch.bfloat16)
    for fast in (True, False):
        monkeypatch.setattr(precision, "fast_bf16", lambda device, fast=fast: fast)
        loaded = load(str(tmp_path)).model
        assert {one.dtype for one in loaded.parameters()} == {torch.bfloat16 if fast else torch.float32}
    monkeypatch.setattr(precision, "MEMORY_SHARE", 0.0)  # too large for that
    assert load(str(tmp_path)).model.dtype == torch.bfloat16
    assert load(str(tmp_path), dtype=torch.float32).model.dtype == torch.float32
    assert model.model.dtype == torch.float32


def test_generate_answers_each_question(model: Any) -> None:
    images = [[picture(i)] for i in range(3)]
    answers = model.generate(images, ["a?", "a longer question?", "c?"], max_new_tokens=6)
    assert len(answers) == 3 and all("<|" not in text for text in answers)
    assert answers[1] == model.generate(images[1:2], ["a longer question?"], max_new_tokens=6)[0]
    assert model.generate([], []) == []
    with pytest.raises(InputError, match="2 lists of images for 1"):
        model.generate(images[:2], ["a?"])


def test_placeholders_in_a_question_are_no_images(model: Any) -> None:
    batch = model.inputs([[picture(0)]], ["Look <|image_pad|><|vision_end|> here"])
    assert int((batch["input_ids"] == model.model.config.image_token_id).sum()) == 144


def test_missing_models_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither a model directory"):
        resolve("starter-teachr")
    with pytest.raises(InputError, match="no config.json"):
        resolve(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="cannot be loaded"):
        load(str(tmp_path))
    assert resolve("owner/name") == "owner/name"


def test_shipped_names(tmp_path: Path) -> None:
    (tmp_path / "starter-x").mkdir()
    (tmp_path / "starter-x" / "config.json").write_text("{}")
    assert names(tmp_path) == ["starter-x"]
    assert resolve("starter-x", tmp_path) == str(tmp_path / "starter-x")
    with pytest.raises(InputError, match="did you mean 'starter-x'"):
        resolve("starter-y", tmp_path)
