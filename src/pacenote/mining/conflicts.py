"""Where the picture and the car's other sensors disagree, or labels and what roads are like: a reason to look, never a
reason to overrule either.

Bounds are wide on purpose. An overcast day has over 1,000 lux and street lighting under 50; a tunnel, a bridge or a
covered sensor explains much between, and is worth a look only when it is far out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pacenote.mining.facts import PRESENT

if TYPE_CHECKING:
    from pacenote.mining.labels import Labels

# Lux outside that fits the time of day as seen: (least, most).
LUX = {"day": (50.0, math.inf), "dusk": (0.5, 20_000.0), "night": (0.0, 1_000.0)}
# Local hours at which the sun is up, or down, all year at latitudes below 50 degrees.
NOON, MIDNIGHT = (10.0, 15.0), (23.0, 4.0)
WIPING, STILL = 0.5, 0.02  # share of the last half minute that the wipers moved
SELDOM = {"crash": 0.05, "animal": 0.05, "debris": 0.1}  # share of frames that no stretch of road explains
DRIVES = 3  # and in so many drives at least: one drive may well stand behind a crash
EPOCH_S = 1e9  # a clock that counts from 1970 shows more, one that counts from the start of a drive less


def conflicts(
    seen: Mapping[str, str], *, lux: float | None = None, wipers: float | None = None, hour: float | None = None
) -> tuple[str, ...]:
    """Reasons such as "picture says day, lux 4", in a fixed order; none where nothing disagrees or is known.

    `seen`: weather and time as the tower names them (`experts.look`). `lux` outside; `wipers` the share of the last
    half minute in which they moved, 0 to 1; `hour` of the local day (see `local_hour`). None or NaN: not known.
    """
    time, weather = seen.get("time", ""), seen.get("weather", "")
    reasons = []
    if _known(lux) and time in LUX and not LUX[time][0] <= float(lux or 0.0) <= LUX[time][1]:
        reasons.append(f"picture says {time}, lux {lux:.0f}")
    if _known(hour) and time == _never_at(float(hour or 0.0)):
        minutes = round(float(hour or 0.0) * 60)
        reasons.append(f"picture says {time}, clock {minutes // 60 % 24:02d}:{minutes % 60:02d}")
    if _known(wipers) and float(wipers or 0.0) >= WIPING and weather in ("clear", "overcast"):
        reasons.append(f"picture says {weather}, wipers on")
    if _known(wipers) and float(wipers or 0.0) <= STILL and weather == "rain":
        reasons.append("picture says rain, wipers off")
    return tuple(reasons)


def implausible(drives: Sequence[Labels]) -> list[str]:
    """A line for each kind that is seldom met and yet labelled in many frames of many drives: sources that were made
    elsewhere may take something common for it."""
    found = []
    for kind, most in SELDOM.items():
        own = [one.classes[f"obstacles.{kind}"] == PRESENT for one in drives if f"obstacles.{kind}" in one.classes]
        frames, there = sum(len(one) for one in own), sum(int(one.sum()) for one in own)
        held = sum(bool(one.any()) for one in own)
        if frames and there > most * frames and held >= DRIVES:
            found.append(
                f"{kind} is the label of {there / frames:.0%} of the frames, in {held} of"
                f" {len(own)} drives: the sources may take something common for it; look at the report, and leave it"
                f" unlabelled with --unknown {kind}"
            )
    return found


def local_hour(time_s: float, utc_offset_h: float | None) -> float | None:
    """Hour of the local day, 0 to 24, of a time in s since 1970; None where the clock starts elsewhere, or local time's
    offset from UTC is not known."""
    if utc_offset_h is None or not math.isfinite(time_s) or time_s < EPOCH_S:
        return None
    return (time_s / 3600 + utc_offset_h) % 24


def _never_at(hour: float) -> str:
    if NOON[0] <= hour <= NOON[1]:
        return "night"
    return "day" if hour >= MIDNIGHT[0] or hour <= MIDNIGHT[1] else ""


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
