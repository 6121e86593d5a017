"""Prompts for frames: fit them, let an expert look, compose."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pacenote.advisory import given
from pacenote.prompts.book import Book, load_book
from pacenote.prompts.compose import Prompt, TokenCounter, compose
from pacenote.prompts.look import Context, Look

if TYPE_CHECKING:
    from PIL import Image

    from pacenote.experts import Expert
    from pacenote.models import Model
    from pacenote.models.eyes import Eyes
    from pacenote.models.frames import Fit

LOOK = "look"


@dataclass
class Spent:
    """Milliseconds over all calls: `look` of the expert (of the model's own tower: its pass too, which serves the
    answer) and `select` for everything else; `tower` of it is that pass."""

    look: float = 0.0
    tower: float = 0.0
    select: float = 0.0
    frames: int = 0

    @property
    def choosing(self) -> float:
        """What choosing a prompt costs beyond answering."""
        return self.look - self.tower + self.select


class Prompter:
    """Prompts of a book for a model's frames. `expert`: see `experts.open_expert`, or "look", the model's own tower; ""
    takes that where the model has heads of a dense training, and none elsewhere (then only signals decide).

    `eyes` hold the tower's view of frames: an Engine that is given them needs no second pass.
    """

    def __init__(self, model: Model, book: Book | str = "default", expert: str = "", fit: Fit = "auto") -> None:
        from pacenote.experts.look import TowerLook
        from pacenote.models.frames import frame_size

        self.book = load_book(book) if isinstance(book, str) else book
        self.size, self.fit = frame_size(model), fit
        self.counter = TokenCounter(model)
        self.eyes: Eyes | None = None
        self.expert: Expert | None = None
        if expert in ("", LOOK):
            look = TowerLook(model) if expert else TowerLook.of(model)
            self.expert, self.eyes = look, look.eyes if look else None
        else:
            from pacenote.experts import open_expert

            self.expert = open_expert(expert)
        self.spent = Spent()

    @property
    def digest(self) -> str:
        """Identity of what decides about prompts: book and expert."""
        from pacenote.work.files import digest

        return digest([self.book.digest, self.expert.digest if self.expert else None])

    def __call__(
        self,
        images: Sequence[Image.Image],
        questions: Sequence[str] = (),
        contexts: Sequence[Context] = (),
    ) -> list[Prompt]:
        """A prompt for each of `images` as they were recorded. `questions` are those of samples: what they state before
        the request stays."""
        frames, looks = self.look(images)
        start = time.perf_counter()
        made = [
            self.compose(
                self.book, frames[k], looks[k], image, questions[k] if questions else "",
                contexts[k] if contexts else Context(),
            )
            for k, image in enumerate(images)
        ]  # fmt: skip
        self.spent.select += (time.perf_counter() - start) * 1000
        self.spent.frames += len(images)
        return made

    def look(self, images: Sequence[Image.Image]) -> tuple[list[Image.Image], list[Look]]:
        """The frames as the model is shown them, and what the expert says of each."""
        from pacenote.experts.detection import scaled
        from pacenote.experts.look import TowerLook
        from pacenote.models.frames import fit_frame

        frames = [fit_frame(image, self.size, self.fit) if self.size else image for image in images]
        start = time.perf_counter()
        if isinstance(self.expert, TowerLook):
            self.expert.eyes(frames)
            self.spent.tower += (time.perf_counter() - start) * 1000
            looks = [
                Look(frame.size, tuple(detections), guesses)
                for frame, (detections, guesses) in zip(frames, self.expert.look(frames), strict=True)
            ]
        elif self.expert is not None:  # it may see more in the picture as it was recorded
            sharp = [self._sharp(image) or frame for image, frame in zip(images, frames, strict=True)]
            told = self.expert.detect(sharp)
            looks = [
                Look(frame.size, tuple(scaled(one, frame.width / seen.width) for one in own))
                for frame, seen, own in zip(frames, sharp, told, strict=True)
            ]
        else:
            looks = [Look(frame.size) for frame in frames]
        self.spent.look += (time.perf_counter() - start) * 1000
        return frames, looks

    def compose(
        self,
        book: Book,
        frame: Image.Image,
        look: Look,
        image: Image.Image,
        question: str = "",
        context: Context = Context(),
        previous: Image.Image | None = None,
    ) -> Prompt:
        """The prompt of `book` for a frame of `look`; `image` is the frame as it was recorded."""
        return compose(
            book, frame, look, self.counter,
            sharp=self._sharp(image), context=context, given=given(question), previous=previous,
        )  # fmt: skip

    def _sharp(self, image: Image.Image) -> Image.Image | None:
        """`image` in the shape of the frame at its own resolution; None where that is no sharper."""
        from pacenote.models.frames import fit_frame

        if self.size is None or image.width <= self.size[0]:
            return None
        width = image.width
        return fit_frame(image, (width, round(width * self.size[1] / self.size[0])), self.fit)
