"""Scores of advisories, pure numpy: Table 2's figures, clustered intervals, baselines, twins, the paper's tables."""

from pacenote.metrics.score import breakdown, score
from pacenote.metrics.twins import flip_accuracy, twin_pairs

__all__ = ["breakdown", "flip_accuracy", "score", "twin_pairs"]
