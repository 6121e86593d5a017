"""Decisions survive a kill, say who decided what, and make a new version in which nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacenote.advisory import Light, Truth
from pacenote.cli import main
from pacenote.data import Dataset
from pacenote.data.correct import DECISIONS_FILE, Decisions, apply, changed, decisions_on, queue
from pacenote.errors import InputError

from .conftest import sample

Make = Callable[..., Path]
GREEN = Truth(light=Light("green", "left"), speed_kmh=40)


@pytest.fixture
def mined(make_dataset: Make) -> Dataset:
    """Twelve samples, the last with a contradiction, number 5 least sure, one without a truth."""
    rows = [sample(k, posterior={"light": {"red": 0.9, "none": 0.9}}) for k in range(12)]
    rows[5] = sample(5, posterior={"light": {"red": 0.5, "none": 0.5}})
    rows[11] = sample(11, provenance={"contradictions": ["red, yet 12 m/s"]})
    rows.append(sample(12, truth=None, task="vqa", answer="yes"))
    return Dataset.open(make_dataset([("dev" if k == 7 else "train", row) for k, row in enumerate(rows)]))


def by_id(dataset: Dataset) -> dict[str, int]:
    return {id: row for row, id in enumerate(dataset.column("id"))}


def test_the_worst_come_first_and_only_labelled_ones(mined: Dataset) -> None:
    items = queue(mined)
    assert len(items) == 12
    assert [item.id for item in items[:2]] == ["scene-00011", "scene-00005"]
    assert [item.suspicion for item in items] == sorted((item.suspicion for item in items), reverse=True)
    assert all(mined[item.row].id == item.id for item in items)
    assert queue(mined, 2) == items[:2]


def test_a_new_version_holds_fixes_rejects_and_the_rest(mined: Dataset, tmp_path: Path) -> None:
    rows, out = by_id(mined), tmp_path / "new"
    with decisions_on(mined, out) as decisions:
        decisions.decide(mined[rows["scene-00005"]], "accept", GREEN, "ada")
        decisions.decide(mined[rows["scene-00011"]], "reject", None, "ada")
        own = mined[rows["scene-00007"]]
        decisions.decide(own, "accept", own.truth, "bob")
        made = apply(mined, decisions)
    assert {split: held["samples"] for split, held in made.card["splits"].items()} == {"train": 11, "dev": 1}
    new = {item.id: item for item in made}
    fixed, old = new["scene-00005"], mined[rows["scene-00005"]]
    assert old.truth is not None
    assert fixed.truth == GREEN
    note = fixed.provenance["corrected"]
    assert note["who"] == "ada"
    assert note["old"]["speed_kmh"] == old.truth.speed_kmh
    assert note["old"]["light"] == old.truth.light.to_dict()  # type: ignore[union-attr]
    assert note["posterior"] == old.posterior
    assert fixed.posterior is None
    assert fixed.slot_weight is None
    assert fixed.images == old.images
    assert fixed.provenance["truth"] == old.provenance["truth"]
    assert new["scene-00007"].provenance["accepted"]["who"] == "bob"
    assert new["scene-00007"].truth == own.truth
    assert new["scene-00003"] == mined[rows["scene-00003"]]
    assert new["scene-00012"] == mined[rows["scene-00012"]]
    (gone,) = made.rejected()
    assert (gone.id, gone.reason, gone.detail["split"]) == ("scene-00011", "rejected by ada", "train")
    counts = made.card["notes"]["corrected"]
    assert (counts["accepted"], counts["fixed"], counts["rejected"], counts["not_checked"]) == (1, 1, 1, 10)
    assert counts["fixed_by_slot"] == {"speed": 1, "light": 1, "obstacles": 1, "crossroad": 1}
    assert counts["by"] == {"ada": 2, "bob": 1}
    assert mined.path != made.path


def test_only_checked_leaves_the_rest_out_by_name(mined: Dataset, tmp_path: Path) -> None:
    with decisions_on(mined, tmp_path / "new") as decisions:
        decisions.decide(mined[0], "accept", GREEN, "ada")
        made = apply(mined, decisions, only_checked=True)
    assert len(made) == 1
    assert made.card["rejected"] == {"not checked": 12}


def test_applying_again_replaces_the_version(mined: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "new"
    with decisions_on(mined, out) as decisions:
        decisions.decide(mined[0], "reject", None, "ada")
        assert len(apply(mined, decisions)) == 12
    with decisions_on(mined, out) as decisions:
        decisions.undo("ada")
        decisions.decide(mined[1], "reject", None, "ada")
        decisions.decide(mined[2], "reject", None, "ada")
        made = apply(mined, decisions)
    assert len(made) == 11
    assert {row.id for row in made.rejected()} == {mined[1].id, mined[2].id}
    assert sorted(path.name for path in out.iterdir() if path.name[0] != ".") == [
        "README.md", "dataset.json", DECISIONS_FILE, "dev-00000-of-00001.parquet", "rejected.parquet",
        "train-00000-of-00001.parquet",
    ]  # fmt: skip


def test_a_second_correction_keeps_what_the_first_said(mined: Dataset, tmp_path: Path) -> None:
    with decisions_on(mined, tmp_path / "one") as decisions:
        decisions.decide(mined[0], "accept", GREEN, "ada")
        first = apply(mined, decisions)
    with decisions_on(first, tmp_path / "two") as decisions:
        decisions.decide(first[by_id(first)[mined[0].id]], "accept", Truth(light_state="red"), "bob")
        second = apply(first, decisions)
    note = second[by_id(second)[mined[0].id]].provenance["corrected"]
    assert (note["who"], note["before"]["who"]) == ("bob", "ada")


def test_all_rejected_is_one_line_and_keeps_the_decisions(mined: Dataset, tmp_path: Path) -> None:
    with decisions_on(mined, tmp_path / "new") as decisions:
        for row in mined:
            decisions.decide(row, "reject", None, "ada")
        with pytest.raises(InputError, match="all 13 rows were rejected"):
            apply(mined, decisions)
        assert len(decisions.standing()) == 13


def test_a_line_cut_by_a_kill_is_dropped_and_the_next_one_is_whole(mined: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "new"
    with decisions_on(mined, out) as decisions:
        decisions.decide(mined[0], "accept", GREEN, "ada")
    whole = (out / DECISIONS_FILE).read_bytes()
    for cut in (b'{"id": "sce', b'{"id": "scene-00001", "verdict": "reject", "who": "a", "when": ""}', b"\xc3"):
        (out / DECISIONS_FILE).write_bytes(whole + cut)
        with decisions_on(mined, out) as decisions:
            assert set(decisions.standing()) == {mined[0].id}
            decisions.decide(mined[3], "reject", None, "ada")
        with decisions_on(mined, out) as decisions:
            assert set(decisions.standing()) == {mined[0].id, mined[3].id}


@given(st.lists(st.one_of(st.none(), st.tuples(st.integers(0, 3), st.sampled_from(["accept", "reject"])))))
def test_undo_takes_back_the_last_decision_also_after_a_restart(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str] | None]
) -> None:
    out, dataset = tmp_path_factory.mktemp("new"), FewRows()
    rows = [sample(k) for k in range(4)]
    decisions = Decisions(out, dataset)  # type: ignore[arg-type]
    stack: list[tuple[str, str]] = []
    for step in steps:
        if step is None:
            undone = decisions.undo("ada")
            assert (undone and (undone.id, undone.verdict)) == (stack.pop() if stack else None)
        else:
            row, verdict = step
            decisions.decide(rows[row], verdict, rows[row].truth, "ada")
            stack.append((rows[row].id, verdict))
    for held in (decisions, Decisions(out, dataset)):  # type: ignore[arg-type]
        assert {id: decision.verdict for id, decision in held.standing().items()} == dict(stack)


class FewRows:
    """What Decisions reads of a Dataset."""

    def __init__(self) -> None:
        self.card = {"name": "few"}

    def column(self, name: str) -> list[str]:
        return [f"scene-{k:05d}" for k in range(4)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("[1]", "line 2 is no decision"),
        ('{"id": "a", "verdict": "perhaps", "who": "a", "when": ""}', "verdict 'perhaps'"),
        ('{"id": "a", "verdict": "undo", "who": "a", "when": ""}', "nothing to undo"),
        ('{"id": "a", "verdict": "fix", "who": "a", "when": "", "truth": {"speed_kmh": 51}}', "multiple of 5"),
    ],
)
def test_a_strange_line_is_named(mined: Dataset, tmp_path: Path, line: str, words: str) -> None:
    with decisions_on(mined, tmp_path / "new"):
        pass
    file = tmp_path / "new" / DECISIONS_FILE
    file.write_text(file.read_text() + line + "\n")
    with pytest.raises(InputError, match=words) as caught, decisions_on(mined, tmp_path / "new"):
        pass
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_places_are_refused(mined: Dataset, make_dataset: Make, tmp_path: Path) -> None:
    with (
        decisions_on(mined, tmp_path / "new"),
        pytest.raises(InputError, match="another command"),
        decisions_on(mined, tmp_path / "new"),
    ):
        pass
    other = Dataset.open(make_dataset([("train", sample(1))], "other"))
    with pytest.raises(InputError, match=r"about another dataset \(set\)"), decisions_on(other, tmp_path / "new"):
        pass
    with pytest.raises(InputError, match="is the dataset itself"), decisions_on(mined, mined.path):
        pass
    with pytest.raises(InputError, match="not empty"), decisions_on(mined, other.path):
        pass


def test_slots_that_changed() -> None:
    assert changed(GREEN, GREEN) == []
    assert changed(GREEN, Truth(light=Light("green"), speed_kmh=40)) == ["light"]
    assert changed(Truth(obstacles={"cone": True}), Truth(crossroad_any=False)) == ["obstacles", "crossroad"]


def test_apply_from_the_command_line(mined: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new"
    with decisions_on(mined, out) as decisions:
        decisions.decide(mined[0], "reject", None, "ada")
    assert main(["data", "correct", str(mined.path), "--out", str(out), "--apply"]) == 0
    assert "12 rejected" not in capsys.readouterr().out
    assert json.loads((out / "dataset.json").read_text())["rejected"] == {"rejected by ada": 1}
    assert main(["data", "correct", str(mined.path), "--out", str(out), "--limit", "0"]) == 2
    assert main(["data", "correct", str(mined.path), "--out", str(mined.path), "--apply"]) == 2
    error = capsys.readouterr().err
    assert "--limit 0: give a number of at least 1" in error
    assert error.count("\n") == 2
