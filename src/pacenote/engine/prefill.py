"""From pictures to a cache: the part of a call that no form of answer can avoid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pacenote.engine.decoder import Cache, Decoder
from pacenote.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from pacenote.models import Model


@dataclass
class Seen:
    """A batch up to the last picture of each row. `tails`: the tokens of the prompt behind it; `following`: position of
    the first of them. `mask` (B, cache.length): what of the cache belongs to a row."""

    cache: Cache
    mask: Tensor
    tails: list[list[int]]
    following: list[int]


class Prefill:
    """Reads prompts into caches. The words before the first picture never change, so their keys and values are computed
    once and kept."""

    def __init__(self, model: Model, decoder: Decoder) -> None:
        self.model = model
        self.decoder = decoder
        self.image_id = int(model.model.config.image_token_id)
        self._kept: dict[tuple[int, ...], Cache] = {}

    def visual_tokens(self, inputs: Mapping[str, Any]) -> tuple[Tensor, Sequence[Tensor] | None]:
        """Visual tokens of all pictures in order, (n, C), and Qwen3-VL's additions for its first layers."""
        import torch

        names = ("pixel_values", "image_grid_thw", "pixel_attention_mask")
        given = {name: inputs[name] for name in names if inputs.get(name) is not None}
        out = self.model.model.model.get_image_features(**given)
        told = out.pooler_output
        tokens = torch.cat(list(told)) if isinstance(told, (tuple, list)) else told.flatten(0, -2)
        return tokens, getattr(out, "deepstack_features", None)

    def positions(self, inputs: Mapping[str, Any]) -> Tensor:
        """(3, B, L) where a family counts in rows and columns of the picture, else (B, L)."""
        if "positions" in inputs:
            return inputs["positions"]
        mask = inputs["attention_mask"]
        index = getattr(self.model.model.model, "get_rope_index", None)
        if index is None:
            return (mask.long().cumsum(-1) - 1).clamp(min=0)
        names = ("input_ids", "mm_token_type_ids", "image_grid_thw")
        return index(attention_mask=mask, **{n: inputs[n] for n in names if n in inputs})[0]

    def read(self, inputs: Mapping[str, Any], visual: tuple[Tensor, Sequence[Tensor] | None]) -> Seen:
        """Everything up to the last picture of each row goes into a new cache; each row needs one."""
        import torch

        ids, mask = inputs["input_ids"], inputs["attention_mask"].bool()
        images = ids == self.image_id
        places = torch.arange(ids.shape[1], device=ids.device)
        cuts = [int(end) + 1 for end in (places * images).amax(-1)]  # rows are padded on the left: they end together
        cut = max(cuts)
        positions = self.positions(inputs)
        tokens, deep = visual
        embeds = self.model.model.get_input_embeddings()(ids[:, :cut])
        holes = images[:, :cut]
        if int(holes.sum()) != len(tokens):
            raise InputError(f"{int(holes.sum())} image tokens in the prompt for {len(tokens)} visual tokens")
        embeds = embeds.masked_scatter(holes[..., None], tokens.to(embeds.dtype))
        start = int(torch.where(images, places, ids.shape[1]).min())
        cache = self._start(ids, mask, positions, start)
        start = cache.length
        causal = torch.ones(cut, cut, dtype=torch.bool, device=ids.device).tril()
        # A token of the padding sees itself: softmax needs one.
        seen = (causal & mask[:, None, :cut]) | torch.eye(cut, dtype=torch.bool, device=ids.device)
        added = None if deep is None else (holes[:, start:], deep)
        self.decoder.run(embeds[:, start:], positions[..., start:cut], seen[:, start:], cache, added)
        own = mask[:, :cut].clone()
        for row, end in enumerate(cuts):
            own[row, end:] = False
        following = [int(positions[..., row, end].max()) for row, end in enumerate(cuts)]
        return Seen(cache, own, [ids[row, end:].tolist() for row, end in enumerate(cuts)], following)

    def _start(self, ids: Tensor, mask: Tensor, positions: Tensor, start: int) -> Cache:
        """The words before the first picture: kept ones, if all rows begin alike and none is padded."""
        import torch

        lead = ids[:1, :start]
        if start == 0 or not bool(mask[:, :start].all()) or bool((ids[:, :start] != lead).any()):
            return Cache()
        key = tuple(lead[0].tolist())
        if key not in self._kept:
            if len(self._kept) >= 64:
                self._kept.clear()
            cache = Cache()
            seen = torch.ones(1, start, start, dtype=torch.bool, device=ids.device).tril()
            embeds = self.model.model.get_input_embeddings()(lead)
            self.decoder.run(embeds, positions[..., :1, :start], seen, cache, None)
            self._kept[key] = cache
        return self._kept[key].copied(len(ids))
