"""Files that are either whole or absent, and digests that tell whether they changed."""

from __future__ import annotations

import dataclasses
import enum
import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pacenote.errors import InputError, PacenoteError

DIGEST_HEX = 12  # 48 bits: ample against accident, short enough to read in a report
FULL = {errno.ENOSPC, errno.EDQUOT}


def disk_full(error: OSError, path: Path) -> PacenoteError | None:
    """The one-line failure for a full disk or quota, or None when the error is another one."""
    if error.errno not in FULL:
        return None
    return PacenoteError(f"{path}: no space left on the device; free some and run the same command again")


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync(path: Path) -> None:
    """Force a file, or every file under a directory, to the disk."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    for file in files:
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
    if path.is_dir():
        _sync_directory(path)


def publish(partial: Path, path: Path) -> None:
    """Sync `partial` and give it its final name; a file is replaced, a directory must not hold anything yet."""
    sync(partial)
    partial.replace(path)
    _sync_directory(path.parent)


def remove(path: Path) -> None:
    """Delete a file or a directory tree, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` with the same suffix, renamed to `path` when the block ends well.

    The block may write a file or make a directory there. On an exception nothing is left, and an older `path` stays as
    it was. Raises PacenoteError on a full disk or when the block wrote nothing.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    remove(partial)
    try:
        yield partial
        if not partial.exists():
            raise PacenoteError(f"{path}: nothing was written")
        publish(partial, path)
    except OSError as error:
        raise disk_full(error, path) or error from error
    finally:
        remove(partial)


@contextmanager
def locked(out: Path, wait: bool = False) -> Iterator[None]:
    """Hold `out` (an existing directory) alone; InputError when another process does, unless told to `wait` for it.
    Ends with the process."""
    with (out / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            raise InputError(f"{out}: another command is writing there; wait for it or give another --out") from None
        yield


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write plain data (also dataclasses, sets, paths) as indented JSON, atomically."""
    write_text(path, json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file; InputError names the file when it is missing or malformed."""
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable as JSON ({error})") from None


def plain(value: Any) -> Any:
    """Reduce dataclasses, enums, sets, paths, bytes and numpy values to what JSON holds; TypeError otherwise."""
    if value is None or isinstance(value, bool | int | float | str):
        return value.value if isinstance(value, enum.Enum) else value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return "sha256:" + hashlib.sha256(value).hexdigest()
    if hasattr(value, "tolist"):  # numpy scalars and arrays, without importing numpy
        return plain(value.tolist())
    raise TypeError(f"{type(value).__name__} is not plain data")


def digest(value: Any) -> str:
    """12 hex digits of the canonical JSON of `value`; equal data gives equal digests in any process."""
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST_HEX]


def digest_file(path: str | Path) -> str:
    """12 hex digits of a file's bytes; InputError when it cannot be read."""
    try:
        with Path(path).open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()[:DIGEST_HEX]
    except OSError as error:
        raise InputError(f"{path}: cannot read it ({error.strerror})") from None


def digest_tree(path: str | Path) -> str:
    """Digest of a file, or of the names and bytes of all files under a directory; hidden names are skipped.

    Hidden names are the executor's markers and locks: bookkeeping, not content.
    """
    path = Path(path)
    if not path.is_dir():
        return digest_file(path)
    names = sorted(p.relative_to(path) for p in path.rglob("*") if p.is_file())
    seen = [name for name in names if not any(part.startswith(".") for part in name.parts)]
    return digest([[name.as_posix(), digest_file(path / name)] for name in seen])


def prepare_out(out: str | Path, *, marker: str | None = None) -> Path:
    """Make the output directory; refuse one that already holds something, unless `marker` is in it (then: resume).

    Names starting with a dot do not count. InputError says what to do.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file; give a directory")
    if out.is_dir() and not (marker and (out / marker).exists()):
        held = [entry.name for entry in out.iterdir() if not entry.name.startswith(".")]
        if held:
            raise InputError(f"--out {out} is not empty ({held[0]}); give a new directory or empty it")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {out}: cannot make it ({error.strerror})") from None
    return out
