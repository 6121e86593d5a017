"""Limit signs cut from frames and put up in views of others, after Simple Copy-Paste (Ghiasi et al. 2021,
arXiv:2012.07177).

Few frames show a number near enough to read, and a tower that has seen a number a few hundred times does not read it:
within a patch of 14 px it has to learn each digit at each offset. The class map, the evidence and the truth follow the
picture; the recommended speed of such a view is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pacenote.data.classes import CLASS_INDEX
from pacenote.training.frames import plate

if TYPE_CHECKING:
    import numpy as np

    from pacenote.training.frames import Frames, Record

SIGN = "speed_limit"
GROUND = [CLASS_INDEX[name] for name in ("road", "junction", "line", "zebra", "stop_line", "arrow", "number")]
FLAT = ("intersection", "pedestrian_crossing")  # what a sign may stand before
LARGER = (0.9, 1.5)
LEAST_PX = 12.0  # width of a plate in the view
POST = 2.0  # length of the post that comes along, in heights of the plate
GAIN = (0.6, 1.6)  # limits of the change of brightness towards the new surroundings
LEGIBLE = 20.0  # standard deviation of the inner pixels of a plate, of 255
MOST = 4  # signs in one view
TRIES = 8


@dataclass(frozen=True)
class Cutout:
    """A sign as stored: `picture` (h, w, 3) and `mask` (h, w) uint8, mean brightness `around` it, width of its plate in
    px, its evidence object."""

    picture: np.ndarray
    mask: np.ndarray
    around: float
    plate_px: float
    item: dict[str, Any]


def cutouts(frames: Frames) -> tuple[Cutout, ...]:
    """The signs that can be cut out of `frames`: stated, legible, whole, and not painted on the road."""
    found = (
        cut_out(frames.images[index], frames.maps[index], item)
        for index, record in enumerate(frames.records)
        if frames.has_map[index]
        for item in record.objects
        if item.get("kind") == SIGN and item.get("stated") is True and item.get("box")
    )
    return tuple(one for one in found if one is not None)


def cut_out(image: np.ndarray, classes: np.ndarray, item: dict[str, Any]) -> Cutout | None:
    """One sign with some of its post; None where the class map does not show it whole."""
    import numpy as np

    x0, y0, x1, y1 = (round(value) for value in item["box"])
    width, height = x1 - x0, y1 - y0
    part = np.s_[max(0, y0 - 2) : y1 + round(POST * height), max(0, x0 - 2) : x1 + 2]
    mask = (classes[part] == CLASS_INDEX["speed_sign"]).astype(np.uint8) * 255
    inner = image[y0 + height // 4 : y1 - height // 4, x0 + width // 4 : x1 - width // 4]
    if (mask > 0).sum() < 0.6 * width * height or mask.all() or inner.size == 0 or inner.std() < LEGIBLE:
        return None
    picture = np.array(image[part])
    return Cutout(picture, mask, float(picture[mask == 0].mean()), float(width), item)


def put_up(
    image: np.ndarray,
    classes: np.ndarray,
    record: Record,
    known: bool,
    signs: Sequence[Cutout],
    scale: float,
    rng: np.random.Generator,
) -> Record:
    """Paint one to MOST of `signs` into a view, in place; returns its record.

    `scale`: px of the view for one px as stored. `known`: no other limit is told; then a single sign is the limit.
    """
    objects = list(record.objects)
    for _ in range(int(rng.integers(1, MOST + 1)) if rng.random() < 0.5 else 1):
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
    import cv2
    import numpy as np

    grown = max(scale * float(rng.uniform(*LARGER)), LEAST_PX / sign.plate_px)
    rows, columns = classes.shape
    height, width = (max(8, round(side * grown)) for side in sign.mask.shape)
    height = min(height, rows)  # of the post only
    decided = [o for o in objects if o.get("box") and o.get("stated") is not False and o.get("kind") not in FLAT]
    for _ in range(TRIES):
        if width >= columns:
            return None
        x, y = int(rng.integers(0, columns - width)), int(rng.integers(0, rows - height + 1))
        foot = classes[min(rows - 1, y + height - 1), x + width // 2]
        if foot not in GROUND and not any(overlap(o["box"], (x, y, x + width, y + height)) for o in decided):
            break
    else:
        return None
    size = (width, max(8, round(sign.mask.shape[0] * grown)))
    how = cv2.INTER_AREA if grown < 1 else cv2.INTER_LINEAR
    picture = cv2.resize(sign.picture, size, interpolation=how)[:height].astype(np.float32)
    mask = cv2.resize(sign.mask, size, interpolation=how)[:height].astype(np.float32) / 255
    where = np.s_[y : y + height, x : x + width]
    under = image[where].astype(np.float32)
    picture = np.clip(picture * np.clip(under.mean() / max(sign.around, 1.0), *GAIN), 0, 255)
    image[where] = np.round(under + (picture - under) * mask[..., None])
    inside = mask > 0.5
    classes[where][inside] = CLASS_INDEX["speed_sign"]
    down, across = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    return plate([float(v) for v in (x + across[0], y + down[0], x + across[-1] + 1, y + down[-1] + 1)])


def overlap(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether two boxes (x0, y0, x1, y1) share an area."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
