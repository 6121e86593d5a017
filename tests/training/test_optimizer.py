"""Muon and AdamW as one optimizer: who steps what, and a restored optimizer goes on as if never stopped."""

from __future__ import annotations

import copy

import torch
from torch import nn

from pacenote.training.optimizer import Together, optimizer_for


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


def step(model: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    torch.manual_seed(seed)
    model(torch.randn(5, 6)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def test_matrices_take_muon_steps() -> None:
    model = network()
    optimizer = optimizer_for([{"params": list(model.parameters()), "lr": 1e-3, "muon": 10.0}], 0.1)
    assert isinstance(optimizer, Together)
    assert {type(part).__name__: len(part.param_groups) for part in optimizer.parts} == {"Muon": 1, "AdamW": 1}
    assert [group["lr"] for group in optimizer.param_groups] == [1e-2, 1e-3]
    before = copy.deepcopy(model.state_dict())
    torch.manual_seed(1)
    model(torch.randn(5, 6)).square().sum().backward()
    gradient = torch.linalg.svdvals(model[0].weight.grad)  # type: ignore[arg-type]
    optimizer.step()
    change = model[0].weight - before["0.weight"] * (1 - 1e-2 * 0.1)  # type: ignore[index]
    spread = torch.linalg.svdvals(change.float())
    assert spread.max() < 4 * spread.min()  # near orthogonal, whatever the gradient's spectrum:
    assert gradient.max() > 10 * gradient.min()
    assert not torch.equal(model[0].bias, before["0.bias"])  # type: ignore[index]


def test_without_muon_it_is_adamw() -> None:
    model = network()
    optimizer = optimizer_for([{"params": list(model.parameters()), "lr": 1e-3}], 0.1)
    assert isinstance(optimizer, torch.optim.AdamW)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]


def test_a_schedule_and_a_restored_state_reach_both() -> None:
    runs = []
    for stop in (None, 3):
        model = network()
        groups = [{"params": list(model.parameters()), "lr": 1e-2, "muon": 2.0}]
        optimizer = optimizer_for(groups, 0.1)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: 1 / (1 + k))
        for k in range(6):
            if k == stop:
                held = copy.deepcopy((optimizer.state_dict(), schedule.state_dict()))
                optimizer = optimizer_for(groups, 0.1)
                schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: 1 / (1 + k))
                optimizer.load_state_dict(held[0])
                schedule.load_state_dict(held[1])
            step(model, optimizer, k)
            schedule.step()
        runs.append(model.state_dict())
        assert [round(group["lr"], 6) for group in optimizer.param_groups] == [round(2e-2 / 7, 6), round(1e-2 / 7, 6)]
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])
