"""Simulated drives: consecutive frames of one vehicle's trip, on one clock, through one static world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from pacenote.scenes.camera import mount
from pacenote.scenes.draft import FIRST_ID, Draft, Sight
from pacenote.scenes.geometry import Line, box, direction, length, project, turn
from pacenote.scenes.moment import approach_states
from pacenote.scenes.obstacles import MAKERS
from pacenote.scenes.people import bystanders
from pacenote.scenes.recipe import SceneRecipe
from pacenote.scenes.roads import Ground, build, own_crossings, stop_back, stop_lines
from pacenote.scenes.scene import Camera, Environment, Facts, Scene, Signal, Thing
from pacenote.scenes.seeds import seed32, stream
from pacenote.scenes.sides import draw_theme
from pacenote.scenes.signals import Approach, SignalStyle, draw_style, groups, heads, numbered
from pacenote.scenes.streets import Edge, Link, Streets
from pacenote.scenes.surroundings import line_streets
from pacenote.scenes.traffic import Traffic
from pacenote.scenes.vehicles import moving, parked
from pacenote.scenes.weather import environment
from pacenote.scenes.wish import Wish, draw_obstacles

CAMERA_BACK_M = 1.7  # from the front bumper to the windscreen
STRETCH_M = 90.0
SLOWEST_MPS = 4.0  # on average, where a trip that fast is found in time: who only waits sees little
FASTEST_TURN = 0.7  # rad/s: more is a jump of the simulation, not a bend


@dataclass(frozen=True)
class Trip:
    """Rows of one vehicle: times in s, camera places, yaw, speed m/s, acceleration m/s^2, yaw rate rad/s, edges."""

    who: int
    time: NDArray[np.float64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    yaw: NDArray[np.float64]
    speed: NDArray[np.float64]
    accel: NDArray[np.float64]
    yaw_rate: NDArray[np.float64]
    edges: tuple[str, ...]


def find_trip(recipe: SceneRecipe, index: int, streets: Streets, traffic: Traffic) -> Trip | None:
    """A car that drives for the recipe's whole duration, past a junction with lights if one is found in time."""
    rng = stream(recipe.digest, index, "trip")
    count = int(recipe.drives.seconds * recipe.drives.rate_hz)
    step = 1.0 / recipe.drives.rate_hz
    cars = [k for k, name in enumerate(traffic.kinds) if name in ("car", "van")]
    for attempt in range(recipe.tries * 4):
        who = int(rng.integers(max(len(traffic.names), 1)))
        rows = np.flatnonzero((traffic.who == who) & np.isin(traffic.kind, cars))
        if len(rows) < count:
            continue
        start = int(rng.integers(len(rows) - count + 1))
        rows = rows[start : start + count]
        time = traffic.times[rows]
        if abs(time[-1] - time[0] - (count - 1) * step) > 0.5 * step or traffic.speed[rows].mean() < (
            SLOWEST_MPS if attempt < recipe.tries * 2 else 1.5
        ):
            continue
        yaw = np.unwrap(traffic.yaw[rows])
        rate = np.gradient(yaw, step)
        if np.abs(rate).max() > FASTEST_TURN:
            continue
        x = traffic.x[rows] - np.cos(yaw) * CAMERA_BACK_M
        y = traffic.y[rows] - np.sin(yaw) * CAMERA_BACK_M
        speed = traffic.speed[rows]
        edges = tuple(traffic.lanes[int(k)].rsplit("_", 1)[0] for k in traffic.lane[rows])
        lit = any(
            e in streets.edges
            and e != edges[-1]
            and streets.edges[e].end in streets.junctions
            and streets.signalised(streets.edges[e].end)
            for e in edges
        )
        if (lit or attempt >= recipe.tries * 3) and any(e in streets.edges for e in edges):
            return Trip(who, time, x, y, yaw, speed, np.gradient(speed, step), rate, edges)
    return None


def _way(traffic: Traffic, streets: Streets, trip: Trip) -> list[str]:
    """The edges of the whole simulated trip in order, from the one the drive starts on."""
    rows = np.flatnonzero((traffic.who == trip.who) & (traffic.times >= trip.time[0] - 1e-6))
    found: list[str] = []
    for k in traffic.lane[rows]:
        edge = traffic.lanes[int(k)].rsplit("_", 1)[0]
        if edge in streets.edges and (not found or found[-1] != edge):
            found.append(edge)
    return found


def _link(edge: Edge, following: str | None) -> Link | None:
    links = [link for lane in edge.drive for link in lane.links]
    fitting = [link for link in links if following is not None and link.to.rsplit("_", 1)[0] == following]
    return fitting[0] if fitting else next((k for k in links if k.movement == "straight"), links[0] if links else None)


def drive_scenes(
    recipe: SceneRecipe, index: int, name: str, streets: Streets, traffic: Traffic, trip: Trip, wish: Wish
) -> list[Scene]:
    """The frames of a trip. Obstacles stand beside its way, never on it."""

    def rng(purpose: str) -> np.random.Generator:
        return stream(recipe.digest, index, "drive " + purpose)

    where = environment(wish, rng("weather"))
    cameras = [_camera(recipe, wish, trip, k, rng("camera")) for k in range(len(trip.time))]
    sight = Sight(tuple(cameras[:: max(1, int(recipe.drives.rate_hz))]))
    way = _way(traffic, streets, trip)
    lit = [
        e
        for e in way
        if e in streets.edges and streets.edges[e].end in streets.junctions and streets.signalised(streets.edges[e].end)
    ]
    marked = wish.crossing
    stops = stop_lines(streets, False)
    zebras = frozenset(c.id for c in streets.crossings) if marked else frozenset()
    kind = streets.edges[way[0]].road_class
    ground = build(
        streets,
        sight.region(),
        rng("ground"),
        zebras=zebras,
        extra={},
        extra_width=3.5,
        ground_kind="plaza" if kind == "urban" else "grass",
        stops=stops,
    )
    style = draw_style(rng("style"))
    route = _route(streets, trip, way)
    near = sight.region().buffer(30)
    draft = Draft(
        streets,
        wish,
        sight,
        route,
        project(route, cameras[0].x, cameras[0].y)[0],
        streets.road.intersection(near),
        streets.paved.intersection(near),
        keep_m=1.3,
    )
    shapely.prepare(draft.road)
    shapely.prepare(draft.paved)
    _obstacles(draft, recipe, index, wish, length(np.column_stack([trip.x, trip.y])), rng)
    parked(draft, streets, recipe.traffic.parked, rng("parked"))
    bystanders(draft, rng("people"))
    line_streets(draft, draw_theme(kind, rng("theme")), where, rng("surroundings"))
    frames = []
    for k, camera in enumerate(cameras):
        time = float(trip.time[k])
        signals = _signals(streets, traffic, time, lit, way, style, rng("signals"), stops)
        eye = Sight((camera,))
        things = [
            t
            for t in draft.things
            if eye.sees(t.x, t.y, max(t.length, t.width) / 2, 600.0 if t.kind == "hill" else 130.0)
        ]
        things += _others(recipe, traffic, time, eye, where, trip, draft.things)
        frames.append(
            Scene(
                id=f"{name}-drive{index:05d}-{k:04d}",
                index=index,
                recipe=recipe.digest,
                network=name,
                seed=seed32(rng(f"scene {k}")),
                camera=camera,
                environment=where,
                facts=_facts(streets, traffic, trip, k, way, ground, marked, camera),
                left_hand=streets.left_hand,
                surfaces=tuple(ground.surfaces),
                markings=tuple(ground.markings),
                things=tuple(things),
                signals=tuple(s for s in signals if eye.sees(s.x, s.y, 3.0)),
                lamps=tuple(draft.lamps),
                drive=f"{name}-drive{index:05d}",
                assets=dict(recipe.assets),
            )
        )
    return frames


def _obstacles(
    draft: Draft, recipe: SceneRecipe, index: int, wish: Wish, driven: float, rng: Callable[[str], np.random.Generator]
) -> None:
    """Obstacles along the way, drawn anew for every stretch of STRETCH_M that is driven."""
    start = draft.start_m
    for stretch in range(1 + int(driven // STRETCH_M)):
        draft.start_m = start + stretch * STRETCH_M
        wanted = draw_obstacles(recipe, index, f" of stretch {stretch}") if stretch else wish.obstacles
        for number, obstacle in enumerate(wanted):
            again = wanted[:number].count(obstacle)
            for attempt in range(4):
                purpose = f"obstacle {obstacle} {attempt}{f' of {again}' if again else ''}"
                if MAKERS[obstacle](draft, (12.0, 60.0), rng(f"{purpose} {stretch}" if stretch else purpose)):
                    break
    draft.start_m = start


def _camera(recipe: SceneRecipe, wish: Wish, trip: Trip, k: int, rng: np.random.Generator) -> Camera:
    """The same mounting in every frame: each frame draws it from a fresh generator of the same seed."""
    return mount(recipe.camera, wish.fov, float(trip.x[k]), float(trip.y[k]), float(trip.yaw[k]), rng)


def _route(streets: Streets, trip: Trip, way: list[str]) -> Line:
    """The driven line, then on along the lanes of the further edges."""
    line = np.column_stack([trip.x, trip.y])
    keep = np.concatenate([[True], np.hypot(*np.diff(line, axis=0).T) > 0.2])
    line = line[keep]
    last = next((e for e in reversed(trip.edges) if e in streets.edges), way[0])
    ahead = direction(float(trip.yaw[-1]))
    for edge in way[way.index(last) :] if last in way else []:
        shape = streets.edges[edge].drive[-1].drawn
        further = shape[(shape - line[-1]) @ ahead > 2.0] if edge == last else shape
        line = np.vstack([line, further])
    if len(line) < 2:
        line = np.vstack([line, line[-1] + ahead * 50])
    return np.asarray(line)


def _signals(
    streets: Streets,
    traffic: Traffic,
    time: float,
    lit: list[str],
    way: list[str],
    style: SignalStyle,
    rng: np.random.Generator,
    stops: dict[str, float],
) -> tuple[Signal, ...]:
    """Heads of every signalised junction on the way: the same places in every frame, states that follow the time."""
    made: list[Signal] = []
    for edge_id in lit:
        ego = streets.edges[edge_id]
        place = way.index(edge_id)
        link = _link(ego, way[place + 1] if place + 1 < len(way) else None)
        for edge in [
            ego,
            *sorted((e for e in streets.edges.values() if e.end == ego.end and e.id != ego.id), key=lambda e: e.id),
        ]:
            states = approach_states(traffic, edge, time)
            if not states:
                continue
            # One head a movement in every frame, so that ids and places stay when states change.
            moves = groups(edge, dict.fromkeys(states, "red"), link if edge is ego else None, True)
            shown = (
                states.get(link.movement, "red")
                if edge is ego and link is not None
                else states.get("straight", next(iter(states.values())))
            )
            moves = [replace(g, state=shown) for g in moves]
            made += heads(Approach(streets, edge, stops.get(edge.id, 0.6)), moves, style, rng)
    return numbered(made)


def _others(
    recipe: SceneRecipe, traffic: Traffic, time: float, eye: Sight, where: Environment, trip: Trip, fixed: list[Thing]
) -> list[Thing]:
    """The other vehicles, without any that stands in an obstacle."""
    blocked = [box(t.x, t.y, t.yaw, t.length, t.width) for t in fixed if t.on_road and "parked" not in t.state]
    found = []
    for thing in moving(recipe, traffic, time, eye, where):
        shape = box(thing.x, thing.y, thing.yaw, thing.length, thing.width)
        if thing.id != FIRST_ID["traffic"] + trip.who and not any(shape.intersects(b) for b in blocked):
            found.append(thing)
    return found


def _facts(
    streets: Streets, traffic: Traffic, trip: Trip, k: int, way: list[str], ground: Ground, marked: bool, camera: Camera
) -> Facts:
    """What is true of one frame."""
    here = next((e for e in trip.edges[k:] if e in streets.edges), way[-1])
    edge = streets.edges[here]
    place = way.index(here) if here in way else 0
    following = way[place + 1] if place + 1 < len(way) else None
    link = _link(edge, following)
    at_junction = edge.end in streets.junctions and streets.junctions[edge.end].arms > 2 and trip.edges[k] == here
    lane = edge.drive[
        min(range(len(edge.drive)), key=lambda j: abs(project(edge.drive[j].shape, camera.x, camera.y)[1]))
    ]
    left = length(lane.shape) - project(lane.shape, camera.x, camera.y)[0] - stop_back(streets, edge, False)
    crossing = own_crossings(streets, edge) if marked else []
    ids = tuple(ground.zebra_ids[c.id] for c in crossing if c.id in ground.zebra_ids)
    return Facts(
        road_class=edge.road_class,
        limit_kmh=edge.limit_kmh,
        junction_m=round(left, 2) if at_junction and left > 0 else None,
        junction_signalised=at_junction and streets.signalised(edge.end),
        junction_id=ground.junction_ids.get(edge.end, 0) if at_junction else 0,
        crossing_m=round(left + 0.6, 2) if ids and left > 0 else None,
        crossing_ids=ids,
        ego_movement=link.movement if link else "straight",
        ego_lane=edge.drive.index(lane),
        lanes=len(edge.drive),
        ego_speed_mps=round(float(trip.speed[k]), 3),
        ego_accel_mps2=round(float(trip.accel[k]), 3),
        ego_yaw_rate=round(turn(float(trip.yaw_rate[k])), 4),
        time_s=round(float(trip.time[k] - trip.time[0]), 3),
    )
