"""Answers that a model writes freely, token by token, with a confidence for each slot: for stock checkpoints, which
were never trained on canonical text."""

import functools
import math
import re
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pacenote.advisory import SLOTS, Advisory, slot_text
from pacenote.advisory.domain import SPEEDS
from pacenote.engine.answer import Answer, with_speed
from pacenote.models.readout import SPEED, read_out

if TYPE_CHECKING:
    from PIL import Image

    from pacenote.models import Model

# Where a slot's sentence starts; the wording of canonical text first, then what stock models write.
_HEADINGS = {
    "speed": r"(?:recommended |advised )?speed(?: recommendation)?",
    "light": r"traffic lights?",
    "obstacles": r"(?:traffic cones and )?obstacles?",
    "crossroad": r"cross-?roads?",
}
_HEADING = re.compile(
    "|".join(rf"(?P<{slot}>\b{words}\b)\W{{0,4}}:\W{{0,4}}" for slot, words in _HEADINGS.items()), re.I
)


def ask(
    model: "Model",
    images: Sequence[Sequence["Image.Image"]],
    questions: Sequence[str],
    roles: Sequence[Sequence[str]] = (),
    *,
    max_new_tokens: int = 96,
    confidence: bool = True,
    speed: str = SPEED,
) -> list[Answer]:
    """Greedy answers to a batch, each question with its own images; `ms` is the time of the call divided by the batch.

    With `confidence` the log-probability of each chosen token is kept as it is chosen: one number a step and answer, so
    the memory does not grow with the vocabulary and no second pass is needed. `speed` is the rule of `models.readout`
    by which a canonical answer's speed is taken from the distribution over all speeds; "greedy" leaves it as written.
    """
    if not questions:
        return []
    start = time.perf_counter()
    if not confidence:
        texts = model.generate(images, questions, max_new_tokens, roles)
        ms = (time.perf_counter() - start) * 1000 / len(texts)
        return [Answer(text, Advisory.parse(text), None, ms) for text in texts]
    told = _generate_scored(model, images, questions, roles, max_new_tokens, speed != "greedy")
    ms = (time.perf_counter() - start) * 1000 / len(told)
    answers = []
    for pieces, logprobs, speeds in told:
        text = "".join(pieces).strip()
        advisory = Advisory.parse(text)
        answer = Answer(text, advisory, slot_confidence(pieces, logprobs, advisory), ms)
        answers.append(answer if speeds is None else with_speed(answer, speeds, speed))
    return answers


def _generate_scored(
    model: "Model",
    images: Sequence[Sequence["Image.Image"]],
    questions: Sequence[str],
    roles: Sequence[Sequence[str]],
    max_new_tokens: int,
    read_speeds: bool = False,
) -> list[tuple[list[str], list[float], dict[int, float] | None]]:
    """Per answer: the texts its tokens add and their log-probabilities, the end token left out; and, where it begins
    as a canonical advisory does, the probability of each speed."""
    import torch

    steps: list[tuple[torch.Tensor, torch.Tensor]] = []

    def record(_: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Stands last among the logits processors, so that what it sees is what greedy search chooses from."""
        best = scores.float().log_softmax(-1).max(-1)
        steps.append((best.indices, best.values))
        return scores

    tokenizer, end = model.tokenizer, model.end_id
    with torch.inference_mode():
        batch = model.inputs(images, questions, roles)
        held = model.model.generate(
            **batch,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            eos_token_id=end,
            pad_token_id=tokenizer.pad_token_id,
            logits_processor=[record],
            return_dict_in_generate=True,
        )
    ids = torch.stack([step[0] for step in steps], 1).tolist()
    logprobs = torch.stack([step[1] for step in steps], 1).tolist()

    def decode(tokens: list[int]) -> str:
        return str(tokenizer.decode(tokens, skip_special_tokens=True))

    told = []
    deltas = getattr(model.model.model, "rope_deltas", None)
    prefix, options = _speed_tokens(tokenizer) if read_speeds else ([], [])
    for row, (own, values) in enumerate(zip(ids, logprobs, strict=True)):
        length = next((i for i, token in enumerate(own) if token in (end, tokenizer.pad_token_id)), len(own))
        speeds = None
        if prefix and length > len(prefix) and own[: len(prefix)] == prefix:
            shares = read_out(model, batch["attention_mask"], held.past_key_values, row, prefix, options, deltas)
            speeds = dict(zip(SPEEDS, shares, strict=True))
        told.append((token_pieces(decode, own[:length]), values[:length], speeds))
    return told


@functools.lru_cache(maxsize=2)
def _speed_tokens(tokenizer: Any) -> tuple[list[int], list[list[int]]]:
    """Token ids with which every canonical speed sentence begins, and those of each speed up to its end."""
    sentences = [slot_text(Advisory(kmh, None, None, None), "speed") for kmh in SPEEDS]
    ids = [tokenizer(sentence, add_special_tokens=False)["input_ids"] for sentence in sentences]
    common = next(k for k in range(len(min(ids, key=len))) if len({tuple(own[: k + 1]) for own in ids}) > 1)
    return ids[0][:common], [own[common:] for own in ids]


def slot_spans(text: str) -> dict[str, tuple[int, int]]:
    """Characters [start, end) of what each slot says, heading excluded; only the slots whose heading is there."""
    found = list(_HEADING.finditer(text))
    spans: dict[str, tuple[int, int]] = {}
    for match, following in zip(found, [*found[1:], None], strict=False):
        end = following.start() if following else len(text)
        spans.setdefault(str(match.lastgroup), (match.end(), end))
    return spans


def slot_confidence(pieces: Sequence[str], logprobs: Sequence[float], advisory: Advisory) -> dict[str, float | None]:
    """Probability of each slot's words given all before them: the product over the tokens that reach into its span.

    `pieces` are the texts that the tokens add, in order. In canonical text all but the deciding tokens are certain, so
    the product is the probability of the decision itself. A long free answer gets a low one: compare within a model.
    """
    spans = slot_spans("".join(pieces))
    values: dict[str, Any] = {"speed": advisory.speed_kmh}
    values |= {slot: getattr(advisory, slot) for slot in SLOTS if slot != "speed"}
    found: dict[str, float | None] = {}
    for slot in SLOTS:
        if slot not in spans or values[slot] is None:
            found[slot] = None
            continue
        start, end = spans[slot]
        total, at = 0.0, 0
        for piece, logprob in zip(pieces, logprobs, strict=True):
            words = piece.strip()
            first = at + piece.find(words)  # white space that a token carries belongs to no slot
            if words and first < end and first + len(words) > start:
                total += logprob
            at += len(piece)
        found[slot] = round(math.exp(min(total, 0.0)), 6)
    return found


def token_pieces(decode: Callable[[list[int]], str], ids: Sequence[int]) -> list[str]:
    """The text that each token adds to those before it; characters split over tokens go to the last of them."""
    pieces: list[str] = []
    shown = ""
    for k in range(1, len(ids) + 1):
        text = decode(list(ids[:k]))
        text = text.rstrip("\ufffd") if k < len(ids) else text
        pieces.append(text[len(shown) :])
        shown = text if len(text) >= len(shown) else shown
    return pieces
