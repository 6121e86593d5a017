"""Made drives whose truth is known: states that last, sources that err, and a source that says what it is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from pacenote.advisory import LIGHT_STATES, Truth
from pacenote.data import Card, DatasetWriter, Picture, Sample
from pacenote.mining.facts import FACT, FACTS
from pacenote.mining.sources import Said
from pacenote.mining.votes import Votes

RATE_HZ = 4.0


def votes(seed: int, frames: int = 200, *, right: float = 0.8, wrong: float = 0.75, motion: bool = True) -> Any:
    """(Votes, truths): two sources of `right`, whose errors are independent; the car stands before a red light."""
    rng = np.random.default_rng(seed)
    times = np.arange(frames) / RATE_HZ
    truths: dict[str, np.ndarray] = {}
    for fact in FACTS:
        states = [int(rng.integers(len(fact.values)))]
        for _ in range(frames - 1):
            states.append(int(rng.integers(len(fact.values))) if rng.random() < 0.02 else states[-1])
        truths[fact.name] = np.array(states)
    red = truths["light"] == LIGHT_STATES.index("red")
    speed = np.where(red, 0.0, 10.0) if motion else np.full(frames, 10.0)
    said = {
        name: {f.name: told(rng, truths[f.name], f.values, right, wrong) for f in FACTS} for name in ("labeler", "e")
    }
    signals = {name: np.full(frames, np.nan) for name in ("accel_mps2", "yaw_rate", "lux", "wipers")}
    made = Votes(
        f"drive{seed}", np.arange(frames), times, signals | {"speed_mps": speed}, said, [""] * frames, [None] * frames,
        [{"time": "day", "weather": "clear"}] * frames, np.ones(frames, bool),
    )  # fmt: skip
    return made, truths


def told(rng: np.random.Generator, truth: np.ndarray, values: Sequence[Any], right: float, sure: float) -> np.ndarray:
    """Probabilities (T, values) of a source that names the truth with probability `right`."""
    named = np.where(rng.random(len(truth)) < right, truth, rng.integers(len(values), size=len(truth)))
    p = np.full((len(truth), len(values)), (1 - sure) / (len(values) - 1))
    p[np.arange(len(truth)), named] = sure
    return p


def drives(root: Path, count: int = 3, frames: int = 12, name: str = "drives") -> Path:
    """A Dataset of drives in split "test": a street with a lamp whose colour is the light's state."""
    path = root / name
    with DatasetWriter(path, Card(name=name, licence="CC0-1.0")) as out:
        for drive in range(count):
            for k in range(frames):
                state = ("red", "green")[k >= frames // 2]
                out.add(
                    Sample(
                        id=f"d{drive}-{k:03d}", images=(Picture.encode(street(drive, k, state)),),
                        truth=Truth(speed_kmh=30, light_state=state), drive=f"d{drive}", time_s=k / RATE_HZ,
                        speed_mps=0.0 if state == "red" else 5.0, accel_mps2=0.0, conditions={"network": f"n{drive}"},
                    ),
                    "test",
                )  # fmt: skip
        out.finish()
    return path


def street(drive: int, k: int, state: str) -> Image.Image:
    rng = np.random.default_rng([drive, k])
    image = Image.fromarray(rng.integers(90, 160, (252, 448, 3), dtype=np.uint8))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 448, 110), fill=(150, 180, 210))
    draw.ellipse((300, 60, 312, 72), fill={"red": (230, 30, 30), "green": (30, 210, 90)}[state])
    return image


class Scripted:
    """A source that says by a picture's lamp what the light is; it counts the frames that it was asked about."""

    digest = "scripted"

    def __init__(self, name: str = "labeler") -> None:
        self.name, self.asked = name, 0

    def say(self, images: Sequence[Image.Image], given: Sequence[str], speeds: Sequence[float]) -> list[Said]:
        self.asked += len(images)
        found = []
        for image in images:
            red, green, _ = image.getpixel((306, 66))  # type: ignore[misc]
            state = "red" if red > green else "green"
            facts = {"light": [0.9 if value == state else 0.025 for value in FACT["light"].values]}
            facts |= {"speed": [1.0 if value == 30 else 0.0 for value in FACT["speed"].values]}
            facts |= {f.name: [0.95, 0.05] for f in FACTS if f.kind}
            found.append(Said(facts, text=f"Traffic light: {state}", seen={"time": "day", "weather": "clear"}))
        return found
