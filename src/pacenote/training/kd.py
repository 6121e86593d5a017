"""The distillation loss: soft labels of a teacher (paper A, eq. 1) beside the hard label, without full logits.

For one answer token with student logits z, teacher probabilities p (its k likeliest tokens, and one bucket for all
others) and label y:

    loss = (1 - alpha) CE(y, softmax(z)) + alpha T^2 D(p_T, softmax(z / T) in the same k + 1 buckets)

D is KL(p || q) as in eq. (1), KL(q || p) or a Jensen-Shannon divergence. The bucket keeps the sparse loss honest:
renormalised top-k probabilities teach overconfidence (Anshumann et al. 2025, arXiv:2503.16870). alpha and T are ours;
the paper names neither.

Only rows with a label are given, and the head runs over a few of them at a time: with 152 k words the logits of a batch
are what fills memory. The gradient is computed along with the loss, through whatever module the head is, so that a LoRA
on it learns and a frozen one costs no gradient of its weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

DIVERGENCES = ("forward", "reverse", "jsd")
LEAST = -30.0  # log of the least probability that a bucket can have


@dataclass(frozen=True)
class SoftLabels:
    """A teacher's distribution over each of N answer tokens: `ids` (N, k) int64; `logp` (N, k) float32, natural log
    of the probabilities at temperature T; -inf where fewer than k are known. What is left is the tail's."""

    ids: Tensor
    logp: Tensor

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, start: int, stop: int) -> SoftLabels:
        return SoftLabels(self.ids[start:stop], self.logp[start:stop])


@dataclass(frozen=True)
class KdOptions:
    """`alpha`: share of the soft labels; `temperature` T of both distributions; `divergence`: "forward" KL(p || q),
    "reverse" KL(q || p), "jsd" with `beta` the teacher's share in the mixture; `chunk`: rows at a time."""

    alpha: float = 0.5
    temperature: float = 2.0
    divergence: str = "forward"
    beta: float = 0.5
    chunk: int = 128


def kd_loss(
    hidden: Tensor,
    head: torch.nn.Module,
    labels: Tensor,
    soft: SoftLabels | None,
    options: KdOptions = KdOptions(),
    weights: Tensor | None = None,
    items: Tensor | float | None = None,
    soft_weights: Tensor | None = None,
) -> Tensor:
    """Loss of N answer rows, a scalar float32.

    hidden (N, D): last hidden states; `head`: module (rows, D) -> logits (rows, V); labels (N,) int64; `weights` (N,)
    of the hard labels (1), 0 where the truth is not known; `soft_weights` (N,) of the soft ones (the same); `items`:
    what the sum is divided by (N): of a gradient accumulation, the labels of all its batches. A row of `soft` that is
    all -inf has no teacher and takes the hard label alone.
    """
    if soft is not None and len(soft) != len(labels):
        raise ValueError(f"{len(soft)} rows of soft labels for {len(labels)} labels")
    if options.divergence not in DIVERGENCES:
        raise ValueError(f"divergence '{options.divergence}'; known: {', '.join(DIVERGENCES)}")
    weights = hidden.new_ones(len(labels), dtype=torch.float32) if weights is None else weights.float()
    soft_weights = weights if soft_weights is None else soft_weights.float()
    both = torch.stack([weights, soft_weights], 1)
    parameters = [p for p in head.parameters() if p.requires_grad]
    total = _Loss.apply(hidden, head, labels, soft, options, both, *parameters)
    return total / (len(labels) if items is None else items)


class _Loss(torch.autograd.Function):
    """Sum of the rows' losses; the gradients are made in `forward`, one chunk of logits at a time."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        head: Any,
        labels: Tensor,
        soft: Any,
        options: KdOptions,
        weights: Tensor,
        *parameters: Tensor,
    ) -> Tensor:
        total = hidden.new_zeros((), dtype=torch.float32)
        wanted = torch.is_grad_enabled() or any(ctx.needs_input_grad)
        d_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        d_parameters: list[Tensor] | None = None
        for start in range(0, len(labels), options.chunk):
            stop = min(start + options.chunk, len(labels))
            rows = hidden[start:stop].detach()
            own = None if soft is None else soft.rows(start, stop)
            with torch.set_grad_enabled(wanted):
                rows.requires_grad_(d_hidden is not None)
                logits = head(rows)
            loss, d_logits = _chunk(logits.detach(), labels[start:stop], own, options, weights[start:stop])
            total += loss
            if not any(ctx.needs_input_grad):
                continue
            inputs = [*([rows] if d_hidden is not None else []), *parameters]
            grads = list(torch.autograd.grad(logits, inputs, d_logits))
            del logits, d_logits
            if d_hidden is not None:
                d_hidden[start:stop] = grads.pop(0)
            if d_parameters is None:
                d_parameters = grads
            else:
                for held, more in zip(d_parameters, grads, strict=True):
                    held += more
        ctx.d_hidden, ctx.d_parameters = d_hidden, d_parameters or []
        return total

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        scale = outer[0]
        d_hidden = None if ctx.d_hidden is None else ctx.d_hidden * scale.to(ctx.d_hidden.dtype)
        return d_hidden, None, None, None, None, None, *(g * scale.to(g.dtype) for g in ctx.d_parameters)


def _chunk(
    logits: Tensor, labels: Tensor, soft: SoftLabels | None, options: KdOptions, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """Loss of a chunk and its gradient by the logits (rows, V), in their dtype; `weights` (rows, 2) hard and soft."""
    z = logits.float()
    t = options.temperature
    taught = torch.zeros_like(weights[:, 0]) if soft is None else torch.isfinite(soft.logp).any(1).float()
    hard, gentle = weights[:, 0] * (1 - options.alpha * taught), weights[:, 1] * options.alpha * taught
    lse = z.logsumexp(1)
    picked = z.gather(1, labels[:, None])[:, 0]
    total = (hard * (lse - picked)).sum()
    d_picked = -hard
    if soft is None:
        grad = z.sub_(lse[:, None]).exp_().mul_(hard[:, None])
        return total, grad.scatter_add_(1, labels[:, None], d_picked[:, None]).to(logits.dtype)
    lse_t = lse if t == 1 else (z / t).logsumexp(1)
    known = torch.isfinite(soft.logp)
    top = (z.gather(1, soft.ids) / t - lse_t[:, None]).clamp(max=-1e-7)
    with torch.enable_grad():
        q = torch.where(known, top, top.new_tensor(-torch.inf)).detach()
        buckets = _with_tail(q).requires_grad_()
        soft_loss = t * t * divergence(_with_tail(soft.logp), buckets, options)
        (g,) = torch.autograd.grad((gentle * soft_loss).sum(), buckets)
    total += (gentle * soft_loss.detach()).sum()
    g = torch.where(torch.isfinite(buckets), g, 0.0)
    g_top, g_tail = g[:, :-1], g[:, -1:]
    # d log q_i / d z_j = (1[i = j] - q_j) / T;  d log q_tail / d z_j = (1[j in the tail] q_j / q_tail - q_j) / T
    q_tail = buckets[:, -1:].detach().exp()
    everywhere = g_tail / q_tail - g.sum(1, keepdim=True)
    q_top = q.exp()
    at_top = g_top - g_tail / q_tail * q_top  # what the tail's share is too much at the top
    if t == 1:
        grad = z.sub_(lse[:, None]).exp_().mul_(hard[:, None] + everywhere)
    else:
        grad = (z / t - lse_t[:, None]).exp_().mul_(everywhere / t)
        grad += z.sub_(lse[:, None]).exp_().mul_(hard[:, None])
        at_top = at_top / t
    grad.scatter_add_(1, soft.ids, torch.where(known, at_top, 0.0))
    return total, grad.scatter_add_(1, labels[:, None], d_picked[:, None]).to(logits.dtype)


def _with_tail(logp: Tensor) -> Tensor:
    """(N, k) log-probabilities -> (N, k + 1), the last the log of what they leave over."""
    left = -torch.expm1(logp.logsumexp(1, keepdim=True).clamp(max=-1e-13))
    return torch.cat([logp, left.clamp(min=0).log().clamp(min=LEAST)], 1)


def divergence(p: Tensor, q: Tensor, options: KdOptions) -> Tensor:
    """D(p, q) of log-probabilities (N, buckets), a row each; buckets that are -inf in both count nothing."""

    def kl(a: Tensor, b: Tensor) -> Tensor:
        there = torch.isfinite(a) & torch.isfinite(b)
        a, b = (torch.where(there, x, 0.0) for x in (a, b))
        return (torch.where(there, a.exp(), 0.0) * (a - b)).sum(1)

    if options.divergence == "forward":
        return kl(p, q)
    if options.divergence == "reverse":
        return kl(q, p)
    beta = torch.tensor(options.beta, dtype=p.dtype, device=p.device)
    both = torch.isfinite(p) & torch.isfinite(q)
    mixed = torch.where(
        both,
        torch.logaddexp(torch.where(both, p, 0.0) + beta.log(), torch.where(both, q, 0.0) + (1 - beta).log()),
        -torch.inf,
    )
    return beta * kl(p, mixed) + (1 - beta) * kl(q, mixed)
