"""Candidates against each other on shared frames, by successive halving."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Heat(Generic[T]):
    """One rung: candidates with their gains over the incumbent on the first `frames` frames, best first."""

    frames: int
    gains: tuple[tuple[T, float], ...]


def race(
    candidates: Sequence[T], gains: Callable[[Sequence[T], int], Sequence[float]], frames: int, *, rungs: int = 3
) -> list[Heat[T]]:
    """Heats of `candidates` on a quarter, a half and all of `frames` (for three rungs); after each the better half goes
    on. `gains(candidates, n)` is their gain on the first n frames. The winner is the first of the last heat.

    Raises ValueError without a candidate or a frame.
    """
    if not candidates or frames < 1 or rungs < 1:
        raise ValueError("a race needs candidates, frames and rungs")
    left, heats = list(candidates), []
    for rung in range(rungs):
        count = max(1, frames >> (rungs - 1 - rung))
        told = sorted(zip(left, gains(left, count), strict=True), key=lambda one: -one[1])
        heats.append(Heat(count, tuple(told)))
        left = [one for one, _ in told[: max(1, -(-len(told) // 2))]]
    return heats
