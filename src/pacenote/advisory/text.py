"""Canonical text: one sentence a slot, with fixed order, spacing and words, so that a decoder can force it.

Example: "Recommended speed: 20 km/h. Traffic light: red for straight, stop and wait; green for left. Obstacles: cone
and barrier, steer around them. Crossroad: intersection and pedestrian crossing, slow down."

- LIGHT = none | STATE[ for MOVEMENT][ at the toll station], ACTION[; STATE for MOVEMENT]
- KINDS = none | KIND[ and KIND]..., ACTION
"""

from __future__ import annotations

import re
from typing import Any

from pacenote.advisory.domain import CROSSROADS, LIGHT_STATES, MOVEMENTS, OBSTACLES, SPEEDS, Advisory, Light

HEADINGS = {
    "speed": "Recommended speed",
    "light": "Traffic light",
    "obstacles": "Obstacles",
    "crossroad": "Crossroad",
}
LIGHT_ACTIONS = {
    "red": "stop and wait",
    "yellow": "prepare to stop",
    "green": "proceed",
    "off": "treat as unsignalled",
}
OBSTACLE_ACTION = "steer around them"
CROSSROAD_ACTION = "slow down"
AT_TOLL = " at the toll station"


def kind_words(kind: str) -> str:
    """A kind as a person reads it: `pedestrian_crossing` -> "pedestrian crossing"."""
    return kind.replace("_", " ")


def slot_text(advisory: Advisory, slot: str) -> str:
    """One sentence of `advisory.text()`. Raises ValueError where the slot is None or unknown."""
    if slot not in HEADINGS:
        raise ValueError(f"unknown slot {slot!r}; the slots are {', '.join(HEADINGS)}")
    value: Any = advisory.speed_kmh if slot == "speed" else getattr(advisory, slot)
    if value is None:
        raise ValueError(f"the slot {slot!r} is unreadable or withheld, so it has no text")
    if slot == "speed":
        said = f"{value} km/h"
    elif slot == "light":
        said = _light_text(value)
    elif slot == "obstacles":
        said = _kinds_text(value, OBSTACLES, OBSTACLE_ACTION)
    else:
        said = _kinds_text(value, CROSSROADS, CROSSROAD_ACTION)
    return f"{HEADINGS[slot]}: {said}."


def _light_text(light: Light) -> str:
    if light.state == "none":
        return "none"
    movement = "" if light.movement == "any" else f" for {light.movement}"
    place = AT_TOLL if light.place == "toll" else ""
    other = "" if light.other is None else f"; {light.other[0]} for {light.other[1]}"
    return f"{light.state}{movement}{place}, {LIGHT_ACTIONS[light.state]}{other}"


def _kinds_text(kinds: frozenset[str], order: tuple[str, ...], action: str) -> str:
    named = [kind_words(kind) for kind in order if kind in kinds]
    return f"{' and '.join(named)}, {action}" if named else "none"


_STATE = "|".join(LIGHT_STATES[1:])
_LIGHT = re.compile(
    rf"(?P<state>{_STATE})(?: for (?P<movement>{'|'.join(MOVEMENTS)}))?(?P<toll>{AT_TOLL})?"
    rf", (?P<action>{'|'.join(LIGHT_ACTIONS.values())})"
    rf"(?:; (?P<other>{_STATE}) for (?P<towards>{'|'.join(MOVEMENTS)}))?"
)
_SENTENCES = re.compile(
    rf"{HEADINGS['speed']}: (?P<speed>[0-9]{{1,3}}) km/h\. "
    rf"{HEADINGS['light']}: (?P<light>[^.]{{4,90}})\. "
    rf"{HEADINGS['obstacles']}: (?P<obstacles>[^.]{{4,110}})\. "
    rf"{HEADINGS['crossroad']}: (?P<crossroad>[^.]{{4,60}})\."
)


def read_canonical(text: str) -> Advisory | None:
    """The exact inverse of `Advisory.text` (white space around it aside); None for any other text."""
    match = _SENTENCES.fullmatch(text.strip())
    if match is None or int(match["speed"]) not in SPEEDS:
        return None
    light = read_canonical_light(match["light"])
    if light is None:
        return None
    obstacles = _read_kinds(match["obstacles"], OBSTACLES, OBSTACLE_ACTION)
    crossroad = _read_kinds(match["crossroad"], CROSSROADS, CROSSROAD_ACTION)
    if obstacles is None or crossroad is None:
        return None
    advisory = Advisory(int(match["speed"]), light, obstacles, crossroad)
    return advisory if advisory.text() == text.strip() else None


def read_canonical_light(text: str) -> Light | None:
    """The inverse of what `Advisory.text` says of a light, between the heading and the full stop."""
    if text == "none":
        return Light("none")
    said = _LIGHT.fullmatch(text)
    if said is None or LIGHT_ACTIONS[said["state"]] != said["action"]:
        return None
    other = None if said["other"] is None else (said["other"], said["towards"])
    return Light(said["state"], said["movement"] or "any", "toll" if said["toll"] else "junction", other)


def _read_kinds(text: str, order: tuple[str, ...], action: str) -> frozenset[str] | None:
    if text == "none":
        return frozenset()
    named, _, rest = text.partition(", ")
    spelled = {kind_words(kind): kind for kind in order}
    words = named.split(" and ")
    if rest != action or any(word not in spelled for word in words):
        return None
    return frozenset(spelled[word] for word in words)
