"""Scene + passes + final frame -> truth with evidence, or a rejection with its reason.

The truth names only what a person could see in the frame: each object passes the gates (`scenes.gates`) and is stated,
is below them and makes its facts null, or leaves no trace and is ignored. `docs/labels.md` is the reader's version.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pacenote.advisory import OBSTACLES, Light, Truth
from pacenote.data.classes import CLASS_INDEX, class_of
from pacenote.scenes.describe import describe
from pacenote.scenes.gates import (
    Gates,
    Observed,
    PassesLike,
    Verdict,
    View,
    gate_lens,
    gate_limit,
    gate_thing,
    gate_zebra,
)
from pacenote.scenes.rules import HAZARDS, WORKS, Seen, recommend_unknown
from pacenote.scenes.scene import Camera, Marking, Scene, Signal, Surface, Thing

VEHICLES = ("car", "van", "truck", "bus", "motorcycle", "bicycle")
ROADWAY = ("asphalt", "junction", "concrete")
# Of these, one that stands beside the carriageway neither is an obstacle nor plainly is none.
ON_ROAD_ONLY = ("debris", "animal", "crash")


@dataclass(frozen=True)
class Labelled:
    """What is true of the frame and why.

    `evidence`: the JSON of the architecture page. `light_px`, `light_m`: diameter and distance of the ego light's lens,
    None where none is stated. `segmentation`: HxW uint8 indices of `data.classes.CLASSES`, the frame's size.
    """

    truth: Truth
    evidence: dict[str, Any]
    description: str
    segmentation: NDArray[np.uint8]
    light_px: float | None
    light_m: float | None


@dataclass(frozen=True)
class Rejected:
    """A frame whose truth a person could not tell from the picture."""

    reason: str


@dataclass(frozen=True)
class Head:
    """A signal head as the frame shows it."""

    signal: Signal
    seen: Observed
    diameter: float
    verdict: Verdict


@dataclass
class _Notes:
    """What the slots found, collected for the evidence."""

    objects: list[dict[str, Any]] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)

    def add(
        self, seen: Observed, verdict: Verdict, kind: str, *, state: str = "", role: str = "", lens: float = 0.0
    ) -> None:
        self.objects.append(
            {
                "id": seen.id,
                "kind": kind,
                "state": state,
                "box": [round(float(value), 1) for value in seen.box],
                "pixels": seen.pixels,
                "visible": round(seen.visible, 3),
                "lens_px": round(lens, 2) if kind == "traffic_light" else None,
                "contrast": round(seen.contrast, 1),
                "stated": verdict.stated,
                "reason": verdict.reason,
                "role": role,
                "distance_m": None if math.isnan(seen.distance_m) else round(min(seen.distance_m, 1e4), 1),
            }
        )


def label(
    scene: Scene, passes: PassesLike, frame: NDArray[np.uint8], gates: Gates | None = None
) -> Labelled | Rejected:
    """Truth and evidence of a rendered scene.

    `frame` HxWx3 uint8, the stored picture; `passes` of the same size, warped like it. Raises ValueError where the
    sizes differ. A frame whose light cannot be attributed to a lane by looking is rejected.
    """
    gates = gates or Gates()
    view = View(passes, frame)
    notes = _Notes()
    heads = [_head(view, scene.camera, signal, gates) for signal in scene.signals]
    for head in heads:
        if head.verdict.stated is not False or (head.signal.role == "ego" and head.diameter > 0):
            shows = head.signal.state + (f" {head.signal.movement}" if head.signal.movement != "any" else "")
            notes.add(head.seen, head.verdict, "traffic_light", state=shows, role=head.signal.role, lens=head.diameter)
    decided = decide_light(heads, scene.camera, gates)
    if isinstance(decided, Rejected):
        return decided
    light, state, light_reason, chief = decided
    notes.rules.append(f"light: {light_reason}")
    obstacles = _obstacles(view, scene, gates, notes)
    crossroad = {
        "intersection": _intersection(view, scene, gates, notes),
        "pedestrian_crossing": _crossing(view, scene, gates, notes),
    }
    limit, limit_unknown = _limit(view, scene, gates, notes)
    _scenery(view, scene.things, gates, notes)

    unknown: dict[str, tuple[Any, ...]] = {}
    if limit_unknown:
        unknown["limit_kmh"] = (limit, *limit_unknown)
    doubtful = next((h for h in heads if h.signal.role == "ego" and h.verdict.stated is None), None)
    if state is None and doubtful is not None:
        unknown["light"] = ("none", doubtful.signal.state)
    for name, facts in (
        ("works", [obstacles[kind] for kind in WORKS]),
        ("hazard", [obstacles[kind] for kind in HAZARDS]),
        ("pedestrian", [obstacles["pedestrian"]]),
        ("intersection", [crossroad["intersection"]]),
        ("crossing", [crossroad["pedestrian_crossing"]]),
    ):
        if True not in facts and None in facts:
            unknown[name] = (False, True)
    judged = chief or doubtful
    situation = Seen(
        road_class=scene.facts.road_class,
        limit_kmh=limit,
        light=state or "none",
        light_m=0.0 if judged is None or math.isnan(judged.seen.distance_m) else judged.seen.distance_m,
        place="toll" if any(h.signal.place == "toll" for h in heads if h.signal.role == "ego") else "junction",
        crossing=bool(crossroad["pedestrian_crossing"]),
        intersection=bool(crossroad["intersection"]),
        works=any(obstacles[kind] for kind in WORKS),
        hazard=any(obstacles[kind] for kind in HAZARDS),
        pedestrian=bool(obstacles["pedestrian"]),
        weather=scene.environment.weather,
        visibility_m=scene.environment.visibility_m,
        time=scene.environment.time,
    )
    speed, rules = recommend_unknown(situation, unknown)
    notes.rules.extend(rules)
    truth = Truth(speed, light, state, obstacles=obstacles, crossroad=crossroad)
    description = describe(scene, truth, notes.objects)
    evidence = {"objects": notes.objects, "description": description, "rules": notes.rules}
    return Labelled(
        truth,
        evidence,
        description,
        segmentation(scene, passes),
        None if chief is None else chief.diameter,
        None if chief is None else chief.seen.distance_m,
    )


# --- light -------------------------------------------------------------------------------------------------------


def _head(view: View, camera: Camera, signal: Signal, gates: Gates) -> Head:
    forward = math.cos(camera.pitch)
    ahead = forward * (math.cos(camera.yaw) * (signal.x - camera.x) + math.sin(camera.yaw) * (signal.y - camera.y))
    ahead += math.sin(camera.pitch) * (signal.z - camera.z)
    return Head(signal, *gate_lens(view, signal, gates, ahead))


def decide_light(
    heads: Sequence[Head], camera: Camera, gates: Gates
) -> tuple[Light | None, str | None, str, Head | None] | Rejected:
    """The ego car's light from all heads: (light, state, reason, the head that decided), or a rejection.

    The state may be known while the whole light (movement, second light) is not.
    """
    ego = [head for head in heads if head.signal.role == "ego"]
    others = [head for head in heads if head.signal.role == "other"]
    others += [head for head in heads if head.signal.role == "cross" and _facing(head.signal, camera, gates)]
    stated = [head for head in ego if head.verdict.stated]
    if not stated:
        half = [h for h in ego if h.diameter >= gates.lens_stated_px and 0.1 < h.seen.visible < gates.lens_visible]
        if half:
            return Rejected(f"ego light half occluded: visible {half[0].seen.visible:.2f}")
        for head in ego:
            if head.verdict.stated is None:
                return None, None, f"unknown, ego's {head.signal.state} light: {head.verdict.reason}", None
        for head in others:
            if head.verdict.stated is not False:
                return None, None, "unknown, only the light of another lane or approach is visible", None
        return Light("none"), "none", "none visible", None
    states = {head.signal.state for head in stated}
    if len(states) > 1:
        return Rejected(f"two visible lights of the ego lane contradict: {' and '.join(sorted(states))}")
    chief = max(stated, key=lambda head: head.diameter)
    state, place = chief.signal.state, chief.signal.place
    if place == "toll":  # one light a lane, above it: no movement to name, and no other lane's light concerns the car
        return Light(state, place="toll"), state, f"{state} toll light, {chief.verdict.reason}", chief
    rivals = [head for head in others if head.verdict.stated and head.signal.state != state]
    if rivals and not _arrow(chief, gates) and not all(_arrow(head, gates) for head in rivals):
        names = " and ".join(sorted({head.signal.state for head in rivals}))
        return Rejected(f"{state} and {names} lights visible, and nothing shows which lane each controls")
    named = {(head.signal.state, head.signal.movement) for head in rivals if head.signal.movement != "any"}
    named = {pair for pair in named if pair[1] != chief.signal.movement}
    order = ("left", "straight", "right")
    other = min(named, key=lambda pair: (order.index(pair[1]), pair[0])) if named else None
    reason = f"{state}, {chief.verdict.reason}"
    known = {(head.signal.state, head.signal.movement) for head in rivals}  # a far repeater of these adds no doubt
    doubtful = [h for h in others if h.verdict.stated is None and h.signal.state != state]
    if any((head.signal.state, head.signal.movement) not in known for head in doubtful):
        return None, state, f"{reason}; a second light is below the gates", chief
    unread = any(head.signal.arrow and not _arrow(head, gates) for head in (chief, *rivals))
    # A round light beside an arrow means straight on; for another movement of ego's nothing in the picture says so.
    unread = unread or (
        other is not None and not chief.signal.arrow and chief.signal.movement not in ("any", "straight")
    )
    if unread or len(named) < len({head.signal.state for head in rivals}):
        return None, state, f"{reason}; its movement cannot be told", chief
    movement = chief.signal.movement if chief.signal.arrow or other is not None else "any"
    return Light(state, movement, "junction", other), state, reason, chief


def _arrow(head: Head, gates: Gates) -> bool:
    """Whether the head shows an arrow large enough to read."""
    return head.signal.arrow and head.signal.movement != "any" and head.diameter >= gates.arrow_px


def _facing(signal: Signal, camera: Camera, gates: Gates) -> bool:
    towards = math.atan2(camera.y - signal.y, camera.x - signal.x)
    turn = abs((signal.yaw - towards + math.pi) % (2 * math.pi) - math.pi)
    return turn < math.radians(gates.cross_facing_deg)


# --- obstacles, crossroad, limit ---------------------------------------------------------------------------------


def _obstacles(view: View, scene: Scene, gates: Gates, notes: _Notes) -> dict[str, bool | None]:
    facts: dict[str, bool | None] = dict.fromkeys(OBSTACLES, False)
    for thing in scene.things:
        if thing.kind not in facts or not len(view.pixels(thing.id)):
            continue
        seen, verdict = gate_thing(view, thing.id, thing.kind, gates)
        role = "obstacle"
        if verdict.stated is not False and not thing.on_road:
            if thing.kind == "pedestrian":
                away = distance_to_road(scene.surfaces, thing.x, thing.y)
                role = "beside" if away > gates.kerb_m else "obstacle"
                if role == "obstacle":
                    verdict = Verdict(None, f"at the kerb, {away:.1f} m from the carriageway")
            elif thing.kind in ON_ROAD_ONLY:
                verdict = Verdict(None, "beside the carriageway")
        notes.add(seen, verdict, thing.kind, state=" ".join(thing.state), role=role)
        if role == "obstacle" and verdict.stated is not False and facts[thing.kind] is not True:
            facts[thing.kind] = verdict.stated
    return facts


def distance_to_road(surfaces: Sequence[Surface], x: float, y: float) -> float:
    """Metres from a point to the nearest carriageway, 0 on it; inf where there is none."""
    import shapely

    point = shapely.Point(x, y)
    roads = [surface.outline for surface in surfaces if surface.kind in ROADWAY and len(surface.outline) > 2]
    return min((float(shapely.distance(shapely.Polygon(outline), point)) for outline in roads), default=math.inf)


def _intersection(view: View, scene: Scene, gates: Gates, notes: _Notes) -> bool | None:
    facts = scene.facts
    result: bool | None = False
    for surface in scene.surfaces:
        if surface.kind != "junction" or not surface.id:
            continue
        seen = view.observe(surface.id)
        own = surface.id == facts.junction_id and facts.junction_m is not None
        away = _nearest(view, seen.id) if not own else float(facts.junction_m or 0.0)
        if seen.pixels <= gates.junction_negligible_px and not (own and away <= gates.near_m):
            continue
        if away > gates.far_m:
            verdict = Verdict(False, f"{away:.0f} m away")
        elif own and 0.0 <= away <= gates.near_m and seen.pixels >= gates.junction_px:
            verdict = Verdict(True, f"{away:.0f} m away, {seen.pixels} px of junction")
        else:
            verdict = Verdict(None, f"{away:.0f} m away, {seen.pixels} px of junction{'' if own else ', not ahead'}")
        notes.add(seen, verdict, "intersection", role="ahead" if own else "other")
        result = _either(result, verdict.stated)
    return result


def _crossing(view: View, scene: Scene, gates: Gates, notes: _Notes) -> bool | None:
    result: bool | None = False
    for marking in scene.markings:
        if marking.kind != "zebra" or not marking.id or not len(view.pixels(marking.id)):
            continue
        seen, verdict = gate_zebra(view, marking.id, gates)
        away = _nearest(view, marking.id)
        own = marking.id in scene.facts.crossing_ids
        if verdict.stated is not False:
            if away > gates.far_m:
                verdict = Verdict(False, f"{away:.0f} m away")
            elif away > gates.near_m:
                verdict = Verdict(None, f"{away:.0f} m away")
            elif verdict.stated and not own:
                verdict = Verdict(None, "ego's route does not run over it")
        notes.add(seen, verdict, "pedestrian_crossing", role="ahead" if own else "other")
        result = _either(result, verdict.stated)
    return result


def _either(one: bool | None, two: bool | None) -> bool | None:
    if one or two:
        return True
    return None if one is None or two is None else False


def _nearest(view: View, id: int) -> float:
    """Depth in metres of the nearest twentieth of an object's visible pixels; inf where none is visible."""
    positions = view.pixels(id)
    return float(np.percentile(view.passes.depth.ravel()[positions], 5)) if len(positions) else math.inf


def _limit(view: View, scene: Scene, gates: Gates, notes: _Notes) -> tuple[int | None, list[int]]:
    """The stated limit (None: the class default applies) and the values of signs that can be half read."""
    if scene.facts.limit_in_context:
        return scene.facts.limit_kmh, []
    stated: list[tuple[float, int]] = []
    doubtful: list[tuple[float, int]] = []
    bearers: tuple[Thing | Marking, ...] = (*scene.things, *scene.markings)
    for item in bearers:
        if item.id not in scene.facts.limit_sources or not item.id or not item.text.isdigit():
            continue
        seen, verdict = gate_limit(view, item.id, item.text, isinstance(item, Marking), gates)
        if not seen.pixels:
            continue
        notes.add(seen, verdict, "speed_limit", state=item.text, role="ahead")
        if verdict.stated is not False:
            (stated if verdict.stated else doubtful).append((seen.distance_m, int(item.text)))
    if not stated:
        return None, [value for _, value in doubtful]
    nearest = min(stated)
    return nearest[1], [value for away, value in doubtful if away < nearest[0] and value != nearest[1]]


def _scenery(view: View, things: Sequence[Thing], gates: Gates, notes: _Notes) -> None:
    for thing in things:
        if thing.kind in VEHICLES and len(view.pixels(thing.id)) >= gates.scenery_px:
            seen = view.observe(thing.id)
            clear = seen.visible >= gates.visible and seen.contrast >= gates.contrast
            verdict = Verdict(True if clear else None, f"{seen.pixels} px, visible {seen.visible:.2f}")
            role = "parked" if "parked" in thing.state else "oncoming" if "oncoming" in thing.state else "traffic"
            notes.add(seen, verdict, thing.kind, state=" ".join(thing.state), role=role)


# --- segmentation ------------------------------------------------------------------------------------------------


def segmentation(scene: Scene, passes: PassesLike) -> NDArray[np.uint8]:
    """Class of every pixel (`data.classes.CLASSES`): sky where nothing is hit, background where it has no id."""
    classes = {surface.id: class_of(surface.kind) for surface in scene.surfaces}
    classes |= {marking.id: class_of(marking.kind) for marking in scene.markings}
    classes |= {thing.id: class_of(thing.kind, thing.state) for thing in scene.things}
    for signal in scene.signals:
        classes[signal.id] = class_of("light_housing")
        classes[signal.lens_id] = class_of("light", signal.state)
    classes[0] = CLASS_INDEX["background"]
    ids, inverse = np.unique(passes.index, return_inverse=True)
    table = np.array([classes.get(int(id), CLASS_INDEX["background"]) for id in ids], np.uint8)
    result = table[inverse].reshape(passes.index.shape)
    result[~np.isfinite(passes.depth) & (passes.index == 0)] = CLASS_INDEX["sky"]
    return result
