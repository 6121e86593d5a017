"""The prompt book: blocks of words and pictures with conditions on what an image holds (paper A, section 3.1).

A book is a YAML file, so that a change of it is a diff. `original` is the plain prompt of Table 3; `default` is what
ships.
"""

from __future__ import annotations

import dataclasses
import string
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pacenote.advisory import ADVISE
from pacenote.errors import InputError
from pacenote.prompts.conditions import ALWAYS, check
from pacenote.prompts.look import FACTS
from pacenote.work.files import digest, write_text
from pacenote.work.settings import build, read_yaml

BOOKS = Path(__file__).parent / "books"
Kind = Literal["task", "definition", "example", "caution", "context", "aid"]
Show = Literal["crop", "mark", "previous"]
Of = Literal["light", "obstacle", "person", "crossing", "intersection", "sign", "nothing"]
LAST = 10_000  # characters of a block's text


@dataclass(frozen=True)
class Aid:
    """A picture beside the words.

    `crop`: a part of the frame at its own resolution, `width` of the frame's width across, scaled to `side` px, around
    each of the `most` likeliest things of the group `of` that are at least `least` confident; `of` "nothing" cuts out
    places where nothing is seen (a placebo). `mark`: a frame drawn around them in the picture.
    `previous`: the frame before.
    """

    show: Show
    of: Of = "light"
    least: float = 0.03
    most: int = 1
    width: float = 1 / 7
    side: int = 168

    def __post_init__(self) -> None:
        if not 0 <= self.least <= 1 or not 0 < self.width <= 1 or self.most < 1 or self.side < 28:
            raise InputError(
                "aid: least is 0..1, width a share of the frame above 0, most at least 1, side at least 28 px"
            )


@dataclass(frozen=True)
class Block:
    """Words (`text`, with facts in braces: `{limit}`) or an aid, used where `when` holds. `slot`: which slot it serves,
    "" all. `active`: a block that is not stays in the book for the optimizer to try."""

    id: str
    kind: Kind
    text: str = ""
    when: str = ALWAYS
    slot: Literal["", "speed", "light", "obstacles", "crossroad"] = ""
    aid: Aid | None = None
    active: bool = True

    def __post_init__(self) -> None:
        check(self.when, FACTS)
        if (self.aid is None) == (self.kind == "aid"):
            raise InputError(f"block {self.id}: kind aid needs an aid, no other kind has one")
        if bool(self.text.strip()) == (self.kind == "aid"):
            raise InputError(f"block {self.id}: {'an aid has no words' if self.text else 'text is missing'}")
        if len(self.text) > LAST:
            raise InputError(f"block {self.id}: text is over {LAST} characters; shorten it")
        for name in self.names():
            if name not in FACTS:
                raise InputError(f"block {self.id}: unknown fact {{{name}}}; the facts are {', '.join(FACTS)}")

    def names(self) -> list[str]:
        """Facts that the text names."""
        try:
            return [name for _, name, _, _ in string.Formatter().parse(self.text) if name is not None]
        except ValueError as error:
            raise InputError(
                f"block {self.id}: text cannot be filled in ({error}); write braces as {{{{ }}}}"
            ) from None


@dataclass(frozen=True)
class Book:
    """Blocks in their order, behind which the `request` stands. `budget`: the most tokens behind the frame, words and
    visual tokens of aids together."""

    name: str
    blocks: tuple[Block, ...] = ()
    version: int = 1
    request: str = ADVISE
    budget: int = 256
    description: str = ""

    def __post_init__(self) -> None:
        ids = [block.id for block in self.blocks]
        twice = sorted({one for one in ids if ids.count(one) > 1})
        if twice:
            raise InputError(f"book {self.name}: block {twice[0]} is there twice; give each block an id of its own")
        if self.budget < 1:
            raise InputError(f"book {self.name}: budget {self.budget}; give at least 1 token")

    @property
    def digest(self) -> str:
        """Identity of what the book says; its name, version and description do not count."""
        held = self.to_dict()
        return digest({key: held[key] for key in ("request", "budget", "blocks")})

    def bare(self) -> Book:
        """The same book with no block active: the plain request, and all that an optimizer may try."""
        return dataclasses.replace(self, blocks=tuple(dataclasses.replace(one, active=False) for one in self.blocks))

    def block(self, block_id: str) -> Block:
        """The block of that id. Raises InputError where there is none."""
        for one in self.blocks:
            if one.id == block_id:
                return one
        raise InputError(
            f"book {self.name}: no block {block_id}; the blocks are {', '.join(b.id for b in self.blocks)}"
        )

    def to_dict(self) -> dict[str, Any]:
        """As it is written: fields at their defaults are left out of blocks."""
        return {
            "name": self.name, "version": self.version, "description": self.description, "request": self.request,
            "budget": self.budget, "blocks": [_plain(block) for block in self.blocks],
        }  # fmt: skip

    @classmethod
    def from_dict(cls, held: dict[str, Any], where: str = "book") -> Book:
        """Raises InputError naming the field that is wrong."""
        return build(cls, held, where)

    def dump(self) -> str:
        """The book as YAML."""
        import yaml

        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True, width=120)

    def save(self, path: Path) -> None:
        """Write the book, whole or not at all."""
        write_text(path, self.dump())


def _plain(one: Any) -> dict[str, Any]:
    """A dataclass as a mapping without the fields that are at their defaults."""
    found = {}
    for field in dataclasses.fields(one):
        value = getattr(one, field.name)
        if value == field.default:
            continue
        found[field.name] = _plain(value) if dataclasses.is_dataclass(value) else value
    return found


def load_book(name: str) -> Book:
    """A shipped book (`default`, `original`, ...) or a YAML file. Raises InputError naming the file and the mend."""
    path = Path(name)
    if not path.suffix:
        path = BOOKS / f"{name}.yaml"
        if not path.is_file():
            known = ", ".join(sorted(p.stem for p in BOOKS.glob("*.yaml")))
            raise InputError(f"no prompt book '{name}'; shipped are {known}, or give a YAML file")
    return Book.from_dict(read_yaml(path), str(name))


def difference(before: Book, after: Book) -> str:
    """A unified diff of two books; "" where they are alike."""
    from difflib import unified_diff

    old, new = before.dump().splitlines(), after.dump().splitlines()
    first, second = (f"{one.name} {one.version}" for one in (before, after))
    return "\n".join(unified_diff(old, new, first, second, lineterm="", n=1))
