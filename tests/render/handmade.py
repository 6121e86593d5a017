"""A hand-made street for tests of the renderer and its benchmark: no SUMO needed."""

from __future__ import annotations

import dataclasses
import math
import random
from typing import Any

from pacenote.scenes.scene import (
    Camera,
    Environment,
    Facts,
    Lamp,
    Marking,
    Scene,
    Signal,
    Surface,
    Thing,
)

STOP_X = 24.0  # the stop line before the junction
COLOURS = [
    (0.6, 0.6, 0.58),
    (0.02, 0.02, 0.025),
    (0.25, 0.26, 0.28),
    (0.35, 0.02, 0.02),
    (0.03, 0.07, 0.25),
    (0.7, 0.7, 0.7),
]


def street(
    seed: int = 0, *, state: Any = "red", environment: Environment | None = None, camera: Camera | None = None
) -> Scene:
    """Ego in the right of two lanes of a street along +x, before a signalised junction with a zebra."""
    rng = random.Random(seed)
    half, walk = 7.0, 4.0
    far = 160.0
    surfaces = [
        Surface("asphalt", ((-60, -half), (STOP_X + 4, -half), (STOP_X + 4, half), (-60, half))),
        Surface("junction", ((STOP_X + 4, -half), (STOP_X + 20, -half), (STOP_X + 20, half), (STOP_X + 4, half)), id=1),
        Surface("asphalt", ((STOP_X + 20, -half), (far, -half), (far, half), (STOP_X + 20, half))),
        Surface("asphalt", ((STOP_X + 4, half), (STOP_X + 20, half), (STOP_X + 20, 90), (STOP_X + 4, 90))),
        Surface("asphalt", ((STOP_X + 4, -90), (STOP_X + 20, -90), (STOP_X + 20, -half), (STOP_X + 4, -half))),
    ]
    for s in (1, -1):
        for x0, x1 in ((-60.0, STOP_X + 4), (STOP_X + 20, far)):
            y0, y1 = sorted((s * half, s * (half + walk)))
            surfaces.append(Surface("sidewalk", ((x0, y0), (x1, y0), (x1, y1), (x0, y1)), z=0.15, seed=seed))
    markings = [
        Marking("line", ((-60, 0.12), (STOP_X, 0.12)), 0.12, "yellow"),
        Marking("line", ((-60, -0.12), (STOP_X, -0.12)), 0.12, "yellow"),
        Marking("dashes", ((-60, -3.5), (STOP_X, -3.5)), 0.12),
        Marking("dashes", ((-60, 3.5), (STOP_X, 3.5)), 0.12),
        Marking("line", ((STOP_X + 20, 0), (far, 0)), 0.12, "yellow"),
        Marking("dashes", ((STOP_X + 20, -3.5), (far, -3.5)), 0.12),
        Marking("line", ((-60, -6.7), (STOP_X, -6.7)), 0.12),
        Marking("stop_line", ((STOP_X, -6.8), (STOP_X, 0)), 0.4),
        Marking("zebra", ((STOP_X + 2.4, -7), (STOP_X + 2.4, 7)), 2.8, id=2),
        Marking("arrow", ((12, -5.2), (13, -5.2)), text="straight+right"),
        Marking("arrow", ((12, -1.8), (13, -1.8)), text="left"),
        Marking("number", ((6, -5.2), (7, -5.2)), text="50", id=3),
    ]
    things: list[Thing] = []
    ids = iter(range(100, 10000))

    def put(kind: Any, x: float, y: float, yaw: float, size: tuple[float, float, float], **more: Any) -> None:
        things.append(Thing(next(ids), kind, x, y, yaw, *size, style=rng.randrange(60), **more))

    for i, x in enumerate((-10.0, 2, 15, 50, 66, 84, 102, 124, 148)):
        for s in (1, -1):
            state_ = rng.choice((("facade",), ("shop",), ("facade", "shop"), ("tower",)))
            put(
                "building",
                x + rng.uniform(-2, 2),
                s * (half + walk + 7.5),
                0.0,
                (rng.uniform(10, 15), 13, rng.uniform(7, 24) + 12 * (i % 3 == 2)),
                colour=tuple(rng.uniform(0.3, 0.7) for _ in range(3)),
                state=state_,
            )
    for x in range(-5, 150, 14):
        if abs(x - STOP_X - 12) < 12:
            continue
        for s in (1, -1):
            tall = rng.uniform(5, 9)
            put("tree", x + rng.uniform(-2, 2), s * (half + 1.3), rng.uniform(0, 6), (tall * 0.6, tall * 0.6, tall))
            put("street_lamp", x + 5, s * (half + 0.6), -s * math.pi / 2, (2.4, 0.3, 8.0))
    for x in (4.0, 13.0, 58.0, 66.0, 75.0, 92.0):
        put(
            "car",
            x + rng.uniform(-1, 1),
            half - 1.1,
            math.pi,
            (4.5, 1.8, 1.47),
            colour=rng.choice(COLOURS),
            state=("parked",),
        )
    lights = ("lights",) if environment and environment.time != "day" else ()
    put("car", 15.5, -1.8, 0.0, (4.6, 1.82, 1.46), colour=rng.choice(COLOURS), state=("brake", *lights))
    put("car", 58, -5.2, 0.0, (4.4, 1.8, 1.5), colour=rng.choice(COLOURS), state=lights)
    put("car", 52, 1.8, math.pi, (4.4, 1.8, 1.5), colour=rng.choice(COLOURS), state=("oncoming", *lights))
    put("truck", 33, 3.0, math.pi / 2, (8, 2.5, 3.4), colour=rng.choice(COLOURS), state=lights)
    put("bus", 90, -5.0, 0.0, (11.5, 2.55, 3.1), colour=rng.choice(COLOURS), state=lights)
    for k in range(4):
        put(
            "cone",
            8 + 3 * k,
            -6.5 + 0.25 * k,
            0.0,
            (0.37, 0.37, 0.71),
            state=(("cone", "drum", "tube", "panel")[seed % 4],),
            on_road=True,
        )
    put("barrier", 21, -6.0, math.pi, (0.5, 1.5, 1.1), state=("plank",), on_road=True)
    for x, y in ((STOP_X + 2.4, -2.0), (STOP_X + 2.2, 4.0), (12, -9), (19, 9)):
        put("pedestrian", x, y, rng.uniform(0, 6), (0.5, 0.5, rng.uniform(1.55, 1.9)), state=("walk",))
    things.append(Thing(50, "speed_sign", 18, -7.8, math.pi, 0.1, 0.7, 2.6, style=seed, text="50"))
    things.append(Thing(51, "sign", 20, 8.0, math.pi, 0.1, 0.7, 2.6, style=seed, state=("no_entry",)))
    signals = (
        Signal(
            10,
            11,
            STOP_X + 19,
            -1.8,
            5.6,
            math.pi,
            state,
            mount="mast",
            foot=(STOP_X + 21, -8.0),
            layout="horizontal" if seed % 2 else "vertical",
            backplate=True,
        ),
        Signal(
            12,
            13,
            STOP_X + 0.5,
            -7.6,
            3.2,
            math.pi,
            state,
            foot=(STOP_X + 0.7, -7.8),
            housing="yellow" if seed % 3 == 0 else "black",
        ),
    )
    lamps = tuple(
        Lamp(t.x + 1.7 * math.cos(t.yaw), t.y + 1.7 * math.sin(t.yaw), 8.0) for t in things if t.kind == "street_lamp"
    )
    return Scene(
        id=f"handmade-{seed}",
        index=seed,
        recipe="handmade",
        network=f"handmade-{seed}",
        seed=seed,
        camera=camera or Camera(0.0, -5.2, 1.35, 0.0, pitch=0.01),
        environment=environment or Environment(seed=seed, sun_azimuth=2.2),
        facts=Facts(),
        surfaces=tuple(surfaces),
        markings=tuple(markings),
        things=tuple(things),
        signals=signals,
        lamps=lamps,
    )


def weathers() -> dict[str, Environment]:
    """One environment of each kind."""
    return {
        "clear": Environment(sun_elevation=0.7, sun_azimuth=2.2, seed=1),
        "overcast": Environment("overcast", seed=2, visibility_m=9000),
        "rain": Environment("rain", seed=3, wetness=0.9, visibility_m=2500, headlights=True),
        "fog": Environment("fog", seed=4, visibility_m=120),
        "snow": Environment("snow", seed=5, snow_cover=0.7, visibility_m=1200),
        "dusk": Environment(
            "clear", "dusk", sun_elevation=0.05, sun_azimuth=0.4, seed=6, headlights=True, street_lamps=True
        ),
        "night": Environment("clear", "night", sun_elevation=-0.3, seed=7, headlights=True, street_lamps=True),
        "wet night": Environment(
            "rain",
            "night",
            sun_elevation=-0.3,
            seed=8,
            wetness=0.95,
            visibility_m=3000,
            headlights=True,
            street_lamps=True,
        ),
    }


def with_environment(scene: Scene, environment: Environment) -> Scene:
    return dataclasses.replace(scene, environment=environment)
