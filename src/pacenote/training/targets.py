"""What dense pre-training asks of a view: the classes in each 28-px cell, and the advisory's facts as class indices."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pacenote.advisory import CROSSROADS, LIGHT_STATES, MOVEMENTS
from pacenote.advisory.domain import SPEEDS
from pacenote.data.classes import CLASS_INDEX, CLASSES
from pacenote.models.heads import FACTS, LIMITS, OWN, TARGETS
from pacenote.training.frames import shown_limit
from pacenote.training.questions import ASK_CONDITION

if TYPE_CHECKING:
    import numpy as np

    from pacenote.training.augment import View
    from pacenote.training.frames import Record

CELL = 28  # px of a visual token
UNKNOWN = -1
LEAST_PX = 8  # pixels of a class in a cell of 784 from which the cell has it; fewer is not trained
LEAST_PX_OF = {"light_red": 2, "light_yellow": 2, "light_green": 2, "light_off": 2, "light_housing": 4, "neon": 3}
# Classes that decide a fact count more than the scenery.
WEIGHT_OF = {
    "light_red": 4.0, "light_yellow": 4.0, "light_green": 4.0, "light_off": 3.0, "light_housing": 2.0, "cone": 3.0,
    "barrier": 3.0, "construction": 3.0, "debris": 3.0, "crash": 3.0, "pedestrian": 3.0, "animal": 3.0, "zebra": 2.0,
    "junction": 2.0, "speed_sign": 2.0, "number": 2.0, "toll": 2.0, "arrow": 1.5,
}  # fmt: skip
LEGIBLE_SHARE = 0.3  # of a plate within a cell, from which the cell has its number
# The classes whose pixels bear what concerns the ego car (`OWN`).
_BEARERS: dict[str, tuple[str, ...]] = {
    "own_light_red": ("light_red",), "own_light_yellow": ("light_yellow",), "own_light_green": ("light_green",),
    "own_light_off": ("light_off",), "own_pedestrian": ("pedestrian",), "own_pedestrian_crossing": ("zebra",),
    "own_intersection": ("junction",), **dict.fromkeys(LIMITS, ("speed_sign", "number")),
}  # fmt: skip
# Kinds of evidence whose loss from the picture makes facts of these slots unknown.
LIGHT_KINDS = frozenset({"traffic_light"})
CROSSROAD_KINDS = frozenset(CROSSROADS)


def cells_of(classes: np.ndarray, objects: Sequence[dict[str, Any]] = ()) -> np.ndarray:
    """(H, W) class map -> (H/28 * W/28, len(TARGETS)) int8: 1 the cell has it, 0 not, -1 too little of it or unknown.

    `objects` are evidence objects with boxes in pixels of the map; they tell which things concern the ego car.
    """
    import numpy as np

    seen = _named(_held(classes, CELL), [LEAST_PX_OF.get(name, LEAST_PX) for name in CLASSES])
    rows, columns = seen.shape[:2]
    own = np.zeros((rows, columns, len(OWN)), np.int8)
    for item in objects:
        name = _own_name(item)
        if name is None:
            continue
        x0, y0, x1, y1 = item["box"]
        where = (
            slice(max(0, int(y0) // CELL), min(rows, int(-(-y1 // CELL)))),
            slice(max(0, int(x0) // CELL), min(columns, int(-(-x1 // CELL)))),
        )
        part = own[(*where, OWN.index(name))]
        if item.get("stated"):
            through = [CLASS_INDEX[one] for one in _BEARERS[name]]
            part[(seen[where][..., through] != 0).any(-1)] = 1
            if name in LIMITS:  # a cell with a sliver of the plate cannot read it
                part[(part == 1) & (_share(item["box"], where) < LEGIBLE_SHARE)] = UNKNOWN
        else:
            part[part == 0] = UNKNOWN
    return np.concatenate([seen, own], 2).reshape(-1, len(TARGETS))


def _share(box: Sequence[float], where: tuple[slice, slice]) -> np.ndarray:
    """What share of `box` lies in each cell of `where`, relative to the cell that holds most."""
    import numpy as np

    def within(cells: slice, low: float, high: float) -> np.ndarray:
        edges = np.arange(cells.start, cells.stop + 1) * CELL
        return np.diff(np.clip(edges, low, high))

    shares = within(where[0], box[1], box[3])[:, None] * within(where[1], box[0], box[2])
    return shares / max(float(shares.max(initial=0.0)), 1e-9)


def patches_of(classes: np.ndarray, patch: int) -> np.ndarray:
    """(H, W) class map -> (H/28 * W/28, (28/patch)^2, len(CLASSES)) int8: what each patch has, in the order in which a
    tower merges the patches of a cell; 1, 0 or -1 as in `cells_of`."""
    merge = CELL // patch
    least = [min(2, LEAST_PX_OF[name]) if name in LEAST_PX_OF else patch * patch // 16 for name in CLASSES]
    seen = _named(_held(classes, patch), least)
    rows, columns = seen.shape[:2]
    cells = seen.reshape(rows // merge, merge, columns // merge, merge, -1).transpose(0, 2, 1, 3, 4)
    return cells.reshape(-1, merge * merge, len(CLASSES))


def _held(classes: np.ndarray, side: int) -> np.ndarray:
    """(H, W) class map -> (H/side, W/side, len(CLASSES)): pixels of each class in each square."""
    import numpy as np

    rows, columns = (length // side for length in classes.shape)
    count = rows * columns * len(CLASSES)
    return np.bincount((_squares(classes.shape, side) + classes).ravel(), minlength=count).reshape(rows, columns, -1)


def _named(held: np.ndarray, least: list[int]) -> np.ndarray:
    """Pixels (..., classes) -> int8: 1 at least so many, 0 none, UNKNOWN between."""
    import numpy as np

    return np.where(held >= np.array(least), 1, np.where(held > 0, UNKNOWN, 0)).astype(np.int8)


@functools.lru_cache(maxsize=8)
def _squares(shape: tuple[int, int], side: int) -> np.ndarray:
    """The number of each pixel's square, in steps of len(CLASSES)."""
    import numpy as np

    rows, columns = np.arange(shape[0]) // side, np.arange(shape[1]) // side
    squares: np.ndarray = (rows[:, None] * (shape[1] // side) + columns) * len(CLASSES)
    return squares


def _own_name(item: dict[str, Any]) -> str | None:
    """Which of OWN an evidence object is, None where it is none of them or plainly not there."""
    if item.get("stated") is False or not item.get("box") or item.get("role") not in ("ego", "obstacle", "ahead"):
        return None
    kind, state = str(item.get("kind")), str(item.get("state"))
    if kind == "speed_limit":
        name = f"limit_{state}"
    elif kind == "traffic_light":
        name = f"own_light_{state.split(' ')[0]}"
    else:
        name = f"own_{kind}"
    return name if name in OWN else None


def class_weights() -> np.ndarray:
    """(len(TARGETS),) float32: how much each class counts in the loss."""
    import numpy as np

    own = [WEIGHT_OF[_BEARERS[name][0]] for name in OWN]
    return np.array([*(WEIGHT_OF.get(name, 1.0) for name in CLASSES), *own], np.float32)


def positive_weights(cells: np.ndarray) -> np.ndarray:
    """(targets,) float32 weight of a positive among `cells` (..., targets): sqrt(negatives / positives), in 1..8."""
    import numpy as np

    cells = cells.reshape(-1, cells.shape[-1])
    positive, negative = (cells == 1).sum(0), (cells == 0).sum(0)
    return np.clip(np.sqrt(negative / np.maximum(positive, 1)), 1, 8).astype(np.float32)


def facts_of(view: View) -> np.ndarray:
    """(len(FACTS),) int64 values of the view's facts; UNKNOWN where null or where the view cut the evidence away."""
    import numpy as np

    truth, hidden = view.record.truth, view.hidden
    values = dict.fromkeys(FACTS, UNKNOWN)
    if truth.light_state is not None and not hidden & LIGHT_KINDS:
        values["light"] = LIGHT_STATES.index(truth.light_state)
        if truth.light is not None and truth.light.state != "none":
            values["movement"] = MOVEMENTS.index(truth.light.movement)
    if truth.speed_kmh is not None and not hidden:
        values["speed"] = SPEEDS.index(truth.speed_kmh)
    for kind, fact in truth.obstacles.items():
        if fact is not None and kind not in hidden:
            values[f"obstacles.{kind}"] = int(fact)
    for kind, fact in truth.crossroad.items():
        if fact is not None and not hidden & CROSSROAD_KINDS:
            values[f"crossroad.{kind}"] = int(fact)
    for name, (_, known) in ASK_CONDITION.items():
        if view.record.conditions.get(name) in known:
            values[name] = known.index(view.record.conditions[name])
    shown = None if "speed_limit" in hidden else shown_limit(view.record.objects)
    if shown is not None:
        values["limit"] = 1 + LIMITS.index(f"limit_{shown}") if f"limit_{shown}" in LIMITS else 0
    return np.array(list(values.values()), np.int64)


def beliefs_of(record: Record) -> np.ndarray:
    """(sum of FACTS' values,) float32: the posterior of each fact that the record holds one of, 0 elsewhere.

    Of obstacles and crossroads a posterior holds how likely each kind is there, of the light and the speed a
    probability for each value that is not unlikely.
    """
    import numpy as np

    told = record.posterior
    beliefs = {name: np.zeros(count, np.float32) for name, count in FACTS.items()}
    for slot, values in (("light", LIGHT_STATES), ("speed", tuple(map(str, SPEEDS)))):
        if own := told.get(slot):
            beliefs[slot][:] = [own.get(value, 0.0) for value in values]
            beliefs[slot] /= max(float(beliefs[slot].sum()), 1e-6)
    for slot in ("obstacles", "crossroad"):
        for kind, p in told.get(slot, {}).items():
            beliefs[f"{slot}.{kind}"][:] = 1 - p, p
    return np.concatenate(list(beliefs.values()))
