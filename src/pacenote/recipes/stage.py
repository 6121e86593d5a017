"""What every kind of stage has: settings, what it reads, and one call that fills its directory."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pacenote.errors import InputError

if TYPE_CHECKING:
    from pacenote.work import Page


@dataclass(frozen=True)
class Context:
    """What a stage is told besides its settings: the seed of the run, the run's directory, processes, a Ray address."""

    seed: int
    run: Path
    workers: int = 1
    ray: str | None = None


@dataclass(frozen=True, kw_only=True)
class Stage(ABC):
    """Settings of one stage. `when`: null, false or "" leaves it out. `optional`: a failure is noted in the report and
    the run goes on. Fields named in `READS` are files, models or Datasets: their content decides whether to run again.
    """

    READS: ClassVar[tuple[str, ...]] = ()
    ALWAYS: ClassVar[bool] = False  # run each time: cheap, and reads what other stages left
    optional: bool = False
    when: Any = True

    @abstractmethod
    def run(self, out: Path, context: Context) -> None:
        """Fill the directory `out`; resume what is already there."""

    def show(self, page: Page, out: Path) -> None:  # noqa: B027 - a stage may have nothing to show
        """Add what `out` holds to the report, under a heading that is already there."""

    def sources(self) -> dict[str, str]:
        """Digests of what the stage reads; they decide, with its settings, whether to run it again."""
        read: dict[str, str] = {}
        for name in self.READS:
            value = getattr(self, name)
            if isinstance(value, tuple):
                read |= {f"{name}.{number}": content(item) for number, item in enumerate(value)}
            elif value is not None:
                read[name] = content(value)
        return read

    def settings(self) -> dict[str, Any]:
        """The fields that shape the result: not `optional` and `when`, nor the names of what is read by content."""
        held = dataclasses.asdict(self)
        return {key: value for key, value in held.items() if key not in ("optional", "when", *self.READS)}


def _places(name: str) -> tuple[Path, Path]:
    """Where a name may lie: as a path, or among what is shipped."""
    from pacenote.models.shipped import ROOT

    return Path(name).expanduser(), ROOT / name


def is_there(name: str) -> bool:
    """Whether a word names something whose content counts."""
    return bool(name) and any(path.exists() for path in _places(name))


def content(name: str) -> str:
    """Digest of what a READS field names: a file, a directory, a shipped name; a hub id stands for itself."""
    from pacenote.work import digest, digest_tree

    for path in _places(name):
        if path.exists():
            return digest_tree(path)
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        return digest(name)
    raise InputError(f"{name}: no such file or directory, shipped name or hub id")
