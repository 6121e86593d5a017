"""Intervals of plain means."""

from __future__ import annotations

import numpy as np
import pytest

from pacenote.metrics.bootstrap import mean_of


def test_a_mean_lies_within_its_interval_and_a_constant_has_none_to_speak_of() -> None:
    values = np.random.default_rng(0).normal(2.0, 1.0, 400)
    mean, ci = mean_of(values)
    assert mean == pytest.approx(values.mean()) and ci is not None
    half = (ci[1] - ci[0]) / 2
    assert ci[0] < mean < ci[1] and half == pytest.approx(1.96 * values.std() / 20, rel=0.1)
    assert mean_of([3.0] * 5) == (3.0, [3.0, 3.0])
    assert mean_of([3.0])[1] is None
