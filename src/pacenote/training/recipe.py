"""A training recipe: which model, and the stages that train it, as a YAML file."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from pacenote.errors import InputError
from pacenote.training.dense import DenseOptions
from pacenote.training.sft import SftOptions

STAGES: dict[str, type] = {"dense": DenseOptions, "language": SftOptions, "full": SftOptions}


@dataclass(frozen=True)
class Stage:
    """One stage: its name (its directory), kind and options."""

    name: str
    kind: str
    options: Any


@dataclass(frozen=True)
class TrainRecipe:
    """`model`: `{"size": ..., field: value}` or `{"load": MODEL}`. `vocab`: tokens of a new tokenizer.
    `limit`: use only so many frames (0 = all)."""

    name: str
    model: dict[str, Any]
    stages: tuple[Stage, ...]
    vocab: int = 768
    seed: int = 0
    split: str = "train"
    limit: int = 0
    description: str = ""


def read_recipe(path: Path, *, seed: int | None = None) -> TrainRecipe:
    """Read and check a recipe file; `seed` replaces its own. Raises InputError naming the key and the nearest known."""
    import yaml

    try:
        raw = yaml.safe_load(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give a training recipe") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML ({str(error).splitlines()[0]})") from None
    if not isinstance(raw, Mapping):
        raise InputError(f"{path}: a recipe is a mapping with model and stages")
    return parse_recipe(dict(raw), str(path), seed=seed)


def parse_recipe(raw: dict[str, Any], where: str = "recipe", *, seed: int | None = None) -> TrainRecipe:
    """`read_recipe` for a mapping at hand."""
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
            raise InputError(f"{label}: unknown kind '{kind}'; the kinds are {', '.join(STAGES)}")
        options = {"seed": recipe.seed, **{key: value for key, value in one.items() if key not in ("kind", "name")}}
        name = f"{number:02d}-{one.get('name', one['kind'])}"
        made.append(Stage(name, one["kind"], build(STAGES[one["kind"]], options, label)))
    return TrainRecipe(**{**{f.name: getattr(recipe, f.name) for f in fields(recipe)}, "stages": tuple(made)})


def build(kind: type, raw: Mapping[str, Any], where: str) -> Any:
    """A (nested) dataclass from a mapping. Raises InputError on unknown keys, missing keys and wrong types."""
    hints = get_type_hints(kind)
    known = {f.name: f for f in fields(kind)}
    for key in raw:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"the keys are {', '.join(known)}"
            raise InputError(f"{where}: unknown key '{key}'; {hint}")
    values: dict[str, Any] = {}
    for name, spec in known.items():
        if name not in raw:
            if spec.default is MISSING and spec.default_factory is MISSING:
                raise InputError(f"{where}: the key '{name}' is missing")
            continue
        values[name] = _value(hints[name], raw[name], f"{where}: {name}")
    return kind(**values)


def _value(hint: Any, value: Any, where: str) -> Any:
    if is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise InputError(f"{where} must be a mapping")
        return build(hint, value, where)  # type: ignore[arg-type]
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint == dict[str, float]:
        if not isinstance(value, Mapping):
            raise InputError(f"{where} must map names to numbers")
        return {str(k): _value(float, v, f"{where}.{k}") for k, v in value.items()}
    if hint == tuple[int, int]:
        if not isinstance(value, list) or len(value) != 2 or not all(isinstance(v, int) for v in value):
            raise InputError(f"{where} must be two whole numbers, not {value!r}")
        return tuple(value)
    wanted = {int: int, float: float, str: str, bool: bool}.get(hint)
    if wanted and (not isinstance(value, wanted) or (wanted is int and isinstance(value, bool))):
        raise InputError(f"{where} must be a {wanted.__name__}, not {value!r}")
    return value
