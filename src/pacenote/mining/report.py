"""The page of a mining: what was refused, what sources are worth, and a timeline of every drive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pacenote.advisory import CROSSROADS, LIGHT_STATES, OBSTACLES
from pacenote.mining.conflicts import implausible
from pacenote.mining.facts import FACT, FACTS
from pacenote.mining.fusion import MOTION, FactModel, split_view
from pacenote.mining.labels import Labels
from pacenote.mining.mine import Mined
from pacenote.mining.votes import LABELER, Votes
from pacenote.mining.window import MISSING
from pacenote.work import Page

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pacenote.data import Dataset

MOST_DRIVES = 24  # with a timeline of their own, those with contradictions first
THUMBNAILS = 8
COLOURS = {"none": "#d9dde3", "red": "#d7263d", "yellow": "#f2b705", "green": "#2a9d4a", "off": "#6b7280"}
SILENT, ABSENT, PRESENT = "#ffffff", "#e5e7eb", "#e07a1f"
INK, SOFT = "#1f2937", "#6b7280"


def report(mined: Mined) -> Path:
    """Write `report.html` into the mined Dataset; returns its path."""
    card = mined.card
    page = Page(f"Mined: {card['name']}")
    held = card["splits"]["train"]["samples"]
    refused = sum(card["rejected"].values())
    page.paragraph(
        f"{len(mined.drives)} drives, {sum(len(v.times) for v, _ in mined.drives)} frames asked about, {held} kept, "
        f"{refused} refused. Posteriors are {'' if card['notes']['calibrated'] else 'not '}calibrated on gold drives."
    )
    for line in implausible([labels for _, labels in mined.drives]):
        page.paragraph(line[0].upper() + line[1:] + ".")
    _counts(page, mined)
    _odd(page, mined.drives)
    _timelines(page, mined)
    _refused(page, card["rejected"])
    _sources(page, mined.fusion)
    return page.save(mined.out / "report.html")


def _timelines(page: Page, mined: Mined) -> None:
    from pacenote.data import Dataset

    page.heading("Drives")
    page.paragraph(
        "What the labeler and the experts said, and under it the label. Grey is absent, white not said; lights have "
        "their colour. The line is the car's speed.",
        note=True,
    )
    data = Dataset.open(mined.out, "train")
    order = sorted(mined.drives, key=lambda pair: (-len(pair[1].contradictions), pair[0].drive))
    for votes, labels in order[:MOST_DRIVES]:
        page.heading(votes.drive, level=3)
        for note in votes.notes:
            page.paragraph(note, note=True)
        page.gallery(_thumbnails(data, votes))
        page.figure(timeline(votes, labels))
    if len(order) > MOST_DRIVES:
        page.paragraph(f"{len(order) - MOST_DRIVES} further drives have no timeline here.", note=True)


def _refused(page: Page, rejected: Mapping[str, int]) -> None:
    page.heading("Refused")
    if not rejected:
        page.paragraph("No frame was refused.")
        return
    reasons = Counter[str]()
    for reason, count in rejected.items():
        reasons["repeats another frame" if reason.startswith("repeats ") else reason.split(":")[0]] += count
    page.table(("reason", "frames"), reasons.most_common())


def _counts(page: Page, mined: Mined) -> None:
    """How often each value was said by the labeler, and how often it is a label now."""
    rows = []
    for fact in FACTS:
        if fact.slot == "speed":
            continue
        before = np.concatenate([votes.labels(fact.name, LABELER) for votes, _ in mined.drives])
        after = np.concatenate([labels.classes.get(fact.name, np.empty(0, int)) for _, labels in mined.drives])
        for value in range(len(fact.values)):
            if fact.kind and not value:
                continue
            name = fact.kind.replace("_", " ") or f"light {fact.values[value]}"
            moved = int((before != after).sum()) if len(before) == len(after) else 0
            rows.append((name, int((before == value).sum()), int((after == value).sum()), moved))
    page.heading("Before and after")
    page.table(("value", "labeler", "label", "changed in its fact"), rows)


def _sources(page: Page, fusion: dict[str, FactModel]) -> None:
    """How far each source is trusted, and how long states last."""
    page.heading("What was learnt without labels")
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for name, model in fusion.items():
        chain = model.chain
        for source, confusion, trust in zip(model.sources, chain.confusion, model.trust, strict=True):
            if source == MOTION or confusion.shape[1] % len(chain.prior):
                continue
            words = confusion.shape[1] // len(chain.prior)
            right = confusion.reshape(len(chain.prior), len(chain.prior), words).sum(2).diagonal()
            own, view = split_view(source)
            row = rows.setdefault((name, own), {"trust": trust, "model": model})
            row[view] = float(right @ chain.prior)
    page.table(
        ("fact", "source", "right by day", "by night", "in the wet", "trust", "temperature", "doubt"),
        [
            (name, own, row.get("fair", row.get("")), row.get("night"), row.get("wet"), row["trust"],
             row["model"].temperature, row["model"].doubt)
            for (name, own), row in rows.items()
        ],
    )  # fmt: skip
    lasts = [(name, model.chain.per_s, model.chain.per_m) for name, model in fusion.items()]
    page.table(("fact", "changes a second", "changes a metre"), lasts)


def _odd(page: Page, drives: Sequence[tuple[Votes, Labels]]) -> None:
    rows = [
        (
            one.score,
            votes.drive,
            f"{votes.times[one.first]:.1f}-{votes.times[one.last]:.1f} s",
            one.state,
            one.motion,
            one.why,
        )
        for votes, labels in drives
        for one in labels.contradictions
    ]
    page.heading("Contradictions of sight and motion")
    if not rows:
        page.paragraph("None.")
        return
    page.table(("score", "drive", "when", "light", "motion", "may be"), sorted(rows, reverse=True)[:40])


def _thumbnails(data: Dataset, votes: Votes) -> list[Any]:
    rows = [k for k, drive in enumerate(data.column("drive")) if drive == votes.drive]
    chosen = (
        [rows[k] for k in np.linspace(0, len(rows) - 1, min(THUMBNAILS, len(rows))).round().astype(int)] if rows else []
    )
    found = []
    for k in chosen:
        sample = data[k]
        image = sample.image(0)
        image.thumbnail((320, 320))
        found.append((image, f"{sample.time_s:.1f} s"))
    return found


def timeline(votes: Votes, labels: Labels) -> Any:
    """A figure: speed, and for light, obstacles and crossroad what each source said and what the label is."""
    from matplotlib.figure import Figure

    rows: list[tuple[str, npt.NDArray[np.float64]]] = []
    sources = [LABELER, *sorted(set(votes.said) - {LABELER})]
    short = {name: name if name == LABELER else name.split(": ", 1)[-1] for name in sources}
    for title, facts in (("light", ["light"]), ("obstacles", OBSTACLES), ("crossroad", CROSSROADS)):
        names = [title] if title == "light" else [f"{title}.{kind}" for kind in facts]
        for source in sources:
            told = [votes.labels(name, source) for name in names]
            if any((one != MISSING).any() for one in told):
                rows.append((f"{title}: {short[source]}", _colours(names, told)))
        rows.append(
            (f"{title}: label", _colours(names, [labels.classes[name] for name in names if name in labels.classes]))
        )
    figure = Figure(figsize=(11, 1.3 + 0.27 * len(rows)), layout="constrained")
    top, strips = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [1.1, 0.27 * len(rows)]})
    _speed(top, votes)
    width = float(np.median(np.diff(votes.times))) if len(votes.times) > 1 else 1.0
    edges = np.append(votes.times, votes.times[-1] + width)
    for number, (_, colours) in enumerate(rows):
        tall = 0.9 if rows[number][0].endswith(": label") else 0.7
        for first, last in _runs(colours):
            strips.broken_barh(
                [(edges[first], edges[last + 1] - edges[first])], (number - tall / 2, tall), facecolors=[colours[first]]
            )
    strips.set_yticks(range(len(rows)), [name for name, _ in rows], fontsize=8)
    for tick, (name, _) in zip(strips.get_yticklabels(), rows, strict=True):
        tick.set_fontweight("bold" if name.endswith(": label") else "normal")
    strips.set_ylim(len(rows) - 0.4, -0.6)
    strips.set_xlabel("s", fontsize=8)
    for axes in (top, strips):
        axes.tick_params(labelsize=8, colors=INK)
        for side in ("top", "right", "left", "bottom"):
            axes.spines[side].set_visible(False)
    return figure


def _speed(axes: Axes, votes: Votes) -> None:
    speed = votes.signals["speed_mps"] * 3.6
    axes.plot(votes.times, speed, color=INK, linewidth=1.2)
    axes.set_ylabel("km/h", fontsize=8)
    axes.set_ylim(0, max(10.0, float(np.nanmax(speed, initial=0.0)) * 1.1))
    axes.grid(axis="y", color="#e5e7eb", linewidth=0.6)
    if np.isnan(speed).all():
        axes.text(0.5, 0.5, "speed not known", transform=axes.transAxes, ha="center", va="center", color=SOFT)


def _colours(names: Sequence[str], classes: Sequence[npt.NDArray[np.int64]]) -> Any:
    """(T,) colours of a light's states, or of whether any of several kinds is there."""
    if not classes:
        return np.array([])
    if names == ["light"]:
        return np.array([SILENT if c == MISSING else COLOURS[LIGHT_STATES[c]] for c in classes[0]])
    there, silent = np.any([one == 1 for one in classes], axis=0), np.all([one == MISSING for one in classes], axis=0)
    return np.where(silent, SILENT, np.where(there, PRESENT, ABSENT))


def _runs(colours: Any) -> list[tuple[int, int]]:
    if not len(colours):
        return []
    starts = np.concatenate([[0], np.flatnonzero(colours[1:] != colours[:-1]) + 1])
    return list(zip(starts.tolist(), [*(starts[1:] - 1).tolist(), len(colours) - 1], strict=True))


assert set(COLOURS) == set(FACT["light"].values)
