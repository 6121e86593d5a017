"""Pairs of a picture and its caption, filtered as in paper A, section 3.2.2: no similar pictures, no caption told again
and again, no pair whose caption is not what the picture shows. What is refused is kept with its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.data import Card, Dataset, DatasetWriter
from pacenote.errors import InputError
from pacenote.imagine.describe import Describer, usable
from pacenote.imagine.judge import BATCH, agree
from pacenote.imagine.spec import DETAILS, SEEN, Spec, spec_of
from pacenote.mining.duplicates import Duplicates, Likeness, signature, slots_key
from pacenote.work import Page, digest, progress

if TYPE_CHECKING:
    from pacenote.data.sample import Picture, Sample
    from pacenote.engine import Answer
    from pacenote.imagine.judge import Judge

TASK = "caption"
QUESTION = "Describe the scene for a painter."
SHOWN = 8  # pictures of each reason on the page
SIMILAR = "similar picture with the same facts"
REPEATED = "caption told too often"
MISALIGNED = "the judge reads another "


@dataclass(frozen=True)
class Pair:
    """A picture, what it shows, and the caption that a painter learns it under."""

    id: str
    picture: Picture
    caption: str
    spec: Spec


@dataclass(frozen=True)
class PairOptions:
    """`alike`: when two pictures of equal facts are the same again. `same`: pairs of one caption that are kept. `sure`:
    confidence from which the judge's reading of another slot value refuses a pair."""

    alike: Likeness = Likeness()
    same: int = 24
    sure: float = 0.95


def make_pairs(
    data: Sequence[str],
    out: Path,
    options: PairOptions = PairOptions(),
    judge: Judge | None = None,
    split: str = "train",
    describer: Describer | None = None,
) -> Dataset:
    """Filter the labelled frames of `data` into a Dataset of pairs in `out`, with `report.html`; goes on where it was.

    A pair is a Sample of task "caption" whose answer is the caption; truth, conditions and picture stay. With a `judge`
    pairs that it surely reads otherwise are refused; a `describer` adds what no slot names, where its words can be
    used. Raises InputError where nothing is left.
    """
    held = [(name, Dataset.open(name, split)) for name in data]
    who = [one and one.digest for one in (judge, describer)]
    key = digest([asdict(options), [dataset.card for _, dataset in held], split, who])
    gallery: dict[str, list[tuple[Any, str]]] = {"kept": []}
    counts: Counter[str] = Counter()
    with DatasetWriter(out, Card("pairs", recipe=key, description="Pictures with captions for a painter.")) as writer:
        for sample, spec, reason in _filtered(held, options, judge, describer, writer.has):
            if reason or spec is None:
                counts[reason] += 1
                _show(gallery.setdefault(reason, []), sample, spec.prompt() if spec else sample.id)
                writer.reject(sample.id, reason, sample.source)
            else:
                told = {**sample.provenance, DETAILS: spec.details} if spec.details else sample.provenance
                writer.add(replace(sample, task=TASK, question=QUESTION, answer=spec.prompt(), provenance=told), split)
    made = Dataset.open(out)
    for sample in made:  # as they are stored: an earlier start may have described them
        counts["kept"] += 1
        counts["of them with a VLM's words, too"] += DETAILS in sample.provenance
        _show(gallery["kept"], sample, str(sample.answer))
    page = Page("Pairs of pictures and captions")
    page.table(["pairs", "number"], [[name, number] for name, number in counts.most_common() if number])
    for reason, pictures in gallery.items():
        page.heading(reason.capitalize()).gallery(pictures)
    page.save(out / "report.html")
    return made


def _show(shown: list[tuple[Any, str]], sample: Sample, words: str) -> None:
    if len(shown) < SHOWN and sample.images:
        shown.append((sample.images[0].bytes, words))


Found = tuple["Sample", Spec | None, str]  # a frame, what it shows if all is known, why it is refused or ""


def _filtered(
    held: Sequence[tuple[str, Dataset]], options: PairOptions, judge: Judge | None, describer: Describer | None,
    stored: Callable[[str], bool],
) -> Iterator[Found]:  # fmt: skip
    """Every advisory frame. Nobody describes what is `stored` already."""
    seen = Duplicates(options.alike)
    told: Counter[str] = Counter()
    waiting: list[tuple[Sample, Spec]] = []

    def looked() -> Iterator[Found]:
        found = list(_read_back(waiting, options, judge))
        fresh = [k for k, (sample, _, reason) in enumerate(found) if not reason and not stored(sample.id)]
        said = describer.tell([found[k][0].image(0) for k in fresh]) if describer and fresh else []
        for k, words in zip(fresh, said, strict=False):  # nothing is said where there is nobody
            sample, spec, reason = found[k]
            found[k] = (sample, spec and replace(spec, details=usable(words)), reason)
        waiting.clear()
        yield from found

    total = sum(len(dataset) for _, dataset in held)
    frames = (sample for _, dataset in held for sample in dataset)
    for sample in progress(frames, "pairs", total):
        if sample.task != "advisory" or not sample.images:
            continue
        try:
            spec = spec_of(sample)
        except InputError as error:
            yield sample, None, str(error).split(": ", 1)[-1]
            continue
        text = spec.prompt()
        reason = REPEATED if told[text] >= options.same else ""
        if not reason and seen.add(sample.id, signature(sample.image(0)), slots_key(sample.truth)):
            reason = SIMILAR
        if reason:
            yield sample, spec, reason
            continue
        told[text] += 1
        waiting.append((sample, spec))
        if len(waiting) == BATCH:
            yield from looked()
    yield from looked()


def _read_back(waiting: Sequence[tuple[Sample, Spec]], options: PairOptions, judge: Judge | None) -> Iterator[Found]:
    answers = judge.read([sample.image(0) for sample, _ in waiting]) if judge and waiting else [None] * len(waiting)
    for (sample, spec), answer in zip(waiting, answers, strict=True):
        slot = None if answer is None else surely_other(answer, spec, options.sure)
        yield sample, spec, f"{MISALIGNED}{slot}" if slot else ""


def surely_other(answer: Answer, spec: Spec, sure: float) -> str | None:
    """The first slot that a picture shows and that was read otherwise than in `spec`, at least so sure."""
    agreed = agree(answer.advisory, spec)
    told = answer.confidence or {}
    return next((slot for slot in SEEN if not agreed[slot] and (told.get(slot) or 0.0) >= sure), None)


def read_pairs(path: str | Path, split: str | None = None) -> list[Pair]:
    """The pairs of a Dataset: of one that `make_pairs` wrote, else every labelled frame whose facts are all known.

    Pictures stay encoded. Raises InputError where there are none.
    """
    pairs = []
    for sample in Dataset.open(path, split):
        if not sample.images or sample.task not in (TASK, "advisory"):
            continue
        try:
            spec = spec_of(sample)
        except InputError:
            continue
        text = sample.answer if sample.task == TASK and sample.answer else spec.prompt()
        pairs.append(Pair(sample.id, sample.images[0], text, spec))
    if not pairs:
        raise InputError(f"{path}: no frame whose facts are all known, so no pairs; give a labelled Dataset")
    return pairs
