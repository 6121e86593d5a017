"""Confidences that mean what they say: a temperature for each slot, read from a file beside the model.

A temperature scales the log-probabilities of a slot's decisions (Guo et al. 2017, "On calibration of modern neural
networks"); the answer stays the same. `pacenote calibrate` fits it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pacenote.advisory import SLOTS
from pacenote.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pacenote.models import Model

FILE = "calibration.json"
Decision = tuple["NDArray[np.float64]", int]  # log-probabilities of what the grammar allowed, and which was taken


def confidence(decisions: Sequence[Decision], temperature: float = 1.0) -> float:
    """The product of the probabilities of what was taken."""
    total = 0.0
    for told, taken in decisions:
        own = (told - told.max()) / temperature
        total += float(own[taken] - np.log(np.exp(own).sum()))
    return float(np.exp(total))


def temperatures(model: Model) -> dict[str, float]:
    """By slot, 1 where there is no file. Raises InputError for a broken one."""
    from pacenote.models import shipped

    found = dict.fromkeys(SLOTS, 1.0)
    files = [root / model.name / FILE for root in (Path(), shipped.ROOT)] if model.name else []
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        return found
    try:
        slots = json.loads(file.read_text())["slots"]
        return found | {slot: float(slots[slot]["temperature"]) for slot in slots}
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{file}: no calibration of pacenote's; delete it, or run pacenote calibrate again") from None
