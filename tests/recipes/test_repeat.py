"""Repeated stages: each copy reads its own, a list elsewhere reads all, everything else stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacenote.errors import InputError
from pacenote.recipes import load
from pacenote.recipes.repeat import unroll

ROOT = Path(__file__).parents[2]


def test_each_copy_reads_its_own_and_a_list_reads_all() -> None:
    stages: dict[str, Any] = {
        "base": {"kind": "x", "seeds": [1, 2]},
        "train": {
            "repeat": [1, 7],
            "seed": "${repeat}",
            "name": "run ${repeat} of ${base.out}",
            "data": ["${base.out}"],
        },
        "score": {"repeat": [7, 1], "model": "${train.out}/model"},
        "table": {"columns": {"ours": ["${base.out}", "${score.out}/a"]}, "one": "${score-7.out}"},
    }
    made = unroll(stages, "r.yaml")
    assert list(made) == ["base", "train-1", "train-7", "score-7", "score-1", "table"]
    assert made["train-7"] == {"seed": 7, "name": "run 7 of ${base.out}", "data": ["${base.out}"]}
    assert made["score-1"] == {"model": "${train-1.out}/model"}
    assert made["table"]["columns"] == {"ours": ["${base.out}", "${score-7.out}/a", "${score-1.out}/a"]}
    assert made["table"]["one"] == "${score-7.out}"
    assert stages["train"]["repeat"] == [1, 7]


names = st.from_regex(r"[a-c]{1,2}", fullmatch=True)
texts = st.sampled_from(["${a.out}", "x ${b.out}", "${inputs.a}", "plain", "${"])
values = st.recursive(texts | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(names, inner))


@given(st.dictionaries(names, st.dictionaries(names, values)))
def test_without_repeat_nothing_changes(stages: dict[str, Any]) -> None:
    assert unroll(stages, "r.yaml") == stages


@pytest.mark.parametrize(
    ("stages", "line"),
    [
        ({"a": {"repeat": 3}}, "stage a: repeat must be a list"),
        ({"a": {"repeat": []}}, "stage a: repeat must be a list"),
        ({"a": {"repeat": [1, 1]}}, "stage a: repeat must be a list"),
        ({"a": {"repeat": [True]}}, "stage a: repeat must be a list"),
        (
            {"a": {"repeat": [1, 2]}, "b": {"model": "${a.out}"}},
            r"stage b: a is several stages; name one, as \$\{a-1.out\}",
        ),
        ({"a": {"repeat": [1]}, "b": {"repeat": [2], "model": "${a.out}"}}, "stage b: a is several stages"),
    ],
)
def test_what_cannot_be_meant_is_named(stages: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line):
        unroll(stages, "r.yaml")


def test_table_2_has_three_seeds_of_each_training() -> None:
    recipe = load(ROOT / "recipes" / "table2.yaml")
    assert [recipe.stages[f"distil-{seed}"]["seed"] for seed in (1, 2, 3)] == [1, 2, 3]
    assert recipe.needs("lora-2") == {"distil-2"} and recipe.needs("eval-int4-3") == {"int4-3"}
    assert {len(own) for own in recipe.stages["table"]["columns"].values()} == {1, 3}
