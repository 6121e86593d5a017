"""Packed int4 layers against the dense weights that they stand for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pacenote.errors import InputError
from pacenote.models import int4


def layer(rows: int, width: int, group: int, seed: int, *, bias: bool = False, symmetric: bool = False) -> Any:
    draw = torch.Generator().manual_seed(seed)
    values = torch.randint(0, 16, (rows, width), generator=draw, dtype=torch.uint8)
    zero = None if symmetric else torch.randint(0, 16, (rows, width // group), generator=draw, dtype=torch.uint8)
    scale = torch.rand(rows, width // group, generator=draw) * 0.1 + 0.01
    own = torch.randn(rows, generator=draw) if bias else None
    return values, scale, zero, own


@settings(max_examples=25)
@given(
    rows=st.integers(1, 12).map(lambda n: 16 * n),
    width=st.sampled_from([32, 64, 128, 192, 384]),
    group=st.sampled_from([32, 64, 128]),
    lead=st.sampled_from([(1,), (3,), (2, 5), (1, 40), (2, 3, 4), (0,), (3, 40)]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
    bias=st.booleans(),
    symmetric=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_packed_layer_is_its_dense_weight(
    rows: int, width: int, group: int, lead: Any, dtype: Any, bias: bool, symmetric: bool, seed: int
) -> None:
    if width % group:
        return
    values, scale, zero, own = layer(rows, width, group, seed, bias=bias, symmetric=symmetric)
    packed = int4.int4_linear(values, scale, zero, own)
    assert packed is not None and packed.packed.nbytes == rows * width // 2
    weight = int4.dequantize(values, scale, zero, torch.float32)
    x = torch.randn(*lead, width, generator=torch.Generator().manual_seed(seed)).to(dtype)
    wanted = torch.nn.functional.linear(x.float(), weight, own)
    told = packed(x)
    assert told.dtype == dtype and told.shape == (*lead, rows)
    if wanted.numel():
        assert (told.float() - wanted).abs().max() <= 0.02 * wanted.abs().max()


@pytest.mark.parametrize("rows", [16, 32, 48, 64, 80, 96, 128, 144, 192, 272])
def test_the_kernels_layout_is_spelt_out_exactly(rows: int) -> None:
    values, scale, zero, _ = layer(rows, 96, 32, rows)
    packed = int4.int4_linear(values, scale, zero)
    held, dense = packed.dense(torch.eye(96)), int4.dequantize(values, scale, zero, torch.float32).t()
    torch.testing.assert_close(held, dense, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("rows", "width", "group"), [(20, 64, 32), (32, 48, 16)])
def test_shapes_that_no_kernel_takes_are_declined(rows: int, width: int, group: int) -> None:
    values, scale, zero, _ = layer(rows, width, group, 0)
    assert int4.int4_linear(values, scale, zero) is None


def test_where_the_kernel_is_broken_it_is_declined(monkeypatch: pytest.MonkeyPatch) -> None:
    values, scale, zero, _ = layer(32, 64, 32, 0)
    monkeypatch.setattr(int4, "works", lambda device: False)
    assert int4.int4_linear(values, scale, zero) is None


def test_packed_layers_are_not_saved_in_the_kernels_layout() -> None:
    values, scale, zero, _ = layer(32, 64, 32, 0)
    with pytest.raises(InputError, match="copy the checkpoint"):
        int4.int4_linear(values, scale, zero).state_dict()


def test_rows_cost_where_packed_layers_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    def model(width: int, *, packed: bool = True) -> Any:
        values, scale, zero, _ = layer(16, width, 64, 0)
        own = int4.int4_linear(values, scale, zero) if packed else torch.nn.Linear(width, 16)
        text = SimpleNamespace(get_text_config=lambda: SimpleNamespace(num_hidden_layers=1))
        return SimpleNamespace(modules=lambda: iter([own]), config=text, device=torch.device("cpu"))

    monkeypatch.setattr(int4, "BESIDE", 16 * 256)
    assert int4.row_cost(model(256)) == pytest.approx(int4.ROW_COST / 2)
    assert int4.row_cost(model(512)) > int4.row_cost(model(256))
    assert int4.row_cost(model(256, packed=False)) == 0
