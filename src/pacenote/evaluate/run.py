"""A model over a Dataset or a folder of photos: predictions, figures, tables, plots and a page, resumable."""

from __future__ import annotations

import collections
import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.advisory import Truth
from pacenote.data.sample import Sample
from pacenote.engine import ENGINE, asker
from pacenote.engine.engine import Engine
from pacenote.engine.prompted import ask_prompted
from pacenote.engine.roofline import Meter
from pacenote.errors import InputError
from pacenote.evaluate import breakdown, memory
from pacenote.evaluate.breakdown import Frame, Row
from pacenote.evaluate.predictions import Prediction, PredictionFile
from pacenote.evaluate.source import Source
from pacenote.models.frames import Fit, fitted, frame_size, pixel_limit
from pacenote.models.readout import SPEED
from pacenote.prompts.look import Context
from pacenote.work import RunDirectory, digest, digest_file, progress, say, write_json

if TYPE_CHECKING:
    from PIL import Image

    from pacenote.engine import Answer
    from pacenote.models import Model
    from pacenote.prompts.compose import Prompt
    from pacenote.prompts.prompter import Prompter, Spent

FIGURES = "evaluation.json"
WARMUP = 3  # calls before the clock counts: lazy initialisation, allocator, caches
WHOLE_DIGEST_BYTES = 64 << 20


@dataclass(frozen=True)
class Settings:
    """How an evaluation is run. `latency_frames` are asked one by one for FPS and latency, the rest in `batch`es."""

    fit: Fit = "auto"
    question: str | None = None  # in place of each sample's own
    batch: int = 8
    latency_frames: int = 50
    limit: int | None = None  # only so many frames, spread over the set
    speed: str = SPEED  # rule of `models.readout`
    engine: str = ENGINE  # see `pacenote.engine`
    prompts: str = ""  # a prompt book; "": each sample's own question as it is
    expert: str = ""  # that looks first: see `prompts.prompter.Prompter`
    seed: int = 0
    resamples: int = 1000


@dataclass
class Evaluation:
    """Everything that the report shows. `figures` is what `--json` writes."""

    figures: dict[str, Any]
    rows: list[Row]
    out: Path
    source: Source
    latencies_ms: list[float] = field(default_factory=list)


def model_digest(model: Model) -> str:
    """Identity of a checkpoint: configuration and tokenizer files whole, large weight files by size and both ends."""
    from pacenote.models import resolve

    root = Path(resolve(model.name))
    if not root.is_dir():
        commit = getattr(model.model.config, "_commit_hash", None)
        return digest([model.name, commit])
    parts = []
    for path in sorted(p for p in root.rglob("*") if p.is_file() and not p.name.startswith(".")):
        size = path.stat().st_size
        parts.append(
            [path.relative_to(root).as_posix(), size, digest_file(path) if size <= WHOLE_DIGEST_BYTES else _ends(path)]
        )
    return digest(parts)


def _ends(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(1 << 20)
        file.seek(-(1 << 20), 2)
        return hashlib.sha256(head + file.read()).hexdigest()[:12]


def evaluate(model: Model, source: Source, out: Path, settings: Settings = Settings()) -> Evaluation:
    """Run what is not yet in `out/predictions.jsonl`, score all, write `evaluation.json`; returns figures and rows.

    `out` is made, or resumed when it holds an evaluation of the same model, source and question; else InputError.
    Frames without any truth are run but not scored.
    """
    identity = model_digest(model)
    key = {
        "model": identity, "source": source.digest, "question": settings.question, "fit": settings.fit,
        "speed": settings.speed, "engine": settings.engine,
    }  # fmt: skip
    prompter = prompter_of(model, settings)
    if prompter is not None:
        key["prompts"] = prompter.digest
    run = RunDirectory.open(out, "evaluate", key, seed=None)
    store = PredictionFile(run.path)
    device = str(model.device)
    memory.reset_peak(device)
    rows, skipped, meter, spent = _predict(model, source, store, settings, prompter)
    peak = memory.peak_mib(device)
    timed = [p.ms for _, p in rows if p.batch == 1]
    figures = score_all(rows, settings.seed, settings.resamples) if any(_known(f.truth) for f, _ in rows) else {"n": 0}
    seconds = sum(timed) / 1000
    figures |= {
        "frames": len(rows),
        "skipped": skipped + source.rejected,
        "fps": len(timed) / seconds if seconds else None,
        "latency_ms": {"p50": _percentile(timed, 50), "p99": _percentile(timed, 99), "n": len(timed)},
        "stages": None if meter is None else meter.stages(model),  # its probe takes memory: after the peak is read
        "memory_mib": peak,
        "weights_mib": memory.weights_mib(model.model),
        "model": {
            "name": Path(model.name).name,
            "digest": identity,
            "device": device,
            "dtype": str(model.model.dtype).removeprefix("torch."),
        },
        "dataset": {"name": source.name, "digest": source.digest},
        "prompt_digest": prompter.digest if prompter else digest(sorted({frame.question for frame, _ in rows})),
        **({"prompts": _prompts(prompter, rows, spent, seconds)} if prompter else {}),
        "settings": {
            "fit": settings.fit,
            "speed_rule": settings.speed,
            "engine": settings.engine,
            "batch": settings.batch,
            "seed": settings.seed,
            "resamples": settings.resamples,
        },
        "complete": settings.limit is None or len(source.indices()) <= settings.limit,
    }
    write_json(run.path / FIGURES, figures)
    return Evaluation(figures, rows, run.path, source, timed)


def score_all(rows: Sequence[Row], seed: int, resamples: int) -> dict[str, Any]:
    """The figures of the whole set and of its parts: condition, light size, origin, twins, calibration."""
    figures = breakdown.score_rows(rows, seed, resamples)
    figures["by_condition"] = breakdown.by_condition(rows, seed)
    figures["by_light_px"] = breakdown.by_light_px(rows, seed)
    origins = breakdown.by(rows, lambda frame: frame.origin or None, seed)
    figures["by_source"] = origins if len(origins) > 1 else {}
    figures["twins"] = breakdown.flips(rows, seed)
    figures["calibration"] = breakdown.calibration(rows)
    return figures


def prompter_of(model: Model, settings: Settings) -> Prompter | None:
    """What composes prompts as `settings` say. Raises InputError where a question is given beside a book."""
    if not settings.prompts:
        return None
    if settings.question:
        raise InputError("--question stands in place of a prompt book; give one of them")
    from pacenote.prompts.prompter import Prompter

    return Prompter(model, settings.prompts, settings.expert, settings.fit)


def _prompts(prompter: Prompter, rows: Sequence[Row], spent: Spent | None, seconds: float) -> dict[str, Any]:
    """What is told of the prompts; the times are those of the frames that were asked one by one, if all were now."""
    tokens = [p.prompt["tokens"] for _, p in rows if p.prompt]
    used = collections.Counter(block for _, p in rows if p.prompt for block in p.prompt["blocks"])
    return {
        "book": prompter.book.name, "digest": prompter.book.digest,
        "expert": prompter.expert.name if prompter.expert else None,
        "tokens": {"mean": sum(tokens) / len(tokens), "max": max(tokens), "budget": prompter.book.budget},
        "blocks": {block: count / len(tokens) for block, count in used.most_common()},
        "choosing_ms": spent.choosing / spent.frames if spent else None,
        "choosing_share": spent.choosing / 1000 / seconds if spent and seconds else None,
    }  # fmt: skip


def _predict(
    model: Model, source: Source, store: PredictionFile, settings: Settings, prompter: Prompter | None = None
) -> tuple[list[Row], int, Meter | None, Spent | None]:
    """Rows in the order of the source, how many samples had a picture that cannot be read, and the meter of the
    frames that were asked one by one, if all of them were now; likewise what prompting them took."""
    size, limit = frame_size(model), pixel_limit(model)
    ask = asker(model, settings.engine, settings.speed, prompter.eyes if prompter else None)
    rows: list[Row] = []
    waiting: list[tuple[Frame, Sample, tuple[Image.Image, ...]]] = []
    timed = sum(1 for p in store.found.values() if p.batch == 1)
    warm = False
    skipped = 0
    meter: Meter | None = None
    spent: Spent | None = None

    def answer() -> list[tuple[Answer, Prompt | None]]:
        questions, images = [frame.question for frame, *_ in waiting], [own for *_, own in waiting]
        if prompter is None:
            return [(one, None) for one in ask(images, questions, [sample.image_roles for _, sample, _ in waiting])]
        contexts = [Context.of(sample) for _, sample, _ in waiting]
        return [*ask_prompted(ask, prompter, [own[0] for own in images], questions, contexts)]

    def run() -> None:
        nonlocal timed, warm, meter, spent
        if not waiting:
            return
        batch = len(waiting)
        if batch == 1 and not warm:
            for _ in range(WARMUP):
                answer()
            warm = True
            if isinstance(ask, Engine):
                ask.meter.clear()
            if prompter is not None:
                prompter.spent = type(prompter.spent)()
        told = [
            Prediction(frame.key, frame.id, a.text, a.advisory, a.confidence, a.ms, batch, p.to_dict() if p else None)
            for (frame, *_), (a, p) in zip(waiting, answer(), strict=True)
        ]
        store.add(told)
        rows.extend((item[0], prediction) for item, prediction in zip(waiting, told, strict=True))
        timed += batch == 1
        if isinstance(ask, Engine) and ask.meter.calls == timed:  # none yet in larger batches
            meter = copy.deepcopy(ask.meter)
        if prompter is not None and prompter.spent.frames == timed:
            spent = copy.copy(prompter.spent)
        waiting.clear()

    chosen = source.indices(settings.limit)
    for index in progress(chosen, f"evaluate {source.name}"):
        try:
            sample = source.samples[index]
            question = _question(sample, settings)
            frame = frame_of(index, sample, question, settings.fit, size, limit, prompter.digest if prompter else "")
            known = store.found.get(frame.key)
            if known is not None:
                if frame.id not in store.by_id:  # the same picture under another name
                    store.add([replace(known, id=frame.id)])
                rows.append((frame, known))
                continue
            images = (sample.image(0),) if prompter else fitted(sample, size, settings.fit)
            waiting.append((frame, sample, images))
        except InputError as error:
            say(f"skipped {error}")
            skipped += 1
            continue
        batch = 1 if timed < settings.latency_frames else settings.batch
        if len(waiting) >= batch:
            run()
    run()
    if not rows:
        raise InputError(f"{source.name}: no readable frame asks for an advisory; give rows of task 'advisory'")
    return sorted(rows, key=lambda row: row[0].index), skipped, meter, spent


def frame_of(
    index: int,
    sample: Sample,
    question: str,
    fit: Fit,
    size: tuple[int, int] | None,
    limit: int | None,
    prompts: str = "",
) -> Frame:
    if not sample.images:
        raise InputError(f"sample {sample.id}: it has no picture")
    picture = hashlib.sha256(b"".join(p.bytes for p in sample.images)).hexdigest()[:16]
    width, height = sample.images[0].size()
    shown = size or (width, height)
    scale = shown[0] / width * min(1.0, (limit / (shown[0] * shown[1])) ** 0.5 if limit else 1.0)
    conditions = dict(sample.conditions)
    origin = str(conditions.get("origin") or "")
    key = digest([picture, question, fit, *([prompts] if prompts else [])])
    return Frame(
        index, sample.id, key, question, sample.truth or Truth.unknown(), sample.cluster,
        origin, sample.twin_of, scale, conditions,
    )  # fmt: skip


def _question(sample: Sample, settings: Settings) -> str:
    return settings.question or sample.question


def _known(truth: Truth) -> bool:
    facts = (truth.speed_kmh, truth.light_state, truth.obstacles_any, truth.crossroad_any)
    return any(fact is not None for fact in (*facts, *truth.obstacles.values(), *truth.crossroad.values()))


def _percentile(values: Sequence[float], q: float) -> float | None:
    import numpy as np

    return float(np.percentile(values, q)) if values else None
