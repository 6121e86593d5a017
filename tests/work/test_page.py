from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from pacenote.errors import InputError
from pacenote.work import Page, progress
from pacenote.work.page import cell_text


class Outline(HTMLParser):
    """Collects text and sources, and checks that tags nest."""

    VOID = ("meta", "img", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self.sources += [value or "" for name, value in attrs if name == "src"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_a_page_is_one_whole_file(tmp_path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    picture = tmp_path / "a.png"
    Image.new("RGB", (40, 30), "red").save(picture)
    figure, axes = plt.subplots()
    axes.plot([1, 2])
    page = Page("A & B").heading("Scores").paragraph("x < y").table(["a", "b"], [[1, None], ["<i>", 0.5]])
    page.figure(figure, "a line").image(picture, 'say "hi"').heading("Failures")
    page.gallery([(Image.new("RGB", (3000, 20)), "wide"), picture, Image.new("P", (4, 4))]).code("{}", "evidence")
    text = page.save(tmp_path / "out" / "report.html").read_text()
    outline = Outline()
    outline.feed(text)
    assert outline.open == []
    assert len(outline.sources) == 5
    assert all(source.startswith("data:image/") for source in outline.sources)
    assert "<i>" not in text
    assert "x < y" in outline.words
    assert not re.search(r"""(src|href)=["'](https?:|/)""", text)
    assert 'href="#scores"' in text


def test_bad_pictures_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.png"):
        Page("x").image(tmp_path / "absent.png")
    with pytest.raises(InputError, match="not an image"):
        Page("x").image(b"nonsense")


def test_rows_must_fit_the_columns() -> None:
    with pytest.raises(ValueError, match="2 cells under 1"):
        Page("x").table(["a"], [[1, 2]])


def test_cells() -> None:
    values = [0.12345, 12345.6, 1234, None, float("nan"), True, (0.1, 0.2), "a"]
    assert [cell_text(v) for v in values] == ["0.123", "12,346", "1,234", "–", "–", "yes", "[0.100, 0.200]", "a"]


def test_progress_yields_everything_once() -> None:
    assert list(progress(iter(range(5)), "count")) == [0, 1, 2, 3, 4]


def test_figures_stand_right_and_words_left() -> None:
    page = Page("x").table(["a", "b", "c", "d"], [["light", 1, "0.5 [0.4, 0.6]", "yes"], ["speed", None, "–", "12"]])
    assert page.html().count('<td class="n">') == 4
