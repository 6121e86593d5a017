"""The words of questions for one slot."""

from __future__ import annotations

from pacenote.advisory import ADVISE

SLOT_QUESTIONS = {
    "speed": "What speed do you recommend?",
    "light": "What does the traffic light show?",
    "obstacles": "Which obstacles are on the road?",
    "crossroad": "Is an intersection or a pedestrian crossing ahead?",
}


def slot_question(question: str, slot: str) -> str:
    """A question for the whole advisory as one for a slot: context that stands before the request stays."""
    return f"{question.removesuffix(ADVISE).rstrip()} {SLOT_QUESTIONS[slot]}".strip()
