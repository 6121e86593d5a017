"""Experts: specialised detectors of lights, cones and the like, behind one interface."""

from __future__ import annotations

import re
from pathlib import Path

from pacenote.errors import InputError
from pacenote.experts.detection import KINDS, Detection, Expert, suppressed

CHOICES = (
    "classical, look:MODEL (the heads of a starter's tower), tiles:MODEL (the same on parts of the picture, for "
    "obstacles), lights:MODEL (likewise for small traffic lights), parts:MODEL (both), FILE.onnx, or an "
    "object-detection checkpoint"
)


def open_expert(spec: str, device: str = "cpu") -> Expert:
    """The expert that `spec` names: "classical", "look:MODEL", "tiles:MODEL", "lights:MODEL", "parts:MODEL", a
    FILE.onnx, a directory or a hub id (owner/name).

    `device` is for checkpoints. Raises InputError for any other word and for a model that cannot be used.
    """
    if spec == "classical":
        from pacenote.experts.classical import Classical

        return Classical()
    if spec.startswith("look:"):
        from pacenote.experts.look import TowerLook
        from pacenote.models import load

        return TowerLook(load(spec.removeprefix("look:"), device=device))
    if spec.startswith(("tiles:", "lights:", "parts:")):
        from pacenote.experts.tiles import TileLook
        from pacenote.models import load

        kind, _, model = spec.partition(":")
        return TileLook(load(model, device=device), name=kind)
    if spec.lower().endswith(".onnx"):
        from pacenote.experts.onnx import OnnxDetector

        return OnnxDetector(spec)
    if (spec and Path(spec).is_dir()) or re.fullmatch(r"[\w.-]+/[\w.-]+", spec):
        from pacenote.experts.pipeline import PipelineDetector

        return PipelineDetector(spec, device=device)
    raise InputError(f"unknown expert '{spec}'; choose one of: {CHOICES}")


__all__ = ["CHOICES", "KINDS", "Detection", "Expert", "open_expert", "suppressed"]
