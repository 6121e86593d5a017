"""The answer for one frame and the truth it is scored against; text and JSON of both. Imports nothing of Pacenote."""

from pacenote.advisory.domain import (
    CROSSROADS,
    LIGHT_STATES,
    MOVEMENTS,
    OBSTACLES,
    PLACES,
    SLOTS,
    SPEEDS,
    Advisory,
    Light,
    advisory_schema,
)
from pacenote.advisory.question import ADVISE, LIMIT, asked, given, request, stated_limit
from pacenote.advisory.text import (
    LIGHT_ACTIONS,
    kind_words,
    slot_text,
)
from pacenote.advisory.truth import Truth

__all__ = [
    "ADVISE",
    "CROSSROADS",
    "LIGHT_ACTIONS",
    "LIGHT_STATES",
    "LIMIT",
    "MOVEMENTS",
    "OBSTACLES",
    "PLACES",
    "SLOTS",
    "SPEEDS",
    "Advisory",
    "Light",
    "Truth",
    "advisory_schema",
    "asked",
    "given",
    "kind_words",
    "request",
    "slot_text",
    "stated_limit",
]
