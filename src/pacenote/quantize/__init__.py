"""Smaller weights: calibration, rounding and smoothing by llmcompressor, a reload check, and an audit of what flips."""

from __future__ import annotations
