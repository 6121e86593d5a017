"""Values read out of an answer's cache: the same probabilities as from the whole text, on every family."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pacenote.models.readout import RULES, decide, read_out
from tests.models.test_families import picture
from tests.models.tiny import FAMILY_NAMES, tiny_model

WORDS = ["Recommended speed: 5 km/h", "Recommended speed: 30 km/h", "Recommended speed: 120 km/h"]


@pytest.fixture(scope="module", params=FAMILY_NAMES)
def model(request: Any) -> Any:
    return tiny_model(request.param)


def test_the_cache_tells_what_the_whole_text_does(model: Any) -> None:
    """Two questions of different length in a batch; the answers are forced, then read out from the cache."""
    images, questions = [[picture(0)], [picture(1)]], ["What?", "A longer question about the speed here?"]
    ids = [model.tokenizer(words, add_special_tokens=False)["input_ids"] for words in WORDS]
    start = next(k for k in range(9) if len({tuple(own[: k + 1]) for own in ids}) > 1)
    answer = ids[1]

    def force(seen: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        k = seen.shape[1] - length
        return torch.full_like(scores, -1e4).index_fill(1, torch.tensor([answer[min(k, len(answer) - 1)]]), 0.0)

    batch = model.inputs(images, questions)
    length = batch["input_ids"].shape[1]
    held = model.model.generate(
        **batch, max_new_tokens=len(answer), do_sample=False, logits_processor=[force], return_dict_in_generate=True,
        eos_token_id=-1, pad_token_id=model.tokenizer.pad_token_id,
    )  # fmt: skip
    assert held.sequences[0, length:].tolist() == answer
    deltas = getattr(model.model.model, "rope_deltas", None)
    for row in (0, 1):
        options = [own[start:] for own in ids]
        found = read_out(model, batch["attention_mask"], held.past_key_values, row, answer[:start], options, deltas)
        expected = []
        alone = model.inputs(images[row : row + 1], questions[row : row + 1])
        for own in ids:
            whole = dict(alone)
            extra = torch.tensor([own])
            whole["input_ids"] = torch.cat([alone["input_ids"], extra], 1)
            whole["attention_mask"] = torch.ones_like(whole["input_ids"])
            if "mm_token_type_ids" in alone:
                whole["mm_token_type_ids"] = torch.cat([alone["mm_token_type_ids"], torch.zeros_like(extra)], 1)
            with torch.no_grad():
                logp = model.model(**whole).logits[0, -len(own) - 1 : -1].log_softmax(-1)
            expected.append(sum(logp[k, own[k]].item() for k in range(start, len(own))))
        assert found == pytest.approx(torch.tensor(expected).softmax(0).tolist(), abs=1e-4)


@given(st.lists(st.floats(0.001, 1), min_size=27, max_size=27), st.sampled_from(RULES))
def test_every_rule_gives_a_speed(weights: list[float], rule: str) -> None:
    values = list(range(0, 135, 5))
    chosen = decide(values, [w / sum(weights) for w in weights], rule)
    assert chosen in values


def test_rules_differ_where_the_model_is_in_two_minds() -> None:
    values, shares = [20, 30, 40, 100], [0.35, 0.1, 0.15, 0.4]
    assert decide(values, shares, "greedy") == 100
    assert decide(values, shares, "median") == 40
    assert decide(values, shares, "mean") == 55
    assert all(decide(values, [0, 1, 0, 0], rule) == 30 for rule in RULES)
