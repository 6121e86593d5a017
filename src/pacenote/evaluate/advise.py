"""Advisories for pictures on disk, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.advisory import ADVISE
from pacenote.engine import ENGINE, Answer, asker
from pacenote.engine.answer import withhold
from pacenote.engine.prompted import ask_prompted
from pacenote.errors import InputError
from pacenote.models.frames import Fit, fit_frame, frame_size, open_image
from pacenote.models.readout import SPEED
from pacenote.work import say

if TYPE_CHECKING:
    from pacenote.models import Model
    from pacenote.prompts.compose import Prompt


@dataclass(frozen=True)
class Advised:
    """The answer for one picture, as `advise --json` writes it."""

    image: Path
    answer: Answer
    prompt: Prompt | None = None

    def to_dict(self) -> dict[str, Any]:
        answer = self.answer
        return {
            "image": self.image.as_posix(),
            "advisory": answer.advisory.to_dict(),
            "text": answer.text,
            "confidence": answer.confidence,
            "ms": round(answer.ms, 2),
            **({"prompt": self.prompt.to_dict()} if self.prompt else {}),
        }


def advise(
    model: Model,
    images: Sequence[Path],
    *,
    question: str = ADVISE,
    fit: Fit = "auto",
    batch: int = 1,
    speed: str = SPEED,
    engine: str = ENGINE,
    least: float = 0.0,
    prompts: str = "",
    expert: str = "",
) -> Iterator[Advised]:
    """Answer for each readable picture, in order. `ms` is the time of the call, divided by the pictures in it.

    Slots less confident than `least` are withheld. `prompts` names a prompt book and `expert` who looks first: see
    `prompts.prompter.Prompter`; what `question` states before the request stays.
    A picture that cannot be read is named on stderr and passed over; InputError when none of them can.
    """
    prompter = None
    if prompts:
        from pacenote.prompts.prompter import Prompter

        prompter = Prompter(model, prompts, expert, fit)
    size = None if prompter else frame_size(model)
    ask = asker(model, engine, speed, prompter.eyes if prompter else None)
    waiting: list[tuple[Path, Any]] = []
    count, refused = 0, None

    def run() -> Iterator[Advised]:
        if not waiting:
            return
        images, questions = [image for _, image in waiting], [question] * len(waiting)
        told: list[tuple[Answer, Prompt | None]]
        if prompter is None:
            told = [(answer, None) for answer in ask([[image] for image in images], questions)]
        else:
            told = [*ask_prompted(ask, prompter, images, questions)]
        for (path, _), (answer, prompt) in zip(waiting, told, strict=True):
            yield Advised(path, withhold(answer, least) if least > 0 else answer, prompt)
        waiting.clear()

    for path in images:
        try:
            image = open_image(path)
        except InputError as error:
            refused = error
            say(f"skipped {error}")
            continue
        waiting.append((path, fit_frame(image, size, fit) if size else image))
        count += 1
        if len(waiting) == batch:
            yield from run()
    yield from run()
    if refused and not count:
        raise InputError(
            str(refused) if len(images) == 1 else f"none of the {len(images)} pictures can be read: {refused}"
        )
