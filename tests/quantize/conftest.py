"""Tiny checkpoints on disk, and a Dataset with all three splits."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pacenote.data import Card, DatasetWriter, Picture, Sample
from tests.evaluate.scripted import picture_of, truth_of
from tests.models.tiny import tiny_model


def write_set(path: Path, counts: dict[str, int], **changes: Any) -> Path:
    """Frames of flat colour with full truths."""
    with DatasetWriter(path, Card("tiny", recipe="r", seed=0)) as writer:
        number = 0
        for split, count in counts.items():
            for _ in range(count):
                held: dict[str, Any] = {
                    "id": f"s{number:02}",
                    "images": (Picture.encode(picture_of(number, (112, 112)), format="PNG"),),
                    "truth": truth_of(number),
                    "scene": f"{split}{number // 2}",
                    "conditions": {"weather": "rain" if number % 3 else "clear", "light_px": 2.0 + number},
                }
                writer.add(Sample(**(held | changes)), split)
                number += 1
    return path


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("data") / "set", {"train": 8, "dev": 4, "test": 8})


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A tiny model of a family, saved."""
    made: dict[str, Path] = {}

    def save(family: str) -> Path:
        if family not in made:
            made[family] = tmp_path_factory.mktemp(family) / "model"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import torch

                tiny_model(family).save(made[family], torch.bfloat16)
        return made[family]

    return save
