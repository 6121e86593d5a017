"""What is to be painted: an advisory, and the words of the scene around it, as one caption in the form of paper A's
(section 3.2.2, Fig. 5): scene; vehicles; key elements; road conditions; recommended speed.

Captions of frames and prompts for new pictures are written by the same code, so that a painter trained on the first
understands the second. What a caption does not name is not there; so a frame with an unknown fact has no caption.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from pacenote.advisory import CROSSROADS, OBSTACLES, Advisory, Light, Truth, kind_words
from pacenote.errors import InputError
from pacenote.scenes.rules import DENSE_FOG_M, HAZARDS, NEAR_LIGHT_M, WORKS, Seen, recommend_unknown
from pacenote.work import digest

if TYPE_CHECKING:
    from pacenote.data import Sample

WEATHER = {"clear": "clear", "overcast": "overcast", "rain": "rainy", "fog": "foggy", "snow": "snowy"}
TIME = {"day": "", "dusk": " at dusk", "night": " at night"}
ROAD = {
    "motorway": "motorway", "arterial": "arterial road", "urban": "city street", "residential": "residential street",
    "toll": "toll plaza",
}  # fmt: skip
GROUND = {"rain": "wet ground", "snow": "snow on the ground", "fog": "low visibility"}
OBSTACLE = {
    "cone": "traffic cones", "barrier": "barriers", "construction": "road works", "debris": "debris on the road",
    "pedestrian": "a pedestrian on the road", "animal": "an animal on the road", "crash": "crashed cars",
}  # fmt: skip
CROSSROAD = {
    "intersection": "caution needed at the upcoming intersection", "pedestrian_crossing": "a pedestrian crossing ahead",
}  # fmt: skip
VEHICLES = ("car", "van", "truck", "bus", "motorcycle", "bicycle")
SEEN = ("light", "obstacles", "crossroad")  # slots that a picture shows by itself
DETAILS = "details"  # in the provenance of a pair
VARIED = {"weather": WEATHER, "time": TIME}  # scene words that may change while the facts stay


@dataclass(frozen=True)
class Spec:
    """The advisory that a picture shall give, and the scene around it.

    `advisory.speed_kmh` is None where the rules leave it open (how far the light is, how dense the fog); the other
    slots must be known. A scene word "" is not told. `vehicles`: words about the traffic; `details`: about what no slot
    names (`describe`). Raises InputError on an empty slot and on a scene word outside the vocabulary.
    """

    advisory: Advisory
    weather: str = ""
    time: str = ""
    road_class: str = ""
    vehicles: str = ""
    details: str = ""

    def __post_init__(self) -> None:
        empty = [slot for slot in SEEN if getattr(self.advisory, slot) is None]
        if empty:
            raise InputError(f"spec: the slot {empty[0]} is empty; say what it holds, or none")
        for name, known in (("weather", WEATHER), ("time", TIME), ("road_class", ROAD)):
            value = getattr(self, name)
            if value and value not in known:
                raise InputError(f"spec: {name} '{value}' is not one of {', '.join(known)}")

    @property
    def light(self) -> Light:
        assert self.advisory.light is not None
        return self.advisory.light

    @property
    def obstacles(self) -> frozenset[str]:
        assert self.advisory.obstacles is not None
        return self.advisory.obstacles

    @property
    def crossroad(self) -> frozenset[str]:
        assert self.advisory.crossroad is not None
        return self.advisory.crossroad

    @property
    def truth(self) -> Truth:
        return Truth.from_advisory(self.advisory)

    @property
    def conditions(self) -> dict[str, str]:
        """The scene words as the conditions of a Sample."""
        held = {"weather": self.weather, "time": self.time, "road_class": self.road_class}
        return {name: value for name, value in held.items() if value}

    @property
    def digest(self) -> str:
        return digest(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        told = {"advisory": self.advisory.to_dict(), **self.conditions, "vehicles": self.vehicles}
        return {**told, "details": self.details} if self.details else told

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Spec:
        """Inverse of `to_dict`. Raises InputError."""
        try:
            return cls(Advisory.from_dict(value["advisory"]), **{k: v for k, v in value.items() if k != "advisory"})
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"spec: cannot be read ({error}); give advisory, weather, time, road_class") from None

    def facts(self) -> Iterator[tuple[str, str]]:
        """What may be rare in it, as (name, value)."""
        yield "light", self.light.state
        yield from (("obstacles", kind) for kind in sorted(self.obstacles) or ["none"])
        yield from (("crossroad", kind) for kind in sorted(self.crossroad) or ["none"])
        yield from self.conditions.items()

    def prompt(self) -> str:
        """The caption: one paragraph of short sentences."""
        where = f"{WEATHER.get(self.weather, '')} {ROAD.get(self.road_class, 'road')}{TIME.get(self.time, '')}"
        ground = [GROUND[self.weather]] if self.weather in GROUND else []
        sentences = [
            where.strip(),
            self.vehicles,
            ", ".join([*_light_words(self.light), *(OBSTACLE[kind] for kind in OBSTACLES if kind in self.obstacles)]),
            ", ".join(ground + [CROSSROAD[kind] for kind in reversed(CROSSROADS) if kind in self.crossroad]),
            self.details,
            "" if self.advisory.speed_kmh is None else f"recommended speed: {self.advisory.speed_kmh} km/h",
        ]
        return " ".join(f"{text[0].upper()}{text[1:]}." for text in sentences if text)

    def negative(self) -> str:
        """What must not be seen, for a painter that takes a negative prompt."""
        absent = [] if self.light.state != "none" else ["traffic light"]
        absent += [kind_words(kind) for kind in OBSTACLES if kind not in self.obstacles]
        absent += [] if "pedestrian_crossing" in self.crossroad else ["zebra crossing"]
        return ", ".join(absent)

    def with_rules(self) -> Spec:
        """This spec with the speed that the rules give (`scenes.rules`), None where what is unsaid decides it."""
        return replace(self, advisory=replace(self.advisory, speed_kmh=_speed(self)))


def _light_words(light: Light) -> list[str]:
    if light.state == "none":
        return []
    movement = "" if light.movement == "any" else f" for {light.movement}"
    place = " at the toll station" if light.place == "toll" else ""
    told = ["traffic light off" if light.state == "off" else f"{light.state} light on{movement}{place}"]
    return [*told, *([f"{light.other[0]} light for {light.other[1]}"] if light.other else [])]


def _speed(spec: Spec) -> int | None:
    if not spec.road_class or not spec.weather or not spec.time:
        return None
    seen = Seen(
        road_class=cast(Any, spec.road_class), weather=cast(Any, spec.weather), time=cast(Any, spec.time),
        light=spec.light.state, place=spec.light.place,
        crossing="pedestrian_crossing" in spec.crossroad, intersection="intersection" in spec.crossroad,
        works=bool(spec.obstacles & set(WORKS)), hazard=bool(spec.obstacles & set(HAZARDS)),
        pedestrian="pedestrian" in spec.obstacles,
    )  # fmt: skip
    unknown: dict[str, tuple[Any, ...]] = {}
    if spec.light.state in ("red", "yellow"):
        unknown["light_m"] = (0.0, 2 * NEAR_LIGHT_M)
    if spec.weather == "fog":
        unknown["visibility_m"] = (DENSE_FOG_M / 2, 2 * DENSE_FOG_M)
    return recommend_unknown(seen, unknown)[0]


def spec_of(sample: Sample) -> Spec:
    """What a frame shows, by its truth, conditions and evidence, and what a VLM has said of it. Raises InputError where
    a fact of it is not known."""
    advisory = (sample.truth or Truth.unknown()).advisory()
    unknown = [slot for slot in SEEN if getattr(advisory, slot) is None]
    if unknown:
        raise InputError(f"sample {sample.id}: {unknown[0]} is not known, so that a caption could not name it")
    words = {name: str(sample.conditions.get(name) or "") for name in ("weather", "time", "road_class")}
    details = str((sample.provenance or {}).get(DETAILS) or "")
    return Spec(advisory, **words, vehicles=_vehicles((sample.evidence or {}).get("objects", ())), details=details)


def _vehicles(objects: Sequence[Mapping[str, Any]]) -> str:
    stated = [item for item in objects if item.get("stated") and item.get("kind") in VEHICLES]
    ahead = Counter(str(item["kind"]) for item in stated if item.get("role") == "traffic")
    parts = [f"a {kind} ahead" if n == 1 else f"several {_plural(kind)} ahead" for kind, n in ahead.most_common(2)]
    if any(item.get("role") == "oncoming" for item in stated):
        parts.append("oncoming traffic")
    if any(item.get("role") == "parked" for item in stated):
        parts.append("parked cars")
    return ", ".join(parts)


def _plural(kind: str) -> str:
    return f"{kind}es" if kind.endswith("s") else f"{kind}s"


def caption(sample: Sample) -> str:
    """The caption of a frame. Raises InputError where a fact of it is not known."""
    return spec_of(sample).prompt()


def draw_specs(known: Sequence[Spec], count: int, seed: int = 0, vary: float = 0.5) -> list[Spec]:
    """`count` specs that fill the long tail of `known`: what is rare there is drawn as often as what is common.

    A known spec is drawn with the mean over its facts of 1 / (how often the fact occurs); a share `vary` of them takes
    another weather and time, drawn evenly from those that occur. Lights, obstacles and road stay together as they were
    met, so that no toll light stands in a residential street; the speed follows from the rules. A function of its
    arguments alone. Raises InputError where nothing is known.
    """
    import numpy as np

    if not known:
        raise InputError("specs: no frame whose facts are all known; give a Dataset with labelled frames")
    often = Counter(fact for spec in known for fact in spec.facts())
    rare = np.array([np.mean([1 / often[fact] for fact in spec.facts()]) for spec in known])
    values = {name: sorted({getattr(spec, name) for spec in known} - {""}) for name in VARIED}
    rng = np.random.default_rng([seed, 0x5BEC])
    chosen = rng.choice(len(known), size=count, p=rare / rare.sum())
    drawn = []
    for index in chosen:
        spec = known[int(index)]
        if rng.random() < vary:
            words: dict[str, Any] = {name: str(rng.choice(found)) for name, found in values.items() if found}
            spec = replace(spec, details="", **words)  # what was seen in other weather may not be there
        drawn.append(spec.with_rules())
    return drawn
