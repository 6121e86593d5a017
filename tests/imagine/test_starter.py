"""The starter painter: trained through the same loop as LoRAs, an ordinary pipeline afterwards, and it learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pacenote.data import Card, Dataset, DatasetWriter
from pacenote.errors import InputError
from pacenote.imagine import reading, starter
from pacenote.imagine.painter import open_painter
from pacenote.imagine.pairs import read_pairs
from pacenote.imagine.starter import TOKENS, build, grammar, train_starter
from pacenote.work import read_json
from tests.imagine.tiny import STARTER, few_frames


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(few_frames(tmp_path_factory.mktemp("starter") / "data", 16))


def test_every_prompt_fits_its_text_encoder() -> None:
    pipeline = build(STARTER)
    lengths = [len(pipeline.tokenizer(spec.prompt())["input_ids"]) for spec in grammar(500)]
    assert max(lengths) <= TOKENS
    texts = [spec.prompt() for spec in grammar(20)]
    assert pipeline.tokenizer.batch_decode(pipeline.tokenizer(texts)["input_ids"]) == texts


def test_it_is_trained_saved_and_paints(data: str, tmp_path: Path) -> None:
    from pacenote.imagine.denoise import latents_of

    painter_dir = train_starter([data], tmp_path / "run", STARTER, "cpu")
    painter = open_painter(str(painter_dir), "cpu")
    assert type(painter.pipeline).__name__ == "StableDiffusionPipeline"
    assert painter.size == STARTER.size and painter.strokes.guidance == STARTER.guidance
    tokenizer = painter.pipeline.tokenizer
    assert tokenizer.padding_side == "right" and tokenizer.model_max_length == TOKENS
    caption = read_pairs(data)[0].caption
    with pytest.raises(InputError, match="reads 77 tokens"):
        painter.paint([caption * 4], [1])
    image = painter.paint([caption], [1])[0]
    assert image.size == STARTER.size and np.isfinite(np.asarray(image)).all()
    figures = read_json(tmp_path / "run" / "training.json")
    # Latents that the UNet meets have variance 1.
    vae, frames = painter.pipeline.vae, [pair.picture.open().resize(STARTER.size) for pair in read_pairs(data)]
    with torch.inference_mode():
        found = latents_of(vae, painter.pipeline.image_processor.preprocess(frames))
    assert float((found * vae.config.scaling_factor).std()) == pytest.approx(1.0, abs=0.2)
    assert figures["unet"]["parameters"] > 1000
    assert train_starter([data], tmp_path / "run", STARTER, "cpu") == painter_dir  # nothing left to do


def test_a_stopped_training_ends_the_same(data: str, tmp_path: Path, monkeypatch: Any) -> None:
    whole = train_starter([data], tmp_path / "whole", STARTER, "cpu")
    collate, calls = starter.collate_pairs, 0

    def stop(items: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 6:
            raise KeyboardInterrupt
        return collate(items)

    monkeypatch.setattr(starter, "collate_pairs", stop)
    with pytest.raises(KeyboardInterrupt):
        train_starter([data], tmp_path / "cut", STARTER, "cpu")
    monkeypatch.setattr(starter, "collate_pairs", collate)
    cut = train_starter([data], tmp_path / "cut", STARTER, "cpu")
    one, other = (open_painter(str(path), "cpu").pipeline for path in (whole, cut))
    for part in ("unet", "text_encoder", "vae"):
        held = dict(getattr(other, part).named_parameters())
        for name, value in getattr(one, part).named_parameters():
            torch.testing.assert_close(held[name], value, rtol=1e-3, atol=1e-5)


def test_the_text_encoder_learns_to_read_before_it_paints(tmp_path: Path) -> None:
    pipeline, specs = build(STARTER), list(grammar(600))
    ids = starter._ids(pipeline.tokenizer, [spec.prompt() for spec in specs])
    first = reading.learn_to_read(
        pipeline.text_encoder, specs, ids, tmp_path / "a", steps=2, batch=16, lr=3e-3, seed=0, device="cpu"
    )
    then = reading.learn_to_read(
        pipeline.text_encoder, specs, ids, tmp_path / "b", steps=150, batch=16, lr=3e-3, seed=0, device="cpu"
    )
    facts = {fact for spec in specs for fact in spec.facts()} | {("vehicles", spec.vehicles) for spec in specs}
    assert then["facts"] == len(facts)
    assert then["wrong"] < 0.6 * first["wrong"]


def test_only_what_stands_before_a_place_is_read_there() -> None:
    pipeline = build(STARTER)
    model = reading.Reader(pipeline.text_encoder, 3).eval()
    ids = torch.from_numpy(starter._ids(pipeline.tokenizer, [next(grammar(1)).prompt()]))
    other = ids.clone()
    other[0, 0] += 1
    with torch.inference_mode():
        assert not torch.equal(model.logits(ids), model.logits(other))  # the last place has read the first word


def test_the_text_encoder_learns_along(data: str, tmp_path: Path) -> None:
    fresh = build(STARTER).text_encoder.state_dict()
    painter = open_painter(str(train_starter([data], tmp_path, STARTER, "cpu")), "cpu")
    learnt = painter.pipeline.text_encoder.state_dict()
    moved = [name for name in fresh if name in learnt and not torch.equal(fresh[name], learnt[name])]
    assert any("layers.0" in name for name in moved)


def test_a_lamp_weighs_more_than_the_sky() -> None:
    from pacenote.imagine.denoise import Reconstruction

    class Grey(torch.nn.Module):
        """An autoencoder that gives grey."""

        def encode(self, pixels: torch.Tensor) -> Any:
            return type("Encoded", (), {"latents": torch.zeros(1)})

        def decode(self, latents: torch.Tensor) -> Any:
            return type("Decoded", (), {"sample": torch.zeros(1, 3, 8, 8)})

    pixels = torch.zeros(1, 3, 8, 8)
    pixels[0, 0, 2, 2] = 1.0
    weight = torch.ones(1, 1, 8, 8)
    loss = Reconstruction(Grey())
    plain = float(loss(pixels, weight)["loss"])
    weight[0, 0, 2, 2] = 8.0
    assert float(loss(pixels, weight)["loss"]) > 2 * plain
    assert float(loss(torch.zeros_like(pixels), weight)["loss"]) == 0.0


def test_heads_of_attention_are_as_wide_as_meant() -> None:
    """diffusers takes `attention_head_dim` for the number of heads: 32 of them were 4 wide."""
    from diffusers.models.attention_processor import Attention

    unet = build(replace(STARTER, channels=(32, 64))).unet
    found = [layer for layer in unet.modules() if isinstance(layer, Attention)]
    assert found and all(layer.inner_dim == layer.heads * starter.HEAD for layer in found)


def test_bad_sizes_and_unlabelled_data_are_refused(data: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="32 divides"):
        train_starter([data], tmp_path, replace(STARTER, size=(100, 64)), "cpu")
    with DatasetWriter(tmp_path / "blank", Card("blank")) as writer:
        writer.add(replace(Dataset.open(data)[0], truth=None))
    with pytest.raises(InputError, match="no pairs"):
        train_starter([str(tmp_path / "blank")], tmp_path / "out", STARTER, "cpu")


def test_a_lost_colour_costs_most_where_the_picture_is_vivid() -> None:
    """Grey for red costs more the more `vivid` counts; grey for another grey costs the same."""
    from types import SimpleNamespace

    import torch

    from pacenote.imagine.denoise import Reconstruction

    grey = torch.zeros(1, 3, 8, 8)
    red = torch.tensor([1.0, -1.0, -1.0])[None, :, None, None].expand(1, 3, 8, 8)
    latent = SimpleNamespace(mean=grey, kl=lambda: torch.zeros(1))

    class Vae(torch.nn.Module):
        def encode(self, _: torch.Tensor) -> SimpleNamespace:
            return SimpleNamespace(latent_dist=latent)

        def decode(self, _: torch.Tensor) -> SimpleNamespace:
            return SimpleNamespace(sample=grey)

    def loss(pixels: torch.Tensor, vivid: float) -> float:
        return float(Reconstruction(Vae(), 0.0, vivid=vivid)(pixels, torch.ones(1, 1, 8, 8))["loss"])

    assert loss(red, 10.0) > 3 * loss(red, 0.0)
    assert loss(torch.full_like(grey, 0.4), 10.0) == pytest.approx(loss(torch.full_like(grey, 0.4), 0.0))


def test_small_things_weigh_more_in_the_unet_too() -> None:
    from types import SimpleNamespace

    from pacenote.data.classes import CLASS_INDEX
    from pacenote.imagine.denoise import Denoiser

    maps = np.zeros((2, 32, 64), np.uint8)
    maps[0, 13, 22] = CLASS_INDEX["light_red"]
    records = [SimpleNamespace(id=name) for name in ("lamp", "plain")]
    frames: Any = SimpleNamespace(maps=maps, has_map=np.ones(2, bool), records=records)
    pairs: Any = [SimpleNamespace(id=name) for name in ("plain", "lamp")]
    plain, lamp = starter._weights(pairs, frames, (8, 16))
    assert (plain == 1).all()
    assert {(int(y), int(x)) for y, x in np.argwhere(lamp > 1)} == {(y, x) for y in (2, 3, 4) for x in (4, 5, 6)}
    # Where only the lamp is missed, the weighted loss is that much greater; an even weight changes nothing.
    pipeline = build(STARTER)
    told, asked = torch.zeros(1, 4, 8, 16), torch.zeros(1, 4, 8, 16)
    asked[..., 3, 5] = 1.0

    class Blind(torch.nn.Module):
        def forward(self, *_: Any, **__: Any) -> tuple[torch.Tensor]:
            return (told,)

    model = Denoiser(Blind(), pipeline.scheduler, 0.0)
    model.schedule = SimpleNamespace(
        config=SimpleNamespace(prediction_type="epsilon"), add_noise=lambda x, *_: x,
        alphas_cumprod=pipeline.scheduler.alphas_cumprod,
    )  # fmt: skip

    def loss(weight: torch.Tensor | None) -> float:
        return float(model(told, asked, torch.tensor([5]), torch.zeros(1, 3, 4), weight=weight)["loss"])

    even, heavy = loss(torch.full((1, 8, 16), 3.0)), loss(torch.from_numpy(lamp)[None])
    assert loss(None) == pytest.approx(even) and heavy == pytest.approx(even * 8 * 128 / (128 + 7 * 9), rel=1e-5)
