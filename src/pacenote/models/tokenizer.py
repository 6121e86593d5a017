"""A small byte-level BPE tokenizer with Qwen's special tokens, trained on the words that advisories are made of.

A vocabulary of hundreds keeps the embedding of a starter model small. Any text still encodes: the 256 bytes are in it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# The first 22 of Qwen2.5's added tokens, in its order.
SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip


def canonical_texts() -> Iterator[str]:
    """Every word and phrase of canonical advisories: each speed, light, obstacle pair and crossroad set."""
    from pacenote.advisory import CROSSROADS, LIGHT_STATES, MOVEMENTS, OBSTACLES, PLACES, Advisory, Light, slot_text
    from pacenote.advisory.domain import SPEEDS

    lights = [Light("none")]
    others: list[tuple[str, str] | None] = [None, *itertools.product(LIGHT_STATES[1:], MOVEMENTS[1:])]
    for state, movement, place, other in itertools.product(LIGHT_STATES[1:], MOVEMENTS, PLACES, others):
        lights.append(Light(state, movement, place, other))
    sets = [frozenset(pair) for pair in itertools.product(OBSTACLES, repeat=2)] + [frozenset()]
    crossings = [frozenset(pair) for pair in itertools.product(CROSSROADS, repeat=2)] + [frozenset()]
    for index in range(max(len(lights), 4 * len(SPEEDS))):
        advisory = Advisory(
            SPEEDS[index % len(SPEEDS)],
            lights[index % len(lights)],
            sets[index % len(sets)],
            crossings[index % len(crossings)],
        )
        yield from (slot_text(advisory, slot) for slot in ("speed", "light", "obstacles", "crossroad"))
        yield advisory.text()


def train_tokenizer(texts: Iterable[str], vocab_size: int = 768) -> PreTrainedTokenizerBase:
    """Train on `texts`. Deterministic for the same texts. The vocabulary holds at most `vocab_size` tokens, special
    ones included (at least 256 bytes + the special tokens)."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    # Digits one by one, as in Qwen2.5: a speed is read from its figures, and an unseen number is no rare token.
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token=None,
        bos_token=None,
        padding_side="left",
        extra_special_tokens={
            "image_token": "<|image_pad|>",
            "video_token": "<|video_pad|>",
            "vision_bos_token": "<|vision_start|>",
            "vision_eos_token": "<|vision_end|>",
        },
        clean_up_tokenization_spaces=False,
        model_max_length=32768,
    )
