"""The facts that are mined, each with the values it can have along a drive.

A fact is what a chain estimates: the light's state, whether there is a cone, the recommended speed. A slot of an
Advisory is put together from its facts. Weather, time of day and road class are no part of it, but decide the speed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pacenote.advisory import CROSSROADS, OBSTACLES, Advisory, Truth
from pacenote.advisory.domain import LIGHT_STATES, SPEEDS
from pacenote.data.doubt import NEAR_KMH
from pacenote.errors import InputError
from pacenote.mining.window import MISSING
from pacenote.models.heads import CONDITIONS

Floats = npt.NDArray[np.float64]
ABSENT, PRESENT = 0, 1
SPEED_SLACK = NEAR_KMH // (SPEEDS[1] - SPEEDS[0])  # classes: a speed that is off by so little is not counted as wrong


@dataclass(frozen=True)
class Fact:
    """`name`: speed, light, or slot.kind; `values` in the order of a chain's classes."""

    name: str
    slot: str
    values: tuple[Any, ...]
    kind: str = ""  # of a slot that is a set

    def said(self, advisory: Advisory) -> int:
        """The class that an advisory gives; MISSING where its slot is None."""
        value: Any = advisory.speed_kmh if self.slot == "speed" else getattr(advisory, self.slot)
        if value is None:
            return MISSING
        if self.kind:
            return PRESENT if self.kind in value else ABSENT
        return self.values.index(value if self.slot == "speed" else value.state)

    def true(self, truth: Truth) -> int:
        """The class that is true; MISSING where it is not known."""
        value: Any = truth.speed_kmh if self.slot == "speed" else truth.light_state
        if self.kind:
            value = getattr(truth, self.slot)[self.kind]
        return MISSING if value is None else self.values.index(value)


FACTS: tuple[Fact, ...] = (
    Fact("speed", "speed", tuple(SPEEDS)),
    Fact("light", "light", tuple(LIGHT_STATES)),
    *(Fact(f"obstacles.{kind}", "obstacles", (False, True), kind) for kind in OBSTACLES),
    *(Fact(f"crossroad.{kind}", "crossroad", (False, True), kind) for kind in CROSSROADS),
)
CONDITION = "conditions"  # the slot of facts that no Advisory names
HIDDEN: tuple[Fact, ...] = tuple(Fact(name, CONDITION, values) for name, values in CONDITIONS.items())
FACT: Mapping[str, Fact] = {fact.name: fact for fact in (*FACTS, *HIDDEN)}


def fact_named(word: str) -> Fact:
    """The fact of that name or kind: `crash` is `obstacles.crash`. Raises InputError for what is no fact of a label."""
    known = {fact.kind or fact.name: fact for fact in FACTS} | {fact.name: fact for fact in FACTS}
    if word not in known:
        raise InputError(f"'{word}' is no fact of a label; the facts are {', '.join(f.kind or f.name for f in FACTS)}")
    return known[word]
