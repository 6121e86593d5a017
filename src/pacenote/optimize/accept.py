"""Whether one prompt is better than another: a paired test on frames kept for it, alpha spending, no slot worse.

A candidate that was chosen because it did well on some frames looks good there by luck alone; on other frames, asked
once, it does not. Under the hypothesis that two prompts are equally good their answers to a scene can be swapped, so
the distribution of the difference follows from swapping them at random: no assumption about F1 is needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pacenote.advisory import Advisory, Truth
from pacenote.metrics.bootstrap import Resampler
from pacenote.metrics.statistics import Statistics, columns, figures, statistics

DRAWS = 4000  # random swaps
SIDE = 0.05  # of a bound of non-inferiority, one-sided
HIGHER = ("light.f1", "obstacles.f1", "crossroad.f1")  # slots' figures, the more the better
LOWER = ("speed.smape",)  # the less the better
NAMES = ("average", *HIGHER, *LOWER)


@dataclass(frozen=True)
class Paired:
    """The second prompt minus the first on the same frames. `p`: one-sided, of no gain in the Average; `worst`: by
    figure the 95 % bound of how much worse the second may be (0 or less where it is surely no worse), known only of
    those whose gain is significant; `changed`: scenes whose answers differ in what is scored."""

    difference: dict[str, float]
    p: float
    worst: dict[str, float]
    frames: int
    changed: int


@dataclass(frozen=True)
class Verdict:
    """What came of a look at the accept split: `alpha` that it was allowed to spend."""

    accepted: bool
    why: str
    alpha: float
    look: int
    paired: Paired


@dataclass
class Gate:
    """Accepts candidates with at most `alpha` false acceptances over all its looks: the k-th may spend alpha * 6 / (pi
    k)^2, which sums to alpha however many there are. `margin`: how much worse a slot may be, by the bound."""

    alpha: float = 0.025
    margin: float = 0.03
    draws: int = DRAWS
    seed: int = 0
    verdicts: list[Verdict] = field(default_factory=list)

    def allowed(self) -> float:
        """What the next look may spend."""
        return self.alpha * 6 / (math.pi * (len(self.verdicts) + 1)) ** 2

    def judge(
        self, before: Sequence[Advisory], after: Sequence[Advisory], truths: Sequence[Truth], clusters: Sequence[str]
    ) -> Verdict:
        """The verdict on `after`, recorded. Raises ValueError where the sequences differ in length."""
        first, second = (statistics(*columns(said, truths)) for said in (before, after))
        seed = self.seed + len(self.verdicts)
        return self.decide(compare_rows(first, second, clusters, draws=self.draws, seed=seed), first, second, clusters)

    def decide(self, found: Paired, first: Statistics, second: Statistics, clusters: Sequence[str]) -> Verdict:
        """`judge`, when the rows of both prompts and their comparison are at hand."""
        look, allowed = len(self.verdicts) + 1, self.allowed()
        if found.p <= allowed:
            found = replace(found, worst=bounds(first, second, clusters, seed=self.seed + look))
        slots = [name for name, loss in found.worst.items() if loss > self.margin]
        if found.p > allowed:
            accepted, why = False, f"p = {found.p:.4f} is over {allowed:.4f}"
        elif slots:
            losses = ", ".join(f"{name} by {found.worst[name]:.3f}" for name in slots)
            accepted, why = False, f"may be worse: {losses} (margin {self.margin:g})"
        else:
            accepted, why = True, f"p = {found.p:.4f} of {allowed:.4f}; no slot worse by {self.margin:g}"
        verdict = Verdict(accepted, why, allowed, look, found)
        self.verdicts.append(verdict)
        return verdict


def compare(
    before: Sequence[Advisory],
    after: Sequence[Advisory],
    truths: Sequence[Truth],
    clusters: Sequence[str],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Paired:
    """`after` minus `before`, tested by swapping the answers of whole clusters (scenes, drives)."""
    first, second = (statistics(*columns(said, truths)) for said in (before, after))
    return compare_rows(first, second, clusters, draws=draws, seed=seed)


def average(said: Sequence[Advisory], truths: Sequence[Truth]) -> float:
    """The Average of some answers; 0 where it is undefined."""
    rows = statistics(*columns(said, truths))
    value = float(figures({name: values.sum() for name, values in rows.items()})["average"])
    return 0.0 if math.isnan(value) else value


def compare_rows(
    first: Statistics, second: Statistics, clusters: Sequence[str], *, draws: int = DRAWS, seed: int = 0
) -> Paired:
    """`compare` of rows of `metrics.statistics`."""
    a, b = (figures({name: values.sum() for name, values in rows.items()}) for rows in (first, second))
    difference = {name: float(b[name] - a[name]) for name in NAMES}
    p, changed = _swapped(first, second, clusters, difference["average"], draws, seed)
    return Paired(difference, p, {}, len(clusters), changed)


def bounds(first: Statistics, second: Statistics, clusters: Sequence[str], *, seed: int = 0) -> dict[str, float]:
    """By figure of a slot, how much worse the second may be: the upper 95 % bound over resampled scenes."""
    resampler = Resampler(clusters, seed=seed, resamples=1000)
    drawn = [figures(resampler.sums(rows)) for rows in (first, second)]
    worst: dict[str, float] = {}
    for name in (*HIGHER, *LOWER):
        losses = (drawn[0][name] - drawn[1][name]) * (-1 if name in LOWER else 1)
        known = losses[~np.isnan(losses)]
        worst[name] = float(np.quantile(known, 1 - SIDE)) if known.size else 0.0
    return worst


def _swapped(
    first: Statistics, second: Statistics, clusters: Sequence[str], observed: float, draws: int, seed: int
) -> tuple[float, int]:
    """One-sided p of the Average, and how many clusters differ."""
    names = [f"{slot}.{part}" for slot in ("light", "obstacles", "crossroad") for part in ("tp", "fp", "fn")]
    index = np.unique(np.asarray([str(c) for c in clusters], dtype=object), return_inverse=True)[1]
    count = int(index.max()) + 1 if len(index) else 0
    a, b = (
        np.stack([np.bincount(index, weights=rows[name], minlength=count) for name in names], 1)
        for rows in (first, second)
    )
    moved = (a != b).any(1)
    if not moved.any() or math.isnan(observed):
        return 1.0, int(moved.sum())
    same, change = a[~moved].sum(0) + a[moved].sum(0), (b - a)[moved]
    swap = np.random.default_rng(seed).random((draws, int(moved.sum()))) < 0.5
    gained = swap.astype(np.float64) @ change  # what the first prompt gets by the swaps; the second loses it
    whole = change.sum(0)
    differences = _average(same + whole - gained) - _average(same + gained)
    return float((1 + (differences >= observed - 1e-12).sum()) / (draws + 1)), int(moved.sum())


def _average(sums: Any) -> Any:
    """The Average from (..., 9) sums of tp, fp, fn of the three slots."""
    tp, fp, fn = (sums[..., k::3] for k in range(3))
    whole = 2 * tp + fp + fn
    return np.divide(2 * tp, whole, out=np.zeros_like(whole), where=whole > 0).mean(-1)
