"""The page of an optimization: what each round tried, what came of it, and frames that changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.advisory import SLOTS
from pacenote.optimize.accept import NAMES
from pacenote.optimize.asked import Asked
from pacenote.optimize.run import Optimized, Round
from pacenote.prompts.book import difference
from pacenote.prompts.draw import drawn
from pacenote.work import Page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 6  # frames a round


def write_page(state: Optimized, asked: Asked, out: Path) -> Path:
    """`out`/report.html."""
    figures = state.figures
    page = Page(f"Prompt book {state.first.name}: optimized")
    accepted, kept = figures["accepted"], figures["frames"]["accept"]
    named = f": {'; '.join(accepted)}" if accepted else ""
    page.paragraph(
        f"{len(state.rounds)} rounds, {figures['looks']} looks at the {kept} frames kept for them, {len(accepted)} "
        f"edits accepted{named}. At most {state.gate.alpha:g} of such runs accept an edit that gains nothing."
    )
    gains = figures["gain_on_accept"]
    page.table(["", *NAMES], [["best minus first, accept frames", *(f"{gains[name]:+.3f}" for name in NAMES)]])
    page.paragraph(
        "These frames chose the edits, so the gain is told too well; a test split tells what it is worth.", note=True
    )
    page.figure(_plot(state), "Gain in the race of each round's candidates; filled: the one that was tested.")
    page.code(difference(state.first, state.best) or "no change", "the book's diff")
    for one in state.rounds:
        _round(page, one, state, asked)
    return page.save(out / "report.html")


def _round(page: Page, one: Round, state: Optimized, asked: Asked) -> None:
    page.heading(f"Round {one.number}: {one.winner.kind}, {one.winner.words}")
    told = ", ".join(f"{slot} {one.failures.get(slot, 0)}" for slot in SLOTS)
    page.paragraph(f"Wrong on the propose frames: {told}.")
    rows: dict[str, list[Any]] = {}
    for frames, gains in one.heats:
        for edit, gain in gains:
            rows.setdefault(edit.book.digest, [edit.kind, edit.words]).append(f"{gain:+.3f} of {frames}")
    width = 2 + len(one.heats)
    page.table(
        ["edit", "what", *(f"heat {n + 1}" for n in range(len(one.heats)))],
        [[*row, *[""] * (width - len(row))] for row in rows.values()],
    )
    if one.verdict is None:
        page.paragraph("Too little gained in the race; nothing was tested.")
        return
    paired = one.verdict.paired
    page.paragraph(f"{'Accepted' if one.verdict.accepted else 'Refused'}: {one.verdict.why}.")
    worst = [["worse by at most (95 %)", "", *(f"{loss:+.3f}" for loss in paired.worst.values())]]
    page.table(
        ["", *NAMES],
        [
            ["difference", *(f"{paired.difference[name]:+.3f}" for name in NAMES)],
            *(worst if paired.worst else []),
        ],
    )
    page.table(
        ["", *SLOTS],
        [["wins", *(one.wins.get(s, 0) for s in SLOTS)], ["losses", *(one.losses.get(s, 0) for s in SLOTS)]],
    )
    page.code(one.diff or "no change", "diff")
    items = []
    for changed in one.changed[:SHOWN]:
        prompt = asked.prompt(one.winner.book, changed.frame)
        words = f"{asked.samples[changed.frame].id} before: {changed.before} After: {changed.after}"
        items.append((drawn(prompt), words))
    if items:
        page.gallery(items)


def _plot(state: Optimized) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 2.6), layout="constrained")
    axes = figure.subplots()
    for one in state.rounds:
        gains = [gain for _, gain in one.heats[0][1]]
        axes.plot([one.number] * len(gains), gains, "o", mfc="none", color="#789")
        best = one.heats[-1][1][0][1]
        good = one.verdict is not None and one.verdict.accepted
        axes.plot([one.number], [best], "o", color="#2a7" if good else "#c55")
    axes.axhline(0, color="#999", lw=0.8)
    axes.set_xlabel("round")
    axes.set_ylabel("gain in the Average")
    axes.set_xticks([one.number for one in state.rounds])
    return figure
