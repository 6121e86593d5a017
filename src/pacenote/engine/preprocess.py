"""Pictures and words to tensors, as the model's own processor makes them, without its detours.

A stock processor turns pictures to arrays and back, and words to tokens anew, for every frame; of a small model's call
that is a third. Here the words of a prompt are kept, and a picture becomes patches in four operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pacenote.models.eyes import Grid, patches

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from pacenote.models import Model

KEPT = 512  # prompts


class Preprocess:
    """`Model.inputs`, equal to it; quick for the Qwen families, where pictures are cut in patches at once."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.processor = model.processor.image_processor
        wanted = ("do_resize", "do_rescale", "do_normalize")
        self.quick = type(self.processor).__name__ == "Qwen2VLImageProcessorPil" and all(
            getattr(self.processor, name) for name in wanted
        )
        self._prompts: dict[tuple[Any, ...], tuple[Tensor, Tensor]] = {}

    def __call__(
        self, images: Sequence[Sequence[Image.Image]], questions: Sequence[str], roles: Sequence[Sequence[str]] = ()
    ) -> dict[str, Any]:
        """What `Model.inputs` gives; beside it, where it is known, `positions` (3, B, L) of all tokens."""
        if not self.quick:
            return dict(self.model.inputs(images, questions, roles))
        import torch

        pixels, grids = [], []
        for own in images:
            told = [patches(self.processor, image) for image in own]
            pixels += [one for one, _ in told]
            grids.append(tuple(grid for _, grid in told))
        rows = [
            self._prompt(question, grid, tuple(roles[i]) if roles else ())
            for i, (question, grid) in enumerate(zip(questions, grids, strict=True))
        ]
        length = max(len(ids) for ids, _ in rows)
        batch = {
            "input_ids": torch.full((len(rows), length), int(self.model.tokenizer.pad_token_id)),
            "attention_mask": torch.zeros(len(rows), length, dtype=torch.long),
            "positions": torch.zeros(3, len(rows), length, dtype=torch.long),
        }
        for row, (ids, positions) in enumerate(rows):
            batch["input_ids"][row, length - len(ids) :] = ids
            batch["attention_mask"][row, length - len(ids) :] = 1
            batch["positions"][:, row, length - len(ids) :] = positions
        batch["pixel_values"] = torch.cat(pixels)
        batch["image_grid_thw"] = torch.tensor([grid for own in grids for grid in own])
        return {name: value.to(self.model.device) for name, value in batch.items()}

    def _prompt(self, question: str, grids: tuple[Grid, ...], roles: tuple[str, ...]) -> tuple[Tensor, Tensor]:
        """Token ids (L,) and positions (3, L) of a prompt."""
        import torch

        key = (question, grids, roles)
        if key not in self._prompts:
            if len(self._prompts) >= KEPT:
                self._prompts.clear()
            model = self.model
            text, mark = model.prompt(len(grids), question, roles), model.family.placeholders[0]
            head, *tails = text.split(mark)
            for grid, tail in zip(grids, tails, strict=True):
                head += mark * model.family.image_tokens(grid, model.model) + tail
            ids = torch.tensor(model.tokenizer(head, add_special_tokens=False)["input_ids"])
            kinds = (ids == int(model.model.config.image_token_id)).int()
            positions, _ = model.model.model.get_rope_index(
                ids[None], mm_token_type_ids=kinds[None], image_grid_thw=torch.tensor(grids)
            )
            self._prompts[key] = (ids, positions[:, 0])
        return self._prompts[key]
