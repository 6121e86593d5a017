"""The canonical answer as a grammar over token ids.

Each slot is a trie of all its sentences; the whole advisory is the four tries in a row. Where a node has one child the
token is forced, elsewhere the model decides. The ids are those of the text as a model was trained on it: words forced
as strings would often be tokenised otherwise.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pacenote.advisory import CROSSROADS, OBSTACLES, SLOTS, Advisory, Light, slot_text
from pacenote.advisory.domain import LIGHT_STATES, MOVEMENTS, PLACES, SPEEDS
from pacenote.errors import InputError


@dataclass(frozen=True)
class Grammar:
    """Nodes 0 .. n-1, 0 the start and the last one the end. `children[node]`: token id -> node. `slot[node]`: the slot
    whose words follow the node (of the end: the last slot)."""

    children: tuple[dict[int, int], ...]
    slot: tuple[str, ...]

    @property
    def end(self) -> int:
        return len(self.children) - 1

    @functools.cached_property
    def tokens(self) -> tuple[int, ...]:
        """Every token that is ever decided, sorted: the rows of the head that are needed."""
        return tuple(sorted({token for own in self.children if len(own) > 1 for token in own}))

    @functools.cached_property
    def undecided(self) -> frozenset[int]:
        """Nodes from which more than one sentence of their own slot can still follow."""
        count = {self.end: 1}
        for node in reversed(range(self.end)):
            inside = list(self.children[node].values())
            count[node] = sum(1 if self.slot[c] != self.slot[node] else count[c] for c in inside)
        return frozenset(node for node in range(self.end) if count[node] > 1)

    def accepts(self, ids: Sequence[int]) -> bool:
        """Whether `ids` are a whole sentence of the grammar."""
        node: int | None = 0
        for token in ids:
            node = None if node is None else self.children[node].get(token)
        return node == self.end


def values(slot: str) -> Iterator[Advisory]:
    """Every value of a slot, in an Advisory that holds nothing else."""
    if slot == "speed":
        yield from (Advisory(kmh, None, None, None) for kmh in SPEEDS)
    elif slot == "light":
        yield Advisory(None, Light("none"), None, None)
        others = (None, *itertools.product(LIGHT_STATES[1:], MOVEMENTS))
        for state, movement, place, other in itertools.product(LIGHT_STATES[1:], MOVEMENTS, PLACES, others):
            yield Advisory(None, Light(state, movement, place, other), None, None)
    elif slot == "obstacles":
        yield from (Advisory(None, None, kinds, None) for kinds in _subsets(OBSTACLES))
    else:
        yield from (Advisory(None, None, None, kinds) for kinds in _subsets(CROSSROADS))


def _subsets(kinds: Sequence[str]) -> Iterator[frozenset[str]]:
    for size in range(len(kinds) + 1):
        yield from (frozenset(chosen) for chosen in itertools.combinations(kinds, size))


@functools.lru_cache(maxsize=8)
def grammar(tokenizer: Any, slots: tuple[str, ...] = SLOTS) -> Grammar:
    """The grammar of the sentences of `slots`, in their order.

    Raises InputError where a tokenizer joins the end of one sentence with the start of the next: its advisories can be
    asked for in free text only.
    """
    encode = functools.partial(_encode, tokenizer)
    tries: list[list[list[int]]] = []
    before = ""
    for slot in slots:
        sentences = [slot_text(one, slot) for one in values(slot)]
        lead = f"{before} " if before else ""
        tries.append([encode(" " + sentence if before else sentence) for sentence in sentences])
        for sentence, ids in zip(sentences[:40], tries[-1], strict=False):
            if encode(lead + sentence) != encode(before) + ids:
                raise InputError("this tokenizer joins sentences of an advisory; ask the model with --engine plain")
        before = sentences[0]
    return _chain(tries, slots)


def _encode(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []


def _chain(tries: Sequence[Sequence[Sequence[int]]], slots: Sequence[str]) -> Grammar:
    """The tries in a row: each sentence of one ends where the next begins."""
    children: list[dict[int, int]] = [{}]
    slot = [slots[0]]
    for number, sentences in enumerate(tries):
        root = len(children) - 1
        last: list[tuple[int, int]] = []  # (node, token) of each sentence's last step
        for ids in sentences:
            node = root
            for token in ids[:-1]:
                if token not in children[node]:
                    children[node][token] = len(children)
                    children.append({})
                    slot.append(slots[number])
                node = children[node][token]
            last.append((node, ids[-1]))
        after = len(children)
        children.append({})
        slot.append(slots[min(number + 1, len(slots) - 1)])
        for node, token in last:
            if children[node].setdefault(token, after) != after:
                raise InputError("one sentence of an advisory begins another; this tokenizer cannot be forced")
    return Grammar(tuple(children), tuple(slot))
