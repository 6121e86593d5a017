"""Limits that ego can see: signs beside the lane and numbers painted on it, near enough to read."""

from __future__ import annotations

import math

import numpy as np
from shapely.geometry import Point

from pacenote.scenes.camera import pixel
from pacenote.scenes.draft import Draft
from pacenote.scenes.geometry import at, box, left_of
from pacenote.scenes.roads import painted_number
from pacenote.scenes.scene import Marking
from pacenote.scenes.seeds import choice, seed32, uniform

PLATE_M = 0.75
FIRST_NUMBER = 1300


def limit_sign(draft: Draft, limit: int, until_m: float, rng: np.random.Generator) -> tuple[int, ...]:
    """A sign whose plate fills 18 to 42 pixels, nearer than `until_m`; its id, or nothing where none can be seen."""
    camera = draft.camera
    focal = draft.wish.focal(camera.width)
    for _ in range(8):
        ahead = focal * PLATE_M / uniform(rng, 18.0, 42.0)
        if ahead > until_m:
            continue
        x, y, yaw = at(draft.route, draft.start_m + ahead)
        side = -draft.streets.kerb if rng.random() < 0.85 else draft.streets.kerb
        high = 2.6
        for out in np.arange(2.0, 16.0, 0.5):
            dx, dy = left_of(yaw) * side * float(out)
            px, py = x + float(dx), y + float(dy)
            if draft.road.distance(Point(px, py)) < 0.55:
                continue
            column, row, _depth = pixel(camera, px, py, high - PLATE_M / 2)
            shape = box(px, py, yaw, 0.3, 0.5)
            if 25 < column < camera.width - 25 and 15 < row < camera.height - 15 and draft.free(shape, 0.1):
                sign = draft.add(
                    "sign",
                    "speed_sign",
                    px,
                    py,
                    yaw + math.pi + float(rng.normal(0, 0.06)),
                    (0.12, PLATE_M, high),
                    text=str(limit),
                    style=seed32(rng) % 1000,
                    on_road=False,
                )
                return (sign.id,)
            break
    return ()


def limit_number(draft: Draft, limit: int, until_m: float, rng: np.random.Generator) -> tuple[Marking, ...]:
    """The limit painted on ego's lane, near enough to read and before `until_m` ahead."""
    nearest = draft.camera.z * 4.5
    if until_m < nearest + 2:
        return ()
    x, y, yaw = at(draft.route, draft.start_m + uniform(rng, nearest, min(nearest + 6.0, until_m)))
    return (painted_number(x, y, yaw, limit, FIRST_NUMBER, round(choice(rng, (0.05, 0.15, 0.3)), 2)),)
