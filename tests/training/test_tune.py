"""Fine-tuning and distillation, on every family: what learns and what does not, adapters and their merge, resume."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pacenote.data import Dataset
from pacenote.errors import InputError, PacenoteError
from pacenote.models import PARTS, load
from pacenote.models.frames import fitted, frame_size
from pacenote.training import loop
from pacenote.training.cache import TeacherCache
from pacenote.training.kd import KdOptions
from pacenote.training.teach import TeachOptions, teach
from pacenote.training.tune import (
    LoraOptions,
    RowLoss,
    TuneOptions,
    adapt,
    collate_rows,
    encode_row,
    merge_adapter,
    merged,
    rows_of,
    tune,
    tune_groups,
)
from tests.models.test_families import picture
from tests.models.tiny import FAMILY_NAMES, tiny_model
from tests.training.test_teach import TRUTH, dataset

ALL = dict.fromkeys(PARTS, 1e-3)


@pytest.fixture(params=FAMILY_NAMES)
def model(request: Any) -> Any:
    return tiny_model(request.param)


@pytest.fixture(scope="module")
def data(tmp_path_factory: Any) -> Any:
    return list(Dataset.open(dataset(tmp_path_factory.mktemp("data") / "streets")))


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.model.state_dict().items()}


def moved(model: Any, before: dict[str, torch.Tensor]) -> set[str]:
    after = model.model.state_dict()
    return {model.family.part(n) for n, value in before.items() if not torch.equal(value, after[n])}


def batch_of(model: Any, data: Any, cache: Any = None, kd: KdOptions = KdOptions()) -> dict[str, Any]:
    rows = rows_of(data, cache)
    return collate_rows([(encode_row(model, data[row.index], row), row) for row in rows], model, cache, kd)


def loss_of(model: Any, data: Any, cache: Any = None, kd: KdOptions = KdOptions()) -> torch.Tensor:
    return RowLoss(kd)(model.model, batch_of(model, data, cache, kd), None)


@pytest.mark.slow
def test_it_learns_and_is_asked_as_it_was_trained(model: Any, data: Any, tmp_path: Path) -> None:
    """Train, save, load, evaluate: six pictures with one truth are answered with it."""
    options = TuneOptions(epochs=110, batch=6, lr=dict.fromkeys(PARTS, 5e-3), warmup=0.1)
    figures = tune(model, data, options, tmp_path / "run", "cpu")
    assert figures["examples"] == 6
    model.save(tmp_path / "model")
    back = load(str(tmp_path / "model"))
    pictures = fitted(data[0], frame_size(back))  # as evaluate shows them: another size is another place for every word
    assert back.generate([pictures], ["Advise the driver."])[0] == TRUTH.advisory().text()


def test_frozen_parts_stay_and_the_others_move(model: Any, data: Any, tmp_path: Path) -> None:
    before = weights(model)
    tune(model, data, TuneOptions(epochs=1, batch=3, lr={"projector": 1e-3}), tmp_path, "cpu")
    assert moved(model, before) == {"projector"}


@pytest.mark.parametrize("kind", [{}, {"dora": True}, {"rslora": True}])
def test_an_adapter_learns_alone_and_merges(model: Any, data: Any, tmp_path: Path, kind: dict[str, bool]) -> None:
    from peft import PeftModel

    before = weights(model)
    start = loss_of(model, data).item()
    lora = LoraOptions(r=4, alpha=8, parts=("language", "vision"), **kind)
    options = TuneOptions(epochs=4, batch=3, lr={"language": 1e-2, "vision": 1e-3, "projector": 1e-3}, lora=lora)
    tune(model, data, options, tmp_path / "run", "cpu")
    assert moved(model, before) == {"language", "vision", "projector"}
    assert set(model.model.state_dict()) == set(before)
    assert loss_of(model, data).item() < start - 0.05
    base = tiny_model(model.family.name)
    projector = {n: v for n, v in model.model.state_dict().items() if base.family.part(n) == "projector"}
    base.model.load_state_dict(projector, strict=False)
    adapted = PeftModel.from_pretrained(base.model, tmp_path / "run" / "adapter").merge_and_unload()
    for name, value in adapted.state_dict().items():
        torch.testing.assert_close(value, model.model.state_dict()[name], rtol=1e-4, atol=1e-5)


def test_an_adapter_that_does_nothing_after_the_merge_is_found(
    model: Any, data: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapper = adapt(model.model, model.family, LoraOptions(r=4))
    with torch.no_grad():
        for name, parameter in model.model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.5)
    monkeypatch.setattr(type(wrapper.base_model), "merge_and_unload", lambda self: self.unload())
    with pytest.raises(PacenoteError, match="merging the adapter changed the answers"):
        merged(wrapper, encode_row(model, data[0], rows_of(data, None)[0]), model)


def test_only_the_adapter_and_parts_with_a_rate_learn(model: Any) -> None:
    options = TuneOptions(lr={"language": 1e-3, "projector": 1e-4}, lora=LoraOptions(r=2))
    adapt(model.model, model.family, options.lora)
    groups = {group["part"]: group for group in tune_groups(model.model, model.family, options)}
    assert set(groups) == {"language", "projector"}
    named = {id(p): name for name, p in model.model.named_parameters()}
    assert all(".lora_" in named[id(p)] for p in groups["language"]["params"])
    learns = {id(p) for p in model.model.parameters() if p.requires_grad}
    assert learns == {id(p) for group in groups.values() for p in group["params"]}
    count = sum(name.endswith("lora_A.default.weight") for name in named.values())
    assert count == len(model.family.linear) * 2  # of two layers


def test_distillation_brings_the_student_to_the_teacher(model: Any, data: Any, tmp_path: Path) -> None:
    """With alpha 1 the student learns the teacher's distributions, not the label."""
    teacher = tiny_model(model.family.name, 3)
    with torch.no_grad():
        for parameter in teacher.model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4)
    teacher.save(tmp_path / "teacher")
    path = str(data_of(tmp_path))
    teach(str(tmp_path / "teacher"), [path], tmp_path / "cache", TeachOptions())
    cache = TeacherCache(tmp_path / "cache")
    kd = KdOptions(1.0, 2.0)
    own = Dataset.open(path)
    rows = rows_of(own, cache)
    assert len(rows) == 6 and all(row.taught is not None for row in rows)
    before = loss_of(model, own, cache, kd).item()
    options = TuneOptions(epochs=30, batch=6, lr=ALL, cache=str(tmp_path / "cache"), kd=kd)
    tune(model, own, options, tmp_path / "run", "cpu")
    assert loss_of(model, own, cache, kd).item() < 0.5 * before
    assert loss_of(teacher, own, cache, kd).item() < 0.02 * before


def data_of(tmp_path: Path) -> str:
    return dataset(tmp_path / "streets")


def test_eight_by_one_is_one_by_eight(model: Any, data: Any) -> None:
    batch = batch_of(model, data)
    items = int((batch["labels"] != -100).sum())
    loss = RowLoss(KdOptions())
    whole = loss(model.model, batch, items)
    parts = sum(loss(model.model, batch_of(model, [one]), items) for one in data)
    assert whole.item() == pytest.approx(parts.item(), rel=1e-5)
    grads = [torch.autograd.grad(one, list(model.model.parameters()), allow_unused=True) for one in (whole, parts)]
    for a, b in zip(*grads, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=2e-3, atol=2e-6)


@pytest.mark.parametrize("r", [0, 2])
def test_a_resumed_run_is_the_uninterrupted_one(
    model: Any, data: Any, tmp_path: Path, r: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = TuneOptions(epochs=8 / 3, batch=2, lr={"language": 1e-2}, lora=LoraOptions(r=r))
    other = tiny_model(model.family.name)
    torch.manual_seed(7)  # adapters start at random
    tune(other, data, options, tmp_path / "whole", "cpu")

    class Stop(Exception):
        pass

    count = 0
    real = RowLoss.__call__

    def stops(self: Any, *args: Any) -> Any:
        nonlocal count
        count += 1
        if count == 6:
            raise Stop
        return real(self, *args)

    monkeypatch.setattr(RowLoss, "__call__", stops)
    start = tiny_model(model.family.name)
    torch.manual_seed(7)
    with pytest.raises(Stop):
        tune(start, data, options, tmp_path / "parts", "cpu")
    assert loop.last_checkpoint(tmp_path / "parts") is not None
    torch.manual_seed(8)
    tune(model, data, options, tmp_path / "parts", "cpu")
    for name, value in other.model.state_dict().items():
        torch.testing.assert_close(model.model.state_dict()[name], value, rtol=1e-5, atol=1e-6)


def test_checkpointing_changes_nothing(model: Any, data: Any) -> None:
    model.model.train()
    plain = torch.autograd.grad(loss_of(model, data[:2]), list(model.model.parameters()), allow_unused=True)
    model.model.gradient_checkpointing_enable({"use_reentrant": False})
    again = torch.autograd.grad(loss_of(model, data[:2]), list(model.model.parameters()), allow_unused=True)
    for a, b in zip(plain, again, strict=True):
        assert (a is None) == (b is None) and (a is None or torch.allclose(a, b, rtol=1e-4, atol=1e-7))


def test_bad_input_is_one_line(data: Any, tmp_path: Path) -> None:
    model = tiny_model("qwen2_5_vl")
    with pytest.raises(InputError, match="unknown part 'tower'"):
        adapt(model.model, model.family, LoraOptions(r=2, parts=("tower",)))
    with pytest.raises(InputError, match="nothing to train on: no sample has an answer"):
        rows_of([replace(one, truth=None) for one in data], None)
    path = data_of(tmp_path)
    model.save(tmp_path / "teacher")
    teach(str(tmp_path / "teacher"), [path], tmp_path / "cache", TeachOptions(top=8))
    with pytest.raises(InputError, match="nothing to train on: the cache .* has none of the samples"):
        rows_of([replace(one, id="other") for one in data], TeacherCache(tmp_path / "cache"))
    with pytest.raises(InputError, match="another vocabulary"):
        options = TuneOptions(cache=str(tmp_path / "cache"))
        tune(tiny_model("smolvlm"), data, options, tmp_path / "run", "cpu")
    row = rows_of(data, TeacherCache(tmp_path / "cache"))[0]
    assert row.taught is not None
    cut = replace(row.taught, answer_ids=row.taught.answer_ids[:-1])
    with pytest.raises(InputError, match="other tokens than in the teacher cache"):
        encode_row(model, data[row.index], replace(row, taught=cut))


def test_a_recipe_teaches_tunes_and_merges(tmp_path: Path) -> None:
    """The paper's order in one recipe: distil the whole model, then a LoRA; no frames are decoded for it."""
    from pacenote.training.recipe import parse_recipe
    from pacenote.training.run import train

    path = data_of(tmp_path)
    tiny_model("qwen2_5_vl", 3).save(tmp_path / "teacher")
    tiny_model("qwen2_5_vl").save(tmp_path / "student")
    teach(str(tmp_path / "teacher"), [path], tmp_path / "cache", TeachOptions(top=32))
    kd = {"alpha": 0.7, "temperature": 2.0}
    stages = [
        {"kind": "tune", "name": "distil", "epochs": 1, "batch": 3, "lr": dict(ALL), "cache": str(tmp_path / "cache"),
         "kd": kd},
        {"kind": "tune", "name": "lora", "epochs": 1, "batch": 3, "lr": {"language": 1e-3}, "lora": {"r": 2}},
    ]  # fmt: skip
    recipe = parse_recipe({"name": "x", "model": {"load": str(tmp_path / "student")}, "stages": stages})
    model = load(str(train(recipe, [path], tmp_path / "run", device="cpu")))
    assert model.generate([[picture(0)]], ["Advise the driver."], 4)
    assert (tmp_path / "run" / "02-lora" / "adapter" / "adapter_config.json").is_file()
    assert not (tmp_path / "run" / "frames").exists()
    with pytest.raises(InputError, match="did you mean temperature"):
        parse_recipe({"name": "x", "model": {"load": "x"}, "stages": [{**stages[0], "kd": {"temperatur": 2.0}}]})


def test_an_adapter_merges_by_command_and_a_foreign_one_is_refused(tmp_path: Path, data: Any) -> None:
    from pacenote.cli import main
    from tests.training.conftest import tiny

    model = tiny_model("qwen2_5_vl")
    model.save(tmp_path / "base")
    options = TuneOptions(epochs=2, batch=3, lr={"language": 1e-2}, lora=LoraOptions(r=2))
    tune(model, data, options, tmp_path / "run", "cpu")
    adapter = tmp_path / "run" / "adapter"
    assert main(["merge", str(tmp_path / "base"), str(adapter), "--out", str(tmp_path / "merged")]) == 0
    back = load(str(tmp_path / "merged"))
    for name, value in model.model.state_dict().items():
        torch.testing.assert_close(back.model.state_dict()[name], value, rtol=1e-4, atol=1e-5)
    tiny(model.tokenizer, width=64).save(tmp_path / "other")
    for base, said in ((tmp_path / "other", "is no adapter of"), (tmp_path / "base", "changes nothing in")):
        if said == "changes nothing in":
            wrapper = adapt(load(str(base)).model, model.family, LoraOptions(r=2))
            wrapper.save_pretrained(tmp_path / "fresh")
            adapter = tmp_path / "fresh"
        with pytest.raises(InputError, match=said):
            merge_adapter(str(base), adapter, tmp_path / "x")
    with pytest.raises(InputError, match="no adapter here"):
        merge_adapter(str(tmp_path / "base"), tmp_path, tmp_path / "x")


def test_bits_without_the_library_name_the_mend(model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    model.save(tmp_path)
    with pytest.raises(InputError, match=r"pip install 'pacenote\[qlora\]'"):
        load(str(tmp_path), nf4=True)


def test_qlora_learns_on_a_base_of_four_bits(model: Any, data: Any, tmp_path: Path) -> None:
    """The language part is held in NF4, vision and head are not; what is merged lowers the loss of the true weights."""
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed (pip install 'pacenote[qlora]')")
    model.save(tmp_path / "base")
    base = load(str(tmp_path / "base"), dtype=torch.float32)
    before = weights(base)
    start = loss_of(base, data).item()
    held = load(str(tmp_path / "base"), dtype=torch.float32, nf4=True)
    packed = {held.family.part(n) for n, p in held.model.named_parameters() if not p.is_floating_point()}
    assert packed == {"language"}
    lora = LoraOptions(r=4, alpha=8, bits=4)
    tune(base, data, TuneOptions(epochs=4, batch=3, lr={"language": 1e-2}, lora=lora), tmp_path / "run", "cpu")
    assert moved(base, before) == {"language"}
    assert loss_of(base, data).item() < start - 0.05
    with pytest.raises(ValueError, match="bits must be 0"):
        LoraOptions(bits=8)


def test_a_loss_that_is_no_number_names_its_rows_and_keeps_the_checkpoint(
    model: Any, data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = RowLoss.__call__
    steps: list[int] = []

    def breaks(self: RowLoss, own: Any, batch: Any, items: Any) -> Any:
        steps.append(1)
        return plain(self, own, batch, items) * (float("nan") if len(steps) == 4 else 1.0)

    monkeypatch.setattr(RowLoss, "__call__", breaks)
    options = TuneOptions(epochs=4, batch=3, lr={"projector": 1e-3})
    with pytest.raises(PacenoteError, match=r"nan at step 4, in a batch of s\d, s\d, s\d; lower lr .*checkpoint-2 is"):
        tune(model, data, options, tmp_path, "cpu")
    assert loop.last_checkpoint(tmp_path) == tmp_path / "checkpoint-2"
