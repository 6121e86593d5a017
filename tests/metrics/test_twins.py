import pytest

from pacenote.advisory import Advisory, Light, Truth
from pacenote.metrics import flip_accuracy, twin_pairs

RED = Truth(speed_kmh=0, light=Light("red"), obstacles={"cone": True, "barrier": False}, crossroad_any=True)
GREEN = Truth(speed_kmh=50, light=Light("green"), obstacles={"cone": True, "barrier": False}, crossroad_any=True)
BARRIER = Truth(speed_kmh=0, light=Light("red"), obstacles={"cone": True, "barrier": True}, crossroad_any=False)
LEFT = Truth(speed_kmh=None, light=Light("red", "left"))


def said(speed: int | None, state: str, *kinds: str, movement: str = "any") -> Advisory:
    return Advisory(speed, Light(state, movement), frozenset(kinds), None)


def test_pairs_are_the_slots_that_differ_by_a_known_fact() -> None:
    facts = [RED, GREEN, BARRIER, LEFT, Truth.unknown(), GREEN]
    ids = ["a", "a-light", "a-barrier", "a-left", "a-unknown", "b"]
    twin_of = [None, "a", "a", "a", "a", "missing"]
    assert twin_pairs(ids, twin_of, facts) == [
        (0, 1, "speed"), (0, 1, "light"), (0, 2, "obstacles"), (0, 2, "crossroad"), (0, 3, "light"),
    ]  # fmt: skip


def test_both_must_be_right_about_what_differs() -> None:
    facts = [RED, GREEN, RED, GREEN, RED, BARRIER, RED, LEFT]
    pairs = [(0, 1, "light"), (2, 3, "light"), (4, 5, "obstacles"), (6, 7, "light")]
    answers = [
        said(0, "red", movement="left"), said(5, "green"),  # right: the state is what differs
        said(0, "red"), said(0, "red"),  # the second is wrong
        said(0, "red"), said(0, "red", "barrier"),  # right about the barrier, the cone is not asked
        said(0, "red"), said(0, "red"),  # the movement differs, and was missed
    ]  # fmt: skip
    result = flip_accuracy(answers, facts, pairs, [str(i) for i in range(8)])
    assert (result["accuracy"], result["n"]) == (0.5, 4)
    assert result["by_slot"]["light"]["accuracy"] == pytest.approx(1 / 3)
    assert result["by_slot"]["obstacles"] == {"accuracy": 1.0, "n": 1, "ci": [1.0, 1.0]}
    assert result["by_slot"]["speed"] == {"accuracy": None, "n": 0, "ci": None}
    low, high = result["ci"]
    assert 0 <= low < 0.5 < high <= 1


def test_unreadable_is_wrong_and_guessing_one_side_earns_nothing() -> None:
    silent = Advisory(None, None, None, None)
    pairs = [(0, 1, "light"), (0, 1, "speed")]
    assert flip_accuracy([silent] * 2, [RED, GREEN], pairs, ["a", "a"])["accuracy"] == 0
    assert flip_accuracy([said(0, "red")] * 2, [RED, GREEN], pairs, ["a", "a"])["accuracy"] == 0


def test_no_pairs_and_bad_pairs() -> None:
    assert flip_accuracy([], [], [], [])["n"] == 0
    with pytest.raises(ValueError, match="do not differ"):
        flip_accuracy([said(0, "red")] * 2, [RED, RED], [(0, 1, "light")], ["a", "a"])
    with pytest.raises(ValueError, match="unknown slot"):
        flip_accuracy([said(0, "red")] * 2, [RED, GREEN], [(0, 1, "colour")], ["a", "a"])
