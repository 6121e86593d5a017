"""Confidences are the probabilities that the model itself gives to the tokens of each slot."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacenote.advisory import SLOTS, Advisory, Light
from pacenote.engine.plain import ask, slot_confidence, slot_spans, token_pieces

TEXT = (
    "Recommended speed: 20 km/h. Traffic light: red for straight, stop and wait; green for left. "
    "Obstacles: cone and barrier, steer around them. Crossroad: intersection and pedestrian crossing, slow down."
)
ADVISORY = Advisory.parse(TEXT)


def test_spans_hold_what_each_slot_says() -> None:
    said = {slot: TEXT[a:b].strip() for slot, (a, b) in slot_spans(TEXT).items()}
    assert said == {
        "speed": "20 km/h.",
        "light": "red for straight, stop and wait; green for left.",
        "obstacles": "cone and barrier, steer around them.",
        "crossroad": "intersection and pedestrian crossing, slow down.",
    }


def test_spans_of_stock_prose() -> None:
    text = (
        "**Recommended speed**: 30 km/h\n**Traffic light**: Red light\n"
        "Traffic cones and obstacles: None\nCrossroad: None"
    )
    assert set(slot_spans(text)) == set(SLOTS)
    assert slot_spans("The road is clear.") == {}


@given(st.lists(st.integers(1, 6), min_size=5, max_size=60), st.data())
def test_confidence_is_the_product_over_the_tokens_of_the_slot(cuts: list[int], data: st.DataObject) -> None:
    pieces, at = [], 0
    while at < len(TEXT):
        size = cuts[len(pieces) % len(cuts)]
        pieces.append(TEXT[at : at + size])
        at += size
    logprobs = data.draw(st.lists(st.floats(-3, 0), min_size=len(pieces), max_size=len(pieces)))
    found = slot_confidence(pieces, logprobs, ADVISORY)
    ends = [sum(map(len, pieces[: k + 1])) for k in range(len(pieces))]
    for slot, (start, end) in slot_spans(TEXT).items():
        total = 0.0
        for piece, stop, logprob in zip(pieces, ends, logprobs, strict=True):
            letters = [i for i in range(stop - len(piece), stop) if not TEXT[i].isspace()]
            if letters and any(start <= i < end for i in letters):
                total += logprob
        assert found[slot] == pytest.approx(math.exp(total), abs=1e-5)


def test_an_unreadable_slot_has_no_confidence() -> None:
    text = "Recommended speed: soon. Traffic light: red, stop and wait."
    found = slot_confidence([text], [-0.5], Advisory(None, Light("red"), None, None))
    assert found["speed"] is None
    assert found["obstacles"] is None
    assert found["light"] == pytest.approx(math.exp(-0.5), abs=1e-6)


def test_pieces_join_to_the_text_also_across_split_characters() -> None:
    data = "40 km/h → né".encode()
    pieces = token_pieces(lambda ids: bytes(ids).decode("utf-8", "replace"), list(data))
    assert "".join(pieces) == "40 km/h → né"
    assert len(pieces) == len(data)


def test_scored_and_plain_answers_agree_and_probabilities_are_the_models_own(tiny: Any) -> None:
    import torch
    from PIL import Image

    from pacenote.engine import plain as answers

    images = [[Image.new("RGB", (112, 84), "red")], [Image.new("RGB", (140, 84), "green")]]
    questions = ["Advise the driver.", "What is the colour of the light ahead of this car?"]
    plain = ask(tiny, images, questions, max_new_tokens=12, confidence=False)
    scored = ask(tiny, images, questions, max_new_tokens=12)
    assert [a.text for a in scored] == [a.text for a in plain]
    assert all(a.confidence is None for a in plain)

    told = answers._generate_scored(tiny, images, questions, (), 12)
    for own, question, (pieces, logprobs, _) in zip(images, questions, told, strict=True):
        batch = tiny.inputs([own], [question])
        prompt = batch["input_ids"].shape[1]
        with torch.inference_mode():
            out = tiny.model.generate(**batch, max_new_tokens=12, do_sample=False)
            ids = out[:, : prompt + len(pieces)]
            extra = {k: v for k, v in batch.items() if k not in ("input_ids", "attention_mask")}
            if "mm_token_type_ids" in extra:
                zeros = torch.zeros_like(ids[:, prompt:])
                extra["mm_token_type_ids"] = torch.cat([extra["mm_token_type_ids"], zeros], 1)
            logits = tiny.model(input_ids=ids, attention_mask=torch.ones_like(ids), **extra).logits.float()
        expected = logits[0, prompt - 1 : -1].log_softmax(-1).gather(1, ids[0, prompt:, None])[:, 0]
        assert logprobs == pytest.approx(expected.tolist(), abs=2e-3)


def test_nothing_asked_nothing_answered(tiny: Any) -> None:
    assert ask(tiny, [], []) == []


def test_the_speed_follows_the_rule_and_the_text_follows_the_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A canonical answer's speed is taken from the distribution; other answers stay as written."""
    from pacenote.engine import plain as room
    from tests.models.test_families import picture
    from tests.models.tiny import tiny_model

    model = tiny_model("qwen2_5_vl")
    prefix, options = room._speed_tokens(model.tokenizer)
    assert model.tokenizer.decode(prefix).startswith("Recommended speed:") and len(options) == 27
    text = "Recommended speed: 30 km/h. Traffic light: none. Obstacles: none. Crossroad: none."
    speeds = dict.fromkeys(range(0, 135, 5), 0.0) | {30: 0.4, 50: 0.35, 70: 0.25}
    pieces = [word + " " for word in text.split(" ")]
    told = [(pieces, [-0.1] * len(pieces), speeds), (["A street."], [-0.1], None)]
    monkeypatch.setattr(room, "_generate_scored", lambda *args: told)
    images = [[picture(0)]] * 2
    for rule, kmh in (("median", 50), ("mean", 45), ("greedy", 30)):
        one, other = room.ask(model, images, ["a", "b"], speed=rule)
        assert one.advisory.speed_kmh == kmh and one.text == text.replace("30", str(kmh))
        assert one.confidence is not None and one.confidence["speed"] == speeds.get(kmh, 0.0)
        assert other.text == "A street." and other.speeds is None
