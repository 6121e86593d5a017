"""What is fed to the model at once: tokens that are certain, and the likeliest ways in which the answer may go on.

A *strand* is one answer that is being written. A draft never changes an answer: the model's own choice is followed
through it, and what it did not choose stays in the cache unseen.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pacenote.engine.grammar import Grammar
from pacenote.engine.temperatures import Decision


class Prior:
    """How often answers took each way of a grammar; it learns from every answer and decides nothing but the order in
    which ways are tried."""

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar
        self.taken: Counter[int] = Counter()

    def learn(self, nodes: Sequence[int]) -> None:
        """Count the nodes of a finished answer."""
        self.taken.update(nodes)

    def cost(self, node: int, child: int) -> float:
        """-log of the share of `child` among the children of `node`, each of which counts one beforehand."""
        own = self.grammar.children[node].values()
        if len(own) == 1:
            return 0.0
        return -math.log((self.taken[child] + 1) / (sum(self.taken[c] for c in own) + len(own)))


@dataclass
class Strand:
    """One answer being written: `pending` are tokens that are certain and not yet fed, the last of them leads to
    `node` of the grammar. `position` is that of the first pending token."""

    row: int
    prior: Prior
    pending: list[int]
    position: int
    node: int = 0
    tokens: list[int] = field(default_factory=list)  # of the answer so far
    nodes: list[int] = field(default_factory=list)
    decisions: dict[str, list[Decision]] = field(default_factory=dict)  # by slot
    always: frozenset[int] = frozenset()  # nodes whose children's probabilities are wanted in any case
    options: dict[int, NDArray[np.float64]] = field(default_factory=dict)  # those: log-probabilities of the children

    @property
    def grammar(self) -> Grammar:
        return self.prior.grammar

    @property
    def done(self) -> bool:
        return self.node == self.grammar.end

    def step(self, token: int) -> None:
        """Write `token`; it becomes certain."""
        self.node = self.grammar.children[self.node][token]
        self.tokens.append(token)
        self.nodes.append(self.node)

    def forced(self) -> list[int]:
        """Write all tokens up to the next decision; returns them."""
        start = len(self.tokens)
        while not self.done and len(own := self.grammar.children[self.node]) == 1:
            self.step(next(iter(own)))
        return self.tokens[start:]


@dataclass(frozen=True)
class Draft:
    """The tokens fed for one strand: first its pending ones, then the tree. `parent` -1: the strand's last seen token;
    `node` -1: a pending token that is not the last."""

    tokens: tuple[int, ...]
    parent: tuple[int, ...]
    depth: tuple[int, ...]
    node: tuple[int, ...]

    @property
    def ancestors(self) -> NDArray[np.bool_]:
        """(n, n): whether the token of a column is the row's own or one that leads to it."""
        seen = np.eye(len(self.tokens), dtype=bool)
        for index, parent in enumerate(self.parent):
            if parent >= 0:
                seen[index] |= seen[parent]
        return seen

    def child(self, index: int, node: int) -> int | None:
        """Where the token that leads from `index` to `node` stands in the draft, if it does."""
        for other in range(index + 1, len(self.tokens)):
            if self.parent[other] == index and self.node[other] == node:
                return other
        return None


def draft(strand: Strand, width: int, row_cost: float = 0.0) -> Draft:
    """Pending tokens, then up to `width` tokens of the likeliest ways on, and those that the strand wants in any case
    and that can be reached through such alone.

    `row_cost`: what a further token costs, in passes of one token. A token that is taken with probability p saves about
    p passes, and was fed in vain with 1 - p: none is tried whose (1 - p) `row_cost` is above its p.
    """
    grammar, prior, always = strand.grammar, strand.prior, strand.always
    count = len(strand.pending)
    tokens, parents = list(strand.pending), list(range(-1, count - 1))
    depths, nodes = list(range(count)), [-1] * (count - 1) + [strand.node]
    order, dearest = 0, math.log1p(1 / row_cost) if row_cost else math.inf
    heap: list[tuple[int, float, int, int, int, int]] = []

    def offer(index: int, node: int, cost: float) -> None:
        nonlocal order
        for token, child in grammar.children[node].items():
            if child == grammar.end:
                continue  # nothing is decided after it
            wanted = 0 if child in always else 1
            heapq.heappush(heap, (wanted, cost + prior.cost(node, child), order, token, child, index))
            order += 1

    offer(count - 1, strand.node, 0.0)
    free = width
    while heap:
        wanted, cost, _, token, node, index = heapq.heappop(heap)
        if wanted and (free == 0 or cost > dearest):
            break
        free -= wanted
        tokens.append(token)
        parents.append(index)
        depths.append(depths[index] + 1)
        nodes.append(node)
        offer(len(tokens) - 1, node, cost)
    return Draft(tuple(tokens), tuple(parents), tuple(depths), tuple(nodes))
