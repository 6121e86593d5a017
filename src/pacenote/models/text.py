"""The Qwen2.5-VL language model over whole sequences with any attention mask, made for training on a CPU.

Same weights and results as transformers' own forward; what differs is speed: under autocast the residual stream stays
in the autocast type, attention is plain matrix products (see `vision._attend`), and layers may run compiled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def _layer(layer: Any, x: Tensor, cos: Tensor, sin: Tensor, bias: Tensor) -> Tensor:
    """One decoder layer over x (B, L, C); cos, sin (B, L, 1, head_dim); bias (B, 1, L, L) added to the scores."""
    from pacenote.models.vision import _norm, _rotate

    batch, length, _ = x.shape
    attention = layer.self_attn
    dim, groups = attention.head_dim, attention.num_key_value_groups
    h = _norm(x, layer.input_layernorm)
    query = _rotate(attention.q_proj(h).view(batch, length, -1, dim), cos, sin).transpose(1, 2)
    key = _rotate(attention.k_proj(h).view(batch, length, -1, dim), cos, sin).transpose(1, 2)
    value = attention.v_proj(h).view(batch, length, -1, dim).transpose(1, 2)
    if groups > 1:
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    scores = (query.contiguous() * attention.scaling) @ key.transpose(-1, -2) + bias
    out = (scores.softmax(-1) @ value).transpose(1, 2).reshape(batch, length, -1)
    x = x + attention.o_proj(out)
    h = _norm(x, layer.post_attention_layernorm)
    mlp = layer.mlp
    return x + mlp.down_proj(mlp.act_fn(mlp.gate_proj(h)) * mlp.up_proj(h))


def run(language: Any, embeds: Tensor, positions: Tensor, allowed: Tensor) -> Tensor:
    """Last hidden states (B, L, C) of `embeds` (B, L, C) at `positions` (3, B, L), each query seeing `allowed`
    (B, 1, L, L) bool. On other devices than a CPU, or with gradient checkpointing, transformers' own layers run."""
    import torch

    from pacenote.models import vision

    if embeds.device.type != "cpu" or language.gradient_checkpointing:
        bias = torch.zeros(allowed.shape, dtype=embeds.dtype, device=embeds.device)
        bias.masked_fill_(~allowed, torch.finfo(embeds.dtype).min)
        return language(
            inputs_embeds=embeds, position_ids=positions, attention_mask={"full_attention": bias}, use_cache=False
        ).last_hidden_state
    dtype = embeds.dtype
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
    x = embeds.to(dtype)
    bias = torch.zeros(allowed.shape, dtype=dtype).masked_fill_(~allowed, torch.finfo(dtype).min)
    cos, sin = language.rotary_emb(embeds, positions)
    cos, sin = cos.to(dtype).unsqueeze(2), sin.to(dtype).unsqueeze(2)
    layer = vision.compiled_or_not(_layer)
    for one in language.layers:
        x = layer(one, x, cos, sin, bias)
    return vision._norm(x, language.norm)
