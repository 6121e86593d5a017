"""The same frames put to two models, as they are and with a hint that contradicts the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pacenote.advisory import ADVISE, Advisory, Truth, slot_text
from pacenote.advisory.domain import Light

if TYPE_CHECKING:
    from pacenote.evaluate.breakdown import Frame
    from pacenote.evaluate.source import Source
    from pacenote.models import Model

OPPOSITE = {"red": "green", "green": "red", "yellow": "green"}


@dataclass(frozen=True)
class Asked:
    """What a model said to one frame; `hint`: the slot that the question lied about, "" where it did not."""

    frame: Frame
    advisory: Advisory
    hint: str = ""


def lie(truth: Truth) -> tuple[str, str] | None:
    """A slot and words that contradict what is known of a frame: another light, or no obstacles where a cone is."""
    from pacenote.training.questions import HINT

    if truth.light_state in OPPOSITE:
        slot, said = "light", Advisory(None, Light(OPPOSITE[truth.light_state]), None, None)
    elif truth.obstacles.get("cone"):
        slot, said = "obstacles", Advisory(None, None, frozenset(), None)
    else:
        return None
    words = slot_text(said, slot).rstrip(".")
    return slot, HINT[0].format(words[0].lower() + words[1:])


def with_hint(question: str, hint: str) -> str:
    """`question` with the hint where training put hints: before the request, behind what is known."""
    return question.replace(ADVISE, f"{hint} {ADVISE}") if ADVISE in question else f"{hint} {question}"


def ask_all(
    model: Model, sources: Sequence[Source], label: str, *, limit: int | None = None, batch: int = 8
) -> list[Asked]:
    """Greedy answers of the engine's exact mode to the advisory frames of `sources`, at most `limit` of each, and to
    those with a lie in the question. Frames whose picture cannot be read are left out, the same for every model."""
    from pacenote.engine import asker
    from pacenote.errors import InputError
    from pacenote.evaluate.run import frame_of
    from pacenote.models.frames import fitted, frame_size, pixel_limit
    from pacenote.work.progress import bar

    ask = asker(model, "exact", "greedy")
    size, most = frame_size(model), pixel_limit(model)
    found: list[Asked] = []
    waiting: list[tuple[Frame, Any, str, tuple[str, ...], str]] = []

    def run() -> None:
        answers = ask([item[1] for item in waiting], [item[2] for item in waiting], [item[3] for item in waiting])
        for item, answer in zip(waiting, answers, strict=True):
            found.append(Asked(item[0], answer.advisory, item[4]))
        waiting.clear()

    total = sum(len(source.indices(limit)) for source in sources)
    with bar(label, total) as advance:
        for source in sources:
            for index, sample in source.frames(limit):
                advance(1)
                try:
                    images = fitted(sample, size)
                    frame = frame_of(index, sample, sample.question, "auto", size, most)
                except InputError:
                    continue
                waiting.append((frame, images, sample.question, sample.image_roles, ""))
                told = lie(frame.truth)
                if told is not None:
                    words = with_hint(sample.question, told[1])
                    waiting.append((frame, images, words, sample.image_roles, told[0]))
                if len(waiting) >= batch:
                    run()
        if waiting:
            run()
    if not found:
        raise InputError("--audit: no readable frame asks for an advisory; give rows of task 'advisory'")
    return found
