"""Advisory and Light: plain frozen values, their JSON form and its schema."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

SLOTS = ("speed", "light", "obstacles", "crossroad")
LIGHT_STATES = ("none", "red", "yellow", "green", "off")
MOVEMENTS = ("any", "straight", "left", "right")
PLACES = ("junction", "toll")
OBSTACLES = ("cone", "barrier", "construction", "debris", "pedestrian", "animal", "crash")
CROSSROADS = ("intersection", "pedestrian_crossing")
SPEEDS = tuple(range(0, 131, 5))
"""Every speed an Advisory may recommend, km/h."""


@dataclass(frozen=True)
class Light:
    """The traffic light that concerns the ego car.

    `movement` "any" = it holds for every movement (or the picture does not tell). `other` is a second light worth
    naming, as (state, movement). Raises ValueError on a value outside the vocabulary and on "none" with a movement,
    place or other.
    """

    state: str
    movement: str = "any"
    place: str = "junction"
    other: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        _member("light state", self.state, LIGHT_STATES)
        _member("movement", self.movement, MOVEMENTS)
        _member("place", self.place, PLACES)
        if self.other is not None:
            if not isinstance(self.other, (tuple, list)) or len(self.other) != 2:
                raise ValueError(f"the other light must be a pair (state, movement), not {self.other!r}")
            object.__setattr__(self, "other", tuple(self.other))
            _member("state of the other light", self.other[0], LIGHT_STATES[1:])
            _member("movement of the other light", self.other[1], MOVEMENTS)
        if self.state == "none" and (self.movement, self.place, self.other) != ("any", "junction", None):
            raise ValueError('a light "none" cannot have a movement, a place or another light')

    def to_dict(self) -> dict[str, Any]:
        """`{"state", "movement", "place", "other": null | {"state", "movement"}}`."""
        other = None if self.other is None else {"state": self.other[0], "movement": self.other[1]}
        return {"state": self.state, "movement": self.movement, "place": self.place, "other": other}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Light:
        """Inverse of `to_dict`; absent or null keys take their defaults. Raises ValueError."""
        _mapping("light", value, ("state", "movement", "place", "other"))
        other: Any = value.get("other")
        if isinstance(other, Mapping):
            _mapping("other light", other, ("state", "movement"))
            other = (other.get("state"), other.get("movement") or "any")
        return cls(
            state=value.get("state"),  # type: ignore[arg-type]  # checked by the constructor
            movement=value.get("movement") or "any",
            place=value.get("place") or "junction",
            other=other,
        )


@dataclass(frozen=True)
class Advisory:
    """The answer for one frame. A slot is None where a prediction could not be read or was withheld.

    `speed_kmh` is one of `SPEEDS`; `obstacles` and `crossroad` hold kinds of `OBSTACLES` and `CROSSROADS` (an empty
    set says that there is none). Raises ValueError on anything else.
    """

    speed_kmh: int | None
    light: Light | None
    obstacles: frozenset[str] | None
    crossroad: frozenset[str] | None

    def __post_init__(self) -> None:
        check_speed(self.speed_kmh)
        if self.light is not None and not isinstance(self.light, Light):
            raise ValueError(f"light must be a Light or None, not {self.light!r}")
        object.__setattr__(self, "obstacles", _kinds("obstacle", self.obstacles, OBSTACLES))
        object.__setattr__(self, "crossroad", _kinds("crossroad", self.crossroad, CROSSROADS))

    def text(self) -> str:
        """The canonical sentences, in the order of `SLOTS`. Raises ValueError where a slot is None."""
        from pacenote.advisory.text import slot_text

        return " ".join(slot_text(self, slot) for slot in SLOTS)

    @staticmethod
    def parse(text: str) -> Advisory:
        """Read canonical text, JSON, markdown or free prose. What cannot be read is None; never raises on a str."""
        from pacenote.advisory.parse import parse

        return parse(text)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, valid under `advisory_schema`; kinds in canonical order."""
        return {
            "speed_kmh": self.speed_kmh,
            "light": None if self.light is None else self.light.to_dict(),
            "obstacles": None if self.obstacles is None else [k for k in OBSTACLES if k in self.obstacles],
            "crossroad": None if self.crossroad is None else [k for k in CROSSROADS if k in self.crossroad],
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Advisory:
        """Inverse of `to_dict`; an absent key is None. Raises ValueError."""
        _mapping("advisory", value, ("speed_kmh", "light", "obstacles", "crossroad"))
        light = value.get("light")
        return cls(
            speed_kmh=value.get("speed_kmh"),
            light=None if light is None else Light.from_dict(light),
            obstacles=value.get("obstacles"),
            crossroad=value.get("crossroad"),
        )


def advisory_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of `Advisory.to_dict()`. A fresh dict each time, free to change."""
    sighted = list(LIGHT_STATES[1:])
    other = {
        "type": "object",
        "properties": {"state": {"enum": sighted}, "movement": {"enum": list(MOVEMENTS)}},
        "required": ["state", "movement"],
        "additionalProperties": False,
    }
    light = {
        "type": "object",
        "properties": {
            "state": {"enum": list(LIGHT_STATES)},
            "movement": {"enum": list(MOVEMENTS)},
            "place": {"enum": list(PLACES)},
            "other": {"anyOf": [{"type": "null"}, other]},
        },
        "required": ["state", "movement", "place", "other"],
        "additionalProperties": False,
        "if": {"properties": {"state": {"const": "none"}}},
        "then": {
            "properties": {"movement": {"const": "any"}, "place": {"const": "junction"}, "other": {"type": "null"}}
        },
    }

    def kinds(names: tuple[str, ...]) -> dict[str, Any]:
        return {"type": ["array", "null"], "items": {"enum": list(names)}, "uniqueItems": True}

    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Advisory",
        "type": "object",
        "properties": {
            "speed_kmh": {"type": ["integer", "null"], "minimum": 0, "maximum": SPEEDS[-1], "multipleOf": 5},
            "light": {"anyOf": [{"type": "null"}, light]},
            "obstacles": kinds(OBSTACLES),
            "crossroad": kinds(CROSSROADS),
        },
        "required": ["speed_kmh", "light", "obstacles", "crossroad"],
        "additionalProperties": False,
    }


def check_speed(value: Any) -> None:
    """Raise ValueError unless `value` is None or one of `SPEEDS`."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value not in SPEEDS):
        raise ValueError(f"speed_kmh must be a multiple of 5 in 0..{SPEEDS[-1]} or None, not {value!r}")


def _member(what: str, value: Any, allowed: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{what} must be one of {', '.join(allowed)}, not {value!r}")


def _kinds(what: str, value: Any, allowed: tuple[str, ...]) -> frozenset[str] | None:
    if value is None:
        return None
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ValueError(f"the {what} kinds must be a set, not {value!r}")
    items = tuple(value)
    for item in items:
        _member(f"{what} kind", item, allowed)
    return frozenset(items)


def _mapping(what: str, value: Any, keys: tuple[str, ...]) -> None:
    if not isinstance(value, Mapping):
        raise ValueError(f"{what} must be an object, not {value!r}")
    for key in value:
        _member(f"key of {what}", key, keys)
