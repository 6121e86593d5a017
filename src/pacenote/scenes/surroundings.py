"""What surrounds a street: buildings, neon, hills and skyline, bridges and gantries, and things a cone is mistaken for.

Each street side in view is walked once; what is set there depends on the road's class and on a theme drawn for the
scene.
"""

from __future__ import annotations

import math

import numpy as np
import shapely
from shapely.geometry import Point

from pacenote.scenes.draft import Draft, paint
from pacenote.scenes.geometry import at, left_of, length
from pacenote.scenes.scene import Environment, ThingKind
from pacenote.scenes.seeds import chance, choice, pick, seed32, uniform
from pacenote.scenes.sides import Side, Theme, sides, spot, tint, try_place
from pacenote.scenes.verges import fences, furniture, greenery, lamps, rail

MOST_STATIC = 170


def line_streets(draft: Draft, theme: Theme, where: Environment, rng: np.random.Generator) -> None:
    """Fill the sides of all streets in view, nearest first, until the scene holds enough."""
    for side in sides(draft):
        fast = side.edge.road_class in ("motorway", "toll")
        if fast:
            rail(draft, side, rng)
        else:
            _buildings(draft, side, theme, rng)
        if not side.outer:
            continue
        lamps(draft, side, theme, where, rng)
        greenery(draft, side, theme, fast, rng)
        if not fast:
            furniture(draft, side, theme, rng)
            fences(draft, side, theme, rng)
    _backdrop(draft, theme, rng)
    budget = MOST_STATIC
    static = [t for t in draft.things if t.id >= 10000 and t.kind not in ("building", "street_lamp", "hill")]
    if len(static) > budget:  # drop what is farthest
        camera = draft.camera
        far = sorted(static, key=lambda t: (-math.hypot(t.x - camera.x, t.y - camera.y), t.id))[: len(static) - budget]
        out = {t.id for t in far}
        draft.things = [t for t in draft.things if t.id not in out]


def _buildings(draft: Draft, side: Side, theme: Theme, rng: np.random.Generator) -> None:
    total, s = length(side.line), uniform(rng, 0, 8)
    while s < total:
        house = theme.kind == "house" or (theme.kind == "mixed" and chance(rng, 0.2))
        wide = uniform(rng, 8, 15) if house else uniform(rng, 11, 32)
        deep = uniform(rng, 8, 12) if house else uniform(rng, 10, 20)
        high = uniform(rng, 5, 9) if house else float(np.clip(theme.height * rng.lognormal(math.log(13), 0.4), 5, 90))
        state = (
            "house"
            if house
            else "tower"
            if high > 34
            else "shop"
            if theme.kind == "shop" or chance(rng, 0.25)
            else "facade"
        )
        back = max(0.3, theme.setback + float(rng.normal(0, 0.8)))
        built, gap = (
            chance(rng, theme.buildings),
            uniform(rng, 3, 12) if house else pick(rng, {0.3: 0.6, 5.0: 0.25, 14.0: 0.15}),
        )
        colour, style = tint(rng), seed32(rng) % 1000
        if built:
            x, y, yaw = spot(side, s + wide / 2, back + deep / 2)
            done = try_place(
                draft,
                "building",
                x,
                y,
                yaw,
                (wide, deep, high),
                0.2,
                colour=colour,
                style=style,
                state=(state,),
                reach=150,
            )
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
        draft.add(
            "static",
            "neon",
            x,
            y,
            yaw + towards,
            (0.15, wide, wide * uniform(rng, 0.7, 1.2)),
            z=uniform(rng, 2.6, 4.6),
            style=seed32(rng) % 1000,
            state=(colour,),
            on_road=False,
            reserve=False,
        )


def _backdrop(draft: Draft, theme: Theme, rng: np.random.Generator) -> None:
    """Hills, a skyline and far trees close the view."""
    camera = draft.camera
    for _ in range(int(rng.integers(0, 4))):
        angle, far = camera.yaw + uniform(rng, -0.9, 0.9), uniform(rng, 330, 520)
        x, y = camera.x + math.cos(angle) * far, camera.y + math.sin(angle) * far
        wide = uniform(rng, 150, 300)
        draft.add(
            "static",
            "hill",
            x,
            y,
            uniform(rng, 0, 6.28),
            (wide, wide * 0.7, uniform(rng, 14, 60)),
            style=seed32(rng) % 1000,
            on_road=False,
            reserve=False,
        )
    skyline = int(rng.integers(0, 7)) if theme.kind != "open" or chance(rng, 0.3) else 0
    for _ in range(skyline):
        angle, far = camera.yaw + uniform(rng, -0.7, 0.7), uniform(rng, 150, 300)
        x, y = camera.x + math.cos(angle) * far, camera.y + math.sin(angle) * far
        size = (uniform(rng, 18, 34), uniform(rng, 18, 34), uniform(rng, 18, 70))
        try_place(
            draft,
            "building",
            x,
            y,
            camera.yaw,
            size,
            6.0,
            colour=tint(rng),
            style=seed32(rng) % 1000,
            reach=320,
            state=("tower" if size[2] > 34 else "facade",),
        )
    for _ in range(int(26 * theme.trees)):
        angle, far = camera.yaw + uniform(rng, -0.8, 0.8), uniform(rng, 60, 200)
        x, y = camera.x + math.cos(angle) * far, camera.y + math.sin(angle) * far
        high = uniform(rng, 6, 13)
        try_place(
            draft,
            "tree",
            x,
            y,
            uniform(rng, 0, 6.28),
            (high * 0.6, high * 0.6, high),
            3.0,
            reach=210,
            reserve=(1.5, 1.5),
            style=(theme.tree_style + int(rng.integers(4))) % 1000,
        )


def overhead(draft: Draft, road_class: str, rng: np.random.Generator) -> None:
    """Now and then a bridge or a sign gantry over a fast road, or an orange-clad truck-like board beside it."""
    if road_class not in ("motorway", "arterial") or not chance(rng, 0.22):
        return
    x, y, yaw = at(draft.route, draft.start_m + uniform(rng, 35, 110))
    wide = _width(draft, x, y, yaw)
    if road_class == "motorway" and chance(rng, 0.5):
        draft.add(
            "static",
            "bridge",
            x,
            y,
            yaw + math.pi / 2,
            (wide + 16.0, uniform(rng, 7, 12), uniform(rng, 6.3, 7.5)),
            style=seed32(rng) % 1000,
            on_road=False,
            reserve=False,
        )
    else:
        draft.add(
            "static",
            "sign",
            x,
            y,
            yaw + math.pi,
            (0.6, wide, 7.0),
            style=seed32(rng) % 1000,
            state=("gantry",),
            text=choice(rng, ("A 4", "CITY", "EXIT 12", "NORTH")),
            on_road=False,
            reserve=False,
        )


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
            shares: dict[ThingKind, float] = (
                {"pole": 0.6, "sign": 0.4} if fast else {"hydrant": 0.3, "pole": 0.3, "bin": 0.2, "sign": 0.2}
            )
            kind = pick(rng, shares)
            size = {
                "hydrant": (0.35, 0.35, 0.8),
                "pole": (0.16, 0.16, 0.95),
                "bin": (0.6, 0.6, 1.05),
                "sign": (0.12, 0.8, 2.6),
            }[kind]
            if try_place(
                draft,
                kind,
                x + float(dx),
                y + float(dy),
                yaw + math.pi,
                size,
                0.5,
                paving=True,
                style=seed32(rng) % 1000,
                colour=paint(rng),
                state=("warning",) if kind == "sign" else (),
            ):
                break
