"""Quality compares like with like; a verdict has a reason; relabelling needs a trusted and sure judge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pacenote.advisory import Advisory, Light
from pacenote.data.sample import Picture
from pacenote.engine import Answer
from pacenote.errors import InputError
from pacenote.imagine.pairs import Pair
from pacenote.imagine.quality import Usual, diversity, measures
from pacenote.imagine.score import (
    KEPT,
    REFUSED,
    RELABELLED,
    Limits,
    Verdict,
    best,
    consistency,
    judged,
    logic,
    logical,
)
from pacenote.imagine.screen import open_screen, word_screen
from pacenote.imagine.spec import Spec
from tests.imagine.streets import SIZE, draw, judge_of, look, spec


def usual_of(dark: int = 30) -> Usual:
    def pair(number: int) -> Pair:
        wanted = spec("red", time="night" if number < dark else "day")
        image = draw(wanted, number)
        image = image.point(lambda level: level // 6) if number < dark else image
        return Pair(str(number), Picture.encode(image, format="PNG"), "", wanted)

    return Usual.of([pair(number) for number in range(2 * dark)], SIZE)


def test_a_dark_picture_is_usual_at_night_alone() -> None:
    usual = usual_of()
    dark = measures(draw(spec("red"), 5).point(lambda level: level // 6))
    assert usual.quality(dark, "night") > 0.5 and usual.quality(dark, "day") == 0.0
    assert usual.quality(measures(draw(spec("red"), 99)), "day") > 0.5


def test_a_blurred_and_a_blank_picture_are_unusual() -> None:
    usual = usual_of()
    assert usual.quality(measures(draw(spec("red"), 70).resize((4, 2)).resize(SIZE)), "day") < 0.05
    assert usual.quality(measures(Image.new("RGB", SIZE, (120, 120, 120))), "day") == 0.0
    with pytest.raises(InputError, match="no pairs"):
        Usual.of([], SIZE)


@given(st.integers(2, 9), st.integers(0, 1000))
def test_diversity_is_the_mean_pairwise_distance(n: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(n, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = [1 - vectors[i] @ vectors[j] for i in range(n) for j in range(i)]
    assert diversity(vectors) == pytest.approx(float(np.mean(pairs)))
    assert diversity(np.repeat(vectors[:1], 4, axis=0)) == pytest.approx(0.0, abs=1e-12)


def answer(advisory: Advisory, sure: float = 0.99) -> Answer:
    return Answer("", advisory, dict.fromkeys(("speed", "light", "obstacles", "crossroad"), sure), 0.0)


def trusted(right: float = 1.0) -> object:
    judge = judge_of(look)
    judge.trust = {slot: {"right": right, "n": 50} for slot in ("speed", "light", "obstacles", "crossroad")}
    return judge


@pytest.mark.parametrize(
    ("read", "sure", "right", "quality", "unsafe", "outcome", "word"),
    [
        ("red", 0.99, 1.0, 1.0, "", KEPT, ""),
        ("red", 0.4, 0.3, 1.0, "", KEPT, ""),
        ("green", 0.99, 1.0, 1.0, "", RELABELLED, "light"),
        ("green", 0.5, 1.0, 1.0, "", REFUSED, "not sure"),
        ("green", 0.99, 0.5, 1.0, "", REFUSED, "not sure"),
        ("red", 0.99, 1.0, 0.0, "", REFUSED, "unlike"),
        ("red", 0.99, 1.0, 1.0, "the word 'gun'", REFUSED, "screened"),
    ],
)
def test_verdicts(read: str, sure: float, right: float, quality: float, unsafe: str, outcome: str, word: str) -> None:
    verdict = judged(answer(spec(read).advisory, sure), spec("red"), trusted(right), quality, unsafe, Limits())  # type: ignore[arg-type]
    assert verdict.outcome == outcome and word in verdict.reason
    assert verdict.spec == (spec("green") if outcome == RELABELLED else spec("red"))
    assert (verdict.score > 0) == (outcome != REFUSED)


def test_an_unreadable_slot_refuses() -> None:
    unread = replace(spec("red").advisory, light=None)
    assert judged(answer(unread), spec("red"), trusted(), 1.0, "", Limits()).outcome == REFUSED  # type: ignore[arg-type]


def test_lights_that_contradict_and_things_that_are_absent_break_logic() -> None:
    wanted = spec("green", cone=True)
    twofold = replace(wanted.advisory, light=Light("red", "any", "junction", ("green", "left")))
    assert logic(twofold, wanted) == {"light": "red and green for the same movement"}
    apart = replace(wanted.advisory, light=Light("red", "straight", "junction", ("green", "left")))
    assert logic(apart, wanted) == {}
    assert logic(spec("none").advisory, wanted) == {
        "light": "light named but absent", "obstacles": "cone named but absent",
    }  # fmt: skip
    assert logical([{}, {"light": "x"}]) == {"light": 0.5, "obstacles": 1.0, "crossroad": 1.0}


def test_the_best_of_each_spec_are_chosen_and_few_relabelled_ones() -> None:
    def verdict(outcome: str, score: float) -> Verdict:
        return Verdict(outcome, spec(), score)

    verdicts = [
        verdict(KEPT, 0.3), verdict(KEPT, 0.9), verdict(RELABELLED, 1.0),  # spec a
        verdict(RELABELLED, 0.5), verdict(REFUSED, 0.0), verdict(RELABELLED, 0.7),  # spec b
        verdict(RELABELLED, 0.2),  # spec c
    ]  # fmt: skip
    groups = ["a", "a", "a", "b", "b", "b", "c"]
    assert best(verdicts, groups, 1, 0.5) == [1, 5]
    assert best(verdicts, groups, 2, 0.5) == [0, 1, 3, 5]
    assert best(verdicts, groups, 1, 0.0) == [1]
    assert best(verdicts, groups, 1, 1.0) == [1, 5, 6]


def test_consistency_counts_what_is_known() -> None:
    rows: list[dict[str, bool | None]] = [
        {"speed": None, "light": True, "obstacles": False, "crossroad": True},
        {"speed": True, "light": True, "obstacles": True, "crossroad": True},
    ]
    assert consistency(rows) == {"speed": 1.0, "light": 1.0, "obstacles": 0.5, "crossroad": 1.0, "all": 2.5 / 3}


@pytest.mark.parametrize("word", ["a gun on the road", "Blood, cones"])
def test_words_are_screened(word: str) -> None:
    assert word_screen(word, None)


def test_our_own_prompts_pass_the_screen_and_a_blank_picture_does_not() -> None:
    everything = Advisory(20, Light("red"), frozenset({"crash", "pedestrian", "animal"}), frozenset({"intersection"}))
    prompt = Spec(everything, "snow", "night", "urban").prompt()
    assert word_screen(prompt, draw(spec("red"), 1)) == ""
    assert word_screen(prompt, Image.new("RGB", (8, 8))) == "a blank picture"


def test_a_screen_of_ones_own_is_imported() -> None:
    assert open_screen("pacenote.imagine.screen:word_screen") is word_screen
    for name in ("no.such:thing", "pacenote.imagine.screen:none", "pacenote.imagine.screen:BLANK", "plain"):
        with pytest.raises(InputError, match="--screen"):
            open_screen(name)
