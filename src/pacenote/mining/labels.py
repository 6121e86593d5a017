"""From votes to the labels of a drive, and from those to Samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pacenote.advisory import CROSSROADS, OBSTACLES, SLOTS, Advisory, Light, Truth, stated_limit
from pacenote.data.sample import Picture, Sample
from pacenote.mining import motion
from pacenote.mining.conflicts import conflicts
from pacenote.mining.facts import CONDITION, FACT, FACTS, PRESENT, SPEED_SLACK
from pacenote.mining.fusion import MOTION, FactModel, Fusion, posteriors
from pacenote.mining.votes import LABELER, Votes
from pacenote.mining.window import MISSING, majority

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

METHODS = ("full", "window", "raw")  # the chain; the paper's majority window; the labeler as it is
DETAIL_S = 2.0  # how far around a frame a light's movement and place are looked for


@dataclass(frozen=True)
class Labels:
    """Of one drive: `classes` fact -> (T,), MISSING where there is none; `posterior` fact -> (T, values), empty but for
    the method "full"; `contradictions` of sight and motion."""

    classes: Mapping[str, Ints]
    posterior: Mapping[str, Floats]
    contradictions: Sequence[motion.Contradiction] = ()

    @cached_property
    def certainty(self) -> dict[str, Floats]:
        """Slot -> (T,) probability that its label is right; kinds of one slot as if they were independent, a speed one
        step of 5 km/h off is right, too (`facts.SPEED_SLACK`). Empty without posteriors."""
        found: dict[str, Floats] = {}
        for name, p in self.posterior.items():
            slot, own = FACT[name].slot, self.classes[name][:, None]
            if slot != CONDITION:
                off = np.abs(np.arange(p.shape[1]) - own)
                right = (off <= (SPEED_SLACK if slot == "speed" else 0)) & (own != MISSING)
                found[slot] = found.get(slot, 1.0) * (p * right).sum(axis=1)
        return {slot: found.get(slot, np.ones(self.frames)) for slot in SLOTS} if found else {}

    @cached_property
    def named(self) -> dict[str, npt.NDArray[np.bool_]]:
        """Slot -> (T,) whether its label names a light, an obstacle, a crossroad; of a speed always."""
        found = {slot: np.full(self.frames, slot == "speed") for slot in SLOTS}
        for name, own in self.classes.items():
            if FACT[name].slot in found:
                found[FACT[name].slot] |= own > 0
        return found

    @property
    def frames(self) -> int:
        return len(next(iter(self.classes.values()), ()))


def label(votes: Votes, fusion: Fusion, method: str = "full", *, hard: bool = False) -> Labels:
    """The labels of a drive. `hard`: the paper's correction by motion afterwards, in place of the soft source."""
    posterior: dict[str, Floats] = {}
    if method == "full":
        posterior = posteriors(fusion, votes, (MOTION,) if hard else ())
        classes = {name: fusion[name].labels(p) for name, p in posterior.items()}
    else:
        classes = written(votes)
        if method == "window":
            speeds = np.nan_to_num(votes.signals["speed_mps"])
            classes = {name: majority(own, votes.times, speeds) for name, own in classes.items()}  # type: ignore[arg-type]
    if hard:
        speeds = votes.signals["speed_mps"]
        motions = motion.words(speeds, votes.signals["accel_mps2"])
        classes = {name: motion.corrected(name, own, motions, speeds) for name, own in classes.items()}
    found = contradictions(votes, fusion["light"]) if method == "full" and "light" in fusion else []
    return Labels(classes, posterior, found)


def written(votes: Votes) -> dict[str, Ints]:
    """Fact -> (T,) as the labeler wrote it; where nothing can be read of a slot, what it takes for likeliest. MISSING
    of a fact of which it is not heard (`Votes.without`).

    The two differ: of three kinds that are each 40 % likely a written answer names one, the likeliest of yes and no
    none.
    """
    advisories = [Advisory.parse(text) for text in votes.texts]
    found = {}
    for fact in FACTS:
        likeliest = votes.labels(fact.name, LABELER)
        said = np.array([fact.said(advisory) for advisory in advisories])
        heard = fact.name in votes.said.get(LABELER, {})
        found[fact.name] = np.where(said == MISSING, likeliest, said) if heard else likeliest
    return found


def contradictions(votes: Votes, model: FactModel) -> list[motion.Contradiction]:
    """Where the light as seen does not fit what the car did; none where nothing is known of the motion."""
    if MOTION not in model.sources:
        return []
    sources = [name for name in votes.said if "light" in votes.said[name]]
    named = np.stack([votes.labels("light", name) for name in sources])
    turns = np.array([one is not None and (one.movement != "any" or one.other is not None) for one in votes.lights])
    return motion.contradictions(
        model.posterior(votes, (MOTION,)),
        motion.words(votes.signals["speed_mps"], votes.signals["accel_mps2"]),
        model.chain.confusion[model.sources.index(MOTION)],
        (named == named[0]).all(0),
        turns,
    )


def truth_of(labels: Labels, votes: Votes, t: int) -> Truth:
    """The facts of frame `t`; what has no label is not known."""
    values: dict[str, Any] = {}
    for name, own in labels.classes.items():
        values[name] = None if own[t] == MISSING else FACT[name].values[int(own[t])]
    state = values.get("light")
    return Truth(
        speed_kmh=values.get("speed"),
        light=light_of(votes, t, state) if state else None,
        obstacles={kind: values.get(f"obstacles.{kind}") for kind in OBSTACLES},
        crossroad={kind: values.get(f"crossroad.{kind}") for kind in CROSSROADS},
    )


def light_of(votes: Votes, t: int, state: str) -> Light:
    """A light of that state: movement, place and second light as the labeler names them most often around the frame."""
    if state == "none":
        return Light("none")
    low, high = np.searchsorted(votes.times, [votes.times[t] - DETAIL_S, votes.times[t] + DETAIL_S + 1e-9])
    named = Counter(one for one in votes.lights[low:high] if one is not None and one.state == state)
    return named.most_common(1)[0][0] if named else Light(state)


def posterior_of(labels: Labels, t: int) -> dict[str, dict[str, float]] | None:
    """Slot -> value -> probability of frame `t`, in the form of a Sample; values below 0.1 % are left out."""
    if not labels.posterior:
        return None
    found: dict[str, dict[str, float]] = {}
    for name, p in labels.posterior.items():
        fact = FACT[name]
        if fact.slot == CONDITION:
            continue
        own = found.setdefault(fact.slot, {})
        if fact.kind:
            own[fact.kind] = round(float(p[t, PRESENT]), 4)
        else:
            own |= {str(v): round(float(q), 4) for v, q in zip(fact.values, p[t], strict=True) if q >= 0.001}
    return found


Usual = Mapping[tuple[str, bool], float]  # (slot, whether it is labelled with something) -> mean certainty


def usual(drives: Sequence[Labels]) -> Usual:
    """How certain labels of each slot are on average, apart for those that name something and those that do not."""
    told = [labels for labels in drives if labels.certainty]
    found: dict[tuple[str, bool], float] = {}
    for slot in SLOTS if told else ():
        sure = np.concatenate([labels.certainty[slot] for labels in told])
        named = np.concatenate([labels.named[slot] for labels in told])
        found |= {(slot, bool(sort)): float(sure[named == sort].mean()) for sort in np.unique(named)}
    return found


def weights(labels: Labels, t: int, usual: Usual, least: float = 0.0) -> dict[str, float] | None:
    """Slot weights of a training: the certainty over its mean among labels of the same sort, 0 where it is below
    `least`; None without posteriors. Plain certainties would weigh "none" more than anything that is named, for what is
    missed is seldom doubted, and a student would learn to name less."""
    found = {}
    for slot, sure in labels.certainty.items():
        mean = max(usual.get((slot, bool(labels.named[slot][t])), 1.0), 1e-6)
        found[slot] = round(float(sure[t]) / mean, 4) if sure[t] >= least else 0.0
    return found or None


def sample_of(
    labels: Labels, votes: Votes, t: int, picture: Picture, *, name: str, question: str, usual: Usual,
    least: float, camera: str, licence: str, made: Mapping[str, Any],
) -> Sample:  # fmt: skip
    """Frame `t` as a Sample; what was said and what speaks against it is in its provenance. `made`: who and how."""
    sure = {slot: round(float(p[t]), 4) for slot, p in labels.certainty.items()}
    limit = stated_limit(question)
    odd = [one for one in labels.contradictions if one.first <= t <= one.last]
    signals = {key: None if np.isnan(own[t]) else float(own[t]) for key, own in votes.signals.items()}
    said = {
        slot: {source: value for source in votes.said if (value := spoken_slot(votes, source, slot, t)) is not None}
        for slot in SLOTS
    }
    speaks = conflicts(votes.seen[t], lux=signals.get("lux"), wipers=signals.get("wipers"))
    provenance = {
        **made,
        "votes": said,
        "text": votes.texts[t],
        **({"contradictions": [f"light seen {o.state} while {o.motion} ({o.why})" for o in odd]} if odd else {}),
        **({"conflicts": list(speaks)} if speaks else {}),
        **({"certainty": sure} if sure else {}),
    }
    return Sample(
        id=name, images=(picture,), cameras=(camera,), question=question, truth=truth_of(labels, votes, t),
        posterior=posterior_of(labels, t), slot_weight=weights(labels, t, usual, least),
        conditions={**votes.seen[t], **({"limit_kmh": limit} if limit is not None else {})},
        source="mined", drive=votes.drive, time_s=float(votes.times[t]), speed_mps=signals["speed_mps"],
        accel_mps2=signals["accel_mps2"], yaw_rate=signals["yaw_rate"], licence=licence, provenance=provenance,
    )  # fmt: skip


def spoken_slot(votes: Votes, source: str, slot: str, t: int) -> Any:
    """What a source says of a slot, in the words of the data: km/h, a light state, kinds; None where it is silent."""
    facts = [f for f in FACTS if f.slot == slot and f.name in votes.said[source]]
    classes = [(f, int(votes.labels(f.name, source)[t])) for f in facts]
    told = [(f, c) for f, c in classes if c != MISSING]
    if not told:
        return None
    if not told[0][0].kind:
        return told[0][0].values[told[0][1]]
    return sorted(f.kind for f, c in told if c == PRESENT) or "none"
