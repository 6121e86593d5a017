"""A small painter trained from scratch on rendered streets: the embedded default, where no published one can be had.

It is a `StableDiffusionPipeline` like any other: an AutoencoderTiny, a UNet2DConditionModel with cross attention and a
CLIPTextModel over Pacenote's own tokenizer. The autoencoder learns first, from crops, and the text encoder to read;
then UNet and text encoder learn together, through the loop that also trains LoRAs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.advisory import CROSSROADS, LIGHT_STATES, MOVEMENTS, OBSTACLES, PLACES, SPEEDS, Advisory, Light
from pacenote.data import Dataset
from pacenote.data.classes import CLASS_INDEX
from pacenote.errors import InputError
from pacenote.imagine.latents import PairStream, captions_of, collate_pairs, encode_pairs
from pacenote.imagine.painter import Strokes, save_painter
from pacenote.imagine.pairs import Pair, read_pairs
from pacenote.imagine.spec import ROAD, TIME, VEHICLES, WEATHER, Spec
from pacenote.work import RunDirectory, digest, say, write_json

if TYPE_CHECKING:
    import numpy as np

    from pacenote.training.frames import Frames

TOKENS = 77
HEAD = 32  # width of a head of attention
SMALL = (
    "light_red", "light_yellow", "light_green", "light_off", "cone", "barrier", "debris", "pedestrian", "animal",
    "zebra",
)  # fmt: skip
HEAVY = 8.0  # weight of a pixel of SMALL in the losses: a lamp is nine pixels of 28,672


@dataclass(frozen=True)
class StarterOptions:
    """Sizes and lengths. `size` (width, height) px, divisible by 32. `vae_*` of the autoencoder, `vae_blocks` at each
    size from the whole one down by halves; crops of `crop` px;
    `read_*` of the text encoder by itself; then the UNet's. How long the defaults take: docs/imagine.md."""

    size: tuple[int, int] = (224, 128)
    vae_width: int = 32
    vae_blocks: tuple[int, ...] = (1, 2, 2)
    latents: int = 4
    crop: int = 96
    vae_steps: int = 4500
    vae_batch: int = 2
    vae_lr: float = 1.5e-3
    channels: tuple[int, ...] = (32, 64, 128, 192)
    attention: tuple[bool, ...] = (False, False, True, True)
    layers: int = 1
    text_width: int = 192
    text_layers: int = 3
    read_steps: int = 600
    read_batch: int = 48
    read_lr: float = 1e-3
    steps: int = 6000
    batch: int = 8
    lr: float = 7e-4
    ema: float = 0.999
    drop: float = 0.1
    strokes: int = 25
    guidance: float = 3.0
    seed: int = 0


def train_starter(data: Sequence[str], out: Path, options: StarterOptions, device: str = "auto") -> Path:
    """Train a painter on the labelled frames of `data` (split train); it is left in `out/painter`. Resumes.

    Raises InputError where a Dataset has no frame whose facts are all known.
    """
    if any(side % 32 for side in options.size):
        raise InputError(f"size {options.size[0]}x{options.size[1]}: give sides that 32 divides")
    pairs = [pair for name in data for pair in read_pairs(name, "train")]
    key = digest([[pair.id, pair.caption] for pair in pairs])
    run = RunDirectory.open(out, "starter painter", {"options": options, "pairs": key}, seed=options.seed)
    painter = run.path / "painter"
    if painter.is_dir():
        return painter
    pipeline = build(options)
    frames = _frames(data, run.path, options)
    vae = _train_vae(pipeline.vae, frames, run.path, options, device)
    reading = _train_text(pipeline, run.path, options, device)
    unet = _train_unet(pipeline, pairs, frames, run.path, options, device)
    write_json(run.path / "training.json", {"pairs": len(pairs), "vae": vae, "reading": reading, "unet": unet})
    save_painter(pipeline, Strokes(options.size, options.strokes, options.guidance), painter)
    return painter


def build(options: StarterOptions) -> Any:
    """The untrained pipeline, a function of the options."""
    import torch
    from diffusers import AutoencoderTiny, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    from pacenote.models.tokenizer import train_tokenizer

    torch.manual_seed(options.seed)
    tokenizer = train_tokenizer((spec.prompt() for spec in grammar()), 512)
    tokenizer.padding_side, tokenizer.model_max_length = "right", TOKENS
    text = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=options.text_width, intermediate_size=2 * options.text_width,
        num_hidden_layers=options.text_layers, num_attention_heads=options.text_width // HEAD,
        max_position_embeddings=TOKENS, bos_token_id=None, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    stages = len(options.vae_blocks)
    # No group norms: one of AutoencoderKL's kind was still twice as far off after as many minutes (docs/imagine.md).
    vae = AutoencoderTiny(
        encoder_block_out_channels=(options.vae_width,) * stages, num_encoder_blocks=options.vae_blocks,
        decoder_block_out_channels=(options.vae_width,) * stages, num_decoder_blocks=options.vae_blocks[::-1],
        latent_channels=options.latents,
    )  # fmt: skip
    shrink = 2 ** (stages - 1)
    unet = UNet2DConditionModel(
        sample_size=(options.size[1] // shrink, options.size[0] // shrink), in_channels=options.latents,
        out_channels=options.latents, block_out_channels=options.channels, layers_per_block=options.layers,
        down_block_types=[f"{'CrossAttn' if on else ''}DownBlock2D" for on in options.attention],
        up_block_types=[f"{'CrossAttn' if on else ''}UpBlock2D" for on in reversed(options.attention)],
        # By a mistake that diffusers keeps for old configurations, this is how many heads there are, not how wide.
        attention_head_dim=tuple(max(1, width // HEAD) for width in options.channels), norm_num_groups=16,
        cross_attention_dim=options.text_width, use_linear_projection=True,
    )  # fmt: skip
    # Velocities and no signal at the last step (Lin et al. 2024, arXiv:2305.08891): else no night is dark.
    schedule = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type="v_prediction",
        rescale_betas_zero_snr=True, timestep_spacing="trailing", clip_sample=False, steps_offset=1,
    )  # fmt: skip
    return StableDiffusionPipeline(
        vae=vae, unet=unet, text_encoder=CLIPTextModel(text), tokenizer=tokenizer, scheduler=schedule,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def grammar(count: int = 4000) -> Iterator[Spec]:
    """Specs with every word that a caption can say, for the tokenizer and for reading."""
    import numpy as np

    rng = np.random.default_rng(0)

    def some(kinds: Sequence[str]) -> frozenset[str]:
        return frozenset(kind for kind in kinds if rng.random() < 0.3)

    def one(values: Sequence[Any]) -> Any:
        return values[int(rng.integers(len(values)))]

    for _ in range(count):
        state, second = one(LIGHT_STATES), one([None, (one(LIGHT_STATES[1:]), one(MOVEMENTS[1:]))])
        light = Light("none") if state == "none" else Light(state, one(MOVEMENTS), one(PLACES), second)
        advisory = Advisory(one(SPEEDS), light, some(OBSTACLES), some(CROSSROADS))
        traffic = f"{one(['a', 'several'])} {one(VEHICLES)} ahead, {one(['oncoming traffic', 'parked cars'])}"
        yield Spec(advisory, one([*WEATHER]), one([*TIME]), one([*ROAD]), traffic)


def _frames(data: Sequence[str], out: Path, options: StarterOptions) -> Frames:
    from pacenote.training.frames import decode

    held = [Dataset.open(name, "train") for name in data]
    samples = (sample for dataset in held for sample in dataset)
    return decode(samples, sum(map(len, held)), out / "frames", options.size)


# --- the autoencoder ---------------------------------------------------------------------------------------------


class _Crops:
    """Item k: a random crop (3, crop, crop) in -1..1 of a random frame, and its pixels' weights (1, crop, crop)."""

    def __init__(self, frames: Frames, options: StarterOptions) -> None:
        self.frames, self.options = frames, options

    def __len__(self) -> int:
        return self.options.vae_steps * self.options.vae_batch

    def __getitem__(self, k: int) -> dict[str, Any]:
        import numpy as np
        import torch

        rng = np.random.default_rng([self.options.seed, k, 0xC209])
        crop, index = self.options.crop, int(rng.integers(len(self.frames)))
        height, width = self.frames.images.shape[1:3]
        y, x = int(rng.integers(height - crop + 1)), int(rng.integers(width - crop + 1))
        part = np.s_[index, y : y + crop, x : x + crop]
        pixels = np.array(self.frames.images[part], np.float32).transpose(2, 0, 1) / 127.5 - 1
        small = _small(self.frames.maps[part]) & self.frames.has_map[index]
        weight = np.where(small, HEAVY, 1.0).astype(np.float32)[None]
        return {"pixels": torch.from_numpy(pixels), "weight": torch.from_numpy(weight)}


def _small(classes: np.ndarray) -> np.ndarray:
    """Where a class map, or a part of one, shows one of SMALL: bool, of its shape."""
    import numpy as np

    return np.isin(classes, [CLASS_INDEX[name] for name in SMALL])


def _collate_crops(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    import torch

    return {name: torch.stack([item[name] for item in items]) for name in ("pixels", "weight")}


def _train_vae(vae: Any, frames: Frames, out: Path, options: StarterOptions, device: str) -> dict[str, Any]:
    """Train in place, and set the scale that brings latents to variance 1; returns its figures."""
    import torch

    from pacenote.imagine.denoise import Reconstruction, latents_of
    from pacenote.training.loop import fit

    model = Reconstruction(vae)
    metrics = fit(
        model, _Crops(frames, options), _collate_crops, out / "vae", steps=options.vae_steps, batch=options.vae_batch,
        groups=[{"part": "vae", "params": list(vae.parameters()), "lr": options.vae_lr}], warmup=0.05,
        seed=options.seed, device=device, report_to=(),
    )  # fmt: skip
    vae.eval().requires_grad_(False)
    some = range(0, len(frames), max(1, len(frames) // 128))
    with torch.inference_mode():
        pixels = [torch.from_numpy(_whole(frames, index)).to(vae.device) for index in some]
        found = torch.cat([latents_of(vae, one[None]) for one in pixels])
        away = torch.cat(
            [(vae.decode(z[None]).sample - x).abs().mean()[None] for z, x in zip(found, pixels, strict=True)]
        )
    vae.register_to_config(scaling_factor=float(1 / found.std()))
    say(f"autoencoder: {127.5 * float(away.mean()):.1f} levels of 255 off")
    return {**metrics, "levels_off": 127.5 * float(away.mean()), "scaling_factor": float(1 / found.std())}


def _whole(frames: Frames, index: int) -> np.ndarray:
    import numpy as np

    return np.array(frames.images[index], np.float32).transpose(2, 0, 1) / 127.5 - 1


# --- text encoder, then UNet with it -----------------------------------------------------------------------------


def _train_text(pipeline: Any, out: Path, options: StarterOptions, device: str) -> dict[str, Any]:
    """Teach the text encoder in place to read; returns its figures."""
    from pacenote.imagine.reading import learn_to_read

    specs = list(grammar())
    ids = _ids(pipeline.tokenizer, [spec.prompt() for spec in specs])
    metrics = learn_to_read(
        pipeline.text_encoder, specs, ids, out / "reading", steps=options.read_steps, batch=options.read_batch,
        lr=options.read_lr, seed=options.seed, device=device,
    )  # fmt: skip
    say(f"text encoder: {metrics['read']:.2f} of other captions are read without a mistake")
    return metrics


def _train_unet(
    pipeline: Any, pairs: Sequence[Pair], frames: Frames, out: Path, options: StarterOptions, device: str
) -> dict[str, Any]:
    """Train UNet and text encoder in place; their averages remain. Returns its figures."""
    from diffusers import DDPMScheduler

    from pacenote.imagine.denoise import Denoiser
    from pacenote.imagine.encode import encoding_of
    from pacenote.training.loop import fit
    from pacenote.training.order import order_of

    encoding = encoding_of(type(pipeline).__name__, "starter")
    held = encode_pairs(pipeline, encoding, pairs, options.size, "starter", digest(options), out / "encoded")
    weights = _weights(pairs, frames, held.latents.shape[2:])
    held = dataclasses.replace(held, texts=_ids(pipeline.tokenizer, captions_of(pairs)), weights=weights)
    schedule = DDPMScheduler.from_config(pipeline.scheduler.config)
    order = order_of([range(len(held))], (), options.seed)
    items = options.steps * options.batch
    stream = PairStream(
        [held], order, items, schedule.config.num_train_timesteps, options.size, options.drop, options.seed
    )
    # Every step counts alike: min-SNR would give a step without signal, the one that sets day or night, no weight.
    model = Denoiser(pipeline.unet, schedule, 0.0, options.ema, pipeline.text_encoder)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    with model.averaging():
        metrics = fit(
            model, stream, collate_pairs, out / "unet", steps=options.steps, batch=options.batch,
            groups=[{"part": "unet", "params": learning, "lr": options.lr}], warmup=0.02, seed=options.seed,
            device=device, report_to=(),
        )  # fmt: skip
    model.take_average()
    model.eval().requires_grad_(False)
    return {**metrics, "parameters": sum(parameter.numel() for parameter in learning)}


def _weights(pairs: Sequence[Pair], frames: Frames, shape: tuple[int, ...]) -> np.ndarray:
    """(pairs, h, w) of the latents: HEAVY where a place or its neighbour shows something of SMALL, else 1.

    By the picture's mean error a lamp is worth a thousandth, and a UNet leaves it out.
    """
    import cv2
    import numpy as np

    rows = {record.id: index for index, record in enumerate(frames.records)}
    found = np.ones((len(pairs), *shape), np.float32)
    for place, pair in enumerate(pairs):
        row = rows[pair.id]
        small = _small(frames.maps[row]) & frames.has_map[row]
        cells = small.reshape(shape[0], small.shape[0] // shape[0], shape[1], small.shape[1] // shape[1]).any((1, 3))
        found[place][cv2.dilate(cells.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0] = HEAVY
    return found


def _ids(tokenizer: Any, captions: Sequence[str]) -> np.ndarray:
    """(captions, TOKENS) int64, as the pipeline pads them."""
    import numpy as np

    rows = tokenizer(list(captions), padding="max_length", max_length=TOKENS, truncation=False)["input_ids"]
    return np.array(rows, np.int64)
