"""Supervised training on questions: the language part on cached visual tokens, then everything end to end.

With the vision tower frozen its tokens are computed once for a few augmented copies of each frame, and a step costs a
quarter. End to end the tower learns on, held to what it saw in dense pre-training by the same loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.errors import InputError
from pacenote.training.augment import SEEN, Strength, crop_of, view_of
from pacenote.training.batches import IGNORE
from pacenote.training.frames import Frames, Record
from pacenote.training.kd import KdOptions
from pacenote.training.order import members_of, order_of, step_count
from pacenote.training.packs import Pack, Packer, answer_loss, collate_packs, embed, hidden_states
from pacenote.training.questions import Ask, ask, plain
from pacenote.training.shared import Shared, stamp
from pacenote.training.targets import cells_of
from pacenote.training.tokens import TokenCache, cache_tokens, picture_grids, seen_record

if TYPE_CHECKING:
    import numpy as np

    from pacenote.models import Family, Model

ONE_CROP = 0.75  # chance of each crop that is there, where crops are shown
MILD = Strength(photometric=1.0, zoom=0.15, zoomed=0.4, flip=0.5, cutout=0.15)


@dataclass(frozen=True)
class SftOptions:
    """Options of a `language` stage (vision and projector frozen, tokens cached for `copies` views of each frame) and
    of a `full` stage (each step encodes fresh views; `copies` is not read)."""

    epochs: float = 10.0  # passes over the frames
    steps: int = 0  # of the optimizer, in place of epochs
    batch: int = 16
    accumulate: int = 1
    asks: int = 4  # questions a frame and step
    crop: float = 0.25  # share of steps of a frame that show crops of it beside it
    looks: bool = False  # `language`: crops of what the tower finds likely, not of where the truth has a light
    copies: int = 4
    lr: dict[str, float] = field(default_factory=lambda: {"language": 1e-3, "head": 1e-3})  # absent or 0 = frozen
    muon: float = 0.0  # hidden matrices take Muon steps of so many times their part's rate; 0 = AdamW for all
    weight_decay: float = 0.05
    warmup: float = 0.08
    dense_weight: float = 0.0  # of the cells' loss beside the answers'
    teacher: str = ""  # `language`: a model of the same vocabulary that gives soft labels, looking at the same views
    kd: KdOptions = KdOptions()
    augment: Strength = MILD
    shares: tuple[float, ...] = ()  # of each Dataset, in their order; () = one heap
    compile: bool = False
    seed: int = 0


def parameter_groups(model: Any, family: Family, rates: dict[str, float], muon: float = 0.0) -> list[dict[str, Any]]:
    """Optimizer groups by part with their learning rates; every other parameter is frozen. `muon` goes to the parts'
    hidden matrices, not to embeddings: a token that is rare must not move as far as a common one.

    Raises InputError on a part that the family lacks or when nothing is left to train.
    """
    from pacenote.models import PARTS

    for part in rates:
        if part not in PARTS:
            raise InputError(f"lr: unknown part '{part}'; the parts are {', '.join(PARTS)}")
    groups: dict[tuple[str, bool], list[Any]] = {(part, table): [] for part in PARTS for table in (False, True)}
    tables = [module.weight for module in (model.get_input_embeddings(), model.get_output_embeddings()) if module]
    for name, parameter in model.named_parameters():
        part = family.part(name)
        parameter.requires_grad_(rates.get(part, 0.0) > 0 and parameter.is_floating_point())  # 4-bit weights cannot
        if parameter.requires_grad:
            groups[part, any(parameter is table for table in tables)].append(parameter)
    found = [
        {"params": p, "lr": rates[part], "part": part, "muon": 0.0 if table else muon}
        for (part, table), p in groups.items()
        if p
    ]
    if not found:
        raise InputError("lr: every part is frozen; give at least one part a learning rate above 0")
    return found


def draw_asks(record: Record, rng: np.random.Generator, count: int, width: float) -> list[Ask]:
    """`count` questions about a view; the first is most often the neutral request that a Dataset asks."""
    asks: list[Ask] = []
    first = plain(record)
    if any(weight for _, weight in first.answer) and rng.random() < 0.5:
        asks.append(first)
    while len(asks) < count:
        one = ask(record, rng, width)
        if one is None:
            break
        asks.append(one)
    return asks


# --- language stage: cached tokens ---------------------------------------------------------------------------------


class CachedStream:
    """Item k: a cached view and fresh questions about it, with a teacher's tokens of the same view where there is one.
    A function of (seed, k) alone."""

    def __init__(
        self,
        cache: TokenCache,
        order: Callable[[int], int],
        packer: Packer,
        length: int,
        options: SftOptions,
        taught: TokenCache | None = None,
    ) -> None:
        self.cache, self.order, self.packer, self.length = cache, order, packer, length
        self.options, self.taught = options, taught
        self.grids = picture_grids(packer.model)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, k: int) -> tuple[Pack, list[list[np.ndarray]]]:
        import numpy as np

        rng = np.random.default_rng((self.options.seed, 3, k))
        index = self.order(k)
        cropped = bool(rng.random() < self.options.crop)
        asks = draw_asks(self.cache.records[index], rng, self.options.asks, SEEN[0])
        kinds = [int(kind) for kind in np.flatnonzero(self.cache.there[index])] if cropped else []
        if self.options.looks:
            kinds = [kind for kind in kinds if rng.random() < ONE_CROP]
        pack = self.packer.pack(asks, (self.grids[0], *[self.grids[1]] * len(kinds)))
        caches = [self.cache] if self.taught is None else [self.cache, self.taught]
        return pack, [[one.frames[index], *(one.crops[index, kind] for kind in kinds)] for one in caches]


def collate_cached(items: list[tuple[Pack, list[list[np.ndarray]]]], pad_id: int) -> dict[str, Any]:
    """Batch of packs with `tokens` (visual tokens of the batch in order, width) bf16, and the teacher's `taught`."""
    import numpy as np
    import torch

    batch = collate_packs([pack for pack, _ in items], pad_id)
    for name, parts in zip(("tokens", "taught"), zip(*(own for _, own in items), strict=True), strict=False):
        tokens = np.concatenate([part for own in parts for part in own])
        batch[name] = torch.from_numpy(tokens).view(torch.bfloat16)
    return batch


def cached_loss(model: Any, batch: dict[str, Any], items: Any) -> Any:
    """Loss of a batch whose visual tokens are at hand."""
    return answer_loss(model, embed(model, batch["input_ids"], batch["tokens"]), batch, items)


class TaughtLoss:
    """Hard labels and the soft ones of a teacher that answers the same questions about the same views."""

    def __init__(self, teacher: Any, kd: KdOptions, top: int = 64) -> None:
        self.teacher, self.kd, self.top = teacher.eval().requires_grad_(False), kd, top

    def __call__(self, model: Any, batch: dict[str, Any], items: Any) -> Any:
        import torch

        from pacenote.training.kd import SoftLabels, kd_loss

        chosen = batch["labels"] != IGNORE
        teacher = self.teacher.to(batch["input_ids"].device)
        with torch.no_grad():
            embeds = embed(teacher, batch["input_ids"], batch["taught"])
            theirs = hidden_states(teacher, embeds, batch["positions"], batch["segments"])[chosen]
            logits = teacher.get_output_embeddings()(theirs).float() / self.kd.temperature
            best = logits.log_softmax(-1).topk(min(self.top, logits.shape[-1]), -1)
        embeds = embed(model, batch["input_ids"], batch["tokens"])
        hidden = hidden_states(model, embeds, batch["positions"], batch["segments"])[chosen]
        soft = SoftLabels(best.indices, best.values)
        labels, weights = batch["labels"][chosen], batch["weights"][chosen]
        return kd_loss(hidden, model.get_output_embeddings(), labels, soft, self.kd, weights, items)


def train_language(
    model: Model,
    frames: Frames,
    options: SftOptions,
    out: Path,
    device: str = "auto",
    *,
    sizes: Sequence[int] = (),
    shared: Shared | None = None,
) -> None:
    """The `language` stage, in place; resumes from checkpoints in `out`. `sizes`: frames of each Dataset among them.
    `shared` keeps the teacher's tokens (default: in `out`)."""
    from functools import partial

    from pacenote.models import resolve
    from pacenote.training.loop import fit

    look = None
    if options.looks:
        from pacenote.experts.look import TowerLook

        look = TowerLook(model)
    cache = cache_tokens(model, frames, options.copies, options.augment, out / "tokens", look)
    taught: TokenCache | None = None
    loss: Any = cached_loss
    if options.teacher:
        teacher = teacher_of(model, options.teacher)
        key = (stamp(Path(resolve(options.teacher))), options.copies, options.augment, *([look.digest] if look else []))
        with (shared or Shared(out)).place("tokens", *key) as place:
            taught = cache_tokens(teacher, frames, options.copies, options.augment, place, look)
        loss = TaughtLoss(teacher.model, options.kd)
    packer = Packer(model)
    steps = step_count(options, len(frames))
    order = order_of(members_of(sizes or [len(frames)], options.copies), options.shares, options.seed)
    stream = CachedStream(cache, order, packer, steps * options.batch * options.accumulate, options, taught)
    groups = parameter_groups(model.model, model.family, options.lr, options.muon)
    fit(
        model.model, stream, partial(collate_cached, pad_id=model.processor.tokenizer.pad_token_id), out, steps=steps,
        batch=options.batch, accumulate=options.accumulate, groups=groups, warmup=options.warmup,
        weight_decay=options.weight_decay, seed=options.seed, device=device, loss=loss, compile=options.compile,
    )  # fmt: skip


def teacher_of(student: Model, name: str) -> Model:
    """The teacher `name`. Raises InputError where it has another vocabulary or other visual tokens than the student."""
    import torch

    from pacenote.models import load
    from pacenote.training.cache import tokenizer_digest

    teacher = load(name, dtype=torch.float32)
    if teacher.family is not student.family or picture_grids(teacher) != picture_grids(student):
        raise InputError(f"{name}: sees pictures in other pieces than the student; use a teacher cache (a tune stage)")
    if tokenizer_digest(teacher.tokenizer) != tokenizer_digest(student.tokenizer):
        raise InputError(f"{name}: has another vocabulary than the student; soft labels need the same token ids")
    return teacher


# --- full stage: end to end ----------------------------------------------------------------------------------------


class LiveStream:
    """Item k: a fresh view of a frame with its cells and questions; a function of (seed, k) alone."""

    def __init__(
        self, frames: Frames, order: Callable[[int], int], packer: Packer, length: int, options: SftOptions
    ) -> None:
        self.frames, self.order, self.packer, self.length, self.options = frames, order, packer, length, options
        self.grids = picture_grids(packer.model)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, k: int) -> dict[str, Any]:
        import numpy as np

        frames, options = self.frames, self.options
        rng = np.random.default_rng((options.seed, 5, k))
        index = self.order(k)
        seen = view_of(frames, index, rng, options.augment)
        cropped = bool(rng.random() < options.crop)
        asks = draw_asks(seen_record(seen), rng, options.asks, SEEN[0])
        cells = cells_of(seen.classes, seen.record.objects)
        return {
            "pack": self.packer.pack(asks, self.grids[: 1 + cropped]),
            "image": seen.image,
            "crop": crop_of(seen, rng, options.augment) if cropped else None,
            "cells": cells if frames.has_map[index] else np.full_like(cells, -1),
        }


def collate_live(items: list[dict[str, Any]], pad_id: int) -> dict[str, Any]:
    """Batch of packs with `images` and `crops` uint8, `cropped` (row of each crop) and `cells`."""
    import numpy as np
    import torch

    batch: dict[str, Any] = collate_packs([one["pack"] for one in items], pad_id)
    batch["images"] = torch.from_numpy(np.stack([one["image"] for one in items]))
    batch["cells"] = torch.from_numpy(np.stack([one["cells"] for one in items]))
    rows = [row for row, one in enumerate(items) if one["crop"] is not None]
    batch["cropped"] = torch.tensor(rows, dtype=torch.long)
    crops = [items[row]["crop"] for row in rows]
    batch["crops"] = torch.from_numpy(np.stack(crops)) if crops else torch.empty(0)
    return batch


class LiveLoss:
    """Answers' loss end to end, plus `weight` times the loss of dense pre-training's frozen heads on the frame."""

    def __init__(self, family: Family, heads: Any = None, weight: float = 0.0, accumulate: int = 1) -> None:
        self.family, self.heads, self.weight, self.accumulate = family, heads, weight, accumulate

    def __call__(self, model: Any, batch: dict[str, Any], items: Any) -> Any:
        import torch

        from pacenote.training.tower import QwenEncoder

        encoder = QwenEncoder(self.family.visual(model))
        frames = encoder(batch["images"])
        rows = batch["cropped"].tolist()
        crops = dict(zip(rows, encoder(batch["crops"]), strict=True)) if rows else {}
        parts = [part for row, own in enumerate(frames) for part in (own, crops.get(row)) if part is not None]
        loss = answer_loss(model, embed(model, batch["input_ids"], torch.cat(parts)), batch, items)
        if self.heads is not None and self.weight:
            loss = loss + self.weight / self.accumulate * self.heads.loss(frames, batch["cells"])
        return loss


def train_full(
    model: Model,
    frames: Frames,
    options: SftOptions,
    out: Path,
    *,
    sizes: Sequence[int] = (),
    heads: Any = None,
    device: str = "auto",
) -> None:
    """The `full` stage, in place; `heads` are the `CellHeads` of pre-training, frozen. Goes on from checkpoints."""
    from functools import partial

    from pacenote.training.loop import fit

    packer = Packer(model)
    steps = step_count(options, len(frames))
    order = order_of(members_of(sizes or [len(frames)]), options.shares, options.seed)
    stream = LiveStream(frames, order, packer, steps * options.batch * options.accumulate, options)
    groups = parameter_groups(model.model, model.family, options.lr, options.muon)
    fit(
        model.model, stream, partial(collate_live, pad_id=model.processor.tokenizer.pad_token_id), out, steps=steps,
        batch=options.batch, accumulate=options.accumulate, groups=groups, warmup=options.warmup,
        weight_decay=options.weight_decay, seed=options.seed, device=device, compile=options.compile,
        loss=LiveLoss(model.family, heads, options.dense_weight, options.accumulate),
    )  # fmt: skip
