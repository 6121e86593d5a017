"""Drawn pictures whose facts can be read off their colours, and judges that read them: exact, blind or biased."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pacenote.advisory import Advisory, Light
from pacenote.data import Card, Dataset, DatasetWriter
from pacenote.data.sample import Picture, Sample
from pacenote.engine import Answer
from pacenote.imagine.judge import Judge
from pacenote.imagine.spec import Spec

COLOUR = {"red": (230, 20, 20), "green": (20, 220, 60), "none": (90, 110, 150)}
SIZE = (32, 16)


def spec(light: str = "none", cone: bool = False, weather: str = "clear", **words: str) -> Spec:
    obstacles = frozenset({"cone"} if cone else ())
    advisory = Advisory(None, Light(light), obstacles, frozenset())
    return Spec(advisory, weather, words.get("time", "day"), words.get("road_class", "urban")).with_rules()


def draw(wanted: Spec, seed: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """A sky in the light's colour over a road, with an orange block where a cone stands; noise by `seed`."""
    width, height = size
    rng = np.random.default_rng(seed)
    pixels = np.zeros((height, width, 3), np.float64)
    pixels[: height // 2] = COLOUR[wanted.light.state]
    pixels[height // 2 :] = rng.uniform(60, 110)
    if "cone" in wanted.obstacles:
        pixels[height // 2 :, : width // 4] = (250, 130, 0)
    pixels += rng.normal(0, 6, pixels.shape) + rng.normal(0, 12, (height // 4, width // 4, 1)).repeat(4, 0).repeat(4, 1)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def look(image: Image.Image) -> Advisory:
    """The advisory of a drawn picture, by the rules of its spec."""
    pixels = np.asarray(image.convert("RGB"), np.float64)
    height, width = pixels.shape[:2]
    sky = pixels[: height // 2].mean((0, 1))
    light = min(COLOUR, key=lambda state: float(np.abs(sky - COLOUR[state]).sum()))
    corner = pixels[height // 2 :, : width // 4].mean((0, 1))
    return spec(light, corner[0] - corner[2] > 120).advisory


def judge_of(read: Callable[[Image.Image], Advisory], name: str = "exact", confidence: float = 0.99) -> Judge:
    """A judge by a function of the picture, as sure as told."""

    def ask(images: Sequence[Sequence[Any]], questions: Sequence[str], roles: Sequence[Any] = ()) -> list[Answer]:
        sure: dict[str, float | None] = dict.fromkeys(("speed", "light", "obstacles", "crossroad"), confidence)
        return [Answer("", read(own[0]), sure, 0.0) for own in images]

    return Judge(name, f"digest of {name}", ask, None)


def always_green(image: Image.Image) -> Advisory:
    return replace(look(image), light=Light("green"))


def sample(wanted: Spec, number: int, **changes: Any) -> Sample:
    picture = Picture.encode(draw(wanted, number), format="PNG")
    return Sample(
        f"frame-{number}", (picture,), truth=wanted.truth, conditions=wanted.conditions, scene=f"s{number}", **changes
    )


def street_data(path: Path, wanted: Sequence[Spec]) -> Dataset:
    with DatasetWriter(path, Card("drawn")) as writer:
        for number, one in enumerate(wanted):
            writer.add(sample(one, number))
    return Dataset.open(path)
