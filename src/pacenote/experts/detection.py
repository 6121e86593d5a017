"""What an expert sees: one `Detection` a thing, and the words that detectors of others use for them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from pacenote.advisory import OBSTACLES

if TYPE_CHECKING:
    from PIL import Image

Box = tuple[float, float, float, float]

KINDS = (
    "traffic_light", *OBSTACLES, "pedestrian_crossing", "intersection", "speed_limit", "vehicle", "bicycle",
)  # fmt: skip
STATES = ("red", "yellow", "green", "off")

# Class names of COCO, of Open Images and of the usual light and cone datasets, in the spelling of `_plain`.
KIND_OF_NAME: dict[str, str] = {
    name: kind
    for kind, names in {
        "traffic_light": "traffic light,trafficlight,traffic signal,signal light,light,tl",
        "cone": "cone,traffic cone,trafficcone,safety cone,road cone,construction cone,drum,barrel,traffic drum,"
        "traffic barrel,tubular marker,tube,delineator,channelizer,channeliser,bollard cone,vertical panel",
        "barrier": "barrier,barricade,traffic barrier,road barrier,jersey barrier,temporary barrier",
        "construction": "construction,construction vehicle,construction sign,excavator,roller,bulldozer,arrow board,"
        "road work,roadwork,road works,work zone",
        "debris": "debris,road debris,obstacle",
        "pedestrian": "person,pedestrian,people,man,woman,child,boy,girl,worker",
        "animal": "animal,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,deer,goat,pig",
        "crash": "crash,accident,car crash,car accident,wreck",
        "pedestrian_crossing": "pedestrian crossing,crosswalk,crossing,zebra crossing,marked crosswalk",
        "intersection": "intersection,junction,crossroad,crossroads",
        "speed_limit": "speed sign,speedlimit",
        "vehicle": "vehicle,car,van,truck,bus,lorry,taxi,pickup,trailer,motorcycle,motorbike,train,tram",
        "bicycle": "bicycle,bike,cyclist,rider,bicyclist",
    }.items()
    for name in names.split(",")
}
_STATE_WORDS = {
    "red": "red", "stop": "red", "yellow": "yellow", "amber": "yellow", "orange": "yellow", "warning": "yellow",
    "green": "green", "go": "green", "off": "off", "unlit": "off",
}  # fmt: skip
_MOVEMENT_WORDS = ("left", "right", "straight", "forward", "arrow")


@dataclass(frozen=True)
class Detection:
    """One thing in a picture.

    `kind` is one of KINDS; `box` = (x0, y0, x1, y1) in pixels of the picture that was given; `confidence` 0..1;
    `state` of a traffic light: red, yellow, green, off, or "" = not known, or no light; `own` is the probability that
    it concerns the ego car (its own light, its own lane), None = not told.
    """

    kind: str
    box: Box
    confidence: float
    state: str = ""
    own: float | None = None


class Expert(Protocol):
    """A detector. `name` is for people, `digest` the identity of its weights and settings (12 hex digits), `kinds` what
    of KINDS it can find: of others its silence says nothing."""

    name: str
    digest: str
    kinds: frozenset[str]

    def detect(self, images: Sequence[Image.Image]) -> list[list[Detection]]:
        """The detections of each picture, best first."""
        ...


def likely(one: Detection) -> float:
    """Confidence that a detection is there and concerns the ego car."""
    return one.confidence * (1.0 if one.own is None else one.own)


def scaled(one: Detection, factor: float) -> Detection:
    """A detection in a picture that is `factor` times as large."""
    x0, y0, x1, y1 = (value * factor for value in one.box)
    return replace(one, box=(x0, y0, x1, y1))


def chance(detections: Iterable[Detection], kind: str) -> float:
    """How likely the likeliest of a kind is, 0 where there is none."""
    return max((likely(one) for one in detections if one.kind == kind), default=0.0)


def kind_of(name: str) -> tuple[str, str] | None:
    """(kind, state) for the class name of a detector; None for a class that does not concern a driver's notes.

    A state stands in the name where the detector tells it ("traffic light red", "red_light", "Green Left"), else "".
    """
    plain = _plain(name)
    if plain in KIND_OF_NAME:
        return KIND_OF_NAME[plain], ""
    if "speed limit" in plain and not plain.startswith("end"):
        return "speed_limit", ""
    words = [word for word in plain.split() if word not in _MOVEMENT_WORDS]
    states = {_STATE_WORDS[word] for word in words if word in _STATE_WORDS}
    rest = " ".join(word for word in words if word not in _STATE_WORDS)
    # A colour alone is a light of that colour; "stop" alone is a sign, "orange" a fruit.
    if len(states) == 1 and (KIND_OF_NAME.get(rest) == "traffic_light" or (len(words) == 1 and words[0] in STATES)):
        return "traffic_light", states.pop()
    return None


def clipped(box: Sequence[float], size: tuple[int, int]) -> Box | None:
    """`box` cut to a picture of `size` = (width, height) px; None where nothing of it is inside."""
    x0, x1 = (min(max(float(x), 0.0), float(size[0])) for x in (box[0], box[2]))
    y0, y1 = (min(max(float(y), 0.0), float(size[1])) for y in (box[1], box[3]))
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def best_first(detections: Iterable[Detection]) -> list[Detection]:
    """Sorted by falling confidence."""
    return sorted(detections, key=lambda one: -one.confidence)


def suppressed(detections: Iterable[Detection], overlap: float = 0.5) -> list[Detection]:
    """The detections, best first, without those whose box shares more than `overlap` (intersection over union) with
    that of a better one of the same kind."""
    kept: list[Detection] = []
    for one in best_first(detections):
        if all(one.kind != better.kind or iou(one.box, better.box) <= overlap for better in kept):
            kept.append(one)
    return kept


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0..1."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def _plain(name: str) -> str:
    """ "TrafficLight-Red" -> "traffic light red"."""
    return " ".join(re.sub(r"(?<=[a-z])(?=[A-Z])|[^A-Za-z0-9]+", " ", name).lower().split())
