"""The client of the Blender worker: starts it, feeds it Scenes, recycles it, starts it again when it dies."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from pacenote.errors import InputError, PacenoteError
from pacenote.render.footprints import rasterise
from pacenote.render.passes import Passes
from pacenote.scenes.scene import Scene

INSTALL = (
    "Blender is not there: run `make setup` (installs bpy 5.0.1 into .venv-blender), or put blender >= 4.2 on PATH, "
    "or set PACENOTE_BLENDER to a Python that has bpy or to a blender executable"
)
START_S = 120.0


@dataclass(frozen=True)
class Preset:
    """Cost of a frame. `width`, `height` None: those of the Scene's camera. `bounces`: diffuse bounces; `fast_gi`
    replaces the last one by ambient occlusion of the sky. `denoise`: none, FAST, BALANCED or HIGH."""

    samples: int
    denoise: str = "FAST"
    bounces: int = 1
    fast_gi: bool = True
    width: int | None = None
    height: int | None = None


PRESETS: dict[str, Preset] = {
    "draft": Preset(samples=1, width=448, height=252),
    "demo": Preset(samples=2),
    "quality": Preset(samples=12, denoise="HIGH", bounces=2, fast_gi=False, width=1280, height=720),
}


def find_blender(start: Path | None = None) -> list[str]:
    """The command that runs our start script, up to its arguments. Raises InputError when Blender is not there."""
    script = str(Path(__file__).parent / "blender" / "start.py")
    named = os.environ.get("PACENOTE_BLENDER")
    if named:
        if not (Path(named).is_file() and os.access(named, os.X_OK)):
            raise InputError(f"PACENOTE_BLENDER={named} is not an executable file; {INSTALL}")
        return _command(named, script)
    here = start or Path.cwd()
    roots = [here, *here.parents, *Path(__file__).resolve().parents]
    for root in roots:
        for inside in ("bin/python", "Scripts/python.exe"):
            candidate = root / ".venv-blender" / inside
            if candidate.is_file():
                return _command(str(candidate), script)
    found = shutil.which("blender")
    if found:
        return _command(found, script)
    raise InputError(INSTALL)


def _command(program: str, script: str) -> list[str]:
    if "python" in Path(program).name:
        return [program, "-u", script]
    return [program, "--background", "--factory-startup", "--python", script, "--"]


class Renderer:
    """Renders Scenes in one Blender process of one thread.

    with Renderer() as renderer:
        passes = renderer.render(scene, "demo")

    The process is replaced after `recycle` frames (bpy leaks a little every frame) and when it dies or takes longer
    than `timeout_s` (by default two minutes and what a busy machine needs for the samples). A frame that kills it
    twice raises PacenoteError.
    """

    def __init__(self, recycle: int = 150, timeout_s: float | None = None) -> None:
        self.command = find_blender()
        self.recycle, self.timeout_s = recycle, timeout_s
        self.process: subprocess.Popen[bytes] | None = None
        self.frames = 0
        self.restarts = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._reply = -1
        self._buffer = b""

    def __enter__(self) -> Renderer:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def render(self, scene: Scene, preset: str | Preset = "demo") -> Passes:
        """Passes of one Scene. Raises PacenoteError (one line) when Blender reports an error, InputError for a bad
        asset file."""
        chosen = _preset(preset)
        width, height = chosen.width or scene.camera.width, chosen.height or scene.camera.height
        request = {
            "scene": dataclasses.asdict(scene),
            "preset": {**dataclasses.asdict(chosen), "width": width, "height": height},
        }
        begin = time.perf_counter()
        for attempt in (0, 1):
            try:
                reply, arrays = self._ask(request)
                break
            except _Dead as problem:
                self.close()
                self.restarts += 1
                if attempt:
                    raise PacenoteError(f"Blender died twice on scene {scene.id}: {problem}") from None
        if not reply["ok"]:
            if reply["error"].startswith("asset "):
                raise InputError(reply["error"])
            raise PacenoteError(f"scene {scene.id}: Blender says: {reply['error']}")
        asked = time.perf_counter()
        footprints = rasterise(arrays["triangles"], arrays["owners"], arrays["index"])
        now = time.perf_counter()
        seconds = {
            "total": now - begin, "cycles": reply["cycles_s"], "build": reply["build_s"], "write": reply["write_s"],
            "footprints": now - asked, "rss_mib": reply["rss_mib"], "cpu": reply["cpu_s"],
            "cycles_cpu": reply["cycles_cpu_s"],
        }  # fmt: skip
        return Passes(arrays["linear"].astype(np.float32), arrays["index"], arrays["depth"], footprints, seconds)

    def close(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            if process.stdin:
                with contextlib.suppress(OSError):
                    process.stdin.close()
            try:
                process.wait(timeout=0.2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._reply >= 0:
            os.close(self._reply)
            self._reply = -1
        if self._folder:
            self._folder.cleanup()
            self._folder = None

    # -- the process ----------------------------------------------------------------------------------------------
    def _start(self) -> None:
        fast = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # memory, where there is such a folder
        self._folder = tempfile.TemporaryDirectory(prefix="pacenote-", dir=fast)
        read, write = os.pipe()
        environment = {**os.environ, "PACENOTE_SCRATCH": self._folder.name, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
        self.process = subprocess.Popen(
            [*self.command, str(write)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=(write,),
            env=environment,
        )  # fmt: skip
        os.close(write)
        self._reply, self._buffer, self.frames = read, b"", 0
        try:
            hello = self._read(START_S)
        except _Dead as problem:
            raise PacenoteError(f"Blender does not start ({' '.join(self.command[:1])}): {problem}") from None
        if not hello["ok"]:
            self.close()
            raise PacenoteError(hello["error"])

    def _ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        if self.process is not None and (self.frames >= self.recycle or self.process.poll() is not None):
            self.close()
        if self.process is None:
            self._start()
        assert self.process is not None and self.process.stdin is not None and self._folder is not None
        out = str(Path(self._folder.name) / "passes.npz")
        try:
            self.process.stdin.write((json.dumps({**request, "out": out}) + "\n").encode())
            self.process.stdin.flush()
        except OSError:
            raise _Dead("its input is closed") from None
        asked = request["preset"]
        patience = 120.0 + 40.0 * asked["samples"] * asked["width"] * asked["height"] / 1e6
        reply = self._read(self.timeout_s or patience)
        self.frames += 1
        if not reply["ok"]:
            return reply, {}
        with np.load(out) as file:
            return reply, {name: file[name] for name in file.files}

    def _read(self, timeout_s: float) -> dict[str, Any]:
        end = time.monotonic() + timeout_s
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([self._reply], [], [], max(end - time.monotonic(), 0.0))
            if not ready:
                raise _Dead(f"no answer in {timeout_s:.0f} s")
            part = os.read(self._reply, 65536)
            if not part:
                raise _Dead("it ended")
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\n")
        return json.loads(line)


class _Dead(Exception):
    """The worker ended or does not answer."""


def _preset(preset: str | Preset) -> Preset:
    if isinstance(preset, Preset):
        return preset
    if preset not in PRESETS:
        raise InputError(f"unknown render preset {preset!r}; there are {', '.join(PRESETS)}")
    return PRESETS[preset]
