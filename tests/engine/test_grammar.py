"""The grammar accepts the canonical text of every advisory, as a model was trained on it, and nothing else."""

from __future__ import annotations

import functools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacenote.advisory import SLOTS, Advisory, slot_text
from pacenote.engine.draft import Prior, Strand, draft
from pacenote.engine.grammar import Grammar, grammar, values
from pacenote.errors import InputError
from tests.advisory.strategies import advisories
from tests.models.tiny import FAMILY_NAMES, tokenizer_of

tokenizer = functools.cache(tokenizer_of)


def ids(family: str, text: str) -> list[int]:
    return list(tokenizer(family)(text, add_special_tokens=False)["input_ids"])


@pytest.mark.parametrize("family", FAMILY_NAMES)
@given(advisory=advisories)
def test_every_advisory_is_accepted(family: str, advisory: Advisory) -> None:
    assert grammar(tokenizer(family)).accepts(ids(family, advisory.text()))
    for slot in SLOTS:
        assert grammar(tokenizer(family), (slot,)).accepts(ids(family, slot_text(advisory, slot)))


@given(advisory=advisories, cut=st.integers(1, 80), other=st.integers(0, 500))
def test_nothing_else_is(advisory: Advisory, cut: int, other: int) -> None:
    own, told = grammar(tokenizer("qwen2_5_vl")), ids("qwen2_5_vl", advisory.text())
    assert not own.accepts(told[:-1])
    assert not own.accepts([*told, told[-1]])
    changed = list(told)
    changed[cut % len(told)] = other
    text = tokenizer("qwen2_5_vl").decode(changed)
    if own.accepts(changed):
        assert Advisory.parse(text).text() == text


def test_every_value_of_a_slot_once() -> None:
    for slot, count in zip(SLOTS, (27, 545, 128, 4), strict=True):
        told = [slot_text(one, slot) for one in values(slot)]
        assert len(told) == len(set(told)) == count


def test_undecided_nodes_are_those_with_several_ends() -> None:
    own = grammar(tokenizer("qwen2_5_vl"))

    def ends(node: int) -> int:
        slot = own.slot[node]
        return sum(1 if own.slot[c] != slot or c == own.end else ends(c) for c in own.children[node].values())

    for node in range(own.end):
        if own.slot[node] != "light":  # some thousand nodes more of the same
            assert (node in own.undecided) == (ends(node) > 1)


def test_a_tokenizer_that_joins_sentences_is_refused() -> None:
    class Joining:
        def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
            return {"input_ids": [hash(text[i : i + 7]) for i in range(0, len(text), 7)]}

    with pytest.raises(InputError, match="--engine plain"):
        grammar(Joining())


def some(pending: list[int], own: Grammar, **changes: object) -> Strand:
    return Strand(0, Prior(own), list(pending), 0, **changes)  # type: ignore[arg-type]


@given(advisory=advisories, width=st.integers(0, 60), length=st.integers(0, 30))
def test_a_draft_is_a_tree_of_ways_that_the_grammar_allows(advisory: Advisory, width: int, length: int) -> None:
    own = grammar(tokenizer("qwen2_5_vl"))
    strand = some([9, 9, 9], own)
    for token in ids("qwen2_5_vl", advisory.text())[:length]:
        strand.step(token)
    one = draft(strand, width)
    assert len(one.tokens) <= 3 + width
    assert one.node[2] == strand.node
    for index in range(3, len(one.tokens)):
        parent = one.parent[index]
        assert parent < index
        assert own.children[one.node[parent]][one.tokens[index]] == one.node[index]
        assert one.depth[index] == one.depth[parent] + 1
        assert one.child(parent, one.node[index]) == index
        expected = one.ancestors[parent].copy()
        expected[index] = True
        assert (one.ancestors[index] == expected).all()
    assert len({(p, t) for p, t in zip(one.parent, one.tokens, strict=True)}) == len(one.tokens)


def test_what_was_often_answered_is_tried_first() -> None:
    own = grammar(tokenizer("qwen2_5_vl"), ("light",))
    red = ids("qwen2_5_vl", "Traffic light: red, stop and wait.")
    strand = some([1], own)
    strand.forced()
    plain = draft(strand, 12)
    answered = some([1], own)
    for token in red:
        answered.step(token)
    for _ in range(20):
        strand.prior.learn(answered.nodes)
    tried = draft(strand, 12)
    start = len(strand.tokens)
    index, found = 0, 0
    for node in answered.nodes[start:]:
        following = tried.child(index, node)
        if following is None:
            break
        index, found = following, found + 1
    assert found >= min(12, len(red) - start - 1)
    assert tried.tokens != plain.tokens
    shares = [math.exp(-strand.prior.cost(strand.node, child)) for child in own.children[strand.node].values()]
    assert sum(shares) == pytest.approx(1.0)


@given(cost=st.floats(0.01, 2), width=st.integers(1, 40))
def test_where_rows_cost_only_likely_ways_are_tried(cost: float, width: int) -> None:
    own = grammar(tokenizer("qwen2_5_vl"), ("light",))
    strand = some([1], own)
    strand.forced()
    answered = some([1], own)
    for token in ids("qwen2_5_vl", "Traffic light: red, stop and wait."):
        answered.step(token)
    for _ in range(30):
        strand.prior.learn(answered.nodes)
    free, dear = draft(strand, width), draft(strand, width, cost)
    likely = {0: 1.0}
    for index in range(1, len(free.tokens)):
        before = free.parent[index]
        likely[index] = likely[before] * math.exp(-strand.prior.cost(free.node[before], free.node[index]))
    kept = [i for i in likely if i == 0 or likely[i] >= (1 - likely[i]) * cost - 1e-9]
    assert [free.node[i] for i in kept] == list(dear.node)


def test_wanted_nodes_come_even_without_room() -> None:
    own = grammar(tokenizer("qwen2_5_vl"))
    wanted = frozenset(n for n in own.undecided if own.slot[n] == "speed")
    strand = some([1], own, always=wanted)
    strand.forced()
    assert wanted - {strand.node} <= set(draft(strand, 0).node) | set(strand.nodes) | {0}
