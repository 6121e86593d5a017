"""What speaks against a sample's labels: the posterior, sources that disagree, motion and sensors that contradict.

A labeler leaves its traces in two places. `Sample.posterior` holds slot -> value -> probability (for obstacles and
crossroad the values are kinds, "any" or "none", each a yes or no of its own). `Sample.provenance` holds `votes`: slot
-> source -> value as that source gave it; `contradictions`: sentences on what the car's motion speaks against;
`conflicts`: sentences on what its other sensors speak against. All are optional.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pacenote.advisory import CROSSROADS, OBSTACLES, SLOTS, Truth, kind_words
from pacenote.data.sample import Sample

# The probability that a label is wrong which each sign gives alone. Disagreement counts by the share of sources that
# the majority outvoted, at most one half of them.
CONTRADICTION, CONFLICT, DISAGREEMENT, UNKNOWN = 0.6, 0.3, 0.8, 0.05
NEAR_KMH = 5  # a recommended speed is no more precise
LEAST = 0.01  # a sign weaker than this is not told to a person


@dataclass(frozen=True)
class Sign:
    """One thing that speaks against a label: of which slot ("" = the whole frame), how strongly (0 to 1), in words."""

    slot: str
    weight: float
    words: str


def suspicion(sample: Sample) -> float:
    """0 to 1: the probability that some label is wrong, if each sign against it were independent of the others."""
    return 1.0 - math.prod(1.0 - sign.weight for sign in signs(sample))


def signs(sample: Sample) -> list[Sign]:
    """What speaks against the sample's labels, the strongest first; empty for a sample without a truth."""
    if sample.truth is None:
        return []
    found = [Sign("", CONTRADICTION, words) for words in told(sample, "contradictions")]
    found += [Sign("", CONFLICT, words) for words in told(sample, "conflicts")]
    for slot in SLOTS:
        if (sure := belief(sample, slot)) is not None:
            found.append(Sign(slot, 1.0 - sure, f"{slot}: the posterior gives this label {sure:.0%}"))
        if share := disagreement(sample, slot):
            found.append(Sign(slot, DISAGREEMENT * share, f"{slot}: {share:.0%} of the sources say otherwise"))
    unknown = unknown_slots(sample.truth)
    if unknown:
        found.append(Sign("", UNKNOWN * len(unknown) / len(SLOTS), f"not known: {', '.join(unknown)}"))
    return sorted((sign for sign in found if sign.weight >= 1e-9), key=lambda sign: -sign.weight)


def told(sample: Sample, name: str) -> list[str]:
    """The sentences in `provenance[name]`."""
    held = sample.provenance.get(name) or ()
    return [held] if isinstance(held, str) else [str(words) for words in held]


def votes(sample: Sample, slot: str) -> dict[str, str]:
    """What each source said of a slot, as text; a source that said nothing is left out."""
    held = (sample.provenance.get("votes") or {}).get(slot) or {}
    return {str(source): _text(value) for source, value in held.items() if value is not None}


def disagreement(sample: Sample, slot: str) -> float:
    """Share of the sources that do not say what most say; 0 where fewer than two spoke."""
    counts = Counter(votes(sample, slot).values())
    return 1.0 - max(counts.values()) / counts.total() if counts.total() > 1 else 0.0


def belief(sample: Sample, slot: str) -> float | None:
    """The posterior of what the truth says of `slot`; None where either is not known.

    Of the speed it counts what lies within `NEAR_KMH`; of obstacles and crossroad it is that of the least sure kind.
    """
    posterior = (sample.posterior or {}).get(slot)
    if not posterior or sample.truth is None:
        return None
    if slot == "light":
        state = sample.truth.light_state
        return None if state is None else posterior.get(state, 0.0)
    if slot == "speed":
        kmh = sample.truth.speed_kmh
        return None if kmh is None else min(1.0, sum(p for v, p in posterior.items() if abs(int(v) - kmh) <= NEAR_KMH))
    some: bool | None = getattr(sample.truth, f"{slot}_any")
    facts: dict[str, bool | None] = getattr(sample.truth, slot) | {"any": some}
    facts["none"] = None if some is None else not some
    sure = [p if facts[kind] else 1.0 - p for kind, p in posterior.items() if facts.get(kind) is not None]
    return max(0.0, min(sure)) if sure else None


def unknown_slots(truth: Truth) -> list[str]:
    """Slots of which some fact is not known."""
    held: dict[str, list[Any]] = {"speed": [truth.speed_kmh], "light": [truth.light_state]}
    held |= {"obstacles": list(truth.obstacles.values()), "crossroad": list(truth.crossroad.values())}
    return [slot for slot in SLOTS if any(fact is None for fact in held[slot])]


def slot_values(truth: Truth | None) -> dict[str, tuple[str, ...]]:
    """What the truth says, by slot: one value of speed and light, the kinds that are there or ("none",). A slot that is
    not known is left out."""
    if truth is None:
        return {}
    values: dict[str, tuple[str, ...]] = {}
    if truth.speed_kmh is not None:
        values["speed"] = (str(truth.speed_kmh),)
    if truth.light_state is not None:
        values["light"] = (truth.light_state,)
    for slot, kinds in (("obstacles", OBSTACLES), ("crossroad", CROSSROADS)):
        facts: Mapping[str, bool | None] = getattr(truth, slot)
        if there := tuple(kind for kind in kinds if facts[kind]):
            values[slot] = there
        elif getattr(truth, f"{slot}_any") is False:
            values[slot] = ("none",)
    return values


def _text(value: Any) -> str:
    if isinstance(value, str):
        return kind_words(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    if isinstance(value, Iterable):
        return ", ".join(sorted(_text(item) for item in value)) or "none"
    return str(value)
