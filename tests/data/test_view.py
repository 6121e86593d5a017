"""The contact sheet is one well-formed page that loads nothing, shows what was asked for and escapes what it shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pacenote.data import Picture
from pacenote.data.view import view_dataset
from pacenote.errors import InputError

from .conftest import sample

Make = Callable[..., Path]
VOID = {"meta", "img", "br", "input", "rect"}


class Tree(HTMLParser):
    """Fails on tags that do not nest; counts the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def read(page: Path) -> tuple[str, Tree]:
    text = page.read_text(encoding="utf-8")
    tree = Tree()
    tree.feed(text)
    assert tree.open == []
    return text, tree


def test_page_is_self_contained_and_shows_boxes(make_dataset: Make, tmp_path: Path) -> None:
    things = [
        {"id": 1, "kind": "traffic_light", "state": "red", "box": [1, 2, 9, 8], "stated": True, "role": "ego"},
        {"id": 2, "kind": "cone", "box": [3, 4, 5, 6], "stated": False, "reason": "<too> small"},
    ]
    rows = [sample(i, evidence={"objects": things, "rules": ["speed: 30"]}, answer="<b>No</b>") for i in range(6)]
    rows.append(sample(50, images=(Picture(b"junk", "x.jpg"),)))
    page = tmp_path / "sheet.html"
    assert view_dataset(make_dataset([("train", row) for row in rows]), page) == 7
    text, tree = read(page)
    assert tree.seen.count("article") == 7
    assert tree.seen.count("rect") == 12
    assert tree.seen.count("script") == 0
    assert all(source.startswith("data:") for source in tree.sources)
    assert "&lt;b&gt;No" in text
    assert "<b>No" not in text
    assert "&lt;too&gt; small" in text
    assert "not a readable image" in text
    assert 'class="no"' in text


def test_where_keeps_what_was_asked_for(make_dataset: Make, tmp_path: Path) -> None:
    path = make_dataset([("train", sample(i)) for i in range(12)])
    page = tmp_path / "sheet.html"
    assert view_dataset(path, page, where={"light": "red", "obstacles": "cone"}) == 2
    assert set(re.findall(r"scene-\d{5}", page.read_text())) == {"scene-00003", "scene-00009"}
    assert view_dataset(path, page, where={"weather": "rain"}, count=5, seed=1) == 5
    first = page.read_text()
    view_dataset(path, page, where={"weather": "rain"}, count=5, seed=1)
    assert page.read_text() == first
    with pytest.raises(InputError, match="no sample with light=purple"):
        view_dataset(path, page, where={"light": "purple"})
    with pytest.raises(InputError, match="--where wether"):
        view_dataset(path, page, where={"wether": "rain"})
