"""Randomness comes from counter-based streams alone."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np

from pacenote.scenes.seeds import pick, stream

SCENES = Path(__file__).parents[2] / "src" / "pacenote" / "scenes"
BANNED_MODULES = {"random", "secrets", "uuid", "time", "datetime"}


def offences(tree: ast.AST) -> list[str]:
    """Uses of unseeded or order-dependent randomness in a module."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] in BANNED_MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in BANNED_MODULES:
            found.append(str(node.module))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
            owner = ast.unparse(node.value)
            if owner in ("np.random", "numpy.random") and node.attr not in ("Generator", "Philox", "SeedSequence"):
                found.append(f"np.random.{node.attr}")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "hash":
            found.append("hash() (salted a process)")
    return found


def test_the_lint_finds_what_it_bans() -> None:
    assert offences(ast.parse("import random")) and offences(ast.parse("np.random.rand(3)"))
    assert offences(ast.parse("np.random.default_rng()")) and offences(ast.parse("hash('a')"))
    assert not offences(ast.parse("np.random.Generator(np.random.Philox(np.random.SeedSequence([1])))"))


def test_scenes_use_no_other_randomness() -> None:
    files = sorted(SCENES.glob("*.py"))
    assert len(files) > 15
    for path in files:
        assert not offences(ast.parse(path.read_text(encoding="utf-8"))), path.name


def test_streams_depend_on_digest_index_and_purpose() -> None:
    def first(*key: object) -> float:
        return float(stream(*key).random())  # type: ignore[arg-type]

    same = first("00ff", 3, "a")
    assert same == first("00ff", 3, "a")
    assert len({same, first("00fe", 3, "a"), first("00ff", 4, "a"), first("00ff", 3, "b")}) == 4


def test_pick_follows_the_shares() -> None:
    rng = stream("1", 0, "x")
    drawn = [pick(rng, {"a": 3.0, "b": 1.0, "c": 0.0}) for _ in range(4000)]
    assert abs(drawn.count("a") / 4000 - 0.75) < 0.03
    assert "c" not in drawn
    assert np.isclose(drawn.count("a") + drawn.count("b"), 4000)
