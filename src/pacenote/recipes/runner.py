"""Runs the stages of a recipe in order, skips what is unchanged, and leaves a page.

RUN/recipe.yaml      the recipe with its inputs filled in
RUN/run.json         seed, versions, machine, and how each stage ended
RUN/stages/NAME/     what a stage made
RUN/stages/NAME.json its marker, written last: the digest of settings and inputs, seconds
RUN/report.html      everything worth looking at, in one file
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from pacenote.errors import InputError, PacenoteError
from pacenote.recipes.recipe import Recipe
from pacenote.recipes.stage import Context, Stage
from pacenote.recipes.stages import Report
from pacenote.work import digest, prepare_out, read_json, say, versions, write_json, write_text
from pacenote.work.files import locked, remove
from pacenote.work.rundir import RUN_FILE, machine

PAGE = "report.html"
DONE = ("done", "unchanged")


def run_recipe(recipe: Recipe, out: str | Path, *, workers: int = 1, ray: str | None = None) -> Path:
    """Run or resume `recipe` in the directory `out`; the path of its page.

    A stage is skipped when its marker names the same settings, seed, Pacenote version and input contents. One that was
    stopped halfway resumes in its directory when these are the same, and starts afresh otherwise. A stage that fails
    stops the run (PacenoteError or InputError that names the stage), unless it is `optional`; the page is made anyway.
    """
    out = prepare_out(out, marker=RUN_FILE)
    with locked(out):
        record = _record(recipe, out)
        context = Context(recipe.seed, out, workers, ray)
        try:
            for name in recipe.stages:
                record["stages"][name] = _stage(recipe, name, out, context, record["stages"])
                write_json(out / RUN_FILE, record)
        except PacenoteError as error:
            record["stages"][name] = {"status": "failed", "reason": str(error)}
            write_json(out / RUN_FILE, record)
            Report().run(out, context)
            raise type(error)(f"stage {name}: {error}") from error
        if not any(settings["kind"] == "report" for settings in recipe.stages.values()):
            Report().run(out, context)
    ended = [state for name, state in record["stages"].items() if recipe.stages[name]["kind"] != "report"]
    if ended and not any(state["status"] in DONE for state in ended):
        why = next((state["reason"] for state in ended if state["status"] == "failed"), "nothing was given")
        raise PacenoteError(f"no stage of {recipe.name} could run: {why}")
    return out / PAGE


def _record(recipe: Recipe, out: Path) -> dict[str, Any]:
    import yaml

    if (out / RUN_FILE).exists():
        held = read_json(out / RUN_FILE)
        if held.get("kind") != "run" or held.get("name") != recipe.name:
            found = f"{held.get('kind')} {held.get('name', '')}".strip()
            raise InputError(f"--out {out} holds another run ({found}); give a new directory")
    record = {
        "kind": "run", "name": recipe.name, "description": recipe.description, "seed": recipe.seed,
        "versions": versions(), "machine": machine(), "stages": {},
    }  # fmt: skip
    write_text(out / "recipe.yaml", yaml.safe_dump(recipe.resolved(), sort_keys=False, allow_unicode=True))
    write_json(out / RUN_FILE, record)
    return record


def _stage(recipe: Recipe, name: str, out: Path, context: Context, before: dict[str, Any]) -> dict[str, Any]:
    lost = [other for other in sorted(recipe.needs(name)) if before[other]["status"] not in DONE]
    if not recipe.wanted(name):
        return {"status": "left out", "reason": "nothing was given for it"}
    stage = recipe.stage(name, {other: str(out / "stages" / other) for other in recipe.stages})
    if lost:
        if stage.optional or all(before[other]["status"] == "left out" for other in lost):
            return {"status": "left out", "reason": f"it needs {', '.join(lost)}"}
        raise PacenoteError(f"it needs {', '.join(lost)}, which failed")
    if stage.ALWAYS:
        stage.run(out / "stages" / name, context)
        return {"status": "done", "reason": ""}
    try:
        return _run(stage, name, out / "stages", context)
    except PacenoteError as error:
        if not stage.optional:
            raise
        say(f"{name}: left out, {error}")
        return {"status": "failed", "reason": str(error)}


def _run(stage: Stage, name: str, place: Path, context: Context) -> dict[str, Any]:
    inputs = stage.sources()
    key = digest([type(stage).__name__, stage.settings() | inputs, context.seed, versions()["pacenote"]])
    made, marker, begun = place / name, place / f"{name}.json", place / f".{name}.begun"
    if marker.exists() and made.is_dir() and (held := read_json(marker))["key"] == key:
        say(f"{name}: unchanged")
        return {"status": "unchanged", "reason": "", "seconds": held["seconds"]}
    marker.unlink(missing_ok=True)
    if not (begun.exists() and begun.read_text() == key):
        remove(made)
    made.mkdir(parents=True, exist_ok=True)
    write_text(begun, key)
    say(f"{name}: {type(stage).__name__.lower()}")
    start = time.monotonic()
    stage.run(made, context)
    seconds = round(time.monotonic() - start, 1)
    write_json(marker, {"key": key, "kind": type(stage).__name__.lower(), "inputs": inputs, "seconds": seconds})
    begun.unlink(missing_ok=True)
    return {"status": "done", "reason": "", "seconds": seconds}
