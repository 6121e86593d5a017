"""What all tests share: one thread each, no network, no display, examples that do not depend on the machine's speed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

for name, value in {
    "OMP_NUM_THREADS": "1",  # the tests run in parallel processes already
    "MPLBACKEND": "Agg",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
}.items():
    os.environ.setdefault(name, value)

settings.register_profile(
    "pacenote", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("pacenote")

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of labelled real photos and clips; the test is skipped where it is absent."""
    folder = REPOSITORY.parent / "shared" / "real" / "open"
    if not folder.is_dir():
        pytest.skip("../shared/real/open is not here")
    return folder
