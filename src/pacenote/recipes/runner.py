"""Runs the stages of a recipe in order, skips what is unchanged, and leaves a page.

RUN/recipe.yaml      the recipe with its inputs filled in
RUN/run.json         seed, versions, machine, and how each stage ended
RUN/stages/NAME/     what a stage made
RUN/stages/NAME.json its marker, written last: the digest of settings and inputs, seconds
RUN/report.html      everything worth looking at, in one file
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from pacenote.errors import InputError, PacenoteError
from pacenote.recipes.recipe import Recipe
from pacenote.recipes.stage import Context, Stage
from pacenote.recipes.stages import KINDS, Report
from pacenote.work import digest, prepare_out, read_json, say, versions, write_json, write_text
from pacenote.work.executor import Shard, run_shards
from pacenote.work.files import locked, remove
from pacenote.work.rundir import RUN_FILE, machine

PAGE = "report.html"
DONE = ("done", "unchanged")


def run_recipe(recipe: Recipe, out: str | Path, *, workers: int = 1, ray: str | None = None, jobs: int = 1) -> Path:
    """Run or resume `recipe` in the directory `out`; the path of its page.

    A stage is skipped when its marker names the same settings, seed, Pacenote version and input contents. One that was
    stopped halfway resumes in its directory when these are the same, and starts afresh otherwise. A stage that fails
    stops the run (PacenoteError or InputError that names the stage), unless it is `optional`; the page is made anyway.
    With `jobs` above 1 as many stages that do not need each other run at once, each in a process of its own with its
    share of the cores; what runs beside a stage that fails is finished first.
    """
    out = prepare_out(out, marker=RUN_FILE)
    with locked(out):
        record = _record(recipe, out)
        context = Context(recipe.seed, out, workers, ray)
        ended: dict[str, Any] = record["stages"]
        waiting, failed = list(recipe.stages), ""
        while waiting and not failed:
            wave = [name for name in waiting if _ready(recipe, name, waiting)] if jobs > 1 else waiting[:1]
            found = {name: _decide(recipe, name, out, ended) for name in wave}
            stages = {name: held for name, held in found.items() if isinstance(held, Stage)}
            ended |= found | _run_all(stages, context, jobs)
            record["stages"] = ended = {name: ended[name] for name in recipe.stages if name in ended}
            write_json(out / RUN_FILE, record)
            waiting = [name for name in waiting if name not in wave]
            failed = next((name for name in wave if _stops(recipe, name, ended[name])), "")
        if failed:
            Report().run(out, context)
            kind = InputError if ended[failed]["input"] else PacenoteError
            raise kind(f"stage {failed}: {ended[failed]['reason']}")
        if not any(settings["kind"] == "report" for settings in recipe.stages.values()):
            Report().run(out, context)
    states = [state for name, state in ended.items() if recipe.stages[name]["kind"] != "report"]
    if states and not any(state["status"] in DONE for state in states):
        why = next((state["reason"] for state in states if state["status"] == "failed"), "nothing was given")
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


def _ready(recipe: Recipe, name: str, waiting: list[str]) -> bool:
    """Whether nothing that stage `name` reads is still to come; one that is always run reads all before it."""
    earlier = waiting[: waiting.index(name)]
    return not (earlier if KINDS[recipe.stages[name]["kind"]].ALWAYS else recipe.needs(name) & set(earlier))


def _decide(recipe: Recipe, name: str, out: Path, before: dict[str, Any]) -> Stage | dict[str, Any]:
    """The stage to run, or how it ended because something that it needs is not there."""
    lost = [other for other in sorted(recipe.needs(name)) if before[other]["status"] not in DONE]
    if not recipe.wanted(name):
        return {"status": "left out", "reason": "nothing was given for it"}
    stage = recipe.stage(name, {other: str(out / "stages" / other) for other in recipe.stages})
    if not lost:
        return stage
    if stage.optional or all(before[other]["status"] == "left out" for other in lost):
        return {"status": "left out", "reason": f"it needs {', '.join(lost)}"}
    return _failure(PacenoteError(f"it needs {', '.join(lost)}, which failed"))


def _failure(error: PacenoteError) -> dict[str, Any]:
    return {"status": "failed", "reason": str(error), "input": isinstance(error, InputError)}


def _stops(recipe: Recipe, name: str, state: dict[str, Any]) -> bool:
    return state["status"] == "failed" and not recipe.stages[name].get("optional", False)


def _run_all(stages: dict[str, Stage], context: Context, jobs: int) -> dict[str, dict[str, Any]]:
    """Run stages that do not need each other, `jobs` at once; how each ended."""
    if jobs == 1 or len(stages) < 2:
        return {name: _attempt(name, stage, context) for name, stage in stages.items()}
    place = context.run / "stages" / ".jobs"
    remove(place)
    shards = [Shard(f"{name}.json", (name, stage, context, jobs)) for name, stage in stages.items()]
    results = run_shards(_in_process, shards, place, workers=jobs, label="stages")
    remove(place)
    return {name: result.stats for name, result in zip(stages, results, strict=True)}


def _in_process(shard: Shard, partial: Path) -> dict[str, Any]:
    """One stage in a worker process. A failure is a result, too: the stages beside it go on."""
    name, stage, context, jobs = shard.payload
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // jobs)))  # before torch is there
    state = _attempt(name, stage, context)
    write_json(partial, state)
    return state


def _attempt(name: str, stage: Stage, context: Context) -> dict[str, Any]:
    place = context.run / "stages"
    try:
        if stage.ALWAYS:
            stage.run(place / name, context)
            return {"status": "done", "reason": ""}
        return _run(stage, name, place, context)
    except PacenoteError as error:
        if stage.optional:
            say(f"{name}: left out, {error}")
        return _failure(error)


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
