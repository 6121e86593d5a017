"""The stage that optimizes a book, and the book of an evaluation: both run again when what a book says changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacenote.errors import InputError
from pacenote.prompts.book import load_book
from pacenote.recipes.prompting import Optimize
from pacenote.recipes.stages import Evaluate


@pytest.mark.parametrize("kind", [Optimize, Evaluate])
def test_a_book_counts_by_what_it_says(kind: type[Optimize] | type[Evaluate], tmp_path: Path) -> None:
    book = load_book("default")
    for name in ("a", "b"):
        book.save(tmp_path / f"{name}.yaml")
    one, two = (
        kind(model="starter-student", data="streets-test", prompts=str(tmp_path / f"{name}.yaml")) for name in "ab"
    )
    assert one.sources() == two.sources()
    assert one.settings() == two.settings()
    load_book("original").save(tmp_path / "b.yaml")
    assert one.sources() != two.sources()


def test_a_missing_book_is_named() -> None:
    with pytest.raises(InputError, match="no prompt book 'nope'"):
        Evaluate(model="starter-student", data="streets-test", prompts="nope").sources()


def test_an_evaluation_without_a_book_is_not_one_with_it() -> None:
    plain, book = (Evaluate(model="starter-student", data="streets-test", prompts=name) for name in ("", "original"))
    assert plain.settings() != book.settings()
    assert "prompts" not in plain.sources()
