"""How a painter is spoken to: the caption of a spec among the blocks of a prompt book that apply to it (paper A,
section 3.2.2, where text-to-image prompts are written from the optimized ones of section 3.1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from pacenote.errors import InputError
from pacenote.experts.detection import Detection
from pacenote.prompts.book import Book, load_book
from pacenote.prompts.compose import filled, lacks
from pacenote.prompts.look import Look, facts

if TYPE_CHECKING:
    from pacenote.imagine.painter import Painter
    from pacenote.imagine.spec import Spec

Words = Callable[["Spec"], str]
WHOLE = (0.0, 0.0, 1.0, 1.0)  # a box that nothing reads: a spec does not say where things stand


@dataclass(frozen=True)
class Wording:
    """Captions with the words of `book` around them: blocks of kind "task" before, others behind, in their order, those
    that apply to what the picture shall show. What the painter would not read to its end (`fits`) is left out: blocks,
    and of the caption its details."""

    book: Book | None
    fits: Callable[[str], bool]

    @property
    def digest(self) -> str:
        return self.book.digest if self.book else ""

    def __call__(self, spec: Spec, caption: str = "") -> str:
        """The prompt of `spec`; `caption`: words for it that are there already."""
        prompt = caption or spec.prompt()
        if spec.details and not self.fits(prompt):
            prompt = replace(spec, details="").prompt()
        caption, known = prompt, facts(look_of(spec))
        before: list[str] = []
        behind: list[str] = []
        for block in self.book.blocks if self.book else ():
            if lacks(block, known):
                continue
            own = before if block.kind == "task" else behind
            own.append(filled(block, known))
            longer = " ".join([*before, caption, *behind])
            if self.fits(longer):
                prompt = longer
            else:
                own.pop()
        return prompt


def wording(name: str, painter: Painter) -> Wording:
    """The wording of a book, by name or file ("": captions alone), for a painter. Raises InputError for a book with
    pictures."""
    book = load_book(name) if name else None
    aid = next((block.id for block in book.blocks if block.aid and block.active), "") if book else ""
    if aid:
        raise InputError(f"book {name}: block {aid} is a picture, which no painter takes; set it to active: false")

    @lru_cache(maxsize=65_536)
    def fits(prompt: str) -> bool:
        try:
            painter.check([prompt])
        except InputError:
            return False
        return True

    return Wording(book, fits)


def look_of(spec: Spec) -> Look:
    """What a look at a picture of `spec` finds when all of it is there: the facts that a book's conditions name."""
    states = [] if spec.light.state == "none" else [spec.light.state]
    states += [spec.light.other[0]] if spec.light.other else []
    seen = [Detection("traffic_light", WHOLE, 1.0, state, float(not k)) for k, state in enumerate(states)]
    seen += [Detection(kind, WHOLE, 1.0) for kind in sorted(spec.obstacles | spec.crossroad)]
    return Look((1, 1), tuple(seen), spec.conditions)


def plain(spec: Spec) -> str:
    """The caption alone."""
    return spec.prompt()
