"""make_scene: recipe and index -> Scene. The order of work: wish, network, traffic, moment, camera, ground, things."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely

from pacenote.errors import InputError
from pacenote.scenes import sumo
from pacenote.scenes.draft import Draft, Sight
from pacenote.scenes.drives import drive_scenes, find_trip
from pacenote.scenes.geometry import project
from pacenote.scenes.moment import moments, speed_near
from pacenote.scenes.network import NetworkSpec, build_network, network_spec
from pacenote.scenes.obstacles import MAKERS
from pacenote.scenes.people import bystanders
from pacenote.scenes.recipe import SceneRecipe
from pacenote.scenes.roads import Ground, build
from pacenote.scenes.scene import Facts, Scene, Signal, SurfaceKind, Thing
from pacenote.scenes.seeds import choice, seed32, stream
from pacenote.scenes.sides import draw_theme
from pacenote.scenes.signals import numbered
from pacenote.scenes.signposts import limit_number, limit_sign
from pacenote.scenes.site import Site, make_site
from pacenote.scenes.streets import Streets, load_streets
from pacenote.scenes.surroundings import confusers, line_streets, overhead
from pacenote.scenes.tolls import build_plaza
from pacenote.scenes.traffic import Traffic, simulate
from pacenote.scenes.twins import twin
from pacenote.scenes.vehicles import moving, occluder, parked, place_moving
from pacenote.scenes.weather import environment
from pacenote.scenes.wish import Wish, draw_wish

PLACES_A_TRY = 6  # moments looked at before the measures are drawn anew


@dataclass(frozen=True)
class Rejected:
    """A scene that could not be made, and why."""

    reason: str


@dataclass(frozen=True)
class Place:
    """A network with its traffic."""

    spec: NetworkSpec
    streets: Streets
    traffic: Traffic


def find_place(recipe: SceneRecipe, index: int, cache: str | Path | None = None, step_s: float | None = None) -> Place:
    """The network and the traffic that scene `index` uses, built or read from the cache."""
    number = index // recipe.networks.scenes_each
    folder = sumo.cache_directory(cache)
    spec = network_spec(recipe, number)
    streets = load_streets(build_network(spec, folder))
    wanted = any(recipe.sites.get(site, 0) > 0 for site in ("signalised", "unsignalised"))
    if wanted and spec.kind not in ("motorway", "toll") and not any(j.arms > 2 for j in streets.junctions.values()):
        name = spec.file or spec.name
        raise InputError(f"{name}: the network has no junction; set sites to {{plain: 1}} or use another map")
    return Place(spec, streets, simulate(recipe, number, streets, folder, step_s or recipe.traffic.step_s))


def fit(wish: Wish, place: Place, rng: np.random.Generator) -> Wish:
    """The wish as this network can meet it: one without lights (or without junctions that lack them) offers another
    site."""
    junctions = [j for j in place.streets.junctions.values() if j.arms > 2]
    lit = any(place.streets.signalised(j.id) for j in junctions)
    dark = any(not place.streets.signalised(j.id) for j in junctions)
    if wish.site == "unsignalised" and not dark:
        return replace(wish, site="plain")
    if wish.site == "signalised" and not lit:
        return replace(wish, site="midblock")
    if wish.site == "toll" and wish.light == "yellow":
        return replace(wish, light=choice(rng, ("red", "green")))
    return wish


def find_site(recipe: SceneRecipe, index: int, place: Place) -> tuple[Wish, Site] | Rejected:
    """The wish and a site that shows it, within the recipe's tries."""
    wish = draw_wish(recipe, index, place.spec.kind)
    for attempt in range(recipe.tries):
        rng = stream(recipe.digest, index, f"site {attempt}")
        wish = fit(draw_wish(recipe, index, place.spec.kind, attempt), place, stream(recipe.digest, index, "fit"))
        for count, moment in enumerate(moments(place.streets, place.traffic, wish, rng)):
            if count >= PLACES_A_TRY:
                break
            site = make_site(recipe, place.streets, place.traffic, wish, moment, rng)
            if site is not None:
                return wish, site
    asked = f"{wish.light} light" if wish.light != "none" else "no light"
    return Rejected(f"no {wish.site} place with {asked} in view after {recipe.tries} tries on {place.spec.name}")


def make_scene(recipe: SceneRecipe, index: int, cache: str | Path | None = None) -> Scene | Rejected:
    """Scene `index` of a recipe: a pure function of (recipe.digest, index). Rejected says why none could be made.

    Raises InputError for a network that cannot be read or has no junction, PacenoteError where SUMO is missing.
    """
    place = find_place(recipe, index, cache)
    found = find_site(recipe, index, place)
    if isinstance(found, Rejected):
        return found
    return compose(recipe, index, place, *found)


def make_twins(recipe: SceneRecipe, index: int, cache: str | Path | None = None) -> list[Scene] | Rejected:
    """Scene `index` and its twin, in which one fact is flipped (`Scene.twin_of`, `Scene.flipped`)."""
    place = find_place(recipe, index, cache)
    found = find_site(recipe, index, place)
    if isinstance(found, Rejected):
        return found
    scene = compose(recipe, index, place, *found)
    other = twin(scene, place, *found, lambda wish, site: compose(recipe, index, place, wish, site))
    return [scene, other] if other is not None else Rejected("no fact of this scene can be flipped")


def make_drive(recipe: SceneRecipe, index: int, cache: str | Path | None = None) -> list[Scene] | Rejected:
    """Simulated drive `index`: `recipe.drives.seconds` of one trip at `rate_hz` frames a second, one Scene a frame."""
    place = find_place(recipe, index, cache, step_s=1.0 / recipe.drives.rate_hz)
    trip = find_trip(recipe, index, place.streets, place.traffic)
    if trip is None:
        return Rejected(f"no trip of {recipe.drives.seconds:g} s on {place.spec.name} after {recipe.tries} tries")
    wish = draw_wish(recipe, index, place.spec.kind)
    return drive_scenes(recipe, index, place.spec.name, place.streets, place.traffic, trip, wish)


def make_ground(recipe: SceneRecipe, index: int, place: Place, site: Site, sight: Sight) -> Ground:
    """The ground in sight."""
    rng = stream(recipe.digest, index, "ground")
    kind = site.moment.edge.road_class
    open_ground: tuple[SurfaceKind, ...] = ("grass", "grass", "dirt")
    around = "plaza" if kind == "urban" else "grass" if kind == "residential" else choice(rng, open_ground)
    return build(
        place.streets,
        sight.region(),
        rng,
        zebras=site.zebras,
        extra=site.extra,
        extra_width=site.extra_width,
        ground_kind=around,
        stops=site.stops,
    )


def compose(recipe: SceneRecipe, index: int, place: Place, wish: Wish, site: Site) -> Scene:
    """Fill a site: weather, ground, signals, traffic, obstacles, people, surroundings."""
    streets, moment, camera = place.streets, site.moment, site.camera

    def rng(purpose: str) -> np.random.Generator:
        return stream(recipe.digest, index, purpose)

    where = environment(wish, rng("weather"))
    sight = Sight((camera,))
    ground = make_ground(recipe, index, place, site, sight)
    near = sight.region().buffer(30)
    draft = Draft(
        streets,
        wish,
        sight,
        site.route,
        site.start_m,
        streets.road.intersection(near),
        streets.paved.intersection(near),
    )
    shapely.prepare(draft.road)
    shapely.prepare(draft.paved)
    surfaces = list(ground.surfaces)
    if site.plaza is not None:
        surfaces += build_plaza(draft, site.plaza, rng("plaza"))
    signals = tuple(s for s in numbered(list(site.signals)) if sight.sees(s.x, s.y, 3.0))
    for signal in signals:
        if signal.mount != "roof":
            draft.reserve(shapely.Point(signal.foot).buffer(0.2))
    place_moving(
        draft, moving(recipe, place.traffic, moment.time, sight, where), rng("moving"), wish.occluded and bool(signals)
    )
    if wish.occluder:
        occluder(draft, rng("occluder"))
    limit = moment.edge.limit_kmh
    until = site.stop_m - 1.0 if site.stop_m is not None and wish.site != "plain" else 60.0
    sources: list[int] = []
    if wish.sign:
        sources += limit_sign(
            draft, limit, 60.0 if wish.site in ("midblock", "plain") else max(until, 0.0), rng("sign")
        )
    numbers = limit_number(draft, limit, until, rng("number")) if wish.painted else ()
    sources += [m.id for m in numbers]
    for number, kind in enumerate(wish.obstacles):
        again = wish.obstacles[:number].count(kind)
        MAKERS[kind](draft, recipe.obstacle_m, rng(f"obstacle {kind}{f' {again}' if again else ''}"))
    parked(draft, streets, recipe.traffic.parked, rng("parked"))
    bystanders(draft, rng("people"))
    confusers(draft, moment.edge.road_class in ("motorway", "toll"), rng("confusers"))
    overhead(draft, moment.edge.road_class, rng("overhead"))
    line_streets(draft, draw_theme(moment.edge.road_class, rng("theme")), where, rng("surroundings"))
    things = clear_view(draft.things, signals, site) if not wish.occluded else draft.things
    crossing_ids = tuple(ground.zebra_ids[name] for name in site.own_zebras if name in ground.zebra_ids)
    return Scene(
        id=f"{place.spec.name}-{index:06d}",
        index=index,
        recipe=recipe.digest,
        network=place.spec.name,
        seed=seed32(rng("scene")),
        camera=camera,
        environment=where,
        facts=facts(recipe, index, place, wish, site, ground, tuple(sources), crossing_ids),
        left_hand=streets.left_hand,
        surfaces=tuple(surfaces),
        markings=(*ground.markings, *numbers),
        things=tuple(things),
        signals=signals,
        lamps=tuple(draft.lamps),
        assets=dict(recipe.assets),
    )


def clear_view(things: list[Thing], signals: tuple[Signal, ...], site: Site) -> list[Thing]:
    """Without the trees and poles that happen to stand between the camera and ego's own heads."""
    camera = site.camera
    lines = [shapely.LineString([(camera.x, camera.y), (s.x, s.y)]) for s in signals if s.role == "ego"]
    reach = {"tree": 0.32, "bush": 0.0, "street_lamp": 0.0, "pole": 0.0, "sign": 0.0}

    def hides(thing: Thing) -> bool:
        if thing.kind not in ("tree", "street_lamp", "pole", "sign") or thing.height < 2.0:
            return False
        wide = 0.25 + reach[thing.kind] * thing.width * 1.3
        return any(line.distance(shapely.Point(thing.x, thing.y)) < wide for line in lines)

    return [thing for thing in things if not hides(thing)]


def facts(
    recipe: SceneRecipe,
    index: int,
    place: Place,
    wish: Wish,
    site: Site,
    ground: Ground,
    sources: tuple[int, ...],
    crossing_ids: tuple[int, ...],
) -> Facts:
    """What the generator knows beyond the pixels."""
    rng = stream(recipe.digest, index, "facts")
    moment, camera = site.moment, site.camera
    edge = moment.edge
    at_junction = wish.site in ("signalised", "unsignalised")
    here = project(site.route, camera.x, camera.y)[0]
    ahead = []
    for marking in ground.markings:
        if marking.id in crossing_ids:
            middle = np.mean(np.array(marking.points), axis=0)
            apart = project(site.route, float(middle[0]), float(middle[1]))[0] - here - marking.width / 2
            if apart > -1:
                ahead.append(max(apart, 0.0))
    speed = speed_near(place.traffic, moment.time, camera.x, camera.y, edge.limit_kmh, rng)
    return Facts(
        road_class="toll" if site.plaza is not None else edge.road_class,
        limit_kmh=edge.limit_kmh,
        limit_sources=sources,
        limit_in_context=wish.context,
        junction_m=round(site.stop_m, 2) if at_junction and site.stop_m is not None else None,
        junction_signalised=at_junction and place.streets.signalised(edge.end),
        junction_id=ground.junction_ids.get(edge.end, 0) if at_junction else 0,
        crossing_m=round(min(ahead), 2) if ahead else None,
        crossing_ids=crossing_ids,
        ego_movement=moment.link.movement if moment.link is not None else "straight",
        ego_lane=edge.drive.index(moment.lane),
        lanes=len(edge.drive),
        ego_speed_mps=round(speed, 3),
        time_s=round(moment.time, 3),
    )
