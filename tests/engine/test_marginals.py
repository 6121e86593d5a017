"""What an answer's choices say of each fact is a distribution, and that of its first choice is exact."""

from __future__ import annotations

import numpy as np
import pytest

from pacenote.advisory.domain import LIGHT_STATES
from pacenote.engine.engine import Engine
from pacenote.engine.marginals import NAMES, marginals
from tests.engine.test_engine import QUESTIONS, model, pictures

__all__ = ["model"]


@pytest.mark.parametrize("mode", ["exact", "parallel"])
def test_every_fact_has_a_distribution(model: object, mode: str) -> None:
    engine = Engine(model, mode=mode)  # type: ignore[arg-type]
    answers = engine(pictures(), QUESTIONS)
    for strands, answer in zip(engine.written, answers, strict=True):
        told = marginals(strands, engine.model.tokenizer)
        assert set(told) == {name for names in NAMES.values() for name in names}
        for p in told.values():
            assert p.min() >= 0
            assert p.sum() == pytest.approx(1)
        assert answer.advisory.light is not None
        assert told["light"][LIGHT_STATES.index(answer.advisory.light.state)] > 0


def test_the_state_of_a_light_is_exact(model: object) -> None:
    """All ways to name a state begin with a token of their own where the tokenizer has the states as words."""
    engine = Engine(model)  # type: ignore[arg-type]
    engine(pictures(), QUESTIONS)
    for (strand,) in engine.written:
        first, _ = strand.decisions["light"][0]
        told = marginals([strand], engine.model.tokenizer)["light"]
        if len(first) == len(LIGHT_STATES):
            np.testing.assert_allclose(np.sort(told), np.sort(np.exp(first) / np.exp(first).sum()), atol=1e-9)


def test_the_first_kind_named_is_as_likely_as_its_choice(model: object) -> None:
    """P(cone) is the probability of naming it: it is the first kind that can be named."""
    engine = Engine(model)  # type: ignore[arg-type]
    engine(pictures(), QUESTIONS)
    for (strand,), answer in zip(engine.written, engine(pictures(), QUESTIONS), strict=True):
        told = marginals([strand], engine.model.tokenizer)["obstacles.cone"]
        assert answer.advisory.obstacles is not None
        if "cone" in answer.advisory.obstacles:
            assert told[1] > 0
