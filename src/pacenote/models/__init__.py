"""Model families: load, processors, which modules are vision, projector and language."""

from __future__ import annotations

from pacenote.models.families import FAMILIES, PARTS, Family, Model, load
from pacenote.models.shipped import resolve

__all__ = ["FAMILIES", "PARTS", "Family", "Model", "load", "resolve"]
