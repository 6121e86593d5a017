"""The starter models: small Qwen2.5-VL checkpoints built from random weights, to be trained here.

They are checkpoints of the `qwen2_5_vl` family like any other. What is special is how the weights start: a vision tower
that sees some thousand frames must begin near what a convolution does, or it spends them on finding out which patches
are neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pacenote.errors import InputError


@dataclass(frozen=True)
class StarterConfig:
    """Sizes of a starter. `full_attention` lists the vision layers that see the whole image; the others see windows
    of `window` pixels."""

    vision_width: int = 256
    vision_depth: int = 6
    vision_heads: int = 4
    vision_ffn: int = 768
    full_attention: tuple[int, ...] = (2, 5)
    window: int = 112
    patch: int = 14  # px; patch * merge must be 28, the side of a visual token
    merge: int = 2
    width: int = 256
    depth: int = 4
    heads: int = 4
    kv_heads: int = 2
    ffn: int = 768
    vocab: int = 768
    rope_theta_vision: float = 100.0  # a grid of 32x18 patches needs no wavelengths of thousands
    local_attention: bool = True
    seed: int = 0


STARTERS: dict[str, StarterConfig] = {
    "teacher": StarterConfig(),
    "student": StarterConfig(
        vision_width=128, vision_depth=4, vision_heads=2, vision_ffn=320, full_attention=(1, 3),
        width=128, depth=3, heads=2, kv_heads=1, ffn=384,
    ),
}  # fmt: skip


def starter_config(size: str, **changes: Any) -> StarterConfig:
    """The named size with some fields changed. Raises InputError on an unknown size or field."""
    if size not in STARTERS:
        raise InputError(f"unknown starter size '{size}'; choose one of {', '.join(STARTERS)}")
    fields = StarterConfig.__dataclass_fields__
    for name in changes:
        if name not in fields:
            raise InputError(f"unknown starter field '{name}'; the fields are {', '.join(fields)}")
    from dataclasses import replace

    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in changes.items()}
    return replace(STARTERS[size], **values)


def build(config: StarterConfig, tokenizer: Any) -> Any:
    """A `Model` with fresh weights for `tokenizer`. The same config and tokenizer give the same weights."""
    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    from pacenote.models.families import FAMILIES, Model
    from pacenote.models.processor import build_processor
    from pacenote.models.vision import install

    head_dim = config.width // config.heads
    if config.patch * config.merge != 28:
        raise InputError(f"starter: patch {config.patch} x merge {config.merge} is not 28 px; change one")
    if head_dim % 8:
        raise InputError(f"starter: width {config.width} over {config.heads} heads is no multiple of 8; change one")
    # Of the head's rotary frequencies a quarter go to time, three eighths each to rows and columns, as in Qwen2.5-VL.
    section = [head_dim // 8, head_dim // 16 * 3, head_dim // 2 - head_dim // 8 - head_dim // 16 * 3]
    ids = tokenizer.convert_tokens_to_ids
    settings = Qwen2_5_VLConfig(
        vision_config={
            "depth": config.vision_depth,
            "hidden_size": config.vision_width,
            "intermediate_size": config.vision_ffn,
            "num_heads": config.vision_heads,
            "out_hidden_size": config.width,
            "fullatt_block_indexes": list(config.full_attention),
            "window_size": config.window,
            "temporal_patch_size": 1,
            "patch_size": config.patch,
            "spatial_merge_size": config.merge,
            "rope_parameters": {"rope_type": "axial", "rope_theta": config.rope_theta_vision},
        },
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": config.width,
            "intermediate_size": config.ffn,
            "num_hidden_layers": config.depth,
            "num_attention_heads": config.heads,
            "num_key_value_heads": config.kv_heads,
            "max_position_embeddings": 4096,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": section},
            "bos_token_id": None,
            "eos_token_id": ids("<|im_end|>"),
            "pad_token_id": ids("<|endoftext|>"),
        },
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    state = torch.random.get_rng_state()
    try:
        torch.manual_seed(config.seed)
        model = Qwen2_5_VLForConditionalGeneration(settings)
        initialise_tower(model.model.visual, local_attention=config.local_attention)
    finally:
        torch.random.set_rng_state(state)
    model.generation_config.eos_token_id = ids("<|im_end|>")
    model.generation_config.pad_token_id = ids("<|endoftext|>")
    install(model)
    return Model(
        FAMILIES["qwen2_5_vl"],
        model.eval(),
        build_processor(tokenizer, patch=config.patch, merge=config.merge),
        "starter",
    )


def initialise_tower(visual: Any, local_attention: bool = True) -> None:
    """Start a vision tower near a convolutional network.

    - Linear layers get variance 1/fan-in (transformers' 0.02 is made for widths of thousands), residual branches are
      scaled down by the depth.
    - The patch embedding starts with smooth filters: each is a random mixture of low spatial frequencies and colours,
      so that neighbouring pixels start with similar weights.
    - `local_attention`: query and key biases of each head make it look at one fixed neighbour (dx, dy). Rotary codes
      turn such biases into a function of the relative position alone.
    """
    import torch

    depth = len(visual.blocks)
    with torch.no_grad():
        _smooth_filters(visual.patch_embed.proj.weight)
        for number, block in enumerate(visual.blocks):
            for linear in (block.attn.qkv, block.mlp.gate_proj, block.mlp.up_proj):
                _scaled(linear, 1.0)
            for linear in (block.attn.proj, block.mlp.down_proj):
                _scaled(linear, (2 * depth) ** -0.5)
            if local_attention:
                _local_heads(block.attn, visual.rotary_pos_emb.inv_freq, number)
        _scaled(visual.merger.mlp[0], 1.0)
        _scaled(visual.merger.mlp[2], 1.0)


def _scaled(linear: Any, gain: float) -> None:
    import torch

    torch.nn.init.trunc_normal_(linear.weight, std=gain * linear.in_features**-0.5)
    if linear.bias is not None:
        linear.bias.zero_()


def _smooth_filters(weight: Any) -> None:
    """Fill a (C, 3, 1, P, P) patch embedding with random low-pass filters of unit norm, some of them grey."""
    import torch

    channels, colours, _, height, width = weight.shape
    rows, columns = torch.arange(height) + 0.5, torch.arange(width) + 0.5
    count = min(8, height, width)
    frequency = torch.arange(count)
    cos_rows = torch.cos(torch.pi * frequency[:, None] * rows / height)  # (count, P)
    cos_columns = torch.cos(torch.pi * frequency[:, None] * columns / width)
    decay = 1.0 / (1.0 + (frequency[:, None] ** 2 + frequency[None] ** 2).float().sqrt())
    mixture = torch.randn(channels, colours, count, count) * decay
    mixture[: channels // 3] = mixture[: channels // 3].mean(1, keepdim=True).expand(-1, colours, -1, -1)
    filters = torch.einsum("ocuv,ui,vj->ocij", mixture, cos_rows, cos_columns)
    filters = filters / filters.flatten(1).norm(dim=1)[:, None, None, None]
    weight.copy_(filters[:, :, None].expand_as(weight) / weight.shape[2])


# Where the heads of a layer look, in patches; the centre comes again and again, because it is what a convolution needs.
_OFFSETS = ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (-1, -1), (1, -1), (-1, 1))
_PEAK = 3.0  # logit of the neighbour looked at above the average patch


def _local_heads(attention: Any, inv_freq: Any, layer: int) -> None:
    """Set the biases of q and k so that head h prefers the patch at one offset; weights of q and k start small."""
    import torch

    heads, head_dim = attention.num_heads, attention.head_dim
    bias = torch.zeros(3, heads, head_dim)
    quarter = head_dim // 4  # rotary frequencies an axis
    strength = 1.0 / torch.arange(1, quarter + 1).float()  # high frequencies (short wavelengths) localise
    strength = strength / strength.sum()
    amplitude = (_PEAK * head_dim**0.5 * strength).sqrt()
    for head in range(heads):
        dy, dx = _OFFSETS[(layer * heads + head) % len(_OFFSETS)]
        for axis, shift in ((0, dy), (1, dx)):
            # q = a (1, 0), k = a (cos, sin) of the shift: after rotation q.k = a^2 cos(w (key - query - shift)).
            angle = inv_freq.float() * -shift
            pairs = slice(axis * quarter, (axis + 1) * quarter)
            other = slice(2 * quarter + axis * quarter, 2 * quarter + (axis + 1) * quarter)
            bias[0, head, pairs] = amplitude
            bias[1, head, pairs] = amplitude * angle.cos()
            bias[1, head, other] = amplitude * angle.sin()
    attention.qkv.bias.copy_(bias.flatten())
    width = attention.dim
    attention.qkv.weight[: 2 * width] *= 0.5
