"""Tiny painters, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.imagine import tiny


@pytest.fixture(scope="session", params=["sd", "sdxl", "kolors"])
def any_painter(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a tiny pipeline, of each class in turn."""
    return tiny.save(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="session")
def sd_painter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save("sd", tmp_path_factory.mktemp("sd-alone"))


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A starter painter of a tiny size that has learnt nothing; its tokenizer knows our words."""
    from pacenote.imagine.painter import Strokes, save_painter
    from pacenote.imagine.starter import build

    out = tmp_path_factory.mktemp("untrained") / "painter"
    save_painter(build(tiny.STARTER), Strokes(tiny.STARTER.size, 2, 2.0), out)
    return out
