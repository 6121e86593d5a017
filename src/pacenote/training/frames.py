"""Decoded frames of a Dataset as memory-mapped arrays, so that an epoch never waits for a JPEG or PNG decoder."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.advisory import Truth
from pacenote.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from pacenote.data.sample import Sample
    from pacenote.training.cutouts import Lent

STORED = (672, 378)  # width, height of a stored frame: sharper than the 448x252 that the model sees


@dataclass(frozen=True)
class Record:
    """What training needs of a Sample besides pixels."""

    id: str
    truth: Truth
    objects: tuple[dict[str, Any], ...]  # evidence objects; boxes in pixels of the stored frame
    conditions: dict[str, Any]
    speed_mps: float | None
    weight: float
    slot_weight: dict[str, float]
    scene: str
    answered: tuple[str, str] | None = None  # question and answer of a row that brings its own (general data)
    posterior: dict[str, dict[str, float]] = field(default_factory=dict)  # slot -> value -> probability, of mined rows


@dataclass(frozen=True)
class Frames:
    """N frames: `images` (N, H, W, 3) and class maps `maps` (N, H, W), uint8, and `records`.

    `has_map` (N,) bool tells which frames carry a class map. `aims`: for each frame what it is worth a look for, by
    name, as boxes in pixels of the stored frame: parts of frames that nothing is known of are cut there.
    """

    images: np.ndarray
    maps: np.ndarray
    has_map: np.ndarray
    records: tuple[Record, ...]
    aims: tuple[dict[str, list[list[float]]], ...] = ()

    def __len__(self) -> int:
        return len(self.records)

    @functools.cached_property
    def lent(self) -> Lent:
        """The signs, people and obstacles that the frames can lend each other."""
        from pacenote.training.cutouts import lent

        return lent(self)

    def subset(self, indices: Sequence[int]) -> Frames:
        """Some of the frames, copied into memory."""
        chosen = list(indices)
        records = tuple(self.records[i] for i in chosen)
        return Frames(self.images[chosen], self.maps[chosen], self.has_map[chosen], records)


PLATE = 1.3  # height of a sign's plate over its width: round, or upright


def plate(box: Sequence[float]) -> list[float]:
    """The part of a limit sign's box that shows the number: the post below it does not. Painted numbers stay."""
    x0, y0, x1, y1 = box
    return [x0, y0, x1, min(y1, y0 + PLATE * (x1 - x0))]


def record_of(sample: Sample, scale: tuple[float, float] = (1.0, 1.0)) -> Record:
    """The Record of `sample`, its boxes scaled by (x, y); of limit signs the plate alone."""
    objects = []
    for item in (sample.evidence or {}).get("objects", ()):
        box = item.get("box")
        if box:
            x, y = scale
            box = plate(box) if item.get("kind") == "speed_limit" else box
            item = {**item, "box": [box[0] * x, box[1] * y, box[2] * x, box[3] * y]}
        objects.append(dict(item))
    return Record(
        id=sample.id,
        truth=sample.truth or Truth.unknown(),
        objects=tuple(objects),
        conditions=dict(sample.conditions),
        speed_mps=sample.speed_mps,
        weight=sample.weight,
        slot_weight=dict(sample.slot_weight or {}),
        scene=sample.scene,
        answered=(sample.question, sample.answer) if sample.answer is not None else None,
        posterior={slot: dict(values) for slot, values in (sample.posterior or {}).items()},
    )


def decode(samples: Iterable[Sample], count: int, store: Path, size: tuple[int, int] = STORED) -> Frames:
    """Decode `samples` into `store` (images.npy, maps.npy, records.json), or open what is there already.

    Raises InputError naming the sample whose picture cannot be read.
    """
    import numpy as np
    from PIL import Image

    from pacenote.models.frames import fit_frame
    from pacenote.training.shared import allocate
    from pacenote.work.progress import progress

    if (store / "records.json").is_file():
        return open_store(store)
    if not count:
        raise InputError(f"{store}: there are no samples to train on; check --data and its split")
    store.mkdir(parents=True, exist_ok=True)
    width, height = size
    images = allocate(store / "images.npy", np.uint8, (count, height, width, 3))
    maps = allocate(store / "maps.npy", np.uint8, (count, height, width))
    records: list[Record] = []
    has_map: list[bool] = []
    for index, sample in enumerate(progress(samples, "decode frames", count)):
        if not sample.images:
            raise InputError(f"sample {sample.id}: has no image; this training needs one each")
        image = sample.image(0)
        scale = (width / image.width, height / image.height)
        images[index] = np.asarray(fit_frame(image, size, "stretch"))
        classes = sample.class_map()
        if classes is not None:
            if classes.shape != (height, width):
                picture = Image.fromarray(classes).resize(size, Image.Resampling.NEAREST)
                classes = np.asarray(picture)
            maps[index] = classes
        has_map.append(classes is not None)
        records.append(record_of(sample, scale))
    images.flush()
    maps.flush()
    np.save(store / "has_map.npy", np.array(has_map, bool))
    write_records(store / "records.json", records)
    return open_store(store)


def open_store(store: Path) -> Frames:
    """The frames that `decode` wrote, mapped from disk."""
    import numpy as np

    images, maps = (np.load(store / name, mmap_mode="r") for name in ("images.npy", "maps.npy"))
    return Frames(images, maps, np.load(store / "has_map.npy"), tuple(open_records(store / "records.json")))


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write records as JSON; the file is whole or absent."""
    from pacenote.work.files import atomic

    with atomic(path) as partial:
        partial.write_text(json.dumps([{**vars(r), "truth": r.truth.to_dict()} for r in records]))


def open_records(path: Path) -> list[Record]:
    """Inverse of `write_records`."""
    return [
        Record(
            **{
                **row,
                "truth": Truth.from_dict(row["truth"]),
                "objects": tuple(row["objects"]),
                "answered": tuple(row["answered"]) if row["answered"] else None,
            }
        )
        for row in json.loads(path.read_text())
    ]


def shown_limit(objects: Sequence[dict[str, Any]]) -> str | None:
    """The number on a legible limit sign or marking, "" where none is there; None where that is not known: a sign can
    be half read, or there is no evidence at all."""
    signs = [item for item in objects if item.get("kind") == "speed_limit" and item.get("role") == "ahead"]
    if not objects or any(item.get("stated") is None for item in signs):
        return None
    return next((str(item.get("state")) for item in signs if item.get("stated")), "")


_MIRROR = {"left": "right", "right": "left"}


def mirrored(record: Record, width: int = STORED[0]) -> Record:
    """`record` as seen in a mirror: left and right swapped in lights and boxes."""
    from pacenote.advisory import Light

    truth, light = record.truth, record.truth.light
    if light is not None and light.state != "none":
        other = None if light.other is None else (light.other[0], _MIRROR.get(light.other[1], light.other[1]))
        truth = replace(
            truth, light=Light(light.state, _MIRROR.get(light.movement, light.movement), light.place, other)
        )
    objects = []
    for item in record.objects:
        if item.get("box"):
            x0, y0, x1, y1 = item["box"]
            item = {**item, "box": [width - x1, y0, width - x0, y1]}
        if item.get("kind") == "traffic_light":  # its state is "red" or "red left"
            words = [_MIRROR.get(word, word) for word in str(item.get("state", "")).split(" ")]
            item = {**item, "state": " ".join(words)}
        objects.append(item)
    return replace(record, truth=truth, objects=tuple(objects))
