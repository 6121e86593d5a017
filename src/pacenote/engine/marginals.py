"""How likely each fact of an advisory is, read off the choices that were weighed while it was written."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pacenote.advisory import CROSSROADS, OBSTACLES, slot_text
from pacenote.advisory.domain import LIGHT_STATES
from pacenote.engine.draft import Strand
from pacenote.engine.grammar import grammar as grammar_of
from pacenote.engine.grammar import values

Floats = npt.NDArray[np.float64]
NAMES: Mapping[str, tuple[str, ...]] = {
    "light": ("light",),
    "obstacles": tuple(f"obstacles.{kind}" for kind in OBSTACLES),
    "crossroad": tuple(f"crossroad.{kind}" for kind in CROSSROADS),
}


def marginals(strands: Sequence[Strand], tokenizer: Any) -> dict[str, Floats]:
    """Probabilities of `light` (of LIGHT_STATES) and of every kind of obstacle and crossroad (absent, present), from
    the strands of one finished answer.

    Where the answer turned off a way, the weight of that way counts for what all its sentences have in common; what
    they differ in is left out. So the probability of a kind is that given the choices before it, not a full marginal.
    """
    found: dict[str, Floats] = {}
    for strand in strands:
        for slot in sorted({own for own in strand.grammar.slot if own in NAMES}):
            decisions = strand.decisions.get(slot, [])
            possible = _possible(tokenizer, tuple(dict.fromkeys(strand.grammar.slot)), slot)
            found |= _slot(strand, slot, decisions, possible)
    return found


def _slot(
    strand: Strand, slot: str, decisions: Sequence[tuple[Floats, int]], possible: Mapping[int, tuple[int, ...]]
) -> dict[str, Floats]:
    grammar, names = strand.grammar, NAMES[slot]
    mass = {name: np.zeros(len(LIGHT_STATES) if name == "light" else 2) for name in names}
    left, decision, node = 1.0, iter(decisions), 0

    def count(weight: float, bits: tuple[int, ...]) -> None:
        for name, mask in zip(names, bits, strict=True):
            if mask and not mask & (mask - 1):  # one value only
                mass[name][mask.bit_length() - 1] += weight

    last: tuple[int, ...] = (0,) * len(names)
    for following in strand.nodes:
        if grammar.slot[node] == slot:
            own = list(grammar.children[node].values())
            if len(own) > 1:
                told, _ = next(decision)
                shares = np.exp(told - told.max())
                shares /= shares.sum()
                for child, share in zip(own, shares, strict=True):
                    if child != following:
                        count(left * share, possible.get(child, last))
                left *= shares[own.index(following)]
            last = possible.get(following, last)
        node = following
    count(left, last)
    return {name: one / one.sum() for name, one in mass.items() if one.sum() > 0}


@functools.lru_cache(maxsize=16)
def _possible(tokenizer: Any, slots: tuple[str, ...], slot: str) -> Mapping[int, tuple[int, ...]]:
    """For each node inside `slot` of the grammar of `slots`: which values of each fact can still follow, as bits."""
    grammar = grammar_of(tokenizer, slots)
    root = next(node for node, own in enumerate(grammar.slot) if own == slot)
    inner = root != 0
    found: dict[int, list[int]] = {}
    for one in values(slot):
        text = slot_text(one, slot)
        ids = tokenizer((" " if inner else "") + text, add_special_tokens=False)["input_ids"]
        if slot == "light":
            assert one.light is not None
            bits = [1 << LIGHT_STATES.index(one.light.state)]
        else:
            kinds = one.obstacles if slot == "obstacles" else one.crossroad
            assert kinds is not None
            bits = [2 if name.split(".")[1] in kinds else 1 for name in NAMES[slot]]
        node = root
        for token in ids[:-1]:  # the last one leads to where every sentence ends
            node = grammar.children[node][token]
            own = found.setdefault(node, [0] * len(bits))
            for k, bit in enumerate(bits):
                own[k] |= bit
    return {node: tuple(own) for node, own in found.items()}
