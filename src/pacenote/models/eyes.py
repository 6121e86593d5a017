"""The tower's view of single pictures, kept for a while: a look at a frame before it is asked about costs no second
pass of the tower."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pacenote.errors import InputError

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from pacenote.models.families import Model

Grid = tuple[int, int, int]  # temporal, rows, columns of patches
KEPT = 64  # pictures


@dataclass(frozen=True)
class View:
    """One picture in a tower: `details` (cells, merge^2, patch width) before and `tokens` (cells, width) after the
    merger; `rows` of patches."""

    details: Tensor
    tokens: Tensor
    rows: int


class Eyes:
    """Sees pictures with a Qwen2.5-VL tower; the last ones are remembered by identity, so they must not change."""

    def __init__(self, model: Model) -> None:
        if model.family.name != "qwen2_5_vl":
            raise InputError(
                f"{model.name}: a model of the family {model.family.name} gives no tokens of single patches"
            )
        self.model = model
        self._seen: OrderedDict[int, tuple[Image.Image, View]] = OrderedDict()

    def __call__(self, images: Sequence[Image.Image]) -> list[View]:
        """Views of `images`; those of one shape that are new go through the tower together."""
        import torch

        fresh = {id(image): image for image in images if id(image) not in self._seen}  # a picture has no hash
        shapes: dict[Grid, list[tuple[Image.Image, Tensor]]] = {}
        for image in fresh.values():
            pixels, grid = patches(self.model.processor.image_processor, image)
            shapes.setdefault(grid, []).append((image, pixels))
        with torch.inference_mode():
            for grid, own in shapes.items():
                self._see(grid, own)
        views = [self._seen[id(image)][1] for image in images]
        while len(self._seen) > KEPT:
            self._seen.popitem(last=False)
        return views

    def _see(self, grid: Grid, own: Sequence[tuple[Image.Image, Tensor]]) -> None:
        import torch

        from pacenote.models.vision import merged, patch_tokens

        visual = self.model.family.visual(self.model.model)
        details = patch_tokens(visual, torch.stack([pixels for _, pixels in own]).to(self.model.device), grid)
        for (image, _), one, tokens in zip(own, details, merged(visual, details), strict=True):
            self._seen[id(image)] = (image, View(one, tokens, grid[1]))  # the picture is held: its id stays its own


def patches(processor: Any, image: Image.Image) -> tuple[Tensor, Grid]:
    """(patches, values) float32 of one picture as a Qwen2-VL image processor cuts it, and its grid."""
    import numpy as np
    import torch
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

    patch, merge, frames = int(processor.patch_size), int(processor.merge_size), int(processor.temporal_patch_size)
    height, width = smart_resize(
        image.height, image.width, patch * merge, processor.size["shortest_edge"], processor.size["longest_edge"]
    )
    image = image.convert("RGB")
    if image.size != (width, height):
        image = image.resize((width, height), processor.resample)
    step = patch * merge
    x = torch.from_numpy(np.array(image)).to(torch.float32)
    mean, std = (
        torch.tensor(values) / processor.rescale_factor for values in (processor.image_mean, processor.image_std)
    )
    x = (x - mean) / std
    x = x.view(height // step, merge, patch, width // step, merge, patch, 3).permute(0, 3, 1, 4, 6, 2, 5)
    cells = x.reshape(-1, 3, 1, patch * patch).expand(-1, -1, frames, -1).reshape(-1, 3 * frames * patch * patch)
    return cells, (1, height // patch, width // patch)
