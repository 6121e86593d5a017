"""What several trainings of the same data need alike: decoded frames, what a teacher sees in fixed views, its tokens.

Each such thing has a directory of its own, named by what it was made from, so that it is made once and never mixed up.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.work.files import digest, disk_full, locked

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Shared:
    """The directory `root` of what trainings share; `data` tells their rows apart."""

    root: Path
    data: Any = None

    @contextmanager
    def place(self, name: str, *key: Any) -> Iterator[Path]:
        """The directory of what is called `name` and made from the data and `key` (plain data); it may be empty or
        half filled. Others who want it wait meanwhile."""
        path = self.root / f"{name}-{digest([self.data, *key])}"
        path.mkdir(parents=True, exist_ok=True)
        with locked(path, wait=True):
            yield path


def stamp(path: Path) -> list[list[Any]]:
    """Names, sizes and times of change of the files under `path`: another content has another stamp, and it costs no
    reading of terabytes. Hidden names do not count; what is not there (a hub id) stands for itself."""
    if not path.exists():
        return [[str(path), 0, 0]]
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    seen = [(file.relative_to(path), file.stat()) for file in files]
    return [
        [name.as_posix(), held.st_size, held.st_mtime_ns]
        for name, held in seen
        if not any(part.startswith(".") for part in name.parts)
    ]


def allocate(path: Path, dtype: Any, shape: tuple[int, ...]) -> np.memmap[Any, np.dtype[Any]]:
    """A new array file (.npy) mapped for writing, its room on the disk taken at once where the system can: written into
    a full disk, a mapped file kills the process without a word. Raises PacenoteError naming `path`."""
    import numpy as np

    array: np.memmap[Any, np.dtype[Any]] = np.lib.format.open_memmap(path, "w+", dtype, shape)
    take = getattr(os, "posix_fallocate", None)
    try:
        with path.open("r+b") as file:
            if take is not None:
                take(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        if full := disk_full(error, path):
            path.unlink()
            raise full from None
    return array
