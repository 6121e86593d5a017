"""The sides of the streets in view, and the character of a place: what the modules that line a street share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry import Point

from pacenote.scenes.draft import Draft
from pacenote.scenes.geometry import Line, at, box, left_of, offset
from pacenote.scenes.scene import Colour, ThingKind
from pacenote.scenes.seeds import chance, choice, pick, uniform
from pacenote.scenes.streets import Edge


@dataclass(frozen=True)
class Theme:
    """The character of a place. Densities in 0..1."""

    buildings: float
    trees: float
    lamps: float
    poles: float
    setback: float
    height: float
    kind: str  # house, mixed, tower, shop, open
    tree_style: int
    lamp_style: int
    lamp_step: float
    neon: float
    season: int


def draw_theme(road_class: str, rng: np.random.Generator) -> Theme:
    """A theme that fits the road ego is on."""
    kinds = {
        "residential": {"house": 0.6, "mixed": 0.25, "tower": 0.1, "open": 0.05},
        "urban": {"shop": 0.35, "mixed": 0.4, "tower": 0.15, "house": 0.1},
        "arterial": {"mixed": 0.35, "tower": 0.3, "open": 0.25, "shop": 0.1},
    }.get(road_class, {"open": 0.85, "tower": 0.15})
    kind = pick(rng, kinds)
    return Theme(
        buildings={"open": 0.12, "house": 0.75}.get(kind, 0.9) * uniform(rng, 0.6, 1.1),
        trees=float(rng.beta(1.3, 1.3)),
        lamps=float(chance(rng, 0.85)),
        poles=float(chance(rng, 0.3)),
        setback={"shop": uniform(rng, 0.3, 3), "house": uniform(rng, 3, 9), "open": uniform(rng, 12, 35)}.get(
            kind, uniform(rng, 1, 10)
        ),
        height={"house": 1.0, "tower": uniform(rng, 1.5, 3.5), "open": 0.8}.get(kind, uniform(rng, 0.8, 1.6)),
        kind=kind,
        tree_style=int(rng.integers(1000)),
        lamp_style=int(rng.integers(1000)),
        lamp_step=uniform(rng, 24, 42),
        neon=uniform(rng, 0.0, 0.5) if kind in ("shop", "mixed") else 0.05,
        season=int(rng.integers(4)),
    )


@dataclass(frozen=True)
class Side:
    """One side of a street: the outer boundary of its paving in driving direction, and which way is out."""

    edge: Edge
    line: Line
    out: float  # +1: out is to the left of the line
    walk: float  # width of the sidewalk inside the line, 0 without one
    outer: bool  # False for the inner side of a lone carriageway


def sides(draft: Draft) -> list[Side]:
    """The sides of the streets in view, ego's own first."""
    found = []
    kerb = draft.streets.kerb
    region = draft.sight.region()
    for edge in draft.streets.edges.values():
        first, last = edge.lanes[0], edge.lanes[-1]
        if not region.intersects(shapely.LineString(first.drawn)):
            continue
        walk = first.width if first.kind == "sidewalk" else 0.0
        found.append(Side(edge, offset(first.drawn, -kerb * first.width / 2), -kerb, walk, True))
        if not edge.opposite:
            found.append(Side(edge, offset(last.drawn, kerb * last.width / 2), kerb, 0.0, False))
    camera = draft.camera
    return sorted(
        found,
        key=lambda s: (round(shapely.LineString(s.line).distance(Point(camera.x, camera.y)) / 8), s.edge.id, s.out),
    )


def spot(side: Side, along: float, out: float) -> tuple[float, float, float]:
    """(x, y, yaw of the street) at a distance along a side, `out` metres beyond its boundary."""
    x, y, yaw = at(side.line, along)
    dx, dy = left_of(yaw) * side.out * out
    return x + float(dx), y + float(dy), yaw


def try_place(
    draft: Draft,
    kind: ThingKind,
    x: float,
    y: float,
    yaw: float,
    size: tuple[float, float, float],
    gap: float,
    *,
    paving: bool = False,
    reach: float = 130.0,
    reserve: tuple[float, float] | None = None,
    colour: Colour = (0.5, 0.5, 0.5),
    style: int = 0,
    state: tuple[str, ...] = (),
    text: str = "",
    z: float = 0.0,
) -> bool:
    """Place a static thing where it is seen, off the carriageway (off all paving too unless `paving`) and free."""
    if not draft.sight.sees(x, y, max(size[0], size[1]) / 2, reach):
        return False
    long, wide = reserve or (size[0], size[1])
    shape = box(x, y, yaw, long, wide)
    if (draft.road if paving else draft.paved).distance(shape) < gap or not draft.free(shape, 0.1):
        return False
    draft.add(
        "static",
        kind,
        x,
        y,
        yaw,
        size,
        colour=colour,
        style=style,
        state=state,
        text=text,
        z=z,
        on_road=False,
        reserve=False,
    )
    draft.reserve(shape)
    return True


def tint(rng: np.random.Generator) -> Colour:
    base = choice(
        rng,
        (
            (0.45, 0.22, 0.14),
            (0.55, 0.5, 0.42),
            (0.35, 0.35, 0.36),
            (0.6, 0.58, 0.55),
            (0.5, 0.4, 0.28),
            (0.3, 0.36, 0.42),
        ),
    )
    return tuple(round(float(np.clip(c * rng.uniform(0.7, 1.25), 0, 1)), 3) for c in base)  # type: ignore[return-value]
