"""The chain on time and distance: exact posteriors, parameters from votes alone, better than the window."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacenote.mining.chain import Chain, Track
from pacenote.mining.window import MISSING, majority


def by_hand(chain: Chain, track: Track) -> np.ndarray:
    """Posteriors by summing over every path."""
    frames, classes = track.votes.shape[1], len(chain.prior)
    hazard, total = chain.hazard(track), np.zeros((frames, classes))
    for path in itertools.product(range(classes), repeat=frames):
        p = chain.prior[path[0]]
        for t in range(frames):
            for source, votes in enumerate(track.votes):
                if votes[t] != MISSING:
                    p *= chain.confusion[source][path[t], votes[t]]
            if t:
                p *= (1 - hazard[t - 1]) * (path[t] == path[t - 1]) + hazard[t - 1] * chain.prior[path[t]]
        for t, state in enumerate(path):
            total[t, state] += p
    return total / total.sum(1, keepdims=True)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 3))
def test_posteriors_are_those_of_all_paths(seed: int, frames: int, sources: int) -> None:
    rng = np.random.default_rng(seed)
    confusion = rng.dirichlet([1, 1, 1], (sources, 3))
    chain = Chain(rng.dirichlet([1, 1, 1]), rng.uniform(0, 1), rng.uniform(0, 0.2), confusion)
    track = Track(rng.integers(-1, 3, (sources, frames)), rng.uniform(0, 2, frames - 1), rng.uniform(0, 20, frames - 1))
    np.testing.assert_allclose(chain.posterior(track), by_hand(chain, track), atol=1e-9)


def drive(
    rng: np.random.Generator, confusion: np.ndarray, frames: int = 300, per_m: float = 0.02, per_s: float = 0.0
) -> tuple[np.ndarray, Track, np.ndarray]:
    """States, votes and speeds of a made-up drive at 5 Hz."""
    speeds = np.abs(8 + 6 * np.sin(np.arange(frames) / 40 + rng.uniform(0, 6)))
    seconds, metres = np.full(frames - 1, 0.2), speeds[:-1] * 0.2
    states = [int(rng.integers(3))]
    for s, m in zip(seconds, metres, strict=True):
        anew = rng.random() < -np.expm1(-(per_s * s + per_m * m))
        states.append(int(rng.integers(3)) if anew else states[-1])
    truth = np.asarray(states)
    votes = np.stack([[rng.choice(3, p=own[state]) for state in truth] for own in confusion])
    return truth, Track(votes, seconds, metres), speeds


NOISY = np.stack(
    [np.full((3, 3), 0.15) + 0.55 * np.eye(3), np.array([[0.9, 0.05, 0.05], [0.5, 0.45, 0.05], [0.3, 0.1, 0.6]])]
)


def test_it_learns_who_is_wrong_how_without_labels_and_beats_the_window() -> None:
    rng = np.random.default_rng(0)
    drives = [drive(rng, NOISY) for _ in range(20)]
    fitted = Chain.start(3, 2).fitted([track for _, track, _ in drives])
    assert np.abs(fitted.confusion - NOISY).max() < 0.12
    raw, window, full = [], [], []
    for truth, track, speeds in drives:
        times = np.concatenate([[0], track.seconds.cumsum()])
        raw.append((track.votes[0] == truth).mean())
        window.append((majority(track.votes[0].tolist(), times.tolist(), speeds.tolist()) == truth).mean())
        full.append((fitted.posterior(track).argmax(1) == truth).mean())
    assert np.mean(raw) < np.mean(window) < np.mean(full)
    assert 1 - np.mean(full) < (1 - np.mean(raw)) / 3


def test_metres_and_seconds_are_told_apart() -> None:
    rng = np.random.default_rng(1)
    sharp = np.stack([np.full((3, 3), 0.02) + 0.94 * np.eye(3)])
    by_metres = Chain.start(3, 1).fitted([drive(rng, sharp, 600, per_m=0.03)[1] for _ in range(15)])
    assert by_metres.per_m == pytest.approx(0.03, rel=0.4)
    assert by_metres.per_s * 5 < by_metres.per_m * 8 * 5  # at 8 m/s most draws are the distance's


def test_posteriors_mean_what_they_say() -> None:
    rng = np.random.default_rng(2)
    drives = [drive(rng, NOISY) for _ in range(100)]
    chain = Chain(np.full(3, 1 / 3), 0.0, 0.02, NOISY)
    told = np.concatenate([chain.posterior(track) for _, track, _ in drives])
    truth = np.concatenate([truth for truth, _, _ in drives])
    sure, right = told.max(1), told.argmax(1) == truth
    bins = [(sure >= k / 10) & (sure < (k + 1) / 10) for k in range(3, 9)]
    error = sum(abs(sure[one].sum() - right[one].sum()) for one in bins) / sum(one.sum() for one in bins)
    assert error < 0.04
    assert right[sure >= 0.95].mean() > 0.97


def test_without_time_it_is_dawid_and_skene() -> None:
    """With a draw before each frame the frames are independent: posteriors are products of the votes' columns."""
    rng = np.random.default_rng(3)
    chain = Chain(np.array([0.5, 0.3, 0.2]), 1e9, 0.0, NOISY)
    track = Track(rng.integers(0, 3, (2, 40)), np.ones(39), np.zeros(39))
    own = chain.prior * NOISY[0][:, track.votes[0]].T * NOISY[1][:, track.votes[1]].T
    np.testing.assert_allclose(chain.posterior(track), own / own.sum(1, keepdims=True), atol=1e-9)


def test_a_silent_source_changes_nothing() -> None:
    rng = np.random.default_rng(4)
    _, track, _ = drive(rng, NOISY[:1])
    silent = np.full((1, track.votes.shape[1]), MISSING)
    both = Track(np.concatenate([track.votes, silent]), track.seconds, track.metres)
    one, two = (Chain(np.full(3, 1 / 3), 0.1, 0.01, c) for c in (NOISY[:1], NOISY))
    np.testing.assert_allclose(one.posterior(track), two.posterior(both))
    np.testing.assert_allclose(two.posterior(both, trust=[1.0, 0.3]), two.posterior(both))


@pytest.mark.parametrize("bad", [{"seconds": np.ones(2)}, {"metres": -np.ones(3)}, {"votes": np.zeros((0, 4), int).T}])
def test_what_does_not_fit_is_refused(bad: dict[str, np.ndarray]) -> None:
    good = {"votes": np.zeros((1, 4), int), "seconds": np.ones(3), "metres": np.ones(3)}
    with pytest.raises(ValueError, match=r"gaps|negative|shape"):
        Track(**{**good, **bad})
