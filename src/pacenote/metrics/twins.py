"""Flip accuracy: of two scenes that differ in one fact, does the model tell both?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pacenote.advisory import SLOTS, Advisory, Truth
from pacenote.metrics.bootstrap import Resampler, interval
from pacenote.metrics.statistics import KINDS

Pair = tuple[int, int, str]
"""(index of a frame, index of its twin, slot that differs between them)."""


def twin_pairs(ids: Sequence[str], twin_of: Sequence[str | None], truths: Sequence[Truth]) -> list[Pair]:
    """Every slot in which a frame and the frame that it is the twin of differ by a known fact. A twin whose original is
    not in the set is passed over. (A flipped light usually moves the speed too: that is a second entry.)"""
    place = {name: index for index, name in enumerate(ids)}
    pairs = []
    for index, original in enumerate(twin_of):
        if original and original in place:
            first = place[original]
            pairs += [(first, index, slot) for slot in SLOTS if _flipped(truths[first], truths[index], slot)]
    return pairs


def flip_accuracy(
    predictions: Sequence[Advisory],
    truths: Sequence[Truth],
    pairs: Sequence[Pair],
    clusters: Sequence[str],
    *,
    seed: int = 0,
    resamples: int = 1000,
) -> dict[str, Any]:
    """Share of pairs where both answers are right about what differs in the slot: the speed; the light's state, or the
    whole light where the states agree; the kinds that differ, or whether there is any. Unreadable is wrong.

    Returns `{"accuracy", "n", "ci", "by_slot": {slot: {"accuracy", "n", "ci"}}}`, None where there is no pair.
    Resampled by the cluster of the pair's first frame. Raises ValueError for a pair that differs in nothing known.
    """
    hits, slots, names = [], [], []
    for first, second, slot in pairs:
        checks = _flipped(truths[first], truths[second], slot)
        if not checks:
            raise ValueError(f"frames {first} and {second} do not differ by a known fact in the slot {slot!r}")
        hits.append(all(check(predictions[i], truths[i]) for check in checks for i in (first, second)))
        slots.append(slot)
        names.append(clusters[first])
    right, slot_of = np.asarray(hits, dtype=bool), np.asarray(slots, dtype=object)
    resampler = Resampler(names, seed=seed, resamples=resamples)

    def share(chosen: np.ndarray) -> dict[str, Any]:
        n = int(chosen.sum())
        if n == 0:
            return {"accuracy": None, "n": 0, "ci": None}
        sums = resampler.sums({"hits": (chosen & right).astype(np.float64), "n": chosen.astype(np.float64)})
        replicates = np.divide(sums["hits"], sums["n"], out=np.full_like(sums["n"], np.nan), where=sums["n"] > 0)
        return {"accuracy": float((chosen & right).sum() / n), "n": n, "ci": interval(replicates)}

    return share(np.ones(len(right), dtype=bool)) | {"by_slot": {slot: share(slot_of == slot) for slot in SLOTS}}


Check = Callable[[Advisory, Truth], bool]


def _flipped(first: Truth, second: Truth, slot: str) -> list[Check]:
    """One check for each known fact of the slot that differs between the two truths; none when they agree."""
    if slot == "speed":
        return [_same_speed] if _differ(first.speed_kmh, second.speed_kmh) else []
    if slot == "light":
        if _differ(first.light_state, second.light_state):
            return [_same_state]
        return [_same_light] if _differ(first.light, second.light) else []
    if slot not in KINDS:
        raise ValueError(f"unknown slot {slot!r}; the slots are {', '.join(SLOTS)}")
    one, two = getattr(first, slot), getattr(second, slot)
    kinds = [kind for kind in KINDS[slot] if _differ(one[kind], two[kind])]
    if kinds:
        return [_same_kind(slot, kind) for kind in kinds]
    return [_same_any(slot)] if _differ(getattr(first, f"{slot}_any"), getattr(second, f"{slot}_any")) else []


def _differ(one: object, two: object) -> bool:
    return one is not None and two is not None and one != two


def _same_speed(prediction: Advisory, truth: Truth) -> bool:
    return prediction.speed_kmh == truth.speed_kmh


def _same_state(prediction: Advisory, truth: Truth) -> bool:
    return prediction.light is not None and prediction.light.state == truth.light_state


def _same_light(prediction: Advisory, truth: Truth) -> bool:
    return prediction.light == truth.light


def _same_kind(slot: str, kind: str) -> Check:
    def check(prediction: Advisory, truth: Truth) -> bool:
        said = getattr(prediction, slot)
        return said is not None and (kind in said) == getattr(truth, slot)[kind]

    return check


def _same_any(slot: str) -> Check:
    def check(prediction: Advisory, truth: Truth) -> bool:
        said = getattr(prediction, slot)
        return said is not None and bool(said) == getattr(truth, f"{slot}_any")

    return check
