"""SUMO's programs, each run as a subprocess (libsumo leaks and resets incompletely)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from pacenote.errors import PacenoteError


def home() -> Path:
    """The installation: $SUMO_HOME, or the `eclipse-sumo` package of this Python."""
    if os.environ.get("SUMO_HOME"):
        return Path(os.environ["SUMO_HOME"])
    for place in sys.path:
        if (Path(place) / "sumo" / "data").is_dir():
            return Path(place) / "sumo"
    raise PacenoteError("SUMO is not installed; run: pip install eclipse-sumo sumolib (or set SUMO_HOME)")


def run(program: str, *arguments: str | Path, cwd: Path | None = None) -> None:
    """Run netgenerate, netconvert or sumo; PacenoteError with its last error line when it fails."""
    binary = home() / "bin" / program
    found = str(binary) if binary.is_file() else shutil.which(program)
    if found is None:
        raise PacenoteError(f"{program} was not found in {home()}; run: pip install eclipse-sumo")
    done = subprocess.run(
        [found, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, "SUMO_HOME": str(home())},
    )
    if done.returncode != 0:
        said = [line for line in (done.stderr + done.stdout).splitlines() if line.startswith("Error")]
        raise PacenoteError(f"{program} failed: {said[0] if said else f'exit code {done.returncode}'}")


def cache_directory(cache: str | Path | None = None) -> Path:
    """Where networks and simulations are kept: what the caller says, $PACENOTE_CACHE, or the user's cache."""
    if cache is None:
        base = os.environ.get("PACENOTE_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "pacenote"
        cache = base
    path = Path(cache).expanduser()
    path.mkdir(parents=True, exist_ok=True)
    return path
