"""Answers to prompts that are composed frame by frame."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pacenote.engine.answer import Answer

if TYPE_CHECKING:
    from PIL import Image

    from pacenote.engine import Ask
    from pacenote.prompts.compose import Prompt
    from pacenote.prompts.look import Context
    from pacenote.prompts.prompter import Prompter


def ask_prompted(
    ask: Ask,
    prompter: Prompter,
    images: Sequence[Image.Image],
    questions: Sequence[str],
    contexts: Sequence[Context] = (),
) -> list[tuple[Answer, Prompt]]:
    """The answer to each of `images` with its prompt; the time of looking and composing counts as the answer's."""
    start = time.perf_counter()
    prompts = prompter(images, questions, contexts)
    ms = (time.perf_counter() - start) * 1000 / len(images)
    answers = ask([p.images for p in prompts], [p.question for p in prompts], [p.roles for p in prompts])
    return [(replace(one, ms=one.ms + ms), prompt) for one, prompt in zip(answers, prompts, strict=True)]
