"""From names to an optimization: opens model, frames, book and expert, runs the rounds, writes the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.engine import ENGINE, asker
from pacenote.errors import InputError
from pacenote.evaluate.run import model_digest
from pacenote.evaluate.source import open_source
from pacenote.models.readout import SPEED
from pacenote.optimize.asked import Asked
from pacenote.optimize.edits import Edit, Failure, propose
from pacenote.optimize.run import Optimized, Options, Proposer, optimize, split_parts
from pacenote.prompts.book import Book, load_book
from pacenote.prompts.prompter import Prompter
from pacenote.work import digest

if TYPE_CHECKING:
    from pacenote.models import Model


def optimize_book(
    model: Model,
    dataset: str,
    out: Path,
    options: Options = Options(),
    *,
    split: str = "train",
    book: str = "default",
    bare: bool = False,
    expert: str = "",
    limit: int | None = None,
    endpoint: str = "",
    endpoint_model: str = "",
    gepa: int = 0,
) -> tuple[Optimized, Path]:
    """Optimize `book` for `model` on the labelled frames of `dataset`; `out` gets book.yaml, rounds.json and
    report.html.

    `bare`: start with every block inactive. `endpoint`: the address of an OpenAI-compatible server whose LLM proposes
    half of the edits. `gepa`: let GEPA search in place of the edit table, with so many answers a round. Raises
    InputError for frames without truth and bad books.
    """
    from pacenote.optimize.report import write_page

    first = load_book(book).bare() if bare else load_book(book)
    source = open_source(dataset, split)
    samples = [sample for _, sample in source.frames(limit) if sample.truth is not None and sample.images]
    if not samples:
        raise InputError(f"{dataset} ({split}): no labelled frame; give frames with truth")
    prompter = Prompter(model, first, expert)
    ask = asker(model, ENGINE, SPEED, prompter.eyes)
    asked = Asked(ask, prompter, samples, digest([model_digest(model), ENGINE, SPEED]), out / "answers")
    proposer: Proposer = propose
    if gepa and endpoint:
        raise InputError("--gepa and --endpoint are two ways to find edits; give one of them")
    if gepa:
        from pacenote.optimize.gepa import GepaProposer

        proposer = GepaProposer(asked, split_parts(samples, options.seed)["propose"], gepa)
    if endpoint:
        from pacenote.models.endpoint import Endpoint
        from pacenote.optimize.llm import LlmProposer

        llm = LlmProposer(Endpoint(endpoint, endpoint_model), out / "proposals.jsonl")
        proposer = _both(llm)
    state = optimize(asked, first, out, options, proposer)
    return state, write_page(state, asked, out)


def _both(llm: Proposer) -> Proposer:
    """Half of the edits from the LLM, the rest from the table."""

    def both(book: Book, failures: Sequence[Failure], count: int, rng: Any, tried: set[str]) -> list[Edit]:
        told = llm(book, failures, (count + 1) // 2, rng, tried)
        known = tried | {edit.book.digest for edit in told}
        return [*told, *propose(book, failures, count - len(told), rng, known)]

    return both
