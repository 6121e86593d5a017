"""Kolors, SDXL and SD paint, read prompts to their end or refuse them, and learn a LoRA that saves, loads, merges and
resumes. On tiny random pipelines of those very classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file

from pacenote.errors import InputError, PacenoteError
from pacenote.imagine import lora
from pacenote.imagine.lora import PaintLora
from pacenote.imagine.painter import open_painter
from pacenote.imagine.pairs import Pair
from tests.imagine.streets import draw, spec
from tests.imagine.tiny import SIZE

RED, GREEN = spec("red"), spec("green", cone=True)
OPTIONS = PaintLora(rank=2, alpha=4, lr=2e-2, steps=6, batch=2, accumulate=2, ema=0.5, warmup=0.0, seed=3)


def some_pairs(count: int = 6) -> list[Pair]:
    from pacenote.data.sample import Picture

    wanted = [RED, GREEN]
    return [
        Pair(f"p{n}", Picture.encode(draw(wanted[n % 2], n), format="PNG"), "red light" if n % 2 else "traffic cones",
             wanted[n % 2])
        for n in range(count)
    ]  # fmt: skip


def pixels(images: list[Any]) -> np.ndarray:
    return np.stack([np.asarray(image, np.int64) for image in images])


def test_a_picture_is_a_function_of_prompt_and_seed(any_painter: Path) -> None:
    painter = open_painter(str(any_painter), "cpu")
    assert painter.size == SIZE
    one = pixels(painter.paint(["red light", "traffic cones"], [1, 2]))
    assert one.shape == (2, SIZE[1], SIZE[0], 3)
    alone = pixels(painter.paint(["traffic cones"], [2]))
    assert np.abs(alone[0] - one[1]).max() <= 1
    assert np.abs(pixels(painter.paint(["red light"], [5]))[0] - one[0]).max() > 8
    against = pixels(painter.paint(["red light"], [1], negative=["a toll plaza at night"]))
    assert (against[0] != one[0]).any()


def test_a_prompt_that_would_be_cut_is_refused(any_painter: Path) -> None:
    painter = open_painter(str(any_painter), "cpu")
    longest = 256 if any_painter.name == "kolors" else 77
    with pytest.raises(InputError, match=f"reads {longest} tokens") as caught:
        painter.paint([RED.prompt() * 40], [0])
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="one seed"):
        painter.paint(["red"], [])


@pytest.mark.parametrize("targets", [OPTIONS.targets, (*OPTIONS.targets, "conv1", "conv2")])
def test_a_lora_saves_loads_and_merges(any_painter: Path, targets: tuple[str, ...], tmp_path: Path) -> None:
    painter = open_painter(str(any_painter), "cpu")
    before = pixels(painter.paint(["red light"], [1]))
    key = painter.digest
    painter.train_lora([some_pairs()], tmp_path / "lora", replace(OPTIONS, targets=targets), None, tmp_path / "store")
    held = load_file(tmp_path / "lora" / lora.WEIGHTS)
    assert any(".conv1." in name for name in held) == ("conv1" in targets)
    assert (pixels(painter.paint(["red light"], [1])) == before).all()  # it is off until it is asked for
    assert painter.digest == key
    painter.with_lora(tmp_path / "lora")
    loaded = get_peft_model_state_dict(painter.pipeline.unet, adapter_name=lora.ADAPTER)
    assert {f"unet.{name}" for name in loaded} == set(held)
    assert all(torch.equal(held[f"unet.{name}"], value) for name, value in loaded.items())
    adapted = pixels(painter.paint(["red light"], [1]))
    assert (adapted != before).any() and painter.digest != key
    fresh = open_painter(str(any_painter), "cpu", lora=tmp_path / "lora")
    assert (pixels(fresh.paint(["red light"], [1])) == adapted).all()
    assert fresh.digest == painter.digest
    fresh.merged(tmp_path / "lora", tmp_path / "whole")
    whole = open_painter(str(tmp_path / "whole"), "cpu")
    assert np.abs(pixels(whole.paint(["red light"], [1])) - adapted).max() <= 2
    assert (pixels(painter.with_lora(None).paint(["red light"], [1])) == before).all()


def test_a_resumed_training_is_the_uninterrupted_one(any_painter: Path, tmp_path: Path, monkeypatch: Any) -> None:
    from safetensors.torch import load_file

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    open_painter(str(any_painter), "cpu").train_lora([some_pairs()], whole, OPTIONS, None, tmp_path / "store")
    calls = 0
    collate = lora.collate_pairs

    def stop(items: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 9:  # in the fifth of six steps; the checkpoints are of every second
            raise KeyboardInterrupt
        return collate(items)

    monkeypatch.setattr(lora, "collate_pairs", stop)
    with pytest.raises(KeyboardInterrupt):
        open_painter(str(any_painter), "cpu").train_lora([some_pairs()], cut, OPTIONS, None, tmp_path / "store")
    assert list((cut / "checkpoints").glob("checkpoint-*")) and not (cut / lora.WEIGHTS).exists()
    monkeypatch.setattr(lora, "collate_pairs", collate)
    open_painter(str(any_painter), "cpu").train_lora([some_pairs()], cut, OPTIONS, None, tmp_path / "store")
    one, other = load_file(whole / lora.WEIGHTS), load_file(cut / lora.WEIGHTS)
    assert one.keys() == other.keys() and len(one) > 4
    for name in one:
        torch.testing.assert_close(other[name], one[name], rtol=1e-4, atol=1e-6)


def test_training_lowers_the_loss_and_goes_on_from_a_lora(sd_painter: Path, tmp_path: Path) -> None:
    options = PaintLora(rank=4, alpha=8, lr=5e-2, steps=60, batch=8, accumulate=1, ema=0.9, drop=0.0)
    painter = open_painter(str(sd_painter), "cpu")
    first = painter.train_lora([some_pairs()], tmp_path / "a", options, None, tmp_path / "store")
    longer = PaintLora(**{**vars(options), "seed": 1})
    second = painter.train_lora([some_pairs()], tmp_path / "b", longer, first, tmp_path / "store")
    losses = [loss_of(painter, path, tmp_path / "store") for path in (None, first, second)]
    assert losses[1] < 0.97 * losses[0] and losses[2] < losses[1]


def loss_of(painter: Any, path: Path | None, store: Path) -> float:
    """The mean loss on fixed items."""
    from diffusers import DDPMScheduler

    from pacenote.imagine.denoise import Denoiser
    from pacenote.imagine.latents import PairStream, collate_pairs, encode_pairs

    painter.with_lora(path)
    held = encode_pairs(painter.pipeline, painter.encoding, some_pairs(), SIZE, "sd", painter.base, store)
    stream = PairStream([held], lambda k: k % 6, 96, 1000, SIZE, 0.0, 99)
    schedule = DDPMScheduler.from_config(painter.pipeline.scheduler.config)
    with torch.no_grad():
        batch = collate_pairs([stream[k] for k in range(96)])
        del batch["rows"]
        return float(Denoiser(painter.pipeline.unet, schedule, 0.0)(**batch)["loss"])


def test_latents_that_are_not_finite_name_their_pair(sd_painter: Path, tmp_path: Path) -> None:
    painter = open_painter(str(sd_painter), "cpu")
    weight = painter.pipeline.vae.encoder.conv_in.weight
    with torch.no_grad():
        weight[0] = float("nan")
    with pytest.raises(PacenoteError, match="pair p0: its latents are not finite"):
        painter.train_lora([some_pairs()], tmp_path / "lora", OPTIONS, None, tmp_path / "store")


def test_what_is_no_painter_is_refused(tmp_path: Path, sd_painter: Path) -> None:
    with pytest.raises(InputError, match="no such painter"):
        open_painter(str(tmp_path / "gone"), "cpu")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="cannot be loaded"):
        open_painter(str(tmp_path / "empty"), "cpu")
    with pytest.raises(InputError, match="no LoRA"):
        open_painter(str(sd_painter), "cpu", lora=tmp_path / "empty")
    painter = open_painter(str(sd_painter), "cpu")
    strange = PaintLora(targets=("no_such_layer",))
    with pytest.raises(InputError, match="no such layers"):
        painter.train_lora([some_pairs()], tmp_path / "lora", strange, None, tmp_path / "store")


def test_min_snr_weights_follow_the_paper() -> None:
    """At gamma 5 a step of SNR 5 or below counts 1, one above 5 / SNR (arXiv:2303.09556, section 3.4)."""
    from diffusers import DDPMScheduler
    from diffusers.training_utils import compute_snr

    from pacenote.imagine.denoise import Denoiser

    schedule = DDPMScheduler(1000, 0.00085, 0.012, "scaled_linear")
    steps = torch.arange(0, 1000, 100)
    snr = compute_snr(schedule, steps)
    weight = Denoiser(torch.nn.Identity(), schedule, 5.0)._weight(steps, velocity=False)
    assert (snr > 5).any() and (snr < 5).any()
    torch.testing.assert_close(weight, torch.where(snr < 5, torch.ones_like(snr), 5 / snr))


def test_another_process_gets_the_same_painter_by_name(sd_painter: Path, tmp_path: Path) -> None:
    import pickle

    painter = open_painter(str(sd_painter), "cpu")
    painter.train_lora([some_pairs()], tmp_path / "lora", OPTIONS, None, tmp_path / "store")
    painter.with_lora(tmp_path / "lora")
    packed = pickle.dumps(painter)
    assert len(packed) < 2000  # no weights travel
    other = pickle.loads(packed)
    assert other is not painter and other.digest == painter.digest
    assert (pixels(other.paint(["red light"], [4])) == pixels(painter.paint(["red light"], [4]))).all()


def test_groups_are_mixed_by_their_shares(sd_painter: Path, tmp_path: Path) -> None:
    from pacenote.imagine.latents import PairStream, encode_pairs
    from pacenote.training.order import members_among, order_of

    painter = open_painter(str(sd_painter), "cpu")
    groups = [some_pairs(6)[:5], some_pairs(6)[5:]]
    held = [
        encode_pairs(painter.pipeline, painter.encoding, g, SIZE, "sd", painter.base, tmp_path / "store")
        for g in groups
    ]
    order = order_of(members_among([5, 1], range(6)), (0.5, 0.5), 0)
    stream = PairStream(held, order, 240, 1000, SIZE, 0.25, 0)
    items = [stream[k] for k in range(240)]
    assert sum(item["id"] == "p5" for item in items) == 120
    empty = torch.from_numpy(np.array(held[0].texts[-1]))
    dropped = sum(torch.equal(item["text"], empty) for item in items)
    assert 30 < dropped < 90  # a quarter is painted without words, for guidance
    assert torch.equal(stream[7]["noise"], items[7]["noise"]) and not torch.equal(items[7]["noise"], items[8]["noise"])


def test_steps_count_alike_where_the_last_one_has_no_signal() -> None:
    from diffusers import DDPMScheduler

    from pacenote.imagine.lora import gamma_of

    options = PaintLora(snr_gamma=5.0)
    assert gamma_of(DDPMScheduler(), options) == 5.0
    assert gamma_of(DDPMScheduler(rescale_betas_zero_snr=True), options) == 0.0
