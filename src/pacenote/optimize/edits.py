"""The typed edit table: what may be changed in a book, and which failures call for it (paper A, section 3.1: clarify
the task, refine descriptions, add examples; visual elements for lights, context for the speed)."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pacenote.prompts.book import Aid, Block, Book

EDITS: dict[str, str] = {
    "clarify": "say the task or a caution of the failing slot",
    "refine": "change what an aid shows: how sure, how wide, how many",
    "example": "show an answer of a kind that was missed",
    "aid": "show a part of the frame, a mark or the frame before",
    "context": "state a signal",
    "drop": "leave out a block",
    "search": "what another optimizer found",
}
_KIND = {"task": "clarify", "definition": "clarify", "caution": "clarify"}
OTHER = 0.1  # weight of an edit for a slot without failures, against the share of failures of one with all


@dataclass(frozen=True)
class Failure:
    """A slot of a frame that was told wrong: the sentences that were expected and said."""

    frame: str
    slot: str
    expected: str
    said: str


@dataclass(frozen=True)
class Edit:
    """One change of a book: its kind (of EDITS), what it does in words, the slot that it serves ("" all) and the book
    after it."""

    kind: str
    words: str
    slot: str
    book: Book


def propose(book: Book, failures: Sequence[Failure], count: int, rng: Any, tried: Collection[str] = ()) -> list[Edit]:
    """At most `count` edits that lead to books which were not `tried` (digests), drawn with a weight by how often their
    slot fails. `rng` is a numpy Generator."""
    share = Counter(failure.slot for failure in failures)
    total = max(1, sum(share.values()))
    known = {book.digest, *tried}
    pool = []
    for edit in every_edit(book, failures):
        if edit.book.digest not in known:
            known.add(edit.book.digest)
            pool.append(edit)
    weights = [OTHER + (share[edit.slot] / total if edit.slot else 0.25) for edit in pool]
    chosen: list[Edit] = []
    while pool and len(chosen) < count:
        place = int(rng.choice(len(pool), p=[weight / sum(weights) for weight in weights]))
        chosen.append(pool.pop(place))
        weights.pop(place)
    return chosen


def every_edit(book: Book, failures: Sequence[Failure] = ()) -> Iterator[Edit]:
    """All single edits of `book`, in a fixed order."""
    for block in book.blocks:
        if not block.active:
            kind = _KIND.get(block.kind, block.kind)
            yield Edit(kind, f"use {block.id}", block.slot, _with(book, dataclasses.replace(block, active=True)))
            continue
        yield Edit("drop", f"leave out {block.id}", block.slot, _with(book, dataclasses.replace(block, active=False)))
        if block.aid is not None:
            for words, aid in _refined(block.aid):
                changed = dataclasses.replace(block, aid=aid)
                yield Edit("refine", f"{block.id}: {words}", block.slot, _with(book, changed))
    yield from _examples(book, failures)


def _refined(aid: Aid) -> Iterator[tuple[str, Aid]]:
    if aid.show == "previous":
        return
    for factor in (1 / 3, 3.0):
        least = round(aid.least * factor, 4)
        if least <= 0.95 and aid.of != "nothing":
            yield f"least {least:g}", dataclasses.replace(aid, least=least)
    if aid.show == "crop":
        for factor in (2 / 3, 1.5):
            width = round(aid.width * factor, 4)
            if 0.04 <= width <= 0.6:
                yield f"width {width:g}", dataclasses.replace(aid, width=width)
        for most in (aid.most - 1, aid.most + 1):
            if 1 <= most <= 3:
                yield f"most {most}", dataclasses.replace(aid, most=most)


def _examples(book: Book, failures: Sequence[Failure]) -> Iterator[Edit]:
    """The answer that was missed most often, of each slot, as an example."""
    if any(block.kind == "example" and block.active for block in book.blocks):
        return
    for slot in dict.fromkeys(failure.slot for failure in failures):
        missed = Counter(f.expected for f in failures if f.slot == slot and f.expected)
        if missed:
            answer = missed.most_common(1)[0][0].replace("{", "{{").replace("}", "}}")
            block = Block(f"example-{slot}", "example", f"Example: {answer}", slot=slot)  # type: ignore[arg-type]
            others = tuple(one for one in book.blocks if one.id != block.id)
            yield Edit(
                "example", f"show an example: {answer}", slot, dataclasses.replace(book, blocks=(*others, block))
            )


def _with(book: Book, changed: Block) -> Book:
    blocks = tuple(changed if block.id == changed.id else block for block in book.blocks)
    return dataclasses.replace(book, blocks=blocks)
