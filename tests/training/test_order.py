"""The order of training: every item as often as the next one, shares hold, like lengths meet."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacenote.errors import InputError
from pacenote.training.order import BLOCK, WINDOW, by_length, members_among, members_of, order_of

SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=4)


@given(SIZES, st.integers(0, 5), st.integers(1, 3))
def test_a_heap_is_taken_whole_before_anything_comes_again(sizes: list[int], seed: int, copies: int) -> None:
    order, total = order_of(members_of(sizes, copies), (), seed), sum(sizes) * copies
    for epoch in range(2):
        assert sorted(order(epoch * total + k) for k in range(total)) == list(range(total))


@given(SIZES, st.integers(0, 5), st.data())
def test_every_block_holds_the_shares(sizes: list[int], seed: int, data: st.DataObject) -> None:
    shares = data.draw(st.lists(st.sampled_from([0, 1, 2, 0.5]), min_size=len(sizes), max_size=len(sizes)))
    if not any(shares):
        return
    members = members_of(sizes)
    order = order_of(members, shares, seed)
    owner = {place: group for group, own in enumerate(members) for place in own}
    taken = [order(k) for k in range(3 * BLOCK)]
    for block in range(3):
        found = Counter(owner[item] for item in taken[block * BLOCK : (block + 1) * BLOCK])
        for group, share in enumerate(shares):
            assert abs(found[group] - BLOCK * share / sum(shares)) < 1
    for group, own in enumerate(members):  # none of a Dataset comes again before all of it came
        mine = [item for item in taken if owner[item] == group]
        for start in range(0, len(mine) - len(own) + 1, len(own)):
            assert sorted(mine[start : start + len(own)]) == sorted(own)
    assert [order_of(members, shares, seed)(k) for k in (5, 300, 7)] == [taken[k] for k in (5, 300, 7)]


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ([1.0], "1 numbers for 2 Datasets"), ([0.0, 0.0], "one above 0"), ([-1.0, 2.0], "one above 0"),
        ([1e-4, 1.0], "number 1 is under 1/240"),
    ],
)  # fmt: skip
def test_shares_that_do_not_fit(shares: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        order_of(members_of([3, 4]), shares)


def test_a_share_of_an_empty_dataset_is_refused() -> None:
    with pytest.raises(InputError, match="number 2 has nothing"):
        order_of(members_of([3, 0]), [1, 1])
    assert {order_of(members_of([3, 0]), [1, 0])(k) for k in range(30)} == {0, 1, 2}


@given(st.lists(st.integers(1, 500), min_size=5, max_size=60), st.integers(1, 8), st.integers(0, 3))
def test_like_lengths_meet_and_nothing_is_lost(lengths: list[int], batch: int, seed: int) -> None:
    order = order_of(members_of([len(lengths)]), (), seed)
    grouped, window = by_length(order, lengths, batch, seed), WINDOW * batch
    for start in (0, window):
        before = [order(k) for k in range(start, start + window)]
        after = [grouped(k) for k in range(start, start + window)]
        assert sorted(before) == sorted(after)

        def padding(items: list[int]) -> int:
            batches = [[lengths[i] for i in items[b : b + batch]] for b in range(0, window, batch)]
            return sum(max(own) * len(own) - sum(own) for own in batches)

        assert padding(after) <= padding(before)


def test_places_of_rows_by_dataset() -> None:
    assert members_among([2, 3], [0, 2, 4, 1, 2]) == [[0, 3], [1, 2, 4]]
    assert members_of([2, 1], 2) == [[0, 1, 3, 4], [2, 5]]
