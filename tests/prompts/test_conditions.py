"""Conditions of blocks: what may stand in them, and that unknown facts never make one true."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacenote.errors import InputError
from pacenote.prompts.conditions import check, holds, told

FACTS = {"lights": 2, "night": True, "weather": "rain", "limit": None, "light": 0.4}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("always", True),
        ("lights >= 2", True),
        ("lights >= 2 and not night", False),
        ("weather == 'rain' or lights > 5", True),
        ("weather in ('snow', 'fog')", False),
        ("0.1 < light <= 0.5", True),
        ("limit > 30", False),
        ("not limit", True),
        ("limit != 30", False),  # not known is not different
        ("weather > 3", False),
        ("light > -1", True),
    ],
)
def test_what_holds(condition: str, expected: bool) -> None:
    assert holds(condition, FACTS) is expected


@pytest.mark.parametrize(
    "bad", ["lights +", "__import__('os')", "lights.real", "[1]", "lambda: 1", "lights if night else 0", ""]
)
def test_anything_else_is_refused(bad: str) -> None:
    with pytest.raises(InputError, match="condition"):
        check(bad, FACTS)


def test_an_unknown_fact_names_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'lights'"):
        check("light_s >= 2", ["lights", "night"])


def test_reasons_name_the_facts() -> None:
    assert told("lights >= 2 and limit", FACTS) == "lights = 2, limit = unknown"


@given(st.text(max_size=40))
def test_no_text_does_anything_but_hold_or_be_refused(text: str) -> None:
    try:
        assert holds(text, FACTS) in (True, False)
    except InputError:
        pass
    except (RecursionError, MemoryError):  # of Python's own parser, on nonsense
        pass
