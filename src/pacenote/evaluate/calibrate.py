"""Fit the temperatures of `engine.temperatures` to the log loss of "this slot is right"."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pacenote.advisory import ADVISE, OBSTACLES, SLOTS, Truth
from pacenote.engine.engine import Engine
from pacenote.engine.temperatures import FILE, Decision, confidence
from pacenote.errors import InputError
from pacenote.evaluate.breakdown import reliability, slot_right
from pacenote.evaluate.source import Source
from pacenote.models import resolve
from pacenote.models.frames import Fit, fitted, frame_size
from pacenote.work import atomic, progress

if TYPE_CHECKING:
    from pacenote.models import Model

LEAST = 30  # answers of a slot; below it, or if all are right, its temperature stays 1
GRID = tuple(float(t) for t in np.geomspace(0.25, 8.0, 81))


def calibrate(model: Model, source: Source, *, fit_to: Fit = "auto", batch: int = 8) -> dict[str, dict[str, Any]]:
    """By slot what `fit` finds on the frames of `source`, and the file beside the model's weights is written.

    The speed is judged as the model writes it, within 5 km/h. Raises InputError where the model is no directory.
    """
    root = _directory(model)
    engine, size = Engine(model, speed="greedy", temperatures=dict.fromkeys(SLOTS, 1.0)), frame_size(model)
    told: dict[str, list[tuple[list[Decision], bool]]] = {slot: [] for slot in SLOTS}
    indices = list(source.indices())
    for start in progress(range(0, len(indices), batch), f"calibrate on {source.name}"):
        samples = [source.samples[index] for index in indices[start : start + batch]]
        answers = engine(
            [fitted(sample, size, fit_to) for sample in samples], [sample.question or ADVISE for sample in samples],
            [sample.image_roles for sample in samples],
        )  # fmt: skip
        for sample, answer, strands in zip(samples, answers, engine.written, strict=True):
            for slot in SLOTS:
                right = slot_right(answer, sample.truth or Truth.unknown(), slot)
                if right is not None:
                    decisions = [d for strand in strands for d in strand.decisions.get(slot, [])]
                    told[slot].append((decisions, right))
    found = {slot: fit(rows) for slot, rows in told.items()}
    with atomic(root / FILE) as partial:
        partial.write_text(json.dumps({"data": source.name, "digest": source.digest, "slots": found}, indent=2) + "\n")
    return found


def _directory(model: Model) -> Path:
    root = Path(resolve(model.name))
    if not root.is_dir():
        raise InputError(f"{model.name}: the calibration lies beside the weights; give the model's directory")
    return root


def calibrate_tiles(model: Model, source: Source) -> dict[str, dict[str, Any]]:
    """By kind of obstacle what the expert `tiles:MODEL` has to be read as, from the frames of `source`; the file beside
    the model's weights is written. Raises InputError where the model is no directory."""
    from pacenote.experts.detection import chance
    from pacenote.experts.tiles import FILE as TILES
    from pacenote.experts.tiles import TileLook
    from pacenote.experts.tiles import fit as fit_tiles

    root = _directory(model)
    expert = TileLook(model, {})
    p: dict[str, list[float]] = {kind: [] for kind in OBSTACLES}
    there: dict[str, list[bool]] = {kind: [] for kind in OBSTACLES}
    for index in progress(list(source.indices()), f"tiles of {source.name}"):
        sample = source.samples[index]
        (seen,) = expert.detect([sample.image(0)])
        for kind, fact in (sample.truth or Truth.unknown()).obstacles.items():
            if fact is not None:
                p[kind].append(chance(seen, kind))
                there[kind].append(fact)
    lines = fit_tiles(p, there)
    with atomic(root / TILES) as partial:
        held = {"data": source.name, "digest": source.digest, "kinds": lines}
        partial.write_text(json.dumps(held, indent=2) + "\n")
    return {kind: {"n": len(p[kind]), "there": sum(there[kind]), "line": line} for kind, line in lines.items()}


def fit(rows: Sequence[tuple[Sequence[Decision], bool]]) -> dict[str, Any]:
    """`temperature` of the least log loss, `n`, and `log_loss` and `ece` as [before, after], of one slot's answers."""
    right = [is_right for _, is_right in rows]
    losses = [log_loss([confidence(one, t) for one, _ in rows], right) for t in GRID] if rows else []
    best = GRID[int(np.argmin(losses))] if len(rows) >= LEAST and len(set(right)) == 2 else 1.0
    pairs = [[(confidence(one, t), is_right) for one, is_right in rows] for t in (1.0, best)]
    return {
        "temperature": round(best, 3),
        "n": len(rows),
        "log_loss": [round(log_loss([p for p, _ in own], right), 4) for own in pairs] if rows else None,
        "ece": [round(reliability(own)["ece"], 4) for own in pairs] if rows else None,
    }


def log_loss(confidences: Sequence[float], right: Sequence[bool]) -> float:
    """Mean of -log of the probability that was given to what is the case."""
    p = np.clip(np.asarray(confidences), 1e-6, 1 - 1e-6)
    return float(-np.where(np.asarray(right), np.log(p), np.log(1 - p)).mean())
