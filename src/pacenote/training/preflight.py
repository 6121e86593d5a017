"""`preflight`: everything about a training that can be known before it starts, on a CPU, without a step.

Each row is encoded as training would encode it: placeholders against features, lengths against what the model takes,
answers against the teacher cache. A preview shows what is masked and what is learnt; memory and work are estimated from
the shapes alone, so that `weights=False` needs no more than configuration files.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pacenote.errors import InputError
from pacenote.models.precision import fast_bf16
from pacenote.training.loop import pick_device
from pacenote.training.order import step_count
from pacenote.training.recipe import Stage, TrainRecipe
from pacenote.training.tune import TuneOptions

if TYPE_CHECKING:
    from pacenote.models import Model
    from pacenote.training.batches import Encoded
    from pacenote.training.tune import TuneRow

SHOWN = 5  # ids named of rows with the same fault
GIB = 2**30


@dataclass
class StageReport:
    """What preflight found about one stage. `faults`: reason -> ids of rows (or ""); any makes the training fail."""

    name: str
    kind: str
    rows: int = 0
    checked: int = 0
    tokens: dict[str, float] = field(default_factory=dict)  # mean, max, answer, image
    cached: float | None = None  # share of the samples that the teacher cache has
    parameters: dict[str, int] = field(default_factory=dict)  # total, trained
    memory_gib: dict[str, float] = field(default_factory=dict)
    exaflop: float = 0.0
    steps: int = 0
    preview: str = ""
    faults: dict[str, list[str]] = field(default_factory=dict)
    warnings: dict[str, list[str]] = field(default_factory=dict)

    def fault(self, reason: str, row: str = "") -> None:
        self.faults.setdefault(reason, []).append(row)

    def warn(self, reason: str, row: str = "") -> None:
        self.warnings.setdefault(reason, []).append(row)


def preflight(recipe: TrainRecipe, data: Sequence[str], *, most: int = 0, weights: bool = True) -> list[StageReport]:
    """Check the `tune` stages of `recipe` on the Datasets `data`, at most `most` rows each (0 = all).

    Raises InputError where the model or the data cannot be opened at all; all else is in the reports.
    """
    from pacenote.data.dataset import Dataset
    from pacenote.models import load
    from pacenote.training.cache import TeacherCache
    from pacenote.training.run import Rows

    if "load" not in recipe.model:
        raise InputError(
            f"{recipe.name}: preflight checks trainings of a given model (model.load), not of a new starter"
        )
    answers = TeacherCache(recipe.answers) if recipe.answers else None
    sets = [Dataset.open(name, split=recipe.split) for name in data]
    samples = Rows(sets, recipe.limit, answers, recipe.labelled)
    model = load(recipe.model["load"], weights=weights)
    reports = []
    for stage in recipe.stages:
        report = StageReport(stage.name, stage.kind)
        if isinstance(stage.options, TuneOptions):
            check_stage(stage, model, samples, report, most)
        else:
            report.warn(f"a {stage.kind} stage is not checked: it learns from decoded frames, not from rows")
        reports.append(report)
    return reports


def check_stage(stage: Stage, model: Model, samples: Any, report: StageReport, most: int = 0) -> None:
    """Fill `report` for one tune stage."""
    from pacenote.training.cache import TeacherCache
    from pacenote.training.tune import encode_row, rows_of
    from pacenote.work.progress import progress

    options: TuneOptions = stage.options
    cache = None
    try:
        if options.cache:
            cache = TeacherCache(options.cache)
            cache.check_tokenizer(model.tokenizer, model.name)
        rows = rows_of(samples, cache)
        if cache is not None and rows[0].taught is not None:
            report.cached = len({row.index for row in rows}) / len(samples)
            cache.soft_labels(rows[0].taught, options.kd.temperature)
    except InputError as error:
        report.fault(str(error))
        return
    if report.cached is not None and report.cached < 1:
        report.warn(f"the cache has {report.cached:.0%} of the samples; the others are not trained on")
    report.rows = len(rows)
    every = max(1, len(rows) // most) if most else 1
    lengths: list[int] = []
    answers: list[int] = []
    images: list[int] = []
    token = model.model.config.image_token_id
    limit = int(getattr(model.model.config.get_text_config(), "max_position_embeddings", 0) or 0)
    for row in progress(rows[::every], f"check {stage.name}", len(rows[::every])):
        sample = samples[row.index]
        stray = [t for t in model.family.placeholders if t in row.question]
        if stray:
            report.warn(f"placeholder {stray[0]} in the question is removed", sample.id)
        try:
            one = encode_row(model, sample, row)
        except InputError as error:
            report.fault(str(error).replace(f"sample {sample.id}: ", ""), sample.id)
            continue
        if limit and one.length > limit:
            report.fault(f"longer than the {limit} tokens that the model takes; nothing is truncated", sample.id)
        if not any(one.weights):
            report.warn("nothing of its answer is learnt", sample.id)
        lengths.append(one.length)
        answers.append(len(one.answer))
        images.append(int((one.inputs["input_ids"] == token).sum()))
        if not report.preview:
            report.preview = preview(model, one, row)
    report.checked = len(rows[::every])
    if lengths:
        mean = sum(lengths) / len(lengths)
        report.tokens = {
            "mean": round(mean, 1), "max": max(lengths), "answer": round(sum(answers) / len(answers), 1),
            "image": round(sum(images) / len(images), 1),
        }  # fmt: skip
    check_fit(model, options, report, lengths)


def check_fit(model: Model, options: TuneOptions, report: StageReport, lengths: Sequence[int] = ()) -> None:
    """What of `model` a tune stage trains, and what that takes; without `lengths` (tokens of rows) no activations."""
    from pacenote.training.tune import adapt, tune_groups

    report.steps = step_count(options, report.rows)
    try:
        if options.lora.r:
            wrapper = adapt(model.model, model.family, options.lora)
        groups = tune_groups(model.model, model.family, options)
    except InputError as error:
        report.fault(str(error))
        return
    trained = sum(p.numel() for group in groups for p in group["params"])
    estimate(report, model, options, trained, lengths)
    if options.lora.r:
        model.model = wrapper.unload()


def preview(model: Model, one: Encoded, row: TuneRow) -> str:
    """One example as the model reads it: what is masked, with its image tokens counted, and what is learnt."""
    token = model.model.config.image_token_id
    text = ""
    for image, run in itertools.groupby(one.inputs["input_ids"][0].tolist(), lambda value: value == token):
        ids = list(run)
        text += f"<{len(ids)} image tokens>" if image else model.tokenizer.decode(ids)
    learnt = model.tokenizer.decode([i for i, w in zip(one.answer, one.weights, strict=True) if w])
    ignored = sum(not w for w in one.weights)
    note = f"\n({ignored} answer tokens have no hard label)" if ignored else ""
    taught = f"\n(soft labels for {len(row.taught)} tokens)" if row.taught is not None else ""
    return f"[masked]\n{text}\n[learnt]\n{learnt}{note}{taught}"


def estimate(report: StageReport, model: Model, options: TuneOptions, trained: int, lengths: Sequence[int]) -> None:
    """Memory and work from the shapes: weights in float32, as they are trained, gradients and Adam's two moments of
    what learns, the stored activations of the language part, one chunk of logits; work as 2 (forward) + 2 (gradients of
    activations) + 2 (of weights, where they learn) operations a parameter and token (Kaplan et al. 2020, section 2.1).
    """
    numbers = [(p.numel(), _bytes(model, name, p, options)) for name, p in model.model.named_parameters()]
    total = sum(count for count, _ in numbers)
    size = 2 if fast_bf16(pick_device()) else 4  # of activations
    text = model.model.config.get_text_config()
    longest, mean = max(lengths, default=0), sum(lengths) / max(1, len(lengths))
    layers, width = int(text.num_hidden_layers), int(text.hidden_size)
    # What a block keeps for its backward pass, in numbers a token: about 14 widths and the MLP's three products.
    block = 14 * width + 3 * int(text.intermediate_size)
    kept = (layers * width + block) if options.checkpointing else layers * block
    chunk = min(options.kd.chunk, options.batch * longest)
    report.parameters = {"total": total, "trained": trained}
    parts = {
        "weights": sum(count * each for count, each in numbers), "gradients": trained * 4, "optimizer": trained * 8,
        "activations": options.batch * longest * kept * size, "logits": 3 * chunk * int(text.vocab_size) * 4,
    }  # fmt: skip
    report.memory_gib = {name: round(value / GIB, 3) for name, value in parts.items()}
    report.memory_gib["total"] = round(sum(parts.values()) / GIB, 3)
    share = 4 + 2 * trained / max(1, total) + (2 if options.checkpointing else 0)
    tokens = report.steps * options.batch * options.accumulate * mean
    report.exaflop = share * total * tokens / 1e18


NF4_BYTES = 0.52  # a weight in 4 bits, and its share of the scales (QLoRA, section 3)


def _bytes(model: Model, name: str, parameter: Any, options: TuneOptions) -> float:
    """How much a parameter takes while it is trained: float32, or 4 bits where a base is held so."""
    held = options.lora.bits and parameter.ndim == 2 and model.family.part(name) == "language" and ".lora_" not in name
    return NF4_BYTES if held else 4.0


def as_text(reports: Sequence[StageReport], tflops: float = 0.0) -> str:
    """The reports for a terminal; with `tflops` (what the machine sustains) an estimate of the time."""
    lines = []
    for one in reports:
        lines.append(f"{one.name} ({one.kind})")
        if one.rows:
            lines.append(f"  {one.rows} rows, {one.checked} checked; tokens {_pairs(one.tokens)}")
        if one.cached is not None:
            lines.append(f"  teacher cache: {one.cached:.1%} of the samples")
        if one.parameters:
            lines.append(f"  parameters {_pairs(one.parameters)}; {one.steps} steps; {one.exaflop:.3g} exaflop")
            lines.append(f"  memory (estimate, GiB): {_pairs(one.memory_gib)}")
        if tflops and one.exaflop:
            hours = one.exaflop * 1e18 / (tflops * 1e12) / 3600
            lines.append(f"  time at {tflops:g} TFLOPS sustained: {hours:.2f} h")
        if one.preview:
            lines += ["  first example:", *(f"    {line}" for line in one.preview.splitlines())]
        for word, found in (("warning", one.warnings), ("FAULT", one.faults)):
            for reason, rows in found.items():
                ids = [row for row in rows if row]
                named = ", ".join(ids[:SHOWN]) + (f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else "")
                lines.append(f"  {word}: {reason}{f' ({len(ids)} rows: {named})' if ids else ''}")
    return "\n".join(lines)


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {value:,}" if isinstance(value, int) else f"{name} {value:g}" for name, value in values.items()
    )


def faults(reports: Sequence[StageReport]) -> Counter[str]:
    """How many rows (or stages) each fault has."""
    return Counter({reason: len(rows) for one in reports for reason, rows in one.faults.items()})
