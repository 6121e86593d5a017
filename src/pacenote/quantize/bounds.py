"""Exact bounds of a binomial share (Clopper and Pearson 1934): rare flips leave nothing for a normal approximation."""

from __future__ import annotations

import math

LEVEL = 0.95


def upper(count: int, n: int, level: float = LEVEL) -> float:
    """The largest share under which `count` or fewer of `n` would still be seen with probability 1 - `level`: a
    one-sided bound. 1 where nothing was tried or all hit. Raises ValueError unless 0 <= count <= n."""
    if not 0 <= count <= n:
        raise ValueError(f"{count} of {n} is no share")
    if count == n:
        return 1.0
    low, high = count / n, 1.0
    for _ in range(200):  # bisection: the probability falls with the share
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if at_most(count, n, middle) > 1 - level else (low, middle)
    return high


def at_most(count: int, n: int, share: float) -> float:
    """P(X <= count) of a binomial X of n trials."""
    if share <= 0.0:
        return 1.0
    if share >= 1.0:
        return float(count >= n)
    hit, miss = math.log(share), math.log1p(-share)
    whole = math.lgamma(n + 1)
    logs = [
        whole - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * hit + (n - i) * miss for i in range(count + 1)
    ]  # fmt: skip
    most = max(logs)
    return min(1.0, math.exp(most) * math.fsum(math.exp(one - most) for one in logs))


def needed(share: float, level: float = LEVEL) -> int:
    """How many trials without a hit it takes for the bound to be `share` or less."""
    return math.ceil(math.log(1 - level) / math.log1p(-share)) if 0 < share < 1 else 1


def rate(count: int, n: int) -> dict[str, float | int | None]:
    """`count`, `n`, the share and its one-sided 95 % upper bound."""
    return {"count": count, "n": n, "rate": count / n if n else None, "upper": upper(count, n)}
