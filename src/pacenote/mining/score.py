"""Mined labels against known truth: how many are wrong, how often they jump, and whether their certainty is to be had.

The truth is that of the drives' rows; the miner never reads it. Every figure has an interval over drives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pacenote.advisory import SLOTS, Truth
from pacenote.metrics.statistics import count_rows
from pacenote.mining.calibrate import Truths, ece
from pacenote.mining.facts import FACT, FACTS, HIDDEN, SPEED_SLACK
from pacenote.mining.labels import Labels
from pacenote.mining.votes import Votes
from pacenote.mining.window import MISSING

Floats = npt.NDArray[np.float64]
SURE = 0.95


def truths_of(path: Path, split: str) -> dict[str, dict[float, dict[str, int]]]:
    """Drive -> time in s -> fact -> class, of the rows of a Dataset."""
    from pacenote.data import Dataset

    found: dict[str, dict[float, dict[str, int]]] = {}
    for row in Dataset.open(path, split).table(["drive", "time_s", "truth", "conditions"]).to_pylist():
        if row["drive"] and row["truth"] is not None and row["time_s"] is not None:
            truth = Truth.from_dict(row["truth"])
            own = {fact.name: fact.true(truth) for fact in FACTS}
            for fact in HIDDEN:
                value = (row["conditions"] or {}).get(fact.name)
                own[fact.name] = fact.values.index(value) if value in fact.values else MISSING
            found.setdefault(row["drive"], {})[row["time_s"]] = own
    return found


def aligned(votes: Votes, rows: Mapping[float, Mapping[str, int]]) -> Truths:
    """The truth of the frames that were voted on, MISSING where a frame has none."""
    return {
        fact.name: np.array([rows[t][fact.name] if t in rows else MISSING for t in votes.times.tolist()])
        for fact in FACT.values()
    }


def wrong(labels: Labels, truths: Truths) -> dict[str, tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]:
    """Slot -> (known, wrong), each (T,): a slot is wrong where a known fact of it is; an unlabelled one counts as
    wrong. A speed may be one step of 5 km/h off."""
    found = {}
    for slot in SLOTS:
        known, bad = [], []
        for fact in FACTS:
            if fact.slot != slot:
                continue
            own, true = labels.classes.get(fact.name), truths[fact.name]
            own = np.full(len(true), MISSING) if own is None else own
            known.append(true != MISSING)
            off = np.abs(own - true) > SPEED_SLACK if slot == "speed" else own != true
            bad.append(known[-1] & (off | (own == MISSING)))
        found[slot] = np.any(known, axis=0), np.any(bad, axis=0)
    return found


def f1_of(drives: Sequence[tuple[Labels, Truths]]) -> dict[str, float]:
    """Slot -> F1 of what labels name, counted as models are scored, and their `mean`: the light's state, whether there
    is any obstacle, any crossroad. NaN where nothing is there and nothing was named."""
    found = {}
    for slot in SLOTS[1:]:
        facts = [fact.name for fact in FACTS if fact.slot == slot]
        own, true = [], []
        for labels, truths in drives:
            silent = np.full(len(truths[facts[0]]), MISSING)
            own.append(_joined([labels.classes.get(name, silent) for name in facts]))
            true.append(_joined([truths[name] for name in facts]))
        rows = count_rows(slot, np.concatenate(own), np.concatenate(true))
        tp, fp, fn = (float(rows[f"{slot}.{part}"].sum()) for part in ("tp", "fp", "fn"))
        found[slot] = 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else float("nan")
    return found | {"mean": float(np.mean(list(found.values())))}


def _joined(facts: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """(T,) of a slot: the class of its one fact; of kinds whether any is there, MISSING where that is not known."""
    most, least = np.max(facts, axis=0), np.min(facts, axis=0)
    return np.asarray(np.where(most > 0, most, least))


def score(drives: Sequence[tuple[Votes, Labels, Truths]], *, seed: int = 0, resamples: int = 1000) -> dict[str, Any]:
    """`error` by slot and their mean, `facts` (share of single facts that are wrong), `jitter` (switches a minute, and
    those of the truth, over frames of known truth), `f1` (see `f1_of`), and with posteriors `ece`, `sure` (share right
    at SURE) and `coverage`; `ci` of the mean error over drives."""
    counts = np.zeros((len(drives), len(SLOTS), 2))
    facts = np.zeros((len(drives), 2))
    switched, minutes = np.zeros(2), 0.0
    told: list[Floats] = []
    hits: list[npt.NDArray[np.bool_]] = []
    for k, (votes, labels, truths) in enumerate(drives):
        slots = wrong(labels, truths)
        counts[k] = [[bad.sum(), known.sum()] for known, bad in slots.values()]
        minutes += float(np.ptp(votes.times)) / 60
        for fact in FACTS:
            known = truths[fact.name] != MISSING
            own = labels.classes.get(fact.name, np.full(len(known), MISSING))
            facts[k] += [(own != truths[fact.name])[known].sum(), known.sum()]
            if fact.slot != "speed":
                switched += [_switches(own[known]), _switches(truths[fact.name][known])]
        if labels.posterior:
            for slot, (known, bad) in slots.items():
                told.append(labels.certainty[slot][known])
                hits.append(~bad[known])
    draws = np.random.default_rng(seed).integers(len(drives), size=(resamples, len(drives)))
    drawn = counts[draws].sum(1)
    means = (drawn[..., 0] / np.maximum(drawn[..., 1], 1)).mean(1)
    error = counts.sum(0)[:, 0] / np.maximum(counts.sum(0)[:, 1], 1)
    figures: dict[str, Any] = {
        "error": {slot: float(e) for slot, e in zip(SLOTS, error, strict=True)} | {"mean": float(error.mean())},
        "ci": [float(q) for q in np.quantile(means, [0.025, 0.975])],
        "facts": float(facts[:, 0].sum() / max(facts[:, 1].sum(), 1)),
        "jitter": {"labels": float(switched[0] / minutes), "truth": float(switched[1] / minutes)},
        "f1": f1_of([(labels, truths) for _, labels, truths in drives]),
        "by_drive": [float((c[:, 0] / np.maximum(c[:, 1], 1)).mean()) for c in counts],
    }
    if told:
        p, hit = np.concatenate(told), np.concatenate(hits)
        figures |= {
            "ece": ece(p, hit),
            "sure": float(hit[p >= SURE].mean()) if (p >= SURE).any() else None,
            "coverage": float((p >= SURE).mean()),
        }
    return figures


def _switches(classes: npt.NDArray[np.int64]) -> int:
    known = classes[classes != MISSING]
    return int((np.diff(known) != 0).sum())
