"""Stages that are repeated with other seeds or other files, written once.

distil: {kind: train, repeat: [1, 2, 3], seed: "${repeat}", ...}         # distil-1, distil-2, distil-3
scores: {kind: evaluate, repeat: [1, 2, 3], model: "${distil.out}/model", ...}   # scores-2 reads distil-2
table:  {kind: table, columns: {distilled: ["${scores.out}"]}, ...}      # in a list: all three
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pacenote.errors import InputError
from pacenote.work.settings import REFERENCE

Value = int | str


def unroll(stages: Mapping[str, Any], place: str) -> dict[str, Any]:
    """`stages` with each that has `repeat` in as many copies; what is no mapping is left as it is. InputError names the
    stage whose `repeat` is no list, or that reads a repeated stage as if it were one."""
    repeated: dict[str, list[Value]] = {}
    made: dict[str, Any] = {}
    for name, settings in stages.items():
        where = f"{place}: stage {name}"
        if not isinstance(settings, dict) or "repeat" not in settings:
            made[name] = _spread(settings, repeated, where)
            continue
        values = settings["repeat"]
        plain = isinstance(values, list) and all(isinstance(v, int | str) and not isinstance(v, bool) for v in values)
        if not plain or not values or len(set(values)) < len(values):
            raise InputError(f"{where}: repeat must be a list of different numbers or words, as [1, 2, 3]")
        rest = {key: value for key, value in settings.items() if key != "repeat"}
        for value in values:
            made[f"{name}-{value}"] = _spread(_chosen(rest, value, repeated), repeated, where)
        repeated[name] = values
    return made


def _chosen(held: Any, value: Value, repeated: Mapping[str, list[Value]]) -> Any:
    """`held` with `${repeat}` as `value`, and of other repeated stages the copy of the same value."""
    if isinstance(held, dict):
        return {key: _chosen(item, value, repeated) for key, item in held.items()}
    if isinstance(held, list):
        return [_chosen(item, value, repeated) for item in held]
    if not isinstance(held, str):
        return held
    if held == "${repeat}":
        return value

    def look(match: Any) -> str:
        name, _, rest = match[1].partition(".")
        if match[1] == "repeat":
            return str(value)
        return f"${{{name}-{value}.{rest}}}" if value in repeated.get(name, ()) else match[0]

    return REFERENCE.sub(look, held)


def _spread(held: Any, repeated: Mapping[str, list[Value]], where: str) -> Any:
    """`held` with each item of a list that names a repeated stage once for each of its copies."""
    if isinstance(held, dict):
        return {key: _spread(item, repeated, where) for key, item in held.items()}
    if isinstance(held, list):
        several = [(item, _named(item, repeated)) for item in held]
        return [
            one
            for item, name in several
            for one in (
                [_chosen(item, v, repeated) for v in repeated[name]] if name else [_spread(item, repeated, where)]
            )
        ]
    if name := _named(held, repeated):
        first = repeated[name][0]
        raise InputError(
            f"{where}: {name} is several stages; name one, as ${{{name}-{first}.out}}, or put it in a list"
        )
    return held


def _named(held: Any, repeated: Mapping[str, list[Value]]) -> str:
    """The repeated stage that a text names, "" where it names none."""
    words = REFERENCE.findall(held) if isinstance(held, str) else ()
    return next((name for word in words if (name := word.partition(".")[0]) in repeated), "")
