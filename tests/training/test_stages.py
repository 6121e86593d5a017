"""Stages: a resumed run is the run, frozen parts stay, options are checked, a recipe trains to a model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from pacenote.errors import InputError, PacenoteError
from pacenote.training import dense, sft
from pacenote.training.dense import DenseOptions
from pacenote.training.kd import KdOptions
from pacenote.training.loop import audit_gradients
from pacenote.training.packs import Packer
from pacenote.training.recipe import parse_recipe, read_recipe
from pacenote.training.sft import SftOptions, parameter_groups
from pacenote.training.targets import TARGETS
from pacenote.training.tokens import cache_tokens
from pacenote.training.tower import DenseTask, QwenEncoder
from tests.training.conftest import tiny, weights

RECIPES = Path(__file__).parents[2] / "recipes"
LIVE = {"vision": 1e-3, "projector": 1e-3, "language": 1e-3, "head": 1e-3}


class Stop(Exception):
    pass


@pytest.mark.parametrize("kind", ["dense", "language", "full"])
def test_a_resumed_run_equals_an_uninterrupted_one(
    kind: str, tokenizer: Any, drawn: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at step 3 of 4 and started again, each stage ends in the same weights."""
    from pacenote.training import loop

    def run(out: Path) -> dict[str, torch.Tensor]:
        model = tiny(tokenizer)
        if kind == "dense":
            options = DenseOptions(epochs=4 * 4 / len(drawn), batch=4, compile=False)
            dense.pretrain(QwenEncoder(model.model.model.visual), drawn, options, out, device="cpu")
        elif kind == "language":
            own = SftOptions(epochs=4 * 4 / len(drawn), batch=2, accumulate=2, asks=2, copies=1, muon=8.0)
            sft.train_language(model, drawn, own, out, "cpu")
        else:
            own = SftOptions(epochs=4 * 4 / len(drawn), batch=4, asks=2, crop=0.5, lr=LIVE)
            sft.train_full(model, drawn, own, out, device="cpu")
        return weights(model.model)

    whole = run(tmp_path / "whole")
    streams = {"dense": dense.DenseStream, "language": sft.CachedStream, "full": sft.LiveStream}
    stream: Any = streams[kind]
    real = stream.__getitem__

    def dies(self: Any, k: int) -> Any:
        if k >= 12:
            raise Stop
        return real(self, k)

    monkeypatch.setattr(stream, "__getitem__", dies)
    with pytest.raises(Stop):
        run(tmp_path / "killed")
    assert loop.last_checkpoint(tmp_path / "killed") is not None
    monkeypatch.setattr(stream, "__getitem__", real)
    resumed = run(tmp_path / "killed")
    for name in whole:
        torch.testing.assert_close(resumed[name], whole[name], rtol=0, atol=0, msg=lambda m, n=name: n + m)
    start = weights(tiny(tokenizer).model)
    assert any(not torch.equal(start[name], whole[name]) for name in whole)


def test_frozen_parts_stay_and_the_others_move(tokenizer: Any, drawn: Any, tmp_path: Path) -> None:
    model = tiny(tokenizer)
    before = weights(model.model)
    options = SftOptions(epochs=8 / len(drawn), batch=4, asks=2, crop=1.0, lr={"projector": 1e-2, "head": 0.0})
    sft.train_full(model, drawn, options, tmp_path, device="cpu")
    moved = {model.family.part(n) for n, p in model.model.named_parameters() if not torch.equal(before[n], p)}
    assert moved == {"projector"}


def test_language_stage_leaves_the_tower(tokenizer: Any, drawn: Any, tmp_path: Path) -> None:
    model = tiny(tokenizer)
    before = weights(model.model)
    sft.train_language(model, drawn, SftOptions(epochs=8 / len(drawn), batch=4, copies=1), tmp_path, "cpu")
    moved = {model.family.part(n) for n, p in model.model.named_parameters() if not torch.equal(before[n], p)}
    assert moved == {"language", "head"}


def test_cached_tokens_are_the_towers(tokenizer: Any, drawn: Any, tmp_path: Path) -> None:
    """Copy 0 is the plain frame: its cached tokens are those of the stock processor and tower, in bf16."""
    model = tiny(tokenizer)
    plain = replace(SftOptions().augment, flip=0.0, cutout=0.0, zoomed=0.0)
    cache = cache_tokens(model, drawn, 1, plain, tmp_path)
    assert len(cache) == len(drawn) and cache.frames.shape == (12, 144, 32) and cache.crops.shape == (12, 1, 36, 32)
    seen = dense.view_of(drawn, 2, np.random.default_rng(0))
    inputs = model.inputs([[Image.fromarray(seen.image)]], ["?"])
    with torch.no_grad():
        stock = model.model.model.visual(inputs["pixel_values"], inputs["image_grid_thw"]).pooler_output
    held = torch.from_numpy(np.array(cache.frames[2])).view(torch.bfloat16).float()
    torch.testing.assert_close(held, stock, rtol=0.1, atol=0.1)
    again = cache_tokens(model, drawn, 1, plain, tmp_path)
    assert (again.frames == cache.frames).all() and again.records == cache.records


def test_crops_of_what_the_tower_finds_likely(drawn: Any, tmp_path: Path) -> None:
    """They are the book's own aids; where nothing is likely there is none, and a step shows those that there are."""
    from pacenote.experts.look import TowerLook
    from pacenote.models import load
    from pacenote.training.tokens import AIDS

    model = load("starter-student", dtype=torch.float32)
    options = SftOptions(copies=2, crop=1.0, looks=True)
    cache = cache_tokens(model, drawn, 2, options.augment, tmp_path, TowerLook(model))
    assert cache.crops.shape == (24, len(AIDS), 36, 128)
    assert cache.there.any() and not cache.there.all()
    assert (cache.crops[~cache.there] == 0).all()
    assert (cache.crops[cache.there] != 0).any(-1).all()
    stream = sft.CachedStream(cache, lambda k: k, Packer(model), 24, options)
    shown = [len(stream[k][1][0]) - 1 for k in range(24)]
    assert 0 < sum(shown) <= cache.there.sum()
    assert all(count <= cache.there[k].sum() for k, count in enumerate(shown))
    sft.collate_cached([stream[k] for k in range(24)], 0)


def test_a_student_learns_from_a_teacher_that_sees_the_same_views(tokenizer: Any, drawn: Any, tmp_path: Path) -> None:
    """The student's distance to the teacher's distributions falls, and a foreign vocabulary is refused."""
    teacher = tiny(tokenizer, seed=1, width=48, heads=2)
    with torch.no_grad():
        for parameter in teacher.model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(1.5)
    teacher.save(tmp_path / "teacher")
    student = tiny(tokenizer, seed=2)
    options = SftOptions(
        epochs=20, batch=4, copies=1, asks=2, crop=0.5, teacher=str(tmp_path / "teacher"), kd=KdOptions(1.0, 2.0),
        lr={"language": 3e-3, "head": 3e-3},
    )  # fmt: skip
    sft.train_language(student, drawn, options, tmp_path / "run", "cpu")
    cache = cache_tokens(student, drawn, options.copies, options.augment, tmp_path / "run" / "tokens")
    taught = cache_tokens(teacher, drawn, options.copies, options.augment, tmp_path / "run" / "teacher-tokens")
    stream = sft.CachedStream(cache, lambda k: k, Packer(student), 12, options, taught)
    batch = sft.collate_cached([stream[k] for k in range(12)], tokenizer.pad_token_id)
    loss = sft.TaughtLoss(teacher.model, options.kd)
    with torch.no_grad():
        near, far = (loss(one.model, batch, None).item() for one in (student, tiny(tokenizer, seed=2)))
        itself = loss(teacher.model, {**batch, "tokens": batch["taught"]}, None).item()
    assert near < 0.6 * far and itself < 0.02 * far
    from tests.models.tiny import tokenizer_of

    tiny(tokenizer_of("qwen2_5_vl")).save(tmp_path / "other")
    with pytest.raises(InputError, match="has another vocabulary"):
        sft.train_language(student, drawn, replace(options, teacher=str(tmp_path / "other")), tmp_path / "x", "cpu")


def test_dense_weight_reaches_the_tower(tokenizer: Any, drawn: Any) -> None:
    """The frozen heads add their loss; it grows with the weight and sends gradient into the tower, none to itself."""
    model = tiny(tokenizer)
    task = DenseTask(QwenEncoder(model.model.model.visual), torch.ones(len(TARGETS)), torch.ones(len(TARGETS)))
    heads = task.heads.requires_grad_(False)
    packer = sft.Packer(model)
    stream = sft.LiveStream(drawn, lambda k: k, packer, 8, SftOptions(asks=1, crop=0.5))
    batch = sft.collate_live([stream[k] for k in range(4)], 0)
    losses = [float(sft.LiveLoss(model.family, heads, w)(model.model, dict(batch), 10).detach()) for w in (0.0, 1.0)]
    assert losses[1] > losses[0]
    sft.LiveLoss(model.family, heads, 1.0)(model.model, dict(batch), 10).backward()
    assert model.model.model.visual.patch_embed.proj.weight.grad.abs().sum() > 0
    assert heads.cells.weight.grad is None


def test_groups_and_their_audit(model: Any) -> None:
    groups = parameter_groups(model.model, model.family, {"vision": 1e-4, "language": 1e-3})
    assert {g["part"]: g["lr"] for g in groups} == {"vision": 1e-4, "language": 1e-3}
    trainable = {model.family.part(n) for n, p in model.model.named_parameters() if p.requires_grad}
    assert trainable == {"vision", "language"}
    with pytest.raises(PacenoteError, match="'vision' gets no gradient"):
        audit_gradients(groups, model.model)
    for group in groups:
        for parameter in group["params"]:
            parameter.grad = torch.ones_like(parameter)
    audit_gradients(groups, model.model)
    head = model.model.get_input_embeddings().weight
    head.grad = torch.ones_like(head)
    with pytest.raises(PacenoteError, match="frozen parameter"):
        audit_gradients(groups, model.model)
    with pytest.raises(InputError, match="every part is frozen"):
        parameter_groups(model.model, model.family, {"vision": 0.0})
    with pytest.raises(InputError, match="unknown part 'tower'"):
        parameter_groups(model.model, model.family, {"tower": 1.0})


@pytest.mark.parametrize(
    "name", ["starter-teacher", "starter-teacher-details", "starter-teacher-wide", "starter-student"]
)
def test_shipped_recipes_read(name: str) -> None:
    recipe = read_recipe(RECIPES / f"{name}.yaml")
    assert recipe.name == name and recipe.stages[0].kind == "dense"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stagse": []}, "stages must be a list"),
        ({"stages": [{"kind": "dence"}]}, "unknown kind dence"),
        ({"stages": [{"kind": "dense", "epoch": 3}]}, "did you mean epochs"),
        ({"stages": [{"kind": "dense", "epochs": "many"}]}, "must be a number"),
        ({"stages": [{"kind": "dense", "view": [224]}]}, "must be a list of 2"),
        ({"stages": [{"kind": "full", "lr": 3}]}, "must be a mapping"),
        ({"model": {}, "stages": [{"kind": "dense"}]}, "model needs a size"),
        ({"modle": 1, "stages": [{"kind": "dense"}]}, "did you mean model"),
    ],
)
def test_bad_recipes_name_the_key(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_recipe({"name": "x", "model": {"size": "student"}, **change})


@pytest.fixture
def dataset(drawn: Any, tmp_path: Path) -> Path:
    from pacenote.data.card import Card
    from pacenote.data.dataset import DatasetWriter
    from pacenote.data.sample import Picture, Sample

    path = tmp_path / "streets"
    with DatasetWriter(path, Card(name="streets", licence="CC0-1.0", seed=0)) as writer:
        for index, record in enumerate(drawn.records):
            image, classes = drawn.images[index], drawn.maps[index]
            writer.add(
                Sample(
                    record.id, (Picture.encode(Image.fromarray(image), quality=100),), truth=record.truth,
                    evidence={"objects": list(record.objects)}, scene=record.scene, conditions=record.conditions,
                    segmentation=Picture.encode_classes(classes), source="rendered",
                ),
                "train" if index % 3 else "dev",
            )  # fmt: skip
    return path


def test_a_recipe_trains_from_a_dataset_to_a_model(dataset: Path, tmp_path: Path) -> None:
    from pacenote.models import load
    from pacenote.training.run import train

    sizes = {"vision_width": 32, "vision_depth": 2, "vision_heads": 2, "vision_ffn": 64, "full_attention": [1]}
    raw = {
        "name": "tiny",
        "model": {"size": "student", "width": 32, "heads": 2, "ffn": 64, "depth": 2, **sizes},
        "stages": [
            {"kind": "dense", "epochs": 0.7, "batch": 4, "view": [224, 168], "compile": False},
            {"kind": "dense", "epochs": 0.4, "batch": 4, "compile": False},
            {"kind": "language", "epochs": 0.7, "batch": 4, "copies": 1, "asks": 2},
            {"kind": "full", "epochs": 0.4, "batch": 4, "asks": 2, "dense_weight": 0.5, "lr": dict(LIVE)},
        ],
    }
    recipe = parse_recipe(json.loads(json.dumps(raw)))
    model = train(recipe, [str(dataset)], tmp_path / "out", device="cpu", dev=[str(dataset)])
    figures = json.loads((tmp_path / "out" / "02-dense" / "model" / "done.json").read_text())
    assert figures["frames"] == 8 and figures["dev"]["facts"]["n"] == 4 and "cells" in figures["dev"]
    loaded = load(str(model))
    assert {one.dtype for one in load_file(model / "model.safetensors").values()} == {torch.bfloat16}
    assert loaded.generate([[Image.new("RGB", (672, 378))]], ["Advise the driver."], 4)
    assert list((tmp_path / "out").rglob("events.out.tfevents*"))
    stamp = (model / "model.safetensors").stat().st_mtime_ns
    assert train(recipe, [str(dataset)], tmp_path / "out", device="cpu") == model
    assert (model / "model.safetensors").stat().st_mtime_ns == stamp
    with pytest.raises(InputError, match="another training"):
        train(replace(recipe, seed=9), [str(dataset)], tmp_path / "out", device="cpu")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(InputError, match="is not empty"):
        train(recipe, [str(dataset)], tmp_path / "full", device="cpu")


def test_what_a_teacher_wrote_stands_for_a_missing_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pacenote.models.families import Model
    from pacenote.training.run import open_data
    from pacenote.training.teach import TeachOptions, teach
    from tests.models.tiny import tiny_model
    from tests.training.test_teach import TRUTH, dataset

    tiny_model("qwen2_5_vl").save(tmp_path / "teacher")
    bare, known = dataset(tmp_path / "bare", 3, truth=None), dataset(tmp_path / "known", 2)
    said = iter([TRUTH.advisory().text().replace("20", "35"), "A street.", TRUTH.advisory().text()])
    monkeypatch.setattr(Model, "generate", lambda self, images, *rest: [next(said) for _ in images])
    teach(str(tmp_path / "teacher"), [bare], tmp_path / "cache", TeachOptions(top=8))
    raw = {"name": "x", "model": {"size": "student"}, "stages": [{"kind": "language"}]}
    recipe = parse_recipe({**raw, "answers": str(tmp_path / "cache")})
    rows = open_data(recipe, [bare, known], tmp_path / "out")
    speeds = [None if sample.truth is None else sample.truth.speed_kmh for sample in rows]
    assert speeds == [35, None, 20, 20, 20]
    assert [rows[i].truth == sample.truth for i, sample in enumerate(rows)] == [True] * 5
    assert rows[0].truth.obstacles == TRUTH.obstacles
    few = open_data(replace(recipe, labelled=1), [known, bare], tmp_path / "few")
    assert [sample.truth is None for sample in few] == [False, False, False, True, False]
    assert few[0].evidence is not None and few[2].evidence is None and few[2].truth.speed_kmh == 35


def test_a_training_goes_on_with_the_heads_of_another(dataset: Path, tmp_path: Path, tokenizer: Any) -> None:
    from pacenote.training.run import train
    from tests.training.conftest import tiny

    tiny(tokenizer).save(tmp_path / "start")
    stage = {"kind": "dense", "epochs": 0.01, "batch": 4, "view": [224, 168], "compile": False, "lr": 1e-9}
    more = {"name": "more", "model": {"load": str(tmp_path / "start")}, "stages": [stage]}
    train(parse_recipe(json.loads(json.dumps(more))), [str(dataset)], tmp_path / "one", device="cpu")
    held = load_file(tmp_path / "one" / "heads.safetensors")
    more["model"]["dense_heads"] = str(tmp_path / "one" / "heads.safetensors")
    train(parse_recipe({**json.loads(json.dumps(more)), "seed": 5}), [str(dataset)], tmp_path / "two", device="cpu")
    again = load_file(tmp_path / "two" / "heads.safetensors")
    assert all(torch.allclose(again[name], held[name], atol=1e-6) for name in held)
    beside = {**more, "model": {"load": str(tmp_path / "one" / "model")}}
    train(parse_recipe(json.loads(json.dumps(beside))), [str(dataset)], tmp_path / "four", device="cpu")
    again = load_file(tmp_path / "four" / "heads.safetensors")  # those beside the weights
    assert all(torch.allclose(again[name], held[name], atol=1e-6) for name in held)
    more["model"]["dense_heads"] = str(tmp_path / "none")
    with pytest.raises(InputError, match=r"none: no such file; model\.dense_heads"):
        train(parse_recipe(json.loads(json.dumps(more))), [str(dataset)], tmp_path / "three", device="cpu")
