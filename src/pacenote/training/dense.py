"""Pre-training of the vision tower on dense labels: what is in each 28-px cell, and the image's facts beside it.

A tower from random weights learns next to nothing from answer tokens alone in minutes; told what each cell holds, it
does. The labels come from the renderer's class map, so they cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.data.classes import CLASSES
from pacenote.errors import InputError
from pacenote.training.augment import PLAIN, SEEN, Strength, View, photometric, view_of
from pacenote.training.frames import Frames
from pacenote.training.order import members_of, order_of, step_count
from pacenote.training.shared import Shared, stamp
from pacenote.training.sights import Sights, Views, aimed, look
from pacenote.training.targets import (
    TARGETS,
    UNKNOWN,
    beliefs_of,
    cells_of,
    class_weights,
    facts_of,
    patches_of,
    positive_weights,
)  # fmt: skip

if TYPE_CHECKING:
    import numpy as np


HEADS = "heads.safetensors"  # the dense heads of a training, beside its stages and beside the weights


@dataclass(frozen=True)
class DenseOptions:
    """Options of a `dense` stage."""

    epochs: float = 20.0
    steps: int = 0  # of the optimizer, in place of epochs
    batch: int = 16
    lr: float = 1e-3
    muon: float = 16.0  # the tower's matrices take Muon steps of so many times the rate; 0 = AdamW for all
    weight_decay: float = 0.05
    warmup: float = 0.1  # share of the steps
    facts_weight: float = 0.3
    soft: bool = False  # facts of mined rows are matched to their posterior in place of the label
    patches: bool = True  # also name the classes patch by patch
    teacher: str = ""  # a model whose tokens are to be matched; of what no label tells, its heads do
    teacher_weight: float = 1.0
    copies: int = 0  # with a teacher: views of each frame, at which it looks once; 0 = fresh ones, looked at each step
    view: tuple[int, int] = SEEN  # width, height of what a step sees: a part of the frame costs less
    shares: tuple[float, ...] = ()  # of each Dataset, in their order; () = one heap
    augment: Strength = Strength()
    seed: int = 0
    compile: bool = True

    def __post_init__(self) -> None:
        if self.copies and not self.teacher:
            raise ValueError("copies are the views at which a teacher looks once; name a teacher, or leave them out")


class DenseStream:
    """Random views of frames, in a fixed order: item k depends on (seed, k) alone."""

    def __init__(
        self,
        frames: Frames,
        order: Callable[[int], int],
        length: int,
        strength: Strength,
        seed: int,
        size: tuple[int, int] = SEEN,
        patch: int = 0,
    ) -> None:
        self.frames, self.order, self.length, self.strength, self.seed = frames, order, length, strength, seed
        self.size, self.patch = size, patch

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, k: int) -> dict[str, np.ndarray]:
        import numpy as np

        rng = np.random.default_rng((self.seed, 1, k))
        return item(self.frames, self.order(k), rng, self.strength, self.size, self.patch)


class TaughtStream:
    """Item k: one of `views`, under other light each time, with what a teacher saw there as `sight`."""

    def __init__(
        self, views: Views, sights: Sights, order: Callable[[int], int], length: int, seed: int, patch: int = 0
    ) -> None:
        self.views, self.sights, self.order, self.length = views, sights, order, length
        self.seed, self.patch = seed, patch

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, k: int) -> dict[str, Any]:
        import numpy as np

        place, strength = self.order(k), self.views.strength.photometric
        seen = self.views[place]
        if strength:
            rng = np.random.default_rng((self.seed, 1, k))
            seen = replace(seen, image=photometric(seen.image, rng, strength))
        known = bool(self.views.frames.has_map[place % len(self.views.frames)])
        return {**targeted(seen, known, self.patch), "sight": self.sights[place]}


def item(
    frames: Frames,
    index: int,
    rng: np.random.Generator,
    strength: Strength,
    size: tuple[int, int] = SEEN,
    patch: int = 0,
) -> dict[str, np.ndarray]:
    """One view with its targets: `images` uint8, `cells` int8 (all unknown without a class map), `facts` int64,
    `beliefs` float32 (`targets.beliefs_of`), and `patches` int8 for a tower of patches of `patch` px."""
    return targeted(view_of(frames, index, rng, strength, size), bool(frames.has_map[index]), patch)


def targeted(seen: View, known: bool, patch: int = 0) -> dict[str, np.ndarray]:
    """`item` of a view at hand; `known`: it has a class map."""
    import numpy as np

    found, facts = {"cells": cells_of(seen.classes, seen.record.objects)}, facts_of(seen)
    if patch:
        found["patches"] = patches_of(seen.classes, patch)
    if not known:
        found = {name: np.full_like(one, UNKNOWN) for name, one in found.items()}
        if not seen.record.objects and not seen.hidden and seen.image.shape[1::-1] != SEEN:
            facts[:] = UNKNOWN  # nothing tells which facts of the whole frame this part still shows
    return {"images": seen.image, "facts": facts, "beliefs": beliefs_of(seen.record), **found}


def collate(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Stack items into tensors."""
    import numpy as np
    import torch

    return {
        key: collate([one[key] for one in items])
        if isinstance(value, dict)
        else torch.from_numpy(np.stack([one[key] for one in items]))
        for key, value in items[0].items()
    }


def pretrain(
    encoder: Any,
    frames: Frames,
    options: DenseOptions,
    out: Path,
    *,
    sizes: Sequence[int] = (),
    heads: dict[str, Any] | None = None,
    device: str = "auto",
    shared: Shared | None = None,
) -> Any:
    """Train `encoder` (a module: uint8 images -> tokens) with dense heads on `frames`; goes on from checkpoints in
    `out`. `sizes`: frames of each Dataset among them, for `shares`. `heads` are those of an earlier stage
    (`head_state`). `shared` keeps what a teacher sees in `copies` (default: in `out`). Returns the trained
    `DenseTask`."""
    import numpy as np
    import torch

    from pacenote.training.loop import fit, pick_device
    from pacenote.training.tower import DenseTask

    if not options.soft:
        frames = replace(frames, records=tuple(replace(one, posterior={}) for one in frames.records))
    patch = int(getattr(encoder, "patch", 0)) if options.patches else 0
    mapped = [i for i in range(len(frames)) if frames.has_map[i]]
    chosen = mapped[:: max(1, len(mapped) // 300)]
    rng = np.random.default_rng(options.seed)
    plain: dict[str, list[np.ndarray]] = {"cells": [], **({"patches": []} if patch else {})}
    for i in chosen:
        one = item(frames, i, rng, PLAIN, patch=patch)
        for name, kept in plain.items():
            kept.append(one[name])
    if not mapped and not options.teacher:
        raise InputError("no frame has a class map; a dense stage needs them, or a teacher whose tokens to match")
    widths = {"cells": len(TARGETS), "patches": len(CLASSES)}  # without a map every class weighs the same
    positive = {
        name: torch.from_numpy(positive_weights(np.stack(kept))) if kept else torch.ones(widths[name])
        for name, kept in plain.items()
    }
    torch.manual_seed(options.seed)
    shared, place = shared or Shared(out), pick_device(device)
    weight = torch.from_numpy(class_weights())
    teacher = dense_teacher(encoder, options.teacher) if options.teacher else None
    task = DenseTask(
        encoder,
        positive["cells"],
        weight,
        options.facts_weight,
        positive.get("patches"),
        teacher,
        options.teacher_weight,
    )
    if heads is not None:
        task.load_state_dict(heads, strict=False)
    steps = step_count(options, len(frames))
    members = members_of(sizes or [len(frames)], max(1, options.copies))
    order, length = order_of(members, options.shares, options.seed), steps * options.batch
    if teacher is not None and options.view != SEEN and len(mapped) < len(frames):
        with shared.place("aims", _stamp(options.teacher)) as looked:
            frames = aimed(teacher, frames, looked, options.batch, place)
    stream: Any
    if options.copies:
        views = Views(frames, options.copies, options.augment, options.view)
        sights = _sights(teacher, views, options, shared, place)
        stream = TaughtStream(views, sights, order, length, options.seed, patch)
    else:
        stream = DenseStream(frames, order, length, options.augment, options.seed, options.view, patch)
    visual = [p for p in encoder.parameters() if p.requires_grad]
    rest = [p for name, p in task.named_parameters() if not name.startswith("encoder.")]
    fit(
        task, stream, collate, out, steps=steps, batch=options.batch, seed=options.seed, warmup=options.warmup,
        groups=[{"params": visual, "lr": options.lr, "muon": options.muon}, {"params": rest, "lr": options.lr}],
        weight_decay=options.weight_decay, device=device, compile=options.compile,
    )  # fmt: skip
    return task


def _sights(teacher: Any, views: Views, options: DenseOptions, shared: Shared, device: str) -> Sights:
    key = (_stamp(options.teacher), views.copies, replace(views.strength, photometric=0.0), views.size)
    aim = ("aimed",) if views.frames.aims else ()
    with shared.place("sights", *key, *aim) as place:
        return look(teacher, views, place, options.batch, device)


def _stamp(teacher: str) -> Any:
    from pacenote.models import resolve

    return stamp(Path(resolve(teacher)))


def dense_teacher(encoder: Any, teacher: str) -> Any:
    """The tower of the model `teacher`, with the heads that lie beside its weights, if any. InputError where its cells
    are of another size."""
    import torch
    from safetensors.torch import load_file

    from pacenote.models import load, resolve
    from pacenote.training.tower import DenseTeacher, QwenEncoder

    model = load(teacher, dtype=torch.float32)
    if model.family.name != "qwen2_5_vl":
        raise InputError(f"{teacher}: features can be matched to those of qwen2_5_vl models, not {model.family.name}")
    theirs = QwenEncoder(model.family.visual(model.model))
    cells = [one.patch * one.merge for one in (theirs, encoder)]
    if cells[0] != cells[1]:
        raise InputError(f"{teacher}: its tokens are cells of {cells[0]} px, the student's of {cells[1]} px")
    heads = Path(resolve(teacher)) / HEADS
    return DenseTeacher(theirs, load_file(heads) if heads.is_file() else None)


def head_state(task: Any) -> dict[str, Any]:
    """The weights of a task's heads, without the encoder's, as contiguous tensors on the CPU."""
    return {k: v.contiguous().cpu() for k, v in task.state_dict().items() if not k.startswith("encoder.")}


def evaluate(task: Any, frames: Frames, batch: int = 32) -> dict[str, Any]:
    """`{"cells": F1 by class, "facts": F1 of light, obstacles, crossroad and their average}` on plain views."""
    import numpy as np
    import torch

    from pacenote.training.loop import autocast
    from pacenote.training.scores import cell_scores, fact_scores

    rng = np.random.default_rng(0)
    found: dict[str, list[np.ndarray]] = {"p": [], "cells": [], "values": [], "facts": []}
    device = next(task.parameters()).device
    task.eval()
    with torch.inference_mode(), autocast(device):
        for start in range(0, len(frames), batch):
            items = [item(frames, i, rng, PLAIN) for i in range(start, min(start + batch, len(frames)))]
            tensors = collate(items)
            cells, facts = task.logits(tensors["images"].to(device))
            found["p"].append((cells > 0).cpu().numpy())
            found["cells"].append(tensors["cells"].numpy())
            found["values"].append(torch.stack([f.argmax(1) for f in facts], 1).cpu().numpy())
            found["facts"].append(tensors["facts"].numpy())
    joined = {key: np.concatenate(parts) for key, parts in found.items()}
    return {
        "cells": cell_scores(joined["p"], joined["cells"]),
        "facts": fact_scores(joined["values"], joined["facts"]),
    }
