"""The limit that a question states is the limit that it was asked with."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pacenote.advisory import ADVISE, request, stated_limit


@given(st.integers(1, 200))
def test_a_stated_limit_is_read_back(limit: int) -> None:
    assert stated_limit(request(limit)) == limit
    assert request(limit).endswith(ADVISE)


def test_without_a_limit_nothing_is_stated() -> None:
    assert request(None) == ADVISE
    assert stated_limit(ADVISE) is None
    assert stated_limit("Advise the driver at 50 km/h.") is None
