"""The neutral request, and what may be given before it, such as the speed limit."""

from __future__ import annotations

import re

ADVISE = "Advise the driver."
LIMIT = "The speed limit here is {0} km/h."


def request(limit_kmh: int | None) -> str:
    """The request, after the limit that the advice rests on where only the context can tell it."""
    return asked("" if limit_kmh is None else LIMIT.format(limit_kmh))


def asked(given: str) -> str:
    """The request after what else is `given`, for example a limit in words; `given` takes it off again."""
    return f"{given} {ADVISE}".strip()


def given(question: str) -> str:
    """What a question states before the request; "" where it does not end with the request."""
    return question.removesuffix(ADVISE).strip() if question.endswith(ADVISE) else ""


def stated_limit(question: str) -> int | None:
    """The limit in km/h that a question states in the words of `LIMIT`; None where it states none."""
    found = re.search(re.escape(LIMIT).replace(r"\{0\}", r"(\d+)"), question)
    return int(found[1]) if found else None
