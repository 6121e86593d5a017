"""From what sources said of drives to what is true of them: one chain a fact, learnt without labels.

A source's probability becomes a word: what it names and whether it is sure, so that an overconfident source is learnt
to be one. The car's motion is a source too. By night and in bad weather a source has a confusion of its own, drawn
towards the one of all frames. Sources that are wrong together count for less. On drives of known truth the posterior is
made to mean what it says (`calibrate`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pacenote.mining import motion, speed
from pacenote.mining.chain import Chain, Track
from pacenote.mining.facts import ABSENT, CONDITION, FACT, HIDDEN, PRESENT, Fact
from pacenote.mining.pool import Pool
from pacenote.mining.votes import LABELER, VIEWS, Votes
from pacenote.mining.window import MISSING

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SURE = 0.85  # probability from which a source's word is the sure one of its class
RIGHT, EXPERT_RIGHT = 0.65, 0.85  # how often, before anything is learnt: EM needs to be told which way round
SURE_WHEN_RIGHT, SURE_WHEN_WRONG = 0.6, 0.4
RULE = "rule"  # the speed that the rule makes of the other facts: see `speed`
WHOLE = "rule, all that may be"  # the same as a pool hears it, with all doubts of the other facts
RULE_SURE = 0.6  # probability of its likeliest speed below which the rule is silent: roads that it cannot tell apart
SPEED_STEP = {LABELER: 4.0, RULE: 1.0}  # classes: how far a speed that is wrong lies off
EXPERT_STEP = 1.5
SLOW = 0.025  # of a condition one frame tells so much: what a source takes a road for, it does so for some ten seconds
HELD = 1.0  # of every source's counts what is expected has this share of the frames: EM may refine, not invert
VIEW_HELD = 1.0  # likewise the common confusion in that of a view
MOTION_HELD = 30.0  # counts of what is expected of motion
MOTION = "motion"
MOVED: Mapping[str, Floats] = {"light": motion.LIGHT_START, "road_class": speed.PACE_START}
FREE = ("motorway", "toll")  # roads that cross nothing on the level: no junctions, no marked crossings
HIDDEN_NAMES = tuple(fact.name for fact in HIDDEN)
HAZARDS: Mapping[str, tuple[float, float]] = {  # a second, a metre: where EM starts
    "light": (0.08, 0.01), "weather": (1e-4, 1e-5), "time": (1e-4, 1e-5), "road_class": (1e-4, 2e-3),
}  # fmt: skip
HAZARD = (0.005, 0.02)


@dataclass(frozen=True)
class FactModel:
    """The chain of one fact. `sources`: what each vote row is, "name" or "name@view"; `trust` their exponents. What the
    chain says is made to mean it by `temperature` and by `doubt`, the share of frames of which it knows nothing; a kind
    is labelled from the probability `least` on. `pool`: what gold drives add to the chain."""

    fact: str
    sources: tuple[str, ...]
    chain: Chain
    trust: tuple[float, ...]
    temperature: float = 1.0
    doubt: float = 0.0
    least: float = 0.5
    pool: Pool | None = None

    def posterior(self, votes: Votes, without: Sequence[str] = ()) -> Floats:
        """(T, values) probabilities; `without` sources of those names."""
        track = track_of(votes, self.fact, self.sources, without)
        told = tempered(self.chain.posterior(track, self.trust), self.temperature, self.doubt)
        return self.pool.posterior(told, votes, self.fact, without) if self.pool else told

    def labels(self, posterior: Floats) -> Ints:
        """(T,) the class that each row of a posterior (T, values) is labelled with."""
        if FACT[self.fact].kind:
            return np.where(posterior[:, PRESENT] >= self.least, PRESENT, ABSENT)
        return np.asarray(posterior.argmax(1))

    def to_dict(self) -> dict[str, Any]:
        chain = self.chain
        return {
            "fact": self.fact, "sources": list(self.sources), "trust": list(self.trust),
            "temperature": self.temperature, "doubt": self.doubt, "least": self.least, "prior": chain.prior.tolist(),
            "per_s": chain.per_s, "per_m": chain.per_m,
            "confusion": [one.tolist() for one in chain.confusion],
            "pool": self.pool.to_dict() if self.pool else None,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, held: Mapping[str, Any]) -> FactModel:
        chain = Chain(
            np.array(held["prior"]), held["per_s"], held["per_m"],
            tuple(np.array(one) for one in held["confusion"]),
        )  # fmt: skip
        return cls(
            held["fact"], tuple(held["sources"]), chain, tuple(held["trust"]), float(held["temperature"]),
            float(held["doubt"]), float(held.get("least", 0.5)),
            Pool.from_dict(held["pool"]) if held.get("pool") else None,
        )  # fmt: skip


Fusion = Mapping[str, FactModel]


def tempered(posterior: Floats, temperature: float, doubt: float) -> Floats:
    """(T, values) `posterior` ** (1 / temperature), and `doubt` of it spread over all values."""
    told = np.maximum(posterior, 1e-12) ** (1 / temperature)
    told = told / told.sum(1, keepdims=True)
    return np.asarray((1 - doubt) * told + doubt / told.shape[1])


def spoken(p: Floats, fact: Fact) -> Ints:
    """(T,) words of a source's probabilities (T, values), MISSING where it is silent: 2 * class, + 1 where it is sure;
    of a speed the class."""
    silent = np.asarray(np.isnan(p).any(axis=1))
    told = np.where(silent[:, None], 0.0, p)
    best = told.argmax(1)
    if fact.slot != "speed":
        best = 2 * best + (told.max(1) >= SURE)
    return np.where(silent, MISSING, best)


def expected(fact: Fact, source: str = LABELER) -> Floats:
    """(values, words) how often a source says each word in each state, before anything is learnt."""
    classes = len(fact.values)
    if fact.slot == "speed":
        step = SPEED_STEP.get(source, EXPERT_STEP)
        own = np.exp(-np.abs(np.subtract.outer(np.arange(classes), np.arange(classes))) / step)
    else:
        right = RIGHT if source == LABELER else EXPERT_RIGHT
        wrong = (1 - right) / (classes - 1) * np.array([1 - SURE_WHEN_WRONG, SURE_WHEN_WRONG])
        own = np.tile(wrong, (classes, classes, 1))
        own[np.arange(classes), np.arange(classes)] = right * np.array([1 - SURE_WHEN_RIGHT, SURE_WHEN_RIGHT])
        own = own.reshape(classes, -1)
    return np.asarray(own / own.sum(1, keepdims=True))


def split_view(name: str) -> tuple[str, str]:
    """ "name@view" -> (name, view), "name" -> (name, "")."""
    source, _, view = name.rpartition("@")
    return (source, view) if view in VIEWS and source else (name, "")


def track_of(votes: Votes, fact: str, sources: Sequence[str], without: Sequence[str] = ()) -> Track:
    """The votes on one fact as a chain takes them."""
    heard: dict[str, Ints] = {}  # by source: one is the same in every view
    rows = []
    for name in sources:
        source, view = split_view(name)
        if source not in heard:
            heard[source] = _words(votes, fact, source, without)
        rows.append(np.where(votes.views == view, heard[source], MISSING) if view else heard[source])
    return Track(np.stack(rows), np.maximum(votes.seconds, 0.0), votes.metres)


def _words(votes: Votes, fact: str, source: str, without: Sequence[str]) -> Ints:
    """(T,) what a source says of a fact, in words; MISSING where it is silent."""
    if source not in without:
        if source == MOTION and fact == "road_class":
            return speed.pace(votes.times, votes.signals["speed_mps"])
        if source == MOTION:
            return motion.words(votes.signals["speed_mps"], votes.signals["accel_mps2"])
        if fact in votes.said.get(source, {}):
            return spoken(votes.said[source][fact], FACT[fact])
    return np.full(len(votes.times), MISSING)


def fit(drives: Sequence[Votes], *, use_motion: bool = True, views: bool = True) -> dict[str, FactModel]:
    """A chain for every fact that some source speaks of, from the votes alone."""
    names = sorted({name for votes in drives for name in votes.said})
    found: dict[str, FactModel] = {}
    order = sorted(FACT.values(), key=lambda fact: fact.slot == "speed")  # the rule of the speed needs the others
    for fact in order:
        if fact.slot == "speed" and use_motion and set(HIDDEN_NAMES) <= set(found):
            drives = [with_rule(votes, posteriors_but_speed(votes, found)) for votes in drives]
            names = [*names, RULE]
        sources = tuple(name for name in names if any(fact.name in own.said.get(name, {}) for own in drives))
        if sources:
            model = _fit(fact, sources, drives)
            model = _by_view(model, drives) if views and fact.slot != CONDITION else model
            found[fact.name] = _with_motion(model, drives) if use_motion and fact.name in MOVED else model
    return found


def fit_without(drives: Sequence[Votes], **how: bool) -> list[dict[str, FactModel]]:
    """A fusion (`fit`) without each of the sources, where there are two or more."""
    names = sorted({name for votes in drives for name in votes.said})
    if len(names) < 2:
        return []
    return [fit([votes.but(name) for votes in drives], **how) for name in names]


def posteriors(fusion: Fusion, votes: Votes, without: Sequence[str] = ()) -> dict[str, Floats]:
    """Fact -> (T, values) of a drive; `without` sources of those names."""
    found = posteriors_but_speed(votes, fusion, without)
    if "speed" in fusion:
        if any(RULE in name for name in fusion["speed"].sources):
            votes = with_rule(votes, posteriors_but_speed(votes, fusion) if without else found)
        found["speed"] = fusion["speed"].posterior(votes, without)
    return found


def posteriors_but_speed(votes: Votes, fusion: Fusion, without: Sequence[str] = ()) -> dict[str, Floats]:
    """Fact -> (T, values) of all facts that the rule of the speed reads."""
    found = {name: model.posterior(votes, without) for name, model in fusion.items() if name != "speed"}
    if "road_class" in found:
        free = free_road(found["road_class"])
        found |= {name: off_free(p, free) for name, p in found.items() if FACT[name].slot == "crossroad"}
    return found


def free_road(road_class: Floats) -> Floats:
    """(T,) the probability of a road of `FREE`, from that of each class (T, classes)."""
    return np.asarray(road_class[:, [FACT["road_class"].values.index(road) for road in FREE]].sum(1))


def off_free(p: Floats, free: Floats) -> Floats:
    """(T, 2) the posterior `p` of a junction or crossing, which is none on a road that crosses nothing: `free` (T,)."""
    there = p[:, PRESENT] * (1 - free)
    return np.stack([1 - there, there], axis=1)


def with_rule(votes: Votes, told: Mapping[str, Floats]) -> Votes:
    """`votes` and, as a further source, the speed that the rule makes of the other facts' posteriors, where they leave
    little doubt about it: a road that is taken for another is so for a whole drive, against all who see the speed."""
    found = speed.by_rule(told, votes.limits)
    found = np.where(found.max(1, keepdims=True) < RULE_SURE, np.nan, found)
    whole = speed.over_all(told, votes.limits)
    return replace(votes, said={**votes.said, RULE: {"speed": found}, WHOLE: {"speed": whole}})


def _fit(fact: Fact, sources: tuple[str, ...], drives: Sequence[Votes]) -> FactModel:
    tracks = [track_of(votes, fact.name, sources) for votes in drives]
    classes = len(fact.values)
    chain = Chain(
        np.full(classes, 1 / classes), *HAZARDS.get(fact.name, HAZARD),
        tuple(expected(fact, name) for name in sources),
    )  # fmt: skip
    slow = SLOW if fact.slot == CONDITION else 1.0
    if fact.slot != CONDITION:
        chain = chain.fitted(tracks, pseudo=HELD * sum(len(votes.times) for votes in drives))
    return FactModel(fact.name, sources, chain, tuple(slow * one for one in trusts(chain, tracks)))


def _counted(tracks: Sequence[Track], source: int, states: Sequence[Floats], shape: tuple[int, ...]) -> Floats:
    """`shape` = (values, words): how often a source says each word in each state, of `states` (T, values)."""
    counts = np.zeros(shape)
    for track, own in zip(tracks, states, strict=True):
        votes = track.votes[source]
        known = votes != MISSING
        np.add.at(counts.T, votes[known], own[known])
    return counts


def _by_view(model: FactModel, drives: Sequence[Votes]) -> FactModel:
    """Each source taken apart by view: its confusions as the posterior has them, drawn towards the common one."""
    states = [model.chain.posterior(track_of(votes, model.fact, model.sources), model.trust) for votes in drives]
    held = VIEW_HELD * sum(len(votes.times) for votes in drives)
    names, confusion, trust = [], [], []
    for name, own, share in zip(model.sources, model.chain.confusion, model.trust, strict=True):
        for view in VIEWS:
            names.append(f"{name}@{view}")
            tracks = [track_of(votes, model.fact, names[-1:]) for votes in drives]
            counts = _counted(tracks, 0, states, own.shape) + held * own
            confusion.append(counts / counts.sum(1, keepdims=True))
            trust.append(share)
    chain = replace(model.chain, confusion=tuple(confusion))
    return FactModel(model.fact, tuple(names), chain, tuple(trust))


def _with_motion(model: FactModel, drives: Sequence[Votes]) -> FactModel:
    """The car's motion as a further source: how it moves in each state as seen, drawn towards what is expected. It
    takes no part in EM: states would come to mean motions."""
    states = [model.posterior(votes) for votes in drives]
    tracks = [track_of(votes, model.fact, [MOTION]) for votes in drives]
    start = MOVED[model.fact]
    slow = FACT[model.fact].slot == CONDITION
    counts = MOTION_HELD * start + (0.0 if slow else _counted(tracks, 0, states, start.shape))
    own = counts / counts.sum(1, keepdims=True)
    chain = replace(model.chain, confusion=(*model.chain.confusion, own))
    return FactModel(model.fact, (*model.sources, MOTION), chain, (*model.trust, SLOW if slow else 1.0))


def trusts(chain: Chain, tracks: Sequence[Track]) -> tuple[float, ...]:
    """Exponents (sources,): 1 / (1 + sum of the correlations of a source's errors with those of the others).

    How wrong a source is in a frame: one minus the posterior that its own word alone would give to what all others and
    the drive make of the frame.
    """
    posteriors = [chain.posterior(track) for track in tracks]
    wrong = []
    for source, confusion in enumerate(chain.confusion):
        alone = confusion * chain.prior[:, None]
        alone = alone / alone.sum(0, keepdims=True)
        parts = []
        for track, posterior in zip(tracks, posteriors, strict=True):
            votes = track.votes[source]
            fits = (posterior * alone[:, np.maximum(votes, 0)].T).sum(1)
            parts.append(np.where(votes == MISSING, np.nan, 1 - fits))
        wrong.append(np.concatenate(parts))
    found = []
    for a, own in enumerate(wrong):
        shared = 0.0
        for b, other in enumerate(wrong):
            both = np.isfinite(own) & np.isfinite(other)
            if a != b and both.sum() > 10 and own[both].std() > 1e-6 and other[both].std() > 1e-6:
                shared += max(0.0, float(np.corrcoef(own[both], other[both])[0, 1]))
        found.append(1 / (1 + shared))
    return tuple(found)
