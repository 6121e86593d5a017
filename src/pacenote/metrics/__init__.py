"""Scores of advisories, pure numpy: Table 2's figures, clustered intervals, baselines, twins, printable rows."""

from pacenote.metrics.score import breakdown, score
from pacenote.metrics.tables import (
    breakdown_table,
    confusion_table,
    flip_table,
    kind_table,
    markdown,
    slot_table,
    table2,
    with_baselines,
)
from pacenote.metrics.twins import flip_accuracy, twin_pairs

__all__ = [
    "breakdown",
    "breakdown_table",
    "confusion_table",
    "flip_accuracy",
    "flip_table",
    "kind_table",
    "markdown",
    "score",
    "slot_table",
    "table2",
    "twin_pairs",
    "with_baselines",
]
