"""YAML files and mappings -> frozen dataclasses; every error names the file, the key and the nearest one known."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pacenote.errors import InputError

T = TypeVar("T")
REFERENCE = re.compile(r"\$\{([^}]*)\}")
MAX_BYTES = 4 << 20  # no settings file is larger: somebody gave the wrong file
WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", Path: "a path"}


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A YAML file whose top level is a mapping; InputError names the file and the line."""
    import yaml

    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: {path.stat().st_size >> 20} MiB is too large for a YAML file of settings")
        held = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot read it ({error})") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise InputError(f"{path}{where}: not valid YAML ({getattr(error, 'problem', None) or 'bad syntax'})") from None
    if not isinstance(held, dict):
        raise InputError(f"{path}: must be a mapping of settings (key: value)")
    return held


def unknown(place: str, word: Any, known: Sequence[str], what: str = "key") -> InputError:
    """The error for a word that is not among `known`; names the nearest, or all of them."""
    close = get_close_matches(str(word), known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(sorted(known))}"
    return InputError(f"{place}: unknown {what} {word}; {hint}")


def build(kind: type[T], held: Any, place: str) -> T:
    """An instance of the dataclass `kind` from a mapping, nested dataclasses too.

    `place` starts each message (file and position). Values must have the field's type; a whole number is taken for a
    float. InputError for unknown or missing keys, wrong types and what the dataclass itself rejects.
    """
    if not isinstance(held, dict):
        raise InputError(f"{place}: must be a mapping of settings (key: value)")
    hints = get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}  # type: ignore[arg-type]
    check_keys(kind, held, place)
    values = {str(key): convert(hints[key], value, f"{place}: {key}") for key, value in held.items()}
    for name, field in fields.items():
        needed = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if needed and name not in values:
            raise InputError(f"{place}: {name} is missing")
    try:
        return kind(**values)
    except (ValueError, InputError) as error:
        raise InputError(f"{place}: {error}") from None


def check_keys(kind: type[Any], keys: Iterable[Any], place: str) -> None:
    """InputError for the first of `keys` that is no field of the dataclass `kind`; it names the nearest."""
    names = [field.name for field in dataclasses.fields(kind) if field.init]
    for key in keys:
        if key not in names:
            raise unknown(place, key, names)


def convert(hint: Any, value: Any, place: str) -> Any:
    """`value` as the type `hint`; InputError that begins with `place` when it is something else."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, UnionType):
        if value is None and NoneType in arguments:
            return None
        options = [option for option in arguments if option is not NoneType]
        for option in options[:-1]:
            try:
                return convert(option, value, place)
            except InputError:
                continue
        return convert(options[-1], value, place)
    if origin is Literal:
        if value not in arguments:
            raise unknown(place, value, [str(a) for a in arguments], "value")
        return value
    if dataclasses.is_dataclass(hint):
        return build(hint, value, place)  # type: ignore[arg-type]
    if origin is dict:
        if not isinstance(value, dict):
            raise InputError(f"{place}: must be a mapping")
        return {str(key): convert(arguments[1], item, f"{place}.{key}") for key, item in value.items()}
    if origin in (tuple, list):
        if not isinstance(value, list | tuple):
            raise InputError(f"{place}: must be a list")
        if origin is tuple and arguments[-1] is not Ellipsis:
            if len(value) != len(arguments):
                raise InputError(f"{place}: must be a list of {len(arguments)}")
            return tuple(convert(a, item, place) for a, item in zip(arguments, value, strict=True))
        return origin(convert(arguments[0], item, place) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise InputError(f"{place}: must be {WORDS.get(hint, hint.__name__)}, not {value!r}")
    return value


def parse_inputs(pairs: Sequence[str]) -> dict[str, Any]:
    """`NAME=VALUE` words as a mapping; numbers, lists, true, false and null as YAML reads them, the rest is text."""
    import yaml

    given: dict[str, Any] = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign:
            raise InputError(f"--set {pair}: write NAME=VALUE")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            value = text
        given[name] = value if value is None or isinstance(value, bool | int | float | list) else text
    return given


def given_inputs(own: Mapping[str, Any], given: Mapping[str, Any] | None, place: str) -> dict[str, Any]:
    """The `inputs` of a file, replaced by those that are `given`. InputError for one that the file does not have."""
    for key in given or {}:
        if key not in own:
            raise unknown(place, key, tuple(own), "input")
    return {**own, **(given or {})}


def references(value: Any) -> set[str]:
    """All words inside `${...}` anywhere in a value."""
    if isinstance(value, str):
        return set(REFERENCE.findall(value))
    if isinstance(value, Mapping):
        return set().union(*map(references, value.values())) if value else set()
    if isinstance(value, list | tuple):
        return set().union(*map(references, value)) if value else set()
    return set()


def fill(value: Any, known: Mapping[str, Any], place: str) -> Any:
    """Replace `${...}`; a string that is one reference takes its value whole, so null stays null."""
    if isinstance(value, Mapping):
        return {key: fill(item, known, place) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fill(item, known, place) for item in value]
    if not isinstance(value, str):
        return value

    def look(word: str) -> Any:
        if word not in known:
            raise unknown(place, f"${{{word}}}", [f"${{{name}}}" for name in known], "reference")
        return known[word]

    whole = REFERENCE.fullmatch(value)
    if whole:
        return look(whole[1])
    return REFERENCE.sub(lambda match: str(look(match[1])), value)
