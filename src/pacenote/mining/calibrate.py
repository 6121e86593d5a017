"""Posteriors that mean what they say: a temperature a slot and a doubt a fact, fitted on drives of known truth.

A chain takes frames for independent looks and a kind that no source can see for absent; both make it too sure. The
temperature mends the first (Guo et al. 2017), the doubt the second. Known truth also tells which sources to hear, and
how much their own probabilities are worth beside the chain (`pool`).

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
from pacenote.mining.facts import FACT, PRESENT
from pacenote.mining.fusion import (
    HIDDEN_NAMES,
    RULE,
    FactModel,
    Fusion,
    free_road,
    off_free,
    posteriors,
    posteriors_but_speed,
    split_view,
    tempered,
    with_rule,
)
from pacenote.mining.pool import pooled
from pacenote.mining.votes import Votes
from pacenote.mining.window import MISSING

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Truths = Mapping[str, Ints]  # fact -> (T,) classes, MISSING where not known

TEMPERATURES = (0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.7, 8.0)
SHARES = (0.5, 0.25, 0.0)  # of a source's trust
DOUBTS = (0.0, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.3)
BINS = 15
LEAST_F1 = 0.25  # expected of a kind's labels at their best; of less no threshold makes a label


def calibrated(
    fusion: Fusion, gold: Sequence[tuple[Votes, Truths]], others: Sequence[Fusion] = (), *, pools: bool = True
) -> dict[str, FactModel]:
    """`fusion` with the temperatures and doubts that make the truth of `gold` likeliest. Each slot is that of `others`
    instead (see `fusion.fit_without`), and a source there counts for one of SHARES of its trust, where its truth is
    likelier so; likewise the weather, the time and the road class, on which the speed rests.

    Agreement tells who is right only as long as sources err apart: one that is wrong for a whole stretch agrees with
    itself. Kinds of one slot share all this but the doubt: most are too rare for their own. Last, `pools` weigh what
    sources said in probabilities beside the chain, where that holds for gold drives that took no part (`pool.pooled`).
    """
    found = {name: replace(model, temperature=1.0, doubt=0.0, pool=None) for name, model in fusion.items()}
    by_slot = [[name for name in found if FACT[name].slot == slot] for slot in (*SLOTS[1:], "speed")]
    hidden = [[name] for name in HIDDEN_NAMES if name in found]
    for group in (*hidden, *by_slot):  # crossroads rest on the road, the speed on all
        told = {name: np.concatenate([truth[name] for _, truth in gold]) for name in group}
        truths = {name: truth for name, truth in told.items() if (truth != MISSING).any()}
        if not truths:
            continue
        slot, votes = FACT[group[0]].slot, [own for own, _ in gold]
        if slot == "speed" and any(RULE in row for row in fusion["speed"].sources):
            votes = [with_rule(own, posteriors_but_speed(own, found)) for own in votes]
        free = None
        if slot == "crossroad" and "road_class" in found:
            free = free_road(np.concatenate([found["road_class"].posterior(own) for own in votes]))
        able = [one for one in (fusion, *others) if set(truths) <= set(one)]
        fitted = [_fitted({name: one[name] for name in truths}, votes, truths, free) for one in able]
        best = min(fitted, key=lambda told: told[0])
        for source in sorted({split_view(row)[0] for model in best[1].values() for row in model.sources}):
            tries = [{name: _heard(model, source, share) for name, model in best[1].items()} for share in SHARES]
            best = min([best, *(_fitted(one, votes, truths, free) for one in tries)], key=lambda told: told[0])
        found |= best[1]
        if pools:
            chains = {name: [model.posterior(own) for own in votes] for name, model in best[1].items()}
            weighed = pooled(chains, votes, {name: [truth[name] for _, truth in gold] for name in chains}, but=[RULE])
            found |= {name: replace(found[name], pool=pool) for name, pool in weighed.items()}
    return found


def _heard(model: FactModel, source: str, share: float) -> FactModel:
    rows = zip(model.sources, model.trust, strict=True)
    return replace(model, trust=tuple(own * share if split_view(row)[0] == source else own for row, own in rows))


def _fitted(
    models: Mapping[str, FactModel], votes: Sequence[Votes], truths: Mapping[str, Ints], free: Floats | None = None
) -> tuple[float, dict[str, FactModel]]:
    """The log loss of the models of one slot, summed over its facts, with the temperature that they share and the doubt
    of each that make it least; and the models with these. `free` (T,): of junctions and crossings, see `off_free`."""
    losses: dict[tuple[str, float, float], float] = {}
    for name, model in models.items():
        p = np.concatenate([replace(model, temperature=1.0, doubt=0.0).posterior(own) for own in votes])
        known = truths[name] != MISSING
        for t, d in itertools.product(TEMPERATURES, DOUBTS):
            told = tempered(p[known], t, d)
            told = told if free is None else off_free(told, free[known])
            losses[name, t, d] = log_loss(told, truths[name][known])
    total = {t: sum(min(losses[name, t, d] for d in DOUBTS) for name in models) for t in TEMPERATURES}
    t = min(total, key=lambda one: total[one])
    doubts = {name: min(DOUBTS, key=lambda d: losses[name, t, d]) for name in models}
    return total[t], {name: replace(one, temperature=t, doubt=doubts[name]) for name, one in models.items()}


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
