"""Posteriors that mean what they say: a temperature a slot and a doubt a fact, fitted on drives of known truth.

A chain takes frames for independent looks and a kind that no source can see for absent; both make it too sure. The
temperature mends the first (Guo et al. 2017), the doubt the second. What is fitted never changes a label.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pacenote.advisory import SLOTS
from pacenote.mining.facts import CONDITION, FACT
from pacenote.mining.fusion import FactModel, Fusion, posteriors, tempered
from pacenote.mining.votes import Votes
from pacenote.mining.window import MISSING

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Truths = Mapping[str, Ints]  # fact -> (T,) classes, MISSING where not known

TEMPERATURES = (0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.7, 8.0)
DOUBTS = (0.0, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.3)
BINS = 15


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
