"""Edits written by an LLM behind an OpenAI-compatible server."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.errors import InputError
from pacenote.optimize.edits import EDITS, Edit, Failure
from pacenote.prompts.book import Block, Book
from pacenote.prompts.look import FACTS
from pacenote.work import say
from pacenote.work.settings import build

if TYPE_CHECKING:
    from pacenote.models.endpoint import Endpoint

SHOWN = 16  # failures
TOKENS = 2048  # of a reply
ASK = (
    "You improve the prompt book of a driving assistant. For each camera frame the blocks whose condition holds are "
    "put between the frame and the request. The assistant must answer in a fixed form: speed, traffic light, "
    "obstacles, crossroad.\n\nThe book:\n{book}\nFacts that `when` and {{braces}} may name:\n{facts}\n\n"
    "Frames that were told wrong (expected | said):\n{failures}\n\n"
    "Propose {count} single changes. Kinds: {kinds}.\n"
    'Reply with a JSON list only: [{{"edit": KIND, "what": "few words", "block": {{"id", "kind", "text", "when", '
    '"slot", "active", "aid"}}}}]. A block whose id is in the book replaces that block; any other is added. Leave out '
    "what is at its default.\n"
)


class LlmProposer:
    """Asks for edits; a reply that is no valid edit is dropped with its reason. Everything that was asked and told is
    kept in `log`, one JSON line a call; a run that is resumed takes its replies from there."""

    def __init__(self, endpoint: Endpoint, log: Path) -> None:
        self.endpoint, self.log = endpoint, log
        self.kept: dict[str, str] = {}
        if log.is_file():
            lines = (json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line.endswith("}"))
            self.kept = {line["asked"]: line["told"] for line in lines}

    def __call__(self, book: Book, failures: Sequence[Failure], count: int, rng: Any, tried: set[str]) -> list[Edit]:
        """At most `count` edits that lead to books which were not tried."""
        if count < 1:
            return []
        shown = [failures[int(k)] for k in sorted(rng.permutation(len(failures))[:SHOWN])] if failures else []
        asked = ASK.format(
            book=book.dump(), facts="\n".join(f"- {name}: {what}" for name, what in FACTS.items()),
            failures="\n".join(f"- {f.slot}: {f.expected or '?'} | {f.said or '?'}" for f in shown) or "- none",
            count=count, kinds=", ".join(f"{kind} ({what})" for kind, what in EDITS.items()),
        )  # fmt: skip
        if asked not in self.kept:
            self.kept[asked] = self.endpoint.generate([], asked, TOKENS)
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"asked": asked, "told": self.kept[asked]}, ensure_ascii=False) + "\n")
        edits, known = [], {book.digest, *tried}
        for place, item in enumerate(_items(self.kept[asked])):
            try:
                edit = read_edit(book, item, f"proposal {place + 1}")
            except InputError as error:
                say(f"dropped {error}")
                continue
            if edit.book.digest not in known:
                known.add(edit.book.digest)
                edits.append(edit)
        return edits[:count]


def read_edit(book: Book, held: Any, where: str) -> Edit:
    """An edit of `book` as an LLM writes it. Raises InputError naming what is wrong."""
    if not isinstance(held, dict) or not isinstance(held.get("block"), dict):
        raise InputError(f"{where}: needs edit, what and block")
    kind = str(held.get("edit", ""))
    if kind not in EDITS:
        raise InputError(f"{where}: unknown edit '{kind}'; the kinds are {', '.join(EDITS)}")
    block = build(Block, held["block"], where)
    ids = [one.id for one in book.blocks]
    blocks = tuple(block if one.id == block.id else one for one in book.blocks)
    after = dataclasses.replace(book, blocks=blocks if block.id in ids else (*blocks, block))
    return Edit(kind, str(held.get("what") or block.id)[:120], block.slot, after)


def _items(reply: str) -> list[Any]:
    """The JSON list in a reply, which may stand among other words."""
    start, end = reply.find("["), reply.rfind("]")
    try:
        found = json.loads(reply[start : end + 1])
    except ValueError:
        say("dropped a reply that holds no JSON list")
        return []
    return found if isinstance(found, list) else []
