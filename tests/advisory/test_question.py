"""The limit that a question states is the limit that it was asked with."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pacenote.advisory import ADVISE, question, request, stated_limit


@given(st.integers(1, 200))
def test_a_stated_limit_is_read_back(limit: int) -> None:
    assert stated_limit(request(limit)) == limit
    assert request(limit).endswith(ADVISE)


def test_without_a_limit_nothing_is_stated() -> None:
    assert request(None) == ADVISE
    assert stated_limit(ADVISE) is None
    assert stated_limit("Advise the driver at 50 km/h.") is None


@given(st.text(alphabet="abc .", max_size=20).map(str.strip))
def test_what_is_given_before_the_request_is_read_back(context: str) -> None:
    assert question.given(question.asked(context)) == context


def test_of_another_question_nothing_was_given() -> None:
    assert question.given("What does the light show?") == ""
