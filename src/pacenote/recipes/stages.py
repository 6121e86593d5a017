"""The kinds of stages: frozen settings, and one call into the room that does the work."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pacenote.errors import InputError
from pacenote.recipes.imagining import Counts, Edit, Imagine, Pairs, StarterPainter, Take
from pacenote.recipes.mining import Mine, Rounds
from pacenote.recipes.prompting import Optimize, book_of
from pacenote.recipes.stage import Context, Stage, content, is_there

if TYPE_CHECKING:
    from pacenote.work import Page


EngineName = Literal["exact", "parallel", "plain"]  # see `pacenote.engine`


@dataclass(frozen=True, kw_only=True)
class Render(Stage):
    """Simulate and render streets into a Dataset. `recipe`: a scene recipe (YAML)."""

    READS = ("recipe",)
    recipe: str
    split: Literal["train", "dev", "test"] = "test"
    count: int | None = None  # scenes, or drives; None: as many as the recipe says
    preset: Literal["draft", "demo", "quality"] = "demo"
    mode: Literal["frames", "twins", "drives"] = "frames"

    def sources(self) -> dict[str, str]:
        from pacenote.scenes.recipe import SceneRecipe

        return {"recipe": SceneRecipe.load(self.recipe).digest}  # covers the networks and logs that it names

    def run(self, out: Path, context: Context) -> None:
        from pacenote.render.pipeline import render_dataset
        from pacenote.scenes.recipe import SceneRecipe

        recipe = dataclasses.replace(SceneRecipe.load(self.recipe), seed=context.seed)
        render_dataset(
            recipe, out, self.split, self.count,
            workers=context.workers, preset=self.preset, mode=self.mode, ray=context.ray,
        )  # fmt: skip

    def show(self, page: Page, out: Path) -> None:
        from pacenote.recipes.show import show_dataset

        show_dataset(page, out, self.split)


@dataclass(frozen=True, kw_only=True)
class Train(Stage):
    """Train a model on Datasets; it is left in `model` (`${NAME.out}/model`). `recipe`: a training recipe (YAML).
    `inputs` are the recipe's own; those that name a file, model or Dataset count by content. `seed` replaces the
    recipe's, `seeded` takes the run's. `dev`: Datasets whose dev split scores or stops stages.
    """

    READS = ("recipe", "data", "dev")
    recipe: str
    data: tuple[str, ...]
    dev: tuple[str, ...] = ()
    inputs: dict[str, Any] = dataclasses.field(default_factory=dict)
    seed: int | None = None
    seeded: bool = False
    device: str = "auto"

    def sources(self) -> dict[str, str]:
        found = super().sources()
        for name, value in self.inputs.items():
            if isinstance(value, str) and is_there(value):
                found[f"inputs.{name}"] = content(value)
        return found

    def settings(self) -> dict[str, Any]:
        held = super().settings()
        return {**held, "inputs": {k: v for k, v in self.inputs.items() if not (isinstance(v, str) and is_there(v))}}

    def run(self, out: Path, context: Context) -> None:
        from pacenote.training.recipe import read_recipe
        from pacenote.training.run import train

        seed = context.seed if self.seeded else self.seed
        recipe = read_recipe(Path(self.recipe), seed=seed, inputs=self.inputs)
        train(recipe, self.data, out, device=self.device, dev=self.dev, cache=context.run / "cache")

    def show(self, page: Page, out: Path) -> None:
        from pacenote.recipes.show import show_training

        show_training(page, out)


@dataclass(frozen=True, kw_only=True)
class Teach(Stage):
    """A teacher cache of `teacher` over Datasets, as `pacenote teach` makes it, in `${NAME.out}/cache`."""

    READS = ("teacher", "data")
    teacher: str
    data: tuple[str, ...]
    split: Literal["train", "dev", "test"] = "train"
    top: int = 64
    temperatures: tuple[float, ...] = (2.0,)
    asks: int = 0
    write: Literal["missing", "all", "never"] = "missing"
    batch: int = 8
    device: str = "auto"

    def run(self, out: Path, context: Context) -> None:
        from pacenote.training.teach import TeachOptions, teach
        from pacenote.work import write_json

        options = TeachOptions(
            self.top, self.temperatures, self.asks, self.write, self.batch, seed=context.seed, device=self.device
        )
        cache = out / "cache"
        figures = teach(
            self.teacher, self.data, cache, options, split=self.split, workers=context.workers, ray=context.ray
        )
        write_json(out / "figures.json", figures)

    def show(self, page: Page, out: Path) -> None:
        from pacenote.work import read_json

        held = read_json(out / "figures.json")
        page.paragraph(
            f"{held['rows']} answers, {held['tokens']} tokens, {held['bytes'] / max(1, held['tokens']):.0f} bytes each;"
            f" {held['written']} written by the teacher, {sum(held['refused'].values())} refused."
        )


@dataclass(frozen=True, kw_only=True)
class Quantize(Stage):
    """Quantize `model` as `pacenote quantize` does; the checkpoint is `${NAME.out}/model`. `data`: Datasets with splits
    train and dev; `audit`: Datasets of which `audit_split` is put to both models. The run fails where the upper bound
    of red that became green is above `max_red_green`; the checkpoint is then `model.rejected`.
    """

    READS = ("model", "data", "audit")
    model: str
    data: tuple[str, ...]
    scheme: str = "W4A16"
    methods: tuple[str, ...] = ("rtn", "awq", "gptq", "tuned")
    rows: int = 128
    dev_rows: int = 256
    tune_rows: int = 512
    group: int = 128
    balance: str = "decisions"
    sensitivity: int = 0
    audit: tuple[str, ...] = ()
    audit_split: Literal["train", "dev", "test"] = "test"
    audit_limit: int | None = None
    max_red_green: float = 0.005
    control: bool = False
    device: str = "auto"

    def __post_init__(self) -> None:
        self._options(0)  # a wrong word is said when the recipe is read
        self._audit()

    def _options(self, seed: int) -> Any:
        from pacenote.quantize.settings import QuantizeOptions

        return QuantizeOptions(
            scheme=self.scheme, methods=self.methods, rows=self.rows, dev_rows=self.dev_rows,
            tune_rows=self.tune_rows, group=self.group, balance=self.balance, sensitivity=self.sensitivity, seed=seed,
            device=self.device,
        )  # fmt: skip

    def _audit(self) -> Any:
        from pacenote.quantize.audited import AuditOptions

        return AuditOptions(self.audit, self.audit_split, self.audit_limit, self.max_red_green, self.control)

    def run(self, out: Path, context: Context) -> None:
        from pacenote.quantize.audited import quantize_audited
        from pacenote.work import write_json
        from pacenote.work.files import remove

        for left in (out / "model", out / "model.rejected"):  # of an attempt that failed
            remove(left)
        figures = quantize_audited(self.model, self.data, out / "model", self._options(context.seed), self._audit())
        write_json(out / "figures.json", figures)

    def show(self, page: Page, out: Path) -> None:
        from pacenote.quantize.audited import tables
        from pacenote.work import read_json

        for words, columns, rows in tables(read_json(out / "figures.json")):
            page.paragraph(words)
            page.table(columns, rows)


@dataclass(frozen=True, kw_only=True)
class Evaluate(Stage):
    """Score `model` on `data` (a Dataset or a folder of photos)."""

    READS = ("model", "data")
    model: str
    data: str
    split: Literal["train", "dev", "test"] = "test"
    limit: int | None = None  # frames
    batch: int = 8
    latency_frames: int = 30
    question: str | None = None
    prompts: str = ""  # a prompt book, by name or file
    expert: str = ""
    engine: EngineName = "exact"
    device: str = "auto"

    def sources(self) -> dict[str, str]:
        return super().sources() | book_of(self.prompts)

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "prompts": bool(self.prompts)}  # the book counts by content

    def run(self, out: Path, context: Context) -> None:
        from pacenote.evaluate.run import Settings
        from pacenote.evaluate.suite import evaluate_several

        settings = Settings(
            question=self.question, batch=self.batch, latency_frames=self.latency_frames, limit=self.limit,
            prompts=self.prompts, expert=self.expert, engine=self.engine, seed=context.seed,
        )  # fmt: skip
        evaluate_several(self.model, self.data, out, settings, split=self.split, device=self.device)

    def show(self, page: Page, out: Path) -> None:
        from pacenote.recipes.show import show_evaluation

        show_evaluation(page, out, self.data, self.split)


@dataclass(frozen=True, kw_only=True)
class Table(Stage):
    """One table of finished evaluations of `data`: `table.md`, `table.json`. `columns`: title -> directories of
    evaluate stages, several where a training was repeated with other seeds; `against`: the column that the others are
    held against; `later`: columns that are not filled yet; `paper`: show the columns of that table of paper A beside.
    """

    READS = ("data",)
    columns: dict[str, tuple[str, ...]]
    data: str
    split: Literal["train", "dev", "test"] = "test"
    against: str = ""
    later: tuple[str, ...] = ()
    paper: Literal["", "2", "3", "4"] = ""

    def sources(self) -> dict[str, str]:
        each = {f"{title}.{n}": place for title, own in self.columns.items() for n, place in enumerate(own)}
        return super().sources() | {name: content(str(Path(place) / "evaluation.json")) for name, place in each.items()}

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "columns": {title: len(own) for title, own in self.columns.items()}}

    def run(self, out: Path, context: Context) -> None:
        from pacenote.evaluate.grouped import group
        from pacenote.evaluate.source import open_source
        from pacenote.evaluate.tables import markdown
        from pacenote.work import write_json, write_text

        if self.against and self.against not in self.columns:
            raise InputError(f"against: no column {self.against}; the columns are {', '.join(self.columns)}")
        places = {title: [Path(place) for place in own] for title, own in self.columns.items()}
        found = group(places, open_source(self.data, self.split), against=self.against, seed=context.seed)
        parts = [f"{words}\n\n{markdown(*table)}" if words else markdown(*table) for words, table in self.tables(found)]
        write_text(out / "table.md", "\n\n".join(parts) + "\n")
        write_json(out / "table.json", found)

    def show(self, page: Page, out: Path) -> None:
        from pacenote.work import read_json

        for words, table in self.tables(read_json(out / "table.json")):
            if words:
                page.paragraph(words)
            page.table(*table)

    def tables(self, found: dict[str, Any]) -> list[tuple[str, tuple[list[str], list[list[str]]]]]:
        """What is said before each table, and its columns and rows."""
        from pacenote.evaluate.grouped import as_table, differences
        from pacenote.metrics import paper

        printed = getattr(paper, f"TABLE_{self.paper}") if self.paper else {}
        made = [("", as_table(found, printed, self.later))]
        if self.against:
            words = f"Difference from {self.against}; * where its 95 % interval excludes zero."
            made.append((words, differences(found)))
        return made


@dataclass(frozen=True, kw_only=True)
class Advise(Stage):
    """Advise on photos: `advisories.jsonl`. `limit` takes that many, evenly spaced."""

    READS = ("model", "images")
    model: str
    images: str
    limit: int | None = None
    question: str | None = None
    engine: EngineName = "exact"
    device: str = "auto"

    def run(self, out: Path, context: Context) -> None:
        import json

        from pacenote.advisory import ADVISE
        from pacenote.evaluate.advise import advise
        from pacenote.evaluate.suite import load_model
        from pacenote.models.frames import find_images
        from pacenote.work import progress, write_text

        images = find_images([Path(self.images)])
        if self.limit is not None and len(images) > self.limit:
            images = [images[i * len(images) // self.limit] for i in range(self.limit)]
        model, question = load_model(self.model, self.device), self.question or ADVISE
        answers = advise(model, images, question=question, engine=self.engine)
        lines = [json.dumps(told.to_dict(), ensure_ascii=False) for told in progress(answers, "photos", len(images))]
        write_text(out / "advisories.jsonl", "".join(line + "\n" for line in lines))

    def show(self, page: Page, out: Path) -> None:
        from pacenote.recipes.show import show_advisories

        show_advisories(page, out / "advisories.jsonl")


@dataclass(frozen=True, kw_only=True)
class Watch(Stage):
    """Advise along a clip: `overlay.mp4` and `answers.jsonl`. `seconds` takes the beginning of a longer clip."""

    READS = ("model", "clip", "speed_log")
    model: str
    clip: str
    speed_log: str | None = None  # CSV: t_s and v_kmh, v_ms or speed_mph
    seconds: float | None = None
    every: int | None = None  # frames; None: about four answers a second
    question: str | None = None
    engine: EngineName = "exact"
    device: str = "auto"

    def run(self, out: Path, context: Context) -> None:
        from pacenote.advisory import ADVISE
        from pacenote.drives.speed_log import read_speed_log
        from pacenote.evaluate.suite import load_model
        from pacenote.recipes.clips import cut
        from pacenote.serve.watch import WatchSettings, watch

        clip = Path(self.clip) if self.seconds is None else cut(Path(self.clip), self.seconds, out / "clip.mp4")
        log = read_speed_log(Path(self.speed_log)) if self.speed_log else None
        settings = WatchSettings(every=self.every, question=self.question or ADVISE, engine=self.engine)
        watch(
            load_model(self.model, self.device), clip, out / "overlay.mp4", settings,
            log=log, json=out / "answers.jsonl",
        )  # fmt: skip

    def show(self, page: Page, out: Path) -> None:
        from pacenote.recipes.show import show_overlay

        show_overlay(page, out)


@dataclass(frozen=True, kw_only=True)
class Report(Stage):
    """The page of the run: `report.html` in the run's directory. One is made in any case; this sets its words."""

    ALWAYS = True
    title: str = ""
    text: str = ""

    def run(self, out: Path, context: Context) -> None:
        from pacenote.recipes.report import write_page

        write_page(context.run)


KINDS: dict[str, type[Stage]] = {
    "render": Render,
    "mine": Mine,
    "rounds": Rounds,
    "pairs": Pairs,
    "starter-painter": StarterPainter,
    "imagine": Imagine,
    "edit": Edit,
    "take": Take,
    "counts": Counts,
    "teach": Teach,
    "train": Train,
    "quantize": Quantize,
    "optimize": Optimize,
    "evaluate": Evaluate,
    "table": Table,
    "advise": Advise,
    "watch": Watch,
    "report": Report,
}
