"""Packed int4 linear layers, run by the kernels that PyTorch carries (`packed` reads them from checkpoints).

A checkpoint holds an asymmetric weight as w = (u - z) s with u, z in 0..15 and a scale a group of input columns. The
kernels compute (u - 8) s + b, so b = (8 - z) s. Only the packed form is kept: a few rows (decoding) go through the
kernel, many rows (a prompt) through a dense weight that lives for one product, because the CPU kernel rereads the
weight for each row.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pacenote.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

FEW = (
    80  # rows of bf16 input up to which the CPU kernel beats spelling the weight out (896 x 4864 and back, one thread)
)
FEW_ROUNDED = 8  # the same for other dtypes: the kernel takes bf16, and a prompt shall not be rounded for it
ROW_COST = 0.34  # of a further row of the CPU kernel, in passes of one row (benchmarks/int4.py); dense layers: 0.03
BESIDE = 3e6  # packed weights of one layer whose pass of one row takes as long as all else that a layer does
TILES = 8  # innerKTiles of the CUDA kernel


def dequantize(values: Tensor, scale: Tensor, zero: Tensor | None, dtype: torch.dtype) -> Tensor:
    """(N, K) of `dtype`: values (N, K) 0..15, scale (N, groups), zero (N, groups) 0..15 or None for 8."""
    rows, width = values.shape
    grouped = values.view(rows, scale.shape[1], -1).float()
    middle = 8.0 if zero is None else zero.float()[..., None]
    return ((grouped - middle) * scale.float()[..., None]).view(rows, width).to(dtype)


@functools.cache
def _linear() -> type[Any]:
    """The classes, made when torch is there: `Int4Linear`."""
    import torch
    from torch import nn

    class Int4Linear(nn.Module):
        """y = x W^T + bias with W in 4 bits: x (..., K) -> (..., N) of x's dtype. Takes what `pack` made."""

        def __init__(
            self, packed: Tensor, scales: Tensor, group: int, shape: tuple[int, int], bias: Tensor | None
        ) -> None:
            super().__init__()
            self.out_features, self.in_features = shape
            self.group = group
            # Parameters, not buffers: they are the weights, and every count of weights finds them.
            self.packed = nn.Parameter(packed, requires_grad=False)
            self.scales = nn.Parameter(scales, requires_grad=False)  # (K / group, N, 2): s and (8 - z) s
            self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)

        def forward(self, x: Tensor) -> Tensor:
            rows = x.reshape(-1, self.in_features)
            if x.device.type == "cpu" and len(rows) > (FEW if x.dtype == torch.bfloat16 else FEW_ROUNDED):
                y = self.dense(rows)
            else:
                y = self.few(rows)
            if self.bias is not None:
                y = y + self.bias.to(x.dtype)
            return y.view(*x.shape[:-1], self.out_features)

        def few(self, rows: Tensor) -> Tensor:
            """x W^T for rows (M, K) by the kernel."""
            # In float32 the CPU kernel is a plain loop, hundreds of times slower; CUDA's takes bf16 alone.
            x, scales = rows.to(torch.bfloat16), self.scales.to(torch.bfloat16)
            name = "_weight_int4pack_mm_for_cpu" if rows.device.type == "cpu" else "_weight_int4pack_mm"
            y: Tensor = getattr(torch.ops.aten, name)(x.contiguous(), self.packed, self.group, scales)
            return y.to(rows.dtype)

        def dense(self, rows: Tensor) -> Tensor:
            """x W^T for rows (M, K), with the weight spelt out block by block in the order of the kernel's layout: only
            the result is brought into the order of its columns."""
            found = []
            for block, packed, first, last in _blocks(self.packed, self.out_features, self.in_features):
                order = _block(block)
                sides = torch.stack([order[0::2], order[1::2]])  # rows of a block in low nibbles, in high ones
                scales = self.scales[:, first:last].to(rows.dtype).view(-1, len(packed), block, 2)
                scale, shift = scales[:, :, sides].permute(4, 2, 0, 1, 3).flatten(3).unsqueeze(3)  # (2, groups, 1, n)
                steps = _steps(packed.transpose(0, 1).flatten(1)).to(rows.dtype)  # (2, K, n)
                weight = torch.addcmul(shift, steps.view(2, -1, self.group, steps.shape[2]), scale).reshape(steps.shape)
                parts = (rows @ weight).view(2, len(rows), len(packed), -1).permute(1, 2, 0, 3).flatten(2)
                found.append(parts[:, :, sides.flatten().argsort()].flatten(1))
            return found[0] if len(found) == 1 else torch.cat(found, 1)

        def extra_repr(self) -> str:
            return f"in_features={self.in_features}, out_features={self.out_features}, group={self.group}"

        def _save_to_state_dict(self, *args: Any, **kwargs: Any) -> None:
            raise InputError(
                "packed int4 layers are in the layout of this machine's kernel; copy the checkpoint instead"
            )

    return Int4Linear


def int4_linear(
    values: Tensor, scale: Tensor, zero: Tensor | None, bias: Tensor | None = None, *, check: bool = True
) -> Any | None:
    """An Int4Linear of values (N, K) 0..15 with scale and zero (N, groups), or None where no kernel takes it: `check`
    asks whether this device has one that works."""
    import torch

    rows, width = values.shape
    device, group = values.device, width // scale.shape[1]
    if group not in (32, 64, 128, 256) or width % group:
        return None
    zeros = 8.0 if zero is None else zero.float()
    scales = torch.stack([scale.float(), (8.0 - zeros) * scale.float()], -1).transpose(0, 1).contiguous()
    if device.type == "cpu":
        if rows % 16 or (check and not works("cpu")):
            return None
        packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(values.to(torch.int32), 1)
    elif device.type == "cuda":
        if rows % 8 or width % (16 * TILES) or (check and not works(str(device))):
            return None
        pairs = (values[:, ::2] << 4 | values[:, 1::2]).contiguous()
        packed = torch.ops.aten._convert_weight_to_int4pack(pairs, TILES)
    else:
        return None
    dtype = scale.dtype if scale.dtype.is_floating_point else torch.float32
    return _linear()(packed, scales.to(dtype), group, (rows, width), bias)


@functools.cache
def works(device: str) -> bool:
    """Whether the kernel of `device` is there and agrees with a dense product: builds of PyTorch differ."""
    import torch

    with torch.inference_mode(False), torch.no_grad():
        draw = torch.Generator().manual_seed(0)
        values = torch.randint(0, 16, (128, 256), generator=draw, dtype=torch.uint8).to(device)
        zero = torch.randint(0, 16, (128, 2), generator=draw, dtype=torch.uint8).to(device)
        scale = (torch.rand(128, 2, generator=draw) + 0.5).to(torch.bfloat16).to(device)
        x = torch.randn(2 * FEW, 256, generator=draw).to(torch.bfloat16).to(device)
        wanted = x.float() @ dequantize(values, scale, zero, torch.float32).t()
        try:
            layer = int4_linear(values, scale, zero, check=False)
            assert layer is not None
            told = torch.cat([layer(x[:FEW]), layer(x)[FEW:]]).float()
        except (RuntimeError, NotImplementedError, AttributeError, _LayoutError):
            return False
        return bool((told - wanted).abs().max() <= 0.02 * wanted.abs().max())


class _LayoutError(Exception):
    """The kernel's layout is none that can be read back."""


@functools.cache
def _block(rows: int) -> Tensor:
    """For a block of `rows` rows: the row of each nibble, in the order of bytes, low nibble first. Learnt from the
    kernel itself: the order depends on the vector width it was built for."""
    import torch

    with torch.inference_mode(False), torch.no_grad():
        number = torch.arange(rows)[:, None].expand(-1, 32)
        found = torch.zeros(32, rows, dtype=torch.long)
        for shift in (0, 4):
            packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(((number >> shift) & 15).to(torch.int32), 1)
            found += _nibbles(packed.reshape(32, rows // 2)).long() << shift
    if bool((found != found[0]).any()) or sorted(found[0].tolist()) != list(range(rows)):
        raise _LayoutError
    return found[0]


@functools.cache
def _block_rows() -> int:
    """How many rows the CPU kernel packs together: 64 with AVX-512, 32 with AVX2 or none."""
    for rows in (64, 32, 16):
        with contextlib.suppress(_LayoutError):  # two blocks that are read as one name each row twice
            _block(rows)
            return rows
    raise _LayoutError


def _nibbles(packed: Tensor) -> Tensor:
    import torch

    return torch.stack([packed & 15, packed >> 4], -1).flatten(-2)


def _blocks(packed: Tensor, rows: int, width: int) -> Iterator[tuple[int, Tensor, int, int]]:
    """The weight's rows as the CPU kernel packs them: for each size of block the size, the bytes (blocks, K, size / 2),
    the first row and the one after the last."""
    block, flat = _block_rows(), packed.reshape(-1)
    whole = rows // block * block
    for size, first, last in ((block, 0, whole), (rows - whole, whole, rows)):
        if last > first:
            yield size, flat[first * width // 2 : last * width // 2].view(-1, width, size // 2), first, last


def _steps(packed: Tensor) -> Tensor:
    """Bytes (K, n) -> bf16 (2, K, n), the values less 8: of the low nibbles, then of the high ones. Written as bits:
    128 + u is 0x4300 | u, exactly, which costs a fifth of what conversions of each nibble do."""
    import torch

    wide = packed.to(torch.int16)
    bits = torch.empty((2, *packed.shape), dtype=torch.int16)
    torch.bitwise_and(wide, 15, out=bits[0])
    torch.bitwise_right_shift(wide, 4, out=bits[1])
    return bits.bitwise_or_(0x4300).view(torch.bfloat16).sub_(136)


def row_cost(model: Any) -> float:
    """What a further row of a pass costs in passes of one row, 0 where that is next to nothing. Packed layers on a CPU
    read their weights row by row; in a small model the rest of a pass is what costs."""
    held = [m.in_features * m.out_features for m in model.modules() if isinstance(m, _linear())]
    if not held or model.device.type != "cpu":
        return 0.0
    layer = sum(held) / int(model.config.get_text_config().num_hidden_layers)
    return ROW_COST * layer / (layer + BESIDE)
