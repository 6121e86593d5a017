"""Packed int4 linear layers, run by the kernels that PyTorch carries, from compressed-tensors checkpoints.

A checkpoint holds an asymmetric weight as w = (u - z) s with u, z in 0..15 and a scale a group of input columns. The
kernels compute (u - 8) s + b, so b = (8 - z) s. Only the packed form is kept: a few rows (decoding) go through the
kernel, many rows (a prompt) through a dense weight that lives for one product, because the CPU kernel rereads the
weight for each row.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pacenote.errors import InputError
from pacenote.work.progress import say

if TYPE_CHECKING:
    import torch
    from torch import Tensor

METHOD = "pacenote-int4"  # the name under which transformers finds our reader
FEW = (
    80  # rows of bf16 input up to which the CPU kernel beats spelling the weight out (896 x 4864 and back, one thread)
)
FEW_ROUNDED = 8  # the same for other dtypes: the kernel takes bf16, and a prompt shall not be rounded for it
ROW_COST = 0.34  # of a further row of the CPU kernel, in passes of one row (benchmarks/int4.py); dense layers: 0.03
BESIDE = 3e6  # packed weights of one layer whose pass of one row takes as long as all else that a layer does
TILES = 8  # innerKTiles of the CUDA kernel


def unpack(packed: Tensor, count: int, dim: int = 1) -> Tensor:
    """uint8 values 0..15 of int32 words that hold eight each, lowest first; `count` of them along `dim` (0 or 1)."""
    import torch

    if dim == 0:
        return unpack(packed.t(), count).t()
    shifts = torch.arange(0, 32, 4, device=packed.device)
    return ((packed[..., None] >> shifts) & 15).to(torch.uint8).flatten(1)[:, :count]


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
        try:
            _block(2 * rows)
        except _LayoutError:
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


def takes(config: Any, source: str) -> bool:
    """Whether a checkpoint's configuration says that its linear layers are int4 and packed, weights alone; then
    `config` is changed so that transformers loads it through `finish` of this module.

    Raises InputError for a quantization that nothing here can read.
    """
    held = getattr(config, "quantization_config", None)
    if held is None:
        return False
    held = held if isinstance(held, dict) else held.to_dict()
    method = held.get("quant_method")
    if method != "compressed-tensors":
        from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING

        if method not in AUTO_QUANTIZATION_CONFIG_MAPPING:
            raise InputError(
                f"{source}: unknown quantization '{method}'; quantize the 16-bit model again: pacenote quantize"
            )
        return False
    groups = list((held.get("config_groups") or {}).values())
    if not groups or not all(_is_int4(group, held.get("format")) for group in groups):
        import importlib.util

        if importlib.util.find_spec("compressed_tensors") is None:
            raise InputError(
                f"{source}: its quantization needs compressed-tensors; install it: pip install 'pacenote[quantize]'"
            )
        say(f"{source}: no packed kernel for this quantization; its layers run dense")
        return False
    _register()
    config.quantization_config = {"quant_method": METHOD, "held": held}
    return True


def decompress(model: Any, dtype: Any = None) -> None:
    """Make the layers of any other compressed-tensors checkpoint dense now, in `dtype`: transformers would do so at the
    first call of the whole model, and the engine calls its parts. It leaves them in the dtype of their scales."""
    import contextlib
    import io

    compressor = getattr(getattr(model, "hf_quantizer", None), "compressor", None)
    if compressor is not None:
        with contextlib.redirect_stderr(io.StringIO()):  # a bar
            compressor.decompress_model(model=model)
        model.to(dtype or model.dtype)


def _is_int4(group: Mapping[str, Any], form: str | None) -> bool:
    weights = group.get("weights") or {}
    return (
        (group.get("format") or form) == "pack-quantized"
        and group.get("input_activations") is None
        and group.get("output_activations") is None
        and weights.get("num_bits") == 4
        and weights.get("type") == "int"
        and weights.get("strategy") in ("group", "channel")
        and weights.get("actorder") in (None, "weight", "static")
    )


def _matches(name: str, kind: str, targets: Sequence[str]) -> bool:
    return any(
        re.match(target[3:], name) is not None if target.startswith("re:") else target in (name, kind)
        for target in targets
    )


def targeted(model: Any, held: Mapping[str, Any]) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    """(name, linear layer, quantization of its weights) of every layer that a compressed-tensors configuration `held`
    says is packed."""
    import torch

    for name, module in list(model.named_modules()):
        if not isinstance(module, torch.nn.Linear) or _matches(name, "Linear", held.get("ignore") or ()):
            continue
        for group in held["config_groups"].values():
            if _matches(name, "Linear", group["targets"]):
                yield name, module, group["weights"]
                break


@functools.cache
def _register() -> None:
    """Make the reader known to transformers: it gives packed layers places for their tensors, and keeps them."""
    import torch
    from torch import nn
    from transformers.quantizers.auto import register_quantization_config, register_quantizer
    from transformers.quantizers.base import HfQuantizer
    from transformers.utils.quantization_config import QuantizationConfigMixin

    @register_quantization_config(METHOD)
    class _Config(QuantizationConfigMixin):
        def __init__(self, quant_method: str = METHOD, held: dict[str, Any] | None = None, **rest: Any) -> None:
            self.quant_method: Any = quant_method
            self.held = held or {}

    class Packed(nn.Module):
        """Where the tensors of a packed layer are loaded to."""

        def __init__(self, linear: Any, weights: Mapping[str, Any], dtype: torch.dtype) -> None:
            super().__init__()
            rows, width = linear.out_features, linear.in_features
            groups = width // weights["group_size"] if weights["strategy"] == "group" else 1
            places: dict[str, tuple[tuple[int, ...], torch.dtype]] = {
                "weight_packed": ((rows, -(-width // 8)), torch.int32),
                "weight_scale": ((rows, groups), dtype),
                "weight_shape": ((2,), torch.int64),
            }
            if not weights["symmetric"]:
                places["weight_zero_point"] = ((-(-rows // 8), groups), torch.int32)
            for name, (shape, kind) in places.items():
                setattr(self, name, nn.Parameter(torch.empty(shape, dtype=kind, device="meta"), requires_grad=False))
            self.bias = linear.bias
            self.shape = (rows, width)

    @register_quantizer(METHOD)
    class _Reader(HfQuantizer):
        requires_calibration = True  # nothing is quantized here

        def _process_model_before_weight_loading(self, model: Any, dtype: Any = None, **rest: Any) -> None:
            for name, linear, weights in targeted(model, self.quantization_config.held):
                parent, _, own = name.rpartition(".")
                setattr(model.get_submodule(parent), own, Packed(linear, weights, dtype or torch.float32))

        def is_serializable(self) -> bool:
            return False

        @property
        def is_trainable(self) -> bool:
            return False


def finish(model: Any, source: str, info: Mapping[str, Any]) -> None:
    """Turn what was loaded into Int4Linear layers, in place, on the device where the model is; layers that no kernel
    takes become dense, with one message. `info`: transformers' account of the loading.

    Raises InputError for a key that is missing or foreign, and for a scale that is not finite.
    """
    import torch

    for what, names in (("has no", info["missing_keys"]), ("has an unexpected", info["unexpected_keys"])):
        if names:
            raise InputError(f"{source}: the checkpoint {what} {min(names)}; quantize it again: pacenote quantize")
    if info.get("mismatched_keys"):
        name = min(str(key[0]) for key in info["mismatched_keys"])
        raise InputError(f"{source}: {name} has another shape than the model; quantize it again: pacenote quantize")
    dense = 0
    # Names, not modules: what is replaced is to be freed at once.
    for name in [name for name, module in model.named_modules() if hasattr(module, "weight_packed")]:
        module = model.get_submodule(name)
        rows, width = module.shape
        scale = module.weight_scale.detach()
        if not bool(torch.isfinite(scale).all()):
            raise InputError(f"{source}: {name} has scales that are not finite; quantize it again: pacenote quantize")
        values = unpack(module.weight_packed.detach(), width)
        held = getattr(module, "weight_zero_point", None)
        zero = None if held is None else unpack(held.detach(), rows, 0)
        bias = None if module.bias is None else module.bias.detach()
        made = int4_linear(values, scale, zero, bias)
        if made is None:
            dense += 1
            made = torch.nn.Linear(width, rows, bias is not None, device="meta")
            made.weight = torch.nn.Parameter(dequantize(values, scale, zero, scale.dtype), requires_grad=False)
            made.bias = bias if bias is None else torch.nn.Parameter(bias, requires_grad=False)  # type: ignore[assignment]
        parent, _, own = name.rpartition(".")
        setattr(model.get_submodule(parent), own, made)
    if dense:
        say(f"{source}: {dense} layers in 4 bits run dense: no kernel of this device takes their shape")
    model.config.quantization_config = model.config.quantization_config.held
