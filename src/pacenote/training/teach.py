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
from pacenote.training.batches import pieces_ids
from pacenote.training.cache import (
    CacheCard,
    CacheRow,
    row_key,
    tokenizer_digest,
    write_card,
    write_shard,
)
from pacenote.training.teachers import LocalTeacher, Row, ServedTeacher, Teacher
from pacenote.work.executor import Shard, run_shards
from pacenote.work.progress import say
from pacenote.work.rundir import RunDirectory

if TYPE_CHECKING:
    from pacenote.data import Dataset
    from pacenote.data.sample import Sample
    from pacenote.training.questions import Ask

WRITE = ("missing", "all", "never")
PROBES = 4  # samples that the blank-image probe looks at
SEES = 0.02  # nats by which a blank picture must change the log-probability of some token
LIKELY = -7.0  # of tokens with at least this log-probability


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
    served: Served | None = None


@dataclass(frozen=True)
class Served:
    """A teacher behind a server: its URL, and the tokenizer and end token of the model that it serves."""

    url: str
    tokenizer: str
    end: str = "<|im_end|>"
    key: str = ""


def teach(
    teacher: str,
    data: Sequence[str],
    out: str | Path,
    options: TeachOptions = TeachOptions(),
    *,
    split: str | None = "train",
    workers: int = 1,
    ray: str | None = None,
    served: Served | None = None,
) -> dict[str, Any]:
    """Fill the cache `out` with the soft labels of `teacher` for a split of the Datasets `data`; returns its figures.
    With `served` the teacher is the model of that name on a server.

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
    asked = open_teacher(teacher, options.device, served)
    directory = Path(teacher) if served else Path(resolve(teacher))
    weights = digest_tree(directory) if directory.is_dir() and not served else teacher
    card = CacheCard(teacher, tokenizer_digest(asked.tokenizer), options.top, tuple(sorted(set(options.temperatures))))
    sizes = {name: len(one) for name, one in opened.items()}
    RunDirectory.open(out, "teach", {"card": card, "options": options, "data": sizes, "weights": weights})
    probe = blank_probe(asked, next(iter(opened.values())), options)
    shards: list[Shard] = []
    for name, size in sizes.items():
        for start in range(0, size, options.shard_rows):
            count = min(options.shard_rows, size - start)
            order = Order(teacher, weights, name, size, split, start, count, card, options, served)
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


_teachers: dict[Any, Teacher] = {}  # this process's teacher, made once


def open_teacher(teacher: str, device: str, served: Served | None = None) -> Teacher:
    """The teacher, in this process or behind a server."""
    from transformers import AutoTokenizer

    from pacenote.models import load, resolve
    from pacenote.models.endpoint import Endpoint
    from pacenote.training.loop import pick_device

    key = (teacher, device, served)
    if key not in _teachers:
        _teachers.clear()
        if served is None:
            _teachers[key] = LocalTeacher(load(teacher, pick_device(device)))
        else:
            tokenizer = AutoTokenizer.from_pretrained(resolve(served.tokenizer))
            _teachers[key] = ServedTeacher(Endpoint(served.url, teacher, served.key), tokenizer, served.end)
    return _teachers[key]


def teach_shard(shard: Shard, path: Path) -> dict[str, Any]:
    """Score one shard and write it to `path`; returns its counts."""
    from pacenote.data.dataset import Dataset

    order: Order = shard.payload
    options = order.options
    teacher = open_teacher(order.teacher, options.device, order.served)
    data = Dataset.open(order.data, split=order.split).select(range(order.start, order.start + order.count))
    refused: Counter[str] = Counter()
    rows: list[CacheRow] = []
    waiting: list[Row] = []
    for row in rows_of(teacher, data, options, refused):
        waiting.append(row)
        if len(waiting) == options.batch:
            rows += score(teacher, waiting, order.card, options, refused)
            waiting = []
    rows += score(teacher, waiting, order.card, options, refused)
    write_shard(path, rows, order.card)
    return {
        "rows": len(rows), "tokens": sum(map(len, rows)), "written": sum(row.written for row in rows),
        "refused": dict(refused),
    }  # fmt: skip


def rows_of(teacher: Teacher, data: Dataset, options: TeachOptions, refused: Counter[str]) -> Iterator[Row]:
    """The questions to ask about each sample of `data`; samples that cannot be asked are counted in `refused`."""
    import numpy as np

    from pacenote.training.questions import ask

    for sample in data:
        if not sample.images:
            refused["has no image"] += 1
            continue
        try:
            images = teacher.images(sample)
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
    teacher: Teacher, rows: Sequence[Row], card: CacheCard, options: TeachOptions, refused: Counter[str]
) -> list[CacheRow]:
    """Soft labels of a batch of rows; an answer that is to be written is written first."""
    import numpy as np

    rows = [*(row for row in rows if row.pieces is not None), *written(teacher, rows, options, refused)]
    if not rows:
        return []
    found = []
    for row, soft in zip(rows, teacher.score(rows, card.top, card.temperatures), strict=True):
        if soft is None:
            refused["the teacher's numbers are not finite"] += 1
            continue
        ids, weights = pieces_ids(teacher.tokenizer, teacher.end_id, row.pieces or ())
        key = row_key([picture.bytes for picture in row.sample.images], row.question, ids, card.tokenizer)
        found.append(
            CacheRow(
                key, row.sample.id, row.question, row.answer, np.array(ids, np.int32), **soft,
                weights=np.array(weights, np.float16), written=row.written,
            )
        )  # fmt: skip
    return found


def written(teacher: Teacher, rows: Sequence[Row], options: TeachOptions, refused: Counter[str]) -> list[Row]:
    """The rows without an answer with the teacher's own, where it is a whole canonical advisory."""
    from pacenote.advisory import Advisory

    bare = [row for row in rows if row.pieces is None]
    found = []
    for row, text in zip(bare, teacher.write(bare, options.max_new_tokens) if bare else [], strict=True):
        advisory = Advisory.parse(text)
        if None in (advisory.speed_kmh, advisory.light, advisory.obstacles, advisory.crossroad):
            refused["the teacher wrote no whole advisory"] += 1
            continue
        found.append(replace(row, pieces=((advisory.text(), 1.0),), written=True))
    return found


def blank_probe(teacher: Teacher, data: Dataset, options: TeachOptions) -> float:
    """The most that a grey picture in place of the real one changes the log-probability of a likely token, in nats.

    A server that was sent text alone, or a processor that dropped the image, answers as before: PacenoteError.
    """
    import numpy as np
    from PIL import Image

    first = data.select(range(min(len(data), 8 * PROBES)))
    rows = [row for row in rows_of(teacher, first, replace(options, asks=0), Counter()) if row.images][:PROBES]
    rows = [replace(row, pieces=row.pieces or (("Recommended speed: 20 km/h.", 1.0),)) for row in rows]
    if not rows:
        return 0.0
    grey = [replace(row, images=tuple(Image.new("RGB", i.size, (127, 127, 127)) for i in row.images)) for row in rows]
    most = 0.0
    for real, blank in zip(teacher.score(rows, options.top, ()), teacher.score(grey, options.top, ()), strict=True):
        if real is None or blank is None:
            continue
        for a, la, b, lb in zip(real["ids"], real["logp"], blank["ids"], blank["logp"], strict=True):
            there = dict(zip(b.tolist(), lb.tolist(), strict=True))
            both = [abs(value - there[token]) for token, value in zip(a.tolist(), la.tolist(), strict=True)
                    if token in there and value > LIKELY]  # fmt: skip
            most = max([most, *both])
        most = max(most, float(np.mean(real["ids"][:, 0] != blank["ids"][:, 0])))
    if most < SEES:
        raise PacenoteError(
            f"{teacher.name}: answers a grey picture as it answers the real ones (at most {most:.4f} nats apart): it"
            " does not see its pictures; check its checkpoint, processor or server"
        )
    return round(most, 4)
