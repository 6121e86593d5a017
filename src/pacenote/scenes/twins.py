"""Counterfactual twins: the same scene with one fact flipped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pacenote.scenes.roads import own_crossings, zebra_across
from pacenote.scenes.scene import LightState, Scene
from pacenote.scenes.seeds import choice, stream
from pacenote.scenes.site import Site
from pacenote.scenes.wish import Wish

if TYPE_CHECKING:
    from pacenote.scenes.make import Place

Compose = Callable[[Wish, Site], Scene]
STATES: tuple[LightState, ...] = ("red", "yellow", "green")


def twin(scene: Scene, place: Place, wish: Wish, site: Site, compose: Compose) -> Scene | None:
    """The scene's twin; which fact is flipped is drawn among those that can be. None where none can."""
    rng = stream(scene.recipe, scene.index, "twin")
    ways = [_light, _cone, _pedestrian, _zebra]
    if any(s.role == "ego" for s in scene.signals):
        ways += [_light] * 3  # a light's colour matters most
    for k in rng.permutation(len(ways)):
        made = ways[int(k)](scene, place, wish, site, compose, rng)
        if made is not None:
            flipped, what = made
            return replace(flipped, id=scene.id + "-twin", twin_of=scene.id, flipped=what)
    return None


def _light(
    scene: Scene, place: Place, wish: Wish, site: Site, compose: Compose, rng: np.random.Generator
) -> tuple[Scene, str] | None:
    """Ego's own heads show another state."""
    own = [s for s in scene.signals if s.role == "ego"]
    if not own:
        return None
    old = own[0].state
    toll = own[0].place == "toll"
    new = choice(rng, [s for s in STATES if s != old and not (toll and s == "yellow")])
    signals = tuple(replace(s, state=new) if s.role == "ego" else s for s in scene.signals)
    return replace(scene, signals=signals), f"light {old} -> {new}"


def _kind(scene: Scene, kind: str, wish: Wish, site: Site, compose: Compose) -> tuple[Scene, str] | None:
    """All obstacles of a kind vanish, or some appear."""
    if kind in wish.obstacles:
        things = tuple(t for t in scene.things if not (t.kind == kind and t.on_road))
        return (replace(scene, things=things), f"{kind} removed") if len(things) < len(scene.things) else None
    made = compose(replace(wish, obstacles=tuple(sorted({*wish.obstacles, kind}))), site)
    return (made, f"{kind} added") if any(t.kind == kind and t.on_road for t in made.things) else None


def _cone(
    scene: Scene, place: Place, wish: Wish, site: Site, compose: Compose, rng: np.random.Generator
) -> tuple[Scene, str] | None:
    return _kind(scene, "cone", wish, site, compose)


def _pedestrian(
    scene: Scene, place: Place, wish: Wish, site: Site, compose: Compose, rng: np.random.Generator
) -> tuple[Scene, str] | None:
    return _kind(scene, "pedestrian", wish, site, compose)


def _zebra(
    scene: Scene, place: Place, wish: Wish, site: Site, compose: Compose, rng: np.random.Generator
) -> tuple[Scene, str] | None:
    """All marked crossings of the site vanish, or are painted where people may cross."""
    streets, moment = place.streets, site.moment
    if scene.facts.crossing_ids:
        rest = tuple(m for m in scene.markings if m.kind != "zebra")
        facts = replace(scene.facts, crossing_ids=(), crossing_m=None)
        return replace(scene, markings=rest, facts=facts), "crossing removed"
    if wish.site in ("signalised", "unsignalised"):
        real = own_crossings(streets, moment.edge)
        if not real:
            return None
        painted = frozenset(c.id for c in streets.crossings)
        wider = replace(site, zebras=painted, own_zebras=tuple(c.id for c in real))
    elif wish.site == "plain" and scene.facts.road_class not in ("motorway", "toll"):
        from pacenote.scenes.geometry import at, project

        base = next(lane for lane in moment.edge.lanes if lane.kind != "sidewalk")
        x, y, _ = at(moment.lane.shape, moment.reach)
        along = project(base.shape, x, y)[0]
        wider = replace(site, extra={"own": zebra_across(streets, moment.edge, along + 3.0, 3.6)}, own_zebras=("own",))
    else:
        return None
    made = compose(replace(wish, crossing=True), wider)
    return (made, "crossing added") if made.facts.crossing_ids else None
