"""The page of an imagining: how the rounds went, a grid of pictures a round, what was refused and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.advisory import Advisory, slot_text
from pacenote.imagine.rounds import Round, Seen
from pacenote.imagine.score import KEPT, REFUSED
from pacenote.work import Page

if TYPE_CHECKING:
    from pacenote.data import Sample

GRID = 24  # pictures of a probe
EXAMPLES = 6  # pictures of an outcome


def show(out: Path, figures: Mapping[str, Any], trust: Mapping[str, Any], rounds: Mapping[str, Round]) -> Path:
    """Write `report.html` in `out`."""
    page = Page("Imagined scenes")
    summary(page, figures)
    _trust(page, trust)
    for name, held in rounds.items():
        if "probe" in name:
            page.heading(f"{name}: the same specs and seeds each time")
            page.gallery((sample.images[0].bytes, _said(seen)) for seen, sample in _first(held, GRID))
        else:
            page.heading(f"{name}: kept and refused")
            _outcomes(page, held)
    return page.save(out / "report.html")


def summary(page: Page, figures: Mapping[str, Any]) -> None:
    """How the rounds went, from `figures.json`."""
    columns = [
        "round", "judge", "second", "light (second)", "obstacles (second)", "crossroad (second)", "diversity",
        "quality", "painted", "refused", "learnt from",
    ]  # fmt: skip
    rows = [_row(str(told["round"]), told) for told in figures["rounds"]]
    beside = {"control": "control", "original": "control, pairs before the filter"}
    rows += [_row(words, figures[name]) for name, words in beside.items() if name in figures]
    page.table(columns, rows, "Share of the probe that is read as asked for, mean over light, obstacles, crossroad")
    best = f"The best round is {figures['best']}."
    page.paragraph(f"{best} The rounds stopped: {figures['stopped']}." if figures["stopped"] else best)
    if figures["rounds"]:
        logic = figures["rounds"][figures["best"]]["logic"]
        page.table(["slot", "without a break of logic"], [[slot, share] for slot, share in logic.items()])
    page.table(["in the Dataset", "pictures"], [[name, number] for name, number in figures["kept"].items()])


def _row(name: str, told: Mapping[str, Any]) -> list[Any]:
    second, painted = told["second"], told.get("painted") or {}
    return [
        name, told["judge"]["all"], second["all"], second["light"], second["obstacles"], second["crossroad"],
        told["diversity"], told["quality"], painted.get("n"), painted.get("rejected"), told.get("chosen"),
    ]  # fmt: skip


def _trust(page: Page, trust: Mapping[str, Any]) -> None:
    page.heading("How far the judges can be trusted")
    for name, slots in trust.items():
        rows = [[slot, "all", held["right"], held["n"]] for slot, held in slots.items()]
        rows += [[s, part, one["right"], one["n"]] for s, held in slots.items() for part, one in held["by"].items()]
        page.table(["slot", "frames", "right", "n"], rows[: len(slots)], f"{name}: frames of known truth")
        page.code("\n".join(f"{s} {part}: {right:.3f} of {n}" for s, part, right, n in rows), "by condition")


def _outcomes(page: Page, held: Round) -> None:
    groups: dict[str, list[tuple[bytes, str]]] = {}
    counts: Counter[str] = Counter()
    for seen, sample in held.pictures():
        verdict = seen.verdict
        name = verdict.outcome if verdict.outcome == KEPT else f"{verdict.outcome}: {verdict.reason}"
        counts[name] += 1
        shown = groups.setdefault(name, [])
        if len(shown) < EXAMPLES:
            shown.append((sample.images[0].bytes, _said(seen)))
    page.table(["outcome", "pictures"], [[name, number] for name, number in counts.most_common()])
    for name in sorted(groups, key=lambda name: (name.startswith(REFUSED), -counts[name])):
        page.heading(name.capitalize(), 3).gallery(groups[name])


def _first(held: Round, count: int) -> Sequence[tuple[Seen, Sample]]:
    return [pair for _, pair in zip(range(count), held.pictures(), strict=False)]


def _said(seen: Seen) -> str:
    read = Advisory.from_dict(seen.read)
    wrong = [slot for slot, agreed in seen.agreed.items() if agreed is False]
    told = [
        slot_text(read, slot) if getattr(read, "speed_kmh" if slot == "speed" else slot) is not None else f"{slot}: ?"
        for slot in wrong
    ]
    return f"{seen.prompt}\n" + (f"Read: {' '.join(told)}" if told else "Read as asked.")
