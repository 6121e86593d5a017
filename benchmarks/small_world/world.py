"""Streets of 64x32 px whose facts are known, here those that are drawn, and Datasets of them, rightly or wrongly
labelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image, ImageDraw

from pacenote.advisory import Advisory, Light
from pacenote.data import Card, Dataset, DatasetWriter
from pacenote.data.sample import Picture, Sample
from pacenote.imagine.spec import SEEN, Spec

SIZE = (64, 32)
LIGHTS = ("none", "red", "yellow", "green")
# As often as in rendered streets: a light in .45, something in the way in .48, a crossing in .44 (docs/results.md).
OFTEN = {"light": (0.55, 0.2, 0.05, 0.2), "cone": 0.35, "pedestrian": 0.2, "zebra": 0.44, "night": 0.25}
EVEN = {"light": (0.25, 0.25, 0.25, 0.25), "cone": 0.5, "pedestrian": 0.5, "zebra": 0.5, "night": 0.5}
# How often a slot of a pair's label is wrong: as raw labels of drives are (docs/mining.md).
WRONG = {"light": 0.13, "obstacles": 0.39, "crossroad": 0.24}
LENS = {"red": (235, 30, 25), "yellow": (245, 190, 30), "green": (30, 225, 90)}
SKY = {"clear": (130, 175, 230), "overcast": (165, 170, 175), "rain": (120, 125, 135), "snow": (205, 210, 215)}
GROUND = {"clear": (95, 95, 95), "overcast": (85, 85, 88), "rain": (60, 62, 70), "snow": (190, 190, 195)}


@dataclass(frozen=True)
class Scene:
    """A street: what it shows, its picture, and its class map where there is one."""

    spec: Spec
    image: Image.Image
    classes: np.ndarray | None = None


class World(Protocol):
    """Where streets come from. `role`: "pairs", "judges" or "test"; what shows itself in one does not in another."""

    def scenes(self, rng: np.random.Generator, count: int, role: str, even: bool = False) -> list[Scene]:
        """Streets as they come, or such that no fact is rare."""
        ...

    def spec(self, rng: np.random.Generator, role: str, even: bool = False) -> Spec:
        """What one of them shows."""
        ...

    def like(self, spec: Spec, rng: np.random.Generator, role: str) -> Scene:
        """A street with the facts of `spec`."""
        ...


class Drawn:
    """Streets that are drawn."""

    def scenes(self, rng: np.random.Generator, count: int, role: str, even: bool = False) -> list[Scene]:
        specs = [self.spec(rng, role, even) for _ in range(count)]
        return [self.like(spec, rng, role) for spec in specs]

    def spec(self, rng: np.random.Generator, role: str, even: bool = False) -> Spec:
        return some_spec(rng, EVEN if even else OFTEN)

    def like(self, spec: Spec, rng: np.random.Generator, role: str) -> Scene:
        return Scene(spec, draw(spec, rng))


def streets(
    world: World, out: Path, count: int, seed: int, role: str, *, even: bool = False,
    wrong: Mapping[str, float] | None = None,
) -> Dataset:  # fmt: skip
    """`count` streets as a Dataset in `out`, split train; a share `wrong` of each slot is labelled wrongly."""
    if not (out / "dataset.json").is_file():
        with DatasetWriter(out, Card("streets")) as writer:
            for number in range(count):
                rng = np.random.default_rng([seed, number])
                scene = world.scenes(rng, 1, role, even)[0]
                spec = mistaken(scene.spec, world, role, wrong, rng) if wrong else scene.spec
                id = f"{role}-{seed}-{number}"
                classes = None if scene.classes is None else Picture.encode_classes(scene.classes, f"{id}-classes.png")
                writer.add(
                    Sample(
                        id, (Picture.encode(scene.image, f"{id}.png", format="PNG"),), truth=spec.truth, scene=id,
                        conditions=spec.conditions,
                        segmentation=classes,
                    ),
                    "train",
                )  # fmt: skip
    return Dataset.open(out)


def some_spec(rng: np.random.Generator, chances: Mapping[str, Any]) -> Spec:
    light = str(rng.choice(LIGHTS, p=chances["light"]))
    obstacles = frozenset(kind for kind in ("cone", "pedestrian") if rng.random() < chances[kind])
    crossroad = frozenset({"pedestrian_crossing"} if rng.random() < chances["zebra"] else ())
    time = "night" if rng.random() < chances["night"] else "day"
    advisory = Advisory(None, Light(light), obstacles, crossroad)
    return Spec(advisory, str(rng.choice(list(SKY))), time, "urban").with_rules()


def mistaken(spec: Spec, world: World, role: str, wrong: Mapping[str, float], rng: np.random.Generator) -> Spec:
    """`spec`, each slot with that chance as in another street in which it differs."""
    taken: dict[str, Any] = {}
    for slot in SEEN:
        if rng.random() < wrong[slot]:
            while slot not in taken:
                other = getattr(world.spec(rng, role), slot)
                taken |= {} if other == getattr(spec, slot) else {slot: other}
    return replace(spec, advisory=replace(spec.advisory, speed_kmh=None, **taken)).with_rules()


def draw(spec: Spec, rng: np.random.Generator) -> Image.Image:
    """A street that shows what `spec` says, at places that `rng` draws."""
    scale = 4  # drawn larger, then shrunk
    width, height = SIZE[0] * scale, SIZE[1] * scale
    dark = 0.4 if spec.time == "night" else 1.0

    def shade(colour: Sequence[int], by: float = 1.0) -> tuple[int, ...]:
        jitter = rng.uniform(0.9, 1.1)
        return tuple(int(min(255, value * dark * jitter * by)) for value in colour)

    image = Image.new("RGB", (width, height), shade(SKY[spec.weather]))
    pen = ImageDraw.Draw(image)
    horizon = int(height * rng.uniform(0.44, 0.5))
    for _ in range(int(rng.integers(0, 3))):
        x, w, h = int(rng.integers(-20, width)), int(rng.integers(32, 64)), int(rng.integers(12, 40))
        pen.rectangle([x, horizon - h, x + w, horizon], shade((130, 120, 110)))
    pen.rectangle([0, horizon, width, height], shade(GROUND[spec.weather], 1.15))
    middle = width * rng.uniform(0.46, 0.54)
    road = [(middle - 12, horizon), (middle + 12, horizon), (width * 0.95, height), (width * 0.05, height)]
    pen.polygon(road, shade(GROUND[spec.weather], 0.75))
    if "pedestrian_crossing" in spec.crossroad:
        top = int(rng.uniform(0.62, 0.72) * height)
        for x in range(int(width * 0.2), int(width * 0.8), 32):
            pen.rectangle([x, top, x + 18, top + 18], shade((235, 235, 235)))
    if spec.light.state != "none":
        x, y = int(rng.uniform(0.65, 0.9) * width), int(rng.uniform(0.02, 0.08) * height)
        pen.rectangle([x - 2, y, x + 2, horizon + 8], shade((50, 50, 50)))
        pen.rectangle([x - 15, y, x + 15, y + 60], (18, 18, 18))
        lens = y + 2 + 16 * list(LENS).index(spec.light.state)
        pen.ellipse([x - 13, lens, x + 13, lens + 26], LENS[spec.light.state])
    if "cone" in spec.obstacles:
        x, foot, high = int(rng.uniform(0.2, 0.42) * width), int(rng.uniform(0.8, 0.98) * height), 44
        pen.polygon([(x, foot - high), (x - 18, foot), (x + 18, foot)], shade((250, 110, 15), 1.3))
        pen.rectangle([x - 9, foot - high // 2 - 4, x + 9, foot - high // 2 + 4], shade((240, 240, 240)))
    if "pedestrian" in spec.obstacles:
        x, foot, high = int(rng.uniform(0.5, 0.75) * width), int(rng.uniform(0.85, 0.98) * height), 72
        pen.rectangle([x - 11, foot - high + 16, x + 11, foot - 24], shade((200, 230, 40), 1.3))
        pen.rectangle([x - 9, foot - 24, x + 9, foot], shade((40, 50, 140), 1.3))
        pen.ellipse([x - 8, foot - high, x + 8, foot - high + 16], shade((225, 175, 145), 1.3))
    pixels = np.asarray(image.resize(SIZE, Image.Resampling.BOX), np.float64)
    return Image.fromarray((pixels + rng.normal(0, 2, pixels.shape)).clip(0, 255).astype(np.uint8))
