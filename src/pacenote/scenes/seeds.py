"""Counter-based randomness: every purpose of every scene has its own stream, whatever the order of calls."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def stream(digest: str, index: int, purpose: str) -> np.random.Generator:
    """A Philox generator that depends on (recipe digest in hex, index, purpose) alone."""
    entropy = [int(digest, 16), index, zlib.crc32(purpose.encode())]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


def pick(rng: np.random.Generator, shares: Mapping[T, float]) -> T:
    """One key, drawn in proportion to its share (shares need not add up to one)."""
    keys = list(shares)
    weights = np.array([shares[key] for key in keys], dtype=float)
    total = weights.sum()
    if total <= 0:
        raise ValueError("no key has a share above zero")
    return keys[int(np.searchsorted(np.cumsum(weights) / total, rng.random(), side="right").clip(0, len(keys) - 1))]


def choice(rng: np.random.Generator, items: Sequence[T]) -> T:
    """One item, all equally likely."""
    return items[int(rng.integers(len(items)))]


def chance(rng: np.random.Generator, probability: float) -> bool:
    """True with the given probability."""
    return bool(rng.random() < probability)


def uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A float in [low, high)."""
    return float(rng.uniform(low, high))


def seed32(rng: np.random.Generator) -> int:
    """An integer seed for a renderer or for SUMO (0 .. 2**31 - 1)."""
    return int(rng.integers(2**31 - 1))
