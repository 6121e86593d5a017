"""Vehicles: SUMO's, where it has them, and parked ones along the kerb."""

from __future__ import annotations

import math

import numpy as np
from shapely.geometry import LineString

from pacenote.scenes.draft import FIRST_ID, Draft, Sight, paint
from pacenote.scenes.geometry import at, box, direction, left_of, length, turn
from pacenote.scenes.recipe import SceneRecipe
from pacenote.scenes.scene import Camera, Environment, Thing
from pacenote.scenes.seeds import chance, choice, pick, seed32, stream, uniform
from pacenote.scenes.streets import Streets
from pacenote.scenes.traffic import MINE, SIZES, Traffic

SPACES = ("van", "truck", "bus")


def vehicle_size(kind: str, rng: np.random.Generator) -> tuple[float, float, float]:
    """SUMO's size with the spread of real models; the length stays within what SUMO keeps free."""
    long, wide, high = SIZES[kind]
    return long * uniform(rng, 0.93, 1.04), wide * uniform(rng, 0.96, 1.05), high * uniform(rng, 0.95, 1.12)


def moving(recipe: SceneRecipe, traffic: Traffic, time: float, sight: Sight, where: Environment) -> list[Thing]:
    """The simulated vehicles in sight at a time. A vehicle keeps its looks and its id over the frames of a drive."""
    camera = sight.cameras[0]
    made = []
    before = {int(traffic.who[r]): float(traffic.speed[r]) for r in traffic.rows(time - 1.0)}
    for row in traffic.rows(time):
        who, kind = int(traffic.who[row]), traffic.kinds[int(traffic.kind[row])]
        if not sight.sees(float(traffic.x[row]), float(traffic.y[row]), SIZES[kind][0]):
            continue
        rng = stream(recipe.digest, who, "vehicle " + traffic.names[who])
        size = vehicle_size(kind, rng)
        yaw = float(traffic.yaw[row])
        middle = np.array([traffic.x[row], traffic.y[row]]) - direction(yaw) * SIZES[kind][0] / 2
        speed = float(traffic.speed[row])
        state: list[str] = []
        if speed < before.get(who, speed) - 0.3 or speed < 0.3:
            state.append("brake")
        if chance(rng, 0.06) and speed < 6:
            state.append(choice(rng, ("left", "right")))
        if where.headlights:
            state.append("lights")
        if abs(turn(yaw - camera.yaw)) > 2.2:
            state.append("oncoming")
        made.append(
            Thing(
                FIRST_ID["traffic"] + who,
                MINE[kind],
                round(float(middle[0]), 3),
                round(float(middle[1]), 3),
                round(turn(yaw), 4),
                round(size[0], 2),
                round(size[1], 2),
                round(size[2], 2),
                0.0,
                paint(rng),
                seed32(rng) % 1000,
                tuple(state),
                "",
                True,
            )
        )
    return made


def ego_box(camera: Camera, ahead: float = 4.0) -> tuple[float, float, float, float, float]:
    """Centre, yaw, length, width of the ground that the ego car takes, with room before it."""
    spot = np.array([camera.x, camera.y]) + direction(camera.yaw) * (ahead - 2.5) / 2
    return float(spot[0]), float(spot[1]), camera.yaw, ahead + 2.5 + 1.7, 1.9


def place_moving(draft: Draft, things: list[Thing], rng: np.random.Generator, hide_light: bool) -> None:
    """Add simulated vehicles in view, without those in ego's own place. Nothing tall stays right before the camera,
    unless the light shall be hidden."""
    camera = draft.camera
    own = box(*ego_box(camera))
    for thing in things:
        shape = box(thing.x, thing.y, thing.yaw, thing.length, thing.width)
        if shape.intersects(own) or not draft.sight.sees(thing.x, thing.y, thing.length / 2):
            continue
        ahead = (thing.x - camera.x) * math.cos(camera.yaw) + (thing.y - camera.y) * math.sin(camera.yaw)
        aside = -(thing.x - camera.x) * math.sin(camera.yaw) + (thing.y - camera.y) * math.cos(camera.yaw)
        blocking = thing.kind in SPACES and 0 < ahead < 22 and abs(aside) < 2.0
        if (blocking and not hide_light and chance(rng, 0.8)) or not draft.free(shape, 0.05):
            continue
        draft.things.append(thing)
        draft.reserve(shape)
    if hide_light:
        x, y, yaw = at(draft.route, draft.start_m + uniform(rng, 10.5, 14.0))
        _extra(draft, choice(rng, ("truck", "bus")), x, y, yaw, rng)


def occluder(draft: Draft, rng: np.random.Generator) -> None:
    """A truck, bus or van on a lane beside ego's, if there is one."""
    side = choice(rng, (-1.0, 1.0))
    for sign in (side, -side):
        x, y, yaw = at(draft.route, draft.start_m + uniform(rng, 9.0, 26.0))
        dx, dy = left_of(yaw) * sign * 3.4
        if draft.on_road(x + float(dx), y + float(dy)):
            oncoming = sign * draft.streets.kerb > 0 and len({lane.edge for lane in draft.streets.lanes.values()}) > 1
            if _extra(
                draft, choice(rng, SPACES), x + float(dx), y + float(dy), yaw + (math.pi if oncoming else 0), rng
            ):
                return


def _extra(draft: Draft, kind: str, x: float, y: float, yaw: float, rng: np.random.Generator) -> bool:
    size = vehicle_size(kind, rng)
    shape = box(x, y, yaw, size[0], size[1])
    if shape.intersects(box(*ego_box(draft.camera))):
        return False
    draft.evict(shape, 0.5)
    if not draft.free(shape, 0.2):
        return False
    draft.add("sign", MINE[kind], x, y, yaw, size, colour=paint(rng), style=seed32(rng) % 1000, on_road=True)
    return True


def parked(draft: Draft, streets: Streets, share: float, rng: np.random.Generator) -> None:
    """Cars in parking lanes, with gaps, none near a junction; a few half on the verge of quiet streets without one."""
    near = draft.sight.region()
    for edge in streets.edges.values():
        lane = next((k for k in edge.lanes if k.kind == "parking"), None)
        filled = min(1.0, share * uniform(rng, 0.3, 1.7))
        if lane is None or not near.intersects(LineString(lane.shape)):
            continue
        total, s = length(lane.shape), 9.0 + uniform(rng, 0, 6)
        while s < total - 13:
            kind = pick(rng, {"car": 0.86, "van": 0.12, "truck": 0.02})
            size = vehicle_size(kind, rng)
            step = size[0] + uniform(rng, 0.7, 1.8)
            x, y, yaw = at(lane.shape, s + size[0] / 2)
            use, style, flip = chance(rng, filled), seed32(rng) % 1000, chance(rng, 0.08)
            shift, colour = float(rng.normal(0, 0.08)), paint(rng) if use else (0.5, 0.5, 0.5)
            if use and draft.sight.sees(x, y, 2.5, 110.0):
                side = left_of(yaw) * shift
                x, y, yaw = (
                    x + float(side[0]),
                    y + float(side[1]),
                    yaw + float(rng.normal(0, 0.02)) + (math.pi if flip else 0),
                )
                shape = box(x, y, yaw, size[0], size[1])
                if draft.free(shape, 0.15) and not shape.intersects(box(*ego_box(draft.camera))):
                    draft.add(
                        "static",
                        MINE[kind],
                        x,
                        y,
                        yaw,
                        size,
                        colour=colour,
                        style=style,
                        state=("parked",),
                        on_road=True,
                    )
            s += step
