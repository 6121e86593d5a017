"""Labels corrected by people: which samples to look at first, what was decided, and the new version of the Dataset.

A decision is one line of `decisions.jsonl`, on the disk before the next is taken; the first line names the Dataset that
the decisions are about. Nothing of the Dataset itself is changed: `apply` writes another one beside the decisions.
"""

from __future__ import annotations

import getpass
import json
import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pacenote.advisory import SLOTS, Truth
from pacenote.data.card import CARD_FILE, Card
from pacenote.data.dataset import Dataset, DatasetWriter
from pacenote.data.doubt import suspicion
from pacenote.data.sample import Sample
from pacenote.data.schema import from_row, schema
from pacenote.data.shards import read_columns
from pacenote.errors import InputError
from pacenote.work import digest, prepare_out, progress
from pacenote.work.files import locked, remove

DECISIONS_FILE = "decisions.jsonl"
VERDICTS = ("accept", "fix", "reject")
_MAKING = ".making"
_PICTURES = ("images", "image_roles", "cameras", "segmentation")
_FACTS = {  # the facts of a Truth by slot
    "speed": ("speed_kmh",),
    "light": ("light", "light_state"),
    "obstacles": ("obstacles", "obstacles_any"),
    "crossroad": ("crossroad", "crossroad_any"),
}


@dataclass(frozen=True)
class Item:
    """A sample to look at: `row` is its index in the Dataset."""

    row: int
    id: str
    suspicion: float
    group: str  # its drive or scene
    time_s: float | None


def queue(dataset: Dataset, limit: int | None = None) -> list[Item]:
    """The samples that have a truth, the most suspicious first (see `data.doubt.suspicion`), at most `limit`; those
    equally suspicious in the order of the Dataset. No picture is read."""
    items = [
        Item(row, sample.id, suspicion(sample), sample.drive or sample.scene, sample.time_s)
        for row, sample in enumerate(without_pictures(dataset))
        if sample.truth is not None
    ]
    items.sort(key=lambda item: -item.suspicion)
    return items[:limit]


def without_pictures(dataset: Dataset) -> Iterator[Sample]:
    """The samples in order, shard by shard, their pictures neither read nor there."""
    names = [name for name in schema().names if name not in _PICTURES]
    for file in dataset.files:
        for row in read_columns([file], names).to_pylist():
            yield from_row(row | dict.fromkeys(_PICTURES))


@dataclass(frozen=True)
class Decision:
    """What `who` decided of the sample `id` at `when` (ISO 8601, UTC); `truth` (as `Truth.to_dict`) for a "fix"."""

    id: str
    verdict: str
    who: str
    when: str
    truth: Mapping[str, Any] | None = None


class Decisions:
    """The decisions in `out`/decisions.jsonl; `decisions_on` opens them. Safe to use from many threads."""

    def __init__(self, out: Path, dataset: Dataset) -> None:
        self.path = out / DECISIONS_FILE
        self._history: list[Decision] = []
        self._lock = threading.Lock()
        about = {"dataset": dataset.card["name"], "digest": digest([dataset.card, dataset.column("id")])}
        if not self._read(about):
            self._append(about)

    def standing(self) -> dict[str, Decision]:
        """Sample id -> the last decision that was not undone."""
        with self._lock:
            return {decision.id: decision for decision in self._history}

    def decide(self, sample: Sample, verdict: str, truth: Truth | None, who: str) -> Decision:
        """Store a decision: "reject", or "accept" of `truth`, which is a "fix" where it is not the sample's own."""
        if verdict not in ("accept", "reject"):
            raise ValueError(f"a verdict is accept or reject, not {verdict!r}")
        fixed = verdict == "accept" and truth is not None and truth != sample.truth
        decision = Decision(
            sample.id, "fix" if fixed else verdict, who, now(), truth.to_dict() if fixed and truth else None
        )
        with self._lock:
            self._append({name: value for name, value in asdict(decision).items() if value is not None})
            self._history.append(decision)
        return decision

    def undo(self, who: str) -> Decision | None:
        """Take the last decision back, and return it; an earlier one of the same sample stands again."""
        with self._lock:
            if not self._history:
                return None
            self._append({"id": self._history[-1].id, "verdict": "undo", "who": who, "when": now()})
            return self._history.pop()

    def _append(self, line: Mapping[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _read(self, about: Mapping[str, Any]) -> bool:
        """Whether the file already says what it is `about`; its decisions are then in the history."""
        text = self.path.read_bytes() if self.path.is_file() else b""
        whole = text[: text.rfind(b"\n") + 1]
        if len(whole) < len(text):
            with self.path.open("r+b") as file:
                file.truncate(len(whole))
        lines = whole.decode("utf-8", "replace").splitlines()
        for number, line in enumerate(lines, 1):
            try:
                held = json.loads(line)
                if number > 1:
                    self._replay(held)
                elif held != about:
                    raise InputError(
                        f"{self.path}: decisions about another dataset ({held['dataset']}); give a new --out"
                    )
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(f"{self.path}: line {number} is no decision ({error}); remove it") from None
        return bool(lines)

    def _replay(self, held: Mapping[str, Any]) -> None:
        if held["verdict"] == "undo":
            if not self._history or self._history[-1].id != held["id"]:
                raise ValueError("nothing to undo")
            self._history.pop()
            return
        if held["verdict"] not in VERDICTS:
            raise ValueError(f"verdict {held['verdict']!r}")
        decision = Decision(**held)
        if decision.verdict == "fix":
            Truth.from_dict(decision.truth or {})
        self._history.append(decision)


@contextmanager
def decisions_on(dataset: Dataset, out: Path) -> Iterator[Decisions]:
    """The decisions about `dataset` in the directory `out`, which is made where there is none and held alone meanwhile.

    Raises InputError where `out` holds something else, decisions about another Dataset, or a line that is none. A last
    line that was cut off by a kill is dropped.
    """
    if dataset.path.resolve() == out.resolve():
        raise InputError(f"--out {out} is the dataset itself; give a new directory for the corrected one")
    prepare_out(out, marker=DECISIONS_FILE)
    with locked(out):
        yield Decisions(out, dataset)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def user_name() -> str:
    """The name of the account, or "someone" where there is none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container whose user has no entry
        return "someone"


def apply(dataset: Dataset, decisions: Decisions, *, only_checked: bool = False) -> Dataset:
    """Write the corrected version of `dataset` beside its decisions, in place of an earlier one; returns it.

    Fixed samples get their new truth, with the old one in `provenance["corrected"]`; rejected ones go to
    rejected.parquet as "rejected by NAME"; those without a decision stay as they are, or with `only_checked` go there
    as "not checked". Raises InputError where nothing is left.
    """
    out, standing = decisions.path.parent, decisions.standing()
    making = out / _MAKING
    remove(making)  # of a run that was killed
    card = _card(dataset, standing, out.name, only_checked)
    try:
        with DatasetWriter(making, card) as writer:
            for row in dataset.rejected():
                writer.reject(row.id, row.reason, row.source, row.detail)
            for split in dataset.splits:
                part = Dataset.open(dataset.path, split)
                for sample in progress(part, f"writing {split}", len(part)):
                    _write(writer, sample, split, standing.get(sample.id), only_checked)
        _put(making, out)
    finally:
        remove(making)
    return Dataset.open(out)


def _write(writer: DatasetWriter, sample: Sample, split: str, decision: Decision | None, only_checked: bool) -> None:
    if decision is None and only_checked:
        writer.reject(sample.id, "not checked", sample.source)
    elif decision is None:
        writer.add(sample, split)
    elif decision.verdict == "reject":
        held = {"when": decision.when, "truth": sample.truth.to_dict() if sample.truth else None, "split": split}
        writer.reject(sample.id, f"rejected by {decision.who}", sample.source, held)
    else:
        writer.add(corrected(sample, decision), split)


def corrected(sample: Sample, decision: Decision) -> Sample:
    """The sample as an "accept" or "fix" leaves it: a person vouches for each fact that is known, so doubts of before
    (posterior, slot weights) no longer count; they are kept in the provenance, as are old facts and an old answer."""
    note: dict[str, Any] = {"who": decision.who, "when": decision.when}
    note |= {"posterior": sample.posterior} if sample.posterior is not None else {}
    note |= {"slot_weight": dict(sample.slot_weight)} if sample.slot_weight is not None else {}
    kind = "corrected" if decision.verdict == "fix" else "accepted"
    truth, answer = sample.truth, sample.answer
    if decision.verdict == "fix":
        assert sample.truth is not None
        truth, old = Truth.from_dict(decision.truth or {}), sample.truth.to_dict()
        note["old"] = {fact: old[fact] for slot in changed(sample.truth, truth) for fact in _FACTS[slot]}
        if answer is not None and sample.task == "advisory":
            note["answer"], answer = answer, None  # it follows from the truth again
    if kind in sample.provenance:
        note["before"] = sample.provenance[kind]
    provenance = {**sample.provenance, kind: note}
    return replace(sample, truth=truth, answer=answer, posterior=None, slot_weight=None, provenance=provenance)


def changed(old: Truth, new: Truth) -> list[str]:
    """The slots in which two truths differ."""
    return [slot for slot in SLOTS if any(getattr(old, fact) != getattr(new, fact) for fact in _FACTS[slot])]


def _card(dataset: Dataset, standing: Mapping[str, Decision], name: str, only_checked: bool) -> Card:
    source = dataset.card
    counts = Counter(decision.verdict for decision in standing.values())
    figures = {
        "accepted": counts["accept"],
        "fixed": counts["fix"],
        "rejected": counts["reject"],
        "not_checked": len(dataset) - len(standing),
        "fixed_by_slot": _fixed_slots(dataset, standing),
        "by": dict(Counter(decision.who for decision in standing.values()).most_common()),
    }
    return Card(
        name=name,
        recipe=digest({"correct": [source["recipe"], source["seed"], source["name"]], "only_checked": only_checked,
                       "decisions": {id: asdict(decision) for id, decision in standing.items()}}),
        seed=source["seed"],
        licence=source["licence"],
        description=f"{source['description']} Labels of {source['name']}, corrected by hand.".strip(),
        notes={**source["notes"], "corrected_from": source["name"], "corrected": figures},
    )  # fmt: skip


def _fixed_slots(dataset: Dataset, standing: Mapping[str, Decision]) -> dict[str, int]:
    counts = dict.fromkeys(SLOTS, 0)
    table = dataset.table(["id", "truth"]).to_pylist() if standing else []
    for row in table:
        decision = standing.get(row["id"])
        if decision is not None and decision.verdict == "fix":
            for slot in changed(Truth.from_dict(row["truth"]), Truth.from_dict(decision.truth or {})):
                counts[slot] += 1
    return counts


def _put(made: Path, out: Path) -> None:
    """Move a finished Dataset's files to `out`. Its card goes first and comes last: between, `out` is no Dataset."""
    (out / CARD_FILE).unlink(missing_ok=True)
    for old in out.glob("*.parquet"):
        old.unlink()
    for file in sorted(made.iterdir(), key=lambda file: file.name == CARD_FILE):
        if not file.name.startswith("."):
            file.replace(out / file.name)
