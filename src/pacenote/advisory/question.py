"""The neutral request, and the speed limit that may stand before it."""

from __future__ import annotations

import re

ADVISE = "Advise the driver."
LIMIT = "The speed limit here is {0} km/h."


def request(limit_kmh: int | None) -> str:
    """The request, after the limit that the advice rests on where only the context can tell it."""
    return ADVISE if limit_kmh is None else f"{LIMIT.format(limit_kmh)} {ADVISE}"


def stated_limit(question: str) -> int | None:
    """The limit in km/h that a question states in the words of `LIMIT`; None where it states none."""
    found = re.search(re.escape(LIMIT).replace(r"\{0\}", r"(\d+)"), question)
    return int(found[1]) if found else None
