"""What is evaluated: a Dataset, or a folder of photos with or without `labels.jsonl`, as numbered Samples."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pacenote.data.sample import Picture, Sample
from pacenote.errors import InputError
from pacenote.models.frames import find_images
from pacenote.work import digest


class Samples(Protocol):
    """What a Dataset, labelled photos and a folder have in common."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


@dataclass(frozen=True)
class Source:
    """Samples to run, in a fixed order. `rejected`: rows of a label file that cannot be used. `tasks` of the samples,
    so that those of other tasks need not be read; None: all are advisories.
    """

    name: str
    digest: str
    samples: Samples
    rejected: int = 0
    tasks: Sequence[str] | None = None

    def indices(self, limit: int | None = None) -> list[int]:
        """The samples that ask for a whole advisory (other tasks are scored elsewhere), or `limit` of them: pairs of
        neighbours, so that twins stay together, spread evenly over the set.
        """
        everything = range(len(self.samples))
        found = [i for i in everything if self.tasks is None or self.tasks[i] == "advisory"]
        if limit is None or limit >= len(found):
            return found
        pairs, wanted = -(-len(found) // 2), -(-limit // 2)
        starts = [2 * (k * pairs // wanted) for k in range(wanted)]
        return [found[i] for start in starts for i in (start, start + 1) if i < len(found)][:limit]

    def frames(self, limit: int | None = None) -> Iterator[tuple[int, Sample]]:
        """(index, sample) of `indices`, read one by one."""
        for index in self.indices(limit):
            yield index, self.samples[index]


class PhotoFolder:
    """The pictures under a folder as Samples without truth, read when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths = find_images([folder])

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int, /) -> Sample:
        path = self.paths[index]
        name = path.relative_to(self.folder).as_posix()
        return Sample(id=name, images=(Picture.read(path, name),), source="mined")


def open_source(name: str, split: str = "test") -> Source:
    """A directory with `dataset.json`, a shipped name or a hub id is a Dataset; any other directory holds photos,
    scored by its `labels.jsonl` where it has one.

    Raises InputError where there is nothing to run.
    """
    folder = Path(name).expanduser()
    if folder.is_file():
        raise InputError(
            f"{name}: give a Dataset or a folder of photos, not a file; for one photo use: pacenote advise"
        )
    if folder.is_dir() and not (folder / "dataset.json").is_file():
        return _photos(folder)
    from pacenote.data import Dataset

    dataset = Dataset.open(name, split=split)
    title = folder.resolve().name if folder.is_dir() else name
    return Source(f"{title} ({split})", digest([dataset.card, split]), dataset, tasks=dataset.column("task"))


def _photos(folder: Path) -> Source:
    if (folder / "labels.jsonl").is_file():
        from pacenote.data.importer import import_labels

        labelled = import_labels(folder)
        return Source(
            folder.resolve().name, digest([dict(row) for row in labelled.rows]), labelled, len(labelled.rejected)
        )
    photos = PhotoFolder(folder)
    return Source(folder.resolve().name, digest([path.relative_to(folder).as_posix() for path in photos.paths]), photos)
