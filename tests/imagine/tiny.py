"""Tiny random pipelines of the very classes that diffusers loads for Kolors, SDXL and SD, made without any download."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from pacenote.imagine.starter import StarterOptions

STARTER = StarterOptions(
    size=(64, 32), vae_width=8, vae_blocks=(1, 1, 1), crop=32, vae_steps=8, vae_batch=4, channels=(16, 32),
    attention=(False, True), text_width=32, text_layers=1, read_steps=4, read_batch=4,
    steps=8, batch=4, ema=0.8, strokes=3,
)  # fmt: skip
SIZE = (32, 16)  # width, height px; latents are 16x8
WORDS = (
    "red green light on traffic cones rainy clear city street wet ground caution needed at the upcoming intersection"
)


def unet(**changes: Any) -> Any:
    from diffusers import UNet2DConditionModel

    settings: dict[str, Any] = {
        "block_out_channels": (8, 16), "layers_per_block": 1, "sample_size": (8, 16), "in_channels": 4,
        "out_channels": 4, "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"), "attention_head_dim": (2, 4), "norm_num_groups": 4,
        "cross_attention_dim": 16, "use_linear_projection": True,
    }  # fmt: skip
    return UNet2DConditionModel(**(settings | changes))


def sized(pooled: int, cross: int) -> Any:
    return unet(
        addition_embed_type="text_time", addition_time_embed_dim=8, transformer_layers_per_block=(1, 1),
        projection_class_embeddings_input_dim=6 * 8 + pooled, cross_attention_dim=cross,
    )  # fmt: skip


def parts() -> dict[str, Any]:
    from diffusers import AutoencoderKL, EulerDiscreteScheduler

    vae = AutoencoderKL(
        block_out_channels=[8, 8], down_block_types=["DownEncoderBlock2D"] * 2,
        up_block_types=["UpDecoderBlock2D"] * 2, latent_channels=4, norm_num_groups=4,
    )  # fmt: skip
    schedule = EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, timestep_spacing="leading"
    )
    return {"vae": vae, "scheduler": schedule}


def clip_tokenizer() -> Any:
    from transformers import CLIPTokenizer

    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,:/"
    names = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={name: i for i, name in enumerate(names)}, merges=[], model_max_length=77)


def clip_text(kind: str = "CLIPTextModel") -> Any:
    import transformers

    config = transformers.CLIPTextConfig(
        vocab_size=100, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        projection_dim=16, bos_token_id=80, eos_token_id=81,
    )  # fmt: skip
    return getattr(transformers, kind)(config)


def sd() -> Any:
    from diffusers import StableDiffusionPipeline

    return StableDiffusionPipeline(
        **parts(), unet=unet(), text_encoder=clip_text(), tokenizer=clip_tokenizer(), safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def sdxl() -> Any:
    from diffusers import StableDiffusionXLPipeline

    return StableDiffusionXLPipeline(
        **parts(), unet=sized(16, 32), text_encoder=clip_text(), tokenizer=clip_tokenizer(),
        text_encoder_2=clip_text("CLIPTextModelWithProjection"), tokenizer_2=clip_tokenizer(),
    )  # fmt: skip


def kolors(folder: Path) -> Any:
    """`folder` takes the sentencepiece model that its tokenizer reads."""
    import sentencepiece
    from diffusers import KolorsPipeline
    from diffusers.pipelines.kolors import ChatGLMModel, ChatGLMTokenizer
    from diffusers.pipelines.kolors.text_encoder import ChatGLMConfig

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([WORDS, "abcdefghijklmnopqrstuvwxyz 0 1 2 3 4 5 6 7 8 9 . , : /"] * 5),
        model_writer=model, vocab_size=120, hard_vocab_limit=False, model_type="bpe", minloglevel=2,
    )  # fmt: skip
    file = folder / "tokenizer.model"
    file.write_bytes(model.getvalue())
    tokenizer = ChatGLMTokenizer(str(file))
    config = ChatGLMConfig(
        num_layers=2, padded_vocab_size=tokenizer.vocab_size + 8, hidden_size=8, ffn_hidden_size=24, kv_channels=4,
        num_attention_heads=2, seq_length=256, original_rope=True, add_qkv_bias=True, multi_query_attention=True,
    )  # fmt: skip
    encoder = ChatGLMModel(config, empty_init=False)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return KolorsPipeline(**parts(), unet=sized(8, 8), text_encoder=encoder, tokenizer=tokenizer)


def untrained(folder: Path) -> Path:
    """A starter painter that has learnt nothing, saved in `folder`; its tokenizer knows our words."""
    from pacenote.imagine.painter import Strokes, save_painter
    from pacenote.imagine.starter import build

    save_painter(build(STARTER), Strokes(STARTER.size, 2, 2.0), folder)
    return folder


def few_frames(folder: Path, count: int = 12) -> Path:
    """Every other of the first shipped frames, as training data in `folder`."""
    from pacenote.data import Card, Dataset, DatasetWriter

    with DatasetWriter(folder, Card("few")) as writer:
        for sample in Dataset.open("streets-test", "test").select(range(0, 2 * count, 2)):
            writer.add(sample)
    return folder


def save(kind: str, folder: Path) -> Path:
    """A pipeline of `kind` (sd, sdxl, kolors) with seeded weights, saved in `folder`."""
    from pacenote.imagine.painter import Strokes, save_painter

    torch.manual_seed(7)
    folder.mkdir(parents=True, exist_ok=True)
    pipeline = {"sd": sd, "sdxl": sdxl, "kolors": lambda: kolors(folder)}[kind]()
    save_painter(pipeline, Strokes(SIZE, steps=2, guidance=2.0), folder / kind)
    return folder / kind
