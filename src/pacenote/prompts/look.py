"""What is known of a frame before the model is asked: an expert's detections, signals of the drive, guesses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pacenote.advisory import OBSTACLES
from pacenote.experts.detection import likely

if TYPE_CHECKING:
    from pacenote.data.sample import Sample
    from pacenote.experts import Detection

SURE = 0.5  # confidence from which a detection counts as seen
GROUPS: dict[str, tuple[str, ...]] = {
    "light": ("traffic_light",), "obstacle": OBSTACLES, "person": ("pedestrian",),
    "crossing": ("pedestrian_crossing",), "intersection": ("intersection",), "sign": ("speed_limit",),
}  # fmt: skip
"""What an aid may show, and how conditions call it -> kinds of detections."""

FACTS: dict[str, str] = {
    "lights": "how many traffic lights are seen",
    "light": "the confidence of the likeliest light of the ego car's own, 0 where none is likely",
    "light_state": "its state",
    "light_px": "the width of its box in pixels of the frame",
    "obstacles": "how many obstacles are seen", "obstacle": "the confidence of the likeliest", "seen": "their kinds",
    "cones": "how many are seen", "people": "how many are seen", "crossing": "confidence of a pedestrian crossing",
    "intersection": "confidence of an intersection", "sign": "confidence of a speed limit sign",
    "weather": "clear, overcast, rain, fog or snow", "time": "day, dusk or night",
    "road": "motorway, arterial, urban, residential or toll",
    "night": "time is night", "rain": "weather is rain", "snow": "weather is snow", "fog": "weather is fog",
    "limit": "the speed limit in km/h, if it was given beside the question",
    "speed": "own speed in km/h, if it was given",
    "previous": "whether the previous frame is at hand",
}  # fmt: skip
"""The facts that conditions and texts of a book may name."""


@dataclass(frozen=True)
class Context:
    """Signals that come with a frame. None: not known. Speeds in km/h."""

    limit_kmh: int | None = None
    speed_kmh: int | None = None
    weather: str | None = None
    time: str | None = None
    road_class: str | None = None

    @classmethod
    def of(cls, sample: Sample) -> Context:
        """What a car would know of `sample` beside the limit, which its question states: its own speed, nothing that is
        read off the truth."""
        return cls(speed_kmh=None if sample.speed_mps is None else round(sample.speed_mps * 3.6))


@dataclass(frozen=True)
class Look:
    """Detections in a frame of `size` px, likeliest first, and `guesses` of weather, time and road_class."""

    size: tuple[int, int]
    detections: tuple[Detection, ...] = ()
    guesses: Mapping[str, str] = field(default_factory=dict)

    def of(self, group: str, least: float = 0.0) -> list[Detection]:
        """Detections of a group of GROUPS from a confidence on, likeliest of the ego car's own first."""
        found = [one for one in self.detections if one.kind in GROUPS[group] and one.confidence >= least]
        return sorted(found, key=lambda one: -likely(one))


def facts(look: Look, context: Context = Context(), previous: bool = False) -> dict[str, Any]:
    """`FACTS` of a frame; what is not known is None. Signals win over guesses."""
    lights, obstacles = look.of("light"), look.of("obstacle")
    best = lights[0] if lights else None
    seen = [one.kind for one in obstacles if one.confidence >= SURE]
    weather = context.weather or look.guesses.get("weather")
    time = context.time or look.guesses.get("time")

    def strongest(group: str) -> float:
        return max((one.confidence for one in look.of(group)), default=0.0)

    return {
        "lights": sum(one.confidence >= SURE for one in lights),
        "light": 0.0 if best is None else likely(best),
        "light_state": (best.state or None) if best else None,
        "light_px": None if best is None else best.box[2] - best.box[0],
        "obstacles": len(seen),
        "obstacle": strongest("obstacle"),
        "seen": [kind for kind in OBSTACLES if kind in seen] or None,
        "cones": seen.count("cone"),
        "people": seen.count("pedestrian"),
        "crossing": strongest("crossing"),
        "intersection": strongest("intersection"),
        "sign": strongest("sign"),
        "weather": weather,
        "time": time,
        "road": context.road_class or look.guesses.get("road_class"),
        "night": None if time is None else time == "night",
        **{name: None if weather is None else weather == name for name in ("rain", "snow", "fog")},
        "limit": context.limit_kmh,
        "speed": context.speed_kmh,
        "previous": previous,
    }
