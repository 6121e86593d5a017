"""Prompt and answer as model inputs, for any family: what `teach` scores and what `tune` trains on.

The prompt goes through the family's own processor; the answer is tokenised apart and appended, as when the model is
asked. Only its tokens have labels. Nothing is ever truncated: a row whose placeholders and features differ in number is
refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pacenote.errors import InputError

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from pacenote.models import Model

IGNORE = -100
TOKENS = ("input_ids", "attention_mask", "mm_token_type_ids")  # a number for each token; all else belongs to images


@dataclass(frozen=True)
class Encoded:
    """One row: `inputs` as the processor gave them (batch of one), the ids of the answer and their weights (n,)."""

    id: str
    inputs: Mapping[str, Tensor]
    answer: tuple[int, ...]
    weights: tuple[float, ...]

    @property
    def length(self) -> int:
        return int(self.inputs["input_ids"].shape[1]) + len(self.answer)


def pieces_ids(
    tokenizer: Any, end: int, pieces: Sequence[tuple[str, float]]
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Token ids of an answer given in weighted pieces, with the token that ends it, and a weight each."""
    ids: list[int] = []
    weights: list[float] = []
    for words, weight in pieces:
        own = tokenizer(words, add_special_tokens=False)["input_ids"]
        ids += own
        weights += [weight] * len(own)
    return (*ids, end), (*weights, max(weights, default=1.0))


def encode(
    model: Model,
    row: str,
    images: Sequence[Image.Image],
    question: str,
    pieces: Sequence[tuple[str, float]],
    roles: Sequence[str] = (),
) -> Encoded:
    """One row as inputs. Raises InputError naming it where its placeholders do not match its features, or where an
    answer holds a placeholder."""
    inputs = model.inputs([list(images)], [question], [list(roles)] if roles else ())
    token = model.model.config.image_token_id
    found, expected = int((inputs["input_ids"] == token).sum()), model.family.features(inputs, model.model.config)
    if found != expected:
        raise InputError(
            f"sample {row}: {found} image placeholders for {expected} visual features; check its processor"
        )
    ids, weights = pieces_ids(model.tokenizer, model.end_id, pieces)
    if token in ids:
        raise InputError(f"sample {row}: its answer holds an image placeholder; remove it from the answer")
    return Encoded(row, dict(inputs), ids, weights)


def collate(rows: Sequence[Encoded], model: Model, side: str = "right") -> dict[str, Any]:
    """A batch: the inputs of all rows, padded on `side`, with `labels` (B, L) int64 (-100 where nothing is learnt) and
    `label_weights` (B, L) float32."""
    import torch

    length = max(row.length for row in rows)
    batch: dict[str, Any] = {}
    names = [name for name in TOKENS if name in rows[0].inputs]
    fill = {
        "input_ids": model.tokenizer.pad_token_id,
        "attention_mask": 0,
        "mm_token_type_ids": 0,
        "labels": IGNORE,
        "label_weights": 0.0,
    }
    for name in (*names, "labels", "label_weights"):
        batch[name] = torch.stack([_line(row, name, length, fill[name], side) for row in rows])
    for name in {name for row in rows for name in row.inputs if name not in TOKENS}:
        parts = [row.inputs[name] for row in rows if name in row.inputs]
        batch[name] = _pictures(parts, model.family.nested_tiles)
    return batch


def _line(row: Encoded, name: str, length: int, fill: float, side: str) -> Tensor:
    """One row of one tensor of tokens, padded to `length`."""
    import torch

    prompt = int(row.inputs["input_ids"].shape[1])
    if name == "labels":
        own = [IGNORE] * prompt + [t if w else IGNORE for t, w in zip(row.answer, row.weights, strict=True)]
    elif name == "label_weights":
        own = [0.0] * prompt + list(row.weights)  # type: ignore[assignment]
    else:
        rest = {"input_ids": list(row.answer), "attention_mask": [1] * len(row.answer)}
        own = row.inputs[name][0].tolist() + rest.get(name, [0] * len(row.answer))
    padding = [fill] * (length - len(own))
    dtype = torch.float32 if name == "label_weights" else torch.long
    return torch.tensor([*padding, *own] if side == "left" else [*own, *padding], dtype=dtype)


def _pictures(parts: Sequence[Tensor], nested: bool) -> Tensor:
    """Image tensors of several rows as one: one after the other, or nested (rows, tiles, ...) with empty tiles where a
    row has fewer."""
    import torch

    if nested:
        most = max(part.shape[1] for part in parts)
        parts = [torch.cat([p, p.new_zeros((1, most - p.shape[1], *p.shape[2:]))], 1) for p in parts]
    return torch.cat(list(parts))


def answer_rows(model: Any, batch: Mapping[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Last hidden states (N, D) that predict the labels, the labels (N,) and their weights (N,), rows in order."""
    inputs = {name: value for name, value in batch.items() if name not in ("labels", "label_weights")}
    hidden = model.model(**inputs, use_cache=False).last_hidden_state
    chosen = batch["labels"][:, 1:] != IGNORE
    return hidden[:, :-1][chosen], batch["labels"][:, 1:][chosen], batch["label_weights"][:, 1:][chosen]
