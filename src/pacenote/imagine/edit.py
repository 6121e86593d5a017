"""Photos changed together with their truth: another weather, dusk or night, a turned camera, an obstacle put up.

An edited photo is as real as its base, and its facts are known to change or to stay. What the change hides is no longer
known: each stated object is measured before and after, and one that has lost too much of its contrast, or left the
frame, makes its facts unknown. The speed is kept only where the rules explain it before the change and after.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pacenote.advisory import OBSTACLES, Truth
from pacenote.data import Card, Dataset, DatasetWriter
from pacenote.data.sample import Picture, Sample
from pacenote.errors import InputError
from pacenote.imagine.known import Bytes, Photo, forget, plain_to_see, still_seen, unlisted, with_speed
from pacenote.imagine.weather import VISIBILITY, at_night, view_of, with_weather
from pacenote.work import digest, progress

if TYPE_CHECKING:
    from pathlib import Path

    from pacenote.training.cutouts import Lent

DRY = ("clear", "overcast")  # weather that another can be laid over
INSERTED = tuple(kind for kind in OBSTACLES if kind != "pedestrian")
TURN_DEG = (3.0, 8.0)  # yaw of a turned camera, to either side
PITCH_DEG, ROLL_DEG = 1.5, 2.0
IN_SIGHT = 0.7  # share of an object's box that must stay in the frame
LENT = 400  # frames from which cutouts are taken
QUALITY = 92


class Impossible(Exception):
    """This photo cannot be changed in this way; the reason in words."""


Edit = Callable[[Photo, "Lent", np.random.Generator], Photo]


def edit_dataset(
    data: str | Path,
    out: Path,
    edits: Sequence[str],
    *,
    split: str = "train",
    seed: int = 0,
    limit: int | None = None,
) -> Dataset:
    """Change each labelled frame of `data` in one of `edits`, by turns, into a Dataset in `out` (source "imagined",
    in its frame's scene and split, so that no test frame is trained on under another look); resumes. What cannot be
    changed so is among the rejected, with the reason.

    `edits`: rain, fog, snow, dusk, night, view, or an obstacle to put up (cone, barrier, ...). Obstacles are cut from
    frames of `data` that carry class maps. Raises InputError on an unknown edit and where nothing could be changed.
    """
    strange = [name for name in edits if name not in EDITS]
    if strange or not edits:
        raise InputError(f"--edits {','.join(strange)}: give some of {', '.join(EDITS)}")
    held = Dataset.open(data, split)
    frames = [i for i, task in enumerate(held.column("task")) if task == "advisory"][:limit]
    lent = _lent(held, frames, edits)
    card = Card("edited", digest([held.card, split, list(edits), limit]), seed, description="Changed photos and truth.")
    with DatasetWriter(out, card) as writer:
        for place, index in enumerate(progress(frames, "edit")):
            name = edits[place % len(edits)]
            sample = held[index]
            id = f"{sample.id}+{name}"
            if writer.has(id):
                continue
            try:
                writer.add(edited(sample, name, lent, seed), split)
            except Impossible as reason:
                writer.reject(id, f"{name}: {reason}", sample.source)
    return Dataset.open(out, split)


def edited(sample: Sample, name: str, lent: Lent, seed: int) -> Sample:
    """`sample` after the edit `name`, a function of its arguments. Raises Impossible, and InputError on a sample
    without a readable picture."""
    rng = np.random.default_rng([seed, *digest([sample.id, name]).encode()])
    image = sample.image(0)
    classes = _classes(sample, image.size)
    objects = tuple(dict(item) for item in (sample.evidence or {}).get("objects", ()))
    before = Photo(
        np.asarray(image), classes, objects, sample.truth or Truth.unknown(), dict(sample.conditions), sample.camera
    )
    after = EDITS[name](before, lent, rng)
    after = replace(after, truth=with_speed(before, after))
    classes_after = None if after.classes is None else Picture.encode_classes(after.classes)
    picture = _encode(after.pixels, f"{sample.id}+{name}.jpg")
    change = {"edit": name, "of": sample.id, "seed": seed, **after.numbers}
    return replace(
        sample, id=f"{sample.id}+{name}", images=(picture,), image_roles=("frame",), cameras=sample.cameras[:1],
        truth=after.truth, conditions=after.conditions, evidence={"objects": list(after.objects)},
        segmentation=classes_after, source="imagined", camera=after.camera, answer=None,
        posterior=None, provenance={**sample.provenance, "edited": change},
    )  # fmt: skip


def _classes(sample: Sample, size: tuple[int, int]) -> Bytes | None:
    """The class map at the `size` (width, height) of the picture."""
    import cv2

    classes = sample.class_map()
    if classes is None or classes.shape == (size[1], size[0]):
        return classes
    return np.asarray(cv2.resize(classes, size, interpolation=cv2.INTER_NEAREST))


def _encode(pixels: Bytes, name: str) -> Picture:
    from PIL import Image

    return Picture.encode(Image.fromarray(pixels), name, quality=QUALITY)


# --- the edits ---------------------------------------------------------------------------------------------------


def _weather(name: str) -> Edit:
    def change(photo: Photo, lent: Lent, rng: np.random.Generator) -> Photo:
        if photo.conditions.get("weather") not in DRY:
            raise Impossible(f"the weather is {photo.conditions.get('weather') or 'not known'} already")
        view = view_of(photo.pixels, photo.classes, photo.camera)
        pixels, numbers = with_weather(view, name, str(photo.conditions.get("time") or "day"), rng)
        conditions = {**photo.conditions, "weather": name}
        return still_seen(photo, replace(photo, pixels=pixels, conditions=conditions, numbers=numbers))

    return change


def _darkness(name: str) -> Edit:
    def change(photo: Photo, lent: Lent, rng: np.random.Generator) -> Photo:
        if photo.conditions.get("time") != "day":
            raise Impossible(f"the time is {photo.conditions.get('time') or 'not known'} already")
        lit = photo.truth.light_state not in ("none", "off") or any(
            item.get("kind") == "traffic_light" for item in photo.objects
        )
        if photo.classes is None and lit:
            raise Impossible("which pixels shine by themselves is not known without a class map")
        view = view_of(photo.pixels, photo.classes, photo.camera)
        pixels, numbers = at_night(view, name, None, rng)
        conditions = {**photo.conditions, "time": name}
        return still_seen(photo, replace(photo, pixels=pixels, conditions=conditions, numbers=numbers))

    return change


def _turned(photo: Photo, lent: Lent, rng: np.random.Generator) -> Photo:
    """The camera turned on the spot: a homography K R K^-1, exact for any depth, enlarged until no border shows."""
    import cv2

    height, width = photo.pixels.shape[:2]
    inner = view_of(photo.pixels, photo.classes, photo.camera).camera
    focal = width / 2 / math.tan(math.radians(inner.fov) / 2)
    yaw = math.radians(float(rng.uniform(*TURN_DEG)) * float(rng.choice((-1, 1))))
    pitch, roll = (math.radians(float(rng.uniform(-most, most))) for most in (PITCH_DEG, ROLL_DEG))
    matrix = _homography(width, height, focal, yaw, pitch, roll)
    pixels = cv2.warpPerspective(photo.pixels, matrix, (width, height), flags=cv2.INTER_CUBIC)
    classes = photo.classes
    if classes is not None:
        classes = cv2.warpPerspective(classes, matrix, (width, height), flags=cv2.INTER_NEAREST)
    objects = tuple(_moved(item, matrix, (width, height)) for item in photo.objects)
    numbers = {"yaw_deg": round(math.degrees(yaw), 2), "zoom": round(float(np.linalg.det(matrix)) ** (1 / 3), 3)}
    after = replace(photo, pixels=pixels, classes=classes, objects=objects, camera=None, numbers=numbers)
    gone = {int(place) for place, item in enumerate(objects) if item.get("in_frame", 1.0) < IN_SIGHT}
    truth = forget(photo.truth, [photo.objects[place] for place in gone])
    return replace(after, truth=unlisted(truth, photo.objects))


def _homography(width: int, height: int, focal: float, yaw: float, pitch: float, roll: float) -> Any:
    """From pixels of the photo to pixels of the turned one, enlarged about its centre until the photo covers it."""
    k = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (math.cos, math.sin))
    turn = (
        np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        @ np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
        @ np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    )
    matrix = k @ turn @ np.linalg.inv(k)
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], float).T
    for zoom in np.linspace(1.0, 2.0, 201):
        grown = np.array([[zoom, 0, (1 - zoom) * width / 2], [0, zoom, (1 - zoom) * height / 2], [0, 0, 1]]) @ matrix
        source = np.linalg.inv(grown) @ corners
        x, y = source[0] / source[2], source[1] / source[2]
        if (x >= 0).all() and (x <= width).all() and (y >= 0).all() and (y <= height).all():
            return grown
    raise Impossible("the camera would have to look beyond the frame")


def _moved(item: dict[str, Any], matrix: Any, size: tuple[int, int]) -> dict[str, Any]:
    if not item.get("box"):
        return item
    x0, y0, x1, y1 = item["box"]
    corners = matrix @ np.array([[x0, x1, x0, x1], [y0, y0, y1, y1], [1, 1, 1, 1]], float)
    x, y = corners[0] / corners[2], corners[1] / corners[2]
    whole = max(float((x.max() - x.min()) * (y.max() - y.min())), 1e-6)
    box = [max(0.0, float(x.min())), max(0.0, float(y.min())), min(float(size[0]), float(x.max())),
           min(float(size[1]), float(y.max()))]  # fmt: skip
    share = max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1]) / whole
    stated = item.get("stated") if share >= IN_SIGHT or item.get("stated") is False else None
    return {**item, "box": box if share else None, "in_frame": round(share, 3), "stated": stated}


def _inserted(kind: str) -> Edit:
    def change(photo: Photo, lent: Lent, rng: np.random.Generator) -> Photo:
        from pacenote.training.frames import Record
        from pacenote.training.paste import Shown, stand

        if photo.classes is None:
            raise Impossible("where the road is, is not known without a class map")
        if photo.truth.obstacles.get(kind):
            raise Impossible("one is there already")
        night = photo.conditions.get("time") == "night"
        several = (lent.things or {}).get((kind, night))
        if not several:
            raise Impossible(f"no frame by {'night' if night else 'day'} lends one")
        pixels, classes = photo.pixels.copy(), photo.classes.copy()
        record = Record("", photo.truth, photo.objects, photo.conditions, None, 1.0, {}, "")
        shown = Shown((0, 0), 1.0, pixels.shape[0])
        found = stand(pixels, classes, record, replace(lent, things={(kind, night): several}), shown, rng)
        if len(found.objects) == len(photo.objects):
            raise Impossible("no free place on the road")
        after = replace(photo, pixels=pixels, classes=classes, objects=found.objects, truth=found.truth)
        if not all(plain_to_see(after, item) for item in found.objects[len(photo.objects) :]):
            raise Impossible("it would hardly be seen there")
        return still_seen(photo, after)

    return change


EDITS: dict[str, Edit] = {
    **{name: _weather(name) for name in VISIBILITY}, "dusk": _darkness("dusk"), "night": _darkness("night"),
    "view": _turned, **{kind: _inserted(kind) for kind in INSERTED},
}  # fmt: skip


def _lent(data: Dataset, frames: Sequence[int], edits: Sequence[str]) -> Lent:
    """What frames of `data` lend: nothing where no obstacle is asked for. Only as many frames as give enough."""
    from pacenote.training.cutouts import Cutout, Lent, cut_thing

    wanted = [name for name in edits if name in INSERTED]
    things: dict[tuple[str, bool], list[Cutout]] = {}
    for index in (frames if wanted else [])[:LENT]:
        sample = data[index]
        image = np.asarray(sample.image(0))
        classes = _classes(sample, (image.shape[1], image.shape[0]))
        if classes is None:
            continue
        for item in (sample.evidence or {}).get("objects", ()):
            if item.get("kind") in wanted and item.get("stated") is True and item.get("box"):
                one = cut_thing(image, classes, item)
                if one is not None:
                    night = sample.conditions.get("time") == "night"
                    things.setdefault((str(item["kind"]), night), []).append(one)
    return Lent(things={key: tuple(several) for key, several in sorted(things.items())})
