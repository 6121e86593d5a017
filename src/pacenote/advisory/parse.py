"""Text -> Advisory."""

from __future__ import annotations

from pacenote.advisory.domain import Advisory
from pacenote.advisory.text import read_canonical


def parse(text: str) -> Advisory:
    """Read an advisory; a slot that cannot be read is None. Never raises on a str."""
    return read_canonical(text) or Advisory(None, None, None, None)
