"""The scene while it is being made: what stands where, which ids are taken, what the camera can see."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import shapely
from shapely.geometry import Point, Polygon
from shapely.geometry.base import BaseGeometry

from pacenote.scenes.geometry import Line, box, turn
from pacenote.scenes.scene import Camera, Colour, Lamp, Thing, ThingKind
from pacenote.scenes.streets import Streets
from pacenote.scenes.wish import Wish

AHEAD_M, BEHIND_M = 130.0, 15.0
FIRST_ID = {"traffic": 3000, "people": 6000, "obstacle": 7000, "sign": 8000, "static": 10000}

PAINTS: tuple[Colour, ...] = (
    (0.75, 0.75, 0.74),
    (0.02, 0.02, 0.025),
    (0.30, 0.31, 0.33),
    (0.10, 0.10, 0.11),
    (0.42, 0.02, 0.02),
    (0.02, 0.05, 0.22),
    (0.55, 0.53, 0.48),
    (0.04, 0.12, 0.07),
    (0.60, 0.16, 0.02),
    (0.55, 0.38, 0.02),
    (0.16, 0.22, 0.32),
    (0.20, 0.09, 0.04),
)
_SHARES = np.cumsum(np.array([5, 4, 4, 3, 2, 2, 2, 1, 1, 1, 1.5, 1.0]) / 27.5)


def paint(rng: np.random.Generator) -> Colour:
    """A car colour: mostly white, black and greys, some red and orange ones that a cone could be taken for."""
    base = PAINTS[int(np.searchsorted(_SHARES, rng.random()))]
    return tuple(round(min(c * float(f), 1.0), 3) for c, f in zip(base, rng.uniform(0.8, 1.2, 3), strict=True))  # type: ignore[return-value]


@dataclass(frozen=True)
class Sight:
    """What the camera (or the cameras of a drive) may see: places to fill and places to leave empty."""

    cameras: tuple[Camera, ...]

    def sees(self, x: float, y: float, radius: float = 1.0, ahead: float = AHEAD_M) -> bool:
        """Whether something of that radius may be in a frame, or near enough to shade or reflect in it."""
        for camera in self.cameras:
            dx, dy = x - camera.x, y - camera.y
            apart = math.hypot(dx, dy)
            forward = dx * math.cos(camera.yaw) + dy * math.sin(camera.yaw)
            if forward > ahead + radius or forward < -BEHIND_M:
                continue
            if apart < 9.0 + radius:
                return True
            half = math.radians(camera.fov) / 2 + 0.09 + math.asin(min(1.0, radius / max(apart, radius)))
            if abs(turn(math.atan2(dy, dx) - camera.yaw)) < half:
                return True
        return False

    def region(self) -> Polygon:
        """The ground to draw: what lies before the cameras, as far as the eye goes along a street."""
        pieces = []
        for camera in self.cameras:
            mid = camera.x + math.cos(camera.yaw) * 120, camera.y + math.sin(camera.yaw) * 120
            pieces.append(box(mid[0], mid[1], camera.yaw, 290.0, 220.0))
        whole = shapely.union_all(pieces)
        return whole if isinstance(whole, Polygon) else whole.convex_hull


def _circle(shape: Polygon) -> tuple[float, float, float]:
    """A circle about a polygon: x, y, radius."""
    x0, y0, x1, y1 = shape.bounds
    return (x0 + x1) / 2, (y0 + y1) / 2, math.hypot(x1 - x0, y1 - y0) / 2


@dataclass
class Draft:
    """Mutable working state. `road`, `paved`: the carriageway and all paving near the cameras."""

    streets: Streets
    wish: Wish
    sight: Sight
    route: Line  # the middle of ego's way
    start_m: float  # where on it the (first) camera is
    road: BaseGeometry
    paved: BaseGeometry
    keep_m: float = 0.0  # obstacles leave this much free to either side of the route (0: they may stand in ego's way)
    things: list[Thing] = field(default_factory=list)
    lamps: list[Lamp] = field(default_factory=list)
    taken: list[tuple[float, float, float, Polygon]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def camera(self) -> Camera:
        """The first camera."""
        return self.sight.cameras[0]

    def number(self, group: str) -> int:
        """The next id of a group; groups have their own ranges, so a flipped fact does not shift other ids."""
        self.counts[group] = self.counts.get(group, -1) + 1
        return FIRST_ID[group] + self.counts[group]

    def free(self, shape: Polygon, gap: float = 0.0) -> bool:
        """Whether a footprint keeps `gap` metres from everything placed so far."""
        mx, my, radius = _circle(shape)
        radius += gap
        return not any(
            (mx - x) ** 2 + (my - y) ** 2 < (radius + r) ** 2 and other.distance(shape) <= gap
            for x, y, r, other in self.taken
        )

    def reserve(self, shape: Polygon) -> None:
        """Keep others away from a footprint."""
        self.taken.append((*_circle(shape), shape))

    def on_road(self, x: float, y: float) -> bool:
        """Whether a point lies on the carriageway."""
        return bool(self.road.intersects(Point(x, y)))

    def add(
        self,
        group: str,
        kind: ThingKind,
        x: float,
        y: float,
        yaw: float,
        size: tuple[float, float, float],
        *,
        colour: Colour = (0.5, 0.5, 0.5),
        style: int = 0,
        state: tuple[str, ...] = (),
        text: str = "",
        z: float = 0.0,
        on_road: bool | None = None,
        reserve: bool = True,
    ) -> Thing:
        """Place a thing; `on_road` follows from where it stands unless given."""
        stands = self.on_road(x, y) if on_road is None else on_road
        thing = Thing(
            self.number(group),
            kind,
            round(x, 3),
            round(y, 3),
            round(turn(yaw), 4),
            round(size[0], 2),
            round(size[1], 2),
            round(size[2], 2),
            round(z, 3),
            colour,
            style,
            state,
            text,
            stands,
        )
        self.things.append(thing)
        if reserve:
            self.reserve(box(x, y, yaw, size[0], size[1]))
        return thing

    def evict(self, shape: Polygon, gap: float) -> None:
        """Take away moving traffic that an obstacle would stand in."""
        out = {
            t.id
            for t in self.things
            if FIRST_ID["traffic"] <= t.id < FIRST_ID["people"]
            and box(t.x, t.y, t.yaw, t.length, t.width).distance(shape) < gap
        }
        if out:
            self.taken = [
                row
                for row in self.taken
                if not any(t.id in out and row[3].intersects(Point(t.x, t.y)) for t in self.things)
            ]
            self.things = [t for t in self.things if t.id not in out]
