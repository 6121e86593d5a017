"""Who reads a painted picture back: a frozen model, how far it can be trusted, and that it is nobody's pupil.

Read-back tests exactly what is deployed and says which slot failed, but it is circular: a painter learns what pleases
its judge. So a judge is never the model that the pictures will train; how often it is right is measured on frames of
known truth, shrunk to the size that the painter paints; and a second judge of other weights watches the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.advisory import ADVISE, SLOTS, Advisory
from pacenote.engine import ENGINE, Answer, Ask, asker
from pacenote.errors import InputError
from pacenote.imagine.spec import Spec, spec_of
from pacenote.models import load, resolve
from pacenote.models.frames import fit_frame, frame_size
from pacenote.work import digest, digest_file, progress

if TYPE_CHECKING:
    from PIL import Image

    from pacenote.data import Sample

BATCH = 8
LIGHT_PX = (3.0, 6.0, 12.0)  # edges of the sizes of lenses, px of the stored frame, by which the light is told apart


@dataclass
class Judge:
    """A frozen model that reads pictures. `trust`: by slot, what `calibrate` found; empty before it ran."""

    name: str
    digest: str
    ask: Ask
    size: tuple[int, int] | None
    trust: dict[str, dict[str, Any]] = field(default_factory=dict)

    def read(self, images: Sequence[Image.Image]) -> list[Answer]:
        """An answer a picture; each is brought to the model's own shape first."""
        answers: list[Answer] = []
        for start in range(0, len(images), BATCH):
            part = images[start : start + BATCH]
            shown = [[image.convert("RGB") if self.size is None else fit_frame(image, self.size)] for image in part]
            answers += self.ask(shown, [ADVISE] * len(shown))
        return answers

    def right(self, slot: str) -> float:
        """How often it is right about a slot on frames of known truth. Raises InputError before `calibrate`."""
        if slot not in self.trust:
            raise InputError(f"{self.name}: is not calibrated; give labelled frames for it")
        return float(self.trust[slot]["right"])


def open_judge(name: str, device: str = "cpu", engine: str = ENGINE) -> Judge:
    """Load the model `name` as a judge. Raises InputError where there is none."""
    model = load(name, device=device)
    model.model.requires_grad_(False)
    return Judge(name, weights_digest(name), asker(model, engine), frame_size(model))


def weights_digest(name: str) -> str:
    """Digest of the weight files alone: a copy of a model under another name is the same judge. A hub id that is not
    on this machine stands for itself."""
    root = Path(resolve(name))
    files = sorted(root.glob("*.safetensors")) if root.is_dir() else []
    return digest([digest_file(file) for file in files] or str(name))


def check_judges(judge: str, second: str, trained: Iterable[str] = ()) -> None:
    """Raise InputError where the judges are one and the same, or one is a model that the pictures will train."""
    held = {weights_digest(judge): judge}
    other = weights_digest(second)
    if other in held:
        raise InputError(f"--second {second}: has the same weights as --judge {judge}; give an independent model")
    held[other] = second
    for name in trained:
        taken = held.get(weights_digest(name))
        if taken:
            raise InputError(f"{taken}: is the model under training, so it would judge itself; give another judge")


def agree(advisory: Advisory, spec: Spec) -> dict[str, bool | None]:
    """Slot by slot whether what was read is what was to be painted; None where the spec leaves the speed open."""
    wanted = spec.advisory
    speed = None if wanted.speed_kmh is None else advisory.speed_kmh == wanted.speed_kmh
    return {
        "speed": speed, "light": advisory.light == wanted.light,
        "obstacles": advisory.obstacles == wanted.obstacles, "crossroad": advisory.crossroad == wanted.crossroad,
    }  # fmt: skip


def calibrate(judge: Judge, samples: Iterable[Sample], size: tuple[int, int] | None = None) -> None:
    """Fill `judge.trust` from frames of known truth: by slot the share `right` of `n`, and `by` the same apart for each
    weather, time of day and (of the light) size of the lens in the stored frame.

    `size`: (width, height) px that the painter paints; frames are shrunk to it before they are read, so that the judge
    is trusted for what it can tell at that size. Frames with an unknown fact are left out. Raises InputError where none
    is left.
    """
    told: dict[str, list[tuple[bool, Mapping[str, Any]]]] = {slot: [] for slot in SLOTS}
    for batch in progress(_batches(samples), f"calibrate {judge.name}"):
        images = [sample.image(0) for sample, _ in batch]
        answers = judge.read([fit_frame(image, size, "stretch") if size else image for image in images])
        for (sample, spec), answer in zip(batch, answers, strict=True):
            for slot, right in agree(answer.advisory, spec).items():
                if right is not None:
                    told[slot].append((right, sample.conditions))
    if not told["light"]:
        raise InputError(f"{judge.name}: no frame whose truth is all known to calibrate it on; give labelled frames")
    judge.trust = {slot: _shares(rows, slot) for slot, rows in told.items()}


def _batches(samples: Iterable[Sample]) -> Iterable[list[tuple[Sample, Spec]]]:
    batch: list[tuple[Sample, Spec]] = []
    for sample in samples:
        try:
            batch.append((sample, spec_of(sample)))
        except InputError:
            continue
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _shares(rows: Sequence[tuple[bool, Mapping[str, Any]]], slot: str) -> dict[str, Any]:
    parts: dict[str, list[bool]] = {}
    for right, conditions in rows:
        for name in ("weather", "time"):
            if conditions.get(name):
                parts.setdefault(f"{name} {conditions[name]}", []).append(right)
        if slot == "light" and conditions.get("light_px") is not None:
            below = [edge for edge in LIGHT_PX if float(conditions["light_px"]) < edge]
            parts.setdefault(f"lens < {below[0]:g} px" if below else f"lens >= {LIGHT_PX[-1]:g} px", []).append(right)
    by = {name: {"right": sum(own) / len(own), "n": len(own)} for name, own in sorted(parts.items())}
    share = sum(right for right, _ in rows) / len(rows) if rows else 0.0
    return {"right": share, "n": len(rows), "by": by}
