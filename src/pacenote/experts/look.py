"""The model's own first look: what the heads of its tower say, patch by patch, before it is asked.

No other expert is as cheap: the tower's pass over the frame serves the answer, too (`models.eyes`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pacenote.data.classes import CLASS_INDEX
from pacenote.errors import InputError
from pacenote.experts.detection import STATES, Detection, likely
from pacenote.models.eyes import Eyes
from pacenote.models.heads import CONDITIONS, OWN, Heads, Told

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from pacenote.models import Model

LEAST = 0.003  # probability of a patch below which nothing is proposed: a crop may still tell what the frame cannot
MOST = 6  # of a kind
CLASSES_OF = {
    "traffic_light": tuple(f"light_{state}" for state in STATES),
    **{kind: (kind,) for kind in ("cone", "barrier", "construction", "debris", "crash", "pedestrian", "animal")},
    "pedestrian_crossing": ("zebra",), "intersection": ("junction",), "speed_limit": ("speed_sign", "number"),
}  # fmt: skip
OWN_OF = {
    "traffic_light": tuple(f"own_light_{state}" for state in STATES), "pedestrian": ("own_pedestrian",),
    "pedestrian_crossing": ("own_pedestrian_crossing",), "intersection": ("own_intersection",),
}  # fmt: skip


class TowerLook:
    """Detections from the heads beside `model`'s weights.

    Raises InputError for a model without them: another expert is needed.
    """

    name = "look"
    kinds = frozenset(CLASSES_OF)

    def __init__(self, model: Model, eyes: Eyes | None = None) -> None:
        from pacenote.work import digest

        heads = Heads.of(model)
        if heads is None:
            raise InputError(f"{model.name}: has no heads of a dense training; give an expert: --expert classical")
        self.heads = heads
        self.eyes = eyes or Eyes(model)
        self.digest = digest(
            [self.name, {n: [list(w.shape), float(w.sum())] for n, w in sorted(heads.weights.items())}]
        )

    @classmethod
    def of(cls, model: Model, eyes: Eyes | None = None) -> TowerLook | None:
        """The look of `model`; None where it has no heads."""
        try:
            return cls(model, eyes)
        except InputError:
            return None

    @classmethod
    def own(cls, model: Model, expert: object = None) -> TowerLook | None:
        """The look of `model`'s own tower: `expert` where it is that, so that nothing is seen twice; never another
        model's, whose eyes are of no use to `model`."""
        if isinstance(expert, cls) and expert.eyes.model is model:
            return expert
        return cls.of(model)

    def detect(self, images: Sequence[Image.Image]) -> list[list[Detection]]:
        """What is likely in each picture, the likeliest first; boxes are whole patches in pixels of the picture."""
        return [detections for detections, _ in self.look(images)]

    def look(self, images: Sequence[Image.Image]) -> list[tuple[list[Detection], dict[str, str]]]:
        """Detections and the likeliest of each of `heads.CONDITIONS` (weather, time, road_class) of each picture."""
        found: list[Any] = [None] * len(images)
        for places, told in self.told(images):
            patches, own = told.patches.cpu().numpy(), told.own.cpu().numpy()
            for row, place in enumerate(places):
                facts = {name: told.facts[name][row].tolist() for name in CONDITIONS}
                found[place] = (things(patches[row], own[row], images[place].size), likeliest(facts))
        return found

    def tell(self, images: Sequence[Image.Image]) -> list[dict[str, list[float]]]:
        """The probabilities of the values of each of `heads.FACTS` in each picture, from the whole image at once."""
        found: list[Any] = [None] * len(images)
        for places, told in self.told(images):
            for row, place in enumerate(places):
                found[place] = {name: values[row].tolist() for name, values in told.facts.items()}
        return found

    def told(self, images: Sequence[Image.Image]) -> Iterator[tuple[list[int], Told]]:
        """What the heads tell of those of `images` whose views are of one shape, and their places among them."""
        import torch

        views = self.eyes(images)
        shapes: dict[tuple[Any, ...], list[int]] = {}
        for place, view in enumerate(views):
            shapes.setdefault((*view.details.shape, view.rows), []).append(place)
        for (*_, rows), places in shapes.items():
            with torch.inference_mode():
                details = torch.stack([views[place].details for place in places])
                told = self.heads(details, torch.stack([views[place].tokens for place in places]), rows)
            yield places, told


def likeliest(facts: Mapping[str, Sequence[float]]) -> dict[str, str]:
    """The value of each condition that has the greatest probability."""
    return {name: CONDITIONS[name][max(range(len(p)), key=p.__getitem__)] for name, p in facts.items()}


def things(
    patches: np.ndarray, own: np.ndarray, size: tuple[int, int], kinds: Collection[str] = tuple(CLASSES_OF)
) -> list[Detection]:
    """Detections of `kinds` from probabilities of patches (rows, columns, classes) and of what concerns the ego car
    (cell rows, cell columns, targets), in a picture of `size` px."""
    import numpy as np

    rows, columns = patches.shape[:2]
    merge = rows // own.shape[0]
    step = (size[0] / columns, size[1] / rows)
    found = []
    for kind in (kind for kind in CLASSES_OF if kind in kinds):
        each = patches[..., [CLASS_INDEX[name] for name in CLASSES_OF[kind]]]
        ours = [OWN.index(name) for name in OWN_OF.get(kind, ())]
        mine = np.kron(own[..., ours].max(-1), np.ones((merge, merge))) if ours else None
        there = each.max(-1)
        for y0, x0, y1, x1, peak in regions(there if mine is None else there * mine):
            state = STATES[int(each[peak].argmax())] if kind == "traffic_light" else ""
            box = (x0 * step[0], y0 * step[1], x1 * step[0], y1 * step[1])
            share = None if mine is None else float(mine[y0:y1, x0:x1].max())
            found.append(Detection(kind, box, float(there[peak]), state, share))
    return sorted(found, key=lambda one: -likely(one))


def regions(there: np.ndarray) -> list[tuple[int, int, int, int, tuple[int, int]]]:
    """Peaks of `there` (rows, columns), greatest first, each with the neighbours that are at least half as likely:
    (y0, x0, y1, x1, peak). What a region covers, and the patches around it, holds no other peak."""
    import cv2
    import numpy as np

    left = np.where(there < LEAST, 0.0, there)
    found: list[tuple[int, int, int, int, tuple[int, int]]] = []
    while len(found) < MOST and left.max() > 0:
        row, column = (int(i) for i in np.unravel_index(int(left.argmax()), left.shape))
        _, labels = cv2.connectedComponents((there >= there[row, column] / 2).astype(np.uint8), connectivity=8)
        ys, xs = np.nonzero(labels == labels[row, column])
        y0, x0, y1, x1 = int(ys.min()), int(xs.min()), int(ys.max()) + 1, int(xs.max()) + 1
        found.append((y0, x0, y1, x1, (row, column)))
        left[max(0, y0 - 1) : y1 + 1, max(0, x0 - 1) : x1 + 1] = 0.0
    return found
