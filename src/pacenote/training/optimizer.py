"""Muon for the matrices of hidden layers, AdamW for everything else, as one optimizer.

Muon makes the update of a matrix orthogonal, so that rare directions (a lamp of three pixels) learn as fast as common
ones (the sky). A starter's tower sees in half the steps what it sees with AdamW alone (docs/results.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


class Together(torch.optim.Optimizer):
    """Several optimizers over different parameters, stepped, saved and restored as one."""

    def __init__(self, parts: Sequence[torch.optim.Optimizer]) -> None:
        self.parts = list(parts)
        super().__init__([{"params": group["params"]} for part in self.parts for group in part.param_groups], {})
        self._gather()

    def _gather(self) -> None:
        # The very groups of the parts: what a schedule writes here is what they step with.
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    def step(self, closure: Any = None) -> Any:
        loss = None if closure is None else closure()
        for part in self.parts:
            part.step()
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        for part in self.parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._gather()


def optimizer_for(groups: Sequence[dict[str, Any]], weight_decay: float) -> torch.optim.Optimizer:
    """The optimizer of `groups` (`params`, peak `lr`, and `muon`: the 2-d parameters take Muon steps of so many times
    the rate, 0 or absent = AdamW). Vectors have no weight decay."""
    muon: list[dict[str, Any]] = []
    adamw: list[dict[str, Any]] = []
    for group in groups:
        factor = float(group.get("muon", 0.0))
        rest = [p for p in group["params"] if not (factor and p.ndim == 2)]
        if hidden := [p for p in group["params"] if factor and p.ndim == 2]:
            muon.append({"params": hidden, "lr": group["lr"] * factor})
        if matrices := [p for p in rest if p.ndim > 1]:
            adamw.append({"params": matrices, "lr": group["lr"], "weight_decay": weight_decay})
        if vectors := [p for p in rest if p.ndim <= 1]:
            adamw.append({"params": vectors, "lr": group["lr"], "weight_decay": 0.0})
    parts: list[torch.optim.Optimizer] = []
    if muon:
        parts.append(torch.optim.Muon(muon, weight_decay=weight_decay))
    if adamw:
        parts.append(torch.optim.AdamW(adamw, betas=(0.9, 0.98), fused=True))
    return parts[0] if len(parts) == 1 else Together(parts)
