"""What dense pre-training asks of a view: the classes in each 28-px cell, and the advisory's facts as class indices."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pacenote.advisory import CROSSROADS, LIGHT_STATES, MOVEMENTS, OBSTACLES
from pacenote.advisory.domain import SPEEDS
from pacenote.data.classes import CLASS_INDEX, CLASSES

if TYPE_CHECKING:
    import numpy as np

    from pacenote.training.augment import View

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
FACTS: dict[str, int] = {
    "light": len(LIGHT_STATES),
    "movement": len(MOVEMENTS),
    "speed": len(SPEEDS),
    **{f"obstacles.{kind}": 2 for kind in OBSTACLES},
    **{f"crossroad.{kind}": 2 for kind in CROSSROADS},
}
"""Facts of a whole image -> number of values; the value of an unknown fact is UNKNOWN."""

# Kinds of evidence whose loss from the picture makes facts of these slots unknown.
_LIGHT_KINDS = frozenset({"light", "signal"})
_CROSSROAD_KINDS = frozenset({"zebra", "crossing", "pedestrian_crossing", "junction", "intersection", "stop_line"})


def cells_of(classes: np.ndarray) -> np.ndarray:
    """(H, W) class map -> (H/28 * W/28, len(CLASSES)) int8: 1 the cell has the class, 0 not, -1 too little of it."""
    import numpy as np

    cell, least = _cell_index(classes.shape)
    count = len(CLASSES)
    counts = np.bincount((cell + classes).ravel(), minlength=cell.max() + count)
    counts = counts[: (cell.max() // count + 1) * count].reshape(-1, count)
    return np.where(counts >= least, 1, np.where(counts > 0, UNKNOWN, 0)).astype(np.int8)


@functools.lru_cache(maxsize=8)
def _cell_index(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    rows, columns = np.arange(shape[0]) // CELL, np.arange(shape[1]) // CELL
    cell = (rows[:, None] * (shape[1] // CELL) + columns) * len(CLASSES)
    least = np.array([LEAST_PX_OF.get(name, LEAST_PX) for name in CLASSES])
    return cell, least


def class_weights() -> np.ndarray:
    """(len(CLASSES),) float32: how much each class counts in the loss."""
    import numpy as np

    return np.array([WEIGHT_OF.get(name, 1.0) for name in CLASSES], np.float32)


def positive_weights(maps: Sequence[np.ndarray]) -> np.ndarray:
    """(len(CLASSES),) float32 weight of a positive cell: sqrt(negatives / positives), within 1..8."""
    import numpy as np

    cells = np.concatenate([cells_of(m) for m in maps])
    positive, negative = (cells == 1).sum(0), (cells == 0).sum(0)
    return np.clip(np.sqrt(negative / np.maximum(positive, 1)), 1, 8).astype(np.float32)


def facts_of(view: View) -> np.ndarray:
    """(len(FACTS),) int64 values of the view's facts; UNKNOWN where null or where the view cut the evidence away."""
    import numpy as np

    truth, hidden = view.record.truth, view.hidden
    values = dict.fromkeys(FACTS, UNKNOWN)
    if truth.light_state is not None and not hidden & _LIGHT_KINDS:
        values["light"] = LIGHT_STATES.index(truth.light_state)
        if truth.light is not None and truth.light.state != "none":
            values["movement"] = MOVEMENTS.index(truth.light.movement)
    if truth.speed_kmh is not None and not hidden:
        values["speed"] = SPEEDS.index(truth.speed_kmh)
    for kind, fact in truth.obstacles.items():
        if fact is not None and kind not in hidden:
            values[f"obstacles.{kind}"] = int(fact)
    for kind, fact in truth.crossroad.items():
        if fact is not None and not hidden & _CROSSROAD_KINDS:
            values[f"crossroad.{kind}"] = int(fact)
    return np.array(list(values.values()), np.int64)


def has_class(name: str) -> int:
    """Index of a class. Raises KeyError on an unknown name."""
    return CLASS_INDEX[name]
