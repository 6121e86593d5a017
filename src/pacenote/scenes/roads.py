"""Net -> ground and paint: carriageways, junctions, sidewalks, islands, lines, stop lines, zebras, arrows, numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import shapely
from shapely.geometry import LineString, Polygon

from pacenote.scenes.geometry import Line, at, direction, left_of, length, lines, offset, part, points, polygons
from pacenote.scenes.scene import Marking, MarkingKind, Surface, SurfaceKind
from pacenote.scenes.seeds import chance, choice, seed32, uniform
from pacenote.scenes.streets import Crossing, Edge, Lane, Streets, band

SIDEWALK_Z = 0.15
Paints = Literal["white", "yellow", "red"]


@dataclass(frozen=True)
class Paint:
    """How this scene's roads are painted; drawn once a scene."""

    centre: Paints  # colour of the line between the directions
    centre_kind: str  # "double", "solid", "dashes" or "none"
    wear: float
    edge_lines: bool
    arrows: bool
    stop_m: float  # thickness of a stop line
    line_m: float


def draw_paint(rng: np.random.Generator) -> Paint:
    """One country's habits, with its own wear."""
    return Paint(
        centre=choice(rng, ("white", "yellow")),
        centre_kind=choice(rng, ("double", "solid", "solid", "dashes")),
        wear=float(rng.beta(1.5, 3.5)),
        edge_lines=chance(rng, 0.4),
        arrows=chance(rng, 0.7),
        stop_m=uniform(rng, 0.3, 0.5),
        line_m=uniform(rng, 0.10, 0.17),
    )


@dataclass
class Ground:
    """What `build` makes, with the ids by which other modules find things."""

    surfaces: list[Surface] = field(default_factory=list)
    markings: list[Marking] = field(default_factory=list)
    junction_ids: dict[str, int] = field(default_factory=dict)
    zebra_ids: dict[str, int] = field(default_factory=dict)


FIRST_SURFACE, FIRST_MARKING, FIRST_ZEBRA = 1, 2000, 1500


class Roads:
    """Builds the ground inside a region, with running ids."""

    def __init__(self, streets: Streets, region: Polygon, paint: Paint, rng: np.random.Generator) -> None:
        self.streets, self.region, self.paint, self.rng = streets, region, paint, rng
        self.ground = Ground()
        shapely.prepare(region)

    def surface(self, kind: SurfaceKind, shape: Polygon, z: float) -> int:
        """Add the part of a polygon inside the region; the id of its largest piece, 0 where none is left."""
        first = 0
        for piece in polygons(shape.intersection(self.region), 0.3):
            number = FIRST_SURFACE + len(self.ground.surfaces)
            outline = points(piece.exterior.coords[:-1])
            self.ground.surfaces.append(Surface(kind, outline, z, number, seed32(self.rng)))
            first = first or number
        return first

    def mark(
        self, kind: MarkingKind, line: Line, width: float, colour: Paints = "white", text: str = "", number: int = 0
    ) -> None:
        """Add paint; lines are clipped to the region, everything else is kept when it touches it."""
        if kind in ("line", "dashes"):
            pieces = lines(LineString(line).intersection(self.region), 0.5)
        else:
            pieces = [line] if self.region.intersects(LineString(line)) else []
        for piece in pieces:
            number_here = number or FIRST_MARKING + len(self.ground.markings)
            wear = float(np.clip(self.paint.wear + 0.1 * self.rng.standard_normal(), 0, 0.85))
            self.ground.markings.append(
                Marking(kind, points(piece), round(width, 3), colour, text, round(wear, 3), 0.002, number_here)
            )


def stop_back(streets: Streets, edge: Edge, zebra: bool) -> float:
    """Metres from the end of the lanes back to the stop line; a zebra painted on the lanes' own end needs room."""
    return 6.0 if zebra and not own_crossings(streets, edge) else 0.6


def stop_lines(streets: Streets, zebra: bool) -> dict[str, float]:
    """Edge -> `stop_back` of every approach to a junction where roads meet."""
    return {
        e.id: stop_back(streets, e, zebra)
        for e in streets.edges.values()
        if e.drive
        and e.end in streets.junctions
        and streets.junctions[e.end].arms > 2
        and any(lane.links for lane in e.drive)
    }


def own_crossings(streets: Streets, edge: Edge) -> list[Crossing]:
    """SUMO's crossings over this edge at its end."""
    return [c for c in streets.crossings if c.junction == edge.end and edge.id in c.edges]


def zebra_across(streets: Streets, edge: Edge, distance: float, wide: float) -> Line:
    """The axis of a crossing over a whole street, both directions, at a distance along the edge's first lane."""
    lanes = [lane for lane in edge.lanes if lane.kind != "sidewalk"]
    x, y, yaw = at(lanes[0].shape, distance)
    other = streets.edges.get(edge.opposite)
    facing = [lane for lane in other.lanes if lane.kind != "sidewalk"] if other else []
    across = left_of(yaw) * streets.kerb  # towards the centre of the street
    origin = np.array([x, y])
    near, far = [], []
    for lane in [*lanes, *facing]:
        s = LineString(lane.shape).project(shapely.Point(x, y))
        reach = (np.array(LineString(lane.shape).interpolate(s).coords[0]) - origin) @ across
        near.append(reach - lane.width / 2)
        far.append(reach + lane.width / 2)
    return np.array([origin + across * min(near), origin + across * max(far)])


def build(
    streets: Streets,
    region: Polygon,
    rng: np.random.Generator,
    *,
    zebras: frozenset[str],
    extra: dict[str, Line],
    extra_width: float,
    ground_kind: SurfaceKind,
    stops: dict[str, float],
) -> Ground:
    """Ground and paint inside a region.

    `zebras`: ids of SUMO's crossings to paint; `extra`: further zebras by name with their axes; `stops`: edges with a
    stop line and how far before the end of their lanes it lies.
    """
    paint = draw_paint(rng)
    roads = Roads(streets, region, paint, rng)
    ground = roads.ground
    far = region.buffer(250).envelope
    ground.surfaces.append(Surface(ground_kind, points(far.exterior.coords[:-1]), -0.08, FIRST_SURFACE, seed32(rng)))
    near = [e for e in streets.edges.values() if region.intersects(LineString(e.lanes[0].drawn).buffer(12))]
    for junction in streets.junctions.values():
        if region.intersects(junction.asphalt):
            kind: SurfaceKind = "junction" if junction.arms > 2 else "asphalt"
            number = roads.surface(kind, junction.asphalt, 0.001)
            if number and kind == "junction":
                ground.junction_ids[junction.id] = number
    for corner in streets.corners:
        roads.surface("sidewalk", corner, SIDEWALK_Z)
    road_kind: SurfaceKind = "concrete" if chance(rng, 0.12) else "asphalt"
    for edge in near:
        wheels = [lane for lane in edge.lanes if lane.kind != "sidewalk"]
        if wheels:
            roads.surface(road_kind, band(wheels), 0.0)
        for lane in edge.lanes:
            if lane.kind == "sidewalk":
                roads.surface("sidewalk", band([lane]), SIDEWALK_Z)
    for edge in near:
        _median(roads, edge)
        _lines(roads, edge, stops.get(edge.id))
    for k, crossing in enumerate(streets.crossings):
        if crossing.id in zebras and region.intersects(LineString(crossing.axis)):
            ground.zebra_ids[crossing.id] = FIRST_ZEBRA + k
            roads.mark("zebra", crossing.axis[[0, -1]], crossing.width, number=FIRST_ZEBRA + k)
    for k, (name, axis) in enumerate(sorted(extra.items())):
        ground.zebra_ids[name] = FIRST_ZEBRA + len(streets.crossings) + k
        roads.mark("zebra", axis, extra_width, number=ground.zebra_ids[name])
    return ground


def _median(roads: Roads, edge: Edge) -> None:
    """A kerb island where a gap lies between the directions."""
    other = roads.streets.edges.get(edge.opposite)
    if other is None or not edge.leads or not edge.drive or not other.drive:
        return
    inward = roads.streets.kerb
    mine = offset(edge.drive[-1].drawn, inward * edge.drive[-1].width / 2)
    theirs = offset(other.drive[-1].drawn, inward * other.drive[-1].width / 2)
    x, y, _ = at(mine, length(mine) / 2)
    apart = LineString(theirs).distance(shapely.Point(x, y))
    if not 0.6 < apart < 12.0:
        return
    strip = shapely.make_valid(
        Polygon(np.vstack([offset(mine, inward * 0.12), offset(mine, inward * (apart - 0.12))[::-1]]))
    )
    roads.surface("island", strip.difference(roads.streets.road), 0.12)


def _lines(roads: Roads, edge: Edge, stop: float | None) -> None:
    streets, paint = roads.streets, roads.paint
    drive = edge.drive
    if not drive:
        return
    inward = streets.kerb  # left in right-hand traffic
    fast = edge.road_class in ("motorway", "toll")
    end = length(drive[0].drawn)
    solid = 28.0 if stop is not None else 0.0
    cut = max(0.0, (stop or 0.0))
    for outer in drive[:-1]:  # between lanes of one direction
        if edge.road_class == "toll":
            continue
        line = offset(outer.drawn, inward * outer.width / 2)
        total = length(line)
        roads.mark("dashes", part(line, 0, total - cut - solid), paint.line_m)
        if solid:
            roads.mark("line", part(line, total - cut - solid, total - cut), paint.line_m)
    outer_edge = offset(drive[0].drawn, -inward * (drive[0].width / 2 - (0.1 if fast else 0.25)))
    if fast or paint.edge_lines:
        roads.mark("line", part(outer_edge, 0, end - cut), paint.line_m)
    inner_edge = offset(drive[-1].drawn, inward * drive[-1].width / 2)
    other = streets.edges.get(edge.opposite)
    if other is None:
        roads.mark(
            "line",
            offset(drive[-1].drawn, inward * (drive[-1].width / 2 - 0.15)),
            paint.line_m,
            "yellow" if paint.centre == "yellow" else "white",
        )
    elif edge.leads or not other.drive:
        _centre(roads, edge, inner_edge, cut)
    if stop is not None:
        _stop_line(roads, edge, stop)
        if paint.arrows and (len(drive) > 1 or chance(roads.rng, 0.2)):
            for lane in drive:
                _arrows(roads, lane, stop)


def _centre(roads: Roads, edge: Edge, line: Line, cut: float) -> None:
    paint = roads.paint
    line = part(line, 0.3, length(line) - max(cut, 0.3))
    kind = paint.centre_kind
    if edge.road_class == "residential":
        kind = {"double": "dashes", "solid": "none"}.get(kind, kind)
    if len(edge.drive) > 1 and kind == "dashes":
        kind = "double"
    if kind == "double":
        for shift in (-0.13, 0.13):
            roads.mark("line", offset(line, shift), 0.12, paint.centre)
    elif kind == "solid":
        roads.mark("line", line, paint.line_m, paint.centre)
    elif kind == "dashes":
        roads.mark("dashes", line, paint.line_m, paint.centre)


def stop_line(streets: Streets, edge: Edge, back: float) -> Line:
    """The ends of the stop line over all lanes for cars, kerb side first."""
    inward = streets.kerb
    ends = []
    for lane, sign in ((edge.drive[0], -1.0), (edge.drive[-1], 1.0)):
        x, y, yaw = at(lane.shape, length(lane.shape) - back)
        ends.append(np.array([x, y]) + left_of(yaw) * inward * sign * (lane.width / 2 - 0.08))
    return np.array(ends)


def _stop_line(roads: Roads, edge: Edge, back: float) -> None:
    roads.mark("stop_line", stop_line(roads.streets, edge, back), roads.paint.stop_m)


def _arrows(roads: Roads, lane: Lane, stop: float) -> None:
    order = ("straight", "left", "right")
    ways = [m for m in order if any(link.movement == m for link in lane.links)]
    if not ways:
        return
    for back in (stop + 7.0, stop + 24.0):
        if length(lane.shape) > back + 8:
            x, y, yaw = at(lane.shape, length(lane.shape) - back)
            tip = np.array([x, y]) + direction(yaw)
            roads.mark("arrow", np.array([[x, y], tip]), 1.2, text="+".join(ways))


def painted_number(x: float, y: float, yaw: float, limit: int, number: int, wear: float) -> Marking:
    """A limit painted on the lane, read by a driver who comes along `yaw`."""
    tip = (x + math.cos(yaw), y + math.sin(yaw))
    return Marking("number", points([(x, y), tip]), 1.5, "white", str(limit), wear, 0.002, number)
