"""One cache of networks and simulations for all scene tests of a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacenote.errors import PacenoteError
from pacenote.scenes import sumo
from pacenote.scenes.recipe import SceneRecipe

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        sumo.home()
    except PacenoteError as error:
        pytest.skip(str(error))
    return tmp_path_factory.mktemp("streets")


@pytest.fixture(scope="session")
def quick() -> SceneRecipe:
    return SceneRecipe.load(ROOT / "recipes" / "streets-quick.yaml")
