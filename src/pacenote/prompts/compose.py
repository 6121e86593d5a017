"""From a book and a look at a frame to the prompt of that frame. Deterministic; each block says why it is in or out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from pacenote.advisory import kind_words
from pacenote.errors import InputError
from pacenote.experts.detection import likely
from pacenote.prompts.aids import crops, elsewhere, marked, shown
from pacenote.prompts.book import Aid, Block, Book
from pacenote.prompts.conditions import ALWAYS, holds, told
from pacenote.prompts.look import Context, Look, facts

if TYPE_CHECKING:
    from PIL import Image

    from pacenote.models import Model


class Counter(Protocol):
    """Counts tokens as a model would."""

    def words(self, text: str) -> int: ...
    def picture(self, size: tuple[int, int]) -> int: ...


class TokenCounter:
    """Tokens of words and visual tokens of pictures for one model; both are remembered."""

    def __init__(self, model: Model) -> None:
        self.words = lru_cache(maxsize=4096)(self._words)
        self.picture = lru_cache(maxsize=256)(self._picture)
        self.model = model

    def _words(self, text: str) -> int:
        return len(self.model.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _picture(self, size: tuple[int, int]) -> int:
        from PIL import Image

        inputs = self.model.inputs([[Image.new("RGB", size)]], ["?"])
        return int(self.model.family.features(inputs, self.model.model.config))


@dataclass(frozen=True)
class Choice:
    """What became of a block, and why. `tokens` it costs, words and pictures."""

    block: str
    used: bool
    why: str
    tokens: int = 0


@dataclass(frozen=True)
class Prompt:
    """What is asked about one frame: pictures with their roles, words, and how they came about. `book`: its digest;
    `tokens` behind the frame."""

    images: tuple[Image.Image, ...]
    roles: tuple[str, ...]
    question: str
    choices: tuple[Choice, ...]
    tokens: int
    book: str

    @property
    def blocks(self) -> list[str]:
        """Ids of the blocks that are in it."""
        return [choice.block for choice in self.choices if choice.used]

    def to_dict(self) -> dict[str, Any]:
        """What an answer says of its prompt."""
        return {"book": self.book, "blocks": self.blocks, "tokens": self.tokens}


def compose(
    book: Book,
    frame: Image.Image,
    look: Look,
    counter: Counter,
    *,
    sharp: Image.Image | None = None,
    context: Context = Context(),
    given: str = "",
    previous: Image.Image | None = None,
) -> Prompt:
    """The prompt of `book` for `frame`, as the model is shown it.

    `sharp`: the same picture with more pixels, from which crops are cut. `given`: words that a question already states
    (the limit of a sample); they stay, before all blocks. `previous`: the frame before. Blocks come in the book's order
    as long as the budget lasts. Raises InputError where the request alone is over it.
    """
    known = facts(look, context, previous is not None)
    spent = counter.words(f"{given} {book.request}".strip())
    if spent > book.budget:
        raise InputError(
            f"book {book.name}: the request takes {spent} tokens, its budget is {book.budget}; raise budget"
        )
    pictures, roles, words = [frame], ["frame"], [given] if given else []
    choices = []
    for block in book.blocks:
        reason = lacks(block, known)
        if reason:
            choices.append(Choice(block.id, False, reason))
            continue
        text, aid, why = "", _Shown(), ""
        if block.aid is None:
            text = filled(block, known)
            cost = counter.words(" " + text)
        else:
            aid = _shown(block.aid, pictures[0], look, sharp or frame, previous)
            if not aid.why:
                choices.append(Choice(block.id, False, f"no {block.aid.of} to show (least {block.aid.least:g})"))
                continue
            cost = sum(counter.picture(one.size) + counter.words("crop: ") for one in aid.pictures)
        if spent + cost > book.budget:
            choices.append(Choice(block.id, False, f"{cost} tokens more than the budget of {book.budget} allows", cost))
            continue
        spent += cost
        if block.when != ALWAYS:
            why = f"{block.when}: {told(block.when, known)}"
        choices.append(Choice(block.id, True, "; ".join(filter(None, (why, aid.why))) or ALWAYS, cost))
        words += [text] if text else []
        pictures[0] = aid.frame or pictures[0]
        pictures += aid.pictures
        roles += ["previous" if block.aid and block.aid.show == "previous" else "crop"] * len(aid.pictures)
    question = " ".join([*words, book.request])
    return Prompt(tuple(pictures), tuple(roles), question, tuple(choices), spent, book.digest)


def lacks(block: Block, known: dict[str, Any]) -> str:
    """Why `block` is left out; "" where it applies."""
    if not block.active:
        return "not active"
    if not holds(block.when, known):
        return f"{block.when}: {told(block.when, known)}"
    for name in block.names():
        if known[name] is None:
            return f"{name} is not known"
    return ""


def filled(block: Block, known: dict[str, Any]) -> str:
    """The words of `block` with the facts that it names."""
    values = {name: _word(known[name]) for name in block.names()}
    return block.text.strip().format(**values)


def _word(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return " and ".join(kind_words(kind) for kind in value)
    return f"{value:.2f}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class _Shown:
    """What an aid adds: pictures, or a picture in the frame's place; `why` says what is on them, "" nothing."""

    pictures: tuple[Image.Image, ...] = ()
    frame: Image.Image | None = None
    why: str = ""


def _shown(aid: Aid, frame: Image.Image, look: Look, sharp: Image.Image, previous: Image.Image | None) -> _Shown:
    if aid.show == "previous":
        return _Shown() if previous is None else _Shown((previous,), why="the frame before")
    if aid.of == "nothing":
        return _Shown(tuple(crops(aid, sharp, look, elsewhere(frame, aid, look))), why="elsewhere")
    found = shown(aid, look)
    why = ", ".join(f"{one.state} {kind_words(one.kind)} {likely(one):.2f}".strip() for one in found)
    boxes = [one.box for one in found]
    if aid.show == "mark" and boxes:
        return _Shown(frame=marked(frame, boxes), why=why)
    return _Shown(tuple(crops(aid, sharp, look, boxes)), why=why)
