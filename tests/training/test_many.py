"""Training in two processes (gloo) takes the same steps as in one; the configurations for accelerate are whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from pacenote.errors import InputError
from pacenote.training.task import Task, learnt, put
from tests.models.tiny import tiny_model
from tests.training.test_teach import dataset

CONFIGS = Path(__file__).parents[2] / "recipes" / "accelerate"
RECIPE = """
name: two
model: {load: MODEL}
stages:
  - {kind: tune, epochs: 2, batch: 4, accumulate: 1, lr: {language: 1.0e-3, projector: 1.0e-3}}
  - {kind: tune, name: lora, epochs: 2, batch: 2, accumulate: 2, lr: {language: 1.0e-3}, lora: {r: 2}}
"""


def train(folder: Path, out: str, launcher: list[str]) -> dict[str, torch.Tensor]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    command = [
        sys.executable, *launcher, "-m", "pacenote", "train", str(folder / "recipe.yaml"), "--data",
        str(folder / "data"), "--out", str(folder / out), "--device", "cpu",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return load_file(folder / out / "02-lora" / "model" / "model.safetensors")


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(tmp_path: Path) -> None:
    """One stage whole, one with an adapter and accumulation: the same weights, up to the order of sums."""
    tiny_model("internvl").save(tmp_path / "model")
    dataset(tmp_path / "data", 8)
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("MODEL", str(tmp_path / "model")))
    one = train(tmp_path, "one", [])
    two = train(tmp_path, "two", ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"])
    start = load_file(tmp_path / "model" / "model.safetensors")
    apart = sum(float((two[name] - value).abs().sum()) for name, value in one.items())
    moved = sum(float((value - start[name]).abs().sum()) for name, value in one.items())
    assert apart < 0.01 * moved  # not a fifth of what one row fewer in a batch would change


def test_a_checkpoint_holds_what_learns_under_the_models_names() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    model[1].weight = model[0].weight  # tied
    task = Task(model, lambda own, batch, items: own(batch["x"]).sum() / (items or 1))
    state = learnt(model, task.state_dict(), "model.")
    assert sorted(state) == ["0.bias", "0.weight", "1.bias"] == sorted(learnt(model))
    model[1].bias.requires_grad_(False)
    assert sorted(learnt(model)) == ["0.bias", "0.weight"]
    model[0].bias.data.add_(1)
    put(model, state, "file")
    assert torch.equal(model[0].bias, state["0.bias"])
    with pytest.raises(InputError, match=r"no checkpoint of this training \(0.bias\)"):
        put(model, {"0.weight": state["0.weight"]}, "file")
    with pytest.raises(InputError, match=r"no checkpoint of this training \(2.weight\)"):
        put(model, {**state, "2.weight": torch.ones(1)}, "file")
    x = torch.ones(3, 2)
    assert torch.equal(task(x=x, num_items_in_batch=2)["loss"] * 2, task(x=x)["loss"])


@pytest.mark.parametrize("name", ["ddp.yaml", "fsdp.yaml", "zero3.yaml"])
def test_accelerate_reads_its_configurations(name: str) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    held: Any = load_config_from_file(str(CONFIGS / name))
    raw = yaml.safe_load((CONFIGS / name).read_text())
    assert held.num_processes == 8 and str(held.distributed_type).endswith(raw["distributed_type"])
    assert held.mixed_precision == "bf16"
