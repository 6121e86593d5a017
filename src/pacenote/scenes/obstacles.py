"""Obstacles of the Advisory on ego's way: cones, barriers, construction, debris, crashes, animals, people on the road.

Each is placed where it can be seen: its distance is drawn from the pixels it shall fill.
"""

from __future__ import annotations

import math

import numpy as np
from shapely.geometry import LineString

from pacenote.scenes.draft import Draft, paint
from pacenote.scenes.geometry import at, box, left_of
from pacenote.scenes.scene import ThingKind
from pacenote.scenes.seeds import chance, choice, pick, seed32, uniform

# Height in metres by which an obstacle is judged, and the least height in pixels that it shall have.
LEAST_PX = {
    "cone": 13.0,
    "barrier": 14.0,
    "construction": 20.0,
    "debris": 11.0,
    "pedestrian": 24.0,
    "animal": 19.0,
    "crash": 24.0,
}
DEBRIS = {"tyre": (0.7, 0.7, 0.4), "box": (1.0, 0.8, 0.5), "planks": (1.7, 1.0, 0.25), "rock": (0.9, 0.9, 0.45)}
ANIMALS = {"dog": (0.95, 0.3, 0.65), "deer": (1.6, 0.5, 1.3), "cow": (2.3, 0.8, 1.45)}
CONE_SIZES = {"cone": (0.37, 0.37, 0.71), "drum": (0.6, 0.6, 1.0), "panel": (0.3, 0.28, 1.02), "tube": (0.3, 0.3, 0.9)}


def distance(draft: Draft, kind: str, height: float, limits: tuple[float, float], rng: np.random.Generator) -> float:
    """How far ahead an obstacle stands: log-uniform between the nearest that is in the frame and the farthest that is
    large enough."""
    camera = draft.camera
    focal = draft.wish.focal(camera.width)
    far = min(limits[1], focal * height / LEAST_PX[kind])
    below = math.atan(camera.height / 2 / focal) - camera.pitch  # the frame's lower edge under the horizon
    near = max(limits[0], camera.z / math.tan(max(below, 0.05)) + 0.8)
    far = max(far, near + 0.5)
    return float(math.exp(rng.uniform(math.log(near), math.log(far))))


def _spot(draft: Draft, ahead: float, left: float) -> tuple[float, float, float]:
    """(x, y, yaw of the way) at a distance ahead along ego's route, moved to the left."""
    x, y, yaw = at(draft.route, draft.start_m + ahead)
    dx, dy = left_of(yaw) * left
    return x + float(dx), y + float(dy), yaw


def _clear(draft: Draft, x: float, y: float, yaw: float, size: tuple[float, float]) -> bool:
    """Make room on the road: moving traffic gives way, fixed things do not."""
    shape = box(x, y, yaw, *size)
    if draft.keep_m and shape.distance(LineString(draft.route)) < draft.keep_m:
        return False
    draft.evict(shape, 0.4)
    camera = draft.camera
    return draft.free(shape, 0.1) and math.hypot(x - camera.x, y - camera.y) > 3.0


def _across(rng: np.random.Generator, half: float = 1.7) -> float:
    where = pick(rng, {"own": 0.5, "edge": 0.35, "next": 0.15})
    sign = choice(rng, (-1.0, 1.0))
    return {
        "own": uniform(rng, -1.2, 1.2),
        "edge": sign * uniform(rng, half - 0.3, half + 0.5),
        "next": sign * uniform(rng, 2.4, 4.2),
    }[where]


def _on_road(draft: Draft, ahead: float, left: float, tries: int = 6) -> tuple[float, float, float] | None:
    """A place on the carriageway, drawing back towards ego's own lane when the wish lies beside it."""
    for k in range(tries):
        x, y, yaw = _spot(draft, ahead, left * (1 - k / tries))
        if draft.on_road(x, y):
            return x, y, yaw
    return None


def cones(draft: Draft, limits: tuple[float, float], rng: np.random.Generator) -> bool:
    """One cone, a few, a taper, a lane closure or a row along the edge; cones, drums, panels or tubes."""
    variant = pick(rng, {"cone": 0.62, "drum": 0.16, "panel": 0.13, "tube": 0.09})
    size, style = CONE_SIZES[variant], seed32(rng) % 1000
    form = pick(rng, {"single": 0.24, "few": 0.22, "taper": 0.22, "row": 0.22, "closure": 0.10})
    base = distance(draft, "cone", size[2], limits, rng)
    sign = choice(rng, (-1.0, 1.0))
    spots: list[tuple[float, float]] = []
    if form == "single":
        spots = [(base, _across(rng))]
    elif form == "few":
        spots = [(base + uniform(rng, 0, 6), _across(rng)) for _ in range(int(rng.integers(2, 5)))]
    elif form == "row":
        edge, step = sign * uniform(rng, 1.3, 2.0), uniform(rng, 2.0, 6.0)
        spots = [(base + k * step, edge) for k in range(int(rng.integers(3, 9)))]
    else:
        count, step = int(rng.integers(5, 9)), uniform(rng, 1.6, 3.5)
        across = uniform(rng, 1.9, 3.2)
        spots = [(base + k * step, sign * (1.6 - across * k / (count - 1))) for k in range(count)]
        if form == "closure":
            last, edge = spots[-1]
            spots += [(last + k * 4.0, edge) for k in range(1, 6)]
    placed = 0
    for ahead, left in spots:
        spot = _on_road(draft, ahead, left) if not placed else _spot(draft, ahead, left)
        if spot is None or (placed and not draft.on_road(spot[0], spot[1]) and form != "row"):
            continue
        x, y, yaw = spot
        if _clear(draft, x, y, yaw, size[:2]):
            fallen = chance(rng, 0.03)
            draft.add(
                "obstacle",
                "cone",
                x,
                y,
                yaw + math.pi + float(rng.normal(0, 0.15)),
                size,
                style=style,
                colour=(0.85, 0.13, 0.02),
                state=(variant, "fallen") if fallen else (variant,),
                on_road=True,
            )
            placed += 1
    return placed > 0


def _put(
    draft: Draft,
    kind: ThingKind,
    ahead: float,
    left: float,
    facing: float,
    size: tuple[float, float, float],
    state: tuple[str, ...],
    rng: np.random.Generator,
    on_road: bool | None = True,
) -> bool:
    """One obstacle on the road; a few places are tried before giving up."""
    for k in range(5):
        spot = _on_road(draft, ahead + k * 1.5, left)
        if spot is None:
            continue
        x, y, yaw = spot
        if _clear(draft, x, y, yaw + facing, size[:2]):
            draft.add(
                "obstacle",
                kind,
                x,
                y,
                yaw + facing,
                size,
                style=seed32(rng) % 1000,
                state=state,
                on_road=on_road,
                colour=paint(rng),
            )
            return True
    return False


def barriers(draft: Draft, limits: tuple[float, float], rng: np.random.Generator) -> bool:
    """Boards across the lane, a row of concrete blocks beside it, or site fencing."""
    variant = pick(rng, {"plank": 0.55, "jersey": 0.28, "fence": 0.17})
    height = {"plank": 1.05, "jersey": 0.85, "fence": 1.2}[variant]
    base = distance(draft, "barrier", height, limits, rng)
    if variant == "plank":
        count, left = int(rng.integers(1, 4)), _across(rng)
        wide = uniform(rng, 1.4, 2.4)
        done = [
            _put(
                draft,
                "barrier",
                base,
                left + k * (wide + 0.3),
                math.pi + float(rng.normal(0, 0.1)),
                (0.6, wide, height),
                (variant,),
                rng,
            )
            for k in range(count)
        ]
        return any(done)
    left = choice(rng, (-1.0, 1.0)) * uniform(rng, 1.5, 2.2)
    turned = math.pi / 2 if left > 0 else -math.pi / 2
    done = []
    for k in range(int(rng.integers(2, 7))):
        done.append(
            _put(
                draft,
                "barrier",
                base + k * 2.1,
                left,
                turned,
                (0.6 if variant == "jersey" else 0.4, 2.0, height),
                (variant,),
                rng,
            )
        )
    return any(done)


def construction(draft: Draft, limits: tuple[float, float], rng: np.random.Generator) -> bool:
    """A works sign, a machine, or a trailer with an arrow board."""
    variant = pick(rng, {"sign": 0.5, "excavator": 0.2, "roller": 0.12, "arrow_board": 0.18})
    size = {
        "sign": (0.7, 1.2, 1.75),
        "excavator": (7.0, 2.6, 3.9),
        "roller": (4.2, 1.9, 2.6),
        "arrow_board": (2.2, 2.3, 2.9),
    }[variant]
    base = distance(draft, "construction", size[2] * (1.0 if variant != "sign" else 0.8), limits, rng)
    base = max(base, 9.0 if size[0] > 2 else 6.0)
    left = choice(rng, (-1.0, 1.0)) * uniform(rng, 1.6, 2.8) if variant != "arrow_board" else _across(rng)
    facing = math.pi if variant in ("sign", "arrow_board") else uniform(rng, -math.pi, math.pi)
    return _put(draft, "construction", base, left, facing, size, (variant,), rng)


def debris(draft: Draft, limits: tuple[float, float], rng: np.random.Generator) -> bool:
    """Something that fell on the road; on ego's way, or beside it where ego drives on."""
    variant = choice(rng, tuple(DEBRIS))
    size = DEBRIS[variant]
    base = distance(draft, "debris", size[2], (limits[0], min(limits[1], 26.0)), rng)
    left = uniform(rng, -1.6, 1.6)
    left += math.copysign(draft.keep_m, left)
    return _put(draft, "debris", base, left, uniform(rng, -math.pi, math.pi), size, (variant,), rng)


def animals(draft: Draft, limits: tuple[float, float], rng: np.random.Generator) -> bool:
    """A dog, deer or cow on the road, mostly seen from its side."""
    variant = pick(rng, {"dog": 0.4, "deer": 0.35, "cow": 0.25})
    size = ANIMALS[variant]
    base = distance(draft, "animal", size[2], limits, rng)
    facing = choice(rng, (1.0, -1.0)) * (math.pi / 2 + float(rng.normal(0, 0.5)))
    return _put(draft, "animal", base, _across(rng), facing, size, (variant,), rng)


def crash(draft: Draft, limits: tuple[float, float], rng: np.random.Generator) -> bool:
    """One wreck at an odd angle, or two that have met; fragments lie around."""
    base = max(distance(draft, "crash", 1.45, limits, rng), 9.0)
    left, facing = _across(rng), uniform(rng, -math.pi, math.pi)
    left += math.copysign(draft.keep_m, left)
    size = (4.3, 1.85, 1.4)
    if not _put(draft, "crash", base, left, facing, size, ("wreck",), rng):
        return False
    if chance(rng, 0.6):
        for sign in (1.0, -1.0):
            if _put(
                draft, "crash", base + 3.2, left + sign * 2.2, facing + uniform(rng, 0.8, 2.2), size, ("wreck",), rng
            ):
                break
    return True


def people_on_road(draft: Draft, limits: tuple[float, float], rng: np.random.Generator) -> bool:
    """Somebody crossing (on the zebra where there is one within reach), walking or working on the carriageway."""
    base = distance(draft, "pedestrian", 1.72, limits, rng)
    done = False
    for k in range(pick(rng, {1: 0.65, 2: 0.25, 3: 0.10})):
        crossing = chance(rng, 0.75)
        facing = choice(rng, (1.0, -1.0)) * math.pi / 2 if crossing else uniform(rng, -math.pi, math.pi)
        state: tuple[str, ...] = ("walk",) if crossing or chance(rng, 0.5) else ("stand",)
        if draft.wish.weather == "rain" and chance(rng, 0.5):
            state += ("umbrella",)
        height = uniform(rng, 1.5, 1.9)
        done |= _put(
            draft, "pedestrian", base + 0.9 * k, uniform(rng, -2.4, 2.4), facing, (0.45, 0.55, height), state, rng
        )
    return done


MAKERS = {
    "cone": cones,
    "barrier": barriers,
    "construction": construction,
    "debris": debris,
    "pedestrian": people_on_road,
    "animal": animals,
    "crash": crash,
}
