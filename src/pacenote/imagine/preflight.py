"""What can be known of a painter and its LoRA from configuration files alone: no weight is read."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pacenote.advisory import CROSSROADS, OBSTACLES, Advisory, Light
from pacenote.errors import InputError
from pacenote.imagine.encode import check_lengths, encoding_of
from pacenote.imagine.lora import PaintLora, adapt
from pacenote.imagine.spec import Spec
from pacenote.training.preflight import GIB, StageReport
from pacenote.work import read_json

if TYPE_CHECKING:
    from pacenote.imagine.encode import Encoding

PARTS = ("unet", "vae", "text_encoder", "text_encoder_2")
HALF = 2  # bytes of a frozen weight in bfloat16, as it is held on a GPU


def check_painter(
    name: str, options: PaintLora, report: StageReport, size: tuple[int, int] | None = None, *, negatives: bool = False
) -> None:
    """Fill `report`: the kind of pipeline, the LoRA on its UNet, the longest prompt (with `negatives` the longest of
    them, too), the size of pictures (width, height), memory of weights and adapter. Raises InputError where there is no
    such painter."""
    root = _configs(name)
    index = read_json(root / "model_index.json")
    encoding = encoding_of(str(index.get("_class_name")), name)
    found = {part: _empty(index[part], root / part) for part in PARTS if (root / part / "config.json").is_file()}
    if "unet" not in found or "vae" not in found:
        raise InputError(f"{name}: has no configuration of a {'vae' if 'unet' in found else 'unet'}; fetch it whole")
    numbers = {part: sum(p.numel() for p in model.parameters()) for part, model in found.items()}
    adapt(SimpleNamespace(unet=found["unet"]), options)
    trained = sum(p.numel() for p in found["unet"].parameters() if p.requires_grad)
    report.parameters = {**numbers, "trained": trained}
    report.steps = options.steps
    adapter = 16 * trained  # float32: itself, its gradient, two moments
    memory = {"weights": HALF * sum(numbers.values()), "adapter": adapter}
    report.memory_gib = {part: round(value / GIB, 3) for part, value in memory.items()}
    report.warn("memory of activations is not estimated: it depends on diffusers' attention kernels")
    _check_size(size or encoding.size, 2 ** (len(found["vae"].config.block_out_channels) - 1), report)
    _check_longest(
        root, index, encoding, name, report, [longest_prompt(), *([longest_negative()] if negatives else [])]
    )


def longest_prompt() -> str:
    """A prompt that names everything: what a text encoder must read to its end."""
    light = Light("yellow", "straight", "toll", ("green", "right"))
    everything = Advisory(60, light, frozenset(OBSTACLES), frozenset(CROSSROADS))
    return Spec(everything, "overcast", "night", "residential", "several cars ahead").prompt()


def longest_negative() -> str:
    """What must not be there in a scene that holds nothing."""
    return Spec(Advisory(60, Light("none"), frozenset(), frozenset())).negative()


def _check_size(size: tuple[int, int], step: int, report: StageReport) -> None:
    if any(length % step for length in size):
        report.fault(f"pictures of {size[0]}x{size[1]} px: width and height must be multiples of {step}")


def _check_longest(
    root: Path, index: dict[str, Any], encoding: Encoding, name: str, report: StageReport, texts: list[str]
) -> None:
    held = {
        part: _class(index[part]).from_pretrained(root / part)
        for part in ("tokenizer", "tokenizer_2")
        if (root / part).is_dir() and index.get(part)
    }
    if not held:
        report.warn("lengths of prompts are not checked: no tokenizer lies beside the configurations")
        return
    try:
        check_lengths(SimpleNamespace(**held), encoding, texts, name)
    except InputError as error:
        report.fault(str(error))
    report.preview = texts[0]


def _configs(name: str) -> Path:
    """The directory of a painter; of a hub id its configuration files and tokenizers are fetched, no weights."""
    root = Path(name).expanduser()
    if root.is_dir():
        if not (root / "model_index.json").is_file():
            raise InputError(f"{name}: has no model_index.json; give the directory of a diffusers pipeline")
        return root
    from huggingface_hub import snapshot_download

    try:
        patterns = ["*.json", "*.txt", "tokenizer*/*"]
        return Path(snapshot_download(name, allow_patterns=patterns))
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{name}: is no directory, and cannot be fetched ({reason})") from None


def _class(entry: list[str]) -> Any:
    """The class that model_index.json names as [library, class]; pipelines bring some of their own."""
    import importlib

    library, name = entry
    place = library if library in ("diffusers", "transformers") else f"diffusers.pipelines.{library}"
    return getattr(importlib.import_module(place), name)


def _empty(entry: list[str], folder: Path) -> Any:
    """The module of a component without its weights (on torch's meta device)."""
    import torch

    kind = _class(entry)
    with torch.device("meta"):
        if hasattr(kind, "load_config"):  # of diffusers
            return kind.from_config(kind.load_config(folder))
        given = {"empty_init": False} if "empty_init" in inspect.signature(kind).parameters else {}
        return kind(kind.config_class.from_pretrained(folder), **given)
