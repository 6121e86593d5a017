"""How answers name the slots: canonical text, the papers' figures, and what stock models write."""

from __future__ import annotations

import re

_ABOUT = (
    r"(?: (?:status|state|colou?r|condition|alert|warning|recommendation|detection|recognition|detected"
    r"|present|ahead))?"
)
_UNIT = r"(?: (?:kmh|km/h|kph|mph))?"
_CROSSING = r"(?:(?:pedestrian|zebra|marked) ?crossings?|cross-?walks?)"
_JOIN = r" ?(?:and|&|/|or|,) ?"

# (slot, the one kind that it names or None, strong, pattern). A strong name is a heading anywhere before a colon, a
# weak one only where a line or a sentence begins. Longer names of a slot stand first.
_NAMES = (
    ("speed", None, True,
     r"(?:recommended|suggested|advised|advisory|target|appropriate|proposed|safe) (?:max(?:imum)? |driving |vehicle "
     rf"|travel )?speed(?: limit)?{_UNIT}|speed(?: limit)? (?:recommendation|advice|suggestion|advisory){_UNIT}"),
    ("light", None, True, rf"(?:traffic|stop)[ -]?(?:lights?|signals?){_ABOUT}|signal lights?{_ABOUT}"),
    ("obstacles", None, True,
     rf"(?:traffic )?cones?{_JOIN}(?:other )?(?:obstacles?|barriers?|construction)(?: zones?)?{_ABOUT}"
     rf"|(?:road )?(?:obstacles?|hazards?|obstructions?)"
     rf"(?:{_JOIN}(?:traffic )?(?:cones?|hazards?|obstacles?))?{_ABOUT}"),
    ("crossroad", None, True,
     rf"cross ?roads?(?:{_JOIN}(?:intersections?|crossings?|{_CROSSING}))?{_ABOUT}"
     rf"|(?:intersections?|junctions?)(?:{_JOIN}(?:cross ?roads?|crossings?|{_CROSSING}))?{_ABOUT}"),
    ("crossroad", "pedestrian_crossing", True, rf"{_CROSSING}{_ABOUT}"),
    ("obstacles", "cone", True, rf"(?:traffic|safety) cones?{_ABOUT}"),
    ("obstacles", "construction", True, rf"construction (?:zones?|areas?|sites?){_ABOUT}|road ?works?|work zones?"),
    ("speed", None, False, rf"(?:driving |vehicle )?speed(?: limits?)?{_UNIT}"),
    ("light", None, False, rf"(?:lights?|signals?){_ABOUT}"),
    ("crossroad", "pedestrian_crossing", False, r"crossings?"),
    ("obstacles", "cone", False, r"cones?"),
    ("obstacles", "barrier", False, r"barriers?|barricades?"),
    ("obstacles", "construction", False, r"construction"),
    ("obstacles", "debris", False, r"debris"),
    ("obstacles", "pedestrian", False, r"pedestrians?"),
    ("obstacles", "animal", False, r"animals?"),
    ("obstacles", "crash", False, r"crash(?:es)?|accidents?|collisions?"),
)  # fmt: skip

SLOT_OF = {f"n{i}": (slot, kind, strong) for i, (slot, kind, strong, _) in enumerate(_NAMES)}
"""Group of `NAME` -> (slot, kind or None, strong)."""

NAME = re.compile(
    r"(?<![\w-])(?:" + "|".join(f"(?P<n{i}>{pattern})" for i, (_, _, _, pattern) in enumerate(_NAMES)) + r")(?![\w-])"
)
"""A name of a slot, in lower-case text without markup."""

FOREIGN = re.compile(
    # Parts of a slot's own description ("State: red") do not end it.
    r"^(?!(?:light |signal )?(?:state|colou?r|status|movement|direction|place|location|other|type|action|advice"
    r"|value|unit|description|presence|present|detected|count|warning|alert|details?|lane|arrow|left|right|straight)\b)"
    r"[a-z][a-z /]{1,40} ?:"
    r"|\b(?:reason(?:ing)?|explanation|note|scene description|weather|time of day|road type|summary|confidence"
    r"|justification|rationale) ?:",
    re.MULTILINE,
)
"""A heading of something else, which ends what a slot says."""
