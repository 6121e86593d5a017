"""Which N frames of a mined set are worth keeping: rare values, disagreement and contradictions first, from all drives.

Hours of driving are mostly an empty road at the limit. Frames are drawn without putting back, each with a weight
(Efraimidis and Spirakis 2006), so that the kept set leans towards what is rare and doubtful and still holds some of
everything: a set of only hard frames teaches a model that all frames are hard.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pacenote.advisory import SLOTS
from pacenote.data.doubt import disagreement, slot_values, told
from pacenote.data.sample import Sample

CAP = 20.0  # of a value's inverse frequency: one mislabelled frame must not be sure to be kept
DISAGREE = 2.0  # added to a factor of 1, times the share of outvoted sources in the most disputed slot
CONTRADICT = 3.0  # added where the car's motion contradicts a label
DULL = 0.05  # weight of a frame of which nothing is known
LEAN = 2.0  # times an equal share: what one drive may give while others have frames left


@dataclass(frozen=True)
class Candidate:
    """What is known of a frame without its picture: `values` slot -> its values, `disputed` 0 to 1."""

    id: str
    drive: str
    values: dict[str, tuple[str, ...]]
    disputed: float = 0.0
    contradicted: bool = False

    @classmethod
    def of(cls, sample: Sample) -> Candidate:
        disputed = max(disagreement(sample, slot) for slot in SLOTS)
        return cls(sample.id, sample.cluster, slot_values(sample.truth), disputed, bool(told(sample, "contradictions")))


def choose(candidates: Sequence[Candidate], n: int, *, seed: int = 0) -> list[int]:
    """Indices of the `n` frames to keep, rising; all of them where there are no more. The same for the same `seed` and
    frames, in whatever order they come.

    Raises ValueError where `n` is negative or an id occurs twice.
    """
    ids = Counter(candidate.id for candidate in candidates)
    if n < 0 or len(ids) < len(candidates):
        raise ValueError(f"{n} frames wanted" if n < 0 else f"frame {ids.most_common(1)[0][0]} comes twice")
    worth = weights(candidates)
    order = sorted(range(len(candidates)), key=lambda i: (-_key(candidates[i].id, worth[i], seed), candidates[i].id))
    drives = Counter(candidate.drive for candidate in candidates)
    most = math.ceil(LEAN * n / max(1, len(drives)))
    given = Counter[str]()
    kept: list[int] = []
    later: list[int] = []
    for index in order:
        drive = candidates[index].drive
        (kept if given[drive] < most and len(kept) < n else later).append(index)
        given[drive] += 1
    return sorted(kept + later[: n - len(kept)])


def weights(candidates: Sequence[Candidate]) -> list[float]:
    """The weight of each frame in the draw: mean over its slots of its rarest value's inverse frequency (at most `CAP`)
    x (1 + `DISAGREE` disputed) x (1 + `CONTRADICT` where motion contradicts).

    A value's inverse frequency is frames / (values x count): 1 when all values of the slot are equally frequent.
    """
    counts: dict[str, Counter[str]] = {slot: Counter() for slot in SLOTS}
    frames = Counter[str]()
    for candidate in candidates:
        for slot, values in candidate.values.items():
            counts[slot].update(values)
            frames[slot] += 1
    result = []
    for one in candidates:
        rare = [
            min(CAP, max(frames[slot] / (len(counts[slot]) * counts[slot][value]) for value in values))
            for slot, values in one.values.items()
        ]
        base = sum(rare) / len(rare) if rare else DULL
        result.append(base * (1 + DISAGREE * one.disputed) * (1 + CONTRADICT * one.contradicted))
    return result


def shares(candidates: Sequence[Candidate], chosen: Sequence[int]) -> dict[str, Any]:
    """For a report: slot -> value -> [share before, share after] of the frames whose slot is known."""
    told: dict[str, Any] = {}
    for slot in SLOTS:
        before = [one.values[slot] for one in candidates if slot in one.values]
        after = [candidates[i].values[slot] for i in chosen if slot in candidates[i].values]
        held = Counter(value for values in before for value in values)
        left = Counter(value for values in after for value in values)
        told[slot] = {
            value: [count / len(before), left[value] / max(1, len(after))] for value, count in held.most_common()
        }
    return told


def _key(id: str, weight: float, seed: int) -> float:
    """The logarithm of u^(1/weight), with u in (0, 1) drawn from the seed and the id alone."""
    drawn = int.from_bytes(hashlib.sha256(f"{seed} {id}".encode()).digest()[:7]) + 1
    return math.log(drawn / (2**56 + 2)) / weight
