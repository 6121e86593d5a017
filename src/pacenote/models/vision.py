"""The Qwen2.5-VL vision tower, run for many images of one shape at once.

transformers walks the images of a batch one by one and embeds patches with a 3-d convolution whose batch is the number
of patches; on a CPU that is ten times slower than the matrix products it stands for. `install` gives a tower a
`forward` with the same weights, inputs and outputs that batches equal grids and equal attention windows. Under
autocast the residual stream is kept in the autocast type, which halves the memory traffic that bounds a CPU.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Grid = tuple[int, int, int]  # temporal, rows, columns of patches


@dataclass(frozen=True)
class _Layout:
    """How the cells (merged 2x2 patches) of one grid are ordered so that equal windows lie side by side."""

    order: torch.Tensor  # (cells,) row-major cell indices in window order
    inverse: torch.Tensor  # (cells,) back to row-major
    runs: tuple[tuple[int, int], ...]  # (windows, patches in each) in that order
    frames: int  # full attention is within one frame
    positions: torch.Tensor  # (patches, 2) row and column of each patch, in window order


@functools.lru_cache(maxsize=64)
def _layout(grid: Grid, merge: int, window: int, patch: int) -> _Layout:
    import torch

    with torch.inference_mode(False):  # what is kept must serve training too
        return _lay_out(grid, merge, window, patch)


def _lay_out(grid: Grid, merge: int, window: int, patch: int) -> _Layout:
    import torch
    from transformers.vision_utils import get_vision_position_ids, get_vision_window_index

    thw = torch.tensor([grid])
    index, bounds = get_vision_window_index(thw, merge, window, patch)
    lengths = (bounds[1:] - bounds[:-1]).tolist()
    windows = torch.split(index, [length // merge**2 for length in lengths])
    if grid[0] == 1:  # a video keeps its frames apart for full attention
        windows = tuple(sorted(windows, key=len, reverse=True))
    order = torch.cat(windows)
    runs: list[tuple[int, int]] = []
    for one in windows:
        size = len(one) * merge**2
        if runs and runs[-1][1] == size:
            runs[-1] = (runs[-1][0] + 1, size)
        else:
            runs.append((1, size))
    positions = get_vision_position_ids(thw, merge)
    positions = positions.view(-1, merge**2, 2)[order].flatten(0, 1)
    return _Layout(order, torch.argsort(order), tuple(runs), grid[0], positions)


def _norm(x: Tensor, module: Any) -> Tensor:
    from torch.nn import functional

    return functional.rms_norm(x, (x.shape[-1],), module.weight.to(x.dtype), module.variance_epsilon)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    import torch

    first, second = x.chunk(2, -1)
    return x * cos + torch.cat((-second, first), -1) * sin


def _attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Attention over (B, heads, N, head_dim). In training on a CPU as plain matrix products: the backward pass of
    torch's fused CPU kernel takes two to four times as long (measured with AMX, bf16, N = 64 and 576)."""
    import torch
    from torch.nn import functional

    if query.device.type == "cpu" and torch.is_grad_enabled() and query.requires_grad:
        return ((query * scale) @ key.transpose(-1, -2)).softmax(-1) @ value
    return functional.scaled_dot_product_attention(query, key, value, scale=scale)


def _block(block: Any, x: Tensor, cos: Tensor, sin: Tensor, runs: tuple[tuple[int, int], ...]) -> Tensor:
    """One layer over x (B, patches, C); attention within each of `runs` (windows, patches a window)."""
    import torch

    batch, patches, width = x.shape
    attention = block.attn
    heads = attention.num_heads
    # Splits and unbinds, no slices: the gradient of a slice is a zero-filled copy of the whole.
    rotated, value = (
        attention.qkv(_norm(x, block.norm1)).view(batch, patches, 3 * heads, -1).split([2 * heads, heads], 2)
    )
    query, key = _rotate(rotated, cos, sin).split(heads, 2)
    lengths = [windows * size for windows, size in runs]
    parts = []
    for (windows, size), *own in zip(runs, *(t.split(lengths, 1) for t in (query, key, value)), strict=True):
        q, k, v = (t.reshape(batch * windows, size, heads, -1).transpose(1, 2).contiguous() for t in own)
        out = _attend(q, k, v, attention.scaling)
        parts.append(out.transpose(1, 2).reshape(batch, windows * size, width))
    x = x + attention.proj(torch.cat(parts, 1) if len(parts) > 1 else parts[0])
    mlp, h = block.mlp, _norm(x, block.norm2)
    return x + mlp.down_proj(mlp.act_fn(mlp.gate_proj(h)) * mlp.up_proj(h))


_compiling: dict[Callable[..., Any], Callable[..., Any]] | None = None


def compiled_or_not(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`function`, or its compiled form within `compiled()`."""
    if _compiling is None:
        return function
    if function not in _compiling:
        import torch

        _compiling[function] = torch.compile(function, dynamic=False)
    return _compiling[function]


@contextlib.contextmanager
def compiled(wanted: bool = True) -> Iterator[bool]:
    """Within it, layers run through torch.compile where a C++ compiler is found: a third less time a training step.

    The value tells whether they do. Each new shape costs some seconds of compilation.
    """
    global _compiling
    before = _compiling
    if wanted and any(shutil.which(name) for name in ("c++", "g++", "clang++")):
        import torch._dynamo

        # The layers of one model differ by object identity alone, but each image or sequence shape is a new graph.
        torch._dynamo.config.cache_size_limit = max(64, torch._dynamo.config.cache_size_limit)
        _compiling = {}
    try:
        yield _compiling is not None
    finally:
        _compiling = before


def patch_tokens(visual: Any, pixels: Tensor, grid: Grid) -> Tensor:
    """What the tower's last block gives for each patch, normalised as its merger takes it: pixels (B, patches, values)
    -> (B, cells, merge^2, hidden_size), cells row-major.

    `pixels` are normalised patches as the image processor flattens them (the merge^2 patches of a cell together).
    """
    import torch
    from torch.nn import functional

    config = visual.config
    merge = config.spatial_merge_size
    layout = _layout(grid, merge, config.window_size, config.patch_size)
    device = pixels.device
    batch, patches, _ = pixels.shape
    dtype = visual.dtype
    if torch.is_autocast_enabled(device.type):
        dtype = torch.get_autocast_dtype(device.type)
    order = layout.order.to(device)
    x = pixels.to(dtype).view(batch, -1, merge**2, pixels.shape[-1])[:, order].flatten(1, 2)
    x = functional.linear(x, visual.patch_embed.proj.weight.flatten(1)).to(dtype)
    cos, sin = visual.rotary_pos_emb(x, layout.positions.to(device))
    cos, sin = cos.to(dtype).unsqueeze(1), sin.to(dtype).unsqueeze(1)  # (patches, 1, head_dim)
    whole = ((layout.frames, patches // layout.frames),)
    layer = compiled_or_not(_block)
    for number, block in enumerate(visual.blocks):
        x = layer(block, x, cos, sin, whole if number in config.fullatt_block_indexes else layout.runs)
    x = _norm(x, visual.merger.ln_q).view(batch, patches // merge**2, merge**2, -1)
    return x[:, layout.inverse.to(device)]


def merged(visual: Any, tokens: Tensor) -> Tensor:
    """`patch_tokens` through the merger: visual tokens (B, cells, out_hidden_size)."""
    cells: Tensor = visual.merger.mlp(tokens.flatten(2))
    return cells


def encode(visual: Any, pixels: Tensor, grid: Grid) -> Tensor:
    """Visual tokens (B, cells, out_hidden_size) of images of one shape; `pixels` as for `patch_tokens`."""
    return merged(visual, patch_tokens(visual, pixels, grid))


def _forward(self: Any, hidden_states: Tensor, grid_thw: Tensor, **kwargs: Any) -> Any:
    import torch
    from transformers.modeling_outputs import BaseModelOutputWithPooling
    from transformers.utils.generic import is_flash_attention_requested

    wants = kwargs.get("output_hidden_states") or kwargs.get("output_attentions")
    if wants or is_flash_attention_requested(self.config) or (self.gradient_checkpointing and self.training):
        return type(self).forward(self, hidden_states, grid_thw, **kwargs)
    grids: list[Grid] = [tuple(g) for g in grid_thw.tolist()]
    patches = torch.split(hidden_states, [t * h * w for t, h, w in grids])
    tokens: list[Any] = [None] * len(grids)
    for grid in dict.fromkeys(grids):
        members = [i for i, other in enumerate(grids) if other == grid]
        encoded = encode(self, torch.stack([patches[i] for i in members]), grid)
        for i, one in zip(members, encoded, strict=True):
            tokens[i] = one
    return BaseModelOutputWithPooling(last_hidden_state=None, pooler_output=torch.cat(tokens))


def install(model: Any) -> Any:
    """Make every Qwen2.5-VL vision tower inside `model` use the batched forward, and every SmolVLM connector give the
    dtype of the embeddings, into which it is written (autocast would leave it in bf16); returns `model`."""
    from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionTransformerPretrainedModel
    from transformers.models.smolvlm.modeling_smolvlm import SmolVLMConnector

    for module in model.modules():
        if isinstance(module, Qwen2_5_VisionTransformerPretrainedModel):
            module.forward = types.MethodType(_forward, module)
        elif isinstance(module, SmolVLMConnector):
            dtype = model.get_input_embeddings().weight.dtype
            module.register_forward_hook(lambda _module, _inputs, features, dtype=dtype: features.to(dtype))
    return model
