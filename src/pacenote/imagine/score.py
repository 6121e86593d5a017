"""What becomes of a painted picture: kept, kept under what it really shows, or refused; each with its reason.

A picture is good when a frozen judge reads back what was to be painted (after DreamSync, arXiv:2311.17946, with an
advisory in the place of questions), and looks like the pictures that the painter learnt from. Where a trusted judge is
sure of another slot value, the picture is relabelled instead of dropped, so that it teaches its own caption.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pacenote.advisory import Advisory, kind_words
from pacenote.errors import InputError
from pacenote.imagine.judge import agree
from pacenote.imagine.spec import SEEN, Spec

if TYPE_CHECKING:
    from pacenote.engine import Answer
    from pacenote.imagine.judge import Judge

KEPT, RELABELLED, REFUSED = "kept", "relabelled", "refused"


@dataclass(frozen=True)
class Limits:
    """`quality`: the least that is kept. A slot is relabelled where the judge is `sure` of another value (confidence)
    and was right at least so often (`trusted`) on frames of known truth."""

    quality: float = 0.05
    sure: float = 0.9
    trusted: float = 0.8


@dataclass(frozen=True)
class Verdict:
    """`outcome` of a picture: KEPT as `spec`, RELABELLED to `spec`, or REFUSED; `reason` in words; `score` 0 to 1, to
    choose the best of several."""

    outcome: str
    spec: Spec
    score: float
    reason: str = ""


def logic(advisory: Advisory, spec: Spec) -> dict[str, str]:
    """What cannot be, by slot: two lights that contradict each other, and things that were named and are not there."""
    broken: dict[str, str] = {}
    light = advisory.light
    if light is not None and light.other is not None and light != spec.light:
        state, movement = light.other
        if state != light.state and (movement == light.movement or "any" in (movement, light.movement)):
            broken["light"] = f"{light.state} and {state} for the same movement"
    if spec.light.state != "none" and light is not None and light.state == "none":
        broken["light"] = "light named but absent"
    for slot in ("obstacles", "crossroad"):
        read: frozenset[str] | None = getattr(advisory, slot)
        absent = [] if read is None else sorted(getattr(spec, slot) - read)
        if absent:
            broken[slot] = f"{kind_words(absent[0])} named but absent"
    return broken


def judged(answer: Answer, spec: Spec, judge: Judge, quality: float, unsafe: str, limits: Limits) -> Verdict:
    """The verdict on one picture, from what the calibrated `judge` read in it, its `quality` and the screen's words."""
    if unsafe:
        return Verdict(REFUSED, spec, 0.0, f"screened: {unsafe}")
    if quality < limits.quality:
        return Verdict(REFUSED, spec, 0.0, "unlike any training picture (sharpness, exposure, contrast)")
    agreed, sure = agree(answer.advisory, spec), answer.confidence or {}
    changed: dict[str, Any] = {}
    for slot in (slot for slot in SEEN if not agreed[slot]):
        read = getattr(answer.advisory, slot)
        trusted = judge.right(slot) >= limits.trusted and (sure.get(slot) or 0.0) >= limits.sure
        if read is None or not trusted:
            return Verdict(REFUSED, spec, 0.0, f"{slot}: not what was asked for, by a judge that is not sure")
        changed[slot] = read
    score = quality * sum(judge.right(slot) * (sure.get(slot) or 0.0) for slot in SEEN) / len(SEEN)
    if not changed:
        return Verdict(KEPT, spec, score)
    try:
        shown = replace(spec, advisory=replace(spec.advisory, speed_kmh=None, **changed)).with_rules()
    except InputError as error:
        return Verdict(REFUSED, spec, 0.0, str(error))
    return Verdict(RELABELLED, shown, score, f"{' and '.join(changed)}: shows something else, surely")


def best(verdicts: Sequence[Verdict], groups: Sequence[str], keep: int, relabelled: float) -> list[int]:
    """Which pictures the painter learns from, in order: of each group (the pictures of one spec) the `keep` with the
    best score, those that show what was asked for first. Of all, at most a share `relabelled` shows something else:
    those with the best scores."""
    chosen: list[int] = []
    by_group: dict[str, list[int]] = {}
    for index, (verdict, group) in enumerate(zip(verdicts, groups, strict=True)):
        if verdict.outcome != REFUSED:
            by_group.setdefault(group, []).append(index)
    for indices in by_group.values():
        ranked = sorted(indices, key=lambda i: (verdicts[i].outcome != KEPT, -verdicts[i].score))
        chosen += ranked[:keep]
    faithful = [i for i in chosen if verdicts[i].outcome == KEPT]
    others = sorted((i for i in chosen if verdicts[i].outcome == RELABELLED), key=lambda i: -verdicts[i].score)
    most = int(len(faithful) * relabelled / (1 - relabelled)) if relabelled < 1 else len(others)
    return sorted([*faithful, *others[:most]])


def consistency(agreed: Sequence[Mapping[str, bool | None]]) -> dict[str, float | None]:
    """The share of pictures that were read as asked for, by slot; `all`: the mean over the slots that a picture shows
    (`spec.SEEN`)."""
    shares: dict[str, float | None] = {}
    for slot in ("speed", *SEEN):
        known = [row[slot] for row in agreed if row[slot] is not None]
        shares[slot] = sum(map(bool, known)) / len(known) if known else None
    return shares | {"all": sum(shares[slot] or 0.0 for slot in SEEN) / len(SEEN)}


def logical(broken: Sequence[Mapping[str, str]]) -> dict[str, float]:
    """The share of pictures without a break of logic, by slot."""
    return {slot: sum(slot not in row for row in broken) / max(1, len(broken)) for slot in SEEN}
