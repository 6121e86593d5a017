"""The batched tower and text model compute what transformers' own forward computes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pacenote.models import vision
from tests.training.conftest import tiny


@pytest.fixture(scope="module")
def model(tokenizer: Any) -> Any:
    return tiny(tokenizer, vision_depth=3, window=56)


@pytest.mark.parametrize("grids", [[(1, 18, 32)], [(1, 18, 32), (1, 6, 10), (1, 18, 32)], [(2, 6, 8)], [(1, 2, 2)]])
def test_batched_tower_equals_transformers(model: Any, grids: list[tuple[int, int, int]]) -> None:
    visual = model.model.model.visual
    pixels = torch.randn(sum(t * h * w for t, h, w in grids), 588, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        own = visual(pixels, torch.tensor(grids)).pooler_output
        stock = type(visual).forward(visual, pixels, torch.tensor(grids)).pooler_output
    assert own.shape == stock.shape
    torch.testing.assert_close(own, stock, rtol=1e-4, atol=1e-5)


def test_gradients_equal_transformers(model: Any) -> None:
    visual = model.model.model.visual
    pixels, grid = torch.randn(2 * 60, 588), torch.tensor([(1, 6, 10)] * 2)
    gradients = []
    for forward in (visual.forward, lambda *a: type(visual).forward(visual, *a)):
        visual.zero_grad()
        forward(pixels, grid).pooler_output.square().mean().backward()
        gradients.append({n: p.grad.clone() for n, p in visual.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name in gradients[0]:
        torch.testing.assert_close(gradients[0][name], gradients[1][name], rtol=1e-3, atol=1e-5, msg=name)


def test_windows_keep_to_themselves(model: Any) -> None:
    """A windowed layer must not see beyond its window: changing a far cell leaves the first layer's output alone."""
    visual = model.model.model.visual
    layout = vision._layout((1, 18, 32), 2, 56, 14)
    assert sum(windows * size for windows, size in layout.runs) == 576
    assert sorted(layout.order.tolist()) == list(range(144))
    cos, sin = visual.rotary_pos_emb(torch.zeros(1), layout.positions)
    x = torch.randn(1, 576, 32)
    changed = x.clone()
    changed[:, -1] += 1
    block = visual.blocks[0]
    with torch.no_grad():
        a = vision._block(block, x, cos.unsqueeze(1), sin.unsqueeze(1), layout.runs)
        b = vision._block(block, changed, cos.unsqueeze(1), sin.unsqueeze(1), layout.runs)
    same = (a == b).all(-1)[0]
    assert same[:-16].all() and not same[-1]


def test_local_heads_prefer_their_neighbour(tokenizer: Any) -> None:
    """With zero query and key weights, each head's strongest attention is at the offset that it was set to."""
    from pacenote.models.starter import _OFFSETS

    model = tiny(tokenizer, vision_width=128, vision_heads=2, vision_depth=2)
    visual = model.model.model.visual
    attention = visual.blocks[0].attn
    rows, columns = 8, 8
    positions = torch.stack(torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij"), -1).reshape(-1, 2)
    cos, sin = visual.rotary_pos_emb(torch.zeros(1), positions)
    bias = attention.qkv.bias.detach().view(3, attention.num_heads, -1)
    middle = 3 * columns + 3
    for head in range(attention.num_heads):
        query, key = (vision._rotate(bias[i, head].expand(64, -1), cos, sin) for i in (0, 1))
        best = int((query[middle] @ key.T).argmax())
        dy, dx = _OFFSETS[head]
        assert divmod(best, columns) == (3 + dy, 3 + dx)


def test_same_seed_same_weights(tokenizer: Any) -> None:
    one, two, other = (tiny(tokenizer, seed=s).model.state_dict() for s in (1, 1, 2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)
