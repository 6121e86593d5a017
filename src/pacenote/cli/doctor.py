"""Say what is installed, what is missing and how to get it. Exit code 1 when something needed is missing."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

EPILOG = "example:\n  pacenote doctor --json doctor.json"
DISK_GIB = 5.0  # a demo run with its environments' caches; a training set of some thousand frames wants as much again
Status = Literal["ok", "missing", "optional"]
MARK: dict[Status, str] = {"ok": "ok     ", "missing": "MISSING", "optional": "absent "}


@dataclass(frozen=True)
class Finding:
    """One line of the report. `mend` says how to get what is missing; "optional" is absent but not needed."""

    name: str
    status: Status
    detail: str
    mend: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the findings here")


def run(args: argparse.Namespace) -> int:
    from pacenote.work.files import write_json

    findings = list(examine())
    for finding in findings:
        mend = f"\n{'':27}{finding.mend}" if finding.mend else ""
        print(f"{MARK[finding.status]}  {finding.name:16}  {finding.detail}{mend}")
    if args.json:
        write_json(args.json, findings)
    return 1 if any(finding.status == "missing" for finding in findings) else 0


def examine() -> Iterator[Finding]:
    """All findings, in order; a check that fails unexpectedly is itself a finding."""
    for check in CHECKS:
        try:
            yield from check()
        except Exception as error:  # noqa: BLE001 - a broken installation must not stop its own diagnosis
            line = " ".join(str(error).split())
            yield Finding(check.__name__.strip("_"), "missing", f"{type(error).__name__}: {line}")


def _python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    good = (3, 11) <= sys.version_info[:2] <= (3, 12)
    yield Finding("python", "ok" if good else "missing", version, "" if good else "use Python 3.11 or 3.12")


def _machine() -> Iterator[Finding]:
    from pacenote.work.rundir import machine

    held = machine()
    yield Finding("machine", "ok", f"{held['cpu']}, {held['cores']} cores, {held['memory_gib']} GiB")
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    enough = free >= DISK_GIB
    mend = "" if enough else f"free some: a run wants {DISK_GIB:.0f} GiB"
    yield Finding("disk", "ok" if enough else "missing", f"{free:.1f} GiB free here", mend)


def _cpu() -> Iterator[Finding]:
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        flags = set()
    found = [name for name in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if name in flags]
    fast = "bf16 on the CPU is fast" if {"amx_bf16", "avx512_bf16"} & flags else "no bf16 units: use float32 on the CPU"
    yield Finding("cpu features", "ok", f"{', '.join(found) or 'none of AMX, AVX-512, AVX2'}; {fast}")


def _gpu() -> Iterator[Finding]:
    tool = shutil.which("nvidia-smi")
    names = []
    if tool:
        query = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"]
        names = subprocess.run(query, capture_output=True, text=True, timeout=20).stdout.strip().splitlines()
    if names:
        yield Finding("gpu", "ok", "; ".join(names))
    else:
        yield Finding("gpu", "optional", "none; everything runs on the CPU")


def _packages() -> Iterator[Finding]:
    wanted = {
        "models": ("torch", "transformers", "tokenizers", "safetensors"),
        "train": ("accelerate", "peft", "tensorboard"),
        "": ("numpy", "pillow", "opencv-python-headless", "datasets", "pyarrow", "matplotlib"),
    }
    for extra, names in wanted.items():
        have, lack = [], []
        for name in names:
            try:
                have.append(f"{name} {metadata.version(name)}")
            except metadata.PackageNotFoundError:
                lack.append(name)
        target = f"pacenote[{extra}]" if extra else "pacenote"
        label = f"packages {extra}".strip()
        if lack:
            yield Finding(label, "missing", ", ".join(lack), f"pip install '{target}' -c constraints.txt")
        else:
            yield Finding(label, "ok", ", ".join(have))
    try:
        yield Finding("ray", "ok", metadata.version("ray"))
    except metadata.PackageNotFoundError:
        yield Finding("ray", "optional", "needed for --ray ADDRESS only", "pip install 'pacenote[ray]'")


def _sumo() -> Iterator[Finding]:
    from pacenote.errors import PacenoteError
    from pacenote.scenes.sumo import home

    try:
        root = home()
    except PacenoteError as error:
        yield Finding("sumo", "missing", str(error))
        return
    binary = root / "bin" / "sumo"
    found = str(binary) if binary.is_file() else shutil.which("sumo")
    if found is None:
        yield Finding("sumo", "missing", "SUMO_HOME is set but has no bin/sumo", "pip install eclipse-sumo sumolib")
        return
    said = subprocess.run(
        [found, "--version"], capture_output=True, text=True, timeout=60, env=os.environ | {"SUMO_HOME": str(root)}
    )
    if said.returncode:
        line = (said.stderr.strip().splitlines() or ["no message"])[-1]
        yield Finding("sumo", "missing", f"it does not start: {line}", "make setup installs what it links to")
    else:
        yield Finding("sumo", "ok", said.stdout.splitlines()[0])


def _blender() -> Iterator[Finding]:
    from pacenote.errors import PacenoteError
    from pacenote.render.worker import find_blender

    try:
        program = find_blender()[0]
    except PacenoteError as error:
        yield Finding("blender", "missing", str(error))
        return
    is_python = "python" in Path(program).name
    ask = ["-c", "import bpy; print('bpy', bpy.app.version_string)"] if is_python else ["--version"]
    said = subprocess.run(
        [program, *ask], capture_output=True, text=True, timeout=120, env=os.environ | {"PYTHONPATH": ""}
    )
    if said.returncode:
        line = (said.stderr.strip().splitlines() or ["no message"])[-1]
        yield Finding("blender", "missing", f"{program} does not start: {line}", "make setup installs what it links to")
        return
    version = next(
        (line for line in said.stdout.splitlines() if line.startswith(("bpy", "Blender"))), "unknown version"
    )
    yield Finding("blender", "ok", f"{version} ({program})")


def _video() -> Iterator[Finding]:
    try:
        version = metadata.version("av")
        import av.codec
    except ImportError as error:
        yield Finding("video (PyAV)", "missing", str(error), "pip install av")
        return
    encoders = [name for name in ("libx264", "libopenh264", "mpeg4") if name in av.codec.codecs_available]
    yield Finding("video (PyAV)", "ok", f"{version}, encodes {', '.join(encoders)}")
    tool = shutil.which("ffmpeg")
    detail = "on PATH" if tool else "not on PATH, and not needed: PyAV brings its own"
    yield Finding("ffmpeg", "ok" if tool else "optional", detail)


def _shipped() -> Iterator[Finding]:
    from pacenote.models import shipped

    models = shipped.names()
    for name in ("starter-teacher", "starter-student", "starter-distilled", "starter-distilled-int4"):
        have = name in models
        size = sum(p.stat().st_size for p in (shipped.ROOT / name).rglob("*") if p.is_file()) / 2**20 if have else 0.0
        detail = f"{size:.1f} MiB" if have else "not in this installation"
        mend = "" if have else "install a release, or train it: see recipes/"
        yield Finding(name, "ok" if have else "missing", detail, mend)
    cards = sorted(p.parent.name for p in shipped.ROOT.glob("*/dataset.json"))
    have = "streets-test" in cards
    mend = "" if have else "install a release, or render it: see recipes/"
    yield Finding("streets-test", "ok" if have else "missing", "here" if have else "not in this installation", mend)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    _python, _machine, _cpu, _gpu, _packages, _sumo, _blender, _video, _shipped,
)  # fmt: skip
