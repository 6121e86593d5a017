"""Muon for the matrices of a network, AdamW for everything else, in one optimizer.

Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon) replaces a matrix's momentum by the nearest
orthogonal matrix; scaled as in Liu et al. 2025 (arXiv 2502.16982) its steps have the size of AdamW's, so that one
learning rate serves both. Small towers that see few samples learn about twice as much from each (docs/results.md).

Imports torch: import this module where it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

# Coefficients of the quintic Newton-Schulz iteration, from the same post.
_A, _B, _C = 3.4445, -4.7750, 2.0315


def orthogonal(matrix: Tensor, steps: int = 5) -> Tensor:
    """About the nearest semi-orthogonal matrix (singular values 0.7..1.2) of each matrix in (..., rows, columns)."""
    x = matrix.to(torch.bfloat16)
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        a = x @ x.mT
        x = _A * x + (_B * a + _C * a @ a) @ x
    return (x.mT if tall else x).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Groups with `"muon": True` hold matrices and are stepped by Muon; the others by AdamW.

    `lr`, `weight_decay` as for AdamW; `momentum` of Muon (Nesterov), `betas` and `eps` of AdamW.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.98),
        eps: float = 1e-8,
    ) -> None:
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "betas": betas, "eps": eps}
        super().__init__(groups, {**defaults, "muon": False})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        loss = closure() if closure is not None else None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                (_muon_step if group["muon"] else _adam_step)(parameter, self.state[parameter], group)
        return loss


def _muon_step(parameter: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    if "momentum" not in state:
        state["momentum"] = torch.zeros_like(parameter)
    momentum, beta = state["momentum"], group["momentum"]
    momentum.lerp_(parameter.grad, 1 - beta)
    update = parameter.grad.lerp(momentum, beta)
    rows, columns = update.shape[0], update[0].numel()
    # A fused query-key-value matrix is three matrices.
    stacked = update.view(3, columns, columns) if rows == 3 * columns else update.view(rows, columns)
    scale = 0.2 * max(stacked.shape[-2:]) ** 0.5
    parameter.add_(orthogonal(stacked).view_as(parameter), alpha=-group["lr"] * scale)


def _adam_step(parameter: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    if "step" not in state:
        state.update(step=0, first=torch.zeros_like(parameter), second=torch.zeros_like(parameter))
    state["step"] += 1
    one, two = group["betas"]
    state["first"].lerp_(parameter.grad, 1 - one)
    state["second"].mul_(two).addcmul_(parameter.grad, parameter.grad, value=1 - two)
    scale = (1 - two ** state["step"]) ** 0.5
    denominator = (state["second"].sqrt() / scale).add_(group["eps"])
    parameter.addcdiv_(state["first"], denominator, value=-group["lr"] / (1 - one ** state["step"]))
