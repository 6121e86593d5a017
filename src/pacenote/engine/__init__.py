"""Answers from a model: an engine for advisories, and free text for models that were never trained on them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from pacenote.engine.answer import Answer
from pacenote.errors import InputError
from pacenote.models.readout import SPEED

if TYPE_CHECKING:
    from pacenote.models import Model
    from pacenote.models.eyes import Eyes

ENGINES = ("exact", "parallel", "plain")
ENGINE = "exact"
Ask = Callable[..., list[Answer]]  # (images, questions, roles=()): see `Engine`


def asker(model: Model, engine: str = ENGINE, speed: str = SPEED, eyes: Eyes | None = None) -> Ask:
    """What asks `model`: `ask(images, questions, roles=())` gives an Answer a question.

    "exact" and "parallel" are modes of the engine, "plain" is free text; `eyes`: see `Engine`. Raises InputError for
    another word and for a model that the engine cannot drive.
    """
    if engine not in ENGINES:
        raise InputError(f"unknown engine '{engine}'; choose one of {', '.join(ENGINES)}")
    if engine == "plain":
        from pacenote.engine.plain import ask

        return functools.partial(ask, model, speed=speed)
    from pacenote.engine.engine import Engine

    return Engine(model, mode=engine, speed=speed, eyes=eyes)


__all__ = ["ENGINE", "ENGINES", "Answer", "Ask", "asker"]
