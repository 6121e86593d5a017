"""Obstacles and crossroads in free text."""

from __future__ import annotations

import re

from pacenote.advisory.domain import CROSSROADS, OBSTACLES
from pacenote.advisory.read_light import UNKNOWN

_WALKED = (
    r"(?: |-)(?:crosswalks?|zones?|bridges?|paths?|lights?|signals?|signs?|overpass|underpass|islands?|walkways?|areas?"
    r"|lanes?|streets?)\b"
)
_ON_FOOT = r"(?=(?: the| our| your| with| while| from| ahead of| in front of)\b)"  # "a pedestrian crossing the road"
_WORDS = {
    "obstacles": {
        "barrier": r"(?<!toll )(?<!noise )(?<!sound )(?:barriers?|barricades?|road ?blocks?)"
        r"|(?:construction|safety|temporary) fenc(?:es?|ing)",
        "cone": r"cones?|traffic (?:drums?|barrels?|pylons?)|pylons?|delineators?|channeli[sz](?:er|ing device)s?",
        "construction": r"(?:under )?construction(?!(?: |-)(?:cones?|barriers?|barricades?|fenc|drums?))|road ?works?"
        r"|work ?zones?|road (?:maintenance|repairs?)|excavators?|bulldozers?|road rollers?",
        "debris": r"debris|rubble|fallen (?:objects?|trees?|branch(?:es)?|cargo|rocks?)|lost cargo|tyres?|tires?|rocks?"
        r"|boulders?|cardboard box(?:es)?|planks?",
        "pedestrian": rf"pedestrians\b(?!{_WALKED})|pedestrian\b(?!{_WALKED})(?! crossings?\b(?!{_ON_FOOT}))"
        r"|people|persons?|child(?:ren)?|kids?|jaywalkers?",
        "animal": r"animals?|dogs?|cats?|cows?|cattle|deer|horses?|sheep|goats?|moose|wildlife|(?:wild )?boars?",
        "crash": r"crash(?:es|ed)?|accidents?|collisions?|wreck(?:s|ed|age)?|overturned (?:car|truck|vehicle|bus)",
    },
    "crossroad": {
        "intersection": r"intersections?|cross ?roads?|(?:t-)?junctions?|roundabouts?|cross ?streets?",
        "pedestrian_crossing": rf"pedestrian'?s? crossings?(?!{_ON_FOOT})|pedestrian crosswalks?|cross-?walks?"
        r"|zebra(?: |-)crossings?|zebra|marked crossings?",
    },
}
_NEGATION = (
    r"\b(?:no|not|none|without|neither|nor|never|free of|clear of|absence of|isn't|aren't|wasn't|weren't|don't|doesn't"
    r"|cannot|can't|didn't|any)\b"
)
_TURN = (
    r"[.;\n!?]|\b(?:but|however|except|only|although|though|yet|while)\b"
    r"|(?:,| and) (?=(?:there|an?|one|two|three|several|some|multiple|many|the|please|watch|beware|caution|slow"
    r"|steer|be)\b)"
)
_SCAN = {
    slot: re.compile(
        rf"(?P<no>{_NEGATION})|(?P<turn>{_TURN})|(?P<comma>,)|(?<![\w-])(?:"
        + "|".join(f"(?P<{kind}>{pattern})" for kind, pattern in words.items())
        + r")(?![\w-])"
    )
    for slot, words in _WORDS.items()
}
_MENTION = {slot: re.compile(r"(?:" + "|".join(words.values()) + r")(?![\w-])") for slot, words in _WORDS.items()}
_DENIED_AFTER = re.compile(
    r" ?(?:[:=] ?(?:no\b|none|false|absent|0\b|not )|(?:is|are|was|were|has been|have been)?(?: not|n't) (?:\w+ )?"
    r"(?:present|visible|seen|detected|observed|found|there|any|apparent)|(?:is|are)? ?absent)"
)
_RISK = re.compile(r"(?:avoid|avoiding|prevent|preventing|risk of|potential|possible|to avoid)(?: [a-z]+){0,2} $")
_LIST_GOES_ON = re.compile(r"(?: and| or)? ?(?:[a-z-]+ ){0,2}?")
_NOTHING = re.compile(
    r"(?:there (?:is|are) |i see )?(?:none|nothing|no\b|not (?:present|visible|detected|seen|observed|found|any)"
    r"|nil|clear"
    r"|absent|false|0\b|empty|road is clear)"
)
_YES = re.compile(r"(?:yes|true|present|detected|visible|ahead|approaching|1\b|y\b|there (?:is|are) one)")
_NO_OBSTACLE = re.compile(r"\b(?:no|any|without) (?:[a-z]+ ){0,3}?(?:obstacles?|hazards?|obstructions?)\b")
_OUTSIDE = {
    "obstacles": re.compile(
        r"\b(?:cars?|vehicles?|trucks?|bus(?:es)?|vans?|motorcycl|bicycl|cyclist|bikes?|scooters?|traffic|parked"
        r"|pothole"
        r"|trees?|poles?|curbs?|guard ?rails?|buildings?|rain|puddles?|snow|water|median|walls?|crossings?"
        r"|cross-?walks?"
        r"|intersections?)\b"
    ),
    "crossroad": re.compile(
        r"\b(?:straight|road segment|highway|motorway|expressway|toll|ramp|merge|bridge|tunnel|curve|bend"
        r"|railway|lanes?)\b"
    ),
}
_DEFAULT = {"crossroad": "intersection"}  # "Crossroad: yes" says which; "Obstacles: yes" does not
_ORDER = {"obstacles": OBSTACLES, "crossroad": CROSSROADS}


def read_kinds(text: str, slot: str, *, headed: bool = True, kind: str | None = None) -> frozenset[str] | None:
    """The kinds of `slot` that lower-case text affirms; None where it cannot be read.

    `headed`: the text stood under a heading of the slot, so that "none", or a thing that is none of our kinds, is an
    empty set. `kind`: the heading named that one kind ("Cones: two on the left"). In prose a slot that is not mentioned
    is None, and one whose every mention is denied is empty.
    """
    if (headed and UNKNOWN.match(text)) or (headed and not text):
        return None
    affirmed, denied = _mentions(text, slot)
    if kind is not None and not _NOTHING.match(text):
        return affirmed | {kind} if not denied or affirmed else affirmed
    if affirmed or denied:
        return affirmed
    if not headed:
        return None
    if _NOTHING.match(text):
        return frozenset()
    if _YES.match(text) and slot in _DEFAULT:
        return frozenset({_DEFAULT[slot]})
    if slot == "crossroad" and re.search(r"(?<!railway )(?<!railroad )(?<!level )\bcrossings?\b", text):
        return frozenset({"pedestrian_crossing"})
    return frozenset() if _OUTSIDE[slot].search(text) else None


def _mentions(text: str, slot: str) -> tuple[frozenset[str], bool]:
    """The affirmed kinds, and whether any kind (or the slot's general word) is denied."""
    affirmed: set[str] = set()
    denied = False
    for sentence in re.split(r"[.;\n!?]", text):
        negated = False
        last_or = max(sentence.rfind(" or "), sentence.rfind(" nor "))
        for match in _SCAN[slot].finditer(sentence):
            what = match.lastgroup
            if what == "no":
                negated = True
            elif what == "turn":
                negated = False
            elif what == "comma":
                # "no cones, barriers or debris" denies all three; "no junction, zebra crossing ahead" only the first
                negated = negated and (match.end() < last_or or _bare_item(sentence, match.end(), slot))
            else:
                assert what is not None
                before = sentence[max(0, match.start() - 40) : match.start()]
                if negated or _DENIED_AFTER.match(sentence, match.end()):
                    denied = True
                elif not (what == "crash" and _RISK.search(before)):
                    affirmed.add(what)
    if not affirmed and slot == "obstacles":
        denied = denied or _NO_OBSTACLE.search(text) is not None
    return frozenset(affirmed), denied


def _bare_item(sentence: str, start: int, slot: str) -> bool:
    """Whether the list item from `start` to the next comma is a kind and nothing more."""
    end = sentence.find(",", start, start + 60)
    item = sentence[start : end if end >= 0 else start + 60].strip().removeprefix("and ").removeprefix("or ")
    return _MENTION[slot].fullmatch(item) is not None
