"""Windows of rendered streets, 64x32 px, large enough in them what they show: a world for a painter that two cores
train, with the textures, lamps and people of our renders. What is in a window its class map says.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pacenote.advisory import Advisory, Light
from pacenote.data import Dataset
from pacenote.data.classes import CLASS_INDEX
from pacenote.imagine.spec import Spec
from pacenote.work import digest, progress
from small_world.world import LIGHTS, SIZE, Scene

WINDOWS = 8  # that are tried in a frame
WIDE = (150, 260)  # px of a frame of 672
# Cells of 64x32: as many are there for sure, and as few are nothing; a window in between is not taken.
LEAST = {"light": (3.0, 0.2), "cone": (10.0, 0.5), "pedestrian": (14.0, 0.5), "zebra": (25.0, 2.0)}
THINGS = tuple(LEAST)[1:]
ROLES = {"pairs": 0.45, "judges": 0.4, "test": 0.15}  # shares of the scenes: none shows itself in two roles


class Crops:
    """Windows of the frames of `data`, cut once and kept in `out`."""

    def __init__(self, data: Path, out: Path) -> None:
        file = out / "crops.npz"
        if not file.is_file():
            out.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(file, **cut(Dataset.open(data)))
        self.held = dict(np.load(file))

    def scenes(self, rng: np.random.Generator, count: int, role: str, even: bool = False) -> list[Scene]:
        """Windows; where `even`, each of a fact's value that is drawn first, so that nothing is rare."""
        return [self._scene(self._row(rng, role, even)) for _ in range(count)]

    def spec(self, rng: np.random.Generator, role: str, even: bool = False) -> Spec:
        return self._scene(self._row(rng, role, even)).spec

    def like(self, spec: Spec, rng: np.random.Generator, role: str) -> Scene:
        """A window that shows as much of `spec` as any: its facts first, then its time of day."""
        wanted = {
            "light": LIGHTS.index(spec.light.state), "cone": "cone" in spec.obstacles,
            "pedestrian": "pedestrian" in spec.obstacles, "zebra": "pedestrian_crossing" in spec.crossroad,
        }  # fmt: skip
        rows = self._rows(role)
        alike = 2 * np.sum([self.held[name][rows] == value for name, value in wanted.items()], axis=0)
        alike += self.held["time"][rows] == spec.time
        return self._scene(int(rng.choice(rows[alike == alike.max()])))

    def _row(self, rng: np.random.Generator, role: str, even: bool) -> int:
        rows = self._rows(role)
        if even:
            name = str(rng.choice([*LEAST, "time"]))
            rows = rows[self.held[name][rows] == rng.choice(np.unique(self.held[name][rows]))]
        return int(rng.choice(rows))

    def _rows(self, role: str) -> np.ndarray:
        return np.flatnonzero(self.held["role"] == role)

    def _scene(self, row: int) -> Scene:
        held = {name: values[row] for name, values in self.held.items()}
        obstacles = frozenset(kind for kind in ("cone", "pedestrian") if held[kind])
        crossroad = frozenset({"pedestrian_crossing"} if held["zebra"] else ())
        advisory = Advisory(None, Light(LIGHTS[int(held["light"])]), obstacles, crossroad)
        spec = Spec(advisory, str(held["weather"]), str(held["time"]), "urban").with_rules()
        return Scene(spec, Image.fromarray(held["pixels"]), held["classes"])


def cut(data: Dataset) -> dict[str, np.ndarray]:
    """The windows of all frames: pixels (n, 32, 64, 3), classes (n, 32, 64), and columns of facts and scene words."""
    rows: list[dict[str, Any]] = []
    for number, sample in enumerate(progress(data, "cut", len(data))):
        classes = sample.class_map()
        if classes is None:
            continue
        picture, rng = sample.image(0).convert("RGB"), np.random.default_rng([7, number])
        scale = picture.width / classes.shape[1]  # a class map may be the smaller one
        said = {
            "weather": sample.conditions["weather"],
            "time": sample.conditions["time"],
            "role": role_of(sample.scene),
        }
        for left, top, width in windows(classes, rng):
            part = classes[top : top + width // 2, left : left + width]
            if (facts := shown(part)) is None:
                continue
            box = tuple(edge * scale for edge in (left, top, left + width, top + width // 2))
            small = picture.resize(SIZE, Image.Resampling.BOX, box)
            cells = Image.fromarray(part).resize(SIZE, Image.Resampling.NEAREST)
            rows.append({"pixels": np.asarray(small), "classes": np.asarray(cells), **facts, **said})
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def windows(classes: np.ndarray, rng: np.random.Generator) -> list[tuple[int, int, int]]:
    """(left, top, width) of windows, most around something that a fact names."""
    height, wide = classes.shape
    names = [*(f"light_{state}" for state in LIGHTS[1:]), *THINGS]
    places = [np.argwhere(classes == CLASS_INDEX[name]) for name in names]
    places = [own for own in places if len(own)]
    found = []
    for _ in range(WINDOWS):
        width = int(rng.uniform(*WIDE) * wide / 672)
        high = width // 2
        if places and rng.random() < 0.8:
            own = places[int(rng.integers(len(places)))]
            y, x = own[int(rng.integers(len(own)))]
            left, top = x - rng.uniform(0.15, 0.85) * width, y - rng.uniform(0.15, 0.85) * high
        else:
            left, top = rng.uniform(0, wide - width), rng.uniform(0.25, 1) * (height - high)
        found.append((int(np.clip(left, 0, wide - width)), int(np.clip(top, 0, height - high)), width))
    return found


def shown(classes: np.ndarray) -> Mapping[str, Any] | None:
    """The facts of a window by its class map; None where one is in doubt."""
    cell = SIZE[0] * SIZE[1] / classes.size
    counts = np.bincount(classes.ravel(), minlength=len(CLASS_INDEX)) * cell
    lights = np.array([counts[CLASS_INDEX[f"light_{state}"]] for state in (*LIGHTS[1:], "off")])
    told = {name: counts[CLASS_INDEX[name]] for name in THINGS}
    sure, nothing = LEAST["light"]
    there = lights >= sure
    if there.sum() > 1 or there[-1] or (lights[~there] >= nothing).any():
        return None
    if any(LEAST[name][1] <= count < LEAST[name][0] for name, count in told.items()):
        return None
    facts = {name: bool(count >= LEAST[name][0]) for name, count in told.items()}
    return {"light": int(there.argmax() + 1) if there.any() else 0, **facts}


def role_of(scene: str) -> str:
    """Which of ROLES a scene has, as its name decides."""
    at, ends = int(digest([scene]), 16) % 1000 / 1000, np.cumsum(list(ROLES.values()))
    return list(ROLES)[int(np.searchsorted(ends, at, side="right").clip(max=len(ROLES) - 1))]
