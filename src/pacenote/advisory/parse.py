"""Any text -> Advisory: canonical text, JSON (fenced, nested, broken), headed lines or markdown, else free prose.

How: canonical text is read exactly. Otherwise the text is cut at its slot headings ("Traffic cones and obstacles:",
"## Intersection", `"light":`), whatever their order, and each piece goes to the slot's reader. What stands under no
heading is read as prose, where a slot needs stronger evidence. The first piece that can be read wins. Every pattern has
bounded repeats and only the first `LIMIT` characters are read, so that junk costs no more than its length.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from pacenote.advisory.domain import SLOTS, Advisory, Light
from pacenote.advisory.headings import FOREIGN, NAME, SLOT_OF
from pacenote.advisory.read_kinds import read_kinds
from pacenote.advisory.read_light import read_light
from pacenote.advisory.read_speed import read_speed
from pacenote.advisory.text import read_canonical

LIMIT = 32_768  # characters; longer than any answer, short enough for a stuck model's output


def parse(text: str) -> Advisory:
    """Read an advisory from any str; a slot that cannot be read is None. Never raises on a str."""
    canonical = read_canonical(text[:LIMIT])
    if canonical is not None:
        return canonical
    text = text[text.rfind("</think>") + 8 :] if "</think>" in text else text
    text = unicodedata.normalize("NFKC", text[:LIMIT])[:LIMIT]
    value = _find_json(text)
    if value is not None:
        read = _read_json(value)
        if read is not None:
            return read
    return _assemble(*_cut(_plain(text)))


def _read_json(value: dict[str, Any]) -> Advisory | None:
    try:
        return Advisory.from_dict(value)
    except ValueError:
        pass
    try:
        pieces = _json_pieces(value)
    except RecursionError:  # nested deeper than the stack
        return None
    return _assemble(pieces, prose="") if pieces else None


@dataclass(frozen=True)
class _Piece:
    """What was said under one heading. `kind`: the heading names this one kind of the slot ("Cones: yes").
    `weak`: a heading that may mean something else ("Speed limit")."""

    slot: str
    said: str
    kind: str | None = None
    weak: bool = False
    unit: str = ""
    light: Light | None = None


def _assemble(pieces: list[_Piece], prose: str) -> Advisory:
    slots: dict[str, Any] = dict.fromkeys(SLOTS)
    for weak in (False, True):
        for piece in pieces:
            if piece.weak == weak and piece.kind is None and slots[piece.slot] is None:
                slots[piece.slot] = _read(piece)
    for piece in pieces:  # "Cones: yes. Pedestrians: no." adds to whatever the slot says
        if piece.kind is not None:
            named = read_kinds(piece.said, piece.slot, kind=piece.kind)
            if named is not None:
                slots[piece.slot] = named | (slots[piece.slot] or frozenset())
    if prose:
        for slot in SLOTS:
            if slots[slot] is None and not any(piece.slot == slot for piece in pieces):
                slots[slot] = _read(_Piece(slot, prose), headed=False)
    return Advisory(slots["speed"], slots["light"], slots["obstacles"], slots["crossroad"])


def _read(piece: _Piece, headed: bool = True) -> Any:
    if piece.slot == "speed":
        return read_speed(piece.said, headed=headed, unit=piece.unit)
    if piece.slot == "light":
        return piece.light or read_light(piece.said, headed=headed)
    return read_kinds(piece.said, piece.slot, headed=headed)


_MARKUP = str.maketrans(
    {
        **dict.fromkeys('*`#>"{}[]~\\\u201c\u201d\t\r\f\v\u00a0_', " "),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
        **dict.fromkeys("\u2018\u2019", "'"),
        "\u2022": "\n",
    }
)
_TITLE_LINE = re.compile(r"^ {0,3}(?:#{1,6} {0,3}([^\n:]{2,60}?)#{0,6}|\*\*([^\n:*]{2,60})\*\*) *$", re.MULTILINE)
_BULLET = re.compile(r"^ ?(?:(?:[-+|]|[0-9]{1,2}[.)](?= )) ?)?", re.MULTILINE)


def _plain(text: str) -> str:
    """Lower case without markup, bullets or runs of blanks; a title line becomes a heading with a colon."""
    text = _TITLE_LINE.sub(lambda title: f"{title[1] or title[2]}:", text)
    text = _BULLET.sub("", re.sub(r" {2,}", " ", text.lower().translate(_MARKUP)))
    return re.sub(r"[ |]+$", "", text, flags=re.MULTILINE).strip()


@dataclass(frozen=True)
class _Heading:
    start: int
    end: int
    slot: str  # "" for a heading that is none of ours: it only ends the piece before it
    kind: str | None = None
    weak: bool = False
    unit: str = ""


def _cut(plain: str) -> tuple[list[_Piece], str]:
    """Pieces under headings, and the prose: what stands under none (with a single slot's heading, also what follows its
    first sentence, for that is where a chatty answer goes on)."""
    marks = _headings(plain)
    lonely = len({mark.slot for mark in marks if mark.slot}) == 1
    pieces: list[_Piece] = []
    prose = [plain[: marks[0].start] if marks else plain]
    for i, mark in enumerate(marks):
        said = plain[mark.end : marks[i + 1].start if i + 1 < len(marks) else len(plain)].strip(" ,;\n")
        if mark.slot:
            pieces.append(_Piece(mark.slot, said, mark.kind, mark.weak, mark.unit))
            said = said.partition(". ")[2] if lonely else ""
        prose.append(said)
    return pieces, "\n".join(prose).strip()


def _headings(plain: str) -> list[_Heading]:
    """Slot headings and foreign ones, in the order of the text."""
    ours = [heading for match in NAME.finditer(plain) if (heading := _heading(plain, match)) is not None]
    found = {heading.start: heading for heading in ours}
    inside = {plain.rfind("\n", 0, heading.start) + 1 for heading in ours}
    for match in FOREIGN.finditer(plain):
        if match.start() not in inside and match.start() not in found:
            found[match.start()] = _Heading(match.start(), match.end(), "")
    return [found[start] for start in sorted(found)]


def _heading(plain: str, match: re.Match[str]) -> _Heading | None:
    slot, kind, strong = SLOT_OF[match.lastgroup or ""]
    before = plain[max(0, match.start() - 12) : match.start()]
    starts_line = not before or before.endswith("\n")
    tail = _TAIL.match(plain, match.end())
    if tail is None or (tail["sign"] == "-" and not starts_line):
        return None
    if strong and _DETERMINER.search(before):
        return None  # "no traffic light: go on" is a sentence
    if not strong and not starts_line and not before.rstrip(" ").endswith((".", ",", ";", "|")):
        return None
    whole = match[0] + tail[0]
    return _Heading(
        match.start(), tail.end(), slot, kind, weak=not strong and kind is None, unit="mph" if "mph" in whole else ""
    )


_TAIL = re.compile(r" ?(?:\([^()\n]{0,30}\))? ?(?:(?P<sign>[:=|]|-(?= )))")
_DETERMINER = re.compile(r"\b(?:no|any|a|an|red|green|yellow|amber|without) $")


def _find_json(text: str) -> dict[str, Any] | None:
    """The first JSON object that can be read, alone, fenced or within prose."""
    start = text.find("{")
    decoder = json.JSONDecoder()
    for _ in range(4):
        if start < 0:
            return None
        try:
            value, _end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            start = text.find("{", start + 1)
            continue
        return value if isinstance(value, dict) and value else None
    return None


def _json_pieces(value: dict[str, Any]) -> list[_Piece]:
    """Pieces of an object whose keys are named like our slots, at any depth."""
    pieces: list[_Piece] = []
    for key, item in value.items():
        name = _plain(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", str(key)[:80]))
        match = NAME.fullmatch(name)
        if match is None:
            if isinstance(item, dict):
                pieces += _json_pieces(item)
            continue
        slot, kind, strong = SLOT_OF[match.lastgroup or ""]
        light = None
        if slot == "light" and isinstance(item, dict):
            try:
                light = Light.from_dict(item)
            except ValueError:
                light = None
        unit = "mph" if "mph" in name else ""
        pieces.append(_Piece(slot, _said(item), kind, not strong and kind is None, unit, light))
    return pieces


def _said(item: Any) -> str:
    """A JSON value in the words that the readers know."""
    if isinstance(item, dict):
        return ", ".join(_said_of(str(key), part) for key, part in item.items()) or "none"
    if isinstance(item, list):
        return ", ".join(_said(part) for part in item) or "none"
    if isinstance(item, bool):
        return "yes" if item else "no"
    return "unknown" if item is None else _plain(str(item))


def _said_of(key: str, part: Any) -> str:
    name = _plain(key)
    if isinstance(part, bool):
        return name if part else f"no {name}"
    return f"{name}: {_said(part)}"
