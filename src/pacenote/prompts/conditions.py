"""When a block of a prompt book applies: `lights >= 2 and not night`.

A condition is a Python expression of names, numbers, strings, comparisons, `in`, `and`, `or` and `not`, nothing else;
the names are the facts of a Look. A fact that is not known (None) makes a comparison false and stands for false by
itself.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Any

from pacenote.errors import InputError

ALWAYS = "always"
_COMPARE: dict[type, Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.Eq: operator.eq, ast.NotEq: operator.ne,
    ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
}  # fmt: skip


def check(condition: str, names: Collection[str]) -> None:
    """Raises InputError where `condition` cannot be read or names an unknown fact."""
    from difflib import get_close_matches

    for node in ast.walk(_parse(condition)):
        if isinstance(node, ast.Name) and node.id not in names:
            near = get_close_matches(node.id, names, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else f"; the facts are {', '.join(sorted(names))}"
            raise InputError(f"condition '{condition}': unknown fact '{node.id}'{hint}")


def holds(condition: str, facts: Mapping[str, Any]) -> bool:
    """Whether `condition` is true of `facts`. Raises InputError where it cannot be read."""
    return bool(_value(_parse(condition), facts))


def told(condition: str, facts: Mapping[str, Any]) -> str:
    """The facts that `condition` names, as they are: `lights = 2, night = False`."""
    found = [node for node in ast.walk(_parse(condition)) if isinstance(node, ast.Name)]
    names = dict.fromkeys(node.id for node in sorted(found, key=lambda node: node.col_offset))
    return ", ".join(f"{name} = {_words(facts.get(name))}" for name in names)


def _words(value: Any) -> str:
    return "unknown" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)


@lru_cache(maxsize=4096)
def _parse(condition: str) -> ast.expr:
    if condition == ALWAYS:
        return ast.Constant(True)
    try:
        tree = ast.parse(condition, mode="eval").body
    except (SyntaxError, ValueError):
        raise InputError(
            f"condition '{condition}': cannot be read; write for example: lights >= 2 and not night"
        ) from None
    allowed = (
        ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.Compare, ast.Name, ast.Load, ast.Constant,
        ast.Tuple, *_COMPARE,
    )  # fmt: skip
    for node in ast.walk(tree):
        if not isinstance(node, allowed):
            raise InputError(
                f"condition '{condition}': {type(node).__name__} is not allowed; use facts, numbers, strings,"
                " comparisons, in, and, or, not"
            )
    return tree


def _value(node: ast.expr, facts: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return facts.get(node.id)
    if isinstance(node, ast.Tuple):
        return tuple(_value(one, facts) for one in node.elts)
    if isinstance(node, ast.UnaryOp):
        value = _value(node.operand, facts)
        if isinstance(node.op, ast.Not):
            return not value
        return None if not isinstance(value, (int, float)) else -value
    if isinstance(node, ast.BoolOp):
        every = isinstance(node.op, ast.And)
        return (all if every else any)(bool(_value(one, facts)) for one in node.values)
    assert isinstance(node, ast.Compare)
    left = _value(node.left, facts)
    for op, right_node in zip(node.ops, node.comparators, strict=True):
        right = _value(right_node, facts)
        if left is None or right is None:
            return False
        try:
            if not _COMPARE[type(op)](left, right):
                return False
        except TypeError:  # a word compared with a number
            return False
        left = right
    return True
