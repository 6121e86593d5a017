"""What each layer alone costs: the dev loss with that layer rounded to nearest, beside what it is fed.

A layer whose inputs have a few channels far above the rest loses most; the table shows whether that holds here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pacenote.quantize.settings import GROUPS

if TYPE_CHECKING:
    from torch import Tensor

    from pacenote.models import Model
    from pacenote.quantize.calibrate import Row

BITS = (8, 4)


def rounded(weight: Tensor, bits: int, group: int) -> Tensor:
    """`weight` (N, K) rounded to nearest on an asymmetric grid of `bits` bits with a scale for each `group` columns."""
    rows, width = weight.shape
    grouped = weight.detach().float().view(rows, width // group, group)
    low = grouped.amin(-1, keepdim=True).clamp(max=0)
    high = grouped.amax(-1, keepdim=True).clamp(min=0)
    top = 2**bits - 1
    scale = ((high - low) / top).clamp(min=1e-12)
    zero = (-low / scale).round().clamp(0, top)
    values = (grouped / scale + zero).round().clamp(0, top)
    return ((values - zero) * scale).view(rows, width).to(weight.dtype)


def measure(model: Model, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One entry a linear layer: `layer`, `loss_8` and `loss_4` (dev loss with that layer alone in so many bits, minus
    the 16-bit loss), `peak` (largest of the channels' mean |x|), `peak_to_median` of those, and `kurtosis` of x."""
    import torch

    from pacenote.quantize.calibrate import dev_loss
    from pacenote.quantize.layers import linear_layers
    from pacenote.work.progress import progress

    layers = linear_layers(model)
    inputs = activations(model, layers, rows)
    base = dev_loss(model, rows).loss
    found = []
    for name, layer in progress(layers.items(), "layers alone", len(layers)):
        kept = layer.weight.detach().clone()
        entry: dict[str, Any] = {"layer": name}
        group = next((size for size in GROUPS if layer.in_features % size == 0), layer.in_features)
        for bits in BITS:
            with torch.no_grad():
                layer.weight.copy_(rounded(kept, bits, group))
            entry[f"loss_{bits}"] = dev_loss(model, rows).loss - base
        with torch.no_grad():
            layer.weight.copy_(kept)
        found.append(entry | inputs[name])
    return found


def activations(model: Model, layers: dict[str, Any], rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """What each layer is fed over `rows`."""
    import torch

    sums: dict[str, Tensor] = {}  # (4, K): of |x|, x, x^2, x^4
    counts: dict[str, int] = {}

    def hook(name: str) -> Any:
        def add(_: Any, args: tuple[Tensor, ...]) -> None:
            x = args[0].detach().float().flatten(0, -2).double()
            own = torch.stack([x.abs().sum(0), x.sum(0), (x**2).sum(0), (x**4).sum(0)])
            sums[name] = sums[name] + own if name in sums else own
            counts[name] = counts.get(name, 0) + len(x)

        return add

    handles = [layer.register_forward_pre_hook(hook(name)) for name, layer in layers.items()]
    try:
        with torch.no_grad():
            for row in rows:
                model.family.language(model.model)(**row.call)
    finally:
        for handle in handles:
            handle.remove()
    found = {}
    for name, own in sums.items():
        size, square, fourth = own[0] / counts[name], own[2].mean() / counts[name], own[3].mean() / counts[name]
        found[name] = {
            "peak": float(size.max()),
            "peak_to_median": float(size.max() / size.median().clamp(min=1e-12)),
            "kurtosis": float(fourth / square.clamp(min=1e-24) ** 2),
        }
    return found


def table(entries: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows, the most sensitive layer first."""
    rows = [
        [
            entry["layer"], f"{entry['loss_8']:+.5f}", f"{entry['loss_4']:+.5f}", f"{entry['peak']:.2f}",
            f"{entry['peak_to_median']:.1f}", f"{entry['kurtosis']:.1f}",
        ]
        for entry in sorted(entries, key=lambda entry: -entry["loss_4"])
    ]  # fmt: skip
    return ["layer alone", "loss at 8 bits", "loss at 4 bits", "peak of mean |x|", "peak / median", "kurtosis"], rows
