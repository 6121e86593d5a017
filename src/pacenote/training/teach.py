"""`teach`: ask a teacher about every picture of a Dataset and store its soft labels in a teacher cache.

Where a row has a truth the teacher is scored on the true answer; where it has none it writes the answer itself, and
what it writes is kept only if it is a whole advisory. Shards resume; a teacher that does not see its pictures is found
out before the work starts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.errors import InputError, PacenoteError
from pacenote.training.cache import (
    CacheCard,
    CacheRow,
    row_key,
    soft_row,
    tokenizer_digest,
    write_card,
    write_shard,
)
from pacenote.work.executor import Shard, run_shards
from pacenote.work.progress import say
from pacenote.work.rundir import RunDirectory

if TYPE_CHECKING:
    from PIL import Image

    from pacenote.data import Dataset
    from pacenote.data.sample import Sample
    from pacenote.models import Model
    from pacenote.training.questions import Ask

WRITE = ("missing", "all", "never")
PROBES = 4  # samples that the blank-image probe looks at
SEES = 0.02  # nats by which a blank picture must change the log-probability of some answer token
Pieces = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class TeachOptions:
    """`top`: tokens kept of each distribution; `temperatures` beside 1; `asks`: further questions a labelled row beside
    the neutral one, drawn with `seed`; `write`: for which rows the teacher writes the answer: those that have none
    ("missing"), "all", or "never" (rows without one are refused)."""

    top: int = 64
    temperatures: tuple[float, ...] = (2.0,)
    asks: int = 0
    write: str = "missing"
    batch: int = 8
    shard_rows: int = 64
    max_new_tokens: int = 96
    seed: int = 0
    device: str = "auto"


@dataclass(frozen=True)
class Order:
    """What one shard teaches: rows `start` .. `start + count - 1` of a split."""

    teacher: str
    weights: str  # digest of the teacher's files, so that another model of the same name is another cache
    data: str
    rows: int
    split: str | None
    start: int
    count: int
    card: CacheCard
    options: TeachOptions


@dataclass(frozen=True)
class Row:
    """One question about one sample, ready to be scored; `pieces` None = the teacher writes the answer, `written` = it
    has."""

    sample: Sample
    images: tuple[Image.Image, ...]
    question: str
    pieces: Pieces | None
    written: bool = False


def teach(
    teacher: str,
    data: Sequence[str],
    out: str | Path,
    options: TeachOptions = TeachOptions(),
    *,
    split: str | None = "train",
    workers: int = 1,
    ray: str | None = None,
) -> dict[str, Any]:
    """Fill the cache `out` with the soft labels of `teacher` for a split of the Datasets `data`; returns its figures.

    The same call resumes. Raises InputError on bad settings, PacenoteError when the teacher does not see pictures.
    """
    from pacenote.data.dataset import Dataset
    from pacenote.models.shipped import resolve
    from pacenote.work.files import digest_tree

    if options.write not in WRITE:
        raise InputError(f"--write {options.write}: choose one of {', '.join(WRITE)}")
    if any(t <= 0 or t == 1 for t in options.temperatures):
        raise InputError(f"--temperatures {options.temperatures}: give temperatures above 0; 1 is always kept")
    out = Path(out)
    opened = {name: Dataset.open(name, split=split) for name in data}
    model = _model(teacher, options.device)
    directory = Path(resolve(teacher))
    weights = digest_tree(directory) if directory.is_dir() else teacher
    card = CacheCard(teacher, tokenizer_digest(model.tokenizer), options.top, tuple(sorted(set(options.temperatures))))
    sizes = {name: len(one) for name, one in opened.items()}
    RunDirectory.open(out, "teach", {"card": card, "options": options, "data": sizes, "weights": weights})
    probe = blank_probe(model, next(iter(opened.values())), options)
    shards: list[Shard] = []
    for name, size in sizes.items():
        for start in range(0, size, options.shard_rows):
            count = min(options.shard_rows, size - start)
            order = Order(teacher, weights, name, size, split, start, count, card, options)
            shards.append(Shard(f"cache-{len(shards):05d}.parquet", order))
    results = run_shards(teach_shard, shards, out, workers=workers, ray=ray, label="teach")
    refused = sum((Counter(result.stats["refused"]) for result in results), Counter[str]())
    figures = {
        "rows": sum(result.stats["rows"] for result in results),
        "tokens": sum(result.stats["tokens"] for result in results),
        "written": sum(result.stats["written"] for result in results),
        "bytes": sum(result.path.stat().st_size for result in results),
        "refused": dict(refused),
        "blank_probe": probe,
    }
    write_card(out, card, [result.name for result in results], figures)
    for reason, number in refused.most_common(3):
        say(f"refused: {number} x {reason}")
    return figures


_models: dict[tuple[str, str], Model] = {}  # this process's teacher, loaded once


def _model(teacher: str, device: str) -> Model:
    from pacenote.models import load
    from pacenote.training.loop import pick_device

    key = (teacher, device)
    if key not in _models:
        _models.clear()
        _models[key] = load(teacher, pick_device(device))
    return _models[key]


def teach_shard(shard: Shard, path: Path) -> dict[str, Any]:
    """Score one shard and write it to `path`; returns its counts."""
    from pacenote.data.dataset import Dataset

    order: Order = shard.payload
    options = order.options
    model = _model(order.teacher, options.device)
    data = Dataset.open(order.data, split=order.split).select(range(order.start, order.start + order.count))
    refused: Counter[str] = Counter()
    rows: list[CacheRow] = []
    waiting: list[Row] = []
    for row in rows_of(model, data, options, refused):
        waiting.append(row)
        if len(waiting) == options.batch:
            rows += score(model, waiting, order.card, options, refused)
            waiting = []
    rows += score(model, waiting, order.card, options, refused)
    write_shard(path, rows, order.card)
    return {
        "rows": len(rows), "tokens": sum(map(len, rows)), "written": sum(row.written for row in rows),
        "refused": dict(refused),
    }  # fmt: skip


def rows_of(model: Model, data: Dataset, options: TeachOptions, refused: Counter[str]) -> Iterator[Row]:
    """The questions to ask about each sample of `data`; samples that cannot be asked are counted in `refused`."""
    import numpy as np

    from pacenote.training.questions import ask

    for sample in data:
        if not sample.images:
            refused["has no image"] += 1
            continue
        try:
            images = fitted_images(model, sample)
        except InputError:
            refused["its picture cannot be read"] += 1
            continue
        first = neutral(sample)
        if first.answer and options.write != "all":
            yield Row(sample, images, first.question, first.answer)
        elif options.write == "never":
            refused["has no answer (--write never)"] += 1
            continue
        else:
            yield Row(sample, images, first.question, None)
        if sample.truth is not None and options.write != "all":
            record = _record(sample)
            rng = np.random.default_rng((options.seed, int(row_key([sample.id.encode()], "", (), ""), 16) % 2**32))
            for _ in range(options.asks):
                more = ask(record, rng, float(images[0].width))
                if more is not None:
                    yield Row(sample, images, more.question, more.answer)


def fitted_images(model: Model, sample: Sample) -> tuple[Image.Image, ...]:
    """The sample's pictures as `evaluate` shows them to the model."""
    from pacenote.evaluate.run import fitted
    from pacenote.models.frames import frame_size

    return tuple(fitted(sample, frame_size(model), "auto"))


def neutral(sample: Sample) -> Ask:
    """The sample's own question with its answer, or the neutral request with what its truth says; without an answer
    where it has neither."""
    from pacenote.training.questions import Ask, plain

    if sample.answer is not None:
        return Ask("own", sample.question, ((sample.answer, sample.weight),))
    first = plain(_record(sample))
    known = sample.truth is not None and any(weight for _, weight in first.answer)
    return first if known else replace(first, answer=())


def _record(sample: Sample) -> Any:
    from pacenote.training.frames import record_of

    return record_of(sample)


def score(
    model: Model, rows: Sequence[Row], card: CacheCard, options: TeachOptions, refused: Counter[str]
) -> list[CacheRow]:
    """Soft labels of a batch of rows; an answer that is to be written is written first."""
    import numpy as np
    import torch

    from pacenote.training.batches import answer_ids, answer_rows, collate, encode

    rows = [*(row for row in rows if row.pieces is not None), *written(model, rows, options, refused)]
    if not rows:
        return []
    encoded = [
        encode(model, row.sample.id, row.images, row.question, _all(row.pieces or ()), row.sample.image_roles)
        for row in rows
    ]
    batch = {name: value.to(model.device) for name, value in collate(encoded, model).items()}
    found = []
    with torch.inference_mode():
        hidden, _, _ = answer_rows(model.model, batch)
        parts = hidden.split([len(one.answer) for one in encoded])
        for row, one, part in zip(rows, encoded, parts, strict=True):
            logits = model.model.get_output_embeddings()(part)
            if not bool(torch.isfinite(logits).all()):
                refused["the teacher's logits are not finite"] += 1
                continue
            key = row_key([p.bytes for p in row.sample.images], row.question, one.answer, card.tokenizer)
            text = "".join(words for words, _ in row.pieces or ())
            own = soft_row(logits[:, : len(model.tokenizer)], card.top, card.temperatures)
            ids = np.array(one.answer, np.int32)
            weights = np.array(answer_ids(model, row.pieces or ())[1], np.float16)
            found.append(
                CacheRow(key, row.sample.id, row.question, text, ids, **own, weights=weights, written=row.written)
            )
    return found


def _all(pieces: Pieces) -> Pieces:
    """`pieces` with every token counted: a teacher has an opinion on what the truth does not know, too."""
    return tuple((words, 1.0) for words, _ in pieces)


def written(model: Model, rows: Sequence[Row], options: TeachOptions, refused: Counter[str]) -> list[Row]:
    """The rows without an answer with the teacher's own, where it is a whole canonical advisory."""
    from pacenote.advisory import Advisory

    open_rows = [row for row in rows if row.pieces is None]
    roles = [row.sample.image_roles for row in open_rows]
    texts = model.generate(
        [row.images for row in open_rows], [row.question for row in open_rows], options.max_new_tokens, roles
    )
    found = []
    for row, text in zip(open_rows, texts, strict=True):
        advisory = Advisory.parse(text)
        if None in (advisory.speed_kmh, advisory.light, advisory.obstacles, advisory.crossroad):
            refused["the teacher wrote no whole advisory"] += 1
            continue
        found.append(replace(row, pieces=((advisory.text(), 1.0),), written=True))
    return found


def blank_probe(model: Model, data: Dataset, options: TeachOptions) -> float:
    """The most that a grey picture in place of the real one changes the log-probability of an answer token, in nats.

    A server that was sent text alone, or a processor that dropped the image, answers as before: PacenoteError.
    """
    import torch
    from PIL import Image

    from pacenote.training.batches import answer_rows, collate, encode

    most, seen = 0.0, 0
    for row in rows_of(model, data.select(range(min(len(data), 8 * PROBES))), replace(options, asks=0), Counter()):
        if row.sample.image_roles and row.sample.image_roles[0] != "frame":
            continue
        pieces = row.pieces or (("Recommended speed: 20 km/h.", 1.0),)
        grey = tuple(Image.new("RGB", image.size, (127, 127, 127)) for image in row.images)
        both = []
        for images in (row.images, grey):
            one = encode(model, row.sample.id, images, row.question, _all(pieces))
            batch = {name: value.to(model.device) for name, value in collate([one], model).items()}
            with torch.inference_mode():
                hidden, labels, _ = answer_rows(model.model, batch)
                logp = model.model.get_output_embeddings()(hidden).float().log_softmax(-1)
            both.append(logp.gather(1, labels[:, None]))
        most, seen = max(most, float((both[0] - both[1]).abs().max())), seen + 1
        if seen == PROBES:
            break
    if seen and most < SEES:
        raise PacenoteError(
            f"{model.name}: answers a grey picture as it answers the real ones (at most {most:.4f} nats apart): it does"
            " not see its pictures; check its checkpoint and processor"
        )
    return round(most, 4)
