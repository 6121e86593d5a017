"""The directory that a command fills: what was asked, with which versions and seed, on which machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from pacenote import __version__
from pacenote.errors import InputError
from pacenote.work.files import digest, plain, prepare_out, read_json, write_json

RUN_FILE = "run.json"
PACKAGES = (
    "torch", "transformers", "tokenizers", "safetensors", "peft", "accelerate", "datasets", "pyarrow", "numpy",
    "pillow", "opencv-python-headless", "av", "eclipse-sumo", "sumolib", "matplotlib",
)  # fmt: skip


def versions(also: Sequence[str] = ()) -> dict[str, str | None]:
    """Versions of Pacenote, Python, the packages that shape a result and those of `also`; None where one is not
    installed."""
    found: dict[str, str | None] = {"pacenote": __version__, "python": platform.python_version()}
    for name in (*PACKAGES, *also):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def machine() -> dict[str, Any]:
    """Processor, usable cores, memory in GiB and system: what a speed depends on. No host names or paths."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    except OSError:
        pass  # not Linux
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError):
        memory = None
    return {"cpu": model, "cores": cores, "memory_gib": memory, "system": f"{platform.system()} {platform.machine()}"}


@dataclass(frozen=True)
class RunDirectory:
    """An output directory with `run.json`. Make it with `open`; the same settings resume, others are refused."""

    path: Path
    resumed: bool

    @classmethod
    def open(cls, out: str | Path, kind: str, settings: Any, *, seed: int | None = None) -> RunDirectory:
        """Start or resume a run of `kind` ("train", "run", ...) in `out`.

        settings: plain data or a dataclass, fully resolved; it is saved, and its digest decides whether this is the
        same run. InputError when `out` holds something else.
        """
        path = prepare_out(out, marker=RUN_FILE)
        key = digest([kind, settings, seed])
        if (path / RUN_FILE).exists():
            held = read_json(path / RUN_FILE)
            if held.get("key") != key:
                kind_held = held.get("kind", "foreign")
                raise InputError(f"--out {path} holds a {kind_held} run with other settings; give a new directory")
            return cls(path, resumed=True)
        record = {"kind": kind, "key": key, "seed": seed, "settings": plain(settings)}
        write_json(path / RUN_FILE, record | {"versions": versions(), "machine": machine()})
        return cls(path, resumed=False)

    def record(self) -> dict[str, Any]:
        """What `run.json` holds."""
        return dict(read_json(self.path / RUN_FILE))
