"""An imagining from names: pairs, painter, judges -> rounds, a Dataset of what was kept, a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.data import Dataset
from pacenote.errors import InputError
from pacenote.imagine.judge import Judge, calibrate, check_judges, open_judge
from pacenote.imagine.loop import Loop, LoopOptions
from pacenote.imagine.pairs import Pair, read_pairs
from pacenote.imagine.quality import Usual
from pacenote.imagine.rounds import Jury, judge_round
from pacenote.imagine.score import Limits
from pacenote.imagine.screen import open_screen
from pacenote.imagine.show import show
from pacenote.imagine.wording import Wording, wording
from pacenote.work import RunDirectory, digest, read_json, write_json

if TYPE_CHECKING:
    from pacenote.imagine.painter import Painter

MOST = 400  # frames that a judge is calibrated on


@dataclass(frozen=True)
class Names:
    """What the rounds are made from. `known`: a Dataset of known truth that judges are calibrated on ("": the pairs),
    and its split; `tower`: whose eyes see how various pictures are; `trained`: models that the pictures are for, which
    may not judge; `limit`: only so many pairs, of the split `split`; `prompts`: a book whose words stand around each
    caption ("": the caption alone); `original`: the Dataset that `pairs` were chosen from, for a control of its own."""

    pairs: str
    judge: str
    second: str
    known: str = ""
    known_split: str = "train"
    tower: str = "starter-teacher"
    trained: tuple[str, ...] = ()
    screen: str = ""
    limit: int | None = None
    split: str = "train"
    prompts: str = ""
    original: str = ""


def imagine(
    names: Names,
    painter: Painter,
    out: Path,
    options: LoopOptions,
    *,
    limits: Limits = Limits(),
    device: str = "cpu",
    workers: int = 1,
    ray: str | None = None,
) -> dict[str, Any]:
    """Run the rounds in `out` and write `report.html`; the same command goes on where it was stopped.

    Raises InputError where the judges are one, or one is a model under training, and on prompts that are too long.
    """
    check_judges(names.judge, names.second, names.trained)
    if names.original and not options.control:
        raise InputError(f"original: a control learns from {names.original}; ask for one (--control)")
    screen = open_screen(names.screen)
    words = wording(names.prompts, painter)
    pairs = _told(names.pairs, names, words)[: names.limit]
    original = _told(names.original, names, words) if names.original else []
    painter.check([pair.caption for pair in [*pairs, *original]])
    settings = {
        "names": vars(names) | {"prompts": words.digest}, "options": options, "limits": limits,
        "painter": painter.digest, "pairs": digest([[pair.id, pair.caption] for pair in [*pairs, *original]]),
    }  # fmt: skip
    run = RunDirectory.open(out, "imagine", settings, seed=options.seed)
    judge, second = (open_judge(name, device) for name in (names.judge, names.second))
    trust = _trust((judge, second), names, painter.size, run.path)
    eyes, size = _eyes(names.tower, device)
    jury = Jury(judge, second, eyes, size, Usual.of(pairs, painter.size), screen, limits)
    figures = Loop(pairs, painter, jury, run.path, options, words, workers, ray, original).run()
    held = sorted(path.parent.name for path in run.path.glob("*/scores.json"))
    show(run.path, figures, trust, {name: judge_round(run.path / name, jury) for name in held})
    return figures


def _told(data: str, names: Names, words: Wording) -> list[Pair]:
    """The pairs of a Dataset under the captions that the painter is told."""
    pairs = read_pairs(data, names.split)
    if names.prompts or any(pair.spec.details for pair in pairs):
        return [replace(pair, caption=words(pair.spec, pair.caption)) for pair in pairs]
    return pairs


def _trust(judges: Sequence[Judge], names: Names, size: tuple[int, int], out: Path) -> dict[str, Any]:
    """Calibrate the judges, or take what an earlier start of this run found."""
    file = out / "trust.json"
    if not file.is_file():
        data = Dataset.open(names.known or names.pairs, names.known_split if names.known else names.split)
        frames = data.select(range(0, len(data), max(1, -(-len(data) // MOST))))
        for judge in judges:
            calibrate(judge, frames, size)
        write_json(file, {judge.name: judge.trust for judge in judges})
    held: dict[str, Any] = read_json(file)
    for judge in judges:
        judge.trust = held[judge.name]
    return held


def _eyes(name: str, device: str) -> Any:
    from pacenote.models import load
    from pacenote.models.eyes import Eyes
    from pacenote.models.frames import frame_size

    model = load(name, device=device)
    try:
        return Eyes(model), frame_size(model)
    except InputError as error:
        raise InputError(f"--tower {error}") from None
