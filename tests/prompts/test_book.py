"""Prompt books: what is shipped, what is refused, and that a file is read as it was written."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacenote.errors import InputError
from pacenote.prompts.book import BOOKS, Aid, Block, Book, difference, load_book
from pacenote.prompts.look import FACTS


@pytest.mark.parametrize("name", sorted(path.stem for path in BOOKS.glob("*.yaml")))
def test_what_is_shipped_can_be_read(name: str) -> None:
    assert load_book(name).name == name


def test_the_original_is_the_plain_request() -> None:
    assert load_book("original").blocks == ()
    assert load_book("original").request == "Advise the driver."


words = st.text(
    st.characters(codec="utf-8", exclude_characters="{}", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30
)
blocks = st.builds(
    Block,
    id=st.uuids().map(str),
    kind=st.sampled_from(["task", "caution", "context", "example", "definition"]),
    text=words.filter(str.strip),
    when=st.sampled_from(["always", "lights >= 2", "not night and cones > 0"]),
    slot=st.sampled_from(["", "light", "speed"]),
    active=st.booleans(),
)
aids = st.builds(
    lambda n, aid: Block(id=f"aid-{n}", kind="aid", aid=aid),
    st.uuids(),
    st.builds(Aid, show=st.sampled_from(["crop", "mark", "previous"]), least=st.floats(0, 1), most=st.integers(1, 3)),
)


@given(st.lists(st.one_of(blocks, aids), max_size=5), st.integers(1, 999))
def test_a_book_is_read_as_it_was_written(tmp_path: Path, held: list[Block], budget: int) -> None:
    book = Book("b", tuple(held), budget=budget)
    book.save(tmp_path / "b.yaml")
    again = load_book(str(tmp_path / "b.yaml"))
    assert again == book
    assert again.digest == book.digest


def test_the_digest_is_of_what_is_said() -> None:
    book = load_book("default")
    assert dataclasses.replace(book, name="x", version=9, description="").digest == book.digest
    assert dataclasses.replace(book, budget=book.budget + 1).digest != book.digest


def test_a_change_is_a_diff() -> None:
    book = load_book("default")
    changed = dataclasses.replace(book, blocks=book.blocks[1:])
    assert difference(book, book) == ""
    assert f"-- id: {book.blocks[0].id}" in difference(book, changed)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("blocks: []", "name is missing"),
        ("- 1", "mapping"),
        ("name: b\nblocks:\n- {id: a, kind: caution}", "text is missing"),
        ("name: b\nblocks:\n- {id: a, kind: aid, text: hi, aid: {show: crop}}", "has no words"),
        ("name: b\nblocks:\n- {id: a, kind: caution, text: '{limti} km/h'}", "unknown fact"),
        ("name: b\nblocks:\n- {id: a, kind: caution, text: '{'}", "cannot be filled"),
        ("name: b\nblocks:\n- {id: a, kind: caution, text: x, when: lihgts > 1}", "did you mean 'lights'"),
        ("name: b\nblocks:\n- {id: a, kind: aid, aid: {show: film}}", "unknown value film"),
        ("name: b\nblocks:\n- {id: a, kind: caution, text: x}\n- {id: a, kind: caution, text: y}", "there twice"),
        ("name: b\nbudget: 0", "at least 1 token"),
        ("name: b\nblokcs: []", "did you mean blocks"),
    ],
)
def test_one_line_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        load_book(str(file))
    assert "bad.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_lists_what_is_shipped() -> None:
    with pytest.raises(InputError, match="original"):
        load_book("defualt")


def test_every_fact_is_explained() -> None:
    assert all(FACTS.values())
