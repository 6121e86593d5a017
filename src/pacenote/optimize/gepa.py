"""GEPA (Agrawal et al. 2025) as a search for edits: it evolves a book on the propose frames, what it finds races like
any edit.

GEPA's own acceptance, a sum over a handful of examples, lets useless edits pass; here nothing is accepted but by
`accept.Gate`.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any

from pacenote.advisory import SLOTS, Truth
from pacenote.errors import InputError
from pacenote.evaluate.breakdown import slot_right
from pacenote.evaluate.predictions import Prediction
from pacenote.optimize.asked import Asked
from pacenote.optimize.edits import Edit, Failure, propose
from pacenote.prompts.book import Block, Book
from pacenote.work.settings import build

MINIBATCH = 12  # frames on which GEPA compares a child with its parent
ENOUGH = 8  # edits drawn, so that one of them is no example (a new block)


class GepaProposer:
    """Proposes what GEPA finds on the `frames` of `asked` within `calls` answers a round. A component of its candidates
    is a block, as YAML; new texts come from the typed edit table.

    Raises InputError where GEPA is not installed.
    """

    def __init__(self, asked: Asked, frames: Sequence[int], calls: int) -> None:
        if importlib.util.find_spec("gepa") is None:
            raise InputError("the GEPA backend is not installed; install it: pip install 'pacenote[gepa]'")
        self.asked, self.frames, self.calls = asked, list(frames), calls

    def __call__(self, book: Book, failures: Sequence[Failure], count: int, rng: Any, tried: set[str]) -> list[Edit]:
        """The `count` best books of the search, best first, that were not tried."""
        import gepa

        adapter = _Adapter(self.asked, book, rng, tried)
        found = gepa.optimize(
            seed_candidate=_components(book), trainset=self.frames, valset=self.frames, adapter=adapter,
            custom_candidate_proposer=adapter.propose, reflection_minibatch_size=min(MINIBATCH, len(self.frames)),
            max_metric_calls=self.calls, seed=int(rng.integers(2**31)), logger=_Quiet(), display_progress_bar=False,
        )  # fmt: skip
        ranked = sorted(zip(found.candidates, found.val_aggregate_scores, strict=True), key=lambda one: -one[1])
        edits, known = [], {book.digest, *tried}
        for candidate, score in ranked:
            after = _book(book, candidate)
            if after.digest not in known:
                known.add(after.digest)
                edits.append(Edit("search", f"GEPA, {score:.3f} of slots right on the propose frames", "", after))
        return edits[:count]


class _Adapter:
    """What GEPA needs of us. `propose_new_texts` None: it is duck-typed and would be called."""

    propose_new_texts = None

    def __init__(self, asked: Asked, book: Book, rng: Any, tried: set[str]) -> None:
        self.asked, self.first, self.rng, self.tried = asked, book, rng, tried

    def evaluate(self, batch: list[int], candidate: dict[str, str], capture_traces: bool = False) -> Any:
        """Share of known slots that are right, frame by frame."""
        from gepa.core.adapter import EvaluationBatch

        told = self.asked([_book(self.first, candidate)], batch, "GEPA")[0]
        scores = [
            _score(one, self.asked.samples[frame].truth or Truth.unknown())
            for one, frame in zip(told, batch, strict=True)
        ]
        return EvaluationBatch(outputs=told, scores=scores, trajectories=list(zip(batch, told, strict=True)))

    def make_reflective_dataset(self, candidate: dict[str, str], told: Any, components: list[str]) -> dict[str, Any]:
        """The failures, the same for each component."""
        from pacenote.optimize.run import failures_of

        frames, answers = zip(*told.trajectories, strict=True)
        failures = failures_of(answers, [self.asked.samples[frame] for frame in frames])
        return {name: [dataclasses.asdict(failure) for failure in failures] for name in components}

    def propose(
        self,
        candidate: dict[str, str],
        reflective_dataset: Mapping[str, Sequence[Mapping[str, Any]]],
        components_to_update: list[str],
    ) -> dict[str, str]:
        """An edit of the table that the failures call for, as the texts of the blocks that it changes."""
        failures = [Failure(**one) for rows in reflective_dataset.values() for one in rows]
        edits = propose(_book(self.first, candidate), failures, ENOUGH, self.rng, self.tried)
        books = (_components(edit.book) for edit in edits)
        after = next((held for held in books if held.keys() == candidate.keys()), {})  # GEPA adds no component
        return {name: text for name, text in after.items() if candidate[name] != text}


class _Quiet:
    def log(self, message: str) -> None:
        """GEPA's own words are not shown: the rounds say what came of it."""


def _components(book: Book) -> dict[str, str]:
    import yaml

    return {block["id"]: yaml.safe_dump(block, sort_keys=False) for block in book.to_dict()["blocks"]}


def _book(first: Book, candidate: Mapping[str, str]) -> Book:
    import yaml

    blocks = tuple(build(Block, yaml.safe_load(text), name) for name, text in candidate.items())
    return dataclasses.replace(first, blocks=blocks)


def _score(told: Prediction, truth: Truth) -> float:
    right = [slot_right(told, truth, slot) for slot in SLOTS]
    known = [one for one in right if one is not None]
    return sum(known) / len(known) if known else 0.0
