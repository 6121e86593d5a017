"""What is kept: N frames, none twice, rare and disputed ones more often, from all drives, the same for a seed."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacenote.advisory import Truth
from pacenote.data import Sample
from pacenote.mining.balance import CAP, Candidate, choose, shares, weights


def mined(n: int = 1000, drives: int = 10) -> list[Candidate]:
    """Mostly no light; 3 % yellow; 10 % disputed; 2 % contradicted; the first drive is half of all."""
    rng = random.Random(0)
    found = []
    for k in range(n):
        state = rng.choices(("none", "red", "green", "yellow"), (80, 9, 8, 3))[0]
        drive = 0 if rng.random() < 0.5 else rng.randrange(1, drives)
        disputed = 0.5 if rng.random() < 0.1 else 0.0
        values = {"light": (state,), "speed": ("50",)}
        found.append(Candidate(f"f{k}", f"d{drive}", values, disputed, rng.random() < 0.02))
    return found


def share(frames: list[Candidate], chosen: list[int], wanted: str) -> float:
    return sum(frames[i].values["light"] == (wanted,) for i in chosen) / len(chosen)


def test_rare_disputed_and_contradicted_frames_gain() -> None:
    frames = mined()
    chosen = choose(frames, 200)
    everything = list(range(len(frames)))
    assert share(frames, chosen, "yellow") > 2 * share(frames, everything, "yellow")
    assert 0 < share(frames, chosen, "none") < share(frames, everything, "none")
    for sign in ("disputed", "contradicted"):
        before = sum(bool(getattr(frame, sign)) for frame in frames) / len(frames)
        after = sum(bool(getattr(frames[i], sign)) for i in chosen) / len(chosen)
        assert after > 1.3 * before
    told = shares(frames, chosen)["light"]["yellow"]
    assert told == [share(frames, everything, "yellow"), share(frames, chosen, "yellow")]


def test_no_drive_gives_more_than_twice_its_part_while_others_have_frames() -> None:
    frames = mined()
    chosen = choose(frames, 200)
    given_by = [frames[i].drive for i in chosen]
    assert set(given_by) == {frame.drive for frame in frames}
    assert given_by.count("d0") == 40  # of ten drives: 2 x 20, though half of all frames are its


@given(st.integers(0, 60), st.integers(0, 70), st.integers(0, 5))
def test_n_is_kept_and_nothing_twice(size: int, n: int, seed: int) -> None:
    frames = mined(size, 3)
    chosen = choose(frames, n, seed=seed)
    assert len(chosen) == len(set(chosen)) == min(n, size)
    assert chosen == sorted(chosen)


def test_the_seed_and_the_frames_decide_not_their_order() -> None:
    frames = mined(300)
    shuffled = random.Random(1).sample(frames, len(frames))
    first = {frames[i].id for i in choose(frames, 50, seed=3)}
    assert first == {shuffled[i].id for i in choose(shuffled, 50, seed=3)}
    assert first != {frames[i].id for i in choose(frames, 50, seed=4)}


def test_weights_are_what_the_docstring_says() -> None:
    values = [{"light": ("red",)}] + [{"light": ("none",)}] * 3
    frames = [Candidate(f"{k}", "d", value) for k, value in enumerate(values)]
    assert weights(frames) == pytest.approx([2.0, 2 / 3, 2 / 3, 2 / 3])
    assert weights([Candidate("a", "d", {}, 0.5, True)])[0] == pytest.approx(0.05 * 2 * 4)
    many = [Candidate(f"{k}", "d", {"light": ("none",)}) for k in range(999)]
    assert weights([*many, Candidate("x", "d", {"light": ("red",)})])[-1] == CAP


def test_a_sample_becomes_its_candidate() -> None:
    votes = {"light": {"vlm": "red", "detector": "green", "look": "red", "other": None}}
    truth = Truth(light_state="red", obstacles_any=False, crossroad={"intersection": True})
    provenance = {"votes": votes, "contradictions": ["red, yet 12 m/s"]}
    one = Candidate.of(Sample("a", truth=truth, drive="d", source="mined", provenance=provenance))
    assert one.values == {"light": ("red",), "obstacles": ("none",), "crossroad": ("intersection",)}
    assert one.disputed == pytest.approx(1 / 3)
    assert one.contradicted
    assert one.drive == "d"


def test_an_id_that_comes_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="frame a comes twice"):
        choose([Candidate("a", "d", {}), Candidate("a", "e", {})], 1)
