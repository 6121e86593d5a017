"""The traffic light in free text."""

from __future__ import annotations

import re

from pacenote.advisory.domain import Light
from pacenote.advisory.text import read_canonical_light

UNKNOWN = re.compile(
    r"(?:n/?a\b|not applicable|unknown|unclear|uncertain|undetermined|unreadable|unsure|not sure|null|tbd"
    r"|not (?:specified|provided|mentioned|given|clear|available|enough)|insufficient|no (?:information|data|answer)"
    r"|(?:cannot|can't|can not|could not|couldn't|unable to)"
    r" (?:be )?(?:determine|tell|identif|assess|confirm|read|judge|say))"
)
"""Beginnings that say that the writer does not know (of lower-case text)."""

_STATES = {
    "red": "red", "yellow": "yellow", "amber": "yellow", "orange": "yellow", "green": "green", "off": "off",
    "unlit": "off", "not lit": "off", "not working": "off", "not functioning": "off", "not operating": "off",
    "not operational": "off", "out of order": "off", "out of service": "off", "malfunctioning": "off", "dark": "off",
}  # fmt: skip
_COLOUR = r"(?:red|yellow|amber|orange|green)"
_THING = r"(?:cars?|vehicles?|trucks?|bus(?:es)?|vans?|trees?|signs?|building|cones?|barriers?|lines?|curbs?|neon|belt)"
_STATE = re.compile(
    rf"(?<![\w-])(?:(?P<colour>{_COLOUR})(?!-?[a-z])(?! {_THING}\b)"
    r"|(?P<dead>(?:turned |switched )?off(?! the| of)|unlit|not (?:lit|working|functioning|operating|operational)"
    r"|out of (?:order|service)|malfunctioning|dark(?= ?(?:$|[.,;])))(?![\w-]))"
)
_LIT = re.compile(rf"(?<![\w-]){_COLOUR}-(?:light|lit|arrow)")
_CLAUSE = re.compile(r"[.,;\n|()]|\b(?:but|while|whereas|although|and|with)\b")
_DENIED = re.compile(
    r"\b(?:no (?:visible |traffic |longer |active )?|not (?:a |the |yet |currently |showing )?"
    r"|without (?:a |any )?)$|n't $"
)
_SUPPOSED = re.compile(r"\b(?:when|until|till|once|if|before|unless|wait(?:ing)? for|about to|may|might|whether)\b")
_MIXED = re.compile(rf"\b(?:none|off|{_COLOUR}) ?(?:/|\||or) ?(?:none|off|{_COLOUR})\b")
_MOVEMENT = re.compile(r"(?<![a-z])(?P<name>left|right|straight|through(?= (?:lane|traffic|movement)))(?![a-z])")
_PLACED = re.compile(r"\b(?:on|to|at|from|in) (?:the |your |our |its |)(?:far |upper |top )?$")
_TURNING = re.compile(r"[ -](?:turn|lane|arrow|bound|signal|light|going|only)")
_PLACING = re.compile(r"[ -](?:side|ahead|now|away|of\b|before|after|hand|in front)")
_SAID_MOVEMENT = re.compile(
    r"\b(?:movement|direction|lane|arrow) ?[:=] ?(?:go(?:ing)? |turn )?(left|right|straight|any)\b"
)
_TOLL = re.compile(r"\btoll\b|\btoll(?:booth|gate)\b|\betc (?:lane|gate)\b")
_OTHERS = re.compile(r"attention|\bnote\b|adjacent|other lane|neighbou?r|opposite")
_EGO = re.compile(r"\b(?:our|ego|your|current|own)\b")

_LIGHTS = r"(?:traffic |signal )?(?:lights?|signals?)"
_NONE = re.compile(
    r"(?:none|nothing|nil|absent|false|0)\b"
    r"|(?:is |are )?not (?:present|visible|detected|seen|observed|found|applicable)|no ?(?:$|[.,;\n])"
    rf"|(?:there (?:is|are) |there's |i (?:can )?see )?no (?:visible |active |apparent |relevant |such )?{_LIGHTS}"
    r"|no (?:detection|presence|visible)"
)
_ABSENT = re.compile(
    r"(?:\bno|n't (?:see|have|be)(?: any)?|\bnot (?:see|have|any)(?: any)?|\bwithout|\bnor|isn't|aren't)"
    r" (?:any |a |visible |clear |active |apparent |relevant ){0,3}(?:[a-z]+,? (?:or |and )?){0,6}?"
    r"(?:traffic|signal) ?(?:lights?|signals?)"
    r"|traffic (?:lights?|signals?)(?: [a-z]+){0,2}? (?:not|absent|isn't|aren't)|\bunsignali[sz]ed"
)
_LAMP = re.compile(
    r"(?<!brake )(?<!tail )(?<!rear )(?<!street )(?<!head )(?<!hazard )(?<!neon )"
    r"(?<![a-z])(?:lights?|signals?|arrows?)(?![a-z])"
)


def read_light(text: str, *, headed: bool) -> Light | None:
    """The light that concerns the ego car, of lower-case text; None where it cannot be read.

    The first light named is ego's (unless another is said to be), a second one with a movement becomes `other`. Under a
    heading a colour is enough; in prose it must be said of a light. Two colours joined by "or" or "/" are no answer.
    """
    if headed:
        first = re.split(r"\.(?: |\n|$)", text, maxsplit=1)[0].strip()
        canonical = read_canonical_light(first)
        if canonical is not None:
            return canonical
        if UNKNOWN.match(text) or _MIXED.search(text):
            return None
        if _NONE.match(text):
            return Light("none")
    named = _named(text, headed)
    if named:
        return _choose(named, text)
    if _ABSENT.search(text) or (headed and "no light" in text):
        return Light("none")
    return None


def _named(text: str, headed: bool) -> list[tuple[str, str, str]]:
    """(state, movement, clause) of each light that the text affirms, in order."""
    out: list[tuple[str, str, str]] = []
    pending = "any"  # "currently in the straight lane, red light ahead": the lane is named before the light
    for clause in _CLAUSE.split(_LIT.sub(lambda lit: lit[0].replace("-", " "), text)):
        movement = _movement(clause)
        said = _SAID_MOVEMENT.search(clause)
        if said and out and not _STATE.search(clause):
            out[-1] = (out[-1][0], said[1], out[-1][2])
            continue
        state = _state(clause, headed)
        if state is None:
            pending = movement if movement != "any" else pending
            continue
        out.append((state, movement if movement != "any" else pending, clause))
        pending = "any"
    return out


def _state(clause: str, headed: bool) -> str | None:
    lamps = [] if headed else [lamp.span() for lamp in _LAMP.finditer(clause)]
    for match in _STATE.finditer(clause):
        before = clause[max(0, match.start() - 60) : match.start()]
        if _DENIED.search(before) or _SUPPOSED.search(before):
            continue
        if not headed and not any(-25 < match.start() - end < 45 and start - match.end() < 25 for start, end in lamps):
            continue
        word = match["colour"] or match["dead"]
        return _STATES[word.removeprefix("turned ").removeprefix("switched ")]
    return None


def _movement(clause: str) -> str:
    for match in _MOVEMENT.finditer(clause):
        if not _TURNING.match(clause, match.end()) and (
            _PLACING.match(clause, match.end()) or _PLACED.search(clause[max(0, match.start() - 24) : match.start()])
        ):
            continue
        return "straight" if match["name"] == "through" else match["name"]
    return "any"


def _choose(named: list[tuple[str, str, str]], text: str) -> Light:
    first = next((n for n in named if _EGO.search(n[2])), None)
    first = first or next((n for n in named if not _OTHERS.search(n[2])), named[0])
    other = next((n[:2] for n in named if n[1] != "any" and n[:2] != first[:2]), None)
    return Light(first[0], first[1], "toll" if _TOLL.search(text) else "junction", other)
