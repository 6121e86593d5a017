"""Visual tokens of fixed views, computed once: the tower is frozen while the language part learns.

Beside each view lie crops of it. Plain ones show the ego car's light, or where one could hang; `looks` ones show what
the model's own tower finds likely, as a prompt book's aids do when the model is asked (`prompts.aids`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.prompts.aids import crops, shown
from pacenote.prompts.book import Aid
from pacenote.prompts.look import Look
from pacenote.training.augment import CROP_PX, CROP_SEEN, SEEN, Strength, View, crop_of, photometric, view_of
from pacenote.training.frames import STORED, Frames, Record
from pacenote.training.questions import with_unknown
from pacenote.training.shared import allocate

if TYPE_CHECKING:
    import numpy as np

    from pacenote.experts.look import TowerLook
    from pacenote.models import Model
    from pacenote.training.packs import Grid

# Less sure than a book would ask: the language part must learn what a crop of nothing shows.
AIDS = tuple(
    Aid("crop", of, least=least, width=CROP_PX / STORED[0], side=CROP_SEEN)  # type: ignore[arg-type]
    for of, least in (("light", 0.003), ("obstacle", 0.1))
)


@dataclass(frozen=True)
class TokenCache:
    """Visual tokens of views: `frames` (N, 144, width), `crops` (N, crops, 36, width), bf16 kept as int16; `there` (N,
    crops): which of the crops show something; their records."""

    frames: np.ndarray
    crops: np.ndarray
    there: np.ndarray
    records: tuple[Record, ...]

    def __len__(self) -> int:
        return len(self.records)


def picture_grids(model: Model) -> tuple[Grid, Grid]:
    """Patches (1, rows, columns) of a frame and of a crop as `model` sees them."""
    patch = int(model.model.config.vision_config.patch_size)
    frame: Grid = (1, SEEN[1] // patch, SEEN[0] // patch)
    return frame, (1, CROP_SEEN // patch, CROP_SEEN // patch)


def seen_record(seen: View) -> Record:
    """The record of a view, with what it cut away unknown."""
    return with_unknown(seen.record, seen.hidden)


def cache_tokens(
    model: Model,
    frames: Frames,
    copies: int,
    strength: Strength,
    store: Path,
    look: TowerLook | None = None,
    batch: int = 8,
) -> TokenCache:
    """Encode `copies` views of each frame, and crops of each, into `store`; opens what is there already. `look` chooses
    the crops; the views and crops do not depend on `model`, so a teacher's cache shows the same."""
    import numpy as np
    import torch

    from pacenote.training.frames import open_records, write_records
    from pacenote.training.loop import autocast, keep_memory
    from pacenote.training.tower import QwenEncoder
    from pacenote.work.progress import bar

    total, kinds = copies * len(frames), 1 if look is None else len(AIDS)
    if not (store / "records.json").is_file():
        store.mkdir(parents=True, exist_ok=True)
        encoder = QwenEncoder(model.family.visual(model.model)).eval()
        device = model.device
        if device.type == "cpu":
            keep_memory()
        cells = [model.family.image_tokens(grid, model.model) for grid in picture_grids(model)]
        held = allocate(store / "frames.npy", np.int16, (total, cells[0], encoder.width))
        held_crops = allocate(store / "crops.npy", np.int16, (total, kinds, cells[1], encoder.width))
        there = np.zeros((total, kinds), bool)
        records: list[Record] = []

        def encoded(images: Sequence[np.ndarray]) -> Any:
            tokens = encoder(torch.from_numpy(np.stack(images)).to(device)).to(torch.bfloat16)
            return tokens.cpu().view(torch.int16).numpy()

        with torch.inference_mode(), bar("encode views", total) as advance:
            for start in range(0, total, batch):
                places = range(start, min(start + batch, total))
                rngs = [np.random.default_rng((2, k)) for k in places]  # not the seed's: trainings share what is seen
                views = []
                for k, rng in zip(places, rngs, strict=True):
                    copy, index = divmod(k, len(frames))
                    own = replace(strength, photometric=0.0, zoom=0.0) if copy == 0 else strength
                    views.append((view_of(frames, index, rng, own), own))
                if look is None:
                    cut = [[crop_of(seen, rng, own)] for (seen, own), rng in zip(views, rngs, strict=True)]
                else:
                    cut = looked(look, views, rngs)
                with autocast(device):
                    held[start : places.stop] = encoded([seen.image for seen, _ in views])
                    flat = [(row, k) for row, own in enumerate(cut) for k in range(kinds) if own[k] is not None]
                    if flat:
                        tokens = encoded([cut[row][kind] for row, kind in flat])
                        for (row, kind), one in zip(flat, tokens, strict=True):
                            held_crops[start + row, kind], there[start + row, kind] = one, True
                records += [seen_record(seen) for seen, _ in views]
                advance(len(places))
        held.flush()
        held_crops.flush()
        np.save(store / "there.npy", there)
        write_records(store / "records.json", records)
    opened = {name: np.load(store / f"{name}.npy", mmap_mode="r") for name in ("frames", "crops", "there")}
    return TokenCache(records=tuple(open_records(store / "records.json")), **opened)


def looked(
    look: TowerLook, views: Sequence[tuple[View, Strength]], rngs: Sequence[np.random.Generator]
) -> list[list[Any]]:
    """Crops (168, 168, 3) uint8 of each of AIDS in views; None where nothing is likely."""
    import numpy as np
    from PIL import Image

    images = [Image.fromarray(seen.image) for seen, _ in views]
    found = []
    for (seen, strength), image, rng, (detections, _) in zip(views, images, rngs, look.look(images), strict=True):
        sight = Look(image.size, tuple(detections))
        sharp = Image.fromarray(seen.native)
        own: list[Any] = []
        for aid in AIDS:
            boxes = [one.box for one in shown(aid, sight)]
            cut = [np.array(one) for one in crops(aid, sharp, sight, boxes)]
            if cut and strength.photometric:
                cut = [photometric(one, rng, strength.photometric) for one in cut]
            own.append(cut[0] if cut else None)
        found.append(own)
    return found
