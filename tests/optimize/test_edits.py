"""The edit table and an LLM's proposals: each edit is one valid change, drawn by what fails."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pacenote.errors import InputError
from pacenote.optimize.edits import EDITS, Failure, every_edit, propose
from pacenote.optimize.llm import LlmProposer, read_edit
from pacenote.prompts.book import Book, load_book

LIGHT = Failure("f1", "light", "Traffic light: red, stop and wait.", "Traffic light: none.")


def test_each_edit_is_one_change_of_a_kind() -> None:
    book = load_book("default")
    edits = list(every_edit(book, [LIGHT]))
    assert {edit.kind for edit in edits} == set(EDITS) - {"search"}
    assert len({edit.book.digest for edit in edits}) == len(edits)
    for edit in edits:
        assert edit.book.digest != book.digest
        before, after = ({one.id: one for one in own.blocks} for own in (book, edit.book))
        assert sum(before.get(name) != after.get(name) for name in before.keys() | after.keys()) == 1
        assert Book.from_dict(edit.book.to_dict()) == edit.book


def test_edits_of_failing_slots_are_drawn_most() -> None:
    book = load_book("default")
    drawn = Counter(
        edit.slot for seed in range(40) for edit in propose(book, [LIGHT] * 9, 3, np.random.default_rng(seed))
    )
    assert drawn["light"] > 2 * max(count for slot, count in drawn.items() if slot != "light")


def test_what_was_tried_does_not_come_again() -> None:
    book, tried = load_book("default"), set[str]()
    for _ in range(100):
        edits = propose(book, [LIGHT], 5, np.random.default_rng(0), tried)
        if not edits:
            break
        assert not tried & {edit.book.digest for edit in edits}
        tried |= {edit.book.digest for edit in edits}
    assert len(tried) == len(list(every_edit(book, [LIGHT])))


def test_the_same_seed_proposes_the_same() -> None:
    one, two = (propose(load_book("default"), [LIGHT], 6, np.random.default_rng(4)) for _ in range(2))
    assert one == two


class Served:
    """As much of an endpoint as a proposer needs."""

    def __init__(self, reply: str) -> None:
        self.reply, self.calls = reply, 0

    def generate(self, images: list[object], question: str, tokens: int) -> str:
        self.calls += 1
        assert "Traffic light: red" in question
        assert "light-crop" in question
        return self.reply


def test_an_llm_proposes_blocks_and_what_is_none_is_dropped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    caution = {"kind": "caution", "slot": "light"}
    reply = "Sure:\n" + json.dumps([
        {"edit": "clarify", "what": "own lane", "block": {**caution, "id": "own-lane", "text": "Own lane!"}},
        {"edit": "aid", "what": "bad", "block": {"id": "x", "kind": "aid", "aid": {"show": "film"}}},
        {"edit": "poem", "what": "bad", "block": {"id": "y", "kind": "task", "text": "t"}},
        "no edit",
        {"edit": "context", "what": "speed", "block": {"id": "kmh", "kind": "context", "text": "{speed} km/h"}},
    ])  # fmt: skip
    served = Served(reply)
    propose_llm = LlmProposer(served, tmp_path / "log.jsonl")  # type: ignore[arg-type]
    book = load_book("default")
    edits = propose_llm(book, [LIGHT], 4, np.random.default_rng(0), set())
    assert [edit.words for edit in edits] == ["own lane", "speed"]
    assert edits[0].book.block("own-lane").text == "Own lane!"
    assert edits[1].book.blocks[-1].id == "kmh"
    assert capsys.readouterr().err.count("dropped") == 3
    again = LlmProposer(served, tmp_path / "log.jsonl")  # type: ignore[arg-type]
    assert again(book, [LIGHT], 4, np.random.default_rng(0), set()) == edits
    assert served.calls == 1


def test_no_json_is_no_proposal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = LlmProposer(Served("I cannot."), tmp_path / "log.jsonl")  # type: ignore[arg-type]
    assert told(load_book("default"), [LIGHT], 2, np.random.default_rng(0), set()) == []
    assert "no JSON" in capsys.readouterr().err


def test_an_edit_without_a_block_is_named() -> None:
    with pytest.raises(InputError, match="proposal 1: needs"):
        read_edit(load_book("default"), {"edit": "clarify"}, "proposal 1")
