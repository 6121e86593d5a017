"""Scores of advisories as in paper A's Table 2, with intervals and the baselines that any model must beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pacenote.advisory import LIGHT_STATES, SLOTS, Advisory, Truth
from pacenote.metrics.bootstrap import Intervals, Resampler
from pacenote.metrics.statistics import (
    COUNTED,
    KINDS,
    UNKNOWN,
    Columns,
    Floats,
    Ints,
    Statistics,
    columns,
    figures,
    statistics,
)

CONFUSION_ANSWERS = (*LIGHT_STATES, "unreadable")


def score(
    predictions: Sequence[Advisory],
    truths: Sequence[Truth],
    clusters: Sequence[str],
    *,
    seed: int = 0,
    resamples: int = 1000,
) -> dict[str, Any]:
    """Score predictions against truths, one each a frame; `clusters` names each frame's drive or scene.

    Returns, all JSON-ready, with None for a figure that is undefined (no known fact, no positive on either side):
    `n` frames; `clusters`, how many; `speed.{smape, r2, n}`; `light|obstacles|crossroad.{p, r, f1, n, tp, fp, fn,
    positives}`; `average`; `light_exact.{accuracy, n}` over (state, movement, place, other); `confusion.{truth, answer,
    counts}` (rows truth, columns answer); `per_kind.SLOT.KIND`, like a slot with its own `ci`; `unreadable` by slot,
    among the scored frames; `ci`, 95 % intervals nested like the figures; `baselines.{commonest, none, yes}`, the same.
    Raises ValueError when the lengths differ.
    """
    if len(clusters) != len(truths):
        raise ValueError(f"{len(clusters)} clusters for {len(truths)} truths: name each frame's drive or scene")
    predicted, true = columns(predictions, truths)
    rows = statistics(predicted, true)
    resampler = Resampler(clusters, seed=seed, resamples=resamples)
    totals, bounds = _totals(rows), resampler.intervals(rows)
    result = {"n": len(truths), "clusters": resampler.count} | _nested(totals, bounds)
    result["unreadable"] = {slot: int(totals[f"{slot}.unreadable"]) for slot in SLOTS}
    result["confusion"] = _confusion(predicted.state, true.state)
    result["per_kind"] = _per_kind(totals, bounds)
    result["baselines"] = {}
    for name, answers, slots in _baselines(true):
        rows = statistics(answers, true)
        result["baselines"][name] = _nested(_totals(rows), resampler.intervals(rows), slots)
    return result


def breakdown(
    predictions: Sequence[Advisory],
    truths: Sequence[Truth],
    groups: Sequence[str | None],
    clusters: Sequence[str],
    *,
    seed: int = 0,
    resamples: int = 1000,
) -> dict[str, dict[str, Any]]:
    """`score` within each group (a condition: weather, time of day, lens size, ...), sorted by name.

    A frame whose group is None belongs to none. Unreadable speeds are held to the range of their group.
    """
    if not len(predictions) == len(truths) == len(groups) == len(clusters):
        raise ValueError("predictions, truths, groups and clusters must have one entry a frame each")
    members: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        if group is not None:
            members.setdefault(str(group), []).append(index)
    return {
        group: score(
            [predictions[i] for i in indices],
            [truths[i] for i in indices],
            [clusters[i] for i in indices],
            seed=seed,
            resamples=resamples,
        )
        for group, indices in sorted(members.items())
    }


def _nested(totals: Statistics, bounds: Intervals, slots: Sequence[str] = SLOTS) -> dict[str, Any]:
    """The figures of Table 2 and their intervals; those of slots not in `slots` are None."""
    values = figures(totals)
    out: dict[str, Any] = {}
    ci: dict[str, Any] = {}
    for slot in SLOTS:
        names = ("smape", "r2") if slot == "speed" else ("p", "r", "f1")
        told = slot in slots
        out[slot] = {name: _number(values[f"{slot}.{name}"]) if told else None for name in names}
        out[slot]["n"] = int(totals[f"{slot}.n"])
        ci[slot] = {name: bounds[f"{slot}.{name}"] if told else None for name in names}
        if slot in COUNTED:
            out[slot] |= {part: int(totals[f"{slot}.{part}"]) for part in ("tp", "fp", "fn", "positives")}
    out["average"], ci["average"] = _number(values["average"]), bounds["average"]
    out["light_exact"] = {"accuracy": _number(values["light_exact"]), "n": int(totals["light_exact.n"])}
    ci["light_exact"] = {"accuracy": bounds["light_exact"]}
    return out | {"ci": ci}


def _per_kind(totals: Statistics, bounds: Intervals) -> dict[str, Any]:
    values = figures(totals)
    table: dict[str, Any] = {slot: {} for slot in KINDS}
    for slot, kinds in KINDS.items():
        for kind in kinds:
            name = f"{slot}/{kind}"
            row: dict[str, Any] = {figure: _number(values[f"{name}.{figure}"]) for figure in ("p", "r", "f1")}
            row |= {part: int(totals[f"{name}.{part}"]) for part in ("n", "tp", "fp", "fn", "positives")}
            row["ci"] = {figure: bounds[f"{name}.{figure}"] for figure in ("p", "r", "f1")}
            table[slot][kind] = row
    return table


def _confusion(predicted: Ints, true: Ints) -> dict[str, Any]:
    scored = true != UNKNOWN
    answers = np.where(predicted == UNKNOWN, len(LIGHT_STATES), predicted)[scored]
    width = len(CONFUSION_ANSWERS)
    counts = np.bincount(true[scored] * width + answers, minlength=len(LIGHT_STATES) * width)
    return {
        "truth": list(LIGHT_STATES),
        "answer": list(CONFUSION_ANSWERS),
        "counts": counts.reshape(len(LIGHT_STATES), width).tolist(),
    }


def _baselines(true: Columns) -> list[tuple[str, Columns, tuple[str, ...]]]:
    """(name, constant answers, slots that they answer). "yes" to the light is its commonest lit state."""
    lit = true.state[true.state > 0]
    nothing, everything = dict.fromkeys(KINDS, 0), dict.fromkeys(KINDS, 1)
    commonest = {slot: _mode(true.present[slot]) for slot in KINDS}
    silent = _constant(true, UNKNOWN, 0, UNKNOWN, nothing)
    none_id = true.light[(true.state == 0) & (true.light != UNKNOWN)]
    if none_id.size:
        silent = _constant(true, UNKNOWN, 0, int(none_id[0]), nothing)
    return [
        ("commonest", _constant(true, _mode(true.speed), _mode(true.state), _mode(true.light), commonest), SLOTS),
        ("none", silent, COUNTED),
        ("yes", _constant(true, UNKNOWN, _mode(lit), _mode(true.light[true.state > 0]), everything), COUNTED),
    ]


def _constant(true: Columns, speed: int, state: int, light: int, present: dict[str, int]) -> Columns:
    n = len(true.speed)
    # A `light` of UNKNOWN matches nothing: a truth that is not known is not scored.
    return Columns(
        speed=np.full(n, speed),
        state=np.full(n, state),
        light=np.full(n, light),
        present={slot: np.full(n, present[slot]) for slot in KINDS},
        kind={},
    )


def _mode(values: Ints) -> int:
    """The commonest known value, the smallest of equals; UNKNOWN where none is known."""
    known = values[values != UNKNOWN]
    return int(np.bincount(known).argmax()) if known.size else UNKNOWN


def _totals(rows: Statistics) -> Statistics:
    return {name: np.asarray(values.sum()) for name, values in rows.items()}


def _number(value: Floats) -> float | None:
    return None if np.isnan(value) else float(value)
