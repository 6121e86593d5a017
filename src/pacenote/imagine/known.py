"""What is still known of a photo after it was changed: facts are forgotten where what shows them faded or left the
frame, and the speed is kept only where the rules explain it before the change and after."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pacenote.advisory import CROSSROADS, OBSTACLES, Truth
from pacenote.scenes.gates import Gates
from pacenote.scenes.rules import DENSE_FOG_M, HAZARDS, WORKS, Seen, recommend_unknown

Bytes = npt.NDArray[np.uint8]

KEPT_CONTRAST = 0.45  # of what it was, below which what was seen can no longer be relied on
CLEARLY = 1.5  # times the gate of contrast, for what was put in


@dataclass(frozen=True)
class Photo:
    """A labelled photo while it is changed: RGB `pixels` and class map (or None), (h, w), evidence `objects` with boxes
    in its pixels, truth and conditions, `numbers` of the change."""

    pixels: Bytes
    classes: Bytes | None
    objects: tuple[dict[str, Any], ...]
    truth: Truth
    conditions: dict[str, Any]
    camera: Mapping[str, float] | None
    numbers: dict[str, Any] = field(default_factory=dict)


def still_seen(before: Photo, after: Photo) -> Photo:
    """`after` with the facts forgotten that hang on objects which can no longer be told from what is around them."""
    objects, hidden = [], []
    for item in after.objects:
        faded = item.get("stated") is True and item.get("box") and _faded(before.pixels, after.pixels, item)
        hidden += [item] if faded else []
        objects.append({**item, "stated": None, "reason": "hidden by the change"} if faded else item)
    truth = unlisted(forget(after.truth, hidden), after.objects)
    return replace(after, objects=tuple(objects), truth=truth)


def _faded(before: Bytes, after: Bytes, item: Mapping[str, Any]) -> bool:
    gates = Gates()
    least = gates.lens_contrast if item["kind"] == "traffic_light" else gates.contrast
    was, now = _contrast(before, item["box"]), _contrast(after, item["box"])
    stated = float(item.get("contrast") or was)
    return now < KEPT_CONTRAST * was or stated * now / max(was, 1e-6) < least


def plain_to_see(photo: Photo, item: Mapping[str, Any]) -> bool:
    """Whether an obstacle that was put in passes the gates of size that rendered ones pass, and has contrast."""
    gates, box, kind = Gates(), item["box"], str(item["kind"])
    scale = 672 / photo.pixels.shape[1]  # the gates count pixels of a stored frame
    high, area = (box[3] - box[1]) * scale, (box[2] - box[0]) * (box[3] - box[1]) * scale**2
    clear = _contrast(photo.pixels, box) >= CLEARLY * gates.contrast
    return clear and high >= gates.height_px[kind] and area >= gates.area_px[kind]


def _contrast(pixels: Bytes, box: Sequence[float]) -> float:
    """Root mean square CIELAB difference of the pixels in `box` to the mean of a ring around it."""
    import cv2

    height, width = pixels.shape[:2]
    x0, y0 = max(0, math.floor(box[0])), max(0, math.floor(box[1]))
    x1, y1 = min(width, max(x0 + 1, math.ceil(box[2]))), min(height, max(y0 + 1, math.ceil(box[3])))
    pad = max(2, round(0.3 * max(x1 - x0, y1 - y0)))
    left, top = max(0, x0 - pad), max(0, y0 - pad)
    part = pixels[top : y1 + pad, left : x1 + pad].astype(np.float32) / 255
    lab = cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_RGB2LAB)
    inside = np.zeros(lab.shape[:2], bool)
    inside[y0 - top : y1 - top, x0 - left : x1 - left] = True
    if inside.all():
        return float(np.sqrt(((lab - lab.mean((0, 1))) ** 2).sum(-1).mean()))
    return float(np.sqrt(((lab[inside] - lab[~inside].mean(0)) ** 2).sum(-1).mean()))


def forget(truth: Truth, items: Sequence[Mapping[str, Any]]) -> Truth:
    """`truth` without the facts that hang on `items`; what another object of the kind shows is forgotten, too."""
    kinds = {str(item["kind"]) for item in items}
    obstacles = {kind: None if kind in kinds and fact else fact for kind, fact in truth.obstacles.items()}
    crossroad = {kind: None if kind in kinds and fact else fact for kind, fact in truth.crossroad.items()}
    light_gone = "traffic_light" in kinds
    return Truth(
        speed_kmh=truth.speed_kmh,
        light=None if light_gone else truth.light,
        light_state=None if light_gone else truth.light_state,
        obstacles=obstacles,
        obstacles_any=True
        if any(obstacles.values())
        else None
        if any(f is None for f in obstacles.values())
        else False,
        crossroad=crossroad,
        crossroad_any=True
        if any(crossroad.values())
        else None
        if any(f is None for f in crossroad.values())
        else False,
    )


def unlisted(truth: Truth, objects: Sequence[Mapping[str, Any]]) -> Truth:
    """Forget true facts for which no object with a box stands in the evidence: whether they can still be seen cannot be
    measured."""
    listed = {str(item.get("kind")) for item in objects if item.get("box") and item.get("stated") is True}
    lost = [kind for kind in (*OBSTACLES, *CROSSROADS) if {**truth.obstacles, **truth.crossroad}[kind]]
    lost += ["traffic_light"] if truth.light_state not in (None, "none") else []
    return forget(truth, [{"kind": kind} for kind in lost if kind not in listed])


def with_speed(before: Photo, after: Photo) -> Truth:
    """The truth after the change with the speed by the rules, where they also give the frame's speed before it."""
    truth = after.truth
    told = _speed(before)
    if before.truth.speed_kmh is None or told != before.truth.speed_kmh:
        return replace(truth, speed_kmh=None)
    return replace(truth, speed_kmh=_speed(after))


def _speed(photo: Photo) -> int | None:
    """What the rules say of a photo; None where a fact that they need is not known or decides otherwise."""
    truth, held = photo.truth, photo.conditions
    road, weather, time = (held.get(name) for name in ("road_class", "weather", "time"))
    if not (road and weather and time):
        return None
    seen = Seen(
        road_class=str(road), limit_kmh=_limit(photo), light=truth.light_state or "none",  # type: ignore[arg-type]
        light_m=float(held.get("light_m") or 0.0), place=truth.light.place if truth.light else "junction",
        crossing=bool(truth.crossroad["pedestrian_crossing"]), intersection=bool(truth.crossroad["intersection"]),
        works=any(truth.obstacles[kind] for kind in WORKS), hazard=any(truth.obstacles[kind] for kind in HAZARDS),
        pedestrian=bool(truth.obstacles["pedestrian"]), weather=str(weather), time=str(time),  # type: ignore[arg-type]
        visibility_m=float(photo.numbers.get("visibility_m", 20000.0)),
    )  # fmt: skip
    return recommend_unknown(seen, dict(_open_facts(photo)))[0]


def _open_facts(photo: Photo) -> Iterator[tuple[str, tuple[Any, ...]]]:
    truth, held = photo.truth, photo.conditions
    if truth.light_state is None:
        yield "light", ("none", "red", "yellow", "green", "off")
    if truth.light_state in ("red", "yellow", None) and held.get("light_m") is None:
        yield "light_m", (0.0, 1000.0)
    for name, facts in (
        ("crossing", [truth.crossroad["pedestrian_crossing"]]), ("intersection", [truth.crossroad["intersection"]]),
        ("works", [truth.obstacles[kind] for kind in WORKS]), ("hazard", [truth.obstacles[kind] for kind in HAZARDS]),
        ("pedestrian", [truth.obstacles["pedestrian"]]),
    ):  # fmt: skip
        if not any(facts) and any(fact is None for fact in facts):
            yield name, (False, True)
    if held.get("weather") == "fog" and "visibility_m" not in photo.numbers:
        yield "visibility_m", (DENSE_FOG_M / 2, 2 * DENSE_FOG_M)


def _limit(photo: Photo) -> int | None:
    """A stated limit: that of the question, else of a legible sign ahead."""
    told = photo.conditions.get("limit_kmh")
    if told is not None:
        return int(told)
    signs = [
        o for o in photo.objects if o.get("kind") == "speed_limit" and o.get("role") == "ahead" and o.get("stated")
    ]
    numbers = [match[0] for one in signs if (match := re.search(r"\d+", str(one.get("state"))))]
    return int(numbers[0]) if numbers else None
