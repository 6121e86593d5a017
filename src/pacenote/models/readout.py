"""Probabilities of the values that a slot may take, read from a model after it has answered.

The answer's own cache is cut back to where the value begins, and every possible value is laid beside the others behind
it: no picture is seen twice. What the value should then be is a matter of the loss: of a number the mean of the
distribution has the least squared error and its median the least absolute one, not its likeliest value (Lukasik et al.
2024, "Regression-aware inference with LLMs").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from pacenote.models.families import Model

RULES = ("greedy", "median", "mean")
SPEED = "mean"  # the rule for the speed, unless told otherwise


def read_out(
    model: Model,
    mask: Tensor,
    cache: Any,
    row: int,
    prefix: Sequence[int],
    options: Sequence[Sequence[int]],
    deltas: Tensor | None = None,
) -> list[float]:
    """Probabilities of `options` (token ids after `prefix`) for one row of a batch that has been answered; sum 1.

    `mask` (B, P): the attention mask of the prompts; `cache`: keys and values of prompts and answers, whose answer in
    `row` begins with `prefix` (at least one token); `deltas` (B, 1): the model's `rope_deltas` after that answer, where
    it has such.
    """
    import torch
    from transformers import DynamicCache

    count, keep = len(options), mask.shape[1] + len(prefix) - 1
    longest = max(len(option) for option in options)
    own = DynamicCache()
    for index, layer in enumerate(cache.layers):
        parts = (part[row : row + 1, :, :keep].expand(count, -1, -1, -1) for part in (layer.keys, layer.values))
        own.update(*parts, index)
    # The last token of the prefix is fed again: what it predicts is the first of each option.
    fed = torch.full((count, longest), prefix[-1], dtype=torch.long, device=mask.device)
    wanted = torch.full((count, longest), -1, dtype=torch.long, device=mask.device)
    for number, option in enumerate(options):
        fed[number, 1 : len(option)] = torch.tensor(list(option[:-1]), dtype=torch.long)
        wanted[number, : len(option)] = torch.tensor(list(option), dtype=torch.long)
    whole = torch.cat([mask[row], mask.new_ones(len(prefix) - 1 + longest)]).expand(count, -1)
    positions = (whole.long().cumsum(-1) - 1)[:, -longest:]
    if deltas is not None:  # Qwen2.5-VL counts positions in rows and columns of the picture
        positions = (positions + deltas[row].to(positions.device)).expand(3, -1, -1)
    with torch.inference_mode():
        hidden = model.model.model(
            input_ids=fed, attention_mask=whole, position_ids=positions, past_key_values=own, use_cache=True
        ).last_hidden_state
        logp = model.model.get_output_embeddings()(hidden).float().log_softmax(-1)
        each = logp.gather(-1, wanted.clamp(min=0)[..., None])[..., 0]
        return (each * (wanted >= 0)).sum(-1).softmax(0).tolist()


def decide(values: Sequence[int], probabilities: Sequence[float], rule: str, step: int = 5) -> int:
    """The value that `rule` takes from a distribution over rising `values`: the likeliest, the first that reaches half
    of the probability, or the mean to the nearest multiple of `step`."""
    if rule == "mean":
        mean = sum(v * p for v, p in zip(values, probabilities, strict=True))
        return step * round(mean / step)
    if rule == "median":
        reached = 0.0
        for value, p in zip(values, probabilities, strict=True):
            reached += p
            if reached >= 0.5:
                return value
        return values[-1]
    return max(zip(probabilities, values, strict=True))[1]
