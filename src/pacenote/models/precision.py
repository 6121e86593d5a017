"""In which floating-point type a machine multiplies matrices fast."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from typing import Any

MEMORY_SHARE = 0.25  # of the machine's memory that weights may take in float32


@functools.cache
def fast_bf16(device: str) -> bool:
    """Whether bf16 matrix products are fast on `device`: CUDA from Ampere on, CPUs with AMX or AVX512-BF16."""
    import torch

    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported())
    if device != "cpu":
        return False
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return bool(re.search(r"\b(amx_bf16|avx512_bf16)\b", flags))


def widened(model: Any) -> Any:
    """A bfloat16 `model` in float32 where that is the faster type: on a CPU that has no bfloat16 products, which then
    take several times as long. Quantized models stay as they are, and those whose weights would take more than
    MEMORY_SHARE of the memory."""
    import torch

    if model.device.type != "cpu" or model.dtype != torch.bfloat16 or fast_bf16("cpu"):
        return model
    if getattr(model, "hf_quantizer", None) is not None:
        return model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if 4 * sum(one.numel() for one in model.parameters()) > MEMORY_SHARE * memory:
        return model
    return model.float()
