"""The stages that mine drives: once, or in rounds in which a model learns from what it has labelled."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pacenote.recipes.prompting import book_of
from pacenote.recipes.stage import Context, Stage

if TYPE_CHECKING:
    from pacenote.mining.mine import Asking, Labelling, Mined
    from pacenote.work import Page


@dataclass(frozen=True, kw_only=True)
class MiningStage(Stage):
    """What both share. `drives`: files, folders or Datasets of drives; `gold`: a Dataset of drives with truth, to
    calibrate on. The rest as `pacenote mine` has it."""

    READS: ClassVar[tuple[str, ...]] = ("drives", "gold")
    drives: tuple[str, ...]
    split: Literal["", "train", "dev", "test"] = ""  # of Datasets among the drives
    gold: str | None = None
    gold_split: Literal["train", "dev", "test"] = "dev"
    experts: tuple[str, ...] = ("look:starter-teacher",)
    prompts: str = "default"
    rate_hz: float | None = 4.0
    motion: Literal["soft", "hard", "none"] = "soft"
    least: float = 0.0
    dedup: bool = True
    keep: int | None = None
    unknown: tuple[str, ...] = ()

    def sources(self) -> dict[str, str]:
        return super().sources() | book_of(self.prompts)

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "prompts": bool(self.prompts)}  # the book counts by content

    def mined(
        self, labeler: str, method: str, out: Path, context: Context, votes: str | None = None, lent: Path | None = None
    ) -> Mined:
        from pacenote.mining.mine import mine

        return mine(
            [Path(one) for one in self.drives], out, self._asking(labeler), self._labelling(method, context),
            gold=[(Path(self.gold), self.gold_split)] if self.gold else [], split=self.split,
            votes=Path(votes) if votes else None, lent=lent, workers=context.workers, ray=context.ray,
        )  # fmt: skip

    def _asking(self, labeler: str) -> Asking:
        from pacenote.mining.mine import Asking

        return Asking(labeler=labeler, prompts=self.prompts, experts=self.experts, rate_hz=self.rate_hz)

    def _labelling(self, method: str, context: Context) -> Labelling:
        from pacenote.mining.mine import Labelling

        return Labelling(
            method=method, motion=self.motion, least=self.least, keep=self.keep, dedup=self.dedup,
            unknown=self.unknown, seed=context.seed,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Mine(MiningStage):
    """Turn drives into labelled frames, as `pacenote mine` does; the Dataset is `${NAME.out}/mined`. `votes`: those of
    another stage that asked the same sources about the same drives, `${NAME.out}/mined/votes`."""

    READS = (*MiningStage.READS, "labeler", "votes")
    labeler: str = "starter-student"
    method: Literal["full", "window", "raw"] = "full"
    votes: str | None = None

    def run(self, out: Path, context: Context) -> None:
        from pacenote.mining.report import report

        report(self.mined(self.labeler, self.method, out / "mined", context, self.votes))

    def show(self, page: Page, out: Path) -> None:
        from pacenote.recipes.show import show_dataset

        show_dataset(page, out / "mined", "train")
        page.paragraph(f"Timelines of the drives: {out.name}/mined/report.html.")


@dataclass(frozen=True, kw_only=True)
class Rounds(MiningStage):
    """Mine, train on what was mined by its certainty, mine again with the model that came of it; until the Average on
    `dev` no longer rises, or for `rounds`. The best model is `${NAME.out}/model`. `recipe`: a training recipe with an
    input `start`, the model that is trained on; `inputs` are its others. `votes`: those of another stage, whose experts
    are the same and are not asked again, `${NAME.out}/mined/votes`. `beside`: Datasets that it is trained on, too,
    behind the mined one, so that it does not forget them.
    """

    READS = (*MiningStage.READS, "recipe", "model", "dev", "beside", "votes")
    recipe: str
    model: str
    dev: str
    dev_split: Literal["train", "dev", "test"] = "dev"
    rounds: int = 3
    beside: tuple[str, ...] = ()
    votes: str | None = None
    inputs: dict[str, Any] = field(default_factory=dict)
    device: str = "auto"

    def run(self, out: Path, context: Context) -> None:
        import shutil

        from pacenote.models.shipped import resolve
        from pacenote.training.recipe import read_recipe
        from pacenote.training.run import train
        from pacenote.work import say, write_json
        from pacenote.work.files import remove

        now = best = resolve(self.model)
        told = [{"round": 0, "average": self._average(now, out / "dev-0", context), "frames": 0}]
        for number in range(1, self.rounds + 1):
            # Experts say what they said before; the labeler is another one each time.
            lent = Path(self.votes) if self.votes else out / "mined-1" / "votes" if number > 1 else None
            mined = self.mined(now, "full", out / f"mined-{number}", context, lent=lent)
            recipe = read_recipe(Path(self.recipe), seed=context.seed, inputs={**self.inputs, "start": now})
            place, data = out / f"train-{number}", (str(mined.out), *self.beside)
            now = str(train(recipe, data, place, device=self.device, cache=context.run / "cache"))
            average = self._average(now, out / f"dev-{number}", context)
            frames = mined.card["splits"]["train"]["samples"]
            told.append({"round": number, "average": average, "frames": frames})
            say(f"round {number}: Average {average:.3f} on dev, {told[-2]['average']:.3f} before")
            if average <= max(one["average"] for one in told[:-1]):
                break
            best = now
        remove(out / "model")
        shutil.copytree(best, out / "model")
        write_json(out / "rounds.json", told)

    def _average(self, model: str, out: Path, context: Context) -> float:
        from pacenote.evaluate.run import Settings
        from pacenote.evaluate.suite import evaluate_several
        from pacenote.work import read_json

        settings = Settings(latency_frames=0, prompts=self.prompts, seed=context.seed)
        evaluate_several(model, self.dev, out, settings, split=self.dev_split, device=self.device)
        return float(read_json(out / "evaluation.json")["average"])

    def show(self, page: Page, out: Path) -> None:
        from pacenote.work import read_json

        told = read_json(out / "rounds.json")
        page.table(("round", "frames mined", "Average on dev"), [(r["round"], r["frames"], r["average"]) for r in told])
