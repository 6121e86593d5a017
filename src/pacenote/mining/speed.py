"""The recommended speed as its rule has it, from the other facts of a drive.

What a label of speed means is a rule over what can be seen (`scenes.rules`): a base that the road class gives, and
steps down for lights, obstacles, weather. A model that reads the road class wrong is wrong for the whole drive, and no
vote along it can tell; but the car's own pace can, for people drive about as fast as the road is made for, and so can
a limit that a map states. So the fused facts, the pace and the stated limit speak through the rule as one more source
beside what labeler and experts say of the speed itself.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pacenote.advisory import LIGHT_STATES
from pacenote.mining.facts import FACT, PRESENT
from pacenote.mining.window import MISSING
from pacenote.scenes.rules import HAZARDS, NEAR_LIGHT_M, WORKS, Seen, recommend

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PACE_S = 20.0  # the pace at a frame is the greatest speed so far before and after it
PACE_KMH = (33.0, 43.0, 57.0, 75.0, 95.0)  # edges between the words
PACE_START = np.array(
    [
        [0.02, 0.02, 0.03, 0.08, 0.35, 0.50],  # motorway
        [0.08, 0.07, 0.15, 0.45, 0.22, 0.03],  # arterial
        [0.15, 0.25, 0.42, 0.15, 0.02, 0.01],  # urban
        [0.50, 0.40, 0.07, 0.02, 0.005, 0.005],  # residential
        [0.40, 0.30, 0.20, 0.08, 0.01, 0.01],  # toll
    ]
)
"""What is expected of the pace on each class of road before any drive was seen: limits there, and queues."""
NEAR = 0.7  # how often a red or yellow light that is named is within `rules.NEAR_LIGHT_M`
LEAST = 0.02  # probability from which a road class is thought of


def pace(times: Floats, speeds: Floats) -> Ints:
    """(T,) words of the car's own pace, MISSING where its speed is not known."""
    first = np.searchsorted(times, times - PACE_S)
    last = np.searchsorted(times, times + PACE_S, side="right")
    known = np.where(np.isnan(speeds), -1.0, speeds)
    most = np.array([known[a:b].max() for a, b in zip(first, last, strict=True)])
    return np.where(most < 0, MISSING, np.searchsorted(PACE_KMH, most * 3.6, side="right"))


def by_rule(posterior: Mapping[str, Floats], limits: Floats | None = None) -> Floats:
    """(T, speeds) what the rule makes of the likeliest facts and of every road class that may be.

    `posterior`: fact -> (T, values), weather, time and road class among them; what it does not hold is not there.
    `limits`: (T,) km/h where one is stated, which then is the base instead of the road class's; NaN elsewhere.
    """
    roads = posterior["road_class"]
    told = {"light": np.zeros(len(roads), dtype=int)} | {name: p.argmax(1) for name, p in posterior.items()}
    there = {name.split(".")[1]: value == PRESENT for name, value in told.items() if "." in name}
    none = np.zeros(len(roads), dtype=bool)
    rows = np.stack(
        [
            told["light"],
            there.get("pedestrian_crossing", none),
            there.get("intersection", none),
            np.any([there.get(kind, none) for kind in WORKS], axis=0),
            np.any([there.get(kind, none) for kind in HAZARDS], axis=0),
            there.get("pedestrian", none),
            told["weather"],
            told["time"],
        ],
        axis=1,
    )
    stated = [None] * len(roads) if limits is None else [None if np.isnan(one) else int(one) for one in limits]
    found = np.zeros((len(roads), len(FACT["speed"].values)))
    for road in range(roads.shape[1]):
        share = np.where(roads[:, road] >= LEAST, roads[:, road], 0.0)
        for t in np.flatnonzero(share):
            for near, weight in ((True, NEAR), (False, 1 - NEAR)):
                found[t, _speed(road, stated[t], near, tuple(rows[t].tolist()))] += share[t] * weight
    return np.asarray(found / found.sum(1, keepdims=True))


def over_all(posterior: Mapping[str, Floats], limits: Floats | None = None) -> Floats:
    """(T, speeds) what the rule makes of all that may be true, with facts taken as independent. See `by_rule`."""
    frames = len(posterior["road_class"])
    none = np.tile([1.0, 0.0], (frames, 1))
    there = {name.split(".")[1]: p for name, p in posterior.items() if "." in name}
    light = posterior.get("light", np.tile(np.eye(1, len(FACT["light"].values))[0], (frames, 1)))
    shares = [
        posterior["weather"], posterior["time"], there.get("pedestrian_crossing", none), _any(there, WORKS, none),
        _any(there, HAZARDS, none), there.get("pedestrian", none), there.get("intersection", none), light,
        np.tile([1 - NEAR, NEAR], (frames, 1)), posterior["road_class"],
    ]  # fmt: skip
    stated = np.full(frames, np.nan) if limits is None else limits
    found = np.empty((frames, len(FACT["speed"].values)))
    for limit in np.unique(stated):  # one NaN for all that are not stated
        own = np.isnan(stated) if np.isnan(limit) else stated == limit
        state = np.ones((int(own.sum()), 1))
        for share, merge in zip(shares, _merges(None if np.isnan(limit) else int(limit)), strict=True):
            state = (state[:, :, None] * share[own, None, :]).reshape(len(state), -1) @ merge
        found[own] = state
    return np.asarray(found / found.sum(1, keepdims=True))


def _any(there: Mapping[str, Floats], kinds: Sequence[str], none: Floats) -> Floats:
    """(T, 2) the probability of none and of any of `kinds`."""
    absent = np.prod([there.get(kind, none)[:, 0] for kind in kinds], axis=0)
    return np.stack([absent, 1 - absent], axis=1)


@functools.lru_cache(maxsize=32)
def _merges(limit_kmh: int | None) -> list[Floats]:
    """For each fact in the order of `over_all`: (states so far * its values, states) 1 where the one becomes the other.

    A state is all combinations of the facts so far of which the rule makes the same, whatever the others are; at last a
    speed. They are at most 29, of 24,000 combinations."""
    sizes = [len(FACT[name].values) for name in ("weather", "time")] + [2] * 5 + [len(LIGHT_STATES), 2]
    sizes.append(len(FACT["road_class"].values))
    speeds = [
        _speed(road, limit_kmh, bool(near), (light, crossing, intersection, works, hazard, pedestrian, weather, time))
        for weather, time, crossing, works, hazard, pedestrian, intersection, light, near, road in itertools.product(
            *(range(size) for size in sizes)
        )
    ]
    states, found = np.array([speeds]), []
    for size in sizes:
        states, merged = np.unique(states.reshape(len(states) * size, -1), axis=0, return_inverse=True)
        found.append(np.eye(len(states))[merged.ravel()])
    found[-1] = found[-1] @ np.eye(len(FACT["speed"].values))[states[:, 0]]
    return found


@functools.lru_cache(maxsize=50_000)
def _speed(road: int, limit_kmh: int | None, near: bool, row: tuple[int, ...]) -> int:
    """The class of the speed that the rule gives."""
    light, crossing, intersection, works, hazard, pedestrian, weather, time = row
    road_class = FACT["road_class"].values[road]
    seen = Seen(
        road_class=road_class, limit_kmh=limit_kmh,
        light=LIGHT_STATES[light], light_m=0.0 if near else 2 * NEAR_LIGHT_M,
        place="toll" if road_class == "toll" else "junction", crossing=bool(crossing), intersection=bool(intersection),
        works=bool(works), hazard=bool(hazard), pedestrian=bool(pedestrian), weather=FACT["weather"].values[weather],
        time=FACT["time"].values[time],
    )  # fmt: skip
    return FACT["speed"].values.index(recommend(seen)[0])
