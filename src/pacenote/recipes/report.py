"""The page of a run, or of single evaluations: tables, plots, pictures, failures, and how it was made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pacenote.errors import InputError
from pacenote.recipes.recipe import load
from pacenote.work import Page, read_json
from pacenote.work.rundir import RUN_FILE

PAGE = "report.html"


def write_page(run: Path) -> Path:
    """Write `report.html` of a recipe's run from what its stages left. InputError when `run` holds none.

    Title and words are those of the recipe's `report` stage, where it has one.
    """
    if not (run / RUN_FILE).is_file():
        raise InputError(f"{run}: no {RUN_FILE} in it; give a directory that `pacenote run` or `evaluate` wrote")
    record = read_json(run / RUN_FILE)
    if record.get("kind") != "run":
        raise InputError(f"{run}: holds a {record.get('kind')}, not the run of a recipe")
    recipe = load(run / "recipe.yaml")
    words_of: dict[str, Any] = next((held for held in recipe.stages.values() if held["kind"] == "report"), {})
    page = Page(words_of.get("title") or f"Pacenote: {record['name']}")
    for words in (record["description"], words_of.get("text")):
        if words:
            page.paragraph(words)
    outs = {name: str(run / "stages" / name) for name in recipe.stages}
    ended = {name: state for name, state in record["stages"].items() if recipe.stages[name]["kind"] != "report"}
    made = {name: run / "stages" / name for name, state in ended.items() if "seconds" in state}
    tables = {name for name in made if recipe.stages[name]["kind"] == "table"}
    if not tables:  # the recipe's own tables say it better
        _scores(page, made)
    for name in sorted(ended, key=lambda name: name not in tables):
        state = ended[name]
        page.heading(name.replace("_", " ").replace("-", " ").capitalize())
        if "seconds" in state:
            recipe.stage(name, outs).show(page, run / "stages" / name)
        else:
            page.paragraph(f"{state['status'].capitalize()}: {state['reason']}.", note=True)
    _made(page, record, ended, (run / "recipe.yaml").read_text(encoding="utf-8"))
    return page.save(run / PAGE)


def write_evaluations(evaluations: Sequence[Path], out: Path) -> Path:
    """Write one page of finished evaluations side by side (same frames). InputError as `compare.write_comparison`."""
    from pacenote.evaluate import compare

    named = compare.unique_names([(path.name, compare.read_figures(path)) for path in evaluations])
    compare.write_comparison(named, out)
    return out / "compare.html"


def _scores(page: Page, outs: dict[str, Path]) -> None:
    """A table of all evaluations of the same frames, at the top: what a reader looks for first."""
    from pacenote.evaluate import compare, tables

    sets: dict[tuple[str, int], dict[str, Any]] = {}
    for name, out in outs.items():
        if compare.is_evaluation(out) and (figures := compare.read_figures(out)).get("n"):
            sets.setdefault((figures["dataset"]["name"], figures["frames"]), {})[name] = figures
    for (title, frames), several in sets.items():
        if len(several) > 1:
            page.heading(f"Scores on {title}")
            page.paragraph(f"{frames} frames; 95 % bootstrap intervals over drives or scenes in brackets.", note=True)
            page.table(*tables.compare_table(several))


def _made(page: Page, record: dict[str, Any], ended: dict[str, Any], recipe: str) -> None:
    page.heading("How this was made")
    rows = [[name, state["status"], state.get("seconds"), state["reason"]] for name, state in ended.items()]
    page.table(["stage", "ended", "seconds", ""], rows)
    held = record["machine"]
    page.paragraph(f"Seed {record['seed']}. {held['cpu']}, {held['cores']} cores, {held['memory_gib']} GiB.", note=True)
    known = [f"{name} {version}" for name, version in record["versions"].items() if version]
    page.paragraph(f"Versions: {', '.join(known)}.", note=True)
    page.code(recipe, "The recipe as it ran")
