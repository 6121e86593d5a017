"""The paper's window."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacenote.mining.window import MISSING, majority


def slow(
    votes: list[int], times: list[float], speeds: list[float], metres: float = 20.0, seconds: float = 2.0
) -> list[int]:
    """Frame by frame, as the paper says it."""
    out = []
    for own, now, speed in zip(votes, times, speeds, strict=True):
        reach = min(20.0 / max(speed, 1e-6), 2.0)
        seen = [v for v, t in zip(votes, times, strict=True) if abs(t - now) <= reach + 1e-9 and v != MISSING]
        counts = {v: seen.count(v) for v in seen}
        best = max(counts.values(), default=0)
        out.append(
            own if counts.get(own) == best and best else min((v for v in counts if counts[v] == best), default=MISSING)
        )
    return out


@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 8), st.integers(0, 30)), min_size=1, max_size=40))
def test_it_is_the_rule_frame_by_frame(frames: list[tuple[int, int, int]]) -> None:
    votes, gaps, speeds = (list(part) for part in zip(*frames, strict=True))
    times = (np.cumsum(gaps) / 4).tolist()
    assert majority(votes, times, [float(s) for s in speeds]).tolist() == slow(votes, times, [float(s) for s in speeds])


def test_an_outlier_goes_and_a_fast_car_looks_less_far() -> None:
    votes, times = [1, 1, 0, 1, 1, 2, 2, 2], [k * 0.5 for k in range(8)]
    assert majority(votes, times, [5.0] * 8).tolist()[:5] == [1, 1, 1, 1, 1]
    assert majority(votes, times, [80.0] * 8).tolist() == votes


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="one of each"):
        majority([1], [0.0, 1.0], [1.0])
    with pytest.raises(ValueError, match="times fall"):
        majority([1, 1], [1.0, 0.0], [1.0, 1.0])
