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
    return tiny.untrained(tmp_path_factory.mktemp("untrained") / "painter")
