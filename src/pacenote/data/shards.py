"""Parquet files of a Dataset: names, writing one whole, reading one without loading its images."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pacenote.data.sample import SPLITS, Sample
from pacenote.data.schema import SCHEMA_VERSION, schema, to_row
from pacenote.errors import InputError
from pacenote.work import atomic

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

# One row group is what random access reads for one row: about 1.5 MB of pictures.
GROUP_ROWS = 16
_REJECTED_KEY = b"pacenote.rejected"
_NAME = re.compile(r"^(train|dev|test)-(\d{5})-of-(\d{5})\.parquet$")


@dataclass(frozen=True)
class Rejected:
    """A row that was refused, and why. `detail` is a free JSON object (numbers behind the reason, the file, ...)."""

    id: str
    reason: str
    source: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


def shard_name(split: str, index: int, total: int) -> str:
    """`SPLIT-00000-of-00008.parquet`."""
    check_split(split)
    return f"{split}-{index:05d}-of-{total:05d}.parquet"


def check_split(split: str) -> None:
    if split not in SPLITS:
        raise InputError(f"split '{split}' is not one of {', '.join(SPLITS)}")


def shard_files(directory: Path, *, complete: bool = True) -> dict[str, list[Path]]:
    """Shards by split, in order. Raises InputError when shards of a split are missing, unless `complete` is False."""
    found: dict[str, dict[int, Path]] = {}
    totals: dict[str, int] = {}
    for path in sorted(directory.glob("*.parquet")):
        match = _NAME.match(path.name)
        if not match:
            continue
        split, index, total = match[1], int(match[2]), int(match[3])
        if totals.setdefault(split, total) != total:
            raise InputError(f"{path}: shards of '{split}' disagree on their number; remove the leftover ones")
        found.setdefault(split, {})[index] = path
    for split, shards in found.items():
        missing = set(range(totals[split])) - set(shards)
        if missing and complete:
            raise InputError(
                f"{directory}: {len(missing)} of {totals[split]} shards of '{split}' are missing, first "
                f"{shard_name(split, min(missing), totals[split])}; run the command that made it again"
            )
    return {split: [found[split][index] for index in sorted(found[split])] for split in SPLITS if split in found}


def write_shard(
    samples: Iterable[Sample], file: str | Path | BinaryIO, rejected: Sequence[Rejected] = ()
) -> dict[str, int]:
    """Write samples to one Parquet file, atomically when `file` is a path; returns {"rows", "rejected"}.

    Rejected rows travel in the file's own metadata until `finish_dataset` gathers them, so that a shard and its
    rejections are one atomic thing. Reads `samples` once and holds one row group at a time.
    """
    if isinstance(file, (str, Path)):
        with atomic(file) as partial, partial.open("wb") as handle:
            return write_shard(samples, handle, rejected)
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = 0
    with pq.ParquetWriter(
        file,
        schema(),
        compression=_compression(),
        use_dictionary=["source", "task", "question", "licence", "drive"],
        write_page_checksum=True,
    ) as writer:
        for group in _groups(samples, GROUP_ROWS):
            writer.write_table(pa.Table.from_pylist([to_row(sample) for sample in group], schema=schema()))
            rows += len(group)
        writer.add_key_value_metadata({_REJECTED_KEY: json.dumps([asdict(row) for row in rejected])})
    return {"rows": rows, "rejected": len(rejected)}


def _compression() -> dict[str, str]:
    """zstd for every column but the encoded pictures, which do not shrink further."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(schema().empty_table(), sink)
    leaves = pq.read_metadata(pa.BufferReader(sink.getvalue())).schema
    names = [leaves.column(i).path for i in range(len(leaves))]
    return {name: "none" if name.endswith(".bytes") else "zstd" for name in names}


def _groups(samples: Iterable[Sample], size: int) -> Iterator[list[Sample]]:
    group: list[Sample] = []
    for sample in samples:
        group.append(sample)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def read_footer(file: Path) -> pq.FileMetaData:
    """A shard's metadata. Raises InputError, naming the file, when it is truncated, foreign or of another version."""
    import pyarrow.parquet as pq

    with readable(file):
        footer = pq.read_metadata(file)
        names = footer.schema.to_arrow_schema().names
    held = (footer.metadata or {}).get(b"pacenote.schema")
    if held is None or names != schema().names:
        missing = [name for name in schema().names if name not in names]
        problem = f"column '{missing[0]}' is missing" if missing else "it was not written by pacenote"
        raise InputError(f"{file}: not a shard of a dataset ({problem}); import it with `pacenote data import`")
    if int(held) != SCHEMA_VERSION:
        raise InputError(f"{file}: schema version {int(held)}, this program reads {SCHEMA_VERSION}; update pacenote")
    return footer


def read_rejected(footer: pq.FileMetaData) -> list[Rejected]:
    """The rejected rows that a shard carries."""
    return [Rejected(**row) for row in json.loads((footer.metadata or {}).get(_REJECTED_KEY, b"[]"))]


def read_group(file: Path, footer: pq.FileMetaData, group: int) -> list[dict[str, Any]]:
    """The rows of one row group as plain dicts, page checksums verified."""
    import pyarrow.parquet as pq

    with readable(file), pq.ParquetFile(file, metadata=footer, page_checksum_verification=True) as parquet:
        return parquet.read_row_group(group, use_threads=False).to_pylist()


def read_columns(files: Sequence[Path], columns: Sequence[str]) -> pa.Table:
    """Some columns of many shards as one table; leave `images` and `segmentation` out and no picture is read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    plain = schema().remove_metadata()
    tables = [pa.schema([plain.field(name) for name in columns]).empty_table()]
    for file in files:
        with readable(file), pq.ParquetFile(file, page_checksum_verification=True) as parquet:
            tables.append(parquet.read(columns=list(columns), use_threads=False).replace_schema_metadata(None))
    return pa.concat_tables(tables)


@contextlib.contextmanager
def readable(file: Path) -> Iterator[None]:
    """Turn what pyarrow raises on a missing or broken file into one line that names it."""
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{file}: no such file; run the command that made the dataset again") from None
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0][:120]
        raise InputError(f"{file}: truncated or corrupt ({reason}); delete it and make it again") from None
