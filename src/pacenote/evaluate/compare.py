"""Several models over the same frames, side by side."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pacenote.errors import InputError
from pacenote.evaluate import tables
from pacenote.evaluate.run import FIGURES
from pacenote.work import Page, read_json, write_json, write_text


def is_evaluation(path: Path) -> bool:
    """Whether a directory holds a finished evaluation."""
    return (path / FIGURES).is_file()


def read_figures(path: Path) -> dict[str, Any]:
    """The figures of a finished evaluation. Raises InputError where `path` holds none."""
    if not is_evaluation(path):
        raise InputError(f"{path}: no {FIGURES} in it; give a directory that `pacenote evaluate --out` wrote")
    return dict(read_json(path / FIGURES))


def write_comparison(several: Mapping[str, Mapping[str, Any]], out: Path) -> str:
    """Write `compare.md`, `compare.json` and `compare.html` of evaluations of one set; returns the Markdown table.

    Raises InputError when they were not run on the same frames.
    """
    sets = {figures["dataset"]["digest"]: figures["dataset"]["name"] for figures in several.values()}
    frames = {figures["frames"] for figures in several.values()}
    if len(sets) > 1:
        raise InputError(f"these evaluations are of different sets ({', '.join(sets.values())}); compare on one")
    if len(frames) > 1:
        raise InputError(
            f"these evaluations saw different numbers of frames {sorted(frames)}; run them without --limit"
        )
    columns, rows = tables.compare_table(several)
    table = tables.markdown(columns, rows)
    name = next(iter(sets.values()))
    note = f"{next(iter(frames))} frames of {name}; 95 % bootstrap intervals, drawn alike for each model."
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "compare.md", f"# Models on {name}\n\n{note}\n\n{table}\n")
    write_json(out / "compare.json", several)
    Page(f"Models on {name}").paragraph(note).table(columns, rows).save(out / "compare.html")
    return table


def unique_names(paths: list[tuple[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Figures by column title; equal titles get the model's digest added."""
    titles = [title for title, _ in paths]
    found: dict[str, dict[str, Any]] = {}
    for title, figures in paths:
        name = title if titles.count(title) == 1 else f"{title} {figures['model']['digest'][:6]}"
        while name in found:
            name += "'"
        found[name] = figures
    return found
