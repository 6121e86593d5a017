"""`train(recipe, data, out)`: run the stages of a training recipe, each resumable, each ending in a model on disk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.errors import InputError
from pacenote.training.frames import Frames, decode
from pacenote.training.recipe import Stage, TrainRecipe
from pacenote.work.files import atomic, digest
from pacenote.work.progress import say

if TYPE_CHECKING:
    from pacenote.data.sample import Sample
    from pacenote.models import Model


def train(
    recipe: TrainRecipe, data: Sequence[str], out: Path, *, device: str = "auto", dev: Frames | None = None
) -> Path:
    """Train as `recipe` says on the Datasets `data`; returns the directory of the finished model (bf16 safetensors).

    `out` holds `train.json` (the resolved recipe), `frames/` (decoded pictures), a directory a stage and `model/`. The
    same call goes on where it was stopped; another recipe or other data in the same `out` is refused with InputError.
    """
    import torch

    frames = open_frames(recipe, data, out)
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
        say(f"{stage.name}: {len(frames)} frames, {parameters(model.model) / 1e6:.1f} M parameters")
        figures = run_stage(stage, model, frames, out, dev, device)
        model.save(place / "model")
        with atomic(finished) as partial:
            partial.write_text(json.dumps(figures, indent=2) + "\n")
    final = out / "model"
    if not (final / "config.json").is_file():
        model = model or start_model(recipe, out / recipe.stages[-1].name / "model")
        model.save(final, torch.bfloat16)
        (final / "training.json").write_text((out / "train.json").read_text())
    return final


def open_frames(recipe: TrainRecipe, data: Sequence[str], out: Path) -> Frames:
    """The decoded training frames of `data` in `out/frames`, after checking that `out` belongs to this training."""
    from pacenote.data.dataset import Dataset

    sets = [Dataset.open(name, split=recipe.split) for name in data]
    sizes = [len(one) for one in sets]
    resolved = {"recipe": asdict(recipe), "data": [str(name) for name in data], "rows": sizes}
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

    def samples() -> Iterator[Sample]:
        left = recipe.limit or sum(sizes)
        for one in sets:
            for sample in one:
                if left == 0:
                    return
                left -= 1
                yield sample

    return decode(samples(), min(recipe.limit or sum(sizes), sum(sizes)), out / "frames")


def start_model(recipe: TrainRecipe, before: Path | None) -> Model:
    """The model that a stage starts from, in float32: the previous stage's, a given one, or a new starter."""
    import torch

    from pacenote.models import load

    if before is not None:
        return load(str(before), dtype=torch.float32)
    settings = dict(recipe.model)
    if "load" in settings:
        return load(settings["load"], dtype=torch.float32)
    from pacenote.models.starter import build, starter_config
    from pacenote.models.tokenizer import canonical_texts, train_tokenizer
    from pacenote.training.questions import vocabulary

    tokenizer = train_tokenizer([*canonical_texts(), *vocabulary()], recipe.vocab)
    config = starter_config(settings.pop("size"), **{"seed": recipe.seed, **settings})
    return build(config, tokenizer)


def run_stage(stage: Stage, model: Model, frames: Frames, out: Path, dev: Frames | None, device: str) -> dict[str, Any]:
    """Train one stage in place; returns its figures (with `dev` frames, those of a dense stage hold its scores)."""
    from safetensors.torch import load_file, save_file

    from pacenote.training import dense, sft
    from pacenote.training.loop import pick_device
    from pacenote.training.tower import CellHeads, QwenEncoder

    place = pick_device(device)
    model.model.to(place)
    heads_file = out / "heads.safetensors"
    figures: dict[str, Any] = {"stage": stage.name, "kind": stage.kind, "frames": len(frames)}
    if stage.kind == "dense":
        model.model.requires_grad_(True)
        encoder = QwenEncoder(model.family.visual(model.model))
        before = load_file(heads_file, device="cpu") if heads_file.is_file() else None
        task = dense.pretrain(encoder, frames, stage.options, out / stage.name, heads=before, device=place)
        save_file(dense.head_state(task), heads_file)
        if dev is not None:
            figures["dev"] = dense.evaluate(task, dev)
    elif stage.kind == "language":
        sft.train_language(model, frames, stage.options, out / stage.name, place)
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
        sft.train_full(model, frames, stage.options, out / stage.name, heads=heads, device=place)
    model.model.eval()
    return figures


def parameters(model: Any) -> int:
    """Number of parameters, tied ones once."""
    return sum(p.numel() for p in model.parameters())
