"""What the car itself did, and whether a label fits it.

Motion is one more source: a word for each frame ("standing", "braking", ...), whose frequency in each state is learnt
like any other source's. It never overrules: driving through "red" may be a wrong label, another lane's light, a turn or
a violation, and the rare ones are what mining is for. So contradictions are kept, ranked, and told apart as far as the
signals go. The paper's hard correction (A, section 3.2.1) is there as an option.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pacenote.advisory import LIGHT_STATES
from pacenote.mining.window import MISSING

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MOTIONS = ("standing", "pulling away", "braking", "slow", "cruising")
STANDING, PULLING, BRAKING, SLOW, CRUISING = range(len(MOTIONS))
STANDS_MPS, SLOW_MPS = 0.5, 6.0
PULLS_MPS2, BRAKES_MPS2 = 0.6, -0.7
FAST_MPS = 25.0  # nobody passes cones or a junction at this speed

HALTS = (LIGHT_STATES.index("red"), LIGHT_STATES.index("yellow"))
GREEN = LIGHT_STATES.index("green")

LIGHT_START = np.array(
    [
        #  stand pull  brake slow  cruise
        [0.08, 0.06, 0.12, 0.14, 0.60],  # none
        [0.50, 0.03, 0.27, 0.10, 0.10],  # red
        [0.10, 0.03, 0.37, 0.15, 0.35],  # yellow
        [0.12, 0.20, 0.08, 0.20, 0.40],  # green
        [0.08, 0.06, 0.12, 0.14, 0.60],  # off
    ]
)
"""What is expected of motion in each state of the light before any drive was seen. Of other facts nothing is."""


def words(speeds: npt.ArrayLike, accelerations: npt.ArrayLike) -> Ints:
    """A word of MOTIONS for each frame (T,) from its speed in m/s and acceleration in m/s^2; MISSING where the speed is
    not known. An unknown acceleration counts as none."""
    speed = np.asarray(speeds, dtype=np.float64)
    accel = np.nan_to_num(np.asarray(accelerations, dtype=np.float64))
    told = np.where(speed < SLOW_MPS, SLOW, CRUISING)
    told = np.where((speed < 2 * SLOW_MPS) & (accel > PULLS_MPS2), PULLING, told)
    told = np.where(accel < BRAKES_MPS2, BRAKING, told)
    told = np.where((speed < STANDS_MPS) & (accel < PULLS_MPS2), STANDING, told)
    return np.where(np.isnan(speed), MISSING, told)


def corrected(fact: str, labels: Ints, motions: Ints, speeds: Floats) -> Ints:
    """The paper's hard correction: labels (T,) that plainly do not fit the motion are rewritten.

    Red or yellow while the car pulls away becomes green; cones and an intersection at more than FAST_MPS become absent.
    """
    if fact == "light":
        return np.where(np.isin(labels, HALTS) & (motions == PULLING), GREEN, labels)
    if fact in ("obstacles.cone", "crossroad.intersection"):
        return np.where((labels == 1) & (speeds > FAST_MPS), 0, labels)
    return labels


@dataclass(frozen=True)
class Contradiction:
    """A stretch of frames `first`..`last` whose light, as seen, does not fit the motion. `why`: "other lane" (a light
    for another movement is named), "violation" or, before green, "blocked" (all sources are sure), else "label error".
    `score` 0..1: how sure the sight times how ill it fits."""

    first: int
    last: int
    state: str
    motion: str
    why: str
    score: float

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)


def contradictions(
    seen: Floats, motions: Ints, confusion: Floats, agree: npt.NDArray[np.bool_], turns: npt.NDArray[np.bool_],
    *, least: float = 0.3,
) -> list[Contradiction]:  # fmt: skip
    """Contradictions of one drive, the worst first.

    `seen` (T, K) the light's posterior without the motion; `motions` (T,) words; `confusion` (K, words) how often each
    motion comes in each state; `agree` (T,) all sources name the same state; `turns` (T,) a light for one movement or a
    second light is named.
    """
    state = seen.argmax(1)
    fits = confusion / confusion.max(0, keepdims=True)  # how well each state explains a motion, the best one 1
    known = motions != MISSING
    score = np.where(known, seen.max(1) * (1 - fits[state, np.maximum(motions, 0)]), 0.0)
    odd = (score >= least) & np.isin(state, HALTS) & np.isin(motions, (PULLING, CRUISING))
    odd |= (score >= least) & (state == GREEN) & (motions == STANDING)
    found = []
    for first, last in _runs(odd, state):
        part = slice(first, last + 1)
        sure = bool(agree[part].mean() > 0.5) and float(seen[part].max(1).mean()) > 0.9
        plain = "blocked" if state[first] == GREEN else "violation"
        why = "other lane" if turns[part].mean() > 0.5 else plain if sure else "label error"
        word = int(np.bincount(motions[part]).argmax())
        found.append(
            Contradiction(first, last, LIGHT_STATES[int(state[first])], MOTIONS[word], why, float(score[part].max()))
        )
    return sorted(found, key=lambda one: (-one.score, one.first))


def _runs(marked: npt.NDArray[np.bool_], state: Ints) -> Sequence[tuple[int, int]]:
    """(first, last) of each run of marked frames of one state."""
    runs: list[tuple[int, int]] = []
    for t in np.flatnonzero(marked):
        if runs and runs[-1][1] == t - 1 and state[t] == state[t - 1]:
            runs[-1] = (runs[-1][0], int(t))
        else:
            runs.append((int(t), int(t)))
    return runs
