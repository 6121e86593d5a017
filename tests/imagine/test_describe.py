"""A VLM's words stand in a caption where they name nothing that a label names, and are asked for once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pacenote.cli import main
from pacenote.data import Dataset
from pacenote.imagine.describe import ModelDescriber, usable
from pacenote.imagine.pairs import make_pairs, read_pairs
from pacenote.imagine.spec import draw_specs, spec_of
from pacenote.models import load
from tests.answering import answering
from tests.imagine.streets import draw, spec, street_data


class Told:
    """A describer that says what it is told to."""

    digest = "told"

    def __init__(self, words: str = "Brick houses line a narrow road. More.") -> None:
        self.words, self.asked = words, 0

    def tell(self, images: Sequence[Any]) -> list[str]:
        self.asked += len(images)
        return [self.words] * len(images)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Brick houses line a narrow road. And more.", "brick houses line a narrow road"),
        ("  Tall trees, a fence and parked cars\nNext line", "tall trees, a fence and parked cars"),
        ("A red traffic light hangs above the road.", ""),
        ("Two persons wait beside the road.", ""),
        ("Pedestrians and shops.", ""),
        ("Wet asphalt between fields.", ""),
        ("Trees.", ""),
        ("", ""),
        ("道路两旁有树木和房屋。", ""),
        ("Recommended speed: 20 km/h. Traffic light: none.", ""),
        ("one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen", ""),
    ],
)
def test_what_a_label_names_is_not_taken_from_a_model(text: str, words: str) -> None:
    assert usable(text) == words


def test_pairs_are_described_and_a_second_run_asks_nobody(tmp_path: Path) -> None:
    street_data(tmp_path / "data", [spec("red"), spec("green"), spec("green", cone=True)])
    data, told = [str(tmp_path / "data")], Told()
    make_pairs(data, tmp_path / "pairs", describer=told)
    pairs = read_pairs(tmp_path / "pairs")
    assert told.asked == 3 and all(pair.caption.startswith("Clear city street.") for pair in pairs)
    assert all("Brick houses line a narrow road." in pair.caption for pair in pairs)
    assert all(spec_of(sample).prompt() == sample.answer for sample in Dataset.open(tmp_path / "pairs"))
    make_pairs(data, tmp_path / "pairs", describer=told)
    assert told.asked == 3
    page = (tmp_path / "pairs" / "report.html").read_text()
    assert "with a VLM" in page and page.count("Brick houses") >= 3


def test_words_that_cannot_be_used_leave_the_caption_as_it_was(tmp_path: Path) -> None:
    street_data(tmp_path / "data", [spec("red")])
    make_pairs([str(tmp_path / "data")], tmp_path / "pairs", describer=Told("A red light over the road."))
    assert [pair.caption for pair in read_pairs(tmp_path / "pairs")] == [spec("red").prompt()]


def test_details_stay_with_their_weather(tmp_path: Path) -> None:
    street_data(tmp_path / "data", [spec("red", weather="rain"), spec("green", weather="clear")])
    make_pairs([str(tmp_path / "data")], tmp_path / "pairs", describer=Told())
    known = [pair.spec for pair in read_pairs(tmp_path / "pairs")]
    assert all(one.details for one in draw_specs(known, 20, vary=0.0))
    assert not any(one.details for one in draw_specs(known, 20, vary=1.0))


def test_a_model_of_ours_says_advisories_which_are_no_description() -> None:
    describer = ModelDescriber(load("starter-student"))
    said = describer.tell([draw(spec("red"), 0, (672, 376))])
    assert len(said) == 1 and usable(said[0]) == ""


def test_a_served_model_describes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    street_data(tmp_path / "data", [spec("red"), spec("green")])
    with answering("Tall trees behind a hedge.", monkeypatch) as (url, asked):
        served = ["--describe", "big", "--endpoint", url]
        assert (
            main(["imagine", str(tmp_path / "data"), "--do", "pairs", *served, "--out", str(tmp_path / "pairs")]) == 0
        )
    assert len(asked) == 2 and asked[0]["model"] == "big"
    assert all("Tall trees behind a hedge." in pair.caption for pair in read_pairs(tmp_path / "pairs"))
