"""The words of questions that models are trained on: the request, one slot, the limit that may stand before them."""

from __future__ import annotations

import re

ADVISE = "Advise the driver."
LIMIT = "The speed limit here is {0} km/h."
SLOT_QUESTIONS = {
    "speed": "What speed do you recommend?",
    "light": "What does the traffic light show?",
    "obstacles": "Which obstacles are on the road?",
    "crossroad": "Is an intersection or a pedestrian crossing ahead?",
}


def slot_question(question: str, slot: str) -> str:
    """A question for the whole advisory as one for a slot: context that stands before the request stays."""
    return f"{question.removesuffix(ADVISE).rstrip()} {SLOT_QUESTIONS[slot]}".strip()


def stated_limit(question: str) -> int | None:
    """The limit in km/h that a question states in the words of `LIMIT`; None where it states none."""
    found = re.search(re.escape(LIMIT).replace(r"\{0\}", r"(\d+)"), question)
    return int(found[1]) if found else None
