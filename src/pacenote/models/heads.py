"""What a tower's own heads say of a frame: which classes each cell and patch holds, and the facts of the whole image.

Dense pre-training leaves its heads beside the weights (`heads.safetensors`). They cost a few matrix products on visual
tokens that an answer needs anyway: the cheapest look there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.advisory import CROSSROADS, LIGHT_STATES, MOVEMENTS, OBSTACLES
from pacenote.advisory.domain import SPEEDS
from pacenote.data.classes import CLASSES
from pacenote.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from pacenote.models.families import Model

FILE = "heads.safetensors"
LIMITS = tuple(f"limit_{kmh}" for kmh in range(10, 140, 10))  # the number of a legible limit sign or marking
# What concerns the ego car: its own light, what stands on its road, what its route runs over, the number on a sign.
OWN = (
    *(f"own_light_{state}" for state in ("red", "yellow", "green", "off")),
    "own_pedestrian", "own_pedestrian_crossing", "own_intersection", *LIMITS,
)  # fmt: skip
TARGETS = (*CLASSES, *OWN)
CONDITIONS: dict[str, tuple[str, ...]] = {
    "weather": ("clear", "overcast", "rain", "fog", "snow"),
    "time": ("day", "dusk", "night"),
    "road_class": ("motorway", "arterial", "urban", "residential", "toll"),
}
FACTS: dict[str, int] = {
    "light": len(LIGHT_STATES),
    "movement": len(MOVEMENTS),
    "speed": len(SPEEDS),
    **{f"obstacles.{kind}": 2 for kind in OBSTACLES},
    **{f"crossroad.{kind}": 2 for kind in CROSSROADS},
    **{name: len(values) for name, values in CONDITIONS.items()},
    "limit": 1 + len(LIMITS),  # that a sign or marking states; 0 = none does
}
"""Facts of a whole image -> number of values."""


@dataclass(frozen=True)
class Told:
    """Probabilities for a batch of B frames: `patches` (B, rows, columns, classes) of `CLASSES`, `own` (B, rows/merge,
    columns/merge, targets) of `OWN`, `facts` name -> (B, values)."""

    patches: Tensor
    own: Tensor
    facts: dict[str, Tensor]


class Heads:
    """Heads of one tower, read from its `heads.safetensors`."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self.weights = {name: value.float() for name, value in weights.items()}

    @classmethod
    def of(cls, model: Model) -> Heads | None:
        """The heads beside `model`'s weights; None where there are none that tell of patches, or the family's tower
        gives no tokens of single patches."""
        from safetensors.torch import load_file

        from pacenote.models.shipped import resolve

        try:
            file = Path(resolve(model.name)) / FILE
        except InputError:  # a model that was never saved
            return None
        if not file.is_file() or model.family.name != "qwen2_5_vl":
            return None
        weights = load_file(file)
        width = int(model.model.config.vision_config.out_hidden_size)
        fitting = {"heads.cells.weight": (len(TARGETS), width), "facts.out.bias": (sum(FACTS.values()),)}
        known = all(name in weights and tuple(weights[name].shape) == shape for name, shape in fitting.items())
        return cls(weights) if known and "patch_heads.cells.weight" in weights else None

    def __call__(self, details: Tensor, tokens: Tensor, rows: int) -> Told:
        """`details` (B, cells, merge^2, patch width) and `tokens` (B, cells, width) as `models.vision.patch_tokens` and
        `merged` give them; `rows` of patches."""
        batch, cells, square, _ = details.shape
        merge = round(square**0.5)
        grid = (batch, rows // merge, cells * merge // rows)
        fine = self._linear("patch_heads.cells", details).sigmoid().view(*grid, merge, merge, -1)
        fine = fine.transpose(2, 3).reshape(batch, rows, -1, fine.shape[-1])
        own = self._linear("heads.cells", tokens)[..., len(CLASSES) :].sigmoid().view(*grid, -1)
        return Told(fine, own, self._facts(tokens))

    def _facts(self, tokens: Tensor) -> dict[str, Tensor]:
        """Attention pooling, as `training.tower.FactHeads` learns it."""
        import torch
        from torch.nn import functional

        own = self.weights
        x = functional.layer_norm(tokens.float(), tokens.shape[-1:], own["facts.norm.weight"], own["facts.norm.bias"])
        weight = self._linear("facts.score", x).softmax(1)
        pooled = torch.einsum("bnq,bnv->bqv", weight, functional.gelu(self._linear("facts.value", x)))
        logits = self._linear("facts.out", pooled.flatten(1)).split(list(FACTS.values()), 1)
        return {name: values.softmax(-1) for name, values in zip(FACTS, logits, strict=True)}

    def _linear(self, name: str, x: Tensor) -> Any:
        from torch.nn import functional

        weight, bias = (self.weights[f"{name}.{part}"].to(x.device) for part in ("weight", "bias"))
        return functional.linear(x.float(), weight, bias)
