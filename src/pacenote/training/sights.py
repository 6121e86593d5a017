"""What a teacher's tower sees in fixed views of frames, found once and kept on disk.

A teacher several times the student's size costs more than the student's own step. Views that are the same in every
pass and every training let it look once; the student sees each of them under other light every time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.training.augment import PLAIN, SEEN, Strength, View, view_of
from pacenote.training.frames import STORED, Frames
from pacenote.training.shared import allocate
from pacenote.training.targets import CELL, FACTS, TARGETS, class_weights
from pacenote.work.files import write_text

if TYPE_CHECKING:
    import numpy as np

    from pacenote.training.tower import DenseTeacher, Sight

DONE = "done.txt"  # how many views are there
LEVELS = 255  # of a stored probability
AIM = 0.3  # probability from which what a teacher sees in a cell is worth a look: the doubtful has most to teach


@dataclass(frozen=True)
class Views:
    """`copies` views of each frame, the same in every training: number `copy * frames + index`, without photometric
    changes."""

    frames: Frames
    copies: int
    strength: Strength
    size: tuple[int, int]  # width, height

    def __len__(self) -> int:
        return self.copies * len(self.frames)

    def __getitem__(self, place: int) -> View:
        import numpy as np

        rng = np.random.default_rng((6, place))
        strength = replace(self.strength, photometric=0.0)
        return view_of(self.frames, place % len(self.frames), rng, strength, self.size)


@dataclass(frozen=True)
class Sights:
    """What a teacher sees in each view, by the fields of `Sight`: tokens are bf16 kept as int16 (views, cells, width),
    probabilities of cells and patches uint8 of 255, of facts float16 (views, values of all facts)."""

    held: dict[str, np.ndarray]

    def __getitem__(self, place: int) -> dict[str, np.ndarray]:
        return {name: array[place] for name, array in self.held.items()}


def look(teacher: DenseTeacher, views: Views, store: Path, batch: int = 32, device: str = "cpu") -> Sights:
    """Let `teacher` look at `views`; goes on with what is in `store`."""
    import numpy as np
    import torch

    from pacenote.training.loop import autocast, keep_memory
    from pacenote.work.progress import bar

    if device == "cpu":
        keep_memory()
    begun = int((store / DONE).read_text()) if (store / DONE).is_file() else 0
    arrays = {path.stem: np.load(path, mmap_mode="r+") for path in store.glob("*.npy")} if begun else {}
    if begun < len(views):
        with torch.inference_mode(), autocast(device), bar("teacher looks", len(views), begun) as advance:
            for start in range(begun, len(views), batch):
                places = range(start, min(start + batch, len(views)))
                images = torch.from_numpy(np.stack([views[place].image for place in places]))
                for name, values in _stored(teacher(images.to(device))).items():
                    if name not in arrays:
                        arrays[name] = allocate(store / f"{name}.npy", values.dtype, (len(views), *values.shape[1:]))
                    arrays[name][start : places.stop] = values
                if places.stop == len(views) or (start // batch) % 16 == 15:
                    for array in arrays.values():
                        array.flush()
                    write_text(store / DONE, str(places.stop))
                advance(len(places))
    return Sights({path.stem: np.load(path, mmap_mode="r") for path in sorted(store.glob("*.npy"))})


def aimed(teacher: DenseTeacher, frames: Frames, store: Path, batch: int = 32, device: str = "cpu") -> Frames:
    """`frames` with what the heads of `teacher` see in each whole one as `aims`: the cells of each class that decides
    a fact. Without heads nothing is aimed at."""
    import numpy as np

    if teacher.task is None:
        return frames
    seen = look(teacher, Views(frames, 1, PLAIN, SEEN), store, batch, device)
    deciding = np.flatnonzero(class_weights() >= 2)  # see `targets.WEIGHT_OF`
    columns = SEEN[0] // CELL
    width, height = (CELL * stored / shown for stored, shown in zip(STORED, SEEN, strict=True))
    aims = []
    for cells in seen.held["cells"]:
        boxes: dict[str, list[list[float]]] = {}
        for cell, target in zip(*np.nonzero(cells[:, deciding] >= AIM * LEVELS), strict=True):
            row, column = divmod(int(cell), columns)
            box = [column * width, row * height, (column + 1) * width, (row + 1) * height]
            boxes.setdefault(TARGETS[deciding[target]], []).append(box)
        aims.append(boxes)
    return replace(frames, aims=tuple(aims))


def _stored(sight: Sight) -> dict[str, np.ndarray]:
    import torch

    found = {"tokens": sight.tokens.to(torch.bfloat16).view(torch.int16)}
    for name, probability in (("cells", sight.cells), ("patches", sight.patches)):
        if probability is not None:
            found[name] = (probability * LEVELS).round().to(torch.uint8)
    if sight.facts is not None:
        found["facts"] = torch.cat(sight.facts, 1).to(torch.float16)
    return {name: values.cpu().numpy() for name, values in found.items()}


def sight_of(batch: Mapping[str, Any]) -> Sight:
    """Inverse of how `Sights` keeps it, for a batch of tensors."""
    import torch

    from pacenote.training.tower import Sight

    def probability(name: str) -> Any:
        return batch[name].float() / LEVELS if name in batch else None

    facts = batch["facts"].float().split(list(FACTS.values()), 1) if "facts" in batch else None
    return Sight(batch["tokens"].view(torch.bfloat16).float(), probability("cells"), probability("patches"), facts)
