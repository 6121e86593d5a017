"""Compressed-tensors checkpoints in 4 bits, loaded through transformers into the packed layers of `int4`."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pacenote.errors import InputError
from pacenote.models.int4 import dequantize, int4_linear
from pacenote.work.progress import say

if TYPE_CHECKING:
    import torch
    from torch import Tensor

METHOD = "pacenote-int4"  # the name under which transformers finds our reader


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


def unpack(packed: Tensor, count: int, dim: int = 1) -> Tensor:
    """uint8 values 0..15 of int32 words that hold eight each, lowest first; `count` of them along `dim` (0 or 1)."""
    import torch

    if dim == 0:
        return unpack(packed.t(), count).t()
    shifts = torch.arange(0, 32, 4, device=packed.device)
    return ((packed[..., None] >> shifts) & 15).to(torch.uint8).flatten(1)[:, :count]
