"""`train(recipe, data, out)`: run the stages of a training recipe, each resumable, each ending in a model on disk."""

from __future__ import annotations

import bisect
import itertools
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.advisory import Advisory, Truth
from pacenote.errors import InputError
from pacenote.training.cache import TeacherCache
from pacenote.training.dense import HEADS
from pacenote.training.frames import Frames, decode
from pacenote.training.recipe import Stage, TrainRecipe
from pacenote.training.shared import Shared, stamp
from pacenote.work.files import atomic, digest
from pacenote.work.progress import say

if TYPE_CHECKING:
    from pacenote.data.dataset import Dataset
    from pacenote.data.sample import Sample
    from pacenote.models import Model


def train(
    recipe: TrainRecipe,
    data: Sequence[str],
    out: Path,
    *,
    device: str = "auto",
    dev: Sequence[str] = (),
    cache: Path | None = None,
) -> Path:
    """Train as `recipe` says on the Datasets `data`; returns the directory of the finished model (bf16 safetensors).
    After each dense stage its heads are scored on the dev split of the Datasets `dev`, for its `done.json`; a tune
    stage with `checks` is judged by it. Under `accelerate launch` tune stages train in all processes together.

    `out` holds `train.json` (the resolved recipe), a directory a stage and `model/`; `cache` (default: in `out`) what
    trainings of the same data share: decoded pictures, what teachers see. The same call goes on where it was stopped;
    another recipe or other data in the same `out` is refused with InputError.
    """
    import torch

    from pacenote.data.dataset import Dataset
    from pacenote.training.loop import one_writes

    with one_writes() as mine:
        if mine:
            open_data(recipe, data, out)
    rows = open_data(recipe, data, out)
    # Decoded once for the stages that learn from pixels and class maps; the others read rows as they are.
    decoded = any(stage.kind != "tune" for stage in recipe.stages)
    shared, frames = Shared(cache or out / "cache", row_key(recipe, rows)), None
    if decoded:
        with shared.place("frames") as kept:
            frames = decode(rows, len(rows), kept)
    held = Rows([Dataset.open(name, split="dev") for name in dev])
    if not (out / HEADS).is_file():
        _take_heads(recipe, out)
    model = None
    for number, stage in enumerate(recipe.stages):
        place = out / stage.name
        finished = place / "model" / "done.json"
        if finished.is_file():
            say(f"{stage.name}: done already")
            continue
        if model is None:
            before = out / recipe.stages[number - 1].name / "model" if number else None
            model = start_model(recipe, before)
        say(f"{stage.name}: {len(rows)} frames, {parameters(model.model) / 1e6:.1f} M parameters")
        figures = run_stage(stage, model, rows, frames, out, held, device, shared)
        with one_writes() as mine:
            if mine:
                model.save(place / "model")
                with atomic(finished) as partial:
                    partial.write_text(json.dumps(figures, indent=2) + "\n")
    final = out / "model"
    with one_writes() as mine:
        if mine and not (final / "config.json").is_file():
            model = model or start_model(recipe, out / recipe.stages[-1].name / "model")
            model.save(final, torch.bfloat16)
            (final / "training.json").write_text((out / "train.json").read_text())
            if (out / HEADS).is_file():  # what a student's tower learns from
                shutil.copyfile(out / HEADS, final / HEADS)
    return final


class Rows(Sequence["Sample"]):
    """The samples of several Datasets one after the other, at most `limit` (0 = all), read when asked for. What a
    teacher wrote (`answers`) stands for the truth of samples that have none. The samples after the first `labelled`
    Datasets (0 = all) are taken as they would come from a drive: pictures and a limit known beside them, no more."""

    def __init__(
        self, sets: Sequence[Dataset], limit: int = 0, answers: TeacherCache | None = None, labelled: int = 0
    ) -> None:
        self.sets, self.answers = list(sets), answers
        self.ends = list(itertools.accumulate(len(one) for one in self.sets))
        total = self.ends[-1] if self.ends else 0
        self.total = min(limit or total, total)
        self.known = self.ends[min(labelled, len(self.ends)) - 1] if labelled and self.ends else total

    @property
    def sizes(self) -> list[int]:
        """Samples of each Dataset."""
        ends = [0, *(min(end, self.total) for end in self.ends)]
        return [after - before for before, after in itertools.pairwise(ends)]

    def __len__(self) -> int:
        return self.total

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self.total))]
        if not 0 <= index < self.total:
            raise IndexError(f"sample {index} of {self.total}")
        number = bisect.bisect_right(self.ends, index)
        return self._as_known(index, self.sets[number][index - (self.ends[number - 1] if number else 0)])

    def __iter__(self) -> Iterator[Sample]:
        together = itertools.islice(itertools.chain.from_iterable(self.sets), self.total)
        return itertools.starmap(self._as_known, enumerate(together))

    def _as_known(self, index: int, sample: Sample) -> Sample:
        if index >= self.known:
            given = {name: value for name, value in sample.conditions.items() if name == "limit_kmh"}
            sample = replace(sample, truth=None, answer=None, evidence=None, segmentation=None, conditions=given)
        rows = self.answers.rows.get(sample.id, ()) if self.answers is not None and sample.truth is None else ()
        advisory = next((Advisory.parse(row.answer) for row in rows if row.written), None)
        return sample if advisory is None else replace(sample, truth=Truth.from_advisory(advisory))


def open_data(recipe: TrainRecipe, data: Sequence[str], out: Path) -> Rows:
    """The training rows of `data`, after checking that `out` belongs to this training."""
    from pacenote.data.dataset import Dataset

    sets = [Dataset.open(name, split=recipe.split) for name in data]
    resolved = {"recipe": asdict(recipe), "data": [str(name) for name in data], "rows": [len(one) for one in sets]}
    resolved = json.loads(json.dumps(resolved))
    held = out / "train.json"
    if held.is_file():
        if json.loads(held.read_text()).get("digest") != digest(resolved):
            raise InputError(f"{out}: holds another training (other recipe or data); give a new --out")
    elif out.is_dir() and any(out.iterdir()):
        raise InputError(f"{out}: is not empty and holds no training; give a new --out")
    else:
        out.mkdir(parents=True, exist_ok=True)
        with atomic(held) as partial:
            partial.write_text(json.dumps({**resolved, "digest": digest(resolved)}, indent=2) + "\n")
    return Rows(sets, recipe.limit, TeacherCache(recipe.answers) if recipe.answers else None, recipe.labelled)


def row_key(recipe: TrainRecipe, rows: Rows) -> list[Any]:
    """What decides pixels and truths of a training's rows."""
    answers = stamp(Path(recipe.answers)) if recipe.answers else None
    return [[stamp(one.path) for one in rows.sets], recipe.split, len(rows), rows.known, answers]


def _take_heads(recipe: TrainRecipe, out: Path) -> None:
    """Put the heads of an earlier training where a dense stage goes on with them: those that the recipe names, else
    those beside the weights that it loads, if any."""
    from pacenote.models import resolve

    given = Path(recipe.model["dense_heads"]) if "dense_heads" in recipe.model else None
    if given is not None and not given.is_file():
        raise InputError(f"{given}: no such file; model.dense_heads is the {HEADS} of an earlier training")
    beside = Path(resolve(recipe.model["load"])) / HEADS if "load" in recipe.model else None
    found = given or (beside if beside is not None and beside.is_file() else None)
    if found is not None:
        with atomic(out / HEADS) as partial:
            shutil.copyfile(found, partial)


def start_model(recipe: TrainRecipe, before: Path | None) -> Model:
    """The model that a stage starts from, in float32: the previous stage's, a given one, or a new starter."""
    import torch

    from pacenote.models import load
    from pacenote.models.processor import limit_pixels

    if before is not None:
        return load(str(before), dtype=torch.float32)
    settings = dict(recipe.model)
    if "load" in settings:
        model = load(settings["load"], dtype=torch.float32)
        if "max_pixels" in settings:
            limit_pixels(model.family.name, model.processor.image_processor, int(settings["max_pixels"]))
        return model
    from pacenote.models.starter import build, starter_config
    from pacenote.models.tokenizer import canonical_texts, train_tokenizer
    from pacenote.training.questions import vocabulary

    tokenizer = train_tokenizer([*canonical_texts(), *vocabulary()], recipe.vocab)
    config = starter_config(settings.pop("size"), **{"seed": recipe.seed, **settings})
    return build(config, tokenizer)


def run_stage(
    stage: Stage, model: Model, rows: Rows, frames: Frames | None, out: Path, dev: Rows, device: str, shared: Shared
) -> dict[str, Any]:
    """Train one stage in place; returns its figures (with `dev` rows, those of a dense stage hold its scores)."""
    from safetensors.torch import load_file, save_file

    from pacenote.training import dense, sft, tune
    from pacenote.training.loop import pick_device, processes
    from pacenote.training.tower import CellHeads, QwenEncoder

    place = pick_device(device)
    model.model.to(place)
    heads_file = out / HEADS
    figures: dict[str, Any] = {"stage": stage.name, "kind": stage.kind, "frames": len(rows)}
    if stage.kind == "tune":
        figures |= tune.tune(model, rows, stage.options, out / stage.name, place, sizes=rows.sizes, dev=dev)
        model.model.eval()
        return figures
    assert frames is not None, "every other stage has decoded frames"
    if processes() > 1:
        raise InputError(
            f"{stage.name}: a {stage.kind} stage trains in one process; start it without accelerate launch"
        )
    if stage.kind == "dense":
        model.model.requires_grad_(True)
        encoder = QwenEncoder(model.family.visual(model.model))
        before = load_file(heads_file, device="cpu") if heads_file.is_file() else None
        task = dense.pretrain(
            encoder, frames, stage.options, out / stage.name,
            sizes=rows.sizes, heads=before, device=place, shared=shared,
        )  # fmt: skip
        save_file(dense.head_state(task), heads_file)
        if len(dev):
            figures["dev"] = dense.evaluate(task, decode(dev, len(dev), out / "dev"))
            say(f"{stage.name}: on {len(dev)} dev frames: {_said(figures['dev']['facts'])}")
    elif stage.kind == "language":
        sft.train_language(model, frames, stage.options, out / stage.name, place, sizes=rows.sizes, shared=shared)
    else:
        heads = None
        if stage.options.dense_weight:
            if not heads_file.is_file():
                raise InputError(f"{stage.name}: dense_weight needs a dense stage before it; add one or set it to 0")
            loaded = load_file(heads_file, device=place)
            state = {k.removeprefix("heads."): v for k, v in loaded.items() if k.startswith("heads.")}
            width = int(model.model.config.vision_config.out_hidden_size)
            heads = CellHeads(width, state["positive"], state["weight"]).to(place)
            heads.load_state_dict(state)
            heads.requires_grad_(False)
        sft.train_full(model, frames, stage.options, out / stage.name, sizes=rows.sizes, heads=heads, device=place)
    model.model.eval()
    return figures


def _said(scores: dict[str, Any]) -> str:
    shown = {name: scores[name] for name in ("light", "obstacles", "crossroad", "average", "speed_r2", "limit")}
    return ", ".join(f"{name} {value:.3f}" for name, value in shown.items() if value is not None)


def parameters(model: Any) -> int:
    """Number of parameters, tied ones once."""
    return sum(p.numel() for p in model.parameters())
