"""The stage that optimizes a prompt book."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pacenote.recipes.stage import Context, Stage

if TYPE_CHECKING:
    from pacenote.work import Page


def book_of(name: str) -> dict[str, str]:
    """What a prompt book says, as a source of a stage; nothing where none is used."""
    from pacenote.prompts.book import load_book

    return {"prompts": load_book(name).digest} if name else {}


@dataclass(frozen=True, kw_only=True)
class Optimize(Stage):
    """Optimize a prompt book for `model` on the labelled frames of `data`, as `pacenote prompts optimize` does; the
    book is `${NAME.out}/book.yaml`. Never give it the split that the book is scored on.
    """

    READS = ("model", "data")
    model: str
    data: str
    split: Literal["train", "dev", "test"] = "train"
    prompts: str = "default"  # the book that it starts from
    bare: bool = False  # with every block inactive
    expert: str = ""
    rounds: int = 12
    candidates: int = 8
    patience: int = 4
    alpha: float = 0.025
    margin: float = 0.03
    limit: int | None = None  # frames
    device: str = "auto"

    def sources(self) -> dict[str, str]:
        return super().sources() | book_of(self.prompts)

    def settings(self) -> dict[str, Any]:
        return {key: value for key, value in super().settings().items() if key != "prompts"}

    def run(self, out: Path, context: Context) -> None:
        from pacenote.evaluate.suite import load_model
        from pacenote.optimize.run import Options
        from pacenote.optimize.start import optimize_book

        options = Options(
            rounds=self.rounds, candidates=self.candidates, patience=self.patience, alpha=self.alpha,
            margin=self.margin, seed=context.seed,
        )  # fmt: skip
        model = load_model(self.model, self.device)
        optimize_book(
            model,
            self.data,
            out,
            options,
            split=self.split,
            book=self.prompts,
            bare=self.bare,
            expert=self.expert,
            limit=self.limit,
        )

    def show(self, page: Page, out: Path) -> None:
        from pacenote.prompts.book import difference, load_book
        from pacenote.work import read_json

        held, best = read_json(out / "rounds.json"), load_book(str(out / "book.yaml"))
        accepted = "; ".join(held["accepted"]) or "none"
        page.paragraph(
            f"{len(held['rounds'])} rounds, {held['looks']} tests on {held['frames']['accept']} frames kept for them. "
            f"Edits accepted: {accepted}. More in {out.name}/report.html."
        )
        first = load_book(self.prompts).bare() if self.bare else load_book(self.prompts)
        page.code(difference(first, best) or "no change", "the book's diff")


__all__ = ["Optimize", "book_of"]
