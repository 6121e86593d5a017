"""A loaded road network: the lanes, links, junctions and crossings of a `.net.xml`, as plain data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import shapely
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union

from pacenote.errors import InputError
from pacenote.scenes.geometry import Line, at, direction, length, offset
from pacenote.scenes.scene import Movement, RoadClass

LaneKind = Literal["drive", "sidewalk", "parking", "shoulder"]
BEYOND_M = 260.0  # a road that ends at the network's fringe is drawn on for this long
MOVEMENTS: dict[str, Movement] = {"s": "straight", "l": "left", "L": "left", "r": "right", "R": "right"}


@dataclass(frozen=True)
class Link:
    """A way on from a lane: over the junction's inner lanes `via` to the lane `to`, under signal `tls`[`index`]."""

    to: str
    via: tuple[str, ...]
    movement: Movement
    tls: str
    index: int


@dataclass(frozen=True)
class Lane:
    """`shape` is the centreline as SUMO has it; `drawn` is the same, prolonged where the road leaves the network.
    `path` is the way that leads to its end: `drawn`, after the lane before it where a street is split for turn lanes;
    `lead` is how much longer than `shape` it is at its start."""

    id: str
    edge: str
    kind: LaneKind
    shape: Line
    drawn: Line
    width: float
    links: tuple[Link, ...] = ()
    path: Line = field(default_factory=lambda: np.zeros((0, 2)))
    lead: float = 0.0


@dataclass(frozen=True)
class Edge:
    """One direction of a street, or a piece of it where turn lanes begin; `lanes` from the kerb (index 0) inwards.

    `start`, `end`: nodes of this piece; `first`, `last`: of the whole street. `remaining`: metres of street after this
    piece. `leads`: this direction draws what both share. `opposite`: the facing piece, "" on a one-way road."""

    id: str
    start: str
    end: str
    first: str
    last: str
    remaining: float
    leads: bool
    road_class: RoadClass
    limit_kmh: int
    lanes: tuple[Lane, ...]
    opposite: str = ""

    @property
    def drive(self) -> tuple[Lane, ...]:
        """Its lanes for cars."""
        return tuple(lane for lane in self.lanes if lane.kind == "drive")


@dataclass(frozen=True)
class Crossing:
    """A place to cross the carriageway: the axis a pedestrian walks, its width, the edges crossed, the junction."""

    id: str
    axis: Line
    width: float
    edges: tuple[str, ...]
    junction: str


@dataclass(frozen=True)
class Junction:
    """`arms`: streets that meet here. `asphalt`: its carriageway, sidewalk corners cut out."""

    id: str
    x: float
    y: float
    type: str
    arms: int
    asphalt: Polygon


@dataclass(frozen=True)
class Streets:
    """The network. `road` is all its carriageway, `paved` the sidewalks too."""

    path: Path
    left_hand: bool
    edges: dict[str, Edge]
    lanes: dict[str, Lane]
    inner: dict[str, Line]
    junctions: dict[str, Junction]
    crossings: tuple[Crossing, ...]
    corners: tuple[Polygon, ...]
    phases: dict[str, tuple[tuple[float, str], ...]]
    road: BaseGeometry
    paved: BaseGeometry

    @property
    def kerb(self) -> float:
        """+1 where the kerb of a lane lies to its right, -1 in left-hand traffic."""
        return -1.0 if self.left_hand else 1.0

    def signalised(self, junction: str) -> bool:
        """Whether lights control the junction."""
        return self.junctions[junction].type.startswith("traffic_light") and self.junctions[junction].arms > 2


def _lane_kind(lane: Any, road_class: str) -> LaneKind:
    if lane.allows("passenger"):
        return "drive"
    if lane.allows("pedestrian") and not lane.allows("emergency"):
        return "sidewalk"
    return "shoulder" if road_class in ("motorway", "toll", "arterial") else "parking"


def _road_class(kind: str, limit_kmh: float, lanes: int) -> RoadClass:
    if kind in ("motorway", "arterial", "urban", "residential", "toll"):
        return kind  # type: ignore[return-value]
    if "motorway" in kind or "trunk" in kind or limit_kmh >= 90:
        return "motorway"
    if "residential" in kind or "living" in kind or limit_kmh <= 30:
        return "residential"
    return "arterial" if "primary" in kind or limit_kmh >= 60 or lanes > 2 else "urban"


def _band(edge_lanes: list[Lane], drawn: bool = True) -> Polygon:
    """The ground that neighbouring lanes cover."""

    def line(lane: Lane, sign: float) -> Line:
        return offset(lane.drawn if drawn else lane.shape, sign * lane.width / 2)

    first, last = edge_lanes[0], edge_lanes[-1]
    middle = first.shape[len(first.shape) // 2] - last.shape[len(last.shape) // 2]
    yaw = at(first.shape, length(first.shape) / 2)[2]
    sign = 1.0 if middle @ np.array([-math.sin(yaw), math.cos(yaw)]) > 0 else -1.0  # first lies to the left of last
    return shapely.make_valid(Polygon(np.vstack([line(first, sign), line(last, -sign)[::-1]])))


def band(lanes: list[Lane]) -> Polygon:
    """The ground that neighbouring lanes of one edge cover, prolonged at the fringe."""
    return _band(lanes)


def _prolong(shape: Line, before: bool, after: bool) -> Line:
    line = shape
    if after:
        x, y, yaw = at(line, length(line))
        line = np.vstack([line, np.array([x, y]) + direction(yaw) * BEYOND_M])
    if before:
        x, y, yaw = at(line, 0.0)
        line = np.vstack([np.array([x, y]) - direction(yaw) * BEYOND_M, line])
    return line


@lru_cache(maxsize=3)
def load_streets(path: Path) -> Streets:
    """Read a network. InputError where it has no lane for cars."""
    import sumolib

    try:
        net = sumolib.net.readNet(str(path), withInternal=True, withPrograms=True)
    except Exception as error:  # noqa: BLE001 - sumolib raises whatever its XML parser does
        raise InputError(f"{path}: not a SUMO network ({error}); make it with netconvert") from None
    head = path.open(encoding="utf-8", errors="replace").read(200000)
    left_hand = 'lefthand="true"' in head
    raw = [e for e in net.getEdges() if e.getFunction() == "" and not e.getID().startswith(":")]
    inner = {
        lane.getID(): np.array(lane.getShape(), float)[:, :2]
        for e in net.getEdges()
        if e.getFunction() == "internal"
        for lane in e.getLanes()
    }
    ends = _street_ends(raw)
    neighbours: dict[str, set[str]] = {}
    for a, b, _ in ends.values():
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)
    edges: dict[str, Edge] = {}
    lanes: dict[str, Lane] = {}
    for e in raw:
        first, last, remaining = ends[e.getID()]
        start, end = e.getFromNode().getID(), e.getToNode().getID()
        before = len(neighbours[first]) < 2 and start == first
        after = len(neighbours[last]) < 2 and end == last
        limit = int(5 * round(e.getSpeed() * 3.6 / 5))
        road_class = _road_class(e.getType() or "", limit, len(e.getLanes()))
        made = []
        for lane in e.getLanes():
            shape = np.array(lane.getShape(), float)[:, :2]
            links = []
            for c in lane.getOutgoing():
                movement = MOVEMENTS.get(c.getDirection())
                via, chain = c.getViaLaneID(), []
                while via and via in inner and via not in chain:
                    chain.append(via)
                    onward = [o.getViaLaneID() for o in net.getLane(via).getOutgoing()]
                    via = onward[0] if onward else ""
                if movement is not None and c.getToLane().allows("passenger"):
                    links.append(
                        Link(c.getToLane().getID(), tuple(chain), movement, c.getTLSID() or "", c.getTLLinkIndex())
                    )
            drawn = _prolong(shape, before, after)
            lead = BEYOND_M if before else 0.0
            one = Lane(
                lane.getID(),
                e.getID(),
                _lane_kind(lane, road_class),
                shape,
                drawn,
                lane.getWidth(),
                tuple(links),
                drawn,
                lead,
            )
            made.append(one)
            lanes[one.id] = one
        back = [o for o in raw if ends[o.getID()][:2] == (last, first)]
        middle = np.array(at(made[-1].shape, length(made[-1].shape) / 2)[:2])
        facing = min(back, key=lambda o: (round(_apart(o, middle), 1), o.getID())).getID() if back else ""
        leads = not back or first < last
        edges[e.getID()] = Edge(
            e.getID(), start, end, first, last, remaining, leads, road_class, limit, tuple(made), facing
        )
    _join_split(edges, lanes)
    if not any(lane.kind == "drive" for lane in lanes.values()):
        raise InputError(f"{path}: the network has no lane for cars; import a map with streets")
    crossings, corners = [], []
    for e in net.getEdges():
        node = e.getFromNode()
        if e.getFunction() == "crossing":
            lane = e.getLane(0)
            axis = np.array(lane.getShape(), float)[:, :2]
            crossings.append(
                Crossing(
                    e.getID(),
                    axis,
                    lane.getWidth(),
                    tuple(crossed.getID() for crossed in e.getCrossingEdges()),
                    node.getID() if node else _node(e.getID()),
                )
            )
        elif e.getFunction() == "walkingarea":
            ring = np.array(e.getLane(0).getShape(), float)[:, :2]
            if len(ring) > 3:
                corners.append(shapely.make_valid(Polygon(ring)))
    walked = unary_union([*corners, *(_band([lane], False) for lane in lanes.values() if lane.kind == "sidewalk")])
    junctions = {}
    pieces = {e.start for e in edges.values()}
    for node in net.getNodes():
        shape = np.array([p[:2] for p in node.getShape()] or np.zeros((0, 2)), float)
        if len(shape) > 2 and (node.getID() in neighbours or node.getID() in pieces):
            ground = shapely.make_valid(Polygon(shape)).buffer(0.02).difference(walked)
            parts = sorted(getattr(ground, "geoms", [ground]), key=lambda p: -p.area)
            x, y = node.getCoord()[:2]
            if parts and isinstance(parts[0], Polygon) and parts[0].area > 1:
                junctions[node.getID()] = Junction(
                    node.getID(),
                    x,
                    y,
                    node.getType(),
                    len(neighbours.get(node.getID(), "ab")),
                    Polygon(parts[0].exterior),
                )
    # per edge, neighbouring carriageway lanes as one band
    bands = [
        _band([lane for lane in e.lanes if lane.kind != "sidewalk"])
        for e in edges.values()
        if any(lane.kind != "sidewalk" for lane in e.lanes)
    ]
    road = unary_union([*bands, *(j.asphalt for j in junctions.values())])
    walks = [_band([lane]) for lane in lanes.values() if lane.kind == "sidewalk"]
    phases = {}
    for tls in net.getTrafficLights():
        program = next(iter(tls.getPrograms().values()))
        phases[tls.getID()] = tuple((float(p.duration), str(p.state)) for p in program.getPhases())
    return Streets(
        path,
        left_hand,
        edges,
        lanes,
        inner,
        junctions,
        tuple(crossings),
        tuple(corners),
        phases,
        road,
        unary_union([road, *walks, *corners]),
    )


def _apart(edge: Any, point: Line) -> float:
    return float(np.hypot(*(np.array(edge.getLanes()[-1].getShape(), float)[:, :2] - point).T).min())


def _heading(edge: Any, end: int) -> Line:
    """Unit vector along an edge at its start (0) or its end (-1)."""
    line = np.array(edge.getShape(), float)[:, :2]
    step = line[1] - line[0] if end == 0 else line[-1] - line[-2]
    return np.asarray(step / max(float(np.hypot(*step)), 1e-9))


def _street_ends(raw: list[Any]) -> dict[str, tuple[str, str, float]]:
    """For each edge the first and last node of its street and the metres after it. A node with two neighbours at most,
    over which the road goes on without a turn of more than a right angle, only splits a street."""
    into: dict[str, list[Any]] = {}
    out: dict[str, list[Any]] = {}
    for e in raw:
        out.setdefault(e.getFromNode().getID(), []).append(e)
        into.setdefault(e.getToNode().getID(), []).append(e)

    def neighbours(node: str) -> set[str]:
        return {e.getFromNode().getID() for e in into.get(node, [])} | {
            e.getToNode().getID() for e in out.get(node, [])
        }

    def onward(e: Any) -> Any:
        node, back = e.getToNode().getID(), e.getFromNode().getID()
        ways = [o for o in out.get(node, []) if o.getToNode().getID() != back and _heading(e, -1) @ _heading(o, 0) > 0]
        return ways[0] if len(ways) == 1 and len(neighbours(node)) <= 2 else None

    after = {e.getID(): onward(e) for e in raw}
    before = {following.getID(): e for e in raw if (following := after[e.getID()]) is not None}
    found = {}
    for e in raw:
        first, last, remaining, seen = e, e, 0.0, {e.getID()}
        while first.getID() in before and before[first.getID()].getID() not in seen:
            first = before[first.getID()]
            seen.add(first.getID())
        while (following := after[last.getID()]) is not None and following.getID() not in seen:
            last = following
            seen.add(last.getID())
            remaining += last.getLength()
        found[e.getID()] = (first.getFromNode().getID(), last.getToNode().getID(), remaining)
    return found


def _join_split(edges: dict[str, Edge], lanes: dict[str, Lane]) -> None:
    """Give the lanes of a later piece of a street the way that leads to them."""
    for edge in edges.values():
        if edge.start == edge.first:
            continue
        before = next((e for e in edges.values() if e.end == edge.start), None)
        if before is None or not before.drive:
            continue
        joined = []
        for lane in edge.lanes:
            source = next((k for k in before.lanes if any(link.to == lane.id for link in k.links)), before.drive[-1])
            if lane.kind == "drive":
                path = np.vstack([source.drawn, lane.drawn])
                lane = replace(lane, path=path, lead=length(path) - length(lane.drawn))
                lanes[lane.id] = lane
            joined.append(lane)
        edges[edge.id] = replace(edge, lanes=tuple(joined))


def _node(crossing: str) -> str:
    """The junction of an inner edge: ":NODE_c0" -> NODE."""
    return crossing[1:].rsplit("_", 1)[0]


def route_line(streets: Streets, lane: Lane, link: Link | None, more: int = 3) -> Line:
    """The middle of ego's way: its lane, over the junction, on for up to `more` further edges, straight if it can."""
    pieces = [lane.path]
    seen = {lane.edge}
    while link is not None:
        pieces += [streets.inner[v] for v in link.via] + [streets.lanes[link.to].shape]
        here = streets.lanes[link.to]
        seen.add(here.edge)
        more -= 1
        onward = [k for k in here.links if streets.lanes[k.to].edge not in seen]
        link = (
            next((k for k in onward if k.movement == "straight"), onward[0] if onward else None) if more > 0 else None
        )
    whole = np.vstack(pieces)
    keep = np.concatenate([[True], np.hypot(*np.diff(whole, axis=0).T) > 0.05])
    return whole[keep]
