"""Which layers are quantized: the linear layers inside the language part, with the group size that each takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pacenote.errors import InputError
from pacenote.quantize.settings import GROUPS, Scheme

if TYPE_CHECKING:
    from pacenote.models import Family, Model


def linear_layers(model: Model) -> dict[str, Any]:
    """The linear layers to be quantized, by their name inside the language part."""
    import torch

    found = {
        name: module
        for name, module in model.family.language(model.model).named_modules()
        if isinstance(module, torch.nn.Linear) and name.rpartition(".")[2] in model.family.linear
    }
    if not found:
        raise InputError(f"{model.name}: its language part has no linear layers of the names {model.family.linear}")
    return found


def group_sizes(layers: dict[str, Any], most: int) -> dict[str, int]:
    """By kind of layer (`q_proj`, ...), the largest group of GROUPS up to `most` that divides its width in all blocks.

    Raises InputError naming the layer where none does.
    """
    sizes: dict[str, int] = {}
    for name, layer in layers.items():
        kind = name.rpartition(".")[2]
        fitting = [size for size in GROUPS if size <= most and layer.in_features % size == 0]
        if not fitting:
            tried = ", ".join(str(size) for size in GROUPS if size <= most)
            raise InputError(
                f"{name}: its {layer.in_features} inputs are divided by no group size of {tried}; use --scheme W8A16"
            )
        sizes[kind] = min(sizes.get(kind, most), fitting[0])
    return sizes


def config_groups(family: Family, sizes: dict[str, int], scheme: Scheme) -> tuple[dict[str, Any], dict[str, str]]:
    """compressed-tensors' groups for the language part alone, a group a size, and for each of their targets the one
    that names the same layers in the whole model."""
    groups: dict[str, Any] = {}
    whole: dict[str, str] = {}
    root = family.backbone.rpartition(".")[2]
    for number, size in enumerate(sorted(set(sizes.values()), reverse=True)):
        kinds = "|".join(kind for kind in family.linear if sizes.get(kind) == size)
        target = rf"re:.*\.({kinds})$"
        whole[target] = rf"re:.*{root}\..*\.({kinds})$"
        groups[f"group_{number}"] = {
            "targets": [target], "weights": scheme.args(size), "input_activations": scheme.inputs(),
        }  # fmt: skip
    return groups, whole


def ignored(family: Family) -> list[str]:
    """Regular expressions of what stays as it is. Names would not do: a checkpoint's differ from a loaded model's, and
    a reader that finds them nowhere takes the layers for quantized ones that lack their weights."""
    parts = [prefix for part in ("vision", "projector") for prefix in family.prefixes[part]]
    names = {prefix.removeprefix("model.").partition(".")[0] for prefix in parts}
    return [rf"re:.*{name}\..*" for name in sorted(names)] + ["re:.*lm_head$"]
