"""The recommended speed in free text."""

from __future__ import annotations

import re

from pacenote.advisory.domain import SPEEDS

_UNIT = (
    r"km ?/ ?[hn]|km ?p?h|kmph|kilomet(?:er|re)s? (?:per|an) hour"  # "km/n" is how a figure of paper A has it
    r"|mph|mi ?/ ?h|miles? (?:per|an) hour|m ?/ ?s|met(?:er|re)s? per second"
)
_NUMBER = r"(?<![0-9.])(?P<{}>[0-9]{{1,4}}(?:\.[0-9]{{1,4}})?)(?![0-9])"
_SPEED = re.compile(
    rf"{_NUMBER.format('first')} ?(?P<unit1>{_UNIT})?\b"
    rf"(?: ?(?P<range>-|to|~|and) ?{_NUMBER.format('last')} ?(?P<unit2>{_UNIT})?\b)?"
)
_OTHER_UNIT = re.compile(
    r" ?(?:%|m\b|met|km\b|ft\b|feet|s\b|sec|min|yards?|lanes?|cones?|cars?|vehicles?"
    r"|pedestrians?)"
)
_FROM = re.compile(r"\bfrom (?:the |a |about |around |current )*$")
_ADVICE = re.compile(
    r"recommend|suggest|advis|should|reduc|slow|maintain|keep|drive|proceed|safe|travel|down to"
    r"|speed of"
)
_SIGN = re.compile(r"limit|sign|posted")
_STOP = re.compile(r"\b(?:stop(?:ped)?|standstill|halt|stationary|zero)\b")
_UNKNOWN = re.compile(r"(?:n/?a|none|not |unknown|unclear|cannot|can't|unable)\b")


def read_speed(text: str, *, headed: bool, unit: str = "") -> int | None:
    """km/h, rounded to 5, of lower-case text; None where there is none or it lies outside the scale.

    `headed`: the text stood under a heading of the slot, so that a bare number is enough; `unit` is the heading's own
    ("mph" or ""). A range gives its middle, "from 60 to 30" its end; under a heading "stop" is 0.
    """
    best: tuple[int, re.Match[str]] | None = None
    for match in _SPEED.finditer(text):
        named = match["unit1"] or match["unit2"]
        if not named and (not headed or _OTHER_UNIT.match(text, match.end())):
            continue
        before = text[max(0, match.start() - 60) : match.start()]
        score = (4 if named else 0) + (2 if _ADVICE.search(before) else 0) - (1 if _SIGN.search(before) else 0)
        if best is None or score > best[0]:
            best = score, match
        if headed and named:
            break
    if best is None:
        return 0 if headed and not _UNKNOWN.match(text) and _STOP.search(text) else None
    match = best[1]
    value = float(match["first"])
    if match["last"]:
        last = float(match["last"])
        falling = match["range"] == "to" and _FROM.search(text[max(0, match.start() - 40) : match.start()])
        value = last if falling else (value + last) / 2
    named = match["unit1"] or match["unit2"] or unit
    if named.startswith("m"):
        value *= 1.609344 if named.startswith(("mp", "mi")) else 3.6
    rounded = int(value / 5 + 0.5) * 5
    return rounded if rounded in SPEEDS else None
