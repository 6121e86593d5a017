"""The engine says what greedy decoding under the same grammar says, on every family, whatever it tries on the way."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pacenote.advisory import SLOTS, Advisory
from pacenote.engine.decoder import ROOM, Cache, Decoder
from pacenote.engine.engine import Engine
from pacenote.engine.grammar import Grammar, grammar
from pacenote.engine.prefill import Prefill
from pacenote.engine.preprocess import Preprocess
from pacenote.errors import InputError
from pacenote.prompts.slots import slot_question
from tests.models.test_families import picture
from tests.models.tiny import FAMILY_NAMES, tiny_model

QUESTIONS = ["Advise the driver.", "The speed limit here is 50 km/h. Advise the driver.", "Warn the driver."]


@pytest.fixture(scope="module", params=FAMILY_NAMES)
def model(request: Any) -> Any:
    made = tiny_model(request.param)
    with torch.no_grad():  # random weights say the same of every picture; larger ones do not
        for parameter in made.model.parameters():
            parameter.mul_(2.0 if parameter.ndim > 1 else 1.0)
    return made


def pictures() -> list[list[Any]]:
    return [[picture(0)], [picture(1), picture(2, (112, 112))], [picture(3, (300, 300))]]


def constrained(model: Any, images: Any, question: str, own: Grammar) -> tuple[str, dict[str, float]]:
    """The greedy answer under a grammar, token by token over the whole text; and each slot's log-probability."""
    inputs = dict(model.inputs([images], [question]))
    node, tokens, logp = 0, [], dict.fromkeys(SLOTS, 0.0)
    while node != own.end:
        extra = torch.tensor([tokens], dtype=torch.long)
        whole = {**inputs, "input_ids": torch.cat([inputs["input_ids"], extra], 1)}
        whole["attention_mask"] = torch.ones_like(whole["input_ids"])
        if "mm_token_type_ids" in inputs:
            whole["mm_token_type_ids"] = torch.cat([inputs["mm_token_type_ids"], torch.zeros_like(extra)], 1)
        with torch.no_grad():
            logits = model.model(**whole).logits[0, -1].double()
        allowed = list(own.children[node])
        told = logits[allowed].log_softmax(-1)
        best = int(told.argmax())
        logp[own.slot[node]] += float(told[best])
        tokens.append(allowed[best])
        node = own.children[node][allowed[best]]
    return model.tokenizer.decode(tokens), logp


def test_exact_is_greedy_decoding_under_the_grammar(model: Any) -> None:
    engine = Engine(model, speed="greedy")
    answers = engine(pictures(), QUESTIONS)
    own = grammar(model.tokenizer)
    for images, question, answer in zip(pictures(), QUESTIONS, answers, strict=True):
        text, logp = constrained(model, images, question, own)
        assert answer.text == text == answer.advisory.text()
        for slot in SLOTS:
            assert answer.confidence is not None
            assert answer.confidence[slot] == pytest.approx(float(torch.tensor(logp[slot]).exp()), abs=1e-3)


@pytest.mark.parametrize("mode", ["exact", "parallel"])
def test_neither_width_nor_batch_nor_what_was_asked_before_matters(model: Any, mode: str) -> None:
    wide = Engine(model, mode=mode, width=60)
    told = [a.text for a in wide(pictures(), QUESTIONS)]
    for width in (0, 7):
        engine = Engine(model, mode=mode, width=width)
        for _ in range(2):  # the second time with a prior and kept words
            alone = [engine([i], [q])[0].text for i, q in zip(pictures(), QUESTIONS, strict=True)]
            assert alone == told
    passes = wide.meter.passes
    for _ in range(10):
        wide(pictures()[:1], QUESTIONS[:1])
    before = wide.meter.passes
    wide(pictures()[:1], QUESTIONS[:1])
    assert wide.meter.passes - before <= passes  # what it has often answered takes few passes


def test_parallel_asks_for_each_slot_alone(model: Any) -> None:
    answers = Engine(model, mode="parallel", speed="greedy")(pictures(), QUESTIONS)
    for images, question, answer in zip(pictures(), QUESTIONS, answers, strict=True):
        sentences = [
            constrained(model, images, slot_question(question, slot), grammar(model.tokenizer, (slot,)))[0]
            for slot in SLOTS
        ]
        assert answer.text == " ".join(sentences)


def test_the_speed_is_read_from_all_speeds(model: Any) -> None:
    for mode in ("exact", "parallel"):
        greedy = Engine(model, mode=mode, speed="greedy")(pictures(), QUESTIONS)
        mean = Engine(model, mode=mode, speed="mean", width=0)(pictures(), QUESTIONS)
        for one, other in zip(greedy, mean, strict=True):
            assert other.speeds is not None
            assert sum(other.speeds.values()) == pytest.approx(1.0, abs=1e-6)
            assert other.speeds[one.advisory.speed_kmh] == pytest.approx(one.confidence["speed"], abs=1e-3)  # type: ignore[index]
            expected = 5 * round(sum(v * p for v, p in other.speeds.items()) / 5)
            assert other.advisory.speed_kmh == expected
            assert other.advisory == Advisory.parse(other.text)
            assert [getattr(other.advisory, s) for s in SLOTS[1:]] == [getattr(one.advisory, s) for s in SLOTS[1:]]


def test_the_meter_counts_what_was_done(model: Any) -> None:
    engine = Engine(model, width=8)
    assert engine.meter.stages(model) is None
    for images, question in zip(pictures(), QUESTIONS, strict=True):
        engine([images], [question])
    told, meter = engine.meter.stages(model), engine.meter
    assert told is not None
    assert meter.calls == 3 <= meter.passes <= meter.drafted
    found = [model.inputs([i], [q]) for i, q in zip(pictures(), QUESTIONS, strict=True)]
    assert meter.prompt < sum(one["input_ids"].shape[1] for one in found) < meter.prompt + meter.drafted
    assert set(told["ms"]) == {"preprocess", "vision", "prefill", "decode"}
    assert all(told["floor_ms"][stage] > 0 for stage in ("vision", "prefill", "decode"))
    assert meter.patches > 0


def test_a_temperature_changes_confidence_alone(model: Any) -> None:
    plain, hot = (
        Engine(model, speed="greedy", temperatures=t)(pictures()[:1], QUESTIONS[:1])[0] for t in ({}, {"light": 3})
    )
    assert plain.text == hot.text
    assert plain.confidence and hot.confidence
    assert hot.confidence["light"] < plain.confidence["light"]  # type: ignore[operator]
    assert hot.confidence["obstacles"] == plain.confidence["obstacles"]


def test_the_inputs_are_those_of_the_processor(model: Any) -> None:
    preprocess = Preprocess(model)
    roles = [["frame"], ["frame", "crop"], ["frame"]]
    for _ in range(2):  # the second time from what is kept
        expected, own = model.inputs(pictures(), QUESTIONS, roles), preprocess(pictures(), QUESTIONS, roles)
        for name in set(expected) - {"mm_token_type_ids"}:
            torch.testing.assert_close(own[name], expected[name], rtol=0, atol=1e-5)
        if "positions" in own:
            found = Prefill(model, Decoder(model.family.language(model.model))).positions(expected)
            assert torch.equal(found * expected["attention_mask"], own["positions"] * expected["attention_mask"])


def test_the_decoder_is_the_language_model(model: Any) -> None:
    language = model.family.language(model.model)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 12, language.embed_tokens.weight.shape[1], generator=generator)
    positions = torch.arange(12).expand(2, -1)
    if hasattr(model.model.model, "get_rope_index"):
        positions = positions.expand(3, -1, -1)
    with torch.no_grad():
        whole = language(inputs_embeds=x, position_ids=positions, use_cache=False).last_hidden_state
        decoder, cache = Decoder(language), Cache()
        causal = torch.ones(12, 12, dtype=torch.bool).tril().expand(2, -1, -1)
        parts = [
            decoder.run(x[:, a:b], positions[..., a:b], causal[:, a:b, :b], cache, None)
            for a, b in ((0, 5), (5, 6), (6, 12))
        ]
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-4, atol=1e-5)


def test_a_cache_grows() -> None:
    cache = Cache()
    blocks = [torch.randn(1, 2, n, 4) for n in (3, ROOM, 2 * ROOM)]
    for block in blocks:
        keys, values = cache.write(0, block, -block)
        cache.length += block.shape[2]
    assert torch.equal(keys, torch.cat(blocks, 2))
    assert torch.equal(values, -torch.cat(blocks, 2))


def test_what_cannot_be_driven_is_refused(model: Any) -> None:
    with pytest.raises(InputError, match="exact or parallel"):
        Engine(model, mode="fast")
    with pytest.raises(InputError, match="without a picture"):
        Engine(model)([[]], ["Advise the driver."])
    assert Engine(model)([], []) == []
