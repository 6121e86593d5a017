"""What is known about a frame. Every fact is true, false (or a value), or None = not known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pacenote.advisory.domain import CROSSROADS, LIGHT_STATES, OBSTACLES, Advisory, Light, check_speed


@dataclass(frozen=True)
class Truth:
    """The facts of one frame; a None fact is neither scored nor trained.

    `light` is the whole light and may be None while `light_state` is known. What follows by logic is filled in: the
    state from the light, a "none" light from a "none" state, `*_any` from the kinds, the kinds from a false `*_any`.
    Kinds absent from a dict are None. Raises ValueError on a contradiction or a value outside the vocabulary.
    """

    speed_kmh: int | None = None
    light: Light | None = None
    light_state: str | None = None
    obstacles: dict[str, bool | None] = field(default_factory=dict)
    obstacles_any: bool | None = None
    crossroad: dict[str, bool | None] = field(default_factory=dict)
    crossroad_any: bool | None = None

    def __post_init__(self) -> None:
        check_speed(self.speed_kmh)
        if self.light is not None and not isinstance(self.light, Light):
            raise ValueError(f"light must be a Light or None, not {self.light!r}")
        if self.light_state is not None and self.light_state not in LIGHT_STATES:
            raise ValueError(f"light_state must be one of {', '.join(LIGHT_STATES)} or None, not {self.light_state!r}")
        if self.light is not None:
            if self.light_state not in (None, self.light.state):
                raise ValueError(f"light_state {self.light_state!r} contradicts the light {self.light.state!r}")
            object.__setattr__(self, "light_state", self.light.state)
        elif self.light_state == "none":
            object.__setattr__(self, "light", Light("none"))
        for name, kinds in (("obstacles", OBSTACLES), ("crossroad", CROSSROADS)):
            facts, present = _complete(name, getattr(self, name), getattr(self, f"{name}_any"), kinds)
            object.__setattr__(self, name, facts)
            object.__setattr__(self, f"{name}_any", present)

    def advisory(self) -> Advisory:
        """The advisory these facts give; a slot with an unknown fact is None."""
        return Advisory(self.speed_kmh, self.light, _known(self.obstacles), _known(self.crossroad))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: the seven facts by name, `light` as in `Light.to_dict`, every kind present."""
        return {
            "speed_kmh": self.speed_kmh,
            "light": None if self.light is None else self.light.to_dict(),
            "light_state": self.light_state,
            "obstacles": dict(self.obstacles),
            "obstacles_any": self.obstacles_any,
            "crossroad": dict(self.crossroad),
            "crossroad_any": self.crossroad_any,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Truth:
        """Inverse of `to_dict`; an absent key is not known. Raises ValueError on an unknown key or a contradiction."""
        if not isinstance(value, Mapping):
            raise ValueError(f"truth must be an object, not {value!r}")
        unknown = [key for key in value if key not in cls.__dataclass_fields__]
        if unknown:
            raise ValueError(f"unknown facts {unknown}; the facts are {', '.join(cls.__dataclass_fields__)}")
        light = value.get("light")
        return cls(
            speed_kmh=value.get("speed_kmh"),
            light=None if light is None else Light.from_dict(light),
            light_state=value.get("light_state"),
            obstacles=dict(value.get("obstacles") or {}),
            obstacles_any=value.get("obstacles_any"),
            crossroad=dict(value.get("crossroad") or {}),
            crossroad_any=value.get("crossroad_any"),
        )

    @classmethod
    def from_advisory(cls, advisory: Advisory) -> Truth:
        """Every fact that the advisory states; those of a None slot are not known."""
        obstacles, crossroad = advisory.obstacles, advisory.crossroad
        return cls(
            speed_kmh=advisory.speed_kmh,
            light=advisory.light,
            obstacles={} if obstacles is None else {kind: kind in obstacles for kind in OBSTACLES},
            crossroad={} if crossroad is None else {kind: kind in crossroad for kind in CROSSROADS},
        )

    @classmethod
    def unknown(cls) -> Truth:
        """Nothing is known."""
        return cls()


def _complete(
    name: str, facts: Mapping[str, bool | None], present: bool | None, kinds: tuple[str, ...]
) -> tuple[dict[str, bool | None], bool | None]:
    if not isinstance(facts, Mapping):
        raise ValueError(f"{name} must map kinds to true, false or null, not {facts!r}")
    for kind in facts:
        if kind not in kinds:
            raise ValueError(f"unknown kind {kind!r} in {name}; the kinds are {', '.join(kinds)}")
    for key, fact in [*facts.items(), ("any", present)]:
        if fact is not None and not isinstance(fact, bool):
            raise ValueError(f"{name}.{key} must be true, false or null, not {fact!r}")
    full = {kind: facts.get(kind) for kind in kinds}
    if any(full.values()):
        if present is False:
            raise ValueError(f"{name}_any is false, but {[k for k in kinds if full[k]]} are true")
        return full, True
    if all(fact is False for fact in full.values()):
        if present is True:
            raise ValueError(f"{name}_any is true, but every kind is false")
        return full, False
    if present is False:
        return dict.fromkeys(kinds, False), False
    return full, present


def _known(facts: Mapping[str, bool | None]) -> frozenset[str] | None:
    if any(fact is None for fact in facts.values()):
        return None
    return frozenset(kind for kind, fact in facts.items() if fact)
