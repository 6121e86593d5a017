"""Peak memory of a run: resident set of this process, or the GPU's where the model is on one."""

import contextlib
import resource
import sys
from pathlib import Path
from typing import Any


def reset_peak(device: str) -> None:
    """Start a new measurement, as far as the system lets us: GPU peaks reset anywhere, the resident peak on Linux."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.reset_peak_memory_stats(device)
        return
    # Where this fails (not Linux, or not permitted) the peak since the process started is reported.
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): 5 resets the peak resident set size ("VmHWM")


def peak_mib(device: str) -> float:
    """Peak since `reset_peak` in MiB, weights included: allocated GPU memory, else the resident set of the process."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024


def weights_mib(module: Any) -> float:
    """Parameters and buffers of a torch module in MiB, as stored."""
    tensors = {t.data_ptr(): t for t in [*module.parameters(), *module.buffers()]}  # tied weights count once
    return sum(t.numel() * t.element_size() for t in tensors.values()) / 2**20
