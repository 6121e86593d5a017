"""The language part of any family over a key-value cache of its own.

transformers' decoders build masks, caches and positions anew at every call; for a small model that costs more than its
matrix products. This one has the same weights and results and takes any mask, so that several answers, or several ways
in which an answer may go on, lie side by side behind one picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pacenote.errors import InputError
from pacenote.models.vision import _norm, _rotate

if TYPE_CHECKING:
    from torch import Tensor

ROOM = 192  # places for answers that a new cache has beside the prompt


class Cache:
    """Keys and values of every layer, (B, heads, places, head_dim); the first `length` places are taken."""

    def __init__(self) -> None:
        self.layers: list[tuple[Tensor, Tensor]] = []
        self.length = 0

    def write(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Put (B, heads, N, head_dim) behind what is there; returns all keys and values of the layer."""
        end = self.length + keys.shape[2]
        if layer == len(self.layers):
            size = (*keys.shape[:2], end + ROOM, keys.shape[3])
            self.layers.append((keys.new_empty(size), values.new_empty(size)))
        if end > self.layers[layer][0].shape[2]:
            grown = tuple(_wider(part, end + ROOM) for part in self.layers[layer])
            self.layers[layer] = (grown[0], grown[1])
        own = self.layers[layer]
        own[0][:, :, self.length : end] = keys
        own[1][:, :, self.length : end] = values
        return own[0][:, :, :end], own[1][:, :, :end]

    def copied(self, rows: int) -> Cache:
        """A cache of one row, as the start of one of `rows` rows."""
        cache = Cache()
        for index, layer in enumerate(self.layers):
            cache.write(index, *(part[:, :, : self.length].expand(rows, -1, -1, -1) for part in layer))
        cache.length = self.length
        return cache


def _wider(part: Tensor, places: int) -> Tensor:
    wide = part.new_empty((*part.shape[:2], places, part.shape[3]))
    wide[:, :, : part.shape[2]] = part
    return wide


class Decoder:
    """Runs a language model (`Family.language`) over a `Cache`.

    Raises InputError where its layers are none of the kind that all of Pacenote's families have.
    """

    def __init__(self, language: Any) -> None:
        self.language = language
        attention = language.layers[0].self_attn
        self.scale = float(attention.scaling)
        self.head_dim = int(attention.head_dim)
        if any(getattr(layer.self_attn, "sliding_window", None) for layer in language.layers):
            raise InputError("the engine has no sliding attention windows; ask the model with --engine plain")

    def run(
        self, x: Tensor, positions: Tensor, seen: Tensor, cache: Cache, deep: tuple[Tensor, Sequence[Tensor]] | None
    ) -> Tensor:
        """Last hidden states (B, N, C) of embeddings x (B, N, C) at `positions` ((3,) B, N).

        `seen` (B, N, cache.length + N) bool: what each token attends to. `deep`: (B, N) bool and what Qwen3-VL adds to
        the hidden states of those tokens after its first layers. The cache takes the tokens up.
        """
        import torch
        from torch.nn import functional

        cos, sin = self.language.rotary_emb(x, positions)
        cos, sin = cos.unsqueeze(2), sin.unsqueeze(2)  # (B, N, 1, head_dim)
        batch, count, _ = x.shape
        first = self.language.layers[0].self_attn
        groups = first.num_key_value_groups
        bias = torch.zeros(seen.shape, dtype=x.dtype, device=x.device).masked_fill_(~seen, torch.finfo(x.dtype).min)
        bias = bias[:, None].repeat(1, 1, groups, 1) if groups > 1 else bias[:, None]
        for number, layer in enumerate(self.language.layers):
            attention, h = layer.self_attn, _norm(x, layer.input_layernorm)
            query = attention.q_proj(h).view(batch, count, -1, self.head_dim)
            key = attention.k_proj(h).view(batch, count, -1, self.head_dim)
            value = attention.v_proj(h).view(batch, count, -1, self.head_dim).transpose(1, 2)
            if hasattr(attention, "q_norm"):  # Qwen3
                query, key = _norm(query, attention.q_norm), _norm(key, attention.k_norm)
            query, key = _rotate(query, cos, sin), _rotate(key, cos, sin).transpose(1, 2)
            keys, values = cache.write(number, key, value)
            # The heads that share a key lie one below the other as queries of that key: no key is repeated.
            query = query.view(batch, count, -1, groups, self.head_dim).permute(0, 2, 3, 1, 4).flatten(2, 3)
            out = functional.scaled_dot_product_attention(query, keys, values, attn_mask=bias, scale=self.scale)
            out = out.view(batch, -1, groups, count, self.head_dim).permute(0, 3, 1, 2, 4).reshape(batch, count, -1)
            x = x + attention.o_proj(out)
            mlp, h = layer.mlp, _norm(x, layer.post_attention_layernorm)
            x = x + mlp.down_proj(mlp.act_fn(mlp.gate_proj(h)) * mlp.up_proj(h))
            if deep is not None and number < len(deep[1]):
                x = x.clone()
                x[deep[0]] += deep[1][number].to(x.dtype)
        cache.length += count
        return _norm(x, self.language.norm)
