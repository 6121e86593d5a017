"""The recommended speed as its rule has it, from the other facts of a drive.

What a label of speed means is a rule over what can be seen (`scenes.rules`): a base that the road class gives, and
steps down for lights, obstacles, weather. A model that reads the road class wrong is wrong for the whole drive, and no
vote along it can tell; but the car's own pace can, for people drive about as fast as the road is made for, and so can
a limit that a map states. So the fused facts, the pace and the stated limit speak through the rule as one more source
beside what labeler and experts say of the speed itself.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

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
