"""Look a Dataset over before anything is trained or scored on it: pictures, contradictions, leaks, balance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pacenote.advisory import CROSSROADS, LIGHT_STATES, OBSTACLES, Advisory, Truth
from pacenote.data.classes import CLASSES
from pacenote.data.dataset import Dataset
from pacenote.data.sample import Sample
from pacenote.data.split import leaks, units
from pacenote.errors import InputError
from pacenote.work import progress

EXAMPLES = 5  # ids named in the text form; the JSON form holds MOST
MOST = 100
LOPSIDED = 0.9  # a slot whose commonest value has this share teaches and tests little
# The kinds of evidence objects that state a fact, and the roles under which they count for the ego car.
_LIGHT_KIND, _LIGHT_ROLES = "traffic_light", ("ego",)
_ROLES = {"obstacles": ("obstacle",), "crossroad": ("ahead",)}


@dataclass
class Finding:
    """One problem and the samples that have it. `level` error: the set should not be used as it is."""

    level: str
    check: str
    message: str
    ids: list[str] = field(default_factory=list)
    count: int = 0


@dataclass
class Report:
    """What `check_dataset` found; `counts` is the card's table of counts by split."""

    path: str
    samples: int
    findings: list[Finding]
    counts: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        """No error; warnings may be there."""
        return not any(finding.level == "error" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        findings = [
            {"level": f.level, "check": f.check, "message": f.message, "count": f.count, "ids": f.ids}
            for f in self.findings
        ]
        return {"path": self.path, "ok": self.ok, "samples": self.samples, "findings": findings, "counts": self.counts}

    def text(self) -> str:
        lines = [f"{self.path}: {self.samples} samples, {'no errors' if self.ok else 'ERRORS'}"]
        for f in self.findings:
            named = ", ".join(f.ids[:EXAMPLES]) + (", ..." if f.count > EXAMPLES else "")
            lines.append(f"  {f.level:7} {f.check}: {f.message} ({f.count}){': ' + named if f.ids else ''}")
        return "\n".join(lines)


class _Findings:
    """Gathers findings of the same check and message into one."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str, str], Finding] = {}

    def add(self, level: str, check: str, message: str, *ids: str) -> None:
        finding = self.held.setdefault((level, check, message), Finding(level, check, message))
        finding.count += max(1, len(ids))
        finding.ids += ids[: MOST - len(finding.ids)]

    def sorted(self) -> list[Finding]:
        return sorted(self.held.values(), key=lambda f: (f.level != "error", f.check, -f.count))


def check_dataset(path: str | Path) -> Report:
    """Check every sample of a Dataset (each picture is decoded once). Raises InputError when it cannot be opened."""
    whole = Dataset.open(path)
    found = _Findings()
    shared: dict[str, list[tuple[str, Mapping[str, str]]]] = {}
    first: dict[str, tuple[str, Truth | None]] = {}  # image digest and question -> the sample that carried it first
    ids: Counter[str] = Counter()
    twins: dict[str, str] = {}
    for split in whole.splits:
        part = Dataset.open(path, split)
        for sample in progress(part, f"checking {split}", len(part)):
            ids[sample.id] += 1
            if sample.twin_of:
                twins[sample.id] = sample.twin_of
            for check, look in _CHECKS.items():
                for level, message in look(sample):
                    found.add(level, check, message, sample.id)
            held = units(sample)
            shared.setdefault(split, []).append((sample.id, held))
            if "image" in held and sample.task == "advisory":
                # With another question (a limit given in words) the same picture may have another truth.
                key = f"{held['image']} {sample.question}"
                other, truth = first.setdefault(key, (sample.id, sample.truth))
                if other != sample.id:
                    same = truth == sample.truth
                    message = "the same picture twice" if same else "the same picture with two truths"
                    found.add("warning" if same else "error", "duplicates", message, sample.id)
    for id, number in ids.items():
        if number > 1:
            found.add("error", "schema", "an id occurs more than once", id)
    for id, other in twins.items():
        if other not in ids:
            found.add("warning", "twins", "twin_of names a sample that is not here", id)
    for kind, held_units in leaks(shared).items():
        for samples in held_units.values():
            found.add("error", "leakage", f"a {kind} is in more than one split", *samples)
    for level, message in _balance(whole.card["counts"]):
        found.add(level, "balance", message)
    return Report(str(path), len(whole), found.sorted(), whole.card["counts"])


def _pictures(sample: Sample) -> Iterator[tuple[str, str]]:
    if sample.task == "advisory" and not sample.images:
        yield "error", "an advisory without a picture"
    size = None
    for number in range(len(sample.images)):
        try:
            image = sample.image(number)
            size = size or image.size
        except InputError as error:
            yield "error", str(error).split(": ", 2)[-1].split("; ")[0]
    if sample.segmentation is not None and size is not None:
        try:
            classes = sample.segmentation.classes()
        except InputError:
            yield "error", "a segmentation that cannot be decoded"
            return
        height, width = classes.shape
        if abs(width * size[1] - height * size[0]) > max(size):  # it may be smaller, but must show the same view
            yield "error", "a segmentation of another shape than its frame"
        if int(classes.max()) >= len(CLASSES):
            yield "error", f"a segmentation with a class above {len(CLASSES) - 1}"
    if size is not None:
        for thing in (sample.evidence or {}).get("objects", ()):
            x0, y0, x1, y1 = thing.get("box") or (0, 0, 1, 1)
            if not (0 <= x0 <= x1 <= size[0] and 0 <= y0 <= y1 <= size[1]):
                yield "error", "an evidence box outside its frame"
                return


def _answer(sample: Sample) -> Iterator[tuple[str, str]]:
    """The written answer against the truth; only for whole advisories, whose text says every slot."""
    if not sample.question and sample.task != "general":
        yield "warning", "no question"
    if sample.answer is None or sample.truth is None or sample.task != "advisory":
        return
    said, truth = Advisory.parse(sample.answer), sample.truth
    if None in (said.speed_kmh, said.light, said.obstacles, said.crossroad):
        yield "error", "an answer with a slot that cannot be read"
    if None not in (said.speed_kmh, truth.speed_kmh) and said.speed_kmh != truth.speed_kmh:
        yield "error", "the answer contradicts the truth in speed"
    if said.light is not None and (
        (truth.light is not None and said.light != truth.light)
        or (truth.light_state is not None and said.light.state != truth.light_state)
    ):
        yield "error", "the answer contradicts the truth in light"
    for slot in ("obstacles", "crossroad"):
        kinds, facts = getattr(said, slot), getattr(truth, slot)
        some = getattr(truth, f"{slot}_any")
        if kinds is not None and (
            any(fact is not None and fact != (kind in kinds) for kind, fact in facts.items())
            or (some is not None and some != bool(kinds))
        ):
            yield "error", f"the answer contradicts the truth in {slot}"


def _evidence(sample: Sample) -> Iterator[tuple[str, str]]:
    """The truth against what the evidence states, both ways: where there is evidence, nothing is true without it."""
    if sample.truth is None or not sample.evidence or "objects" not in sample.evidence:
        return
    stated = [thing for thing in sample.evidence["objects"] if thing.get("stated") is True]
    for slot, kinds in (("obstacles", OBSTACLES), ("crossroad", CROSSROADS)):
        facts = getattr(sample.truth, slot)
        shown = {thing["kind"] for thing in stated if thing.get("role") in _ROLES[slot]}
        for kind in kinds:
            if facts[kind] is False and kind in shown:
                yield "error", f"evidence states a {kind} that the truth denies"
            if facts[kind] is True and kind not in {thing["kind"] for thing in stated}:
                yield "error", f"the truth names a {kind} that no evidence states"
    lights = {t["state"] for t in stated if t["kind"] == _LIGHT_KIND and t.get("role") in _LIGHT_ROLES}
    state = sample.truth.light_state
    if state == "none" and lights:
        yield "error", "evidence states a light that the truth denies"
    if state not in (None, "none") and not any(state in shows.split() for shows in lights):
        yield "error", "the truth names a light that no evidence states"


def _weights(sample: Sample) -> Iterator[tuple[str, str]]:
    weights = [sample.weight, *(sample.slot_weight or {}).values()]
    if any(not 0 <= weight < float("inf") for weight in weights):
        yield "error", "a weight that is negative or not finite"
    for values in (sample.posterior or {}).values():
        if any(not 0 <= p <= 1 for p in values.values()):
            yield "error", "a posterior probability outside 0..1"
            return


_CHECKS: dict[str, Callable[[Sample], Iterator[tuple[str, str]]]] = {
    "pictures": _pictures,
    "answer": _answer,
    "evidence": _evidence,
    "weights": _weights,
}


def _balance(counts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for split, held in counts.items():
        for slot in ("light", "obstacles", "crossroad"):
            names = LIGHT_STATES if slot == "light" else ("any", "none")
            known = {name: held[slot].get(name, 0) for name in names}
            total = sum(known.values())
            if not total:
                if held[slot]:
                    yield "warning", f"{split}: no sample says anything about {slot}"
                continue
            most = max(known, key=lambda name: known[name])
            if known[most] > LOPSIDED * total:
                yield "warning", f"{split}: {slot} is '{most}' in {known[most]} of {total}"
