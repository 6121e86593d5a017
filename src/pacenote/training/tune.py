"""`tune`: supervised fine-tuning and distillation of any family, all of it or through a LoRA.

Rows are those of a Dataset with their truth, or those of a teacher cache with the teacher's soft labels beside it
(paper A, eq. 1). Everything goes through the family's own processor and forward pass, so that what is trained is what
is asked later; the small models that ship have a faster way of their own (`sft`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.advisory import ADVISE
from pacenote.errors import InputError, PacenoteError
from pacenote.training.kd import KdOptions
from pacenote.work.progress import say

if TYPE_CHECKING:
    from pacenote.data.sample import Sample
    from pacenote.models import Family, Model
    from pacenote.training.batches import Encoded
    from pacenote.training.cache import CacheRow, TeacherCache


PIXELS_A_TOKEN = 28 * 28  # of Qwen2.5-VL; other families differ by a factor, which changes no order


@dataclass(frozen=True)
class LoraOptions:
    """Low-rank adapters W + alpha / r B A (paper A, eq. 2) on the linear layers of `parts`; `r` 0 = none. `rslora`
    scales by alpha / sqrt(r) (Kalajdzievski 2023), `dora` learns magnitudes apart (Liu et al. 2024); `bits` 4 holds the
    language part in NF4 meanwhile (QLoRA, Dettmers et al. 2023) and merges into the weights as they were."""

    r: int = 0
    alpha: float = 32.0
    dropout: float = 0.0
    parts: tuple[str, ...] = ("language",)
    rslora: bool = False
    dora: bool = False
    bits: int = 0  # 0 = as it is, or 4

    def __post_init__(self) -> None:
        if self.bits not in (0, 4):
            raise ValueError(f"bits must be 0 (as they are) or 4, not {self.bits}")


@dataclass(frozen=True)
class TuneOptions:
    """Options of a `tune` stage. `lr` by part; absent or 0 = frozen; a part with an adapter trains the adapter alone.
    `cache`: a teacher cache of the same Datasets; its rows are what is trained on, and `kd` says how."""

    epochs: float = 3.0
    steps: int = 0  # of the optimizer, in place of epochs
    batch: int = 8
    accumulate: int = 1
    lr: dict[str, float] = field(default_factory=lambda: {"language": 1e-4})
    lora: LoraOptions = LoraOptions()
    cache: str = ""
    kd: KdOptions = KdOptions()
    weight_decay: float = 0.01
    warmup: float = 0.05
    checkpointing: bool = False  # recompute activations: less memory, a third more time
    shares: tuple[float, ...] = ()  # of each Dataset, in their order; () = one heap
    by_length: bool = False  # rows of like length in the same batch: less padding
    checks: int = 0  # times that the model is asked about the dev split; the best one is kept
    patience: int = 0  # checks without a better one after which the stage ends; 0 = never
    report_to: tuple[str, ...] = ("tensorboard",)
    seed: int = 0


@dataclass(frozen=True)
class TuneRow:
    """One example: the place of its sample among the samples, a question, the answer in weighted pieces, and the
    teacher's row where there is one."""

    index: int
    question: str
    pieces: tuple[tuple[str, float], ...]
    taught: CacheRow | None = None


def rows_of(samples: Sequence[Sample], cache: TeacherCache | None) -> list[TuneRow]:
    """The examples of `samples`: with a cache all that it holds of them, without one the neutral question each.

    Raises InputError when there is nothing to learn from.
    """
    from pacenote.training.teach import neutral

    found = []
    for index in range(len(samples)):
        sample = samples[index]
        if not sample.images:
            continue
        if cache is not None:
            found += [TuneRow(index, row.question, ((row.answer, 1.0),), row) for row in cache.rows.get(sample.id, ())]
            continue
        first = neutral(sample)
        if any(weight for _, weight in first.answer):
            found.append(TuneRow(index, first.question, first.answer))
    if not found:
        where = (
            f"the cache {cache.path} has none of the samples" if cache else "no sample has an answer or a known truth"
        )
        raise InputError(f"nothing to train on: {where}; check --data")
    return found


class RowStream:
    """Rows in a fixed order, encoded as they are needed."""

    def __init__(
        self,
        model: Model,
        samples: Sequence[Sample],
        rows: Sequence[TuneRow],
        order: Callable[[int], int],
        length: int,
    ) -> None:
        self.model, self.samples, self.rows, self.order, self.length = model, samples, rows, order, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, k: int) -> tuple[Encoded, TuneRow]:
        row = self.rows[self.order(k)]
        return encode_row(self.model, self.samples[row.index], row), row


def length_of(model: Model, sample: Sample, row: TuneRow) -> int:
    """About how many tokens a row is, without decoding its pictures: text as it is, pictures by their pixels."""
    from pacenote.models.frames import frame_size, pixel_limit

    text = row.question + "".join(words for words, _ in row.pieces)
    size, limit = frame_size(model), pixel_limit(model)
    area = 0
    for picture in sample.images:
        width, height = size or picture.size()
        area += min(width * height, limit or width * height)
    return len(model.tokenizer(text, add_special_tokens=False)["input_ids"]) + area // PIXELS_A_TOKEN


def encode_row(model: Model, sample: Sample, row: TuneRow) -> Encoded:
    """A row as inputs. Raises InputError where the answer's tokens are not those that the cache holds."""
    from pacenote.models.frames import fitted, frame_size
    from pacenote.training.batches import encode

    one = encode(model, sample.id, fitted(sample, frame_size(model)), row.question, row.pieces, sample.image_roles)
    if row.taught is not None and one.answer != tuple(row.taught.answer_ids.tolist()):
        raise InputError(
            f"sample {sample.id}: its answer has other tokens than in the teacher cache; was it made with another"
            " tokenizer or by an older version? Run pacenote teach again"
        )
    return one


def collate_rows(
    items: Sequence[tuple[Encoded, TuneRow]], model: Model, cache: TeacherCache | None, kd: KdOptions
) -> dict[str, Any]:
    """A batch of `batches.collate` with, for its label rows in order, `hard` weights (N,) and of a cache `soft_ids`
    (N, k) int64 and `soft_logp` (N, k) float32."""
    import torch

    from pacenote.training.batches import collate

    batch = {**collate([one for one, _ in items], model), "rows": [one.id for one, _ in items]}
    if cache is None:
        return batch
    soft = [cache.soft_labels(row.taught, kd.temperature) for _, row in items if row.taught is not None]
    hard = [torch.from_numpy(row.taught.weights.astype("float32")) for _, row in items if row.taught is not None]
    return {
        **batch, "hard": torch.cat(hard),
        "soft_ids": torch.cat([one.ids for one in soft]), "soft_logp": torch.cat([one.logp for one in soft]),
    }  # fmt: skip


class RowLoss:
    """The loss of a batch: hard labels, and soft ones where the batch carries them."""

    def __init__(self, kd: KdOptions) -> None:
        self.kd = kd

    def __call__(self, model: Any, batch: dict[str, Any], items: Any) -> Any:
        import torch

        from pacenote.training.batches import answer_rows
        from pacenote.training.kd import SoftLabels, kd_loss

        own = {name: value for name, value in batch.items() if name not in ("hard", "soft_ids", "soft_logp", "rows")}
        hidden, labels, weights = answer_rows(model, own)
        head = model.get_output_embeddings()
        if "soft_ids" not in batch:
            loss = kd_loss(hidden, head, labels, None, self.kd, weights, items)
        else:
            soft = SoftLabels(batch["soft_ids"], batch["soft_logp"])
            loss = kd_loss(hidden, head, labels, soft, self.kd, batch["hard"], items, torch.ones_like(weights))
        return loss


def adapt(model: Any, family: Family, options: LoraOptions) -> Any:
    """Put a LoRA on the linear layers of the parts, in place; returns peft's wrapper, which saves and merges it.

    Raises InputError on an unknown part or when no layer fits.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    from pacenote.models import PARTS

    for part in options.parts:
        if part not in PARTS:
            raise InputError(f"lora: unknown part '{part}'; the parts are {', '.join(PARTS)}")
    leaves = {"language": family.linear, "vision": family.vision_linear}
    names = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
        and (part := family.part(f"{name}.weight")) in options.parts
        and (part not in leaves or name.rsplit(".", 1)[-1] in leaves[part])
    ]
    if not names:
        raise InputError(f"lora: no linear layer in {', '.join(options.parts)}")
    config = LoraConfig(
        r=options.r, lora_alpha=options.alpha, lora_dropout=options.dropout, target_modules=names,
        use_rslora=options.rslora, use_dora=options.dora, bias="none",
    )  # fmt: skip
    return get_peft_model(model, config)


def tune_groups(model: Any, family: Family, options: TuneOptions) -> list[dict[str, Any]]:
    """Optimizer groups by part; what has no rate is frozen, and under an adapter the base is.

    Raises InputError on an unknown part or when every part is frozen.
    """
    from pacenote.training.sft import parameter_groups

    adapted = set(options.lora.parts) if options.lora.r else set()
    groups = parameter_groups(model, family, options.lr)
    if not adapted:
        return groups
    kept = []
    for group in groups:
        if group["part"] in adapted:
            mine = {id(p) for name, p in model.named_parameters() if ".lora_" in name}
            for parameter in group["params"]:
                parameter.requires_grad_(id(parameter) in mine)
            group = {**group, "params": [p for p in group["params"] if id(p) in mine]}
        if group["params"]:
            kept.append(group)
    return kept


def tune(
    model: Model,
    samples: Sequence[Sample],
    options: TuneOptions,
    out: Path,
    device: str = "auto",
    *,
    sizes: Sequence[int] = (),
    dev: Sequence[Sample] = (),
) -> dict[str, Any]:
    """Train `model` in place; an adapter ends up merged into it and saved beside, in `out/adapter`. Goes on from
    checkpoints in `out`. `sizes`: samples of each Dataset among them, for `shares`; `dev`: those that `checks` ask
    about. Returns its figures."""
    from functools import partial

    import torch

    from pacenote.models import load
    from pacenote.training.cache import TeacherCache
    from pacenote.training.judge import dev_judge
    from pacenote.training.loop import fit, one_writes, read_checkpoint, sharded
    from pacenote.training.order import by_length, members_among, order_of, step_count

    cache = None
    if options.cache:
        cache = TeacherCache(options.cache)
        cache.check_tokenizer(model.tokenizer, model.name)
    rows = rows_of(samples, cache)
    if options.lora.bits:
        model.model = load(model.name, device=str(model.device), dtype=torch.float32, nf4=True).model
        model.model.requires_grad_(False)
    wrapper = adapt(model.model, model.family, options.lora) if options.lora.r else None
    groups = tune_groups(model.model, model.family, options)
    trained = sum(p.numel() for group in groups for p in group["params"])
    say(f"{len(rows)} examples{', ' + str(len(cache)) + ' taught' if cache else ''}; {trained} parameters learn")
    if options.checkpointing:
        model.model.gradient_checkpointing_enable({"use_reentrant": False})
    steps = step_count(options, len(rows))
    order = order_of(members_among(sizes or [len(samples)], [r.index for r in rows]), options.shares, options.seed)
    if options.by_length:
        lengths = [length_of(model, samples[row.index], row) for row in rows]
        order = by_length(order, lengths, options.batch, options.seed)
    stream = RowStream(model, samples, rows, order, steps * options.batch * options.accumulate)
    judge = dev_judge(model, dev, options.checks, options.patience)
    metrics = fit(
        model.model, stream, partial(collate_rows, model=model, cache=cache, kd=options.kd), out, steps=steps,
        batch=options.batch, accumulate=options.accumulate, groups=groups, warmup=options.warmup,
        weight_decay=options.weight_decay, seed=options.seed, device=device, loss=RowLoss(options.kd), judge=judge,
        report_to=options.report_to,
    )  # fmt: skip
    if options.checkpointing:
        model.model.gradient_checkpointing_disable()
    if sharded() or options.lora.bits:  # the trained weights are in pieces, or on a base of 4 bits: put them together
        model.model = load(model.name, device=str(model.device), dtype=torch.float32).model
        wrapper = adapt(model.model, model.family, options.lora) if options.lora.r else None
        tune_groups(model.model, model.family, options)
        read_checkpoint(model.model, out)
    if wrapper is not None:
        with one_writes() as mine:
            if mine:
                wrapper.save_pretrained(out / "adapter")
        model.model = merged(wrapper, stream[0][0], model)
    return {"examples": len(rows), "trained": trained, **metrics}


def merged(wrapper: Any, probe: Encoded, model: Model, tolerance: float = 2e-3) -> Any:
    """The base model with the adapter merged into its weights. Raises PacenoteError where its answers differ from the
    adapted model's: an adapter that silently does nothing after a rename is found here."""
    import torch

    from pacenote.training.batches import answer_rows, collate

    batch = {name: value.to(model.device) for name, value in collate([probe], model).items()}

    def logits(base: Any) -> Any:
        with torch.inference_mode():
            return base.get_output_embeddings()(answer_rows(base, batch)[0]).float()

    base = wrapper.base_model.model.eval()
    before = logits(base)
    base = wrapper.merge_and_unload()
    away = float((logits(base) - before).abs().max() / before.abs().max().clamp(min=1e-6))
    if away > tolerance:
        raise PacenoteError(f"merging the adapter changed the answers by {away:.3g} of the logits; it is kept unmerged")
    return base


def merge_adapter(base: str, adapter: str | Path, out: Path, *, bf16: bool = False) -> dict[str, Any]:
    """Merge a saved adapter into the model `base` and write the whole model to `out`; returns what was checked.

    Raises InputError when the adapter is missing or of another base, PacenoteError when the merged model answers
    otherwise than the adapted one.
    """
    import torch
    from peft import PeftModel
    from PIL import Image

    from pacenote.models import load
    from pacenote.training.batches import encode

    if not (Path(adapter) / "adapter_config.json").is_file():
        raise InputError(f"{adapter}: no adapter here (adapter_config.json is missing)")
    model = load(base, dtype=torch.float32)
    try:
        wrapper = PeftModel.from_pretrained(model.model, str(adapter))
    except (RuntimeError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"{adapter}: is no adapter of {base} ({reason}); give the model that it was trained on"
        ) from None
    probe = encode(model, "probe", [Image.new("RGB", (672, 378), (90, 110, 130))], ADVISE, [("None.", 1.0)])
    adapted = {name: p.detach().clone() for name, p in wrapper.named_parameters() if ".lora_" in name}
    if not adapted or not any(bool(p.any()) for name, p in adapted.items() if "lora_B" in name):
        raise InputError(f"{adapter}: changes nothing in {base}; its names do not fit or it was never trained")
    model.model = merged(wrapper, probe, model)
    model.save(out, torch.bfloat16 if bf16 else None)
    return {"base": base, "adapter": str(adapter), "layers": sum("lora_B" in name for name in adapted)}
