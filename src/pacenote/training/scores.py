"""How well a pre-trained tower sees: F1 of cells by class and F1 of the image's facts, as the advisory is scored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pacenote.advisory import LIGHT_STATES
from pacenote.advisory.domain import SPEEDS
from pacenote.training.questions import ASK_CONDITION
from pacenote.training.targets import FACTS, TARGETS, UNKNOWN

if TYPE_CHECKING:
    import numpy as np


def f1(tp: float, fp: float, fn: float) -> float | None:
    """2 tp / (2 tp + fp + fn), None where nothing was there and nothing was claimed."""
    total = 2 * tp + fp + fn
    return None if total == 0 else 2 * tp / total


def cell_scores(predicted: np.ndarray, cells: np.ndarray) -> dict[str, float | None]:
    """F1 by class over the known cells; `predicted` bool and `cells` int8, both (..., targets)."""
    scores = {}
    for index, name in enumerate(TARGETS):
        p, t = predicted[..., index], cells[..., index]
        scores[name] = f1(float((p & (t == 1)).sum()), float((p & (t == 0)).sum()), float((~p & (t == 1)).sum()))
    return scores


def fact_scores(predicted: np.ndarray, facts: np.ndarray) -> dict[str, Any]:
    """F1 of light, obstacles and crossroad from fact values (N, facts), as Table 2 has it, and their average;
    F1 of each kind; `speed_r2`; the share of right answers for weather, time, road class and a shown limit.

    A light counts as found only in its right state; obstacles and crossroad as `any`, over frames where that is known.
    """
    import numpy as np

    names = list(FACTS)
    p, t = predicted[:, names.index("light")], facts[:, names.index("light")]
    none, known = LIGHT_STATES.index("none"), t != UNKNOWN
    p, t = p[known], t[known]
    scores: dict[str, Any] = {
        "light": f1(
            float(((p == t) & (t != none)).sum()),
            float(((p != none) & (p != t)).sum()),
            float(((t != none) & (p != t)).sum()),
        ),
        "n": len(facts),
    }
    for slot in ("obstacles", "crossroad"):
        columns = [i for i, name in enumerate(names) if name.startswith(slot + ".")]
        claims, truths = predicted[:, columns] == 1, facts[:, columns]
        known = (truths == 1).any(1) | (truths == 0).all(1)
        claim, truth = claims.any(1)[known], (truths == 1).any(1)[known]
        scores[slot] = f1(float((claim & truth).sum()), float((claim & ~truth).sum()), float((~claim & truth).sum()))
        for column in columns:
            t = facts[:, column]
            k = t != UNKNOWN
            c, t = predicted[k, column] == 1, t[k] == 1
            scores[names[column]] = f1(float((c & t).sum()), float((c & ~t).sum()), float((~c & t).sum()))
    for name in (*ASK_CONDITION, "limit"):
        column = names.index(name)
        t = facts[:, column]
        k = t > 0 if name == "limit" else t != UNKNOWN
        scores[name] = float((predicted[k, column] == t[k]).mean()) if k.any() else None
    p, t = predicted[:, names.index("speed")], facts[:, names.index("speed")]
    k = t != UNKNOWN
    kmh, said = (np.array(SPEEDS, float)[values[k]] for values in (t, p))
    variation = ((kmh - kmh.mean()) ** 2).sum() if k.any() else 0.0
    scores["speed_r2"] = float(1 - ((said - kmh) ** 2).sum() / variation) if variation else None
    parts = [scores[slot] for slot in ("light", "obstacles", "crossroad")]
    scores["average"] = float(np.mean([s for s in parts if s is not None])) if any(parts) else None
    return scores
