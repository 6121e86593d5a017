"""Posteriors that mean what they say: a temperature a slot and a doubt a fact, fitted on drives of known truth.

A chain takes frames for independent looks and a kind that no source can see for absent; both make it too sure. The
temperature mends the first (Guo et al. 2017), the doubt the second.

Only a probability that means what it says can tell from where on a kind is worth a label. The likeliest of yes and no
names a kind that sources often miss in few of its frames, and a student learns to miss it, too; F1, by which students
are judged, is greatest in expectation at another threshold, half of that greatest F1 (Lipton et al. 2014).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pacenote.advisory import SLOTS
from pacenote.mining.facts import CONDITION, FACT, PRESENT
from pacenote.mining.fusion import FactModel, Fusion, posteriors, tempered
from pacenote.mining.votes import Votes
from pacenote.mining.window import MISSING

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Truths = Mapping[str, Ints]  # fact -> (T,) classes, MISSING where not known

TEMPERATURES = (0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.7, 8.0)
DOUBTS = (0.0, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.3)
BINS = 15
LEAST_F1 = 0.25  # expected of a kind's labels at their best; of less no threshold makes a label


def calibrated(fusion: Fusion, gold: Sequence[tuple[Votes, Truths]]) -> dict[str, FactModel]:
    """`fusion` with the temperatures and doubts that make the truth of `gold` likeliest.

    Kinds of one slot share a temperature: most are too rare for one of their own.
    """
    plain = {name: replace(model, temperature=1.0, doubt=0.0) for name, model in fusion.items()}
    drives = [posteriors(plain, votes) for votes, _ in gold]
    told: dict[str, tuple[Floats, Ints]] = {}
    for name in fusion:
        if FACT[name].slot == CONDITION:
            continue
        p = np.concatenate([own[name] for own in drives])
        truths = np.concatenate([truth[name] for _, truth in gold])
        told[name] = p[truths != MISSING], truths[truths != MISSING]
    found = dict(fusion)
    for slot in SLOTS:
        names = [name for name in fusion if FACT[name].slot == slot and len(told[name][1])]
        if not names:
            continue
        losses = {
            (name, t, d): log_loss(tempered(told[name][0], t, d), told[name][1])
            for name, t, d in itertools.product(names, TEMPERATURES, DOUBTS)
        }
        temperature = min(TEMPERATURES, key=lambda t: sum(min(losses[n, t, d] for d in DOUBTS) for n in names))
        for name in names:
            doubt = min(DOUBTS, key=lambda d: losses[name, temperature, d])
            found[name] = replace(fusion[name], temperature=temperature, doubt=doubt)
    return found


def with_thresholds(fusion: Fusion, drives: Sequence[Votes]) -> dict[str, FactModel]:
    """`fusion`, calibrated, with the probability from which each kind is labelled in `drives`. It knows no truth: what
    is expected of a threshold follows from the posteriors themselves."""
    told = [posteriors(fusion, votes) for votes in drives]
    found = dict(fusion)
    for name, model in fusion.items():
        if FACT[name].kind:
            least, f1 = best_threshold(np.concatenate([own[name][:, PRESENT] for own in told]))
            found[name] = replace(model, least=least if f1 >= LEAST_F1 else 0.5)
    return found


def best_threshold(p: Floats) -> tuple[float, float]:
    """The threshold on calibrated probabilities (n,) with the greatest expected F1, at most .5, and that F1."""
    falling = np.sort(p)[::-1]
    f1 = 2 * np.cumsum(falling) / np.maximum(np.arange(1, len(p) + 1) + falling.sum(), 1e-9)
    best = int(f1.argmax())
    return min(0.5, float(falling[best])), float(f1[best])


def log_loss(p: Floats, truths: Ints) -> float:
    """Mean -log of the probability (n, values) of what is true (n,)."""
    return float(-np.log(np.maximum(p[np.arange(len(truths)), truths], 1e-9)).mean())


def ece(sure: npt.ArrayLike, right: npt.ArrayLike) -> float:
    """Expected calibration error: the gap between certainty (n,) and how often it is right (n,), over BINS equal
    bins."""
    p, hit = np.asarray(sure, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if not len(p):
        return 0.0
    index = np.minimum((p * BINS).astype(int), BINS - 1)
    gaps = np.bincount(index, p - hit, minlength=BINS)
    return float(np.abs(gaps).sum() / len(p))
