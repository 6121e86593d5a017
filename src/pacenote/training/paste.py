"""Limit signs put up, and people and obstacles stood on the road, in views of other frames.

Few frames show a number near enough to read, or a person on the road, and a tower that has seen a few hundred of them
does not know them: it takes cars for people and walks past people. The class map, the evidence and the truth follow the
picture; the recommended speed is kept only where the rules give it whatever else holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pacenote.advisory import OBSTACLES, Truth
from pacenote.data.classes import CLASS_INDEX
from pacenote.scenes.rules import FLOOR_KMH, PEDESTRIAN_KMH
from pacenote.training.cutouts import SIGN, Cutout, Lent, paint
from pacenote.training.frames import plate

if TYPE_CHECKING:
    import numpy as np

    from pacenote.training.frames import Record

GROUND = [CLASS_INDEX[name] for name in ("road", "junction", "line", "zebra", "stop_line", "arrow", "number")]
FLAT = ("intersection", "pedestrian_crossing")  # what a thing may stand before
TRAFFIC = ("car", "van", "truck", "bus", "motorcycle", "bicycle")  # what an obstacle may hide some of
LARGER = (0.9, 1.5)
LEAST_PX = 12.0  # width of a plate in the view
MOST_SIGNS = 4  # in one view
TRIES = 8
NEARER = (1.0, 1.6)  # never farther than it was: what could be seen there can be seen here
HORIZON = 0.45  # of the height of a stored frame, about; sizes grow with the distance of the feet below it
IN_SIGHT = 0.6  # share of a thing that must lie within the view
MOST_THINGS = 2  # in one view; crowds of five, half of them people, taught no more (docs/results.md)
BESIDE = 0.3  # share of people who are stood beside the road
KERB = 0.4  # heights of a person (0.7 m, as the gates have it) that must lie between him and the carriageway


@dataclass(frozen=True)
class Shown:
    """Where a view lies in its stored frame: `origin` (x, y) and `scale`, px of the view for one as stored; the
    frame's `height`."""

    origin: tuple[int, int]
    scale: float
    height: int


def put_up(
    image: np.ndarray,
    classes: np.ndarray,
    record: Record,
    known: bool,
    signs: Sequence[Cutout],
    scale: float,
    rng: np.random.Generator,
) -> Record:
    """Paint one to MOST_SIGNS of `signs` into a view, in place; returns its record.

    `scale`: px of the view for one px as stored. `known`: no other limit is told; then a single sign is the limit.
    """
    objects = list(record.objects)
    for _ in range(int(rng.integers(1, MOST_SIGNS + 1)) if rng.random() < 0.5 else 1):
        sign = signs[int(rng.integers(len(signs)))]
        box = _put(image, classes, objects, sign, scale, rng)
        if box is not None:
            objects.append({**sign.item, "box": box})
    added = len(objects) - len(record.objects)
    if not added:
        return record
    if added > 1 or not known:
        objects.append({"kind": SIGN, "role": "ahead", "stated": None})
    return replace(record, truth=replace(record.truth, speed_kmh=None), objects=tuple(objects))


def _put(
    image: np.ndarray,
    classes: np.ndarray,
    objects: Sequence[dict[str, Any]],
    sign: Cutout,
    scale: float,
    rng: np.random.Generator,
) -> list[float] | None:
    """Paint a sign off the carriageway where it covers nothing that decides a fact; returns its plate's box."""
    grown = max(scale * float(rng.uniform(*LARGER)), LEAST_PX / sign.plate_px)
    rows, columns = classes.shape
    height, width = (max(8, round(side * grown)) for side in sign.mask.shape)
    within = min(height, rows)  # the post may end below the view
    decided = _decided(objects)
    for _ in range(TRIES):
        if width >= columns:
            return None
        x, y = int(rng.integers(0, columns - width)), int(rng.integers(0, rows - within + 1))
        foot = classes[min(rows - 1, y + within - 1), x + width // 2]
        if foot not in GROUND and not any(overlap(o["box"], (x, y, x + width, y + within)) for o in decided):
            box = paint(image, classes, sign, (x, y), (width, height), "speed_sign")
            return None if box is None else plate(box)
    return None


def stand(
    image: np.ndarray, classes: np.ndarray, record: Record, lent: Lent, shown: Shown, rng: np.random.Generator
) -> Record:
    """Stand one to MOST_THINGS people and obstacles on the road of a view, in place; returns its record.

    Kinds come evenly; day goes to day and night to night. Each stands where the ground is at its feet, as large as its
    distance makes it; some people stand beside the road, where they are no obstacle.
    """
    night = record.conditions.get("time") == "night"
    kinds = [kind for kind in OBSTACLES if (lent.things or {}).get((kind, night))]
    for _ in range(int(rng.integers(1, MOST_THINGS + 1)) if kinds else 0):
        kind = kinds[int(rng.integers(len(kinds)))]
        several = (lent.things or {})[kind, night]
        beside = kind == "pedestrian" and rng.random() < BESIDE
        for _ in range(TRIES):
            one = several[int(rng.integers(len(several)))]
            box = _stand(image, classes, record.objects, one, beside, shown, rng)
            if box is not None:
                item = {**one.item, "box": box, "role": "beside" if beside else "obstacle"}
                truth = record.truth if beside else with_obstacle(record.truth, kind)
                record = replace(record, truth=truth, objects=(*record.objects, item))
                break
    return record


def _stand(
    image: np.ndarray,
    classes: np.ndarray,
    objects: Sequence[dict[str, Any]],
    one: Cutout,
    beside: bool,
    shown: Shown,
    rng: np.random.Generator,
) -> list[float] | None:
    """Paint `one` at a place where its feet are on the carriageway, or well beside it; None where it finds none."""
    import numpy as np

    rows, columns = classes.shape
    nearer = float(rng.uniform(*NEARER))
    horizon = HORIZON * shown.height
    foot = round((horizon + (one.item["box"][3] - horizon) * nearer - shown.origin[1]) * shown.scale)
    height, width = (max(2, round(side * nearer * shown.scale)) for side in one.mask.shape)
    if not 0 < foot <= rows or one.item["box"][3] <= horizon:
        return None
    ground = np.isin(classes[foot - 1], GROUND)
    reach = max(1, round(KERB * height if beside else 0.3 * width))
    padded = np.pad(ground, reach, mode="edge")
    sides = np.stack([padded[: -2 * reach], ground, padded[2 * reach :]])
    if beside:
        near = np.convolve(padded, np.ones(2 * reach + 1), "valid") > 0
        free = np.flatnonzero(~near & np.isin(classes[foot - 1], _VERGE))
    else:
        free = np.flatnonzero(sides.all(0))
    if not len(free):
        return None
    x, y = int(free[int(rng.integers(len(free)))]) - width // 2, foot - height
    inside = (min(columns, x + width) - max(0, x)) * (foot - max(0, y))
    decided = [o for o in _decided(objects) if o.get("kind") not in TRAFFIC]
    if inside < IN_SIGHT * width * height or any(overlap(o["box"], (x, y, x + width, foot)) for o in decided):
        return None
    return paint(image, classes, one, (x, y), (width, height), one.item["kind"])


_VERGE = [CLASS_INDEX[name] for name in ("sidewalk", "terrain")]


def with_obstacle(truth: Truth, kind: str) -> Truth:
    """`truth` of the same frame with one more obstacle of `kind` on the road.

    The speed is known where it cannot fall (a floor or a ceiling holds already) or a person sets it; else it is not.
    """
    speed = truth.speed_kmh
    if kind == "pedestrian" and speed is not None:
        speed = min(speed, PEDESTRIAN_KMH)
    elif not truth.obstacles.get(kind) and (speed is None or speed > FLOOR_KMH):
        speed = None
    return replace(truth, speed_kmh=speed, obstacles={**truth.obstacles, kind: True}, obstacles_any=True)


def _decided(objects: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What must stay in sight, because a fact hangs on it."""
    return [o for o in objects if o.get("box") and o.get("stated") is not False and o.get("kind") not in FLAT]


def overlap(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether two boxes (x0, y0, x1, y1) share an area."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
