"""One round: pictures painted from specs, shard by shard, and what judges make of them."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.data import Card, Dataset, finish_dataset
from pacenote.data.sample import Picture, Sample
from pacenote.data.shards import shard_name, write_shard
from pacenote.errors import InputError
from pacenote.imagine.judge import agree
from pacenote.imagine.pairs import Pair
from pacenote.imagine.quality import Usual, diversity, embed, measures
from pacenote.imagine.score import KEPT, REFUSED, Limits, Verdict, consistency, judged, logic, logical
from pacenote.imagine.spec import Spec
from pacenote.imagine.wording import Words, plain
from pacenote.work import Shard, progress, read_json, run_shards, write_json

if TYPE_CHECKING:
    from PIL import Image

    from pacenote.engine import Answer
    from pacenote.imagine.judge import Judge
    from pacenote.imagine.painter import Painter
    from pacenote.imagine.screen import Screen
    from pacenote.models.eyes import Eyes

ROWS = 32  # pictures of a shard: what a killed run loses at most
SCORES = "scores.json"
PART = 16  # pictures that are read at once
LOSSLESS = 2**17  # pixels up to which a picture is stored without loss


@dataclass(frozen=True)
class Jury:
    """Everyone who looks at a painted picture: `judge` decides, `second` only watches; `eyes` (a fixed tower, its
    pictures brought to `eyes_size`) see how various they are; `usual` is what training pictures look like."""

    judge: Judge
    second: Judge
    eyes: Eyes
    eyes_size: tuple[int, int] | None
    usual: Usual
    screen: Screen
    limits: Limits = Limits()


@dataclass(frozen=True)
class Seen:
    """A painted picture with what the jury said: `agreed` and `watched` slot by slot by the first and second judge,
    `read` the first one's advisory, `measured` of the picture, `broken` logic by slot."""

    id: str
    spec: Spec
    prompt: str
    seed: int
    verdict: Verdict
    agreed: dict[str, bool | None]
    watched: dict[str, bool | None]
    read: dict[str, Any]
    confidence: dict[str, float | None]
    quality: float
    measured: dict[str, float]
    broken: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        held = {name: getattr(self, name) for name in self.__dataclass_fields__}
        verdict = {**vars(self.verdict), "spec": self.verdict.spec.to_dict()}
        return {**held, "spec": self.spec.to_dict(), "verdict": verdict}

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Seen:
        verdict = Verdict(**{**row["verdict"], "spec": Spec.from_dict(row["verdict"]["spec"])})
        return cls(**{**row, "spec": Spec.from_dict(row["spec"]), "verdict": verdict})


@dataclass(frozen=True)
class Round:
    """The pictures of one directory, in the order of `seen`, and the figures of the round."""

    path: Path
    seen: Sequence[Seen]
    figures: dict[str, Any]

    def pictures(self) -> Iterator[tuple[Seen, Sample]]:
        """Each picture with what was said of it, read one by one."""
        return zip(self.seen, Dataset.open(self.path), strict=True)

    def pair(self, seen: Seen, sample: Sample, words: Words = plain) -> Pair:
        """A picture as the painter learns it: under what it shows, in the `words` that a painter is asked in."""
        return Pair(seen.id, sample.images[0], words(seen.verdict.spec), seen.verdict.spec)


def paint_round(
    painter: Painter,
    specs: Sequence[Spec],
    seeds: Sequence[int],
    out: Path,
    screen: Screen,
    words: Words = plain,
    *,
    negatives: bool = False,
    workers: int = 1,
    ray: str | None = None,
) -> None:
    """Paint a picture a spec and seed into `out`, a Dataset (source "imagined", truth = the spec); finished shards are
    kept. `words`: how the painter is asked for a spec. `negatives`: it is also told what must not be there.

    Raises InputError, before anything is painted, on a prompt that the painter would cut or the screen refuses, and
    PacenoteError on a full disk.
    """
    prompts = [words(spec) for spec in specs]
    painter.check(prompts + ([spec.negative() for spec in specs] if negatives else []))
    for prompt in dict.fromkeys(prompts):
        if reason := screen(prompt, None):
            raise InputError(f"prompt '{prompt[:80]}': the screen refuses it ({reason}); take this spec out")
    wishes = [
        {"spec": spec.to_dict(), "seed": seed, "prompt": prompt}
        for spec, seed, prompt in zip(specs, seeds, prompts, strict=True)
    ]
    parts = [wishes[start : start + ROWS] for start in range(0, len(wishes), ROWS)]
    common = {"painter": painter.digest, "negatives": negatives, "round": out.name}
    shards = [
        Shard(shard_name("train", number, len(parts)), {**common, "first": number * ROWS, "wishes": part})
        for number, part in enumerate(parts)
    ]
    run_shards(
        functools.partial(paint_shard, painter), shards, out, workers=workers, ray=ray, label=f"paint {out.name}"
    )
    finish_dataset(
        out, Card(out.name, recipe=painter.digest, description="Painted from specs; truth = what was asked.")
    )


def paint_shard(painter: Painter, shard: Shard, partial: Path) -> dict[str, Any]:
    """Paint the wishes of a shard into the Parquet file `partial`."""
    asked = shard.payload
    specs = [Spec.from_dict(wish["spec"]) for wish in asked["wishes"]]
    seeds = [int(wish["seed"]) for wish in asked["wishes"]]
    prompts = [str(wish["prompt"]) for wish in asked["wishes"]]
    negative = [spec.negative() for spec in specs] if asked["negatives"] else None
    images = painter.paint(prompts, seeds, negative)
    samples = [
        _sample(f"{asked['round']}-{asked['first'] + number:05d}", spec, image, prompt, seed, asked["painter"])
        for number, (spec, image, prompt, seed) in enumerate(zip(specs, images, prompts, seeds, strict=True))
    ]
    return dict(write_shard(samples, partial))


def _sample(id: str, spec: Spec, image: Image.Image, prompt: str, seed: int, painter: str) -> Sample:
    provenance = {"painter": painter, "prompt": prompt, "seed": seed, "spec": spec.to_dict()}
    return Sample(
        id, (encoded(image, id),), truth=spec.truth, conditions=spec.conditions, source="imagined",
        scene=f"imagined-{spec.digest}", provenance=provenance,
    )  # fmt: skip


def encoded(image: Image.Image, name: str) -> Picture:
    """A painted picture as it is stored, judged and learnt from: a small one without loss, for JPEG halves the
    resolution of colours, and a lamp is three pixels wide."""
    if image.width * image.height <= LOSSLESS:
        return Picture.encode(image, f"{name}.webp", format="WEBP", quality=100)
    return Picture.encode(image, f"{name}.jpg")


def judge_round(out: Path, jury: Jury) -> Round:
    """Look at the pictures in `out`; what was said is written to `scores.json` there, and read from it afterwards."""
    file = out / SCORES
    if not file.is_file():
        seen, vectors = _look(Dataset.open(out), jury)
        write_json(file, {"figures": _figures(seen, vectors), "seen": [one.to_dict() for one in seen]})
    held = read_json(file)
    return Round(out, [Seen.from_dict(row) for row in held["seen"]], held["figures"])


def _look(data: Dataset, jury: Jury) -> tuple[list[Seen], Any]:
    import numpy as np

    seen: list[Seen] = []
    vectors: list[Any] = []
    for start in progress(range(0, len(data), PART), f"judge {data.path.name}"):
        samples = [data[i] for i in range(start, min(len(data), start + PART))]
        images = [sample.image(0) for sample in samples]
        vectors.append(embed(jury.eyes, images, jury.eyes_size))
        read, watched = jury.judge.read(images), jury.second.read(images)
        for sample, image, first, second in zip(samples, images, read, watched, strict=True):
            seen.append(_seen(sample, image, first, second, jury))
    return seen, np.concatenate(vectors)


def _seen(sample: Sample, image: Image.Image, first: Answer, second: Answer, jury: Jury) -> Seen:
    spec, prompt = Spec.from_dict(sample.provenance["spec"]), str(sample.provenance["prompt"])
    measured = measures(image)
    quality = jury.usual.quality(measured, spec.time)
    return Seen(
        sample.id, spec, prompt, int(sample.provenance["seed"]),
        judged(first, spec, jury.judge, quality, jury.screen(prompt, image), jury.limits),
        agree(first.advisory, spec), agree(second.advisory, spec), first.advisory.to_dict(), first.confidence or {},
        quality, measured, logic(first.advisory, spec),
    )  # fmt: skip


def _figures(seen: Sequence[Seen], vectors: Any) -> dict[str, Any]:
    outcomes = [one.verdict.outcome for one in seen]
    return {
        "n": len(seen),
        "judge": consistency([one.agreed for one in seen]),
        "second": consistency([one.watched for one in seen]),
        "logic": logical([one.broken for one in seen]),
        "quality": sum(one.quality for one in seen) / len(seen),
        "diversity": diversity(vectors),
        "rejected": outcomes.count(REFUSED) / len(seen),
        "as_asked": outcomes.count(KEPT) / len(seen),
    }


def kept_sample(seen: Seen, sample: Sample) -> Sample:
    """A chosen picture as a row of the Dataset that the rounds leave: truth and conditions of what it shows, the jury's
    words in its provenance."""
    said = {name: value for name, value in seen.to_dict().items() if name not in ("id", "prompt", "seed", "spec")}
    spec = seen.verdict.spec
    provenance = {**sample.provenance, "truth": "spec, read back by a judge", "scores": said}
    return replace(sample, truth=spec.truth, conditions=spec.conditions, provenance=provenance)
