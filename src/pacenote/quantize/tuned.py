"""Scales that are tuned: a quantized layer keeps its levels, and its scales learn the 16-bit model's decisions.

The second phase of EfficientQAT (Chen et al. 2024, arXiv 2407.11062, section 3.3: only step sizes learn, end to end).
There the loss is that of text; here it is what the audit counts, KL(16 bits || quantized) among the tokens that the
grammar allows at each decision. Labels are not needed: a frame without them is answered by the 16-bit model itself.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pacenote.errors import InputError, PacenoteError

if TYPE_CHECKING:
    from torch import Tensor

    from pacenote.data.sample import Sample
    from pacenote.models import Model
    from pacenote.quantize.calibrate import Row

# Chosen on the dev split of `streets`, as the starters were: a rate three times this is no nearer after as many steps.
RATE, EPOCHS, BATCH = 1e-3, 3, 4


def answered(model: Model, samples: Sequence[Sample], batch: int = 8) -> list[Sample]:
    """`samples`, those without a whole answer with the model's own (greedy, exact); these are left out where the engine
    cannot drive the model, of which `tune` then says so."""
    from pacenote.engine import asker
    from pacenote.models.frames import fitted, frame_size
    from pacenote.quantize.calibrate import answer_text
    from pacenote.work.progress import bar

    bare = [place for place, sample in enumerate(samples) if answer_text(sample) is None]
    try:
        ask, size = asker(model, "exact", "greedy"), frame_size(model)
    except InputError:
        return [sample for sample in samples if answer_text(sample) is not None]
    told = list(samples)
    with bar("16-bit answers", len(bare)) as advance:
        for start in range(0, len(bare), batch):
            places = bare[start : start + batch]
            own = [samples[place] for place in places]
            answers = ask(
                [fitted(one, size) for one in own], [one.question for one in own], [one.image_roles for one in own]
            )
            for place, answer in zip(places, answers, strict=True):
                told[place] = replace(samples[place], answer=answer.advisory.text())
            advance(len(places))
    return told


def tune(model: Model, layers: dict[str, Any], rows: Sequence[Row], reference: Sequence[Tensor], seed: int) -> None:
    """Tune the scales of the quantized `layers` in place; each weight stays on its level, and activations are not
    rounded meanwhile.

    `reference`: the 16-bit model's log-probabilities of what the grammar allows, for each decision of `rows` in order
    (`calibrate.Measured.logp`); rows of other tasks, which have none, are left out. Raises PacenoteError where all are,
    or the loss is not finite.
    """
    import torch

    from pacenote.quantize.calibrate import answer_logits, choices, kl
    from pacenote.work.progress import bar

    if not reference:
        raise PacenoteError("tuned: no row has a decision of the grammar to tune by; leave tuned out with --methods")
    pairs = [(row, [p.to(model.device, torch.float32) for p in own]) for row, own in _with_decisions(rows, reference)]
    language, head = model.family.language(model.model), model.model.get_output_embeddings()
    levels = {name: _levels(layer) for name, layer in layers.items()}
    first = {name: layer.weight_scale.detach().float() for name, layer in layers.items()}
    deltas = {name: torch.zeros_like(scale, requires_grad=True) for name, scale in first.items()}
    optimizer = torch.optim.Adam(deltas.values(), lr=RATE)
    batches = _batches(len(pairs), seed)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, len(batches))
    weights: dict[str, Tensor] = {}
    rounding = {name: layer.forward for name, layer in layers.items()}  # cuts the gradient; back in place below
    for name, layer in layers.items():
        layer.forward = functools.partial(_through, weights, name, layer.bias)
    with bar("tune scales", sum(map(len, batches))) as advance:
        for batch in batches:
            weights.update({name: _dense(levels[name], first[name] * deltas[name].exp()) for name in layers})
            chosen = [pairs[place] for place in batch]
            told = [kl(wanted, choices(answer_logits(language, head, row), row)) for row, wanted in chosen]
            loss = torch.stack(told).sum()
            if not bool(torch.isfinite(loss)):
                raise PacenoteError("tuned: the divergence is not finite; leave tuned out with --methods")
            slopes = torch.autograd.grad(loss, list(deltas.values()))  # of nothing else: all other weights stay
            for delta, slope in zip(deltas.values(), slopes, strict=True):
                delta.grad = slope
            optimizer.step()
            decay.step()
            advance(len(batch))
    with torch.no_grad():
        for name, layer in layers.items():
            layer.weight_scale.copy_((first[name] * deltas[name].exp()).to(torch.bfloat16))
            layer.weight.copy_(_dense(levels[name], layer.weight_scale))
            layer.forward = rounding[name]


def _batches(count: int, seed: int) -> list[list[int]]:
    """Places of all passes over `count` rows, each in an order of its own."""
    import numpy as np

    rng = np.random.default_rng(seed)
    orders = [rng.permutation(count).tolist() for _ in range(EPOCHS)]
    return [order[start : start + BATCH] for order in orders for start in range(0, count, BATCH)]


def _with_decisions(rows: Sequence[Row], reference: Sequence[Tensor]) -> list[tuple[Row, list[Tensor]]]:
    """The rows that have decisions, each with its own distributions out of those of all rows."""
    each: Iterator[Tensor] = iter(reference)
    found = [(row, [next(each) for options in row.options if options]) for row in rows]
    return [(row, wanted) for row, wanted in found if wanted]


def _levels(layer: Any) -> Tensor:
    """(rows, groups, columns of a group) whole numbers, in the weight's dtype: what a scale is multiplied by."""
    from compressed_tensors.quantization.lifecycle.forward import quantize

    scale, zero = layer.weight_scale, getattr(layer, "weight_zero_point", None)
    told = quantize(layer.weight.detach(), scale, zero, layer.quantization_scheme.weights).reshape(*scale.shape, -1)
    return told if zero is None else told - zero.unsqueeze(-1).to(told.dtype)


def _through(weights: dict[str, Tensor], name: str, bias: Tensor | None, x: Tensor) -> Tensor:
    from torch.nn import functional

    return functional.linear(x, weights[name], bias)


def _dense(levels: Tensor, scale: Tensor) -> Tensor:
    """(rows, columns) weight in the levels' dtype."""
    return (levels * scale.unsqueeze(-1).to(levels.dtype)).flatten(1)
