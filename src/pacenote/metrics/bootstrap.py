"""95 % percentile intervals by resampling clusters (drives or scenes): frames of one drive are not independent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pacenote.metrics.statistics import Floats, Statistics, figures

Intervals = dict[str, list[float] | None]
_BLOCK = 4_000_000  # counts drawn at a time, to bound memory


class Resampler:
    """Draws whole clusters with replacement. The draws depend on (clusters, seed, resamples) alone, so that models
    scored on one set are resampled alike."""

    def __init__(self, clusters: Sequence[str], *, seed: int = 0, resamples: int = 1000):
        if resamples < 0:
            raise ValueError(f"resamples must be 0 or more, not {resamples}")
        names, self.index = np.unique(np.asarray([str(c) for c in clusters], dtype=object), return_inverse=True)
        self.count = len(names)
        self.seed, self.resamples = seed, resamples

    def sums(self, rows: Statistics) -> dict[str, Floats]:
        """Sums over each resampled set, shape (resamples,). Empty arrays with fewer than two clusters."""
        names = list(rows)
        if self.count < 2 or self.resamples == 0:
            return {name: np.empty(0) for name in names}
        per_cluster = np.stack(
            [np.bincount(self.index, weights=rows[name], minlength=self.count) for name in names], axis=1
        )
        rng = np.random.default_rng(self.seed)
        block = max(1, _BLOCK // self.count)
        parts = []
        for start in range(0, self.resamples, block):
            size = min(block, self.resamples - start)
            drawn = rng.integers(0, self.count, (size, self.count))
            drawn += np.arange(size)[:, None] * self.count
            weights = np.bincount(drawn.ravel(), minlength=size * self.count).reshape(size, self.count)
            parts.append(weights.astype(np.float64) @ per_cluster)
        drawn_sums = np.concatenate(parts)
        return {name: drawn_sums[:, i] for i, name in enumerate(names)}

    def intervals(self, rows: Statistics) -> Intervals:
        """`[low, high]` of every figure; None where fewer than half of the resamples define it."""
        return {name: interval(values) for name, values in figures(self.sums(rows)).items()}


def interval(values: Floats) -> list[float] | None:
    """The 2.5 % and 97.5 % percentiles of bootstrap replicates, shape (resamples,)."""
    defined = values[~np.isnan(values)]
    if defined.size == 0 or defined.size * 2 < values.size:
        return None
    low, high = np.percentile(defined, [2.5, 97.5])
    return [float(low), float(high)]


def mean_of(
    values: Sequence[float] | Floats, *, seed: int = 0, resamples: int = 2000
) -> tuple[float, list[float] | None]:
    """The mean of `values` (n,), one a cluster, and its interval."""
    own = np.asarray(values, np.float64)
    sums = Resampler([str(place) for place in range(len(own))], seed=seed, resamples=resamples).sums({"mean": own})
    return float(own.mean()), interval(sums["mean"] / len(own))


def signed(mean: float, ci: Sequence[float] | None) -> str:
    """A difference and its interval in words."""
    return f"{mean:+.3f}" + (f" [{ci[0]:+.3f}, {ci[1]:+.3f}]" if ci else "")
