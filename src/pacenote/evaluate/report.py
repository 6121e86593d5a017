"""What a person reads of an evaluation: `report.md`, plots as PNG, and `report.html` with a gallery of failures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.advisory import SLOTS, Truth, slot_text
from pacenote.evaluate import plots, tables
from pacenote.evaluate.breakdown import Row, slot_right
from pacenote.evaluate.predictions import Prediction
from pacenote.evaluate.run import Evaluation
from pacenote.work import Page, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image

PLAIN_GALLERY = 24
FAILURES_A_SLOT = 8
GALLERY_WIDTH = 448  # px


def write_report(evaluation: Evaluation) -> Path:
    """Write `report.md`, `plots/*.png` and `report.html` beside the figures; returns the page."""
    figures, rows = evaluation.figures, evaluation.rows
    title = f"{figures['model']['name']} on {figures['dataset']['name']}"
    sections = _sections(figures)
    drawn = _plots(evaluation)
    (evaluation.out / "plots").mkdir(exist_ok=True)
    for name, (figure, _) in drawn.items():
        figure.savefig(evaluation.out / "plots" / f"{name}.png", dpi=130)
    text = [f"# {title}", _facts(figures)]
    for heading, note, columns, body in sections:
        text += [f"## {heading}", *([note] if note else []), tables.markdown(columns, body)]
    text += ["## Plots", *(f"![{caption}](plots/{name}.png)" for name, (_, caption) in drawn.items())] if drawn else []
    write_text(evaluation.out / "report.md", "\n\n".join(text) + "\n")

    page = Page(title).paragraph(_facts(figures))
    for heading, note, columns, body in sections:
        page.heading(heading)
        if note:
            page.paragraph(note, note=True)
        page.table(columns, body)
    if drawn:
        page.heading("Plots")
        for figure, caption in drawn.values():
            page.figure(figure, caption)
    _gallery(page, evaluation, rows)
    return page.save(evaluation.out / "report.html")


def _facts(figures: Mapping[str, Any]) -> str:
    model, latency = figures["model"], figures["latency_ms"]
    lines = [
        f"{figures['frames']} frames, model {model['digest']} ({model['dtype']} on {model['device']}, weights "
        f"{figures['weights_mib']:.1f} MiB), prompts {figures['prompt_digest']}, fit {figures['settings']['fit']}."
    ]
    if latency["n"]:
        p50, p99 = latency["p50"], latency["p99"]
        lines.append(f"One frame at batch 1: p50 {p50:.0f} ms, p99 {p99:.0f} ms (n={latency['n']}).")
    if figures["stages"]:
        parts = ", ".join(f"{stage} {ms:.1f}" for stage, ms in figures["stages"]["ms"].items())
        share = figures["stages"]["floor_share"]
        lines.append(f"Of them (mean ms): {parts}; behind the pixels {share:.0%} is the machine's floor.")
    if figures["skipped"]:
        lines.append(f"{figures['skipped']} pictures could not be read and were passed over.")
    if not figures["complete"]:
        lines.append("They are a part of the set, spread over it.")
    return " ".join(lines)


Section = tuple[str, str, list[str], list[list[str]]]


def _sections(figures: Mapping[str, Any]) -> list[Section]:
    """(heading, note, columns, rows) of every table that has something to show."""
    found: list[Section] = []
    if not figures.get("n"):
        return found
    unreadable = ", ".join(f"{slot} {n}" for slot, n in figures["unreadable"].items())
    note = (
        "Rows as in the paper's Table 2. Intervals: 95 % bootstrap over drives or scenes. Average: mean of the three "
        f"F1. Baselines: always the commonest answer, always none, always yes. "
        f"Unreadable answers: {unreadable}."
    )
    if tables.one_sided(figures, "obstacles"):
        note += (
            " No frame is known to be free of every obstacle, so Obstacles and the Average have no false alarms to"
            " count: read Cones instead."
        )
    found.append(("Scores", note, *tables.main_table(figures)))
    columns, kinds = tables.kind_table(figures)
    if kinds:
        found.append(("Kinds", "", columns, kinds))
    right, exact = figures["light_right"], figures["light_exact"]
    lights = [
        ("state right, none included", right["n"], right["accuracy"], right["ci"], right["commonest"]),
        ("state, movement, place and other all right", exact["n"], exact["accuracy"],
         figures["ci"]["light_exact"]["accuracy"], figures["baselines"]["commonest"]["light_exact"]["accuracy"]),
    ]  # fmt: skip
    if right["n"] or exact["n"]:
        body = [
            [name, str(n), tables.number(value), tables.interval(ci), tables.number(commonest)]
            for name, n, value, ci, commonest in lights
        ]
        found.append(("Light, share right", "", ["", "n", "share", "95 % interval", "commonest"], body))
    if figures["by_source"]:
        found.append(("By source", "", *tables.part_table(figures["by_source"])))
    for name, parts in figures["by_condition"].items():
        found.append((f"By {name.replace('_', ' ')}", "", *tables.part_table(parts)))
    if figures["by_light_px"]:
        note = (
            "Lens diameter in pixels of the model's input. A false alarm has no size, so P counts wrong colours only."
        )
        body = [
            [name, str(part["light"]["n"]), *(tables.number(part["light"][x]) for x in ("p", "r", "f1")),
             tables.interval(part["ci"]["light"]["f1"])]
            for name, part in figures["by_light_px"].items()
        ]  # fmt: skip
        found.append(("Light by size", note, ["px", "n", "P", "R", "F1", "95 % interval"], body))
    if figures["twins"]:
        twins = figures["twins"]
        body = [["all", str(twins["n"]), tables.number(twins["accuracy"]), tables.interval(twins["ci"])]]
        body += [
            [slot, str(own["n"]), tables.number(own["accuracy"]), tables.interval(own["ci"])]
            for slot, own in twins["by_slot"].items() if own["n"]
        ]  # fmt: skip
        note = "Both of two scenes that differ in one fact are told right."
        found.append(("Twins", note, ["", "pairs", "accuracy", "95 % interval"], body))
    return found


def _plots(evaluation: Evaluation) -> "dict[str, tuple[Figure, str]]":
    figures = evaluation.figures
    drawn: dict[str, tuple[Figure | None, str]] = {}
    if figures.get("n"):
        if figures["light"]["n"]:
            drawn["light_confusion"] = (plots.confusion(figures), "Light states: truth in rows, answer in columns")
        drawn["speed"] = (plots.speed_scatter(evaluation.rows), "Advised against true speed")
        drawn["light_size"] = (plots.light_size(figures["by_light_px"]), "Light by lens diameter, 95 % intervals")
        drawn["reliability"] = (plots.reliability(figures["calibration"]), "Confidence against share right")
    drawn["latency"] = (plots.latency(evaluation.latencies_ms), "Time of one frame at batch 1")
    return {name: (figure, caption) for name, (figure, caption) in drawn.items() if figure is not None}


def _gallery(page: Page, evaluation: Evaluation, rows: Sequence[Row]) -> None:
    """Failures slot by slot, the most confident first; where nothing is known, simply the first answers."""
    shown = False
    for slot in SLOTS:
        wrong = [row for row in rows if slot_right(row[1], row[0].truth, slot) is False]
        if not wrong:
            continue
        wrong.sort(key=lambda row: -((row[1].confidence or {}).get(slot) or 0.0))
        known = sum(1 for frame, said in rows if slot_right(said, frame.truth, slot) is not None)
        page.heading(f"Failures: {slot}")
        shown_here = min(len(wrong), FAILURES_A_SLOT)
        page.paragraph(f"{len(wrong)} of {known} frames; the most confident {shown_here} are shown.", note=True)
        page.gallery(_card(evaluation, row, slot) for row in wrong[:FAILURES_A_SLOT])
        shown = True
    if not shown:
        page.heading("Answers")
        step = max(1, len(rows) // PLAIN_GALLERY)
        page.gallery(_card(evaluation, row, None) for row in rows[::step][:PLAIN_GALLERY])


def _card(evaluation: Evaluation, row: Row, slot: str | None) -> "tuple[Image.Image, str]":
    frame, said = row
    image = evaluation.source.samples[frame.index].image(0)
    image.thumbnail((GALLERY_WIDTH, GALLERY_WIDTH))
    if slot is None:
        return image, f"{frame.id}: {said.text}"
    confidence = (said.confidence or {}).get(slot)
    sure = "" if confidence is None else f" (p {confidence:.2f})"
    return image, f"{frame.id}\nsaid: {slot_words(said, slot)}{sure}\ntrue: {truth_words(frame.truth, slot)}"


def slot_words(said: Prediction, slot: str) -> str:
    """What a prediction says in one slot, without the heading."""
    try:
        return slot_text(said.advisory, slot).partition(": ")[2].rstrip(".")
    except ValueError:
        return "unreadable"


def truth_words(truth: Truth, slot: str) -> str:
    """The known facts of one slot."""
    if slot == "speed":
        return f"{truth.speed_kmh} km/h"
    if slot == "light":
        if truth.light is None:
            return str(truth.light_state)
        return slot_text(truth.advisory(), slot).partition(": ")[2].rstrip(".")
    facts: dict[str, bool | None] = getattr(truth, slot)
    yes = [kind.replace("_", " ") for kind, fact in facts.items() if fact]
    if yes:
        return " and ".join(yes)
    present = getattr(truth, f"{slot}_any")
    absent = [kind.replace("_", " ") for kind, fact in facts.items() if fact is False]
    return {True: "some", False: "none", None: f"no {' or '.join(absent)}"}[present]
