"""Small samples with every column filled, and a dataset directory of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pacenote.advisory import Light, Truth
from pacenote.data import Card, DatasetWriter, Picture, Sample


def picture(seed: int, size: tuple[int, int] = (64, 36)) -> Picture:
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Picture.encode(Image.fromarray(noise), f"frame-{seed}.png", format="PNG")


def sample(seed: int, **changes: Any) -> Sample:
    """A rendered sample; `seed` decides its picture, id, scene and network (ten scenes a network)."""
    light = Light("red", "straight", other=("green", "left")) if seed % 2 else Light("none")
    values: dict[str, Any] = {
        "id": f"scene-{seed:05d}",
        "images": (picture(seed),),
        "truth": Truth(
            speed_kmh=seed % 26 * 5,
            light=light,
            obstacles={"cone": seed % 3 == 0, "crash": None},
            crossroad={"intersection": True, "pedestrian_crossing": False},
        ),
        "posterior": {"light": {"red": 0.75, "none": 0.25}},
        "slot_weight": {"speed": 1.0, "light": 0.5, "obstacles": 0.0, "crossroad": 1.0},
        "evidence": {"objects": [{"id": 7, "kind": "cone", "box": [3, 4, 20, 30]}], "description": "a street"},
        "conditions": {
            "weather": "rain",
            "network": f"grid-{seed // 10}",
            "light_px": 4.5,
            "left_hand": False,
            "note": "é",
        },
        "scene": f"scene-{seed:05d}",
        "time_s": 0.1 * seed,
        "speed_mps": 8.3,
        "camera": {"fx": 500.0, "yaw": 0.1},
        "licence": "Apache-2.0",
        "provenance": {"truth": {"by": "scene", "digest": "0123456789ab"}},
        "segmentation": Picture.encode_classes(np.full((36, 64), seed % 30, dtype=np.uint8)),
    }
    return Sample(**(values | changes))


@pytest.fixture
def make_dataset(tmp_path: Path) -> Callable[..., Path]:
    def make(samples: list[tuple[str, Sample]], name: str = "set", shard_rows: int = 8) -> Path:
        with DatasetWriter(tmp_path / name, Card(name, recipe="r"), shard_rows=shard_rows) as writer:
            for split, item in samples:
                writer.add(item, split)
        return tmp_path / name

    return make
