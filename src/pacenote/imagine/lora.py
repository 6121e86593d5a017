"""A low-rank adapter on a painter's UNet: put on, trained, saved in the form that diffusers loads, merged.

After diffusers' example script for SDXL (train_text_to_image_lora_sdxl): cross and self attention are adapted, text
embeddings and latents are made beforehand, the loss is weighted by min-SNR, the saved weights are their average over
the last steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.errors import InputError, PacenoteError
from pacenote.imagine.encode import Encoding
from pacenote.imagine.latents import PairStream, collate_pairs, encode_pairs
from pacenote.work import atomic, read_json, write_json
from pacenote.work.files import remove

if TYPE_CHECKING:
    from pacenote.imagine.pairs import Pair

WEIGHTS = "pytorch_lora_weights.safetensors"
FIGURES = "training.json"
ADAPTER = "default"
TOLERANCE = 2e-3  # of the noise that a merged UNet predicts


@dataclass(frozen=True)
class PaintLora:
    """`steps` optimizer steps of `batch * accumulate` pairs. `ema`: how slowly the average follows (0 = none). `drop`:
    share of captions left out, for guidance. `shares` of the groups of pairs; empty: all pairs are one heap.
    snr_gamma: see `gamma_of`."""

    rank: int = 16
    alpha: int = 16
    targets: tuple[str, ...] = ("to_k", "to_q", "to_v", "to_out.0")
    lr: float = 1e-4
    steps: int = 500
    batch: int = 1
    accumulate: int = 4
    warmup: float = 0.05
    snr_gamma: float = 5.0
    ema: float = 0.98
    drop: float = 0.1
    shares: tuple[float, ...] = ()
    seed: int = 0


def adapt(pipeline: Any, options: PaintLora, start: Path | None = None) -> None:
    """Put a fresh LoRA on the UNet, or the one saved in `start`, so that it alone learns.

    Raises InputError where no layer has one of the target names.
    """
    import torch
    from diffusers.training_utils import cast_training_params
    from peft import LoraConfig

    unet = pipeline.unet
    unet.requires_grad_(False)
    if start is not None:
        load_lora(pipeline, start)
    else:
        config = LoraConfig(
            r=options.rank, lora_alpha=options.alpha, target_modules=list(options.targets), init_lora_weights="gaussian"
        )
        torch.manual_seed(options.seed)
        try:
            unet.add_adapter(config, ADAPTER)
        except ValueError as error:
            reason = str(error).splitlines()[0][:120]
            raise InputError(f"lora: targets {', '.join(options.targets)}: no such layers ({reason})") from None
    for name, parameter in unet.named_parameters():
        parameter.requires_grad_("lora_" in name)
    cast_training_params(unet, torch.float32)


def gamma_of(schedule: Any, options: PaintLora) -> float:
    """The gamma of min-SNR; 0, all steps alike, where the last one has no signal. It weighs nothing there otherwise,
    and what is in the picture is decided there."""
    return 0.0 if schedule.config.get("rescale_betas_zero_snr") else options.snr_gamma


def train_lora(
    pipeline: Any,
    encoding: Encoding,
    groups: Sequence[Sequence[Pair]],
    out: Path,
    options: PaintLora,
    *,
    size: tuple[int, int],
    name: str,
    base: str,
    start: Path | None = None,
    store: Path | None = None,
    device: str = "auto",
) -> Path:
    """Train a LoRA on groups of pairs and leave it in `out` (the directory that `load_lora` takes); goes on from the
    checkpoints in `out`. The pipeline ends without it. `base`: digest of the pipeline. `store`: where encoded pairs are
    kept.

    Raises InputError on captions that are too long and PacenoteError on latents or a loss that are not finite.
    """
    from diffusers import DDPMScheduler

    from pacenote.imagine.denoise import Denoiser
    from pacenote.training.loop import fit
    from pacenote.training.order import members_among, order_of

    if (out / FIGURES).is_file():
        return out
    groups = [group for group in groups if group]
    place = store or out / "encoded"
    held = [encode_pairs(pipeline, encoding, group, size, name, base, place) for group in groups]
    counts = [len(one) for one in held]
    order = order_of(members_among(counts, range(sum(counts))), options.shares, options.seed)
    schedule = DDPMScheduler.from_config(pipeline.scheduler.config)
    items = options.steps * options.batch * options.accumulate
    stream = PairStream(held, order, items, schedule.config.num_train_timesteps, size, options.drop, options.seed)
    adapt(pipeline, options, start)
    try:
        model = Denoiser(pipeline.unet, schedule, gamma_of(schedule, options), options.ema)
        learning = [p for p in model.parameters() if p.requires_grad]
        with model.averaging():
            metrics = fit(
                model, stream, collate_pairs, out / "checkpoints", steps=options.steps, batch=options.batch,
                accumulate=options.accumulate, groups=[{"part": "lora", "params": learning, "lr": options.lr}],
                warmup=options.warmup, seed=options.seed, device=device, report_to=(),
            )  # fmt: skip
        model.take_average()
        save_lora(pipeline, out)
    finally:
        unload(pipeline)
    write_json(out / FIGURES, {"pairs": counts, "parameters": sum(p.numel() for p in learning), **metrics})
    remove(out / "checkpoints")
    return out


def save_lora(pipeline: Any, out: Path) -> None:
    """Write the adapter on the UNet with diffusers' `save_lora_weights`, under peft's names: in diffusers' own those of
    convolutions stay peft's, and from such a mixture the loader drops the attentions."""
    from peft.utils import get_peft_model_state_dict

    layers = get_peft_model_state_dict(pipeline.unet, adapter_name=ADAPTER)
    about = pipeline.unet.peft_config[ADAPTER].to_dict()  # without it the alpha of the adapter would be lost
    with atomic(out / WEIGHTS) as partial:
        folder = partial.with_suffix(".folder")
        try:
            type(pipeline).save_lora_weights(folder, unet_lora_layers=layers, unet_lora_adapter_metadata=about)
            (folder / WEIGHTS).replace(partial)
        finally:
            remove(folder)


def load_lora(pipeline: Any, path: Path) -> None:
    """Put a saved LoRA on the UNet. Raises InputError where there is none, or none of this painter."""
    if not (path / WEIGHTS).is_file():
        raise InputError(f"{path}: no LoRA in it ({WEIGHTS}); give a directory that a round or a training wrote")
    try:
        pipeline.load_lora_weights(path, adapter_name=ADAPTER)
    except (RuntimeError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{path}: is no LoRA of this painter ({reason})") from None


def unload(pipeline: Any) -> None:
    """Take the LoRA off."""
    if getattr(pipeline.unet, "peft_config", None):
        pipeline.unload_lora_weights()
    pipeline.unet.requires_grad_(False)


def merge_lora(pipeline: Any, path: Path) -> None:
    """Fold a saved LoRA into the UNet's weights. Raises PacenoteError where the merged UNet predicts otherwise: an
    adapter that does nothing after a rename of layers is found here."""
    plain = _probe(pipeline)
    load_lora(pipeline, path)
    adapted = _probe(pipeline)
    pipeline.fuse_lora(adapter_names=[ADAPTER])
    pipeline.unload_lora_weights()
    away = float((_probe(pipeline) - adapted).abs().max() / adapted.abs().max().clamp(min=1e-6))
    if away > TOLERANCE:
        raise PacenoteError(f"{path}: merging it changed what is painted by {away:.3g}; use it unmerged")
    if bool((adapted == plain).all()):
        raise InputError(f"{path}: changes nothing in this painter; its names do not fit or it was never trained")


def _probe(pipeline: Any) -> Any:
    """What the UNet predicts for one fixed input, float32."""
    import torch

    unet = pipeline.unet
    draw = torch.Generator().manual_seed(0)
    rows, columns = (8, 8) if isinstance(unet.config.sample_size, int) else unet.config.sample_size

    def noise(*shape: int) -> Any:
        return torch.randn(shape, generator=draw).to(unet.device, unet.dtype)

    added = None
    if unet.config.addition_embed_type == "text_time":
        ids = noise(1, 6).abs() * 100
        width = int(unet.config.projection_class_embeddings_input_dim) - 6 * int(unet.config.addition_time_embed_dim)
        added = {"text_embeds": noise(1, width), "time_ids": ids}
    cross = unet.config.cross_attention_dim
    if getattr(unet, "encoder_hid_proj", None) is not None:  # Kolors widens ChatGLM's states itself
        cross = unet.config.encoder_hid_dim
    with torch.inference_mode():
        told = unet(
            noise(1, unet.config.in_channels, rows, columns), torch.tensor([500], device=unet.device),
            encoder_hidden_states=noise(1, 5, cross), added_cond_kwargs=added, return_dict=False,
        )  # fmt: skip
    return told[0].float()


def trained(path: Path) -> dict[str, Any]:
    """The figures of a finished LoRA."""
    return dict(read_json(path / FIGURES))
