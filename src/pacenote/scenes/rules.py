"""The recommended speed: a short table over what can be seen or is given.

A base speed (a limit that is stated by a legible sign or marking or by the question, else the road class's default)
is lowered step by step, one line of the table a visible factor; people on the road and toll lanes set a ceiling. The
factors add up, so that each one alone moves the answer and no single one decides every scene.

| factor                                             | effect                              |
| -------------------------------------------------- | ----------------------------------- |
| motorway / arterial / urban / residential / toll   | base 120 / 70 / 50 / 30 / 20        |
| stated limit                                       | base = the limit                    |
| red or yellow light within 50 m                    | two steps down                      |
| red or yellow light farther away                   | one step down                       |
| marked crossing ahead                              | one step down                       |
| intersection without a working light               | one step down                       |
| cones, barriers, construction or debris            | one step down                       |
| crash or animal on the road                        | two steps down                      |
| pedestrian on the road                             | two steps down, at most 20          |
| rain or fog                                        | half a step down                    |
| snow, or fog below 100 m visibility                | one step down                       |
| night                                              | half a step down                    |
| toll lane light                                    | at most 20; at most 10 when it is red |

One step is 5 km/h up to a base of 30, 10 up to 70, 20 above; half a step is 5, 5 and 10. Steps never lead below 20, or
below a base that is lower still.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from pacenote.scenes.scene import RoadClass, TimeOfDay, Weather

DEFAULT_KMH: Mapping[str, int] = {"motorway": 120, "arterial": 70, "urban": 50, "residential": 30, "toll": 20}
NEAR_LIGHT_M = 50.0
DENSE_FOG_M = 100.0
FLOOR_KMH = 20
HALF = 0.5
PEDESTRIAN_KMH = 20
TOLL_KMH, TOLL_RED_KMH = 20, 10
WORKS = ("cone", "barrier", "construction", "debris")
HAZARDS = ("crash", "animal")


@dataclass(frozen=True)
class Seen:
    """What decides the speed; every field can be seen in the frame or is given with the question."""

    road_class: RoadClass = "urban"
    limit_kmh: int | None = None  # stated limit; None: the road class's default
    light: str = "none"
    light_m: float = 0.0
    place: str = "junction"
    crossing: bool = False
    intersection: bool = False
    works: bool = False  # any of WORKS
    hazard: bool = False  # any of HAZARDS
    pedestrian: bool = False
    weather: Weather = "clear"
    visibility_m: float = 20000.0
    time: TimeOfDay = "day"


def step_kmh(base: int, half: bool = False) -> int:
    """How much one step of the table, or half a step, takes off, by the base speed."""
    step = 5 if base <= 30 else 10 if base <= 70 else 20
    return max(5, step // 2) if half else step


def recommend(seen: Seen) -> tuple[int, list[str]]:
    """Recommended speed in km/h (a multiple of 5, 0..130) and the rules that led to it, in order."""
    base = DEFAULT_KMH[seen.road_class] if seen.limit_kmh is None else seen.limit_kmh
    base = max(0, min(130, 5 * round(base / 5)))
    source = f"{seen.road_class} default" if seen.limit_kmh is None else "stated limit"
    lines = [f"speed: {source} {base}"]
    floor = min(base, FLOOR_KMH)
    speed = base
    for reason, steps in _steps(seen):
        off = step_kmh(base, half=True) if steps == HALF else int(steps) * step_kmh(base)
        speed = max(floor, speed - off)
        lines.append(f"speed: {reason} -> {speed}")
    for reason, ceiling in _ceilings(seen):
        if speed > ceiling:
            speed = ceiling
            lines.append(f"speed: {reason} -> {speed}")
    return speed, lines


def _steps(seen: Seen) -> Iterator[tuple[str, float]]:
    if seen.light in ("red", "yellow"):
        near = seen.light_m <= NEAR_LIGHT_M
        yield f"{seen.light} light {'within' if near else 'beyond'} {NEAR_LIGHT_M:.0f} m", 2 if near else 1
    if seen.crossing:
        yield "pedestrian crossing", 1
    if seen.intersection and seen.light in ("none", "off"):
        yield "intersection without a working light", 1
    if seen.works:
        yield "obstacles on the road", 1
    if seen.hazard:
        yield "crash or animal on the road", 2
    if seen.pedestrian:
        yield "pedestrian on the road", 2
    if seen.weather == "rain":
        yield "rain", HALF
    if seen.weather == "snow":
        yield "snow", 1
    if seen.weather == "fog":
        yield ("dense fog", 1) if seen.visibility_m < DENSE_FOG_M else ("fog", HALF)
    if seen.time == "night":
        yield "night", HALF


def _ceilings(seen: Seen) -> Iterator[tuple[str, int]]:
    if seen.pedestrian:
        yield "pedestrian on the road", PEDESTRIAN_KMH
    if seen.place == "toll" and seen.light != "none":
        red = seen.light == "red"
        yield ("red toll light", TOLL_RED_KMH) if red else ("toll lane", TOLL_KMH)


def recommend_unknown(seen: Seen, unknown: Mapping[str, tuple[Any, ...]]) -> tuple[int | None, list[str]]:
    """`recommend` where some fields of `seen` are unknown: their possible values are given in `unknown`.

    The speed is known only if it is the same whatever they are; otherwise it is None, and the rules say why.
    """
    names = {f.name for f in fields(Seen)}
    if not set(unknown) <= names:
        raise ValueError(f"unknown facts that no rule reads: {sorted(set(unknown) - names)}")
    speed, lines = recommend(seen)
    possible = {
        recommend(replace(seen, **dict(zip(unknown, values, strict=True))))[0]
        for values in itertools.product(*unknown.values())
    } | {speed}
    if len(possible) == 1:
        return speed, lines
    span = f"{min(possible)}..{max(possible)}"
    return None, [*lines, f"speed: unknown, {span} depending on {', '.join(sorted(unknown))}"]
