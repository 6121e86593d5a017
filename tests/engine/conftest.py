"""The tiny model of the tests of evaluation."""

from __future__ import annotations

from tests.evaluate.conftest import tiny

__all__ = ["tiny"]
