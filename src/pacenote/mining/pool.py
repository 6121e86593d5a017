"""What drives of known truth teach beyond the chain: how much each source's own probabilities are worth.

A chain hears words, as far as EM can weigh them without truth. With truth the probabilities themselves can be weighed:
of the frame, and as they are on average around it, beside what the chain makes of them (a logarithmic opinion pool,
Genest and Zidek 1986, with weights by maximum likelihood). Held to the chain, and taken only where frames of known
truth that took no part become likelier.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pacenote.mining.facts import FACT, PRESENT
from pacenote.mining.votes import Votes
from pacenote.mining.window import MISSING

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

AROUND_S = (0.0, 2.0, 6.0)  # of a source: its word of this frame, and its mean as far to each side
LEAST = 1e-3  # of a probability: a source that is always sure is not believed without end
HELD = (0.002, 0.02, 0.2)  # how firmly weights are held to the chain alone, per frame of known truth
FOLDS = 4  # of the drives of known truth; with fewer drives nothing is pooled
NEWTON_STEPS = 30


@dataclass(frozen=True)
class Pool:
    """Weights of one fact: of the chain and of each of `sources` by AROUND_S; `bias` one a value."""

    sources: tuple[str, ...]
    weights: tuple[float, ...]
    bias: tuple[float, ...]

    def posterior(self, chain: Floats, votes: Votes, fact: str, without: Sequence[str] = ()) -> Floats:
        """(T, values) from what the chain makes of the fact, (T, values); `without` sources of those names."""
        return _softmax(evidence(chain, votes, fact, self.sources, without) @ self.weights + self.bias)

    def to_dict(self) -> dict[str, Any]:
        return {"sources": list(self.sources), "weights": list(self.weights), "bias": list(self.bias)}

    @classmethod
    def from_dict(cls, held: Mapping[str, Any]) -> Pool:
        return cls(tuple(held["sources"]), tuple(held["weights"]), tuple(held["bias"]))


def evidence(chain: Floats, votes: Votes, fact: str, sources: Sequence[str], without: Sequence[str] = ()) -> Floats:
    """(T, values, 1 + sources * AROUND_S) log-probabilities about their mean; 0 where a source is silent."""
    from pacenote.mining.kernels import around

    spans = len(AROUND_S)
    found = np.zeros((*chain.shape, 1 + len(sources) * spans))
    found[:, :, 0] = _centred(chain, fact="")
    for k, name in enumerate(sources):
        p = votes.said.get(name, {}).get(fact)
        if p is not None and name not in without:
            around(_centred(p, fact), votes.times, np.array(AROUND_S), found[:, :, 1 + k * spans : 1 + (k + 1) * spans])
    return found


def pooled(
    chains: Mapping[str, Sequence[Floats]], votes: Sequence[Votes], truths: Mapping[str, Sequence[Ints]],
    but: Sequence[str] = (),
) -> dict[str, Pool]:  # fmt: skip
    """The pools of one slot's facts, which share their weights; {} where the chain alone does as well.

    `chains` fact -> (T, values) and `truths` fact -> (T,) of each drive; sources named in `but` are not heard.
    """
    names = list(chains)
    sources = sorted({name for own in votes for name, said in own.said.items() if set(said) & set(names)} - set(but))
    if len(votes) < FOLDS or not sources:
        return {}
    drives = [
        [(evidence(chains[name][k], own, name, sources), truths[name][k]) for name in names]
        for k, own in enumerate(votes)
    ]  # fmt: skip
    kinds = len(names) > 1 or FACT[names[0]].kind != ""
    blocks = np.array_split(np.arange(len(votes)), FOLDS)
    losses = dict.fromkeys((None, *HELD), 0.0)
    for block in blocks:
        held_out = _stacked([drives[k] for k in block], kinds)
        others = _stacked([own for k, own in enumerate(drives) if k not in block], kinds)
        if not len(held_out[1]) or not len(others[1]):
            continue
        for held in losses:
            told = _start(held_out[0]) if held is None else _fitted(*others, held)
            losses[held] += _loss(*held_out, told)
    best = min(losses, key=lambda held: losses[held])
    if best is None:
        return {}
    found = _fitted(*_stacked(drives, kinds), best)
    terms = 1 + len(sources) * len(AROUND_S)
    weights, bias = tuple(found[:terms].tolist()), found[terms:].tolist()
    if not kinds:
        return {names[0]: Pool(tuple(sources), weights, tuple(bias))}
    return {name: Pool(tuple(sources), weights, (0.0, own)) for name, own in zip(names, bias, strict=True)}


def _centred(p: Floats, fact: str) -> Floats:
    """(T, values) log of `p` about its mean; a speed is also taken for its neighbours."""
    if fact == "speed":
        steps = np.arange(p.shape[1])
        near = np.exp(-np.abs(np.subtract.outer(steps, steps)).astype(np.float64))
        p = p @ (near / near.sum(1, keepdims=True))
    told = np.log(np.maximum(p, LEAST))
    return np.asarray(told - (told @ np.full(told.shape[1], 1 / told.shape[1]))[:, None])  # a product: rows are short


def _stacked(drives: Sequence[Sequence[tuple[Floats, Ints]]], kinds: bool) -> tuple[Floats, Ints]:
    """All frames of known truth: (n, values, terms + biases), (n,) classes. A bias a kind, or a value of the fact."""
    rows, classes = [], []
    for own in drives:
        for number, (told, truth) in enumerate(own):
            known = truth != MISSING
            count, values = int(known.sum()), told.shape[1]
            bias = np.zeros((count, values, len(own))) if kinds else np.tile(np.eye(values), (count, 1, 1))
            if kinds:
                bias[:, PRESENT, number] = 1.0
            rows.append(np.concatenate([told[known], bias], axis=2))
            classes.append(truth[known])
    return np.concatenate(rows), np.concatenate(classes)


def _start(rows: Floats) -> Floats:
    """The weights of the chain alone."""
    return np.asarray(np.eye(1, rows.shape[2])[0])


def _loss(rows: Floats, classes: Ints, weights: Floats) -> float:
    """The sum of -log of the probability of what is true."""
    p = _softmax(rows @ weights)
    return float(-np.log(np.maximum(p[np.arange(len(classes)), classes], 1e-12)).sum())


def _fitted(rows: Floats, classes: Ints, held: float) -> Floats:
    """(terms,) the weights that make `classes` (n,) likeliest, drawn towards the chain alone. By Newton's steps: the
    loss is convex."""
    start = weights = _start(rows)
    ridge = held * max(len(classes), 1)
    true = rows[np.arange(len(classes)), classes]

    def cost(at: Floats) -> float:
        return _loss(rows, classes, at) + ridge * float(((at - start) ** 2).sum())

    now = cost(weights)
    for _ in range(NEWTON_STEPS):
        p = _softmax(rows @ weights)
        mean = np.einsum("nv,nvt->nt", p, rows)
        slope = (mean - true).sum(0) + 2 * ridge * (weights - start)
        flat = rows.reshape(-1, rows.shape[2])
        bend = (flat * p.reshape(-1, 1)).T @ flat - mean.T @ mean + 2 * ridge * np.eye(len(weights))
        step = np.linalg.solve(bend, slope)
        for share in (0.5**k for k in itertools.count()):
            tried = cost(weights - share * step)
            if tried <= now or share < 1e-6:
                break
        weights, gained, now = weights - share * step, now - tried, tried
        if gained < 1e-6 * max(now, 1.0):
            break
    return weights


def _softmax(told: Floats) -> Floats:
    raised = np.exp(told - told.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))
