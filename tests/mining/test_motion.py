"""Motion speaks in words, never overrules unless told to, and its contradictions are kept and ranked."""

from __future__ import annotations

import numpy as np
import pytest

from pacenote.advisory import LIGHT_STATES
from pacenote.mining import motion
from pacenote.mining.window import MISSING

NONE, RED, _, GREEN, _ = range(len(LIGHT_STATES))


@pytest.mark.parametrize(
    ("speed", "accel", "word"),
    [(0.0, 0.0, "standing"), (2.0, 1.5, "pulling away"), (10.0, -2.0, "braking"), (3.0, 0.0, "slow"),
     (14.0, 0.1, "cruising"), (0.0, np.nan, "standing")],
)  # fmt: skip
def test_words(speed: float, accel: float, word: str) -> None:
    assert motion.MOTIONS[motion.words([speed], [accel])[0]] == word


def test_an_unknown_speed_says_nothing() -> None:
    assert motion.words([np.nan], [1.0])[0] == MISSING


def test_what_is_expected_are_distributions() -> None:
    np.testing.assert_allclose(motion.LIGHT_START.sum(1), 1)


def test_the_hard_rule_rewrites_what_plainly_does_not_fit() -> None:
    pulls = np.array([motion.PULLING, motion.STANDING])
    assert motion.corrected("light", np.array([RED, RED]), pulls, np.array([2.0, 0.0])).tolist() == [GREEN, RED]
    fast = np.array([30.0, 10.0])
    assert motion.corrected("obstacles.cone", np.array([1, 1]), pulls, fast).tolist() == [0, 1]
    assert motion.corrected("obstacles.crash", np.array([1, 1]), pulls, fast).tolist() == [1, 1]


def seen(state: int, p: float, frames: int = 8) -> np.ndarray:
    told = np.full((frames, len(LIGHT_STATES)), (1 - p) / (len(LIGHT_STATES) - 1))
    told[:, state] = p
    return told


def test_driving_through_red_is_ranked_by_how_sure_the_sight_is() -> None:
    motions, yes, no = np.full(8, motion.CRUISING), np.ones(8, bool), np.zeros(8, bool)
    found = [motion.contradictions(seen(RED, p), motions, motion.LIGHT_START, yes, no) for p in (0.97, 0.6)]
    assert [len(one) for one in found] == [1, 1]
    assert found[0][0].score > found[1][0].score
    assert (found[0][0].first, found[0][0].last, found[0][0].state) == (0, 7, "red")


def test_why_depends_on_who_agrees_and_on_arrows() -> None:
    motions, yes, no = np.full(8, motion.CRUISING), np.ones(8, bool), np.zeros(8, bool)
    told = seen(RED, 0.97)
    why = [
        motion.contradictions(told, motions, motion.LIGHT_START, agree, turns)[0].why
        for agree, turns in ((yes, no), (no, no), (yes, yes))
    ]
    assert why == ["violation", "label error", "other lane"]
    waits = motion.contradictions(seen(GREEN, 0.97), np.full(8, motion.STANDING), motion.LIGHT_START, yes, no)
    assert [one.why for one in waits] == ["blocked"]


def test_standing_before_red_and_driving_past_no_light_are_none() -> None:
    yes, no = np.ones(8, bool), np.zeros(8, bool)
    standing, cruising = np.full(8, motion.STANDING), np.full(8, motion.CRUISING)
    assert motion.contradictions(seen(RED, 0.97), standing, motion.LIGHT_START, yes, no) == []
    assert motion.contradictions(seen(NONE, 0.97), cruising, motion.LIGHT_START, yes, no) == []
    assert motion.contradictions(seen(RED, 0.97), np.full(8, MISSING), motion.LIGHT_START, yes, no) == []
