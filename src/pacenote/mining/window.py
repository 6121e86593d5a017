"""The paper's rule (A, section 3.2.1): a window whose width follows the speed, whose majority replaces a frame's
label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MISSING = -1  # a source that said nothing of a frame


def majority(
    votes: Sequence[int], times: Sequence[float], speeds: Sequence[float], *, metres: float = 20.0, seconds: float = 2.0
) -> Ints:
    """Labels (T,) after the vote. `votes` (T,) are classes from 0, MISSING where there is none; `times` in s, rising;
    `speeds` in m/s.

    A frame's window reaches as far to both sides as the car drives `metres`, at most `seconds` (a car that stands would
    wait for ever). The commonest vote wins; in a tie the frame's own label, else the smallest class. A frame without
    any vote in its window stays MISSING. Raises ValueError where lengths differ or times fall.
    """
    said, when, fast = _arrays(votes, times, speeds)
    reach = np.minimum(metres / np.maximum(fast, 1e-6), seconds)
    first = np.searchsorted(when, when - reach - 1e-9)
    last = np.searchsorted(when, when + reach + 1e-9)
    classes = int(said.max(initial=0)) + 1
    # Votes before each frame, by class: a window is a difference of two rows.
    counts = np.zeros((len(said) + 1, classes), dtype=np.int64)
    known = said != MISSING
    counts[1:][np.flatnonzero(known), said[known]] = 1
    counts = counts.cumsum(0)
    inside = counts[last] - counts[first]
    best = inside.max(1)
    labels = inside.argmax(1)
    own = known & (inside[np.arange(len(said)), np.maximum(said, 0)] == best)
    labels = np.where(own, said, labels)
    return np.where(best > 0, labels, MISSING)


def _arrays(votes: Sequence[int], times: Sequence[float], speeds: Sequence[float]) -> tuple[Ints, Floats, Floats]:
    said = np.asarray(votes, dtype=np.int64)
    when, fast = np.asarray(times, dtype=np.float64), np.asarray(speeds, dtype=np.float64)
    if not len(said) == len(when) == len(fast):
        raise ValueError(f"{len(said)} votes, {len(when)} times, {len(fast)} speeds: give one of each a frame")
    if len(when) > 1 and bool((np.diff(when) < 0).any()):
        raise ValueError("times fall; sort the frames of a drive by time")
    return said, when, fast
