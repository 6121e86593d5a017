"""A model that answers from a table, and small sets to ask it about."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from pacenote.advisory import CROSSROADS, OBSTACLES, Advisory, Light, Truth
from pacenote.data import Card, DatasetWriter, Picture, Sample
from pacenote.engine import plain


def truth_of(number: int) -> Truth:
    """A full truth that varies in every slot with the number."""
    state = ("none", "red", "green", "yellow")[number % 4]
    advisory = Advisory(
        20 + 10 * (number % 5),
        Light(state),
        frozenset(kind for k, kind in enumerate(OBSTACLES) if number % 3 == 1 and k == number % 7),
        frozenset(kind for k, kind in enumerate(CROSSROADS) if (number >> k) % 2),
    )
    return Truth.from_advisory(advisory)


def picture_of(number: int, size: tuple[int, int] = (96, 54)) -> Image.Image:
    """A flat picture whose colour is the number, so that a scripted model can read it."""
    return Image.new("RGB", size, (number, 0, 0))


def make_dataset(path: Path, count: int = 12) -> Path:
    """Frames of flat colour; odd ones are twins of the one before; each has a light size and a weather."""
    with DatasetWriter(path, Card("scripted", recipe="r", seed=0)) as writer:
        for number in range(count):
            sample = Sample(
                id=f"s{number:02}",
                images=(Picture.encode(picture_of(number), format="PNG"),),
                truth=truth_of(number),
                scene=f"scene{number // 2}",
                twin_of=f"s{number - 1:02}" if number % 2 else "",
                conditions={"weather": "rain" if number % 3 else "clear", "light_px": 2.0 + number},
            )
            writer.add(sample, "test")
    return path


class _Parameter:
    """As much of a tensor as measuring weights needs."""

    def __init__(self, place: int, count: int, size: int) -> None:
        self._values = (place, count, size)

    def data_ptr(self) -> int:
        return self._values[0]

    def numel(self) -> int:
        return self._values[1]

    def element_size(self) -> int:
        return self._values[2]


@dataclass
class Scripted:
    """Answers by the colour of the first picture; right unless told otherwise. Counts what it is asked."""

    directory: Path
    wrong: dict[int, str] = field(default_factory=dict)
    stop_after: int | None = None
    batches: list[int] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    device: str = "cpu"

    def __post_init__(self) -> None:
        self.directory.mkdir(exist_ok=True)
        (self.directory / "config.json").write_text("{}")
        self.name = str(self.directory)
        self.processor = SimpleNamespace(image_processor=SimpleNamespace(size={"longest_edge": 64 * 36}))
        tied = _Parameter(1, 262_144, 4)
        self.model = SimpleNamespace(dtype="float32", parameters=lambda: [tied, tied], buffers=list)

    def generate(
        self, images: Sequence[Sequence[Image.Image]], questions: Sequence[str], max_new_tokens: int, roles: Any = ()
    ) -> list[str]:
        assert len(images) == len(questions)
        texts = []
        for own in images:
            assert own[0].size == (96, 54)
            number = own[0].getpixel((0, 0))[0]
            self.asked.append(number)
            if self.stop_after is not None and len(self.asked) > self.stop_after:
                raise KeyboardInterrupt
            texts.append(self.wrong.get(number) or truth_of(number).advisory().text())
        self.batches.append(len(images))
        return texts

    def retrain(self) -> None:
        """Become another checkpoint."""
        (self.directory / "model.safetensors").write_bytes(hashlib.sha256(b"new").digest())


def script(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `Scripted` models be asked in free text; others are asked as ever."""
    asked = plain._generate_scored

    def scored(model: Any, images: Any, questions: Any, roles: Any, count: int, read_speeds: bool = False) -> list[Any]:
        if not isinstance(model, Scripted):
            return asked(model, images, questions, roles, count, read_speeds)
        return [([text], [-0.1], None) for text in model.generate(images, questions, count)]

    monkeypatch.setattr(plain, "_generate_scored", scored)
