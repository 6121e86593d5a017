"""Quantized checkpoints: written as compressed-tensors, then loaded again and held against the model in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.errors import PacenoteError

if TYPE_CHECKING:
    from torch import Tensor

    from pacenote.data.sample import Sample
    from pacenote.models import Model

FILE = "quantization.json"
# The largest difference over the largest logit, and the mean difference over the mean logit. Every reader rounds to
# bf16 somewhere: the packed kernels their inputs, compressed-tensors the weights that it unpacks, a bf16 model all it
# computes. A lost layer, a wrong zero point or a wrong scale costs far more.
MOST, MEAN = 0.1, 0.02


def logits(model: Model, samples: Sequence[Sample]) -> list[Tensor]:
    """(n, V) float32 on the CPU for each sample: the logits that predict its answer, through the whole model."""
    import torch

    from pacenote.quantize.calibrate import encoded
    from pacenote.training.batches import answer_rows, collate

    found = []
    with torch.no_grad():
        for sample in samples:
            batch = collate([encoded(model, sample)], model)
            hidden, _, _ = answer_rows(model.model, {name: value.to(model.device) for name, value in batch.items()})
            found.append(model.model.get_output_embeddings()(hidden).float().cpu())
    return found


def write(model: Model, place: Path, targets: dict[str, str], ignore: Sequence[str]) -> dict[str, int]:
    """Write the quantized `model` into `place`; it is packed in memory and of no use afterwards. Returns bytes:
    `linear` of the quantized layers, `linear_bf16` of the same in bf16, `checkpoint` of all weights.

    `targets`: for each target of the groups the one that holds in the whole model.
    """
    import torch

    from pacenote.quantize.compress import quiet
    from pacenote.quantize.layers import linear_layers
    from pacenote.work import read_json, write_json

    sizes = {"linear": 0, "linear_bf16": 0}
    layers = linear_layers(model)
    for layer in layers.values():
        sizes["linear_bf16"] += 2 * (layer.weight.numel() + (0 if layer.bias is None else layer.bias.numel()))
    with quiet():
        from compressed_tensors.compressors import ModelCompressor

        compressor = ModelCompressor.from_pretrained_model(model.model)
        compressor.compress_model(model.model)
        model.save(place, torch.bfloat16 if model.model.dtype == torch.float32 else model.model.dtype)
        compressor.update_config(str(place))
    for layer in layers.values():
        for value in layer.state_dict().values():
            sizes["linear"] += value.numel() * (2 if value.is_floating_point() else value.element_size())
    file = place / "config.json"
    config = read_json(file)
    held = config["quantization_config"]
    for group in held["config_groups"].values():
        group["targets"] = [targets[target] for target in group["targets"]]
    held["ignore"] = list(ignore)
    write_json(file, config)
    sizes["checkpoint"] = sum(path.stat().st_size for path in place.glob("*.safetensors"))
    return sizes


def check(place: Path, device: str, dtype: Any, samples: Sequence[Sample], wanted: Sequence[Tensor]) -> dict[str, Any]:
    """Load `place` by transformers alone and by `pacenote.models.load`; both must give the logits `wanted`.

    Returns the differences by reader, as shares (see MOST and MEAN). Raises PacenoteError naming a key that is missing,
    foreign or newly initialised, a scale that is not finite, or the difference.
    """
    from transformers import AutoModelForImageTextToText

    from pacenote.models import Model, load, packed
    from pacenote.models.vision import install
    from pacenote.quantize.compress import quiet

    _check_scales(place)
    loaded = load(str(place), device, dtype)
    found: dict[str, Any] = {"pacenote": _difference(logits(loaded, samples), wanted)}
    family, processor = loaded.family, loaded.processor
    del loaded
    with quiet():
        stock, info = AutoModelForImageTextToText.from_pretrained(place, dtype=dtype, output_loading_info=True)
        install(stock)
        packed.decompress(stock, dtype)
        for what in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
            if info.get(what):
                raise PacenoteError(f"the saved checkpoint has {what.replace('_', ' ')}: {min(map(str, info[what]))}")
        other = Model(family, stock.to(device).eval(), processor, str(place))
        found["transformers"] = _difference(logits(other, samples), wanted)
    for reader, (most, mean) in found.items():
        if not (most <= MOST and mean <= MEAN):
            raise PacenoteError(
                f"reloaded by {reader}, the checkpoint's logits differ from those in memory by {most:.2g} of the"
                f" largest, {mean:.2g} on the mean (allowed {MOST:g}, {MEAN:g})"
            )
    return {reader: {"most": most, "mean": mean} for reader, (most, mean) in found.items()}


def _difference(told: Sequence[Tensor], wanted: Sequence[Tensor]) -> tuple[float, float]:
    """The largest difference over the largest logit, and the mean difference over the mean one."""
    import torch

    a, b = torch.cat(list(told)), torch.cat(list(wanted))
    return float((a - b).abs().max() / b.abs().max()), float((a - b).abs().mean() / b.abs().mean())


def _check_scales(place: Path) -> None:
    import torch
    from safetensors import safe_open

    for path in sorted(place.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118 - no mapping
                if name.endswith("_scale") and not bool(torch.isfinite(file.get_tensor(name).float()).all()):
                    raise PacenoteError(f"the saved checkpoint has scales that are not finite: {name}")
