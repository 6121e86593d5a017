"""Rounds in which a painter learns from the best of its own pictures (paper A, section 3.2.2, Fig. 6).

LoRA on the pairs -> K pictures of each drawn spec -> score -> best N, some under another label -> LoRA again -> next.
Such self-training peaks and then collapses (RSIDiff, arXiv:2502.09963, after about six rounds), so that each round also
paints a *probe*: the same specs and seeds each time, never trained on. A judge that decides nothing reads it. When its
agreement or the variety of the pictures falls, the rounds stop, and the best round is what remains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.data import Card, DatasetWriter
from pacenote.errors import InputError
from pacenote.imagine.lora import PaintLora
from pacenote.imagine.rounds import Round, judge_round, kept_sample, paint_round
from pacenote.imagine.score import REFUSED, best
from pacenote.imagine.spec import draw_specs
from pacenote.imagine.wording import Words, plain
from pacenote.work import digest, say, write_json

if TYPE_CHECKING:
    from pacenote.imagine.painter import Painter
    from pacenote.imagine.pairs import Pair
    from pacenote.imagine.rounds import Jury

SEEDS = 2**31


@dataclass(frozen=True)
class LoopOptions:
    """How the rounds go.

    specs, images: specs drawn a round, pictures of each; `keep` of each spec at most are learnt from, a share
    `relabelled` of all of them under another label. probe: specs of the fixed probe. own: share of the painter's own
    pictures in what a round learns from, the rest are the original pairs. first: steps on the pairs before round 0.
    fall: how far the second judge's agreement may drop below the best round's; diverse: the least variety, as a share
    of round 0's. control: also train equally long on the pairs alone. vary: see `spec.draw_specs`.
    """

    rounds: int = 3
    specs: int = 48
    images: int = 4
    keep: int = 1
    relabelled: float = 0.3
    probe: int = 64
    own: float = 0.5
    first: int = 0
    fall: float = 0.02
    diverse: float = 0.9
    vary: float = 0.5
    control: bool = False
    negatives: bool = False
    lora: PaintLora = field(default_factory=PaintLora)
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("rounds", "specs", "images", "keep", "probe"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: {getattr(self, name)}; give at least 1")
        for name in ("relabelled", "own", "fall", "diverse", "vary"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name}: {getattr(self, name)}; give a share from 0 to 1")


@dataclass(frozen=True)
class Loop:
    """The rounds of one painter in the directory `out`; every step that is finished there is not done again.

    `original`: the pairs that a filter chose `pairs` from; a second control learns from those.
    """

    pairs: Sequence[Pair]
    painter: Painter
    jury: Jury
    out: Path
    options: LoopOptions
    words: Words = plain
    workers: int = 1
    ray: str | None = None
    original: Sequence[Pair] = ()

    def run(self) -> dict[str, Any]:
        """Go through the rounds; leaves `dataset` (what the painter kept up to the best round), `lora-BEST` and the
        figures, which are also returned."""
        rounds: list[dict[str, Any]] = []
        kept: list[Pair] = []
        lora = self._first()
        stopped = ""
        for number in range(self.options.rounds + 1):
            probe = self.probe(number, lora)
            rounds.append({"round": number, "lora": lora and lora.name, **probe.figures})
            say(_line(rounds[-1]))
            stopped = self._why_stop(rounds)
            if stopped or number == self.options.rounds:
                break
            painted = self._paint(number, lora)
            chosen = self._chosen(painted)
            rounds[-1] |= {"painted": painted.figures, "chosen": len(chosen)}
            kept += chosen
            if not kept:
                stopped = "no picture was good enough to learn from"
                break
            lora = self._learn(number + 1, [self.pairs, kept], lora)
        top = self._best(rounds)
        figures: dict[str, Any] = {"rounds": rounds, "best": top, "stopped": stopped, "kept": self._keep(top)}
        if self.options.control and top:
            figures["control"] = self.beside("control", [self.pairs], top)
            if self.original:
                figures["original"] = self.beside("original", [self.original], top)
        write_json(self.out / "figures.json", figures)
        return figures

    def _first(self) -> Path | None:
        if not self.options.first:
            return None
        options = replace(self.options.lora, steps=self.options.first)
        return self._train([self.pairs], "lora-00", options, None)

    def _learn(self, number: int, groups: Sequence[Sequence[Pair]], start: Path | None) -> Path:
        shares = (1 - self.options.own, self.options.own)
        options = replace(self.options.lora, shares=shares, seed=self.options.lora.seed + number)
        return self._train(groups, f"lora-{number:02d}", options, start)

    def _train(self, groups: Sequence[Sequence[Pair]], name: str, options: PaintLora, start: Path | None) -> Path:
        return self.painter.train_lora(groups, self.out / name, options, start, self.out / "encoded")

    def _draw(self, count: int, stream: int) -> Any:
        seed = int(digest([self.options.seed, stream]), 16) % SEEDS
        return draw_specs([pair.spec for pair in self.pairs], count, seed, self.options.vary), seed

    def probe(self, number: int, lora: Path | None, name: str = "probe") -> Round:
        """The probe as the painter with `lora` paints it, judged, in `NAME-NUMBER`."""
        specs, seed = self._draw(self.options.probe, -1)
        seeds = [(seed + place) % SEEDS for place in range(len(specs))]
        return self._round(f"{name}-{number:02d}", lora, specs, seeds)

    def _paint(self, number: int, lora: Path | None) -> Round:
        specs, seed = self._draw(self.options.specs, number)
        each = [spec for spec in specs for _ in range(self.options.images)]
        return self._round(f"round-{number:02d}", lora, each, [(seed + place) % SEEDS for place in range(len(each))])

    def _round(self, name: str, lora: Path | None, specs: Any, seeds: Sequence[int]) -> Round:
        place = self.out / name
        paint_round(
            self.painter.with_lora(lora), specs, seeds, place, self.jury.screen, self.words,
            negatives=self.options.negatives, workers=self.workers, ray=self.ray,
        )  # fmt: skip
        return judge_round(place, self.jury)

    def _chosen(self, painted: Round) -> list[Pair]:
        places = set(self._places(painted))
        pictures = enumerate(painted.pictures())
        return [painted.pair(seen, sample, self.words) for place, (seen, sample) in pictures if place in places]

    def _places(self, painted: Round) -> list[int]:
        verdicts = [one.verdict for one in painted.seen]
        groups = [str(place // self.options.images) for place in range(len(verdicts))]
        return best(verdicts, groups, self.options.keep, self.options.relabelled)

    def _why_stop(self, rounds: Sequence[dict[str, Any]]) -> str:
        now, before = rounds[-1], rounds[:-1]
        if not before:
            return ""
        peak = max(one["second"]["all"] for one in before)
        if now["second"]["all"] < peak - self.options.fall:
            return f"the second judge agrees less: {now['second']['all']:.3f} after {peak:.3f}"
        if now["diversity"] < self.options.diverse * rounds[0]["diversity"]:
            return f"the pictures grow alike: diversity {now['diversity']:.3f} after {rounds[0]['diversity']:.3f}"
        return ""

    def _best(self, rounds: Sequence[dict[str, Any]]) -> int:
        """The round that the second judge likes most among those that are various enough; the earliest of equals."""
        various = [one for one in rounds if one["diversity"] >= self.options.diverse * rounds[0]["diversity"]]
        return int(max(various, key=lambda one: one["second"]["all"])["round"])

    def _keep(self, top: int) -> dict[str, int]:
        """Write what was kept in the rounds before the best painter (at least in round 0) as a Dataset, and what was
        not as its rejected rows, with reasons; returns the counts."""
        counts: dict[str, int] = {}
        held = [judge_round(self.out / f"round-{n:02d}", self.jury) for n in range(max(1, top)) if self._painted(n)]
        places = [self._places(painted) for painted in held]
        if not any(places):
            return counts
        card = Card("imagined", digest([p.figures for p in held]), self.options.seed, description="Kept pictures.")
        with DatasetWriter(self.out / "dataset", card) as writer:
            for painted, chosen in zip(held, places, strict=True):
                for place, (seen, sample) in enumerate(painted.pictures()):
                    refused = seen.verdict.outcome == REFUSED
                    outcome = seen.verdict.outcome if place in chosen else "refused" if refused else "not the best"
                    counts[outcome] = counts.get(outcome, 0) + 1
                    if place in chosen:
                        writer.add(kept_sample(seen, sample))
                    else:
                        writer.reject(seen.id, seen.verdict.reason or "not among the best of its spec", "imagined")
        return counts

    def _painted(self, number: int) -> bool:
        return (self.out / f"round-{number:02d}" / "scores.json").is_file()

    def beside(self, name: str, groups: Sequence[Sequence[Pair]], top: int) -> dict[str, Any]:
        """The probe's figures of the painter after as many steps on other pairs as round `top` had, the painter's own
        share on the second of two groups."""
        shares = (1 - self.options.own, self.options.own) if len(groups) > 1 else ()
        options = replace(self.options.lora, steps=self.options.lora.steps * top, shares=shares)
        start = self.out / "lora-00" if self.options.first else None
        lora = self._train(groups, name, options, start)
        return {"pairs": len(groups[-1]), **self.probe(top, lora, f"{name}-probe").figures}


def _line(told: dict[str, Any]) -> str:
    return (
        f"round {told['round']}: judge {told['judge']['all']:.3f}, second {told['second']['all']:.3f},"
        f" diversity {told['diversity']:.3f}, quality {told['quality']:.3f}"
    )
