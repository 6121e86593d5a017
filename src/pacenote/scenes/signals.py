"""Signal heads of a junction: where they hang, what they show, whom they concern.

Roles: "ego" controls ego's own link; "other" is the same approach, another movement; "cross" another approach (or
another lane of a toll plaza); "distractor" is no vehicle signal of ego's way (pedestrian heads).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import shapely
from shapely.geometry import LineString, Point

from pacenote.scenes.geometry import Line, at, direction, left_of, length
from pacenote.scenes.moment import approach_states
from pacenote.scenes.scene import LightState, Movement, Role, Signal
from pacenote.scenes.seeds import chance, choice, pick, uniform
from pacenote.scenes.streets import Crossing, Edge, Link, Streets
from pacenote.scenes.traffic import Traffic

FIRST_SIGNAL = 20000
Mount = Literal["pole", "mast", "wire", "roof"]
Layout = Literal["vertical", "horizontal", "single"]
Housing = Literal["black", "yellow", "grey"]
Add = Callable[["Group", Line, float, Line, Mount, Layout], None]


@dataclass(frozen=True)
class SignalStyle:
    """One country's habits; drawn once a scene."""

    primary: str  # far_mast, far_pole, near_pole, near_mast, wire
    second: str  # "", near_pole or far_pole
    layout: Layout
    lens_m: float
    housing: Housing
    backplate: bool
    height_m: float  # of heads over the road
    low_m: float  # of heads on poles


def draw_style(rng: np.random.Generator, near: bool = False, large: bool = False) -> SignalStyle:
    """A style; `near` asks for heads by the stop line, so that they look large, `large` for 300 mm lenses."""
    primary = pick(rng, {"far_mast": 0.42, "far_pole": 0.12, "near_pole": 0.15, "near_mast": 0.14, "wire": 0.17})
    if near and not primary.startswith("near"):
        primary = choice(rng, ("near_pole", "near_mast"))
    over = primary.endswith("mast") or primary == "wire"
    return SignalStyle(
        primary=primary,
        second=pick(rng, {"": 0.56, "near_pole": 0.24, "far_pole": 0.2}),
        layout="horizontal" if over and chance(rng, 0.3) else "vertical",
        lens_m=0.3 if chance(rng, 0.72) or large else 0.2,
        housing=pick(rng, {"black": 0.6, "yellow": 0.25, "grey": 0.15}),
        backplate=chance(rng, 0.3),
        height_m=uniform(rng, 5.0, 6.3),
        low_m=uniform(rng, 2.5, 3.6),
    )


@dataclass(frozen=True)
class Group:
    """Links of an approach that share a state and a head."""

    movement: Movement
    state: LightState
    arrow: bool
    role: Role
    lanes: tuple[int, ...]  # indices among the approach's lanes for cars


def groups(edge: Edge, states: dict[str, LightState], link: Link | None, balls: bool) -> list[Group]:
    """Heads an approach needs. When all its movements show the same, one kind of plain head; else one a state, with
    arrows (`balls`: the group that goes straight keeps round lenses)."""
    if not states:
        return []
    mine = link.movement if link is not None else ""
    everywhere = tuple(range(len(edge.drive)))
    if len(set(states.values())) == 1:
        return [Group("any", next(iter(states.values())), False, "ego" if link else "cross", everywhere)]
    found = []
    for state in sorted(set(states.values())):
        moves = [m for m in ("straight", "left", "right") if states.get(m) == state]
        name = mine if mine in moves else moves[0]
        lanes = tuple(k for k, lane in enumerate(edge.drive) if any(way.movement in moves for way in lane.links))
        arrow = not (balls and "straight" in moves)
        role: Role = "cross" if link is None else "ego" if mine in moves else "other"
        found.append(Group(name, state, arrow, role, lanes or everywhere))  # type: ignore[arg-type]
    return found


class Approach:
    """The measures of one approach to a junction: its axes, stop line, depth, kerbs."""

    def __init__(self, streets: Streets, edge: Edge, stop_m: float) -> None:
        self.streets, self.edge = streets, edge
        first, last = edge.drive[0], edge.drive[-1]
        ends = [np.array(at(lane.shape, length(lane.shape))[:2]) for lane in edge.drive]
        self.yaw = at(first.shape, length(first.shape))[2]
        self.u = direction(self.yaw)
        self.k = -left_of(self.yaw) * streets.kerb  # towards the kerb
        self.middle = (ends[0] + ends[-1]) / 2
        self.lane_ends = ends
        kerbside = next((lane for lane in edge.lanes if lane.kind != "sidewalk"), first)
        self.kerb = np.array(at(kerbside.shape, length(kerbside.shape))[:2]) + self.k * kerbside.width / 2
        self.centre = ends[-1] - self.k * last.width / 2
        self.stop_m = stop_m
        asphalt = streets.junctions[edge.end].asphalt
        ray = LineString([self.middle - self.u * 1.0, self.middle + self.u * 60.0]).intersection(asphalt)
        self.depth = max(
            (float((np.array(p) - self.middle) @ self.u) for p in shapely.get_coordinates(ray)), default=12.0
        )
        self.depth = min(max(self.depth, 6.0), 45.0)
        self.far_kerb = self._far_kerb()

    def _far_kerb(self) -> Line:
        for lane in self.edge.drive:
            for link in lane.links:
                if link.movement == "straight":
                    onward = self.streets.edges[self.streets.lanes[link.to].edge]
                    wheels = next((x for x in onward.lanes if x.kind != "sidewalk"), onward.lanes[0])
                    x, y, yaw = at(wheels.shape, 0.0)
                    return np.array([x, y]) - left_of(yaw) * self.streets.kerb * wheels.width / 2 + direction(yaw) * 1.5
        return self.middle + self.u * (self.depth + 1.2) + self.k * 2.0

    def foot(self, start: Line) -> Line:
        """The nearest place off the carriageway, going out from a kerb."""
        for step in (0.6, 1.2, 2.0, 3.0, 4.5, 6.5, 9.0):
            spot = start + self.k * step
            if not self.streets.road.intersects(Point(spot).buffer(0.3)):
                return spot
        return start + self.k * 9.0


def _head(
    spot: Line,
    z: float,
    yaw: float,
    state: LightState,
    role: Role,
    style: SignalStyle,
    mount: Mount,
    foot: Line,
    layout: Layout,
) -> Signal:
    """One head without a movement; its ids are still 0."""
    x, y = float(spot[0]), float(spot[1])
    at_foot = (float(foot[0]), float(foot[1]))
    return Signal(
        0, 0, x, y, z, yaw, state, role=role, lens_m=style.lens_m, layout=layout, mount=mount, foot=at_foot,
        housing=style.housing, backplate=style.backplate,
    )  # fmt: skip


def heads(approach: Approach, found: list[Group], style: SignalStyle, rng: np.random.Generator) -> list[Signal]:
    """The heads of one approach, ids still 0."""
    made: list[Signal] = []

    def add(group: Group, spot: Line, z: float, foot: Line, mount: Mount, layout: Layout) -> None:
        lean = approach.yaw + math.pi + float(rng.normal(0, 0.05))
        head = _head(spot, z, lean, group.state, group.role, style, mount, foot, layout)
        made.append(replace(head, movement=group.movement, arrow=group.arrow))

    near_foot = approach.foot(approach.kerb - approach.u * approach.stop_m + approach.u * uniform(rng, 0.2, 1.5))
    far_foot = approach.foot(approach.far_kerb)
    for which in (style.primary, style.second):
        if which == "near_pole":
            _stack(add, found, near_foot, style.low_m, -approach.k)
            if chance(rng, 0.25) and approach.edge.opposite == "":
                _stack(add, found, approach.foot(approach.centre), style.low_m, -approach.k)
        elif which == "far_pole":
            _stack(add, found, far_foot, style.low_m + 0.6, -approach.k)
        elif which in ("far_mast", "near_mast", "wire"):
            ahead = {"far_mast": approach.depth + 1.0, "near_mast": 1.2, "wire": approach.depth * 0.6}[which]
            foot = near_foot if which == "near_mast" else far_foot
            for group in found:
                lanes = (
                    group.lanes if len(found) > 1 or chance(rng, 0.4) else group.lanes[:: max(1, len(group.lanes) - 1)]
                )
                for lane in lanes:
                    spot = approach.lane_ends[lane] + approach.u * (
                        ahead - (approach.stop_m if which == "near_mast" else 0)
                    )
                    if which == "wire":
                        foot = _wire_foot(approach, spot)
                    if len(found) > 1 and sum(lane in other.lanes for other in found) > 1:
                        spot = spot + approach.k * (0.6 if group.movement != "left" else -0.6) * approach.streets.kerb
                    mount: Mount = "wire" if which == "wire" else "mast"
                    add(group, spot, style.height_m, foot, mount, style.layout)
    return made


def _wire_foot(approach: Approach, spot: Line) -> Line:
    """Where the pole of a span wire stands so that it and its fellow at the other end are both off the carriageway."""
    road = approach.streets.road
    for reach in np.arange(6.0, 34.0, 2.0):
        ends = [Point(spot + approach.k * reach * sign).buffer(0.3) for sign in (1, -1)]
        if not any(road.intersects(end) for end in ends):
            return np.asarray(spot + approach.k * reach)
    return np.asarray(spot + approach.k * 16.0)


def _stack(add: Add, found: list[Group], foot: Line, z: float, inward: Line) -> None:
    """Heads side by side on one pole."""
    for k, group in enumerate(
        sorted(found, key=lambda g: {"left": 0, "straight": 1, "any": 1, "right": 2}[g.movement])
    ):
        add(group, foot + inward * (0.25 + 0.45 * (len(found) - 1 - k)), z, foot, "pole", "vertical")


def junction_signals(
    streets: Streets,
    traffic: Traffic,
    time: float,
    ego: Edge,
    link: Link,
    states: dict[str, LightState],
    style: SignalStyle,
    rng: np.random.Generator,
    stops: dict[str, float],
    zebras: frozenset[str],
) -> list[Signal]:
    """All heads of ego's junction: its own approach first, then the others, then pedestrian heads."""
    balls = chance(rng, 0.4)
    made = heads(Approach(streets, ego, stops[ego.id]), groups(ego, states, link, balls), style, rng)
    off = set(states.values()) == {"off"}
    for edge in sorted(streets.edges.values(), key=lambda e: e.id):
        if edge.end == ego.end and edge.id != ego.id and any(lane.links for lane in edge.drive):
            theirs = approach_states(traffic, edge, time)
            if off:
                theirs = dict.fromkeys(theirs, "off")
            made += heads(
                Approach(streets, edge, stops.get(edge.id, 0.6)), groups(edge, theirs, None, balls), style, rng
            )
    for crossing in streets.crossings:
        if crossing.junction == ego.end and crossing.id in zebras:
            made += pedestrian_heads(crossing, "off" if off else choice(rng, ("red", "red", "green")), rng)
    return made


def pedestrian_heads(crossing: Crossing, state: LightState, rng: np.random.Generator) -> list[Signal]:
    """A head at either end, facing those who wait across."""
    made = []
    a, b = crossing.axis[0], crossing.axis[-1]
    out = (b - a) / max(float(np.hypot(*(b - a))), 1e-6)
    side = np.array([-out[1], out[0]]) * (crossing.width / 2 + 0.4)
    for spot, towards in ((a - out * 0.6 + side, 1.0), (b + out * 0.6 + side, -1.0)):
        yaw = math.atan2(out[1] * towards, out[0] * towards)
        made.append(
            Signal(
                0,
                0,
                float(spot[0]),
                float(spot[1]),
                uniform(rng, 2.1, 2.6),
                yaw,
                state,
                "any",
                "junction",
                "distractor",
                0.2,
                "vertical",
                False,
                "pole",
                (float(spot[0]), float(spot[1])),
                "black",
                False,
            )
        )
    return made


def midblock_signals(
    zebra_m: float,
    yaw: float,
    kerb: Line,
    centre: Line,
    facing_kerb: Line,
    state: LightState,
    style: SignalStyle,
    rng: np.random.Generator,
) -> list[Signal]:
    """Heads of a signal between junctions: by the stop line, on an arm over it, or beyond the crossing; both ways."""
    u = direction(yaw)
    towards_kerb = (kerb - centre) / max(float(np.hypot(*(kerb - centre))), 1e-6)
    ahead = 0.8 if style.primary.startswith("near") else zebra_m + uniform(rng, 1.5, 6.0)
    over = style.primary.endswith("mast") or style.primary == "wire"
    made: list[Signal] = []
    ways: tuple[tuple[float, Line, Role], ...] = ((1.0, kerb, "ego"), (-1.0, facing_kerb, "cross"))
    for sign, start, role in ways:
        face = yaw + math.pi if sign > 0 else yaw
        origin = start + u * (ahead if sign > 0 else zebra_m - ahead)
        foot = origin + towards_kerb * sign * uniform(rng, 0.7, 1.3)
        spots: list[tuple[Line, float, Mount, Layout]] = [
            (foot - towards_kerb * sign * 0.25, style.low_m, "pole", "vertical")
        ]
        if over:
            reach = float(np.hypot(*(kerb - centre)))
            arm: list[tuple[Line, float, Mount, Layout]] = [
                (foot - towards_kerb * sign * (reach * f + 0.5), style.height_m, "mast", style.layout)
                for f in (0.35, 0.75)
            ]
            spots = arm[: 1 + chance(rng, 0.6)] + (spots if chance(rng, 0.4) else [])
        for spot, z, mount, layout in spots:
            turned = face + float(rng.normal(0, 0.05))
            made.append(_head(spot, z, turned, state, role, style, mount, foot, layout))
    return made


def numbered(made: list[Signal]) -> tuple[Signal, ...]:
    """The same heads with their ids: housing 20000, lens 20001, the next 20002, ..."""
    return tuple(
        replace(
            s,
            id=FIRST_SIGNAL + 2 * k,
            lens_id=FIRST_SIGNAL + 2 * k + 1,
            x=round(s.x, 3),
            y=round(s.y, 3),
            z=round(s.z, 3),
            yaw=round(s.yaw, 4),
            foot=(round(s.foot[0], 3), round(s.foot[1], 3)),
        )
        for k, s in enumerate(made)
    )
