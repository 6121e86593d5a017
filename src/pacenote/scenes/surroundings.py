"""What lines a street: buildings, trees, lamps, poles, fences, hedges, hills, signs, neon, bridges and gantries.

Each street side in view is walked once; what is set there depends on the road's class and on a theme drawn for the scene.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry import Point

from pacenote.scenes.draft import Draft, paint
from pacenote.scenes.geometry import Line, at, box, direction, left_of, length, offset
from pacenote.scenes.scene import Colour, Environment, Lamp, ThingKind
from pacenote.scenes.seeds import chance, choice, pick, seed32, uniform
from pacenote.scenes.streets import Edge

MOST_STATIC = 170


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
        setback={"shop": uniform(rng, 0.3, 3), "house": uniform(rng, 3, 9), "open": uniform(rng, 12, 35)}.get(kind, uniform(rng, 1, 10)),
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
    return sorted(found, key=lambda s: (round(shapely.LineString(s.line).distance(Point(camera.x, camera.y)) / 8), s.edge.id, s.out))


def spot(side: Side, along: float, out: float) -> tuple[float, float, float]:
    """(x, y, yaw of the street) at a distance along a side, `out` metres beyond its boundary."""
    x, y, yaw = at(side.line, along)
    dx, dy = left_of(yaw) * side.out * out
    return x + float(dx), y + float(dy), yaw


def line_streets(draft: Draft, theme: Theme, where: Environment, rng: np.random.Generator) -> None:
    """Fill the sides of all streets in view, nearest first, until the scene holds enough."""
    for side in sides(draft):
        fast = side.edge.road_class in ("motorway", "toll")
        if fast:
            _rail(draft, side, rng)
        else:
            _buildings(draft, side, theme, rng)
        if not side.outer:
            continue
        _lamps(draft, side, theme, where, rng)
        _greenery(draft, side, theme, fast, rng)
        if not fast:
            _furniture(draft, side, theme, rng)
            _fences(draft, side, theme, rng)
    _backdrop(draft, theme, rng)
    budget = MOST_STATIC
    static = [t for t in draft.things if t.id >= 10000 and t.kind not in ("building", "street_lamp", "hill")]
    if len(static) > budget:  # drop what is farthest
        camera = draft.camera
        far = sorted(static, key=lambda t: (-math.hypot(t.x - camera.x, t.y - camera.y), t.id))[: len(static) - budget]
        out = {t.id for t in far}
        draft.things = [t for t in draft.things if t.id not in out]


def _try(draft: Draft, kind: ThingKind, x: float, y: float, yaw: float, size: tuple[float, float, float], gap: float,
         *, paving: bool = False, reach: float = 130.0, reserve: tuple[float, float] | None = None, colour: Colour = (0.5, 0.5, 0.5),
         style: int = 0, state: tuple[str, ...] = (), text: str = "", z: float = 0.0) -> bool:  # fmt: skip
    """Place a static thing where it is seen, off the carriageway (off all paving too unless `paving`) and free."""
    if not draft.sight.sees(x, y, max(size[0], size[1]) / 2, reach):
        return False
    long, wide = reserve or (size[0], size[1])
    shape = box(x, y, yaw, long, wide)
    if (draft.road if paving else draft.paved).distance(shape) < gap or not draft.free(shape, 0.1):
        return False
    draft.add("static", kind, x, y, yaw, size, colour=colour, style=style, state=state, text=text, z=z, on_road=False, reserve=False)
    draft.reserve(shape)
    return True


def _tint(rng: np.random.Generator) -> Colour:
    base = choice(rng, ((0.45, 0.22, 0.14), (0.55, 0.5, 0.42), (0.35, 0.35, 0.36), (0.6, 0.58, 0.55), (0.5, 0.4, 0.28), (0.3, 0.36, 0.42)))
    return tuple(round(float(np.clip(c * rng.uniform(0.7, 1.25), 0, 1)), 3) for c in base)  # type: ignore[return-value]


def _buildings(draft: Draft, side: Side, theme: Theme, rng: np.random.Generator) -> None:
    total, s = length(side.line), uniform(rng, 0, 8)
    while s < total:
        house = theme.kind == "house" or (theme.kind == "mixed" and chance(rng, 0.2))
        wide = uniform(rng, 8, 15) if house else uniform(rng, 11, 32)
        deep = uniform(rng, 8, 12) if house else uniform(rng, 10, 20)
        high = uniform(rng, 5, 9) if house else float(np.clip(theme.height * rng.lognormal(math.log(13), 0.4), 5, 90))
        state = "house" if house else "tower" if high > 34 else "shop" if theme.kind == "shop" or chance(rng, 0.25) else "facade"
        back = max(0.3, theme.setback + float(rng.normal(0, 0.8)))
        built, gap = chance(rng, theme.buildings), uniform(rng, 3, 12) if house else pick(rng, {0.3: 0.6, 5.0: 0.25, 14.0: 0.15})
        colour, style = _tint(rng), seed32(rng) % 1000
        if built:
            x, y, yaw = spot(side, s + wide / 2, back + deep / 2)
            done = _try(draft, "building", x, y, yaw, (wide, deep, high), 0.2, colour=colour, style=style, state=(state,), reach=150)
            if done and chance(rng, theme.neon) and not house:
                _neon(draft, side, s + wide / 2, back, rng)
        s += wide + gap


def _neon(draft: Draft, side: Side, along: float, back: float, rng: np.random.Generator) -> None:
    """A lit shop sign that stands out from a wall and looks along the street: a light's double."""
    colour = pick(rng, {"red": 0.45, "green": 0.3, "amber": 0.25})
    x, y, yaw = spot(side, along + uniform(rng, -3, 3), max(0.1, back - uniform(rng, 0.5, 0.9)))
    camera = draft.camera
    towards = math.pi if math.cos(yaw - camera.yaw) > 0 else 0.0
    if draft.road.distance(Point(x, y)) > 0.8 and draft.sight.sees(x, y, 0.6, 90):
        wide = uniform(rng, 0.5, 1.3)
        draft.add("static", "neon", x, y, yaw + towards, (0.15, wide, wide * uniform(rng, 0.7, 1.2)), z=uniform(rng, 2.6, 4.6),
                  style=seed32(rng) % 1000, state=(colour,), on_road=False, reserve=False)  # fmt: skip


def _lamps(draft: Draft, side: Side, theme: Theme, where: Environment, rng: np.random.Generator) -> None:
    total, s = length(side.line), uniform(rng, 0, theme.lamp_step)
    high = uniform(rng, 6.0, 10.5)
    warm = (1.0, 0.72, 0.42) if theme.lamp_style % 3 else (0.9, 0.95, 1.0)
    while s < total and theme.lamps:
        inside = min(side.walk - 0.5, 0.6) if side.walk else -1.2
        x, y, yaw = spot(side, s, -max(inside, -1.2) if side.walk else 1.2)
        if _try(draft, "street_lamp", x, y, yaw - side.out * math.pi / 2, (0.4, 0.4, high), 0.25, paving=True, style=theme.lamp_style):
            if where.street_lamps and len(draft.lamps) < 14:
                arm = direction(yaw - side.out * math.pi / 2) * 1.7
                draft.lamps.append(Lamp(round(x + float(arm[0]), 3), round(y + float(arm[1]), 3), round(high - 0.15, 3), warm,
                                        round(uniform(rng, 90, 220), 1)))  # fmt: skip
        if theme.poles and chance(rng, 0.8):
            x, y, yaw = spot(side, s + theme.lamp_step / 2, 0.9)
            _try(draft, "pole", x, y, yaw, (0.3, 0.3, uniform(rng, 8, 11)), 0.4, paving=True, style=theme.lamp_style)
        s += theme.lamp_step


def _greenery(draft: Draft, side: Side, theme: Theme, fast: bool, rng: np.random.Generator) -> None:
    total = length(side.line)
    if chance(rng, 0.3 + 0.65 * theme.trees):
        step = uniform(rng, 5, 14)
        beyond = fast or not side.walk or (theme.setback > 2.5 and chance(rng, 0.4))
        out = uniform(rng, 5, 22) if fast else uniform(rng, 0.8, max(1.0, theme.setback - 1.2)) if beyond else -(side.walk - 0.75)
        s = uniform(rng, 0, step)
        while s < total:
            high = uniform(rng, 4.5, 11)
            x, y, yaw = spot(side, s, out + (uniform(rng, -3, 8) if fast else 0.0))
            if chance(rng, 0.85):
                crown = high * uniform(rng, 0.4, 0.7)
                _try(draft, "tree", x, y, uniform(rng, 0, 6.28), (crown, crown, high), 0.5, paving=True, reserve=(0.9, 0.9),
                     style=(theme.tree_style + int(rng.integers(4))) % 1000)  # fmt: skip
            s += step * uniform(rng, 0.8, 1.3)
    if chance(rng, 0.35):
        s = uniform(rng, 0, 20)
        while s < total:
            x, y, yaw = spot(side, s, uniform(rng, 0.5, 1.6) if not fast else uniform(rng, 3, 9))
            wide = uniform(rng, 0.8, 2.2)
            if chance(rng, 0.7):
                _try(draft, "bush", x, y, yaw, (wide, wide, wide * uniform(rng, 0.6, 1.0)), 0.2, style=seed32(rng) % 1000, reach=80)
            s += uniform(rng, 2.5, 14)


def _furniture(draft: Draft, side: Side, theme: Theme, rng: np.random.Generator) -> None:
    """Small things, bollards and hydrants among them, whose colours come near to a cone's."""
    total, s = length(side.line), uniform(rng, 0, 15)
    while s < total:
        kind = pick(rng, {"bin": 0.25, "hydrant": 0.15, "bench": 0.15, "pole": 0.2, "sign": 0.25})
        size = {"bin": (0.6, 0.6, 1.05), "hydrant": (0.35, 0.35, 0.8), "bench": (0.6, 1.8, 0.9), "pole": (0.16, 0.16, 0.95),
                "sign": (0.12, 0.8, 2.9)}[kind]  # fmt: skip
        style = seed32(rng) % 1000
        inside = -(side.walk - 0.45) if side.walk else 0.7
        x, y, yaw = spot(side, s, inside)
        if kind == "sign":
            text = pick(rng, {"warning": 0.4, "info": 0.35, "no_entry": 0.25})
            facing = yaw + math.pi
            _try(draft, "sign", x, y, facing, size, 0.2, paving=True, style=style, state=(text,), reach=90)
        else:
            count = int(rng.integers(3, 8)) if kind == "pole" else 1  # bollards come in rows
            for k in range(count):
                x, y, yaw = spot(side, s + 1.6 * k, inside)
                _try(draft, kind, x, y, yaw, size, 0.2, paving=True, style=style, reach=60)  # type: ignore[arg-type]
        s += uniform(rng, 9, 34)


def _fences(draft: Draft, side: Side, theme: Theme, rng: np.random.Generator) -> None:
    if not chance(rng, 0.45 if theme.kind in ("house", "open") else 0.2):
        return
    kind = pick(rng, {"fence": 0.65, "wall": 0.35})
    high, style, long = uniform(rng, 0.9, 2.2), seed32(rng) % 1000, 7.0
    total, s = length(side.line), 0.0
    while s + long < total:
        x, y, yaw = spot(side, s + long / 2, 0.45)
        if chance(rng, 0.75):
            _try(draft, kind, x, y, yaw, (long, 0.15 if kind == "fence" else 0.3, high), 0.1, style=style, reach=90,
                 reserve=(long - 0.5, 0.3))  # type: ignore[arg-type]
        s += long + (0.0 if chance(rng, 0.8) else 5.0)


def _rail(draft: Draft, side: Side, rng: np.random.Generator) -> None:
    """A guard rail or a noise wall along a fast road."""
    total, s, long = length(side.line), 0.0, 9.0
    style, wall = seed32(rng) % 1000, side.outer and chance(rng, 0.18)
    if side.outer and not wall and chance(rng, 0.3):
        return
    high = uniform(rng, 2.5, 4.5)
    while s + long < total:
        x, y, yaw = spot(side, s + long / 2, 1.6 if wall else 0.6)
        if wall:
            _try(draft, "wall", x, y, yaw, (long, 0.3, high), 0.1, style=style, reserve=(long - 0.6, 0.3))
        else:
            _try(draft, "guard_rail", x, y, yaw, (long, 0.3, 0.8), 0.05, style=style, reach=110, reserve=(long - 0.6, 0.3))
        s += long


def _backdrop(draft: Draft, theme: Theme, rng: np.random.Generator) -> None:
    """Hills, a skyline and far trees close the view."""
    camera = draft.camera
    for _ in range(int(rng.integers(0, 4))):
        angle, far = camera.yaw + uniform(rng, -0.9, 0.9), uniform(rng, 330, 520)
        x, y = camera.x + math.cos(angle) * far, camera.y + math.sin(angle) * far
        wide = uniform(rng, 150, 300)
        draft.add("static", "hill", x, y, uniform(rng, 0, 6.28), (wide, wide * 0.7, uniform(rng, 14, 60)), style=seed32(rng) % 1000,
                  on_road=False, reserve=False)  # fmt: skip
    skyline = int(rng.integers(0, 7)) if theme.kind != "open" or chance(rng, 0.3) else 0
    for _ in range(skyline):
        angle, far = camera.yaw + uniform(rng, -0.7, 0.7), uniform(rng, 150, 300)
        x, y = camera.x + math.cos(angle) * far, camera.y + math.sin(angle) * far
        size = (uniform(rng, 18, 34), uniform(rng, 18, 34), uniform(rng, 18, 70))
        _try(draft, "building", x, y, camera.yaw, size, 6.0, colour=_tint(rng), style=seed32(rng) % 1000, reach=320,
             state=("tower" if size[2] > 34 else "facade",))  # fmt: skip
    for _ in range(int(26 * theme.trees)):
        angle, far = camera.yaw + uniform(rng, -0.8, 0.8), uniform(rng, 60, 200)
        x, y = camera.x + math.cos(angle) * far, camera.y + math.sin(angle) * far
        high = uniform(rng, 6, 13)
        _try(draft, "tree", x, y, uniform(rng, 0, 6.28), (high * 0.6, high * 0.6, high), 3.0, reach=210, reserve=(1.5, 1.5),
             style=(theme.tree_style + int(rng.integers(4))) % 1000)  # fmt: skip


def overhead(draft: Draft, road_class: str, rng: np.random.Generator) -> None:
    """Now and then a bridge or a sign gantry over a fast road, or an orange-clad truck-like board beside it."""
    if road_class not in ("motorway", "arterial") or not chance(rng, 0.22):
        return
    x, y, yaw = at(draft.route, draft.start_m + uniform(rng, 35, 110))
    wide = _width(draft, x, y, yaw)
    if road_class == "motorway" and chance(rng, 0.5):
        draft.add("static", "bridge", x, y, yaw + math.pi / 2, (wide + 16.0, uniform(rng, 7, 12), uniform(rng, 6.3, 7.5)),
                  style=seed32(rng) % 1000, on_road=False, reserve=False)  # fmt: skip
    else:
        draft.add("static", "sign", x, y, yaw + math.pi, (0.6, wide, 7.0), style=seed32(rng) % 1000, state=("gantry",),
                  text=choice(rng, ("A 4", "CITY", "EXIT 12", "NORTH")), on_road=False, reserve=False)  # fmt: skip


def _width(draft: Draft, x: float, y: float, yaw: float) -> float:
    """How wide the carriageway is across `yaw` here."""
    across = left_of(yaw)
    ray = shapely.LineString([np.array([x, y]) - across * 60, np.array([x, y]) + across * 60]).intersection(draft.road)
    return float(max(ray.length, 8.0))


def confusers(draft: Draft, fast: bool, rng: np.random.Generator) -> None:
    """Bystanders of a cone's colours off the road: an orange or red sign, a bollard row, a crate, on either side of
    ego; on a fast road only posts and signs."""
    for _ in range(int(rng.poisson(1.2))):
        along = draft.start_m + uniform(rng, 8, 35)
        x, y, yaw = at(draft.route, along)
        for out in (5.0, 7.0, 9.0, 12.0):
            sign = choice(rng, (-1.0, 1.0))
            dx, dy = left_of(yaw) * sign * out
            shares = {"pole": 0.6, "sign": 0.4} if fast else {"hydrant": 0.3, "pole": 0.3, "bin": 0.2, "sign": 0.2}
            kind = pick(rng, shares)
            size = {"hydrant": (0.35, 0.35, 0.8), "pole": (0.16, 0.16, 0.95), "bin": (0.6, 0.6, 1.05), "sign": (0.12, 0.8, 2.6)}[kind]
            if _try(draft, kind, x + float(dx), y + float(dy), yaw + math.pi, size, 0.5, paving=True, style=seed32(rng) % 1000,  # type: ignore[arg-type]
                    colour=paint(rng), state=("warning",) if kind == "sign" else ()):  # fmt: skip
                break
