"""The gate: no false acceptance beyond alpha, real gains pass, a slot that gets worse does not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacenote.advisory import Advisory, Light, Truth
from pacenote.metrics import score
from pacenote.optimize.accept import Gate, average, compare

NONE: frozenset[str] = frozenset()


def answers(truths: list[Truth], rng: np.random.Generator, right: dict[str, float]) -> list[Advisory]:
    """Answers that tell each slot right with a chance of its own."""
    said = []
    for truth in truths:
        own = truth.advisory()
        assert own.light is not None and own.obstacles is not None and own.crossroad is not None
        light = own.light if rng.random() < right["light"] else Light("none" if own.light.state != "none" else "red")
        things = (
            own.obstacles if rng.random() < right["obstacles"] else (NONE if own.obstacles else frozenset({"cone"}))
        )
        cross = (
            own.crossroad
            if rng.random() < right["crossroad"]
            else (NONE if own.crossroad else frozenset({"intersection"}))
        )
        said.append(Advisory(own.speed_kmh, light, things, cross))
    return said


def truths(count: int, rng: np.random.Generator) -> list[Truth]:
    return [
        Truth.from_advisory(
            Advisory(
                50,
                Light(str(rng.choice(["none", "red", "green"]))),
                frozenset({"cone"}) if rng.random() < 0.5 else NONE,
                frozenset({"intersection"}) if rng.random() < 0.5 else NONE,
            )
        )
        for _ in range(count)
    ]


EVEN = {"light": 0.8, "obstacles": 0.8, "crossroad": 0.8}


def test_the_average_is_that_of_the_metrics() -> None:
    rng = np.random.default_rng(0)
    own = truths(60, rng)
    said = answers(own, rng, EVEN)
    figures = score(said, own, [str(k) for k in range(60)], resamples=0)
    assert average(said, own) == pytest.approx(figures["average"])


def test_a_real_gain_is_accepted_and_its_reverse_is_not() -> None:
    rng = np.random.default_rng(1)
    own, clusters = truths(400, rng), [str(k // 2) for k in range(400)]
    worse, better = answers(own, rng, EVEN), answers(own, rng, dict.fromkeys(EVEN, 0.93))
    verdict = Gate().judge(worse, better, own, clusters)
    assert verdict.accepted
    assert verdict.paired.difference["average"] > 0.08
    assert not Gate().judge(better, worse, own, clusters).accepted


def test_a_gain_that_costs_a_slot_is_refused() -> None:
    rng = np.random.default_rng(2)
    own, clusters = truths(400, rng), [str(k) for k in range(400)]
    before = answers(own, rng, {"light": 0.7, "obstacles": 0.9, "crossroad": 0.8})
    after = answers(own, rng, {"light": 1.0, "obstacles": 0.8, "crossroad": 0.8})
    verdict = Gate().judge(before, after, own, clusters)
    assert verdict.paired.p < verdict.alpha
    assert not verdict.accepted
    assert "obstacles.f1" in verdict.why


def test_the_same_answers_gain_nothing() -> None:
    rng = np.random.default_rng(3)
    own = truths(30, rng)
    said = answers(own, rng, EVEN)
    found = compare(said, said, own, [str(k) for k in range(30)])
    assert found.p == 1.0
    assert found.changed == 0
    assert found.difference["average"] == 0


@given(st.integers(1, 60))
def test_looks_never_spend_more_than_alpha(looks: int) -> None:
    gate = Gate(alpha=0.025)
    rng = np.random.default_rng(0)
    own = truths(4, rng)
    said = answers(own, rng, EVEN)
    spent = 0.0
    for _ in range(min(looks, 8)):
        spent += gate.allowed()
        gate.judge(said, said, own, list("abcd"))
    assert spent < 0.025


@settings(max_examples=3)
@given(st.integers(0, 1000))
def test_equal_prompts_are_told_apart_no_more_often_than_by_chance(seed: int) -> None:
    """p is uniform or larger where both are drawn alike: of 200 draws at most some 5 % + 4 sigma are below .05."""
    rng = np.random.default_rng(seed)
    low = 0
    for _ in range(200):
        own, clusters = truths(40, rng), [str(k // 2) for k in range(40)]
        low += compare(answers(own, rng, EVEN), answers(own, rng, EVEN), own, clusters, draws=200, seed=seed).p <= 0.05
    assert low <= 200 * 0.05 + 4 * (200 * 0.05 * 0.95) ** 0.5
