"""The stages that paint: pairs, a starter painter, rounds, edited photos; equal numbers of frames; what a run holds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pacenote.errors import InputError
from pacenote.recipes.stage import Context, Stage, content

if TYPE_CHECKING:
    from pacenote.work import Page

Split = Literal["train", "dev", "test"]
GRID = 8  # pictures of each probe on the page of a run
COUNTED = ("light", "obstacles", "crossroad", "speed")


@dataclass(frozen=True, kw_only=True)
class Pairs(Stage):
    """Filter the labelled frames of `data` into pairs of picture and caption, as `pacenote imagine --do pairs`; the
    Dataset is `${NAME.out}`. `judge`: a model whose sure reading of another slot value refuses a pair. `describe`: a
    VLM that adds what no slot names; with `endpoint` the name of a served one."""

    READS = ("data", "judge")
    data: tuple[str, ...]
    judge: str | None = None
    describe: str = ""
    endpoint: str = ""
    split: Split = "train"
    device: str = "auto"

    def run(self, out: Path, context: Context) -> None:
        from pacenote.imagine.describe import open_describer
        from pacenote.imagine.judge import open_judge
        from pacenote.imagine.pairs import make_pairs
        from pacenote.training.loop import pick_device

        device = pick_device(self.device)
        judge = open_judge(self.judge, device) if self.judge else None
        describer = open_describer(self.describe, self.endpoint, device) if self.describe else None
        make_pairs(self.data, out, judge=judge, split=self.split, describer=describer)

    def show(self, page: Page, out: Path) -> None:
        from pacenote.recipes.show import show_dataset

        show_dataset(page, out, self.split)
        page.paragraph(f"Pictures of each reason: {out.name}/report.html.")


@dataclass(frozen=True, kw_only=True)
class StarterPainter(Stage):
    """Train a small painter from scratch on the train split of `data`; it is `${NAME.out}/painter`. `options`: those of
    `imagine.starter.StarterOptions` that differ from its own."""

    READS = ("data",)
    data: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)
    device: str = "auto"

    def __post_init__(self) -> None:
        self._options(0)  # a wrong word is said when the recipe is read

    def _options(self, seed: int) -> Any:
        from pacenote.imagine.starter import StarterOptions
        from pacenote.work.settings import build

        return build(StarterOptions, {"seed": seed, **self.options}, "options")

    def run(self, out: Path, context: Context) -> None:
        from pacenote.imagine.starter import train_starter

        train_starter(self.data, out, self._options(context.seed), self.device)

    def show(self, page: Page, out: Path) -> None:
        from pacenote.work import read_json

        page.paragraph(f"Learnt from {read_json(out / 'training.json')['pairs']} pairs.")


@dataclass(frozen=True, kw_only=True)
class Imagine(Stage):
    """Paint in rounds, as `pacenote imagine` does; the pictures that were kept are the Dataset `${NAME.out}/dataset`.
    `judge` decides, `second` only watches; neither may be one of `trained`, the models that the pictures are for.
    `options`: those of `imagine.loop.LoopOptions` that differ from its own. The rest as the command has it."""

    READS = ("pairs", "painter", "judge", "second", "known", "tower", "trained", "original")
    pairs: str
    painter: str
    judge: str
    second: str
    trained: tuple[str, ...] = ()
    known: str | None = None
    known_split: Split = "train"
    tower: str = "starter-teacher"
    screen: str = ""
    prompts: str = ""  # a book, by name or file
    original: str | None = None  # the Dataset that `pairs` were chosen from: a second control learns from it
    limit: int | None = None
    split: Split = "train"
    size: tuple[int, ...] = ()  # width, height px; (): the painter's own
    paint_steps: int | None = None
    guidance: float | None = None
    options: dict[str, Any] = field(default_factory=dict)
    device: str = "auto"

    def __post_init__(self) -> None:
        self.loop(0)  # a wrong word is said when the recipe is read
        if len(self.size) not in (0, 2):
            raise InputError("size: give width and height, for example [224, 128]")

    def loop(self, seed: int) -> Any:
        """The `LoopOptions` of the stage; LoRA and rounds share the seed."""
        from pacenote.imagine.loop import LoopOptions
        from pacenote.work.settings import build

        lora = {"seed": seed, **self.options.get("lora", {})}
        return build(LoopOptions, {"seed": seed, **self.options, "lora": lora}, "options")

    def run(self, out: Path, context: Context) -> None:
        from pacenote.imagine.judge import check_judges
        from pacenote.imagine.painter import open_painter
        from pacenote.imagine.run import Names, imagine
        from pacenote.training.loop import pick_device

        check_judges(self.judge, self.second, self.trained)  # before gigabytes are loaded
        names = Names(
            self.pairs, self.judge, self.second, self.known or "", self.known_split, self.tower, self.trained,
            self.screen, self.limit, self.split, self.prompts, self.original or "",
        )  # fmt: skip
        size = (self.size[0], self.size[1]) if self.size else None
        painter = open_painter(
            self.painter, self.device, size=size, steps=self.paint_steps, guidance=self.guidance
        )  # fmt: skip
        imagine(
            names, painter, out, self.loop(context.seed),
            device=pick_device(self.device), workers=context.workers, ray=context.ray,
        )  # fmt: skip

    def show(self, page: Page, out: Path) -> None:
        from pacenote.data import Dataset
        from pacenote.imagine.show import summary
        from pacenote.work import read_json

        summary(page, read_json(out / "figures.json"))
        for place in sorted(out.glob("*probe*/dataset.json")):
            page.heading(f"{place.parent.name}: the same specs and seeds each time", 3)
            held = Dataset.open(place.parent)
            page.gallery([(one.images[0].bytes, "") for one in held.select(range(min(GRID, len(held))))])
        page.paragraph(f"All rounds, with what was refused and why: {out.name}/report.html.")


@dataclass(frozen=True, kw_only=True)
class Edit(Stage):
    """Change labelled photos with their truth, as `pacenote imagine --do edit`; the Dataset is `${NAME.out}`, in
    the split they came from."""

    READS = ("data",)
    data: str
    edits: tuple[str, ...] = ("rain", "fog", "snow", "night", "cone", "barrier")
    split: Split = "train"
    limit: int | None = None

    def run(self, out: Path, context: Context) -> None:
        from pacenote.imagine.edit import edit_dataset

        edit_dataset(self.data, out, self.edits, split=self.split, seed=context.seed, limit=self.limit)

    def show(self, page: Page, out: Path) -> None:
        from pacenote.recipes.show import show_dataset

        show_dataset(page, out, self.split)


@dataclass(frozen=True, kw_only=True)
class Take(Stage):
    """`count` frames of `data`, or as many as `like` has; the Dataset is `${NAME.out}`, in the split they came from.

    Scenes give in turn, so that none gives two frames more than another that still has some. The choice is a function
    of the seed; a smaller number is a part of a larger one. A Dataset with fewer frames is refused. `bare`: pictures
    and truth alone, as people would label them, without what only a renderer knows (class maps, evidence)."""

    READS = ("data", "like")
    data: str
    split: Split = "train"
    count: int | None = None
    like: str | None = None
    like_split: Split = "train"
    bare: bool = False

    def __post_init__(self) -> None:
        if (self.count is None) == (self.like is None):
            raise InputError("take: give count, or like (a Dataset to take as many as), one of the two")
        if self.count is not None and self.count < 1:
            raise InputError(f"count: {self.count}; give at least 1")

    def run(self, out: Path, context: Context) -> None:
        from pacenote.data import Card, Dataset, DatasetWriter
        from pacenote.work import digest

        held = Dataset.open(self.data, self.split)
        wanted = self.count if self.like is None else len(Dataset.open(self.like, self.like_split))
        chosen = in_turn(held.column("scene"), context.seed)[:wanted]
        if wanted is None or len(chosen) < wanted:
            raise InputError(f"{self.data}: {len(held)} frames in {self.split}, {wanted} are asked for; give more")
        key = digest([held.card, self.split, wanted, self.bare])
        card = Card("taken", key, context.seed, description="An even choice.")
        with DatasetWriter(out, card) as writer:
            for sample in held.select(sorted(chosen)):
                if self.bare:
                    sample = replace(sample, segmentation=None, evidence=None)
                writer.add(sample, self.split)

    def show(self, page: Page, out: Path) -> None:
        from pacenote.recipes.show import show_dataset

        show_dataset(page, out, self.split)


def in_turn(scenes: list[Any], seed: int) -> list[int]:
    """Row numbers, shuffled, so that each scene gives one before any gives its next; a row without a scene is one."""
    import numpy as np

    given: dict[Any, int] = {}
    turns: list[tuple[int, int, int]] = []
    for row in np.random.default_rng(seed).permutation(len(scenes)).tolist():
        scene = scenes[row] or ("row", row)
        given[scene] = given.get(scene, 0) + 1
        turns.append((given[scene], len(turns), row))
    return [row for _, _, row in sorted(turns)]


@dataclass(frozen=True, kw_only=True)
class Counts(Stage):
    """How many frames of each kind a run holds, from the cards (paper A, Table 1): `counts.json`. `rows`: title ->
    Datasets; a title of the paper's (Real data, Text-to-image, Pure Rendering) has the paper's numbers beside it."""

    rows: dict[str, tuple[str, ...]]

    def sources(self) -> dict[str, str]:
        return {f"{title}.{n}": content(one) for title, own in self.rows.items() for n, one in enumerate(own)}

    def settings(self) -> dict[str, Any]:
        return {"rows": {title: len(own) for title, own in self.rows.items()}}

    def run(self, out: Path, context: Context) -> None:
        from collections import Counter

        from pacenote.data import Dataset
        from pacenote.work import write_json

        found: dict[str, Any] = {}
        for title, names in self.rows.items():
            splits: Counter[str] = Counter()
            slots: dict[str, Counter[str]] = {slot: Counter() for slot in COUNTED}
            for card in (Dataset.open(name).card for name in names):
                for split in card["splits"]:
                    held = card["counts"][split]
                    splits[split] += held["samples"]
                    for slot, counter in slots.items():
                        counter.update(held[slot])
            found[title] = {"splits": dict(splits), **{slot: dict(held) for slot, held in slots.items()}}
        write_json(out / "counts.json", found)

    def show(self, page: Page, out: Path) -> None:
        from pacenote.metrics.paper import TABLE_1
        from pacenote.work import read_json

        found = read_json(out / "counts.json")
        rows = []
        for title, held in found.items():
            printed = TABLE_1.get(title, {})
            own = [held["splits"].get(split, 0) for split in ("train", "dev", "test")]
            rows.append([title, *own, printed.get("train"), printed.get("test")])
        page.table(["", "train", "dev", "test", "paper: train", "paper: test"], rows)
        for slot in COUNTED:
            values = list(dict.fromkeys(value for held in found.values() for value in held[slot]))
            page.table([slot, *found], [[v, *(held[slot].get(v, 0) for held in found.values())] for v in values])
