"""What a scene shall show, drawn before anything is placed: so rare states come as often as asked."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pacenote.scenes.recipe import SceneRecipe
from pacenote.scenes.scene import TimeOfDay, Weather
from pacenote.scenes.seeds import chance, pick, stream, uniform


@dataclass(frozen=True)
class Wish:
    """One scene's request. `light`: state of ego's own light or "none"; `lens_px`: diameter wanted in the frame."""

    site: str  # signalised, unsignalised, midblock, plain, toll
    light: str
    lens_px: float
    occluded: bool  # hide the light behind a truck or a bus
    arrows: bool  # heads of the approach shall differ by movement
    crossing: bool
    obstacles: tuple[str, ...]
    weather: Weather
    time: TimeOfDay
    sign: bool
    painted: bool
    context: bool
    occluder: bool
    fov: float

    def focal(self, width: int) -> float:
        """Pixels per radian at the centre of a frame of `width` pixels."""
        return width / 2 / math.tan(math.radians(self.fov) / 2)


def lens_pixels(recipe: SceneRecipe, rng: np.random.Generator) -> float:
    """A lens diameter: log-normal about the recipe's median inside its bounds, or below them on purpose."""
    asked = recipe.lights
    low, high = asked.lens_px
    if chance(rng, asked.too_small):
        return uniform(rng, 0.35 * low, low)
    value = asked.lens_px_median * math.exp(0.38 * float(rng.standard_normal()))
    return float(min(max(value, low * 1.3), high))


def draw_obstacles(
    recipe: SceneRecipe, index: int, where: str, rng: np.random.Generator | None = None
) -> tuple[str, ...]:
    """Kinds of obstacles, each as often as it shall stand there. `where` tells apart the places of one scene."""
    rng = rng or stream(recipe.digest, index, f"obstacles{where}")
    kinds = [name for name in sorted(recipe.obstacles) if chance(rng, recipe.obstacles[name])]
    crowd = stream(recipe.digest, index, f"crowd{where}")
    return tuple(k for k in kinds for _ in range(int(crowd.integers(1, recipe.crowd.get(k, 1) + 1))))


def draw_wish(recipe: SceneRecipe, index: int, kind: str, attempt: int = 0) -> Wish:
    """The wish of scene `index` on a network of `kind`. Later attempts keep the request and redraw its measures."""
    rng = stream(recipe.digest, index, "wish")
    site = "toll" if kind == "toll" else "plain" if kind == "motorway" else pick(rng, recipe.sites)
    state = pick(rng, recipe.lights.states)
    lit = {
        "signalised": True,
        "toll": chance(rng, recipe.lights.toll),
        "midblock": chance(rng, recipe.lights.midblock_signal),
    }
    crossing = chance(rng, recipe.crossing.get(site, 0.0)) if kind not in ("toll", "motorway") else False
    obstacles = draw_obstacles(recipe, index, "", rng)
    weather, time = pick(rng, recipe.weather), pick(rng, recipe.time)
    sign, painted = chance(rng, recipe.speed_sign), chance(rng, recipe.painted_limit)
    context = chance(rng, recipe.limit_in_context)
    occluded, arrows = chance(rng, recipe.lights.occluded), chance(rng, recipe.lights.arrows)
    occluder = chance(rng, recipe.occluders)
    again = stream(recipe.digest, index, f"measures {attempt}")
    camera = recipe.camera
    return Wish(
        site=site,
        light=state if lit.get(site, False) else "none",
        lens_px=lens_pixels(recipe, again),
        occluded=occluded,
        arrows=arrows,
        crossing=crossing,
        obstacles=obstacles,
        weather=weather,  # type: ignore[arg-type]
        time=time,  # type: ignore[arg-type]
        sign=sign,
        painted=painted,
        context=context,
        occluder=occluder,
        fov=float(again.triangular(camera.fov[0], camera.fov_mode, camera.fov[1])),
    )
