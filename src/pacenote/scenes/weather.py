"""Weather, time of day, light: an Environment."""

from __future__ import annotations

import math

import numpy as np

from pacenote.scenes.scene import Environment
from pacenote.scenes.seeds import chance, seed32, uniform
from pacenote.scenes.wish import Wish


def environment(wish: Wish, rng: np.random.Generator) -> Environment:
    """The environment a wish asks for. Visibility is the meteorological range in metres."""
    weather, time = wish.weather, wish.time
    degrees = {"day": uniform(rng, 14, 68), "dusk": uniform(rng, -3.5, 7), "night": uniform(rng, -30, -12)}[time]
    if weather in ("overcast", "rain", "fog", "snow") and time == "day":
        degrees = max(degrees, 20.0)
    visibility = {
        "clear": uniform(rng, 15000, 40000),
        "overcast": uniform(rng, 8000, 25000),
        "rain": math.exp(uniform(rng, math.log(500), math.log(6000))),
        "fog": math.exp(uniform(rng, math.log(60), math.log(350))),
        "snow": math.exp(uniform(rng, math.log(250), math.log(3000))),
    }[weather]
    wetness = {"rain": uniform(rng, 0.5, 1.0), "snow": uniform(rng, 0.1, 0.6), "fog": uniform(rng, 0.0, 0.4)}.get(
        weather, 0.0
    )
    if weather == "overcast" and chance(rng, 0.25):
        wetness = uniform(rng, 0.2, 0.7)  # it has just rained
    cover = uniform(rng, 0.2, 0.9) if weather == "snow" else 0.0
    dark = time == "night" or (time == "dusk" and degrees < 4)
    return Environment(
        weather=weather,
        time=time,
        sun_elevation=round(math.radians(degrees), 4),
        sun_azimuth=round(uniform(rng, -math.pi, math.pi), 4),
        visibility_m=round(visibility, 1),
        wetness=round(wetness, 3),
        snow_cover=round(cover, 3),
        exposure_ev=round(float(np.clip(rng.normal(0, 0.35), -0.8, 0.8)), 3),
        street_lamps=dark and chance(rng, 0.9),
        headlights=dark or (weather in ("rain", "fog", "snow") and chance(rng, 0.7)),
        seed=seed32(rng),
    )
