"""Random views of a stored frame: what a camera, a lens or the weather could have done without changing the truth.

Hue stays nearly where it is, because it carries the light's state; a mirror image swaps left and right in the truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pacenote.training.cutouts import Lent
from pacenote.training.frames import Frames, Record, mirrored, shown_limit
from pacenote.training.paste import Shown, overlap, put_up, stand

if TYPE_CHECKING:
    import numpy as np

SEEN = (448, 252)  # width, height of what the model sees


@dataclass(frozen=True)
class Strength:
    """How much a view may differ. All zero = the plain frame."""

    photometric: float = 1.0
    zoom: float = 0.25  # largest share of the width that a crop may cut away
    zoomed: float = 0.5  # share of views that are cropped at all
    flip: float = 0.5
    cutout: float = 0.3
    signs: float = 0.0  # share of views with limit signs of other frames put up
    things: float = 0.0  # share of views with people or obstacles of other frames on the road


PLAIN = Strength(0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class View:
    """`image` (252, 448, 3) and `classes` (252, 448) uint8; `record` with boxes in pixels of this view.

    `hidden`: kinds of stated objects whose centre left the picture; the facts that they decide are unknown here.
    """

    image: np.ndarray
    classes: np.ndarray
    record: Record
    hidden: frozenset[str]
    native: np.ndarray  # the same picture as stored: sharper, without photometric changes


def view_of(
    frames: Frames, index: int, rng: np.random.Generator, strength: Strength = PLAIN, size: tuple[int, int] = SEEN
) -> View:
    """A random view of frame `index`, at times with signs and things of other frames in it."""
    lent = frames.lent if (strength.signs or strength.things) and frames.has_map[index] else Lent()
    aims = frames.aims[index] if frames.aims else {}
    return view(frames.images[index], frames.maps[index], frames.records[index], rng, strength, size, lent, aims)


def view(
    image: np.ndarray,
    classes: np.ndarray,
    record: Record,
    rng: np.random.Generator,
    strength: Strength = PLAIN,
    size: tuple[int, int] = SEEN,
    lent: Lent = Lent(),
    aims: Mapping[str, list[list[float]]] = {},
) -> View:
    """A random view of one stored frame, with some of what is `lent` in it. Same `rng` state, same view. `aims` say
    where a part is worth a look if the record tells of nothing there."""
    import cv2
    import numpy as np

    height, width = classes.shape
    flip = rng.random() < strength.flip and not _has_text(record)
    if flip:
        image, classes, record = image[:, ::-1], classes[:, ::-1], mirrored(record, width)
        aims = {name: [[width - x1, y0, width - x0, y1] for x0, y0, x1, y1 in boxes] for name, boxes in aims.items()}
    # A view smaller than SEEN shows a part of the frame at the same scale.
    share = np.array([min(1.0, size[0] / SEEN[0]), min(1.0, size[1] / SEEN[1])])
    if rng.random() < strength.zoomed and strength.zoom > 0:
        low, high = 1 - strength.zoom, 1.0 if share.max() >= 1 else 1 + strength.zoom
        aspect = rng.uniform(0.94, 1.06)
        share = share * rng.uniform(low, high) * (aspect, 1 / aspect)
    w, h = (np.minimum(np.round(share * (width, height)), (width, height))).astype(int).tolist()
    x0, y0 = _place(_interest(record) or aims, (width, height), (w, h), rng)
    how = (
        (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)[int(rng.integers(3))]
        if strength.photometric
        else cv2.INTER_AREA
    )
    crop = np.ascontiguousarray(image[y0 : y0 + h, x0 : x0 + w])
    seen = cv2.resize(crop, size, interpolation=how)
    seen_classes = cv2.resize(
        np.ascontiguousarray(classes[y0 : y0 + h, x0 : x0 + w]), size, interpolation=cv2.INTER_NEAREST
    )
    record, hidden = _move(record, (x0, y0), (size[0] / w, size[1] / h), size)
    if lent.things and rng.random() < strength.things:
        record = stand(seen, seen_classes, record, lent, Shown((x0, y0), size[0] / w, height), rng)
    if lent.signs and rng.random() < strength.signs:
        told = "speed_limit" in hidden or shown_limit(record.objects) != "" or record.conditions.get("limit_kmh")
        record = put_up(seen, seen_classes, record, not told, lent.signs, size[0] / w, rng)
    if strength.photometric:
        seen = photometric(seen, rng, strength.photometric)
    if rng.random() < strength.cutout:
        _cut_out(seen, seen_classes, record, rng)
    return View(seen, seen_classes, record, hidden, crop)


CROP_PX = 96  # px of the stored frame that a crop shows
CROP_SEEN = 168  # px at which the model sees it: 36 visual tokens


def crop_of(seen: View, rng: np.random.Generator, strength: Strength = PLAIN) -> np.ndarray:
    """A crop of the stored picture (168, 168, 3) around the ego car's light, or of where one could hang."""
    import cv2
    import numpy as np

    height, width = seen.native.shape[:2]
    scale = (width / seen.image.shape[1], height / seen.image.shape[0])
    lights = [
        o for o in seen.record.objects
        if o.get("kind") == "traffic_light" and o.get("role") == "ego" and o.get("stated") and o.get("box")
    ]  # fmt: skip
    if lights:
        x0, y0, x1, y1 = max(lights, key=lambda o: o["box"][3] - o["box"][1])["box"]
        centre = ((x0 + x1) / 2 * scale[0], (y0 + y1) / 2 * scale[1])
        centre = (centre[0] + rng.uniform(-0.3, 0.3) * CROP_PX, centre[1] + rng.uniform(-0.3, 0.3) * CROP_PX)
    else:
        centre = (rng.uniform(0.2, 0.8) * width, rng.uniform(0.1, 0.5) * height)
    side = min(CROP_PX, height, width)
    x = int(np.clip(centre[0] - side / 2, 0, width - side))
    y = int(np.clip(centre[1] - side / 2, 0, height - side))
    cut = cv2.resize(np.ascontiguousarray(seen.native[y : y + side, x : x + side]), (CROP_SEEN, CROP_SEEN))
    return photometric(cut, rng, strength.photometric) if strength.photometric else cut


def photometric(image: np.ndarray, rng: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """`image` under another exposure, white balance, haze, focus, sensor noise and compression; same shape, uint8."""
    import cv2
    import numpy as np

    levels = np.linspace(0, 1, 256)
    gamma = np.exp(rng.uniform(-0.5, 0.5) * strength)
    contrast = np.exp(rng.uniform(-0.35, 0.35) * strength)
    brightness = rng.uniform(-0.15, 0.15) * strength
    warmth, tint = rng.uniform(-0.14, 0.14) * strength, rng.uniform(-0.05, 0.05) * strength
    curve = (levels**gamma - 0.5) * contrast + 0.5 + brightness
    gains = np.array([1 + warmth, 1 + tint, 1 - warmth])
    haze = rng.uniform(0, 0.35) * strength if rng.random() < 0.2 else 0.0
    table = (curve[:, None] * gains) * (1 - haze) + haze * rng.uniform(0.5, 0.9)
    out = cv2.LUT(image, np.clip(table * 255, 0, 255).astype(np.uint8)[None])
    saturation = np.exp(rng.uniform(-0.5, 0.4) * strength)
    grey = cv2.cvtColor(cv2.cvtColor(out, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    out = cv2.addWeighted(out, saturation, grey, 1 - saturation, 0)
    kind = rng.random()
    if kind < 0.2:
        out = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.3, 1.0) * strength)
    elif kind < 0.35:  # an over-sharpened phone picture
        soft = cv2.GaussianBlur(out, (0, 0), 1.0)
        amount = rng.uniform(0.3, 1.0) * strength
        out = cv2.addWeighted(out, 1 + amount, soft, -amount, 0)
    if rng.random() < 0.4:
        noise = np.empty(out.shape, np.int16)
        cv2.setRNGSeed(int(rng.integers(2**31)))
        cv2.randn(noise, (0.0,) * 3, (float(rng.uniform(1, 12) * strength),) * 3)
        out = np.clip(out + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.35:
        quality = int(rng.integers(30, 95))
        _, packed = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, quality])
        out = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    return out


def _interest(record: Record) -> dict[str, list[list[float]]]:
    """Boxes of what is worth a look, by kind and role."""
    boxes: dict[str, list[list[float]]] = {}
    for item in record.objects:
        if item.get("box") and item.get("stated") is not False and item.get("kind") not in _LARGE:
            boxes.setdefault(f"{item.get('kind')} {item.get('role')}", []).append(item["box"])
    return boxes


def _place(
    boxes: Mapping[str, list[list[float]]], frame: tuple[int, int], part: tuple[int, int], rng: np.random.Generator
) -> tuple[int, int]:
    """Top left corner of a part of the frame. A part of half the frame or less mostly shows one of `boxes`."""
    import numpy as np

    free = (frame[0] - part[0], frame[1] - part[1])
    corner = (int(rng.integers(0, free[0] + 1)), int(rng.integers(0, free[1] + 1)))
    if part[0] * part[1] * 2 > frame[0] * frame[1] or not boxes or rng.random() < 0.2:
        return corner
    # A kind first: of one animal and twenty lights of other lanes the animal is seen as often as they.
    several = boxes[sorted(boxes)[int(rng.integers(len(boxes)))]]
    x0, y0, x1, y1 = several[int(rng.integers(len(several)))]
    centre = ((x0 + x1) / 2, (y0 + y1) / 2)
    wanted = [centre[axis] - part[axis] * rng.uniform(0.1, 0.9) for axis in (0, 1)]
    return int(np.clip(wanted[0], 0, free[0])), int(np.clip(wanted[1], 0, free[1]))


_LARGE = ("intersection", "car", "van", "truck", "bus")  # plenty of them, or everywhere


def _has_text(record: Record) -> bool:
    """Whether a number that decides a fact can be read in the picture: its mirror image is no number."""
    return any(item.get("stated") and item.get("kind") == "speed_limit" for item in record.objects)


def _move(
    record: Record, origin: tuple[int, int], scale: tuple[float, float], size: tuple[int, int]
) -> tuple[Record, frozenset[str]]:
    from dataclasses import replace

    objects, hidden = [], set()
    for item in record.objects:
        box = item.get("box")
        if box:
            x0, y0, x1, y1 = ((value - origin[axis % 2]) * scale[axis % 2] for axis, value in enumerate(box))
            centre = ((x0 + x1) / 2, (y0 + y1) / 2)
            if not (0 <= centre[0] < size[0] and 0 <= centre[1] < size[1]):
                if item.get("stated") is not False:
                    hidden.add(str(item.get("kind")))
                continue
            item = {**item, "box": [max(0.0, x0), max(0.0, y0), min(float(size[0]), x1), min(float(size[1]), y1)]}
        objects.append(item)
    return replace(record, objects=tuple(objects)), frozenset(hidden)


def _cut_out(image: np.ndarray, classes: np.ndarray, record: Record, rng: np.random.Generator) -> None:
    """Paint one rectangle over the picture, in place, unless it would cover something that is stated."""
    height, width = classes.shape
    w, h = (int(rng.integers(min(16, most // 2), most)) for most in (width // 5, height // 4))
    x, y = int(rng.integers(0, width - w)), int(rng.integers(0, height - h))
    for item in record.objects:
        if item.get("stated") is not False and item.get("box") and overlap(item["box"], (x, y, x + w, y + h)):
            return
    image[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    classes[y : y + h, x : x + w] = 0
