"""A vision tower with heads that say what is in each cell and what the facts of the whole image are.

Only the tower is kept after pre-training. Imports torch: import this module where it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pacenote.training.sights import sight_of
from pacenote.training.targets import FACTS, LIMITS, TARGETS, UNKNOWN

MEAN = (0.48145466, 0.4578275, 0.40821073)  # of the image processor (OPENAI_CLIP_MEAN / STD)
STD = (0.26862954, 0.26130258, 0.27577711)


def patches(images: Tensor, patch: int = 14, merge: int = 2) -> Tensor:
    """uint8 (B, H, W, 3) -> (B, patches, 3 * patch^2) normalised, in the order of the image processor."""
    batch, height, width, _ = images.shape
    x = images.to(torch.float32).div_(255.0).sub_(images.new_tensor(MEAN, dtype=torch.float32))
    x = x.div_(images.new_tensor(STD, dtype=torch.float32))
    if torch.is_autocast_enabled(images.device.type):
        x = x.to(torch.get_autocast_dtype(images.device.type))
    step = patch * merge
    x = x.view(batch, height // step, merge, patch, width // step, merge, patch, 3)
    return x.permute(0, 1, 4, 2, 5, 7, 3, 6).reshape(batch, -1, 3 * patch * patch)


LIMIT_WEIGHT = 0.5  # of `limit_loss` beside the loss of cells


class QwenEncoder(nn.Module):
    """A Qwen2.5-VL tower over uint8 images of one shape: (B, H, W, 3) -> tokens (B, H/28 * W/28, width)."""

    def __init__(self, visual: Any) -> None:
        super().__init__()
        self.visual = visual
        self.width = int(visual.config.out_hidden_size)
        self.patch_width = int(visual.config.hidden_size)
        self.patch, self.merge = int(visual.config.patch_size), int(visual.config.spatial_merge_size)

    def patch_tokens(self, images: Tensor) -> Tensor:
        """(B, H, W, 3) -> (B, H/28 * W/28, merge^2, patch_width): one vector a patch, before they are merged."""
        from pacenote.models.vision import patch_tokens

        grid = (1, images.shape[1] // self.patch, images.shape[2] // self.patch)
        return patch_tokens(self.visual, patches(images, self.patch, self.merge), grid)

    def merged(self, patch_tokens: Tensor) -> Tensor:
        """Tokens of cells from those of their patches."""
        from pacenote.models.vision import merged

        return merged(self.visual, patch_tokens)

    def forward(self, images: Tensor) -> Tensor:
        return self.merged(self.patch_tokens(images))


class FactHeads(nn.Module):
    """Attention pooling over the tokens with learned queries, then one linear layer a fact."""

    def __init__(self, width: int, queries: int = 8) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.score = nn.Linear(width, queries)
        self.value = nn.Linear(width, 64)
        self.out = nn.Linear(queries * 64, sum(FACTS.values()))

    def forward(self, tokens: Tensor) -> tuple[Tensor, ...]:
        x = self.norm(tokens)
        weight = self.score(x).float().softmax(1).to(tokens.dtype)
        pooled = torch.einsum("bnq,bnv->bqv", weight, functional.gelu(self.value(x)))
        return self.out(pooled.flatten(1)).float().split(list(FACTS.values()), 1)


class CellHeads(nn.Module):
    """One linear layer from tokens to logits of targets, with the weights of their loss, both (targets,)."""

    positive: Tensor
    weight: Tensor

    def __init__(self, width: int, positive: Tensor, weight: Tensor) -> None:
        super().__init__()
        self.cells = nn.Linear(width, len(positive))
        nn.init.constant_(self.cells.bias, -3.0)  # most cells lack most classes
        self.register_buffer("positive", positive)
        self.register_buffer("weight", weight / weight.mean())

    def loss(self, tokens: Tensor, cells: Tensor, seen: Tensor | None = None) -> Tensor:
        """Loss of tokens (..., width) against int8 targets (..., targets), or what a teacher has `seen` of them."""
        return cell_loss(self.cells(tokens).float(), cells, self.positive, self.weight, seen)


@dataclass(frozen=True)
class Sight:
    """What a teacher sees in views: its visual `tokens` (B, cells, width) and, as its heads tell, the probabilities of
    `cells` (B, cells, targets), `patches` (B, cells, merge^2, classes) and each of the `facts` (B, values). None where
    it has no such heads."""

    tokens: Tensor
    cells: Tensor | None = None
    patches: Tensor | None = None
    facts: tuple[Tensor, ...] | None = None


class DenseTeacher:
    """A trained tower, with the heads of its training where they are there. No module: no part of what is trained."""

    def __init__(self, encoder: nn.Module, heads: Mapping[str, Tensor] | None = None) -> None:
        self.encoder: Any = encoder.eval().requires_grad_(False)
        self.task: DenseTask | None = None
        if heads is not None:
            fine = heads.get("patch_heads.positive")
            self.task = DenseTask(encoder, heads["heads.positive"], heads["heads.weight"], patch_positive=fine)
            self.task.load_state_dict(dict(heads), strict=False)
            self.task.eval().requires_grad_(False)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Sight:
        """images uint8 (B, H, W, 3)."""
        encoder, task = self.encoder.to(images.device), self.task
        details = encoder.patch_tokens(images)
        tokens = encoder.merged(details)
        if task is None:
            return Sight(tokens.float())
        task.to(images.device)
        return Sight(
            tokens.float(),
            task.heads.cells(tokens).float().sigmoid(),
            None if task.patch_heads is None else task.patch_heads.cells(details).float().sigmoid(),
            tuple(values.softmax(-1) for values in task.facts(tokens)),
        )


class DenseTask(nn.Module):
    """Encoder + heads; `forward` gives the loss, as the Trainer wants it.

    Args: `positive` (targets,) weight of positive cells; `weight` (targets,) weight of targets; `facts_weight` of the
    image-level losses against the cells' loss; `patch_positive` (classes,) weight of positive patches, None = no loss
    of patches (a plain network has none); `teacher`: what is not known of a view is what it sees, and its tokens are to
    be matched with `teacher_weight`. A class named patch by patch tells the tower where in a cell it is.
    """

    def __init__(
        self,
        encoder: nn.Module,
        positive: Tensor,
        weight: Tensor,
        facts_weight: float = 0.3,
        patch_positive: Tensor | None = None,
        teacher: DenseTeacher | None = None,
        teacher_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        width: Any = encoder.width
        self.heads = CellHeads(width, positive, weight)
        self.facts = FactHeads(width)
        self.facts_weight = facts_weight
        self.patch_heads: CellHeads | None = None
        if patch_positive is not None:
            patch_width: Any = encoder.patch_width
            self.patch_heads = CellHeads(patch_width, patch_positive, weight[: len(patch_positive)])
        self.teacher, self.teacher_weight = teacher, teacher_weight
        self.project = None if teacher is None else nn.Linear(width, int(teacher.encoder.width))

    def logits(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Cell logits (B, cells, targets) and one (B, values) tensor a fact, float32."""
        tokens = self.encoder(images)
        return self.heads.cells(tokens).float(), self.facts(tokens)

    def forward(
        self,
        images: Tensor,
        cells: Tensor,
        facts: Tensor,
        patches: Tensor | None = None,
        beliefs: Tensor | None = None,
        sight: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """images uint8 (B, H, W, 3), cells int8 (B, cells, targets), facts int64 (B, facts), patches int8 (B, cells,
        merge^2, classes), `beliefs` float32 (B, values of all facts): see `fact_loss`. `sight`: what the teacher saw
        there, as it is stored; without it the teacher looks now."""
        encoder: Any = self.encoder
        theirs = None if self.teacher is None else sight_of(sight) if sight is not None else self.teacher(images)
        if self.patch_heads is not None and patches is not None:
            details = encoder.patch_tokens(images)
            tokens = encoder.merged(details)
            fine = self.patch_heads.loss(details, patches, None if theirs is None else theirs.patches)
        else:
            tokens = encoder(images)
            fine = tokens.new_zeros((), dtype=torch.float32)
        logits = self.heads.cells(tokens).float()
        seen, told = (None, None) if theirs is None else (theirs.cells, theirs.facts)
        loss = cell_loss(logits, cells, self.heads.positive, self.heads.weight, seen)
        loss = loss + LIMIT_WEIGHT * limit_loss(logits, cells)
        whole = loss + fine + self.facts_weight * fact_loss(self.facts(tokens), facts, beliefs, told)
        if theirs is not None and self.project is not None:
            whole = whole + self.teacher_weight * token_loss(self.project(tokens).float(), theirs.tokens)
        return {"loss": whole, "cell_loss": loss.detach()}


def token_loss(tokens: Tensor, wanted: Tensor) -> Tensor:
    """How far tokens (B, cells, width) are from a teacher's: 1 - cosine, mean over the tokens. It needs no label."""
    mean, spread = wanted.mean((0, 1)), wanted.std((0, 1)) + 1e-5  # no single feature decides the direction
    return 1 - functional.cosine_similarity(tokens, (wanted - mean) / spread, dim=-1).mean()


def cell_loss(logits: Tensor, cells: Tensor, positive: Tensor, weight: Tensor, seen: Tensor | None = None) -> Tensor:
    """Weighted binary cross-entropy over the known entries, per cell the mean over classes. With `seen` an unknown
    entry counts as the probability that a teacher gives it."""
    known, wanted = cells != UNKNOWN, (cells == 1).float()
    if seen is not None:
        wanted, known = torch.where(known, wanted, seen), torch.ones_like(known)
    counted = known.float() * weight
    each = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    each = each * (1 + (positive - 1) * wanted)  # the weight of a positive; it moves no optimum
    return (each * counted).sum() / counted.sum().clamp(min=1.0) * 4.0


def limit_loss(logits: Tensor, cells: Tensor) -> Tensor:
    """Mean cross-entropy of the number over the cells that show a limit: one sign is a few of thousands of entries in
    `cell_loss`, too few to learn digits from."""
    first, last = TARGETS.index(LIMITS[0]), TARGETS.index(LIMITS[-1]) + 1
    numbers = cells[..., first:last] == 1
    shown = numbers.any(-1)
    number = torch.where(shown, numbers.float().argmax(-1), UNKNOWN)
    rows = logits[..., first:last].flatten(0, -2)
    loss = functional.cross_entropy(rows, number.flatten(), ignore_index=UNKNOWN, reduction="sum")
    return loss / shown.sum().clamp(min=1)


def fact_loss(
    logits: tuple[Tensor, ...],
    facts: Tensor,
    beliefs: Tensor | None = None,
    told: tuple[Tensor, ...] | None = None,
) -> Tensor:
    """Mean cross-entropy of the facts that are known somewhere in the batch.

    Args: `facts` int64 (B, facts); `beliefs` (B, values of all facts): probabilities that count in the place of a known
    fact where they are not all 0 (the soft labels of mined frames); `told`: what a teacher says of unknown facts, (B,
    values) each.
    """
    widths = [values.shape[1] for values in logits]
    believed = [None] * len(widths) if beliefs is None else beliefs.split(widths, 1)
    losses = []
    for index, (values, soft) in enumerate(zip(logits, believed, strict=True)):
        target = facts[:, index]
        known = target != UNKNOWN
        wanted = functional.one_hot(target.clamp(min=0), widths[index]).float()
        if soft is not None:
            wanted = torch.where(soft.sum(1, keepdim=True) > 0, soft, wanted)
        if told is not None:
            wanted, known = torch.where(known[:, None], wanted, told[index]), torch.ones_like(known)
        if bool(known.any()):
            each = functional.cross_entropy(values, wanted, reduction="none")
            losses.append((each * known).sum() / known.sum())
    return torch.stack(losses).mean() if losses else logits[0].sum() * 0.0
