"""Answers of one model to many prompts about the same frames, each asked once and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.evaluate.predictions import Prediction, PredictionFile
from pacenote.prompts.look import Context
from pacenote.work import digest, progress

if TYPE_CHECKING:
    from pacenote.data.sample import Sample
    from pacenote.engine import Ask
    from pacenote.prompts.book import Book
    from pacenote.prompts.compose import Prompt
    from pacenote.prompts.prompter import Prompter

BATCH = 8  # frames


class Asked:
    """Asks `ask` what the books say about `samples`. Answers lie in `store`/predictions.jsonl by model, pictures, roles
    and words, so a book that says the same of a frame as another costs nothing, nor does a run that is resumed.
    `model`: the identity of weights and engine."""

    def __init__(self, ask: Ask, prompter: Prompter, samples: Sequence[Sample], model: str, store: Path) -> None:
        self.ask, self.prompter, self.samples, self.model = ask, prompter, samples, model
        self.file = PredictionFile(store)
        self.store = store
        self._keys: dict[tuple[str, int], str] = {}

    def __call__(self, books: Sequence[Book], frames: Sequence[int], label: str = "ask") -> list[list[Prediction]]:
        """Answers of each book to the frames of those numbers, in their order."""
        unknown = [
            frame for frame in frames
            if any(self._keys.get((book.digest, frame)) not in self.file.found for book in books)
        ]  # fmt: skip
        starts = range(0, len(unknown), BATCH)
        for start in progress(starts, label, len(starts)) if unknown else ():
            self._run(books, unknown[start : start + BATCH])
        return [[self.file.found[self._keys[book.digest, frame]] for frame in frames] for book in books]

    def prompt(self, book: Book, frame: int) -> Prompt:
        """What `book` makes of a frame."""
        sample = self.samples[frame]
        image = sample.image(0)
        (shown,), (look,) = self.prompter.look([image])
        return self.prompter.compose(book, shown, look, image, sample.question, Context.of(sample))

    def _run(self, books: Sequence[Book], frames: Sequence[int]) -> None:
        self.store.mkdir(parents=True, exist_ok=True)
        samples = [self.samples[frame] for frame in frames]
        images = [sample.image(0) for sample in samples]
        # One frame object for all books: the tower sees it once.
        shown, looks = self.prompter.look(images)
        missing: dict[str, tuple[Prompt, str]] = {}
        for k, sample in enumerate(samples):
            for book in books:
                prompt = self.prompter.compose(book, shown[k], looks[k], images[k], sample.question, Context.of(sample))
                key = self._key(sample, prompt)
                self._keys[book.digest, frames[k]] = key
                if key not in self.file.found:
                    missing[key] = (prompt, sample.id)
        waiting = list(missing.items())
        for start in range(0, len(waiting), BATCH):
            part = waiting[start : start + BATCH]
            answers = self.ask(
                [prompt.images for _, (prompt, _) in part], [prompt.question for _, (prompt, _) in part],
                [prompt.roles for _, (prompt, _) in part],
            )  # fmt: skip
            self.file.add(
                [
                    Prediction(key, name, a.text, a.advisory, a.confidence, a.ms, len(part))
                    for (key, (_, name)), a in zip(part, answers, strict=True)
                ]
            )

    def _key(self, sample: Sample, prompt: Prompt) -> str:
        pictures: list[Any] = [hashlib.sha256(sample.images[0].bytes).hexdigest()[:16]]
        # The first picture is the sample's own unless something was drawn into it.
        drawn = prompt.images[0].info.get("marked")
        pictures += [drawn, *(hashlib.sha256(one.tobytes()).hexdigest()[:16] for one in prompt.images[1:])]
        return digest([self.model, pictures, list(prompt.roles), prompt.question])
