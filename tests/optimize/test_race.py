"""Races: the better half goes on, on more frames each time."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacenote.optimize.race import race


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=20), st.integers(1, 500), st.integers(1, 4))
def test_without_noise_the_best_wins(gains: list[float], frames: int, rungs: int) -> None:
    seen = []

    def told(chosen: Sequence[int], count: int) -> list[float]:
        seen.append((len(chosen), count))
        return [gains[one] for one in chosen]

    heats = race(range(len(gains)), told, frames, rungs=rungs)
    assert heats[-1].gains[0][1] == max(gains)
    assert heats[-1].frames == frames
    assert len(heats) == rungs
    assert [count for count, _ in seen] == sorted((count for count, _ in seen), reverse=True)
    assert [count for _, count in seen] == sorted(count for _, count in seen)


def test_a_late_developer_is_dropped_early() -> None:
    heats = race(
        ["a", "b", "c", "d"],
        lambda chosen, n: [{"a": 1, "b": 2, "c": 3, "d": 9 if n > 50 else 0}[c] for c in chosen],
        100,
    )
    assert [len(heat.gains) for heat in heats] == [4, 2, 1]
    assert heats[-1].gains[0][0] == "c"


def test_nothing_to_race() -> None:
    with pytest.raises(ValueError, match="candidates"):
        race([], lambda chosen, n: [], 10)
