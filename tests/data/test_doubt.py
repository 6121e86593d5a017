"""Suspicion rises with each thing that speaks against a label, and each can be told in words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacenote.advisory import Light, Truth
from pacenote.data import Sample
from pacenote.data.doubt import belief, disagreement, signs, slot_values, suspicion, unknown_slots, votes

KNOWN = Truth(
    50, Light("red"), obstacles=dict.fromkeys(("cone", "barrier", "construction", "debris", "pedestrian", "animal",
    "crash"), False), crossroad={"intersection": True, "pedestrian_crossing": False},
)  # fmt: skip


def mined(truth: Truth | None = KNOWN, posterior: Any = None, **provenance: Any) -> Sample:
    return Sample("a", truth=truth, posterior=posterior, provenance=provenance, source="mined")


def test_a_label_that_nothing_speaks_against_is_not_suspect() -> None:
    assert suspicion(mined()) == 0
    assert suspicion(mined(None, contradictions=["x"])) == 0
    sure = {"light": {"red": 1.0}, "obstacles": {"cone": 0.0, "none": 1.0}, "crossroad": {"intersection": 1.0}}
    assert suspicion(mined(posterior=sure, votes={"light": {"a": "red", "b": "red"}})) == 0


@pytest.mark.parametrize(
    ("slot", "posterior", "sure"),
    [
        ("light", {"red": 0.7, "none": 0.3}, 0.7),
        ("light", {"green": 1.0}, 0.0),
        ("speed", {"50": 0.5, "45": 0.1, "40": 0.4}, 0.6),
        ("obstacles", {"cone": 0.2, "debris": 0.05}, 0.8),
        ("obstacles", {"none": 0.9}, 0.9),
        ("obstacles", {"any": 0.3}, 0.7),
        ("crossroad", {"intersection": 0.9, "pedestrian_crossing": 0.4}, 0.6),
        ("crossroad", {}, None),
    ],
)
def test_belief_is_what_the_posterior_gives_the_label(
    slot: str, posterior: dict[str, float], sure: float | None
) -> None:
    assert belief(mined(posterior={slot: posterior}), slot) == (None if sure is None else pytest.approx(sure))
    assert belief(mined(Truth.unknown(), {slot: posterior}), slot) is None


def test_disagreement_is_the_outvoted_share() -> None:
    told = mined(votes={"light": {"a": "red", "b": "green", "c": "red", "d": None}, "obstacles": {"a": ["cone"]}})
    assert disagreement(told, "light") == pytest.approx(1 / 3)
    assert disagreement(told, "obstacles") == 0  # one source cannot disagree
    assert votes(told, "light") == {"a": "red", "b": "green", "c": "red"}
    lists = {"obstacles": {"a": ["cone", "barrier"], "b": ["barrier", "cone"], "c": []}}
    assert votes(mined(votes=lists), "obstacles") == {"a": "barrier, cone", "b": "barrier, cone", "c": "none"}


def test_signs_come_strongest_first_in_words() -> None:
    sample = mined(
        Truth(50, light_state="red"),
        {"light": {"red": 0.75, "none": 0.25}},
        contradictions=["red light, yet 12 m/s"],
        conflicts=["picture says day, lux 4"],
        votes={"light": {"a": "red", "b": "none"}},
    )
    assert [sign.words for sign in signs(sample)] == [
        "red light, yet 12 m/s",
        "light: 50% of the sources say otherwise",
        "picture says day, lux 4",
        "light: the posterior gives this label 75%",
        "not known: obstacles, crossroad",
    ]


probability = st.floats(0, 1)


@given(probability, probability, st.integers(0, 3), st.integers(0, 3))
def test_more_doubt_is_never_less_suspicion(p: float, q: float, few: int, more: int) -> None:
    low, high = sorted((p, q))

    def suspect(sure: float, sentences: int) -> float:
        return suspicion(mined(posterior={"light": {"red": sure}}, contradictions=["x"] * sentences))

    assert 0 <= suspect(high, min(few, more)) <= suspect(low, max(few, more)) <= 1


def test_values_and_unknowns_of_a_truth() -> None:
    assert slot_values(KNOWN) == {
        "speed": ("50",), "light": ("red",), "obstacles": ("none",), "crossroad": ("intersection",),
    }  # fmt: skip
    assert slot_values(None) == slot_values(Truth.unknown()) == {}
    assert unknown_slots(KNOWN) == []
    assert unknown_slots(Truth(light_state="red")) == ["speed", "obstacles", "crossroad"]
