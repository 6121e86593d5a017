"""The small tokenizer reads and writes any text and keeps canonical words whole."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pacenote.models.tokenizer import SPECIAL, canonical_texts, train_tokenizer

_SMALL: list[Any] = []


def small() -> Any:
    if not _SMALL:
        _SMALL.append(train_tokenizer(canonical_texts(), 512))
    return _SMALL[0]


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_text_survives(text: str) -> None:
    tokenizer = small()
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    if not any(token in text for token in SPECIAL):
        assert tokenizer.decode(ids) == text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def test_canonical_advisories_are_short_and_exact() -> None:
    tokenizer = small()
    for text in list(canonical_texts())[4::97]:
        ids = tokenizer(text)["input_ids"]
        assert tokenizer.decode(ids) == text
        assert len(ids) < len(text) / 2


def test_special_tokens_are_single() -> None:
    tokenizer = small()
    for token in SPECIAL:
        assert len(tokenizer(token, add_special_tokens=False)["input_ids"]) == 1
    assert tokenizer.image_token == "<|image_pad|>" and tokenizer.eos_token == "<|im_end|>"
    assert len(tokenizer) <= 512


def test_training_is_deterministic() -> None:
    again = train_tokenizer(canonical_texts(), 512)
    assert again.get_vocab() == small().get_vocab()
