"""Sufficient statistics: what one frame adds to each figure, so that any (re)sampled set is a sum of rows.

A `Statistics` maps a name to an array of shape (frames,). `figures` turns *sums* of those rows, of any shape (...),
into figures of the same shape; NaN stands for a figure that is undefined there. The definitions:

- speed: sMAPE = mean(|p - t| / ((|p| + |t|) / 2)), 0 where both are 0 (range 0..2);
  R2 = 1 - sum (p - t)^2 / sum (t - mean t)^2.
- light: TP p = t != none; FP p != none and p != t; FN t != none and p != t, so a wrong colour counts as both.
- obstacles, crossroad and each kind: the usual binary counts.
- F1 = 2 TP / (2 TP + FP + FN). P and R are 0 where their own denominator is 0 but F1's is not (as scikit-learn does).
- average = mean of the F1 of light, obstacles and crossroad.
A frame whose fact is not known adds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pacenote.advisory import CROSSROADS, LIGHT_STATES, OBSTACLES, SPEEDS, Advisory, Truth

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Statistics = dict[str, Floats]

UNKNOWN = -1  # in truths: not known; in predictions: unreadable
KINDS = {"obstacles": OBSTACLES, "crossroad": CROSSROADS}
COUNTED = ("light", "obstacles", "crossroad")


@dataclass(frozen=True)
class Columns:
    """Truths or predictions as integer columns of shape (frames,); -1 = not known or unreadable.

    `speed` in km/h, `state` an index of `LIGHT_STATES`, `present[slot]` and `kind[slot, kind]` 0 or 1, `light` an id
    that is equal for equal lights within one pair of Columns.
    """

    speed: Ints
    state: Ints
    light: Ints
    present: dict[str, Ints]
    kind: dict[tuple[str, str], Ints]


def columns(predictions: Sequence[Advisory], truths: Sequence[Truth]) -> tuple[Columns, Columns]:
    """Encode both sides. Raises ValueError when their lengths differ."""
    if len(predictions) != len(truths):
        raise ValueError(f"{len(predictions)} predictions for {len(truths)} truths: give one of each a frame")
    ids: dict[object, int] = {None: UNKNOWN}

    def lights(items: Sequence[Advisory] | Sequence[Truth]) -> Ints:
        return _ints([ids.setdefault(item.light, len(ids)) for item in items])

    predicted = Columns(
        speed=_ints([UNKNOWN if p.speed_kmh is None else p.speed_kmh for p in predictions]),
        state=_ints([UNKNOWN if p.light is None else LIGHT_STATES.index(p.light.state) for p in predictions]),
        light=lights(predictions),
        present={slot: _ints([_bit(_any(getattr(p, slot))) for p in predictions]) for slot in KINDS},
        kind={
            (slot, kind): _ints([_bit(_has(getattr(p, slot), kind)) for p in predictions])
            for slot, kinds in KINDS.items()
            for kind in kinds
        },
    )
    true = Columns(
        speed=_ints([UNKNOWN if t.speed_kmh is None else t.speed_kmh for t in truths]),
        state=_ints([UNKNOWN if t.light_state is None else LIGHT_STATES.index(t.light_state) for t in truths]),
        light=lights(truths),
        present={slot: _ints([_bit(getattr(t, f"{slot}_any")) for t in truths]) for slot in KINDS},
        kind={
            (slot, kind): _ints([_bit(getattr(t, slot)[kind]) for t in truths])
            for slot, kinds in KINDS.items()
            for kind in kinds
        },
    )
    return predicted, true


def statistics(predicted: Columns, true: Columns) -> Statistics:
    """Rows of every figure, each of shape (frames,)."""
    rows = _speed_rows(predicted.speed, true.speed)
    rows |= count_rows("light", predicted.state, true.state)
    known = true.light != UNKNOWN
    rows["light_exact.n"] = known.astype(np.float64)
    rows["light_exact.hits"] = (known & (predicted.light == true.light)).astype(np.float64)
    for slot in KINDS:
        rows |= count_rows(slot, predicted.present[slot], true.present[slot])
    for (slot, kind), answers in predicted.kind.items():
        rows |= count_rows(f"{slot}/{kind}", answers, true.kind[slot, kind])
    return rows


def figures(sums: Mapping[str, Floats]) -> dict[str, Floats]:
    """Summed rows -> "speed.smape", "speed.r2", "light.p", ..., "obstacles/cone.f1", ..., "light_exact", "average"."""
    n, error, total = sums["speed.n"], sums["speed.squared_error"], sums["speed.sum"]
    variation = sums["speed.sum_of_squares"] - _ratio(total * total, n)
    out = {"speed.smape": _ratio(sums["speed.smape"], n), "speed.r2": 1 - _ratio(error, variation)}
    for name in [key.removesuffix(".tp") for key in sums if key.endswith(".tp")]:
        tp, fp, fn = (sums[f"{name}.{part}"] for part in ("tp", "fp", "fn"))
        f1 = _ratio(2 * tp, 2 * tp + fp + fn)
        defined = ~np.isnan(f1)
        out[f"{name}.p"] = np.where(defined, np.nan_to_num(_ratio(tp, tp + fp)), np.nan)
        out[f"{name}.r"] = np.where(defined, np.nan_to_num(_ratio(tp, tp + fn)), np.nan)
        out[f"{name}.f1"] = f1
    out["light_exact"] = _ratio(sums["light_exact.hits"], sums["light_exact.n"])
    out["average"] = (out["light.f1"] + out["obstacles.f1"] + out["crossroad.f1"]) / 3
    return out


def _speed_rows(predicted: Ints, true: Ints) -> Statistics:
    scored = true != UNKNOWN
    p, t = predicted.astype(np.float64), np.where(scored, true, 0).astype(np.float64)
    unreadable = predicted == UNKNOWN
    low, high = _speed_range(true[scored])
    smape = np.where(unreadable, np.maximum(_smape(low, t), _smape(high, t)), _smape(p, t))
    error = np.where(unreadable, np.maximum(np.abs(low - t), np.abs(high - t)), np.abs(p - t))
    values = {"n": np.ones_like(t), "smape": smape, "squared_error": error**2, "sum": t, "sum_of_squares": t**2}
    return {f"speed.{name}": np.where(scored, value, 0.0) for name, value in values.items()} | {
        "speed.unreadable": (scored & unreadable).astype(np.float64)
    }


def _speed_range(true: Ints) -> tuple[float, float]:
    """What an unreadable speed is held to: the end of the set's range that is worst for the figure at hand. A set of
    one single speed has no range, so there the whole scale is taken (else not answering would be a perfect answer)."""
    if true.size == 0 or true.min() == true.max():
        return float(SPEEDS[0]), float(SPEEDS[-1])
    return float(true.min()), float(true.max())


def _smape(p: Floats | float, t: Floats) -> Floats:
    size = (np.abs(p) + np.abs(t)) / 2
    return np.divide(np.abs(p - t), size, out=np.zeros_like(t), where=size > 0)


def count_rows(name: str, predicted: Ints, true: Ints) -> Statistics:
    """Counts for classes where 0 = none; an unreadable answer is a miss where something is, else a false alarm."""
    scored, unreadable = true != UNKNOWN, predicted == UNKNOWN
    wrong = scored & (predicted != true)
    rows = {
        "n": scored,
        "tp": scored & ~unreadable & (true > 0) & (predicted == true),
        "fp": wrong & np.where(unreadable, true == 0, predicted > 0),
        "fn": wrong & (true > 0),
        "positives": scored & (true > 0),
        "unreadable": scored & unreadable,
    }
    return {f"{name}.{part}": value.astype(np.float64) for part, value in rows.items()}


def _ratio(top: Floats, bottom: Floats) -> Floats:
    top, bottom = np.asarray(top, dtype=np.float64), np.asarray(bottom, dtype=np.float64)
    return np.divide(top, bottom, out=np.full(np.broadcast(top, bottom).shape, np.nan), where=bottom > 1e-9)


def _ints(values: Sequence[int]) -> Ints:
    return np.asarray(values, dtype=np.int64)


def _bit(value: bool | None) -> int:
    return UNKNOWN if value is None else int(value)


def _any(kinds: frozenset[str] | None) -> bool | None:
    return None if kinds is None else bool(kinds)


def _has(kinds: frozenset[str] | None, kind: str) -> bool | None:
    return None if kinds is None else kind in kinds
