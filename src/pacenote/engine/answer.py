"""One answer of a model."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from pacenote.advisory import Advisory
from pacenote.models.readout import decide

FIELDS = {"speed": "speed_kmh"}  # slots whose field of an Advisory has another name
_NUMBER = re.compile(r"(speed: )\d+", re.I)


@dataclass(frozen=True)
class Answer:
    """One answer. `confidence` per slot is a probability; None where the slot was not read or no heading named it.
    `speeds`: the probability of each speed, where it was read out."""

    text: str
    advisory: Advisory
    confidence: dict[str, float | None] | None
    ms: float
    speeds: dict[int, float] | None = None


def withhold(answer: Answer, least: float) -> Answer:
    """`answer` without the slots whose confidence is below `least` or not known: None in the advisory, and their
    sentences left out of the text."""
    from pacenote.advisory import SLOTS, slot_text

    told = answer.confidence or {}
    unsure = [slot for slot in SLOTS if (told.get(slot) or 0.0) < least]
    advisory = replace(answer.advisory, **{FIELDS.get(slot, slot): None for slot in unsure})
    known = [slot for slot in SLOTS if getattr(advisory, FIELDS.get(slot, slot)) is not None]
    return replace(answer, advisory=advisory, text=" ".join(slot_text(advisory, slot) for slot in known))


def with_speed(answer: Answer, speeds: dict[int, float], rule: str) -> Answer:
    """`answer` with the speed that `rule` takes from the distribution `speeds`."""
    chosen = decide(list(speeds), list(speeds.values()), rule)
    text = _NUMBER.sub(rf"\g<1>{chosen}", answer.text, count=1)
    confidence = {**(answer.confidence or {}), "speed": round(speeds.get(chosen, 0.0), 6)}
    return Answer(text, replace(answer.advisory, speed_kmh=chosen), confidence, answer.ms, speeds)
