"""Pairs: what is similar, repeated, misaligned or not fully known is refused with its reason; the rest stays whole."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from pacenote.advisory import Truth
from pacenote.data import Card, Dataset, DatasetWriter
from pacenote.errors import InputError
from pacenote.imagine.pairs import MISALIGNED, REPEATED, SIMILAR, PairOptions, make_pairs, read_pairs
from tests.imagine.streets import always_green, judge_of, look, sample, spec, street_data


def reasons(out: Path) -> Counter[str]:
    return Counter(row.reason for row in Dataset.open(out).rejected())


def test_a_copy_is_similar_and_a_twin_of_another_colour_is_not(tmp_path: Path) -> None:
    red, green = spec("red"), spec("green")
    with DatasetWriter(tmp_path / "data", Card("drawn")) as writer:
        writer.add(sample(red, 1))
        writer.add(replace(sample(red, 1), id="copy"))
        writer.add(replace(sample(green, 1), id="twin"))
        writer.add(sample(red, 2))
    pairs = make_pairs([str(tmp_path / "data")], tmp_path / "pairs")
    assert {pair.id for pair in pairs} == {"frame-1", "twin", "frame-2"}
    assert reasons(tmp_path / "pairs") == {SIMILAR: 1}


def test_a_caption_is_told_so_often_and_no_more(tmp_path: Path) -> None:
    street_data(tmp_path / "data", [spec("red")] * 9 + [spec("green")] * 2)
    make_pairs([str(tmp_path / "data")], tmp_path / "pairs", PairOptions(same=4))
    assert reasons(tmp_path / "pairs") == {REPEATED: 5}
    assert Counter(p.spec.light.state for p in read_pairs(tmp_path / "pairs")) == {"red": 4, "green": 2}


def test_a_pair_that_a_sure_judge_reads_otherwise_is_refused(tmp_path: Path) -> None:
    street_data(tmp_path / "data", [spec("red"), spec("green"), spec("green", cone=True)])
    data = [str(tmp_path / "data")]
    assert len(make_pairs(data, tmp_path / "exact", judge=judge_of(look))) == 3
    make_pairs(data, tmp_path / "biased", judge=judge_of(always_green))
    assert reasons(tmp_path / "biased") == {f"{MISALIGNED}light": 1}
    unsure = judge_of(always_green, confidence=0.6)
    assert len(make_pairs(data, tmp_path / "unsure", judge=unsure)) == 3


def test_an_unknown_fact_is_refused_and_pictures_are_shown(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "data", Card("drawn")) as writer:
        writer.add(sample(spec("red"), 1))
        writer.add(replace(sample(spec("red"), 2), truth=Truth(light_state="red")))
    pairs = make_pairs([str(tmp_path / "data")], tmp_path / "pairs")
    assert [pair.answer for pair in pairs] == [spec("red").prompt()]
    assert "light is not known" in next(iter(reasons(tmp_path / "pairs")))
    html = (tmp_path / "pairs" / "report.html").read_text()
    assert html.count("<img") >= 2 and "Light is not known" in html


def test_the_same_command_again_changes_nothing_and_another_is_refused(tmp_path: Path) -> None:
    street_data(tmp_path / "data", [spec("red"), spec("green")])
    data = [str(tmp_path / "data")]
    first = [one.id for one in make_pairs(data, tmp_path / "pairs")]
    assert [one.id for one in make_pairs(data, tmp_path / "pairs")] == first
    with pytest.raises(InputError, match="another recipe"):
        make_pairs(data, tmp_path / "pairs", PairOptions(same=1))


def test_any_labelled_dataset_has_pairs_and_an_unlabelled_one_none(tmp_path: Path) -> None:
    street_data(tmp_path / "data", [spec("red")])
    assert read_pairs(tmp_path / "data")[0].caption == spec("red").prompt()
    with DatasetWriter(tmp_path / "blank", Card("blank")) as writer:
        writer.add(replace(sample(spec(), 1), truth=None))
    with pytest.raises(InputError, match="no pairs"):
        read_pairs(tmp_path / "blank")
