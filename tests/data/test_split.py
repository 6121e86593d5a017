"""Whatever the links between samples, a split or a merge puts no unit on two sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacenote.data import Dataset
from pacenote.data.check import check_dataset
from pacenote.data.split import assign, group, leaks, merge_datasets, split_dataset
from pacenote.errors import InputError

from .conftest import picture, sample

Make = Callable[..., Path]
links = st.dictionaries(
    st.sampled_from(("network", "scene", "drive", "twin", "image")), st.integers(0, 12).map(str), max_size=4
)


@settings(deadline=None)
@given(st.lists(links, min_size=3, max_size=40), st.integers(0, 5))
def test_groups_never_leak(held: list[dict[str, str]], seed: int) -> None:
    by_id = {f"s{i}": units for i, units in enumerate(held)}
    groups = group(by_id)
    sizes = Counter(groups.values())
    if len(sizes) < 3:
        with pytest.raises(InputError, match="without a leak"):
            assign(sizes, {"train": 0.8, "dev": 0.1, "test": 0.1}, seed)
        return
    splits = assign(sizes, {"train": 0.8, "dev": 0.1, "test": 0.1}, seed)
    sides: dict[str, list[tuple[str, dict[str, str]]]] = {}
    for id, units in by_id.items():
        sides.setdefault(splits[groups[id]], []).append((id, units))
    assert leaks(sides) == {}
    assert set(sides) == {"train", "dev", "test"}
    back = dict(reversed(by_id.items()))
    assert group(back) == groups  # the order of the samples does not matter


def test_leaks_finds_each_kind() -> None:
    found = leaks({"train": [("a", {"scene": "1", "drive": "x"})], "test": [("b", {"scene": "1", "drive": "y"})]})
    assert found == {"scene": {"1": ["a", "b"]}}


def test_shares_are_met_by_equal_groups() -> None:
    sizes = Counter({f"n{i}": 5 for i in range(100)})
    for seed in range(3):
        splits = assign(sizes, {"train": 0.7, "dev": 0.1, "test": 0.2}, seed)
        assert Counter(splits.values()) == {"train": 70, "dev": 10, "test": 20}
    assert assign(sizes, {"train": 0.7, "test": 0.3}, 1) != assign(sizes, {"train": 0.7, "test": 0.3}, 2)


def test_split_keeps_networks_twins_and_rejections(make_dataset: Make, tmp_path: Path) -> None:
    rows = [sample(i, conditions={"network": f"n{i % 6}"}) for i in range(24)]
    rows.append(sample(99, conditions={"network": "n-twin"}, twin_of="scene-00003"))
    rows.append(sample(98, conditions={"network": "n-copy"}, images=(picture(4),)))
    path = make_dataset([("train", row) for row in rows])
    out = split_dataset(path, tmp_path / "out", by="network", dev=0.2, test=0.3, seed=1)
    assert len(out) == len(rows)
    side = {id: split for split in out.splits for id in Dataset.open(tmp_path / "out", split).column("id")}
    assert side["scene-00099"] == side["scene-00003"]
    assert side["scene-00098"] == side["scene-00004"]
    report = check_dataset(tmp_path / "out")
    assert not [finding for finding in report.findings if finding.check == "leakage"]
    again = split_dataset(path, tmp_path / "out", by="network", dev=0.2, test=0.3, seed=1)
    assert len(again) == len(rows)
    with pytest.raises(InputError, match="another seed"):
        split_dataset(path, tmp_path / "out", by="network", dev=0.2, test=0.3, seed=2)


def test_split_names_what_is_wrong(make_dataset: Make, tmp_path: Path) -> None:
    path = make_dataset([("train", sample(i)) for i in range(6)])
    with pytest.raises(InputError, match="has no drive"):
        split_dataset(path, tmp_path / "a", by="drive")
    with pytest.raises(InputError, match="1 separate groups cannot fill 3"):
        split_dataset(path, tmp_path / "a", by="network")
    with pytest.raises(InputError, match="below 1"):
        split_dataset(path, tmp_path / "a", by="scene", dev=0.5, test=0.5)
    with pytest.raises(InputError, match="'town' is not one of"):
        split_dataset(path, tmp_path / "a", by="town")


def test_merge_joins_splits_and_refuses_leaks(make_dataset: Make, tmp_path: Path) -> None:
    one = make_dataset([("train", sample(i)) for i in range(5)], "one")
    two = make_dataset([("train", sample(20)), ("test", sample(30))], "two")
    merged = merge_datasets([one, two], tmp_path / "merged")
    assert merged.card["splits"] == {"train": {"samples": 6, "shards": 1}, "test": {"samples": 1, "shards": 1}}
    assert merged[0] == sample(0)
    with pytest.raises(InputError, match=r"scene-00000 is in .*one and in .*merged"):
        merge_datasets([one, tmp_path / "merged"], tmp_path / "x")
    three = make_dataset([("test", sample(7))], "three")  # network grid-0, which `one` trains on
    with pytest.raises(InputError, match="network grid-0 would be in two splits"):
        merge_datasets([one, three], tmp_path / "y")
