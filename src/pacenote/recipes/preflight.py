"""`preflight` of a whole run: every stage that trains or paints, before the first one starts.

What a stage reads from an earlier one is not there yet; it is checked as far as configurations go, and the report says
what was left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pacenote.errors import InputError
from pacenote.recipes.imagining import Imagine
from pacenote.recipes.recipe import Recipe
from pacenote.recipes.stage import is_there
from pacenote.recipes.stages import Train
from pacenote.training.preflight import StageReport, check_fit, preflight
from pacenote.training.tune import TuneOptions
from pacenote.work.settings import references

if TYPE_CHECKING:
    from pacenote.training.recipe import TrainRecipe


def preflight_run(recipe: Recipe, *, most: int = 0, weights: bool = True) -> list[StageReport]:
    """Check the `train` and `imagine` stages of `recipe`, at most `most` rows of each Dataset (0 = all). A model or
    recipe that cannot be opened is a fault of its stage."""
    checked: dict[str, list[StageReport]] = {}
    for name in recipe.stages:
        if not recipe.wanted(name):
            continue
        stage = recipe.stage(name, {other: f"${{{other}.out}}" for other in recipe.stages})
        key = repr(replace(stage, seed=None)) if isinstance(stage, Train) else name  # other seeds are checked once
        if key in checked:
            for report in checked[key]:
                names, colon, part = report.name.partition(":")
                report.name = f"{names}, {name}{colon}{part}"
            continue
        report = StageReport(name, recipe.stages[name]["kind"])
        try:
            if isinstance(stage, Imagine):
                _check_imagine(stage, report)
                checked[key] = [report]
            elif isinstance(stage, Train):
                checked[key] = _check_train(stage, report, most, weights)
        except InputError as error:
            report.fault(str(error))
            checked[key] = [report]
    return [report for found in checked.values() for report in found]


def _check_train(stage: Train, report: StageReport, most: int, weights: bool) -> list[StageReport]:
    from pacenote.models import load
    from pacenote.training.recipe import read_recipe

    training: TrainRecipe = read_recipe(Path(stage.recipe), inputs=stage.inputs)
    options = [one for one in training.stages if isinstance(one.options, TuneOptions)]
    start = str(training.model.get("load", ""))
    if not options:
        report.warn("its stages are not checked: they learn from decoded frames, not from rows")
    elif later := _later([start]):
        report.warn(f"the model to start from is made by {later}")
    elif missing := [one for one in stage.data if not is_there(one)]:
        report.warn(f"its rows are not checked: {_later(missing) or missing[0]} has not made them")
        model = load(start, weights=weights)
        found = []
        for one in options:
            part = StageReport(f"{report.name}: {one.name}", one.kind, warnings=report.warnings)
            check_fit(model, one.options, part)
            found.append(part)
        return found
    else:
        return preflight(training, stage.data, most=most, weights=weights)
    return [report]


def _check_imagine(stage: Imagine, report: StageReport) -> None:
    from pacenote.imagine.judge import check_judges
    from pacenote.imagine.preflight import check_painter

    check_judges(stage.judge, stage.second, [one for one in stage.trained if not _later([one])])
    if later := _later([stage.painter]):
        report.warn(f"the painter is made by {later}")
    else:
        options, size = stage.loop(0), (stage.size[0], stage.size[1]) if stage.size else None
        check_painter(stage.painter, options.lora, report, size, negatives=options.negatives)


def _later(names: Sequence[str]) -> str:
    """The earlier stages of the run that make one of `names`, "" where none does."""
    return ", ".join(sorted(word.removesuffix(".out") for word in references(names)))
