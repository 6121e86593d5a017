"""The chunked loss is the plain one: value and gradients, every divergence, sparse and missing teachers, any head."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pacenote.training.kd import DIVERGENCES, KdOptions, SoftLabels, kd_loss

N, WIDTH, WORDS, TOP = 23, 12, 61, 7


def plain(hidden: Tensor, head: Any, labels: Tensor, soft: SoftLabels, o: KdOptions, weights: Tensor) -> Tensor:
    """The loss row by row in float64, bucket by bucket."""
    z = head(hidden).double()
    rows = []
    for i, label in enumerate(labels):
        hard = -z[i].log_softmax(0)[label]
        known = torch.isfinite(soft.logp[i])
        if not known.any():
            rows.append(weights[i] * hard)
            continue
        logq = (z[i] / o.temperature).log_softmax(0)
        others = torch.ones(WORDS, dtype=torch.bool)
        others[soft.ids[i][known]] = False
        q = torch.cat([logq[soft.ids[i][known]], logq[others].logsumexp(0)[None]])
        top = soft.logp[i][known].double()
        p = torch.cat([top, (1 - top.exp().sum()).clamp(min=1e-14).log()[None]])
        mixed = torch.log(o.beta * p.exp() + (1 - o.beta) * q.exp())
        if o.divergence == "forward":
            d = (p.exp() * (p - q)).sum()
        elif o.divergence == "reverse":
            d = (q.exp() * (q - p)).sum()
        else:
            d = o.beta * (p.exp() * (p - mixed)).sum() + (1 - o.beta) * (q.exp() * (q - mixed)).sum()
        rows.append(weights[i] * ((1 - o.alpha) * hard + o.alpha * o.temperature**2 * d))
    return torch.stack(rows).sum()


def teacher(seed: int, temperature: float, sharp: float = 3.0) -> SoftLabels:
    """Soft labels; row 3 knows four tokens only, row 5 none."""
    z = torch.randn(N, WORDS, generator=torch.Generator().manual_seed(seed)) * sharp
    top = (z / temperature).log_softmax(1).topk(TOP, 1)
    logp = top.values.clone()
    logp[3, 4:] = -torch.inf
    logp[5] = -torch.inf
    return SoftLabels(top.indices, logp)


def gradients(loss: Tensor, hidden: Tensor, head: nn.Module) -> list[Tensor]:
    return list(torch.autograd.grad(loss, [hidden, *(p for p in head.parameters() if p.requires_grad)]))


def problem(seed: int = 0) -> tuple[Tensor, nn.Linear, Tensor, Tensor]:
    torch.manual_seed(seed)
    head = nn.Linear(WIDTH, WORDS)
    return torch.randn(N, WIDTH, requires_grad=True), head, torch.randint(0, WORDS, (N,)), torch.rand(N)


@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("temperature", [1.0, 2.0, 0.7])
@pytest.mark.parametrize("chunk", [1, 8, 64])
def test_the_chunked_loss_is_the_plain_one(divergence: str, temperature: float, chunk: int) -> None:
    hidden, head, labels, weights = problem()
    soft = teacher(1, temperature)
    options = KdOptions(0.6, temperature, divergence, 0.3, chunk)
    ours = kd_loss(hidden, head, labels, soft, options, weights, 13.0)
    theirs = plain(hidden, head, labels, soft, options, weights) / 13.0
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-5)
    for a, b in zip(gradients(ours, hidden, head), gradients(theirs, hidden, head), strict=True):
        assert torch.allclose(a, b.float(), atol=1e-5 * float(b.abs().max()))


def test_an_unknown_truth_leaves_the_soft_label() -> None:
    """Hard and soft labels have weights of their own: where the truth is null the teacher still teaches."""
    hidden, head, labels, _ = problem()
    soft, options = teacher(1, 2.0), KdOptions(0.6)
    none, all_ = torch.zeros(N), torch.ones(N)
    gentle = kd_loss(hidden, head, labels, soft, options, none, 1.0, all_)
    strict = kd_loss(hidden, head, labels, soft, options, all_, 1.0, none)
    both = kd_loss(hidden, head, labels, soft, options, all_, 1.0)
    assert gentle.item() > 0 and gentle.item() + strict.item() == pytest.approx(both.item(), rel=1e-5)


def test_alpha_zero_is_cross_entropy() -> None:
    hidden, head, labels, _ = problem()
    expected = nn.functional.cross_entropy(head(hidden), labels)
    for soft in (None, teacher(1, 2.0)):
        assert float(kd_loss(hidden, head, labels, soft, KdOptions(alpha=0.0))) == pytest.approx(float(expected), 1e-5)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_a_student_that_is_the_teacher_has_nothing_to_learn(divergence: str) -> None:
    hidden, head, labels, _ = problem()
    logp = (head(hidden) / 2).log_softmax(1).detach().topk(TOP, 1)
    soft = SoftLabels(logp.indices, logp.values)
    loss = kd_loss(hidden, head, labels, soft, KdOptions(1.0, 2.0, divergence))
    assert abs(float(loss)) < 1e-5
    assert all(g.abs().max() < 1e-6 for g in gradients(loss, hidden, head))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.1, 40), st.sampled_from(DIVERGENCES), st.floats(0.3, 5))
def test_losses_and_gradients_stay_finite(seed: int, sharp: float, divergence: str, temperature: float) -> None:
    hidden, head, labels, weights = problem(seed)
    soft = teacher(seed, temperature, sharp)
    loss = kd_loss(hidden * sharp, head, labels, soft, KdOptions(0.5, temperature, divergence), weights)
    assert torch.isfinite(loss)
    assert all(torch.isfinite(g).all() for g in gradients(loss, hidden, head))


def test_a_frozen_head_gets_no_gradient_and_an_adapter_on_it_does() -> None:
    from peft import LoraConfig, get_peft_model

    hidden, head, labels, weights = problem()
    soft, options = teacher(1, 2.0), KdOptions(0.6, chunk=8)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lm_head = head

    net = get_peft_model(Net(), LoraConfig(r=2, target_modules=["lm_head"], init_lora_weights=False))
    adapted = net.base_model.model.lm_head
    trained = [name for name, p in adapted.named_parameters() if p.requires_grad]
    assert trained and all("lora" in name for name in trained)
    ours = kd_loss(hidden, adapted, labels, soft, options, weights, 1.0)
    theirs = plain(hidden, adapted, labels, soft, options, weights)
    for a, b in zip(gradients(ours, hidden, adapted), gradients(theirs, hidden, adapted), strict=True):
        assert b.abs().max() > 0 and torch.allclose(a, b.float(), atol=1e-4 * float(b.abs().max()))
    kd_loss(hidden, adapted, labels, soft, options, weights, 1.0).backward()
    assert adapted.base_layer.weight.grad is None


def test_accumulated_parts_are_the_whole() -> None:
    hidden, head, labels, weights = problem()
    soft, options = teacher(1, 2.0), KdOptions()
    whole = kd_loss(hidden, head, labels, soft, options, weights, N)
    parts = [
        kd_loss(hidden[a:b], head, labels[a:b], soft.rows(a, b), options, weights[a:b], N) for a, b in ((0, 9), (9, N))
    ]
    assert float(sum(parts)) == pytest.approx(float(whole), 1e-6)  # type: ignore[arg-type]


def test_half_precision_is_near() -> None:
    hidden, head, labels, weights = problem()
    soft, options = teacher(1, 2.0), KdOptions(0.6)
    exact = kd_loss(hidden, head, labels, soft, options, weights)
    half = kd_loss(hidden.bfloat16(), head.bfloat16(), labels, soft, options, weights)
    assert half.dtype == torch.float32 and float(half) == pytest.approx(float(exact), rel=0.03)


def test_wrong_input_is_named() -> None:
    hidden, head, labels, _ = problem()
    with pytest.raises(ValueError, match="22 rows of soft labels for 23 labels"):
        kd_loss(hidden, head, labels, teacher(1, 1.0).rows(0, 22))
    with pytest.raises(ValueError, match="divergence 'kl'"):
        kd_loss(hidden, head, labels, teacher(1, 1.0), KdOptions(divergence="kl"))
