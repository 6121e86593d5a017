"""A scene in words, in the form of paper A's captions (Fig. 5): scene; key elements; road conditions; speed.

Only what the truth states or the evidence shows is told, so a caption never promises what a painter cannot be held to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pacenote.advisory import Truth, kind_words
from pacenote.scenes.scene import Environment, Scene

_WEATHER = {"clear": "Clear", "overcast": "Overcast", "rain": "Rainy", "fog": "Foggy", "snow": "Snowy"}
_CLEAR = {"day": "Sunny", "dusk": "Clear", "night": "Clear"}
_TIME = {"day": "", "dusk": " at dusk", "night": " at night"}
_ROAD = {
    "motorway": "motorway",
    "arterial": "arterial road",
    "urban": "city street",
    "residential": "residential street",
    "toll": "toll plaza",
}
_SURROUNDINGS = {
    "tower": "towering buildings with glass facades",
    "facade": "buildings on both sides",
    "shop": "shop fronts",
    "house": "houses",
}
_VEHICLES = ("car", "van", "truck", "bus", "motorcycle", "bicycle")
_NUMBERS = ("no", "one", "two", "three")
_NAMED_COLOURS = (
    ("white", (0.8, 0.8, 0.8)),
    ("black", (0.02, 0.02, 0.02)),
    ("silver", (0.45, 0.45, 0.47)),
    ("grey", (0.15, 0.15, 0.16)),
    ("red", (0.5, 0.03, 0.03)),
    ("blue", (0.03, 0.08, 0.4)),
    ("green", (0.03, 0.25, 0.06)),
    ("yellow", (0.8, 0.55, 0.03)),
    ("orange", (0.8, 0.2, 0.02)),
    ("brown", (0.2, 0.1, 0.04)),
)


def describe(scene: Scene, truth: Truth, objects: Sequence[dict[str, Any]]) -> str:
    """One paragraph. `objects` is the evidence's list; only entries whose `stated` is true are mentioned."""
    stated = [item for item in objects if item["stated"]]
    sentences = [_place(scene, stated), _traffic(scene, stated), _elements(scene, truth, stated), _road(scene, truth)]
    if truth.speed_kmh is not None:
        sentences.append(f"Recommended speed: {truth.speed_kmh} km/h.")
    return " ".join(sentence for sentence in sentences if sentence)


def _place(scene: Scene, stated: Sequence[dict[str, Any]]) -> str:
    where = scene.environment
    weather = _CLEAR[where.time] if where.weather == "clear" else _WEATHER[where.weather]
    parts = [f"{weather} {_ROAD[scene.facts.road_class]}{_TIME[where.time]}"]
    kinds = Counter(state for thing in scene.things if thing.kind == "building" for state in thing.state)
    parts += [_SURROUNDINGS[kind] for kind, _ in kinds.most_common(1) if kind in _SURROUNDINGS]
    if sum(thing.kind == "tree" for thing in scene.things) >= 5:
        parts.append("trees along the road")
    if where.time == "night":
        parts.append("street lamps lit" if where.street_lamps else "unlit road")
    return ", ".join(parts) + "."


def _traffic(scene: Scene, stated: Sequence[dict[str, Any]]) -> str:
    things = {thing.id: thing for thing in scene.things}
    seen = [(item, things[item["id"]]) for item in stated if item["kind"] in _VEHICLES and item["id"] in things]
    moving = Counter((colour_name(t.colour), t.kind) for item, t in seen if item["role"] == "traffic")
    parked = sum(item["role"] == "parked" for item, _ in seen)
    oncoming = sum(item["role"] == "oncoming" for item, _ in seen)
    parts = [f"{_count(n, f'{colour} {kind}')} ahead" for (colour, kind), n in moving.most_common(2)]
    if oncoming:
        parts.append("oncoming traffic")
    if parked:
        parts.append("parked cars" if parked > 1 else "a parked car")
    return f"Vehicles on the street: {', '.join(parts)}." if parts else "Hardly any traffic."


def _elements(scene: Scene, truth: Truth, stated: Sequence[dict[str, Any]]) -> str:
    parts = []
    light = truth.light
    if light is not None and light.state != "none":
        movement = "" if light.movement == "any" else f" for {light.movement}"
        place = " at the toll station" if light.place == "toll" else ""
        parts.append("traffic light off" if light.state == "off" else f"{light.state} light on{movement}{place}")
        if light.other:
            parts.append(f"{light.other[0]} light for {light.other[1]}")
    counts = Counter(item["kind"] for item in stated if item["role"] == "obstacle")
    for kind, present in truth.obstacles.items():
        if present and kind != "pedestrian":
            parts.append(_count(counts[kind], kind_words(kind)) if counts[kind] else kind_words(kind))
    walkers = [item for item in stated if item["kind"] == "pedestrian" and item["role"] == "obstacle"]
    if walkers:
        umbrellas = any("umbrella" in item["state"].split() for item in walkers)
        who = "pedestrians" if len(walkers) > 1 else "a pedestrian"
        parts.append(f"{who} on the road{' with umbrellas' if umbrellas and len(walkers) > 1 else ''}")
    elif any(item["kind"] == "pedestrian" for item in stated):
        parts.append("people on the sidewalk")
    limits = sorted({item["state"] for item in stated if item["kind"] == "speed_limit"})
    if limits:
        parts.append(f"speed limit {limits[0]}")
    return ", ".join(parts)[:1].upper() + ", ".join(parts)[1:] + "." if parts else ""


def _road(scene: Scene, truth: Truth) -> str:
    where = scene.environment
    parts = [_ground(where)]
    if scene.facts.lanes > 1:
        parts.append(f"{_NUMBERS[scene.facts.lanes] if scene.facts.lanes < 4 else scene.facts.lanes} lanes")
    if truth.crossroad["pedestrian_crossing"]:
        parts.append("a pedestrian crossing ahead")
    if truth.crossroad["intersection"]:
        parts.append("caution needed at the upcoming intersection")
    text = ", ".join(part for part in parts if part)
    return text[:1].upper() + text[1:] + "." if text else ""


def _ground(where: Environment) -> str:
    if where.snow_cover > 0.2:
        return "snow on the ground"
    if where.wetness > 0.6:
        return "slippery ground with puddles"
    if where.wetness > 0.2:
        return "wet ground"
    return "low visibility, dry ground" if where.weather == "fog" else "dry ground"


def _count(count: int, noun: str) -> str:
    if count == 1:
        return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
    plural = noun if noun in ("debris", "construction") else noun + ("es" if noun.endswith(("s", "sh")) else "s")
    return f"{_NUMBERS[count] if count < 4 else 'several'} {plural}"


def colour_name(colour: tuple[float, float, float]) -> str:
    """The everyday name nearest to a linear RGB colour (compared after a square root, nearer to how eyes compare)."""
    root = [max(0.0, channel) ** 0.5 for channel in colour]
    return min(
        _NAMED_COLOURS,
        key=lambda named: sum((a - b**0.5) ** 2 for a, b in zip(root, named[1], strict=True)),
    )[0]
