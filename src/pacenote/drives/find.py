"""Which drives lie under a path, and opening one: the registry of readers."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, cast

from pacenote.drives.drive import Drive, DriveRef
from pacenote.errors import InputError

# The particular before the general: what an earlier reader claims, a later one leaves alone.
FORMATS = ("nuscenes", "comma2k19", "bdd100k", "rosbag", "mcap", "video", "images")


class Reader(Protocol):
    """A module of `drives/readers`."""

    WANTED: str  # what it looks for, in words

    def find(self, path: Path) -> list[DriveRef]:
        """The drives of this format at or under `path`; the `path` of a reference claims all that lies under it."""

    def open(self, ref: DriveRef) -> Drive:
        """The drive. Raises InputError for a file that cannot be read."""


def reader(format: str) -> Reader:
    """The reader of one of FORMATS. Raises InputError for another."""
    if format not in FORMATS:
        raise InputError(f"'{format}' is no format of drives; known: {', '.join(FORMATS)}")
    return cast(Reader, importlib.import_module(f"pacenote.drives.readers.{format}"))


def find_drives(path: str | Path) -> list[DriveRef]:
    """All drives at or under `path`, by format and name. Raises InputError where there is none."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; check the path")
    found: list[DriveRef] = []
    claimed: set[Path] = set()
    for format in FORMATS:
        fresh = [ref for ref in reader(format).find(path) if not _claimed(ref.path, claimed)]
        found += fresh
        claimed |= {ref.path for ref in fresh}
        if path in claimed:
            break
    if not found:
        wanted = "; ".join(f"{format}: {reader(format).WANTED}" for format in FORMATS)
        raise InputError(f"{path}: no drive here; looked for {wanted}")
    return found


def _claimed(path: Path, claimed: set[Path]) -> bool:
    return path in claimed or any(parent in claimed for parent in path.parents)


def pick_drive(refs: Sequence[DriveRef], name: str | None, options: Mapping[str, str] | None = None) -> DriveRef:
    """The drive called `name`, or the only one, with `options` added to its own. Raises InputError naming some."""
    known = ", ".join(ref.name for ref in refs[:5]) + (f", ... ({len(refs)} in all)" if len(refs) > 5 else "")
    if name is None and len(refs) > 1:
        raise InputError(f"{refs[0].path}: several drives; pick one by name: {known}")
    for ref in refs:
        if name in (None, ref.name):
            return replace(ref, options={**ref.options, **(options or {})})
    raise InputError(f"{refs[0].path}: no drive '{name}'; there is {known}")


def open_drive(ref: DriveRef) -> Drive:
    """The drive, its stamps mended and its signals on the frames' clock. Raises InputError for what is unusable."""
    return reader(ref.format).open(ref)
