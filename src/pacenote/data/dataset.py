"""A Dataset on disk: written shard by shard and resumed, read as a stream or row by row without loading its images."""

from __future__ import annotations

import bisect
import itertools
import random
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.data.card import CARD_FILE, Card, count, read_card, readme
from pacenote.data.sample import SPLITS, Sample
from pacenote.data.schema import from_row
from pacenote.data.shards import (
    Rejected,
    check_split,
    read_columns,
    read_footer,
    read_group,
    read_rejected,
    readable,
    shard_files,
    shard_name,
    write_shard,
)
from pacenote.errors import InputError
from pacenote.work import atomic, prepare_out, read_json, write_json, write_text
from pacenote.work.files import remove

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

REJECTED_FILE = "rejected.parquet"
_PARTS = ".parts"
_SHARD_BYTES = 128 << 20  # of pictures; a shard is closed at this size even when it has few rows
_CACHED_GROUPS = 4


class Dataset:
    """The samples of one split (or of all) of a directory. `dataset[i]` reads one row group, iteration one at a time.

    Safe to share between threads and to send to worker processes. `card` is the content of `dataset.json`.
    """

    def __init__(self, path: Path, split: str | None, card: Mapping[str, Any], files: Sequence[Path]) -> None:
        self.path = path
        self.split = split
        self.card = card
        self.files = tuple(files)
        self._footers: list[pq.FileMetaData] = [read_footer(file) for file in self.files]
        self._groups = [
            (shard, group) for shard, footer in enumerate(self._footers) for group in range(footer.num_row_groups)
        ]
        sizes = [self._footers[shard].row_group(group).num_rows for shard, group in self._groups]
        self._starts = [0, *itertools.accumulate(sizes)]
        self._order: Sequence[int] = range(self._starts[-1])
        self._cache: OrderedDict[int, list[dict[str, Any]]] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: str | Path, split: str | None = None) -> Dataset:
        """Open a directory, a shipped name or a hub id; `split` train, dev, test or None for all of them.

        Raises InputError when it is no finished dataset, lacks the split, or a shard is missing, truncated or foreign.
        """
        directory = resolve(path)
        card = read_card(directory)
        files = shard_files(directory)
        if split is not None:
            check_split(split)
            if split not in files:
                raise InputError(f"{path}: no split '{split}'; it has {', '.join(files) or 'no shards at all'}")
            files = {split: files[split]}
        return cls(directory, split, card, [file for group in files.values() for file in group])

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that the directory holds."""
        return tuple(split for split in SPLITS if split in self.card["splits"])

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: int) -> Sample:
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        return self._sample(self._order[index])

    def __iter__(self) -> Iterator[Sample]:
        for row in self._order:
            yield self._sample(row)

    def select(self, indices: Sequence[int]) -> Dataset:
        """A view of some samples, in the order given; nothing is read."""
        view = Dataset.__new__(Dataset)
        view.__setstate__(self.__getstate__())
        view._order = [self._order[index] for index in indices]
        return view

    def shuffled(self, seed: int) -> Iterator[Sample]:
        """All samples once, in an order that reads each row group once: groups shuffled, rows within eight mixed."""
        rng = random.Random(seed)
        by_group: dict[int, list[int]] = {}
        for row in self._order:
            by_group.setdefault(self._group_of(row), []).append(row)
        groups = list(by_group.values())
        rng.shuffle(groups)
        for start in range(0, len(groups), 8):
            samples = [self._sample(row) for rows in groups[start : start + 8] for row in rows]
            rng.shuffle(samples)
            yield from samples

    def table(self, columns: Sequence[str]) -> pa.Table:
        """Some columns of all samples, in order. Columns without pictures are read without touching the pictures."""
        table = read_columns(self.files, columns)
        return table if isinstance(self._order, range) else table.take(self._order)

    def column(self, name: str) -> list[Any]:
        """One column as plain Python values, in order."""
        return self.table([name]).column(0).to_pylist()

    def rejected(self) -> list[Rejected]:
        """The rows that were refused when the dataset was made, with reasons."""
        import json

        import pyarrow.parquet as pq

        file = self.path / REJECTED_FILE
        if not file.is_file():
            return []
        with readable(file):
            rows = pq.read_table(file).to_pylist()
        return [Rejected(row["id"], row["reason"], row["source"], json.loads(row["detail"])) for row in rows]

    def _group_of(self, row: int) -> int:
        return bisect.bisect_right(self._starts, row) - 1

    def _sample(self, row: int) -> Sample:
        group = self._group_of(row)
        with self._lock:
            rows = self._cache.get(group)
            if rows is not None:
                self._cache.move_to_end(group)
        if rows is None:
            shard, index = self._groups[group]
            rows = read_group(self.files[shard], self._footers[shard], index)
            with self._lock:
                self._cache[group] = rows
                if len(self._cache) > _CACHED_GROUPS:
                    self._cache.popitem(last=False)
        return from_row(rows[row - self._starts[group]])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_cache", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._cache = OrderedDict()
        self._lock = threading.Lock()


def resolve(path: str | Path) -> Path:
    """The directory of a dataset given as a directory, a shipped name (`streets-test`) or a hub id (`owner/name`)."""
    import pacenote

    directory = Path(path)
    if directory.is_dir():
        return directory
    name = str(path)
    shipped = Path(pacenote.__file__).parent / "shipped"
    if "/" not in name and (shipped / name / CARD_FILE).is_file():
        return shipped / name
    if directory.is_file():
        raise InputError(f"{path}: a file; give the directory of a dataset")
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        return _from_hub(name)
    held = sorted(card.parent.name for card in shipped.glob(f"*/{CARD_FILE}"))
    names = ", ".join(held) or "none"
    raise InputError(f"{path}: no such dataset; give a directory, a hub id or a shipped name ({names})")


def _from_hub(name: str) -> Path:
    try:
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(name, repo_type="dataset"))
    except Exception as error:  # noqa: BLE001 - the hub client raises a dozen kinds: offline, gated, unknown, bad name
        reason = str(error).strip().splitlines()[0][:160] or type(error).__name__
        raise InputError(f"{name}: no such directory, and the hub has none ({reason}); give a directory") from None


class DatasetWriter:
    """Writes samples into a directory; a second writer on the same directory continues where the first was killed.

    Samples are gathered into shards; a shard is written whole or not at all. A sample or rejection whose id is already
    stored is skipped, so a caller may simply offer everything again, or ask `has(id)` first to save the work.

        with DatasetWriter(out, Card("mine", recipe=digest(settings), seed=0)) as writer:
            writer.add(sample, "train")
            writer.reject("frame-7", "corrupt image")

    Raises InputError when the directory holds something else or a dataset of another recipe or seed.
    """

    def __init__(self, path: str | Path, card: Card, *, shard_rows: int = 256) -> None:
        self.path = Path(path)
        self.card = card
        self.shard_rows = shard_rows
        self._parts = self.path / _PARTS
        claim = self._parts / "card.json"
        if claim.is_file():
            self._same(read_json(claim))
        elif (self.path / CARD_FILE).is_file():
            self._same(read_card(self.path))
        else:
            prepare_out(self.path)
            write_json(claim, card.identity())
        self._buffers: dict[str, list[Sample]] = {split: [] for split in SPLITS}
        self._bytes = dict.fromkeys(SPLITS, 0)
        self._rejected: list[Rejected] = []
        self._stored: dict[str, dict[int, Path]] = {split: self._existing(split) for split in SPLITS}
        files = [file for shards in self._stored.values() for file in shards.values()]
        self._ids: set[str] = set(read_columns(files, ["id"]).column(0).to_pylist())
        self._ids.update(row.id for file in files for row in read_rejected(read_footer(file)))

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.finish()

    def has(self, id: str) -> bool:
        """Whether a sample or rejection of this id was given before, also in an earlier run that was killed."""
        return id in self._ids

    def add(self, sample: Sample, split: str = "train") -> None:
        check_split(split)
        if self.has(sample.id):
            return
        self._ids.add(sample.id)
        self._buffers[split].append(sample)
        self._bytes[split] += sum(len(picture.bytes) for picture in sample.images)
        if len(self._buffers[split]) >= self.shard_rows or self._bytes[split] >= _SHARD_BYTES:
            self._flush(split)

    def reject(self, id: str, reason: str, source: str = "", detail: Mapping[str, Any] | None = None) -> None:
        if not self.has(id):
            self._ids.add(id)
            self._rejected.append(Rejected(id, reason, source, detail or {}))

    def finish(self) -> Dataset:
        """Write what is left, give the shards their final names, gather rejections and counts; returns the Dataset."""
        for split in SPLITS:
            if self._buffers[split]:
                self._flush(split)
        for split, shards in self._stored.items():
            for index, file in shards.items():
                final = self.path / shard_name(split, index, len(shards))
                if file != final:
                    file.rename(final)
                    shards[index] = final
        finish_dataset(self.path, self.card, self._rejected)
        remove(self._parts)  # also half-written files of a killed run
        return Dataset.open(self.path)

    def _flush(self, split: str) -> None:
        index = len(self._stored[split])
        file = self._parts / f"{split}-{index:05d}.parquet"
        write_shard(self._buffers[split], file, self._rejected)
        self._stored[split][index] = file
        self._buffers[split], self._bytes[split], self._rejected = [], 0, []

    def _existing(self, split: str) -> dict[int, Path]:
        """Finished shards: parts, and those that a killed `finish` had already renamed."""
        renamed = shard_files(self.path, complete=False).get(split, [])
        files = [*renamed, *self._parts.glob(f"{split}-*.parquet")]
        shards = {int(file.name.split("-")[1].split(".")[0]): file for file in files}
        return {index: shards[index] for index in sorted(shards)}

    def _same(self, held: Mapping[str, Any]) -> None:
        for name, value in self.card.identity().items():
            if held.get(name) != value:
                raise InputError(
                    f"{self.path}: holds a dataset of another {name} ({held.get(name)!r}); give a new --out"
                )


def finish_dataset(path: str | Path, card: Card, rejected: Sequence[Rejected] = ()) -> dict[str, Any]:
    """Gather finished shards into a Dataset: rejected.parquet, dataset.json, README.md; returns the card's content.

    `rejected` adds to what the shards carry themselves (a rejection of the same id and reason is kept once). May be
    called again. Raises InputError when shards are missing or no sample is left at all.
    """
    import json

    import pyarrow as pa
    import pyarrow.parquet as pq

    directory = Path(path)
    files = shard_files(directory)
    carried = [row for shards in files.values() for file in shards for row in read_rejected(read_footer(file))]
    if (directory / REJECTED_FILE).is_file():  # finished before: what no shard carries is only there
        carried += Dataset(directory, None, {}, ()).rejected()
    unique = {(row.id, row.reason): row for row in [*carried, *rejected]}
    rows = [
        {"id": r.id, "reason": r.reason, "source": r.source, "detail": json.dumps(r.detail, sort_keys=True)}
        for r in unique.values()
    ]
    with atomic(directory / REJECTED_FILE) as partial:
        columns = pa.schema(dict.fromkeys(("id", "reason", "source", "detail"), pa.string()))
        pq.write_table(pa.Table.from_pylist(rows, columns), partial)
    counts = {
        split: count(read_columns(shards, ["source", "task", "truth", "conditions"]).to_pylist())
        for split, shards in files.items()
    }
    if not any(held["samples"] for held in counts.values()):
        common = Counter(row.reason for row in unique.values()).most_common(1)
        why = f"all {len(unique)} rows were rejected, mostly: {common[0][0]}" if common else "nothing was written"
        raise InputError(f"{directory}: no samples ({why}); see {REJECTED_FILE} there and change the input")
    content = card.to_dict() | {
        "splits": {split: {"samples": counts[split]["samples"], "shards": len(files[split])} for split in files},
        "counts": counts,
        "rejected": dict(Counter(row.reason for row in unique.values()).most_common()),
    }
    write_text(directory / "README.md", readme(content))
    write_json(directory / CARD_FILE, content)  # last: its presence says that the dataset is finished
    return content
