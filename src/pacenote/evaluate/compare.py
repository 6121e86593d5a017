"""Several models over the same frames, side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pacenote.advisory import Advisory
from pacenote.errors import InputError
from pacenote.evaluate import paired, tables
from pacenote.evaluate.predictions import PredictionFile
from pacenote.evaluate.run import FIGURES
from pacenote.work import Page, read_json, write_json, write_text

DIFFERENCES = (
    "Difference from {first}: of the figure, with its 95 % interval on the same resampled frames; * where the interval"
    " excludes zero. Of sMAPE less is better."
)


def is_evaluation(path: Path) -> bool:
    """Whether a directory holds a finished evaluation."""
    return (path / FIGURES).is_file()


def read_figures(path: Path) -> dict[str, Any]:
    """The figures of a finished evaluation. Raises InputError where `path` holds none."""
    if not is_evaluation(path):
        raise InputError(f"{path}: no {FIGURES} in it; give a directory that `pacenote evaluate --out` wrote")
    return dict(read_json(path / FIGURES))


def read_answers(path: Path) -> dict[str, Advisory]:
    """What the model of a finished evaluation said, by frame id."""
    return {prediction.id: prediction.advisory for prediction in PredictionFile(path).by_id.values()}


def check_same_set(several: Sequence[Mapping[str, Any]]) -> None:
    """Raise InputError unless all figures are of the same frames."""
    sets = {figures["dataset"]["digest"]: figures["dataset"]["name"] for figures in several}
    frames = sorted({figures["frames"] for figures in several})
    if len(sets) > 1:
        raise InputError(f"these evaluations are of different sets ({', '.join(sets.values())}); compare on one")
    if len(frames) > 1:
        raise InputError(f"these evaluations saw different numbers of frames {frames}; run them all without --limit")


def write_comparison(
    several: Mapping[str, Mapping[str, Any]], out: Path, differences: Mapping[str, Mapping[str, Any]] | None = None
) -> str:
    """Write `compare.md`, `compare.json` and `compare.html` of evaluations of one set; returns the Markdown tables.

    `several`: figures by column title. `differences` of the columns after the first from it, see `evaluate.paired`.
    Raises InputError when they were not run on the same frames.
    """
    check_same_set(list(several.values()))
    first = next(iter(several))
    name, frames = several[first]["dataset"]["name"], several[first]["frames"]
    note = f"{frames} frames of {name}; 95 % bootstrap intervals, drawn alike for each model."
    columns, body = tables.compare_table(several)
    text = tables.markdown(columns, body)
    page = Page(f"Models on {name}").paragraph(note).table(columns, body)
    if differences:
        said = DIFFERENCES.format(first=first)
        columns, body = paired.difference_table(differences)
        text += f"\n\n{said}\n\n{tables.markdown(columns, body)}"
        page.paragraph(said).table(columns, body)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "compare.md", f"# Models on {name}\n\n{note}\n\n{text}\n")
    write_json(out / "compare.json", {"figures": several, "differences": differences or {}})
    page.save(out / "compare.html")
    return text


def unique_names(columns: Sequence[tuple[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Figures by column title, in order; equal titles get the model's digest added."""
    titles = [title for title, _ in columns]
    found: dict[str, dict[str, Any]] = {}
    for title, figures in columns:
        name = title if titles.count(title) == 1 else f"{title} {figures['model']['digest'][:6]}"
        while name in found:
            name += "'"
        found[name] = figures
    return found
