"""A recipe: a YAML file of named stages, read into typed values, with references between stages.

    name: demo
    seed: 0
    inputs: {photos: null}              # overridden by `pacenote run --set photos=DIR`
    stages:
      streets: {kind: render, recipe: streets.yaml, frames: 8}
      scores: {kind: evaluate, model: starter-teacher, data: "${streets.out}"}
      photos: {kind: advise, model: starter-teacher, images: "${inputs.photos}", when: "${inputs.photos}"}

`${NAME.out}` is the directory of an earlier stage, `${inputs.NAME}` an input, `${recipe.dir}` the recipe's own folder.
`repeat: [1, 2, 3]` makes three stages of one (`recipes/repeat.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pacenote.errors import InputError
from pacenote.recipes.repeat import unroll
from pacenote.recipes.stage import Stage
from pacenote.recipes.stages import KINDS
from pacenote.work.settings import build, check_keys, fill, given_inputs, read_yaml, references, unknown

LIBRARY = Path(__file__).parent / "library"
KEYS = ("name", "seed", "description", "inputs", "stages")


@dataclass(frozen=True)
class Recipe:
    """A checked recipe. `stages` holds each stage's settings with inputs filled in and `${NAME.out}` still open."""

    name: str
    seed: int
    description: str
    inputs: dict[str, Any]
    stages: dict[str, dict[str, Any]]

    def stage(self, name: str, outs: Mapping[str, str]) -> Stage:
        """The typed stage `name`, its references to earlier stages replaced by `outs`. InputError as in `load`."""
        settings = dict(self.stages[name])
        kind = KINDS[settings.pop("kind")]
        known = {f"{other}.out": path for other, path in outs.items()}
        return build(kind, fill(settings, known, f"stage {name}"), f"stage {name}")

    def wanted(self, name: str) -> bool:
        """Whether the stage's `when` holds."""
        return bool(self.stages[name].get("when", True))

    def needs(self, name: str) -> set[str]:
        """The earlier stages that stage `name` refers to."""
        return {word.removesuffix(".out") for word in references(self.stages[name])}

    def resolved(self) -> dict[str, Any]:
        """Plain data that `load` would read back to the same recipe."""
        return {key: getattr(self, key) for key in KEYS}


def find(name: str | Path) -> Path:
    """The file of a recipe: a path, or the name of one that comes with Pacenote ("demo")."""
    path = Path(name)
    if path.is_file():
        return path
    shipped = LIBRARY / f"{path.name.removesuffix('.yaml')}.yaml"
    if shipped.is_file():
        return shipped
    names = sorted(p.stem for p in LIBRARY.glob("*.yaml") if is_run(p))
    raise InputError(f"{name}: no such recipe; give a YAML file or one of: {', '.join(names) or 'none'}")


def is_run(path: Path) -> bool:
    """Whether a YAML file is the recipe of a run: a training recipe has a list of stages."""
    return isinstance(read_yaml(path).get("stages"), dict)


def load(path: str | Path, inputs: Mapping[str, Any] | None = None, seed: int | None = None) -> Recipe:
    """Read and check a recipe file: kinds, keys, types, references. `inputs` and `seed` override the file's.

    InputError names the file, the stage and the nearest known word.
    """
    path = find(path)
    held = read_yaml(path)
    for key in held:
        if key not in KEYS:
            raise unknown(str(path), key, KEYS)
    stages, given = held.get("stages"), held.get("inputs") or {}
    if not isinstance(stages, dict) or not stages or not isinstance(given, dict):
        hint = "; a training recipe is for: pacenote train" if isinstance(stages, list) else ""
        raise InputError(f"{path}: stages and inputs must be mappings, with at least one stage{hint}")
    values = given_inputs(given, inputs, str(path))
    known = {f"inputs.{key}": value for key, value in values.items()} | {"recipe.dir": str(path.parent)}
    filled: dict[str, dict[str, Any]] = {}
    for name, settings in unroll(stages, str(path)).items():
        place = f"{path}: stage {name}"
        if not re.fullmatch(r"[a-z][a-z0-9_-]*", str(name)) or name in ("inputs", "recipe"):
            raise InputError(f"{place}: a stage's name is a lower-case word (letters, digits, - and _)")
        if not isinstance(settings, dict) or "kind" not in settings:
            raise InputError(f"{place}: must be a mapping with a kind ({', '.join(KINDS)})")
        if settings["kind"] not in KINDS:
            raise unknown(place, settings["kind"], tuple(KINDS), "kind")
        filled[name] = fill(settings, known | {f"{earlier}.out": f"${{{earlier}.out}}" for earlier in filled}, place)
    number = seed if seed is not None else held.get("seed", 0)
    if not isinstance(number, int) or isinstance(number, bool):
        raise InputError(f"{path}: seed must be a whole number, not {number!r}")
    title, text = str(held.get("name") or path.stem), str(held.get("description") or "")
    recipe = Recipe(title, number, text, values, filled)
    for name in filled:
        try:
            if recipe.wanted(name):
                recipe.stage(name, dict.fromkeys(filled, "out"))
            else:  # its inputs are null, so only its keys can be checked
                check_keys(KINDS[filled[name]["kind"]], filled[name].keys() - {"kind"}, f"stage {name}")
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
    return recipe
