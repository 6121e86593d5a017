"""People beside the road, and workers: none of them on the carriageway."""

from __future__ import annotations

import math

import numpy as np
from shapely.geometry import Point

from pacenote.scenes.draft import Draft, paint
from pacenote.scenes.geometry import at, box, left_of, length
from pacenote.scenes.seeds import chance, choice, seed32, uniform

KERB_M = 1.0  # nearer to the carriageway somebody may be about to step on it, and no picture tells


def bystanders(draft: Draft, rng: np.random.Generator) -> None:
    """A few people on the sidewalks in view, at least a metre from the carriageway."""
    busy = float(rng.beta(0.9, 2.2)) * 12
    walks = [lane for lane in draft.streets.lanes.values() if lane.kind == "sidewalk"]
    for lane in walks:
        total = length(lane.shape)
        for _ in range(int(rng.poisson(busy * total / 400))):
            x, y, yaw = at(lane.shape, uniform(rng, 0, total))
            away = left_of(yaw) * -draft.streets.kerb * uniform(rng, -0.2, 0.45) * lane.width
            x, y = x + float(away[0]), y + float(away[1])
            if not draft.sight.sees(x, y, 0.5, 90.0) or draft.road.distance(Point(x, y)) < KERB_M:
                continue
            facing = yaw + (0.0 if chance(rng, 0.5) else math.pi) + float(rng.normal(0, 0.3))
            walking = chance(rng, 0.7)
            state: tuple[str, ...] = ("walk",) if walking else ("stand",)
            if draft.wish.weather == "rain" and chance(rng, 0.5):
                state += ("umbrella",)
            if draft.free(box(x, y, facing, 0.5, 0.6), 0.1):
                draft.add(
                    "people",
                    "pedestrian",
                    x,
                    y,
                    facing,
                    (0.45, 0.55, choice(rng, (1.2, 1.6, 1.7, 1.8, 1.85))),
                    z=0.15,
                    style=seed32(rng) % 1000,
                    state=state,
                    colour=paint(rng),
                    on_road=False,
                )
