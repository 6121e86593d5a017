"""Things cut from frames, to be painted into views of others, after Simple Copy-Paste (Ghiasi et al. 2021,
arXiv:2012.07177)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pacenote.advisory import OBSTACLES
from pacenote.data.classes import CLASS_INDEX

if TYPE_CHECKING:
    import numpy as np

    from pacenote.training.frames import Frames

SIGN = "speed_limit"
POST = 2.0  # length of the post that comes along, in heights of the plate
LEGIBLE = 20.0  # standard deviation of the inner pixels of a plate, of 255
WHOLE = 0.85  # share of a thing that must be in sight
GAIN = (0.6, 1.6)  # limits of the change of brightness towards the new surroundings
MOST = 800  # cutouts kept of a kind


@dataclass(frozen=True)
class Cutout:
    """A thing as stored: `picture` (h, w, 3), `mask` (h, w) uint8, mean brightness `around` it, its evidence object."""

    picture: np.ndarray
    mask: np.ndarray
    around: float
    item: dict[str, Any]

    @property
    def plate_px(self) -> float:
        """Width of a sign's plate, px."""
        return float(round(self.item["box"][2]) - round(self.item["box"][0]))


@dataclass(frozen=True)
class Lent:
    """What frames lend each other: limit signs, and obstacles by kind and whether it was night."""

    signs: tuple[Cutout, ...] = ()
    things: Mapping[tuple[str, bool], tuple[Cutout, ...]] | None = None


def lent(frames: Frames) -> Lent:
    """What can be cut out of `frames`: stated, whole, legible where it is a sign, at most MOST of a kind."""
    found: dict[tuple[str, bool], list[tuple[int, dict[str, Any]]]] = {}
    for index, record in enumerate(frames.records):
        night = record.conditions.get("time") == "night"
        for item in record.objects if frames.has_map[index] else ():
            if item.get("stated") is True and item.get("box") and item.get("kind") in (SIGN, *OBSTACLES):
                found.setdefault((str(item["kind"]), night), []).append((index, item))
    cut = {key: tuple(_cut(frames, several)) for key, several in sorted(found.items())}
    signs = tuple(one for (kind, _), several in cut.items() if kind == SIGN for one in several)
    return Lent(signs, {key: several for key, several in cut.items() if key[0] != SIGN and several})


def _cut(frames: Frames, several: Sequence[tuple[int, dict[str, Any]]]) -> Iterator[Cutout]:
    for index, item in several[:: -(-len(several) // MOST)]:
        how = cut_sign if item["kind"] == SIGN else cut_thing
        one = how(frames.images[index], frames.maps[index], item)
        if one is not None:
            yield one


def cut_sign(image: np.ndarray, classes: np.ndarray, item: dict[str, Any]) -> Cutout | None:
    """A limit sign with some of its post; None where the class map does not show it whole, as of painted numbers."""
    import numpy as np

    x0, y0, x1, y1 = (round(value) for value in item["box"])
    width, height = x1 - x0, y1 - y0
    part = np.s_[max(0, y0 - 2) : y1 + round(POST * height), max(0, x0 - 2) : x1 + 2]
    mask = (classes[part] == CLASS_INDEX["speed_sign"]).astype(np.uint8) * 255
    inner = image[y0 + height // 4 : y1 - height // 4, x0 + width // 4 : x1 - width // 4]
    if (mask > 0).sum() < 0.6 * width * height or mask.all() or inner.size == 0 or inner.std() < LEGIBLE:
        return None
    picture = np.array(image[part])
    return Cutout(picture, mask, float(picture[mask == 0].mean()), item)


def cut_thing(image: np.ndarray, classes: np.ndarray, item: dict[str, Any]) -> Cutout | None:
    """An obstacle or a person; None where it is half hidden, cut by the frame, or not alone in its box."""
    import cv2
    import numpy as np

    rows, columns = classes.shape
    x0, y0, x1, y1 = (round(value) for value in item["box"])
    if x0 < 1 or y0 < 1 or x1 >= columns or y1 >= rows or float(item.get("visible") or 0) < WHOLE:
        return None
    part = np.s_[y0 - 1 : y1 + 1, x0 - 1 : x1 + 1]
    mask = (classes[part] == CLASS_INDEX[item["kind"]]).astype(np.uint8)
    _, pieces, found, _ = cv2.connectedComponentsWithStats(mask)
    areas = found[1:, cv2.CC_STAT_AREA]
    if not len(areas) or mask.all():
        return None
    mask = (pieces == 1 + int(areas.argmax())).astype(np.uint8) * 255
    share = float(areas.max()) / max(1.0, float(item.get("pixels") or 0))  # a map counts the pixels of edges too
    if not 0.8 <= share <= 1.8:
        return None
    picture = np.array(image[part])
    return Cutout(picture, mask, float(picture[mask == 0].mean()), item)


def paint(
    image: np.ndarray, classes: np.ndarray, one: Cutout, corner: tuple[int, int], size: tuple[int, int], name: str
) -> list[float] | None:
    """Paint `one`, resized to `size` (width, height), with its top left at `corner`, into a view and its class map
    (class `name`), in place; what lies outside is cut off. Returns the box of what shows, None where nothing does."""
    import cv2
    import numpy as np

    how = cv2.INTER_AREA if size[0] < one.mask.shape[1] else cv2.INTER_LINEAR
    x, y = corner
    rows, columns = classes.shape
    left, top, right, bottom = max(0, x), max(0, y), min(columns, x + size[0]), min(rows, y + size[1])
    if left >= right or top >= bottom:
        return None
    shown = np.s_[top - y : bottom - y, left - x : right - x]
    picture = cv2.resize(one.picture, size, interpolation=how)[shown].astype(np.float32)
    mask = cv2.resize(one.mask, size, interpolation=how)[shown].astype(np.float32) / 255
    inside = mask > 0.5
    if not inside.any():
        return None
    where = np.s_[top:bottom, left:right]
    under = image[where].astype(np.float32)
    picture = np.clip(picture * np.clip(under.mean() / max(one.around, 1.0), *GAIN), 0, 255)
    image[where] = np.round(under + (picture - under) * mask[..., None])
    classes[where][inside] = CLASS_INDEX[name]
    down, across = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    return [float(v) for v in (left + across[0], top + down[0], left + across[-1] + 1, top + down[-1] + 1)]
