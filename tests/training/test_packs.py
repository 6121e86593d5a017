"""Packs give what separate sequences give, and train answers alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pacenote.errors import PacenoteError
from pacenote.training.packs import IGNORE, Packer, answer_loss, collate_packs, embed, hidden_states
from pacenote.training.questions import Ask, ask
from pacenote.training.sft import draw_asks
from tests.training.conftest import tiny

FRAME, CROP = (1, 18, 32), (1, 12, 12)


def asks_of(drawn: Any, count: int = 3, seed: int = 0) -> list[Ask]:
    rng = np.random.default_rng(seed)
    return [one for one in (ask(r, rng, 672.0) for r in drawn.records) if one][:count]


@pytest.mark.parametrize("grids", [(FRAME,), (FRAME, CROP)])
def test_packed_branches_equal_transformers_on_separate_sequences(model: Any, drawn: Any, grids: Any) -> None:
    """Logits at every answer token of a packed branch = stock forward of that question alone, pixels and all."""
    rng = np.random.default_rng(1)
    sizes = [(g[2] * 14, g[1] * 14) for g in grids]
    images = [Image.fromarray(rng.integers(0, 255, (h, w, 3), dtype=np.uint8)) for w, h in sizes]
    asks = asks_of(drawn)
    packer = Packer(model)
    batch = collate_packs([packer.pack(asks, grids)], 0)
    alone = []
    with torch.no_grad():
        inputs = model.inputs([images], [asks[0].question])
        tokens = model.model.model.visual(inputs["pixel_values"], inputs["image_grid_thw"]).pooler_output
        hidden = hidden_states(
            model.model, embed(model.model, batch["input_ids"], tokens), batch["positions"], batch["segments"]
        )
        packed = model.model.lm_head(hidden[batch["labels"] != IGNORE])
        for one in asks:
            inputs = model.inputs([images], [one.question])
            answer = torch.tensor([packer.branch(one, len(grids))[1]])
            length = answer.shape[1]
            inputs["input_ids"] = torch.cat([inputs["input_ids"], answer], 1)
            inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
            inputs["mm_token_type_ids"] = (inputs["input_ids"] == packer.image_id).int()
            alone.append(model.model(**inputs).logits[0, -length - 1 : -1])
    torch.testing.assert_close(packed, torch.cat(alone), rtol=1e-3, atol=1e-4)


def test_labels_are_the_answers_and_nothing_else(model: Any, drawn: Any) -> None:
    packer, tokenizer = Packer(model), model.processor.tokenizer
    for seed in range(20):
        asks = asks_of(drawn, 4, seed)
        pack = packer.pack(asks, (FRAME,))
        assert not (pack.labels == packer.image_id).any()
        assert (pack.labels[pack.segments == 0] == IGNORE).all()
        for number, one in enumerate(asks, 1):
            own = pack.labels[pack.segments == number]
            said = tokenizer.decode(own[own != IGNORE])
            assert said == one.text + "<|im_end|>"


def test_answer_pieces_tokenise_as_the_whole_answer(model: Any, drawn: Any) -> None:
    packer = Packer(model)
    for seed in range(20):
        for one in asks_of(drawn, 12, seed):
            assert packer.branch(one, 1)[1][:-1] == packer._encode(one.text)


def test_unknown_words_have_no_label(model: Any) -> None:
    packer, tokenizer = Packer(model), model.processor.tokenizer
    pack = packer.pack([Ask("advisory", "Advise the driver.", (("Known words.", 1.0), (" Guessed.", 0.0)))], (FRAME,))
    labels = pack.labels[pack.labels != IGNORE]
    assert tokenizer.decode(labels) == "Known words.<|im_end|>"
    assert tokenizer.decode(pack.ids).count("Guessed") == 1


def test_an_image_token_in_an_answer_is_refused(model: Any) -> None:
    with pytest.raises(PacenoteError, match="image token became a label"):
        Packer(model).pack([Ask("given", "What?", (("<|image_pad|>", 1.0),))], (FRAME,))


def test_token_count_must_match(model: Any, drawn: Any) -> None:
    batch = collate_packs([Packer(model).pack(asks_of(drawn), (FRAME,))], 0)
    with pytest.raises(PacenoteError, match="144 image placeholders for 143"):
        embed(model.model, batch["input_ids"], torch.zeros(143, 32))


def test_branches_do_not_see_each_other(model: Any, drawn: Any) -> None:
    """The loss of a branch does not change with what stands beside it, nor with padding."""
    packer = Packer(model)
    asks = asks_of(drawn, 3)
    tokens = torch.randn(144, 32, generator=torch.Generator().manual_seed(0))

    def summed(own: list[Ask], multiple: int) -> float:
        batch = collate_packs([packer.pack(own, (FRAME,))], 0, multiple)
        with torch.no_grad():
            return float(answer_loss(model.model, embed(model.model, batch["input_ids"], tokens), batch, 1))

    assert summed(asks, 32) == pytest.approx(sum(summed([one], 7) for one in asks), rel=1e-4)


def test_accumulated_batches_equal_one_batch(tokenizer: Any, drawn: Any) -> None:
    """Gradients of 4 packs at once = of 4 x 1, with answers of different lengths."""
    model = tiny(tokenizer)
    packer = Packer(model)
    rng = np.random.default_rng(0)
    packs = [packer.pack(draw_asks(r, rng, 2, 672.0), (FRAME,)) for r in drawn.records[:4]]
    tokens = torch.randn(4, 144, 32, generator=torch.Generator().manual_seed(0))
    items = sum(int((p.labels != IGNORE).sum()) for p in packs)

    def gradient(groups: list[list[int]]) -> torch.Tensor:
        model.model.zero_grad()
        for rows in groups:
            batch = collate_packs([packs[r] for r in rows], 0)
            embeds = embed(model.model, batch["input_ids"], tokens[rows].flatten(0, 1))
            answer_loss(model.model, embeds, batch, items).backward()
        return model.model.model.language_model.layers[0].mlp.up_proj.weight.grad.clone()

    torch.testing.assert_close(gradient([[0, 1, 2, 3]]), gradient([[0], [1], [2], [3]]), rtol=1e-3, atol=1e-6)
