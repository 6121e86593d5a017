"""Rounds of paper A's Fig. 2: run, compare with what was expected, edit, race, accept or not, again.

Frames are split by scene into three parts with one use each: on `propose` failures are looked at, on `race` candidates
are compared, on `accept` the winner of a race is tested. A test split is never touched here.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.advisory import SLOTS, Advisory, Truth, slot_text
from pacenote.errors import InputError
from pacenote.evaluate.breakdown import slot_right
from pacenote.evaluate.predictions import Prediction
from pacenote.optimize.accept import Gate, Verdict, average, compare
from pacenote.optimize.asked import Asked
from pacenote.optimize.edits import Edit, Failure, propose
from pacenote.optimize.race import Heat, race
from pacenote.prompts.book import Book, difference
from pacenote.work import RunDirectory, digest, say, write_json

if TYPE_CHECKING:
    from pacenote.data.sample import Sample

PARTS = ("propose", "race", "accept")
SHARES = (0.2, 0.3, 0.5)  # of scenes: a gain of .05 at 20 % discordance takes some 490 frames to show
LEAST = 20  # frames a part
PROMISING = 0.2  # p of the winner on the race frames up to which it is worth one of the looks that alpha pays for


@dataclass(frozen=True)
class Options:
    """`rounds` at most; it ends sooner when `patience` of them one after the other accept nothing, or no edit is left.
    `candidates` a round. `alpha` of false acceptance over the whole run, `margin` of a slot: see `accept.Gate`."""

    rounds: int = 12
    candidates: int = 8
    patience: int = 4
    rungs: int = 2
    alpha: float = 0.025
    margin: float = 0.03
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.rounds, self.candidates, self.patience, self.rungs) < 1:
            raise InputError("rounds, candidates, patience and rungs: give at least 1")
        if not 0 < self.alpha < 0.5 or self.margin < 0:
            raise InputError("alpha is above 0 and below .5, margin at least 0")


@dataclass(frozen=True)
class Changed:
    """A frame of which a slot was told wrong and is told right now, or the other way round."""

    frame: int
    before: str
    after: str


@dataclass(frozen=True)
class Round:
    """What happened in a round: heats as (edit, gain) pairs, the verdict on the winner (None: it gained too little in
    the race), frames that the winner tells right (wins) and wrong (losses) where the incumbent does not, by slot."""

    number: int
    failures: dict[str, int]
    heats: list[tuple[int, list[tuple[Edit, float]]]]
    winner: Edit
    verdict: Verdict | None
    wins: dict[str, int]
    losses: dict[str, int]
    changed: list[Changed]
    diff: str

    def to_dict(self) -> dict[str, Any]:
        """As rounds.json holds it."""
        return {
            "round": self.number, "failures": self.failures, "winner": _edit(self.winner),
            "heats": [
                {"frames": frames, "gains": [{**_edit(edit), "gain": round(gain, 5)} for edit, gain in gains]}
                for frames, gains in self.heats
            ],
            "verdict": None if self.verdict is None else asdict(self.verdict),
            "wins": self.wins, "losses": self.losses, "diff": self.diff,
        }  # fmt: skip


@dataclass
class Optimized:
    """The best book, what it came from, and the rounds."""

    first: Book
    best: Book
    rounds: list[Round]
    gate: Gate
    parts: dict[str, list[int]]
    figures: dict[str, Any] = field(default_factory=dict)


Proposer = Callable[[Book, Sequence[Failure], int, Any, set[str]], list[Edit]]


def split_parts(samples: Sequence[Sample], seed: int = 0) -> dict[str, list[int]]:
    """Numbers of the frames of each part, split by scene or drive. Raises InputError where there are too few."""
    parts: dict[str, list[int]] = {part: [] for part in PARTS}
    for number, sample in enumerate(samples):
        place = int(digest([seed, sample.cluster]), 16) % 1000 / 1000
        part = PARTS[0] if place < SHARES[0] else PARTS[1] if place < SHARES[0] + SHARES[1] else PARTS[2]
        parts[part].append(number)
    short = min(parts, key=lambda part: len(parts[part]))
    if len(parts[short]) < LEAST:
        raise InputError(
            f"{len(samples)} labelled frames leave {len(parts[short])} to {short}; give {LEAST * 10} of more scenes"
        )
    return parts


def optimize(asked: Asked, first: Book, out: Path, options: Options, proposer: Proposer = propose) -> Optimized:
    """Improve `first` on `asked.samples`, which have truths; writes `book.yaml` and `rounds.json` into `out` after
    every round. The same command goes on from the answers that it has."""
    import numpy as np

    samples = asked.samples
    truths = [sample.truth or Truth.unknown() for sample in samples]
    run = RunDirectory.open(
        out, "optimize",
        {"model": asked.model, "book": first.digest, "expert": asked.prompter.digest, "options": asdict(options),
         "frames": digest([sample.id for sample in samples])},
        seed=options.seed,
    )  # fmt: skip
    parts = split_parts(samples, options.seed)
    state = Optimized(first, first, [], Gate(options.alpha, options.margin, seed=options.seed), parts)
    tried: set[str] = set()
    idle = 0
    for number in range(1, options.rounds + 1):
        told = asked([state.best], parts["propose"], f"round {number}: run")[0]
        failures = failures_of(told, [samples[k] for k in parts["propose"]])
        edits = proposer(state.best, failures, options.candidates, np.random.default_rng((options.seed, number)), tried)
        if not edits:
            say(f"round {number}: no edit is left to try")
            break
        heats = _race(asked, state.best, edits, parts["race"], truths, options.rungs, number)
        winner, gain = heats[-1].gains[0]
        verdict: Verdict | None = None
        wins: dict[str, int] = {}
        losses: dict[str, int] = {}
        changed: list[Changed] = []
        if gain > 0 and _promising(asked, state.best, winner.book, parts["race"], truths):
            frames = parts["accept"]
            before, after = asked([state.best, winner.book], frames, f"round {number}: accept")
            verdict = state.gate.judge(
                _said(before), _said(after), [truths[k] for k in frames], [samples[k].cluster for k in frames]
            )
            wins, losses, changed = _moved(before, after, frames, truths)
        tried |= {edit.book.digest for edit in edits if verdict is None or not verdict.accepted or edit is not winner}
        counted = dict(Counter(failure.slot for failure in failures))
        state.rounds.append(
            Round(number, counted, [(h.frames, list(h.gains)) for h in heats], winner, verdict, wins, losses, changed,
                  difference(state.best, winner.book))
        )  # fmt: skip
        if verdict is not None and verdict.accepted:
            state.best = dataclasses.replace(winner.book, version=state.best.version + 1)
            idle = 0
        else:
            idle += 1
        _tell(state.rounds[-1], gain)
        _write(run.path, state, asked, truths)
        if idle >= options.patience:
            say(f"{idle} rounds without an accepted edit: done")
            break
    _write(run.path, state, asked, truths)
    return state


def failures_of(told: Sequence[Prediction], samples: Sequence[Sample]) -> list[Failure]:
    """Slots that are told wrong where the truth is known."""
    found = []
    for prediction, sample in zip(told, samples, strict=True):
        truth = sample.truth or Truth.unknown()
        expected = truth.advisory()
        for slot in SLOTS:
            if slot_right(prediction, truth, slot) is False:
                found.append(Failure(sample.id, slot, _sentence(expected, slot), _sentence(prediction.advisory, slot)))
    return found


def _race(
    asked: Asked,
    book: Book,
    edits: Sequence[Edit],
    frames: Sequence[int],
    truths: Sequence[Truth],
    rungs: int,
    number: int,
) -> list[Heat[Edit]]:
    def gains(chosen: Sequence[Edit], count: int) -> list[float]:
        told = asked([book, *(edit.book for edit in chosen)], frames[:count], f"round {number}: race on {count}")
        own = [truths[k] for k in frames[:count]]
        averages = [average(_said(one), own) for one in told]
        return [one - averages[0] for one in averages[1:]]

    return race(edits, gains, len(frames), rungs=rungs)


def _promising(asked: Asked, book: Book, other: Book, frames: Sequence[int], truths: Sequence[Truth]) -> bool:
    """Whether the gain of `other` on the race frames is more than what most lucky winners show."""
    before, after = asked([book, other], frames)
    clusters = [asked.samples[k].cluster for k in frames]
    return compare(_said(before), _said(after), [truths[k] for k in frames], clusters).p <= PROMISING


def _moved(
    before: Sequence[Prediction], after: Sequence[Prediction], frames: Sequence[int], truths: Sequence[Truth]
) -> tuple[dict[str, int], dict[str, int], list[Changed]]:
    wins, losses, changed = Counter[str](), Counter[str](), []
    for old, new, frame in zip(before, after, frames, strict=True):
        right = {slot: [slot_right(one, truths[frame], slot) for one in (old, new)] for slot in SLOTS}
        moved = [slot for slot, (was, now) in right.items() if was != now]
        wins.update(slot for slot in moved if right[slot][1])
        losses.update(slot for slot in moved if right[slot][0])
        if moved:
            changed.append(Changed(frame, old.text, new.text))
    return dict(wins), dict(losses), changed


def _said(told: Sequence[Prediction]) -> list[Advisory]:
    return [prediction.advisory for prediction in told]


def _sentence(advisory: Advisory, slot: str) -> str:
    try:
        return slot_text(advisory, slot)
    except ValueError:  # not known, or not read
        return ""


def _edit(edit: Edit) -> dict[str, str]:
    return {"edit": edit.kind, "what": edit.words, "slot": edit.slot, "book": edit.book.digest}


def _tell(done: Round, gain: float) -> None:
    verdict = done.verdict
    outcome = (
        "too little to be tested"
        if verdict is None
        else ("accepted" if verdict.accepted else "refused") + f", {verdict.why}"
    )
    say(f"round {done.number}: {done.winner.kind}, {done.winner.words}: {gain:+.3f} in the race; {outcome}")


def _write(out: Path, state: Optimized, asked: Asked, truths: Sequence[Truth]) -> None:
    state.best.save(out / "book.yaml")
    frames = state.parts["accept"]
    first, best = asked([state.first, state.best], frames, "compare")
    paired = compare(
        _said(first), _said(best), [truths[k] for k in frames], [asked.samples[k].cluster for k in frames], draws=1
    )
    state.figures = {
        "first": state.first.digest, "best": state.best.digest, "version": state.best.version,
        "accepted": [r.winner.words for r in state.rounds if r.verdict and r.verdict.accepted],
        "frames": {part: len(own) for part, own in state.parts.items()},
        "gain_on_accept": paired.difference, "looks": len(state.gate.verdicts), "asked": len(asked.file.found),
    }  # fmt: skip
    write_json(out / "rounds.json", {**state.figures, "rounds": [one.to_dict() for one in state.rounds]})
