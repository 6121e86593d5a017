"""In which order training takes its items: endless shuffled passes, Datasets mixed by share, rows of like length
together. Item k is a function of (seed, k) alone, so that a resumed run sees what an uninterrupted one would have seen.
"""

from __future__ import annotations

import bisect
import functools
import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pacenote.errors import InputError

if TYPE_CHECKING:
    import numpy as np

BLOCK = 240  # items within which every share holds, to the nearest item
WINDOW = 16  # batches among which rows of like length are put together


def step_count(options: Any, rows: int) -> int:
    """Optimizer steps of a stage over so many rows: its `steps`, else what its `epochs` come to."""
    passes = options.epochs * rows / (options.batch * getattr(options, "accumulate", 1))
    return options.steps or max(1, round(passes))


@functools.lru_cache(maxsize=8)
def _shuffled(epoch: int, count: int, seed: int) -> np.ndarray:
    import numpy as np

    return np.random.default_rng((seed, epoch)).permutation(count)


def place_of(k: int, count: int, seed: int) -> int:
    """The k-th of endless shuffled passes over `count` items."""
    epoch, place = divmod(k, count)
    return int(_shuffled(epoch, count, seed)[place])


def order_of(members: Sequence[Sequence[int]], shares: Sequence[float] = (), seed: int = 0) -> Callable[[int], int]:
    """The order of the items of several Datasets: `members[i]` are the places of the i-th one's.

    Without `shares` all items are one heap. With them every BLOCK items hold each Dataset by its share, small ones
    again and again; 0 leaves one out, so that a stage can have a Dataset to itself. Raises InputError where the shares
    do not fit the Datasets.
    """
    if not shares:
        heap = list(itertools.chain.from_iterable(members))
        return lambda k: heap[place_of(k, len(heap), seed)]
    if len(shares) != len(members):
        raise InputError(f"shares: {len(shares)} numbers for {len(members)} Datasets; give one each, in their order")
    if min(shares) < 0 or not sum(shares) > 0:
        raise InputError(f"shares: {', '.join(map(str, shares))}; they must be 0 or more, and one above 0")
    for number, (own, share) in enumerate(zip(members, shares, strict=True), 1):
        if share and not len(own):
            raise InputError(f"shares: the Dataset number {number} has nothing to train on; set its share to 0")
    return _Mixed(members, shares, seed)


class _Mixed:
    """The order of `order_of` with shares."""

    def __init__(self, members: Sequence[Sequence[int]], shares: Sequence[float], seed: int) -> None:
        exact = [share / sum(shares) * BLOCK for share in shares]
        counts = [int(value) for value in exact]
        for place in sorted(range(len(exact)), key=lambda i: counts[i] - exact[i])[: BLOCK - sum(counts)]:
            counts[place] += 1  # largest remainders
        for number, (share, count) in enumerate(zip(shares, counts, strict=True), 1):
            if share and not count:
                raise InputError(f"shares: that of Dataset number {number} is under 1/{BLOCK} of all; set it to 0")
        self.members, self.counts, self.seed = members, counts, seed
        self.slots = [group for group, count in enumerate(counts) for _ in range(count)]

    def __call__(self, k: int) -> int:
        block, place = divmod(k, BLOCK)
        mixed = [self.slots[slot] for slot in _shuffled(block, BLOCK, self.seed + 1)[: place + 1]]
        group = mixed[-1]
        nth = block * self.counts[group] + mixed.count(group) - 1
        own = self.members[group]
        return own[place_of(nth, len(own), self.seed)]


def by_length(order: Callable[[int], int], lengths: Sequence[int], batch: int, seed: int = 0) -> Callable[[int], int]:
    """`order` with rows of like length in the same batch: each WINDOW batches keep their items, sorted by length, then
    the batches change places. Fewer padding tokens, the same rows as often."""
    window = WINDOW * batch

    @functools.lru_cache(maxsize=2)
    def sorted_window(number: int) -> list[int]:
        import numpy as np

        found = sorted((order(number * window + i) for i in range(window)), key=lambda item: lengths[item])
        places = np.random.default_rng((seed, 8, number)).permutation(WINDOW)
        return [item for place in places for item in found[place * batch : (place + 1) * batch]]

    return lambda k: sorted_window(k // window)[k % window]


def members_of(sizes: Sequence[int], copies: int = 1) -> list[list[int]]:
    """Places of the items of Datasets of `sizes` that lie one after the other, all of them `copies` times over."""
    total, ends = sum(sizes), list(itertools.accumulate(sizes))
    return [
        [copy * total + place for copy in range(copies) for place in range(end - size, end)]
        for size, end in zip(sizes, ends, strict=True)
    ]


def members_among(sizes: Sequence[int], indices: Sequence[int]) -> list[list[int]]:
    """Which of `indices` (places among the samples of Datasets of `sizes`) belong to each Dataset."""
    ends = list(itertools.accumulate(sizes))
    found: list[list[int]] = [[] for _ in sizes]
    for place, index in enumerate(indices):
        found[bisect.bisect_right(ends, index)].append(place)
    return found
