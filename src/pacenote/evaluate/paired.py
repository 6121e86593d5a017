"""Differences between two models on the same frames, with intervals of the difference itself.

Two overlapping intervals say little about a difference: the frames are the same, so most of the chance is shared. Here
both models are scored on each resampled set and the figures subtracted, which removes what they share.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pacenote.advisory import Advisory, Truth
from pacenote.errors import InputError
from pacenote.evaluate import tables
from pacenote.evaluate.breakdown import Row

if TYPE_CHECKING:
    from pacenote.metrics.bootstrap import Resampler


def differences(
    rows: Sequence[Row], others: Mapping[str, Advisory], *, seed: int = 0, resamples: int = 1000
) -> dict[str, dict[str, Any]]:
    """`{"light.f1": {"difference", "ci"}, ...}`: figures of `others` (by frame id) minus those of `rows`.

    None where a figure is undefined on either side. Raises InputError when a frame has no answer in `others`.
    """
    missing = [frame.id for frame, _ in rows if frame.id not in others]
    if missing:
        raise InputError(f"the other evaluation has no answer for {missing[0]}; run both without --limit")
    import numpy as np

    from pacenote.metrics.bootstrap import Resampler, interval

    truths = [frame.truth for frame, _ in rows]
    resampler = Resampler([frame.cluster for frame, _ in rows], seed=seed, resamples=resamples)
    first, first_drawn = drawn_figures([prediction.advisory for _, prediction in rows], truths, resampler)
    second, second_drawn = drawn_figures([others[frame.id] for frame, _ in rows], truths, resampler)
    found: dict[str, dict[str, Any]] = {}
    for name in first:
        value = float(second[name] - first[name])
        known = not np.isnan(value)
        ci = interval(second_drawn[name] - first_drawn[name]) if known else None
        found[name] = {"difference": value if known else None, "ci": ci}
    return found


def drawn_figures(
    said: Sequence[Advisory], truths: Sequence[Truth], resampler: "Resampler"
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Figures by name of one model's answers, and the same over each resampled set, shape (resamples,)."""
    import numpy as np

    from pacenote.metrics.statistics import columns, figures, statistics

    counted = statistics(*columns(said, truths))
    return figures({n: np.asarray(values.sum()) for n, values in counted.items()}), figures(resampler.sums(counted))


def difference_table(several: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> tuple[list[str], list[list[str]]]:
    """Rows of Table 2, one column a model: its difference from the first; a star where the interval excludes zero."""
    rows = []
    for name, path in tables.ROWS:
        found = [differences.get(path) for differences in several.values()]
        if any(cell is not None for cell in found):
            rows.append([name, *(_cell(cell) for cell in found)])
    return ["", *several], rows


def _cell(cell: Mapping[str, Any] | None) -> str:
    if cell is None or cell["difference"] is None:
        return "–"
    ci = cell["ci"]
    star = " *" if ci and (ci[0] > 0 or ci[1] < 0) else ""
    return f"{cell['difference']:+.3f} {tables.interval(ci)}{star}".strip()


def answers_by_id(rows: Sequence[Row]) -> dict[str, Advisory]:
    """What a model said, by frame id."""
    return {frame.id: prediction.advisory for frame, prediction in rows}
