"""A training recipe: which model, and the stages that train it, as a YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pacenote.errors import InputError
from pacenote.training.dense import DenseOptions
from pacenote.training.sft import SftOptions
from pacenote.training.tune import TuneOptions
from pacenote.work.settings import build, fill, given_inputs, read_yaml, unknown

STAGES: dict[str, type] = {"dense": DenseOptions, "language": SftOptions, "full": SftOptions, "tune": TuneOptions}


@dataclass(frozen=True)
class Stage:
    """One stage: its name (its directory), kind and options."""

    name: str
    kind: str
    options: Any


@dataclass(frozen=True)
class TrainRecipe:
    """`model`: `{"size": ..., field: value}`, or `{"load": MODEL}`, perhaps with `"max_pixels"`, the most that it shall
    see of a picture, and `"dense_heads"`, the file of heads that its training left, for dense stages to go on with.
    `vocab`: tokens of a new tokenizer. `limit`: use only so many frames (0 = all)."""

    name: str
    model: dict[str, Any]
    stages: tuple[Stage, ...]
    vocab: int = 768
    seed: int = 0
    split: str = "train"
    limit: int = 0
    answers: str = ""  # a teacher cache: what it wrote stands for the truth of samples that have none
    labelled: int = 0  # only the rows of so many Datasets, the first, keep their labels, for experiments (0 = all)
    description: str = ""


def read_recipe(path: Path, *, seed: int | None = None, inputs: Mapping[str, Any] | None = None) -> TrainRecipe:
    """Read and check a recipe file; `seed` replaces its own, `inputs` those of the same name, which its values name as
    `${inputs.NAME}`. Raises InputError naming the key and the nearest known."""
    return parse_recipe(read_yaml(path), str(path), seed=seed, inputs=inputs)


def parse_recipe(
    raw: dict[str, Any], where: str = "recipe", *, seed: int | None = None, inputs: Mapping[str, Any] | None = None
) -> TrainRecipe:
    """`read_recipe` for a mapping at hand."""
    own = raw.pop("inputs", None) or {}
    if not isinstance(own, Mapping):
        raise InputError(f"{where}: inputs must be a mapping of names to values")
    values = given_inputs(own, inputs, where)
    raw = fill(raw, {f"inputs.{name}": value for name, value in values.items()}, where)
    if seed is not None:
        raw["seed"] = seed
    stages = raw.pop("stages", None)
    if not isinstance(stages, list) or not stages:
        raise InputError(f"{where}: stages must be a list of at least one stage")
    raw["stages"] = ()
    recipe = build(TrainRecipe, raw, where)
    if not recipe.model or not ({"size", "load"} & set(recipe.model)):
        raise InputError(f"{where}: model needs a size (of a new starter) or load (a model to go on with)")
    made = []
    for number, one in enumerate(stages, 1):
        label = f"{where}: stage {number}"
        if not isinstance(one, Mapping) or one.get("kind") not in STAGES:
            kind = one.get("kind") if isinstance(one, Mapping) else one
            raise unknown(label, kind, list(STAGES), "kind")
        options = {"seed": recipe.seed, **{key: value for key, value in one.items() if key not in ("kind", "name")}}
        name = f"{number:02d}-{one.get('name', one['kind'])}"
        made.append(Stage(name, one["kind"], build(STAGES[one["kind"]], options, label)))
    return replace(recipe, stages=tuple(made))
