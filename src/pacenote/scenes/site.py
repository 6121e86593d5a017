"""Ego's place: the moment, the camera, the lights and crossings of the site, chosen so that the wish can be seen."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from pacenote.scenes.camera import lens_px, mount
from pacenote.scenes.geometry import Line, at, left_of, length
from pacenote.scenes.moment import Moment
from pacenote.scenes.recipe import SceneRecipe
from pacenote.scenes.roads import own_crossings, stop_back, stop_lines, zebra_across
from pacenote.scenes.scene import Camera, Signal
from pacenote.scenes.seeds import chance, uniform
from pacenote.scenes.signals import draw_style, junction_signals, midblock_signals
from pacenote.scenes.streets import Streets, route_line
from pacenote.scenes.tolls import BOOTH_BACK_M, Plaza, draw_plaza, plaza_signals
from pacenote.scenes.traffic import Traffic
from pacenote.scenes.wish import Wish

NEAR_M = 46.0  # a junction that shall be noticed is no farther than this
ARROW_PX, OFF_PX = 8.0, 9.0  # lenses whose arrow shall be read, or that are dark, must be larger


@dataclass(frozen=True)
class Site:
    """Everything that follows from the moment; `stop_m`: metres from the camera to the stop line, None without one."""

    moment: Moment
    camera: Camera
    route: Line
    start_m: float
    stop_m: float | None
    signals: tuple[Signal, ...] = ()
    stops: dict[str, float] = field(default_factory=dict)
    zebras: frozenset[str] = frozenset()
    extra: dict[str, Line] = field(default_factory=dict)
    own_zebras: tuple[str, ...] = ()
    extra_width: float = 3.5
    plaza: Plaza | None = None


def _camera_at(recipe: SceneRecipe, wish: Wish, moment: Moment, along: float, rng: np.random.Generator) -> Camera:
    """The camera over ego's lane. The mounting is drawn from the generator's present state, which is not advanced."""
    again = np.random.Generator(type(rng.bit_generator)())
    again.bit_generator.state = rng.bit_generator.state
    return mount(recipe.camera, wish.fov, *at(moment.lane.path, along + moment.lane.lead), again)


def wanted_px(recipe: SceneRecipe, wish: Wish, arrows: bool) -> float:
    """The lens diameter to aim for: one meant to be read is large enough for what it shows."""
    if wish.lens_px < recipe.lights.lens_px[0]:
        return wish.lens_px
    least = ARROW_PX if arrows else OFF_PX if wish.light == "off" else 0.0
    return max(wish.lens_px, least)


def back_off(
    recipe: SceneRecipe,
    wish: Wish,
    moment: Moment,
    heads: list[Signal],
    stop_at: float,
    farthest: float,
    rng: np.random.Generator,
    nearest: float = 2.6,
) -> tuple[Camera, float] | None:
    """A camera whose largest own lens has about the wanted diameter, and its distance to the stop line.

    `stop_at`: the stop line along ego's lane. None where no distance brings a lens into the frame at a fitting size.
    """
    own = [s for s in heads if s.role == "ego"]
    want = wanted_px(recipe, wish, any(s.arrow for s in heads if s.role in ("ego", "other")))
    focal = wish.focal(recipe.camera.width)
    x, y, yaw = at(moment.lane.shape, stop_at)
    small = want < recipe.lights.lens_px[0]
    best: tuple[float, Camera, float] | None = None
    for head in own:
        beyond = (head.x - x) * math.cos(yaw) + (head.y - y) * math.sin(yaw)
        ideal = head.lens_m * focal / want - beyond
        for away in (ideal, ideal * 1.15, ideal * 0.87):
            away = min(max(away, nearest), farthest)
            if stop_at - away < 3.0 - moment.lane.lead:
                continue
            camera = _camera_at(recipe, wish, moment, stop_at - away, rng)
            shown = max(lens_px(camera, s) for s in own)
            miss = abs(math.log(shown / want)) if shown > 0 else 9.0
            if best is None or miss < best[0] - 1e-9:
                best = (miss, camera, away)
    if best is None or best[0] > (0.5 if small else 0.8):
        return None
    shown = max(lens_px(best[1], s) for s in own)
    low = wanted_px(recipe, replace(wish, lens_px=recipe.lights.lens_px[0] * 1.2), want >= ARROW_PX and _differ(heads))
    if not small and shown < low:
        return None
    return best[1], best[2]


def _differ(heads: list[Signal]) -> bool:
    return any(s.role == "other" for s in heads)


def junction_site(
    recipe: SceneRecipe, streets: Streets, traffic: Traffic, wish: Wish, moment: Moment, rng: np.random.Generator
) -> Site | None:
    """A site before a junction, with or without lights."""
    edge, lane, link = moment.edge, moment.lane, moment.link
    lit = wish.site == "signalised"
    marked = wish.crossing
    real = own_crossings(streets, edge)
    width = uniform(rng, 3.0, 4.0)
    zebras = frozenset(c.id for c in streets.crossings) if marked else frozenset()
    extra = (
        {"own": zebra_across(streets, edge, length(edge.drive[0].shape) - 1.0 - width / 2, width)}
        if marked and not real
        else {}
    )
    all_stops = lit or chance(rng, 0.6)
    stops = {
        name: back
        for name, back in stop_lines(streets, marked).items()
        if all_stops or streets.signalised(streets.edges[name].end)
    }
    back = stop_back(streets, edge, marked)
    stop_at = length(lane.shape) - back
    signals: list[Signal] = []
    if lit and link is not None:
        style = draw_style(
            rng, near=wanted_px(recipe, wish, moment.differ) * 24 / 300 > uniform(rng, 0.45, 1.3), large=moment.differ
        )
        signals = junction_signals(
            streets, traffic, moment.time, edge, link, moment.states, style, rng, stops | {edge.id: back}, zebras
        )
        small = wish.lens_px < recipe.lights.lens_px[0]
        found = back_off(recipe, wish, moment, signals, stop_at, 78.0 if small else NEAR_M, rng)
        if found is None:
            return None
        camera, stop_m = found
    else:
        least = 4.0
        stop_m = min(math.exp(uniform(rng, math.log(least), math.log(36.0))), 36.0)
        if stop_at - stop_m < 3.0 - lane.lead:
            return None
        camera = _camera_at(recipe, wish, moment, stop_at - stop_m, rng)
    route = route_line(streets, lane, link)
    onward = streets.lanes[link.to].edge if link else ""
    own = [c.id for c in real] + [c.id for c in streets.crossings if c.junction == edge.end and onward in c.edges]
    return Site(
        moment,
        camera,
        route,
        lane.lead + stop_at - stop_m,
        stop_m,
        tuple(signals),
        stops,
        zebras,
        extra,
        tuple(dict.fromkeys([*(own if marked else []), *extra])),
        width,
    )


def street_site(
    recipe: SceneRecipe, streets: Streets, wish: Wish, moment: Moment, rng: np.random.Generator
) -> Site | None:
    """A site along a street: open road, a marked crossing, or a signal between junctions."""
    edge, lane = moment.edge, moment.lane
    width = uniform(rng, 3.0, 5.0)
    x, y, yaw = at(lane.shape, moment.reach)
    first = streets_edge_lane(edge)
    along_first = _along(first.shape, x, y)
    extra: dict[str, Line] = {}
    if wish.crossing:
        extra["own"] = zebra_across(streets, edge, along_first + 1.2 + width / 2, width)
    back = length(lane.shape) - moment.reach
    lit = wish.light != "none"
    stops = {edge.id: back} if lit or (wish.crossing and chance(rng, 0.5)) else {}
    signals: list[Signal] = []
    stop_m: float | None
    if lit:
        style = draw_style(rng)
        kerb, centre, facing = _kerbs(streets, edge, along_first)
        zebra_m = width + 2.4 if wish.crossing else uniform(rng, 1.0, 3.0)
        signals = midblock_signals(zebra_m, yaw, kerb, centre, facing, wish.light, style, rng)  # type: ignore[arg-type]
        found = back_off(recipe, wish, moment, signals, moment.reach, 78.0, rng)
        if found is None:
            return None
        camera, away = found
        stop_m = away
    else:
        away = math.exp(uniform(rng, math.log(5.0), math.log(40.0)))
        if moment.reach - away < 3.0 - lane.lead:
            return None
        stop_m = away if stops else None
        camera = _camera_at(recipe, wish, moment, moment.reach - away, rng)
    route = route_line(streets, lane, moment.link)
    start = _along(route, camera.x, camera.y)
    return Site(moment, camera, route, start, stop_m, tuple(signals), stops, frozenset(), extra, tuple(extra), width)


def streets_edge_lane(edge):  # type: ignore[no-untyped-def]
    """The lane along which `zebra_across` measures."""
    return next(lane for lane in edge.lanes if lane.kind != "sidewalk")


def _along(line: Line, x: float, y: float) -> float:
    from pacenote.scenes.geometry import project

    return project(line, x, y)[0]


def _kerbs(streets: Streets, edge, along: float) -> tuple[Line, Line, Line]:  # type: ignore[no-untyped-def]
    """Ego's kerb, the centre line and the kerb across, at a distance along the edge's first lane."""
    axis = zebra_across(streets, edge, along, 1.0)
    last = edge.drive[-1]
    kerb, facing = axis[0], axis[1]
    x, y, yaw = at(last.shape, _along(last.shape, float(kerb[0]), float(kerb[1])))
    centre = np.array([x, y]) + left_of(yaw) * streets.kerb * last.width / 2
    return kerb, centre, facing


def toll_site(
    recipe: SceneRecipe, streets: Streets, wish: Wish, moment: Moment, rng: np.random.Generator
) -> Site | None:
    """A site before the booths of a toll plaza."""
    edge, lane = moment.edge, moment.lane
    plaza = draw_plaza(edge, length(lane.shape) - BOOTH_BACK_M, wish.light != "none", rng)
    state = wish.light if wish.light != "none" else "green"
    signals = plaza_signals(plaza, lane, state, rng)  # type: ignore[arg-type]
    stop_at = plaza.booths_m - plaza.roof_long / 2 - 4.0
    if wish.light != "none":
        found = back_off(recipe, wish, moment, signals, stop_at, stop_at + 20.0, rng)
        if found is None:
            return None
        camera, away = found
    else:
        away = uniform(rng, 8.0, stop_at - 4.0)
        camera = _camera_at(recipe, wish, moment, stop_at - away, rng)
    route = route_line(streets, lane, moment.link)
    return Site(moment, camera, route, lane.lead + stop_at - away, away, tuple(signals), {}, plaza=plaza)


def make_site(
    recipe: SceneRecipe, streets: Streets, traffic: Traffic, wish: Wish, moment: Moment, rng: np.random.Generator
) -> Site | None:
    """The site of a moment, None where the wish cannot be seen from there."""
    if wish.site == "toll":
        return toll_site(recipe, streets, wish, moment, rng)
    if wish.site in ("signalised", "unsignalised"):
        return junction_site(recipe, streets, traffic, wish, moment, rng)
    return street_site(recipe, streets, wish, moment, rng)
