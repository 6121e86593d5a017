"""How near a call comes to what the machine could do.

The floor of a stage is the time of its matrix products at the rate of large ones, or of reading its weights once a
pass at the rate of memory, whichever is longer. Attention, norms and all between products count nothing: a lower bound.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from pacenote.models import Model

STAGES = ("preprocess", "vision", "prefill", "decode")
SECONDS = 0.15  # that a probe runs, after one run that does not count


@dataclass
class Meter:
    """Sums over the calls of an engine: milliseconds by stage, and the work that was done in them."""

    ms: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    calls: int = 0
    patches: int = 0  # that the vision tower saw
    prompt: int = 0  # tokens of prompts up to the last picture
    passes: int = 0  # of the language part behind it
    drafted: int = 0  # tokens in them

    def clear(self) -> None:
        """Start anew."""
        self.ms = dict.fromkeys(STAGES, 0.0)
        self.calls = self.patches = self.prompt = self.passes = self.drafted = 0

    def stages(self, model: Model) -> dict[str, Any] | None:
        """Milliseconds a call by stage, the floor of those that have one, and the share of it in their time."""
        if not self.calls:
            return None
        floors = {stage: value / self.calls for stage, value in floor_ms(model, self).items()}
        own = {stage: value / self.calls for stage, value in self.ms.items()}
        share = sum(floors.values()) / max(1e-9, sum(own[stage] for stage in floors))
        return {"ms": own, "floor_ms": floors, "floor_share": share, "passes": self.passes / self.calls}


@functools.cache
def machine(device: str, dtype: str) -> tuple[float, float]:
    """Operations of matrix products a second in `dtype` (a multiply-add counts two), and bytes read from memory."""
    import torch

    a, b = (torch.ones(1024, 1024, dtype=getattr(torch, dtype), device=device) for _ in range(2))
    operations = 2 * 1024**3 * _rate(lambda: a @ b, device)
    block = torch.ones(1 << 26, dtype=torch.float32, device=device)  # 256 MiB, more than any cache
    return operations, 4 * block.numel() * _rate(block.sum, device)


def _rate(call: Callable[[], Any], device: str) -> float:
    """Calls a second."""
    import torch

    def wait() -> None:
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    call()
    wait()
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS:
        call()
        wait()
        count += 1
    return count / (time.perf_counter() - start)


def floor_ms(model: Model, meter: Meter) -> dict[str, float]:
    """Least milliseconds by stage for all the work of a meter."""
    operations, memory = machine(str(model.device), str(model.model.dtype).removeprefix("torch."))
    weights: dict[str, tuple[int, int]] = {}
    for name, module in model.model.named_modules():
        count, size = _product(module)
        if count:
            part = model.family.part(f"{name}.weight")
            before = weights.get(part, (0, 0))
            weights[part] = (before[0] + count, before[1] + size)

    def least(part: str, tokens: int, reads: int) -> float:
        count, size = weights.get(part, (0, 0))
        return 1000 * max(2 * count * tokens / operations, size * reads / memory)

    return {
        "vision": least("vision", meter.patches, meter.calls),
        "prefill": least("language", meter.prompt, meter.calls),
        "decode": least("language", meter.drafted, meter.passes),
    }


def _product(module: nn.Module) -> tuple[int, int]:
    """Weights of a layer that multiplies (dense or packed), and the bytes in which they lie."""
    sides: Any = getattr(module, "in_features", 0), getattr(module, "out_features", 0)
    kernel: Any = getattr(module, "weight", None) if hasattr(module, "kernel_size") else None
    count = sides[0] * sides[1] if kernel is None else kernel.numel()
    own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
    return count, sum(tensor.numel() * tensor.element_size() for tensor in own)
