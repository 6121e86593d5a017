"""Questions for one slot keep what stands before the request."""

from __future__ import annotations

from pacenote.advisory import ADVISE, SLOTS
from pacenote.prompts.slots import SLOT_QUESTIONS, slot_question
from pacenote.training import questions


def test_context_stays_and_the_request_goes() -> None:
    assert slot_question(ADVISE, "light") == "What does the traffic light show?"
    assert slot_question(f"The limit is 50. {ADVISE}", "speed") == "The limit is 50. What speed do you recommend?"
    assert slot_question("Warn me!", "speed") == "Warn me! What speed do you recommend?"


def test_models_are_trained_on_these_questions() -> None:
    assert questions.ASK_ADVICE[0] == ADVISE
    assert {slot: questions.ASK_SLOT[slot][0] for slot in SLOTS} == SLOT_QUESTIONS
