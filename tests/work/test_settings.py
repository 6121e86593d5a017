"""Inputs given on the command line: what YAML reads, and paths as they are."""

from __future__ import annotations

import pytest

from pacenote.errors import InputError
from pacenote.work.settings import parse_inputs


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("0.5", 0.5),
        ("true", True),
        ("null", None),
        ("[1, 2.5]", [1, 2.5]),
        ("a/b", "a/b"),
        ("x: y", "x: y"),
        ("[", "["),
    ],
)
def test_values_are_read_as_yaml_and_all_else_is_text(text: str, value: object) -> None:
    assert parse_inputs([f"name={text}"]) == {"name": value}


def test_a_word_without_a_value_is_refused() -> None:
    with pytest.raises(InputError, match="--set name: write NAME=VALUE"):
        parse_inputs(["name"])
