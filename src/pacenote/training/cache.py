"""The teacher cache: what a teacher gives each token of an answer, stored once for any number of students.

A row holds an answer and, for each of its tokens, the k likeliest tokens with their log-probabilities, the log of what
they leave over, and the logsumexp that another temperature needs. Nothing of the prompt's layout is in it: the key is
made of the pictures, the question, the answer's token ids and the tokenizer, so that a teacher that sees 3,000 visual
tokens teaches a student that sees 144.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.errors import InputError
from pacenote.work.files import digest, read_json

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from pacenote.training.kd import SoftLabels

CARD = "teacher.json"
VERSION = 1


@dataclass(frozen=True)
class CacheCard:
    """What a cache holds. `tokenizer` is a digest (`tokenizer_digest`); `temperatures` those beside 1."""

    teacher: str
    tokenizer: str
    top: int = 64
    temperatures: tuple[float, ...] = (2.0,)
    version: int = VERSION


@dataclass(frozen=True)
class CacheRow:
    """Soft labels of one answer of n tokens.

    `answer_ids` (n,) int32; `ids` (n, k) int32, likeliest first; `logp` (n, k) float16, natural log-probabilities at
    T = 1; `tail` (n,) float32, log of the probability of all other tokens; `lse` (n, temperatures) float32, the
    logsumexp over the vocabulary of logp / T; `weights` (n,) float16 of the tokens as hard labels, 0 where the truth
    does not know. `written`: the teacher's own answer, not the truth's.
    """

    key: str
    id: str
    question: str
    answer: str
    answer_ids: np.ndarray
    ids: np.ndarray
    logp: np.ndarray
    tail: np.ndarray
    lse: np.ndarray
    weights: np.ndarray
    written: bool = False

    def __len__(self) -> int:
        return len(self.answer_ids)


def tokenizer_digest(tokenizer: Any) -> str:
    """Digest of the token -> id map. Models whose `len(tokenizer)` agree may still differ in it."""
    return digest(tokenizer.get_vocab())


def row_key(images: Sequence[bytes], question: str, answer_ids: Iterable[int], tokenizer: str) -> str:
    """Key of a row: encoded pictures, question, answer tokens and tokenizer; 24 hex digits."""
    hashed = [hashlib.sha256(one).hexdigest() for one in images]
    text = json.dumps([hashed, question, [int(i) for i in answer_ids], tokenizer])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def schema(card: CacheCard) -> pa.Schema:
    """Arrow schema of the shards; matrices are little-endian bytes, n rows one after the other."""
    import pyarrow as pa

    text, raw = pa.string(), pa.binary()
    return pa.schema(
        [("key", text), ("id", text), ("question", text), ("answer", text), ("answer_ids", raw), ("ids", raw),
         ("logp", raw), ("tail", raw), ("lse", raw), ("weights", raw), ("written", pa.bool_())],
        metadata={"pacenote.teacher": json.dumps(asdict(card))},
    )  # fmt: skip


_KINDS = {"answer_ids": "<i4", "ids": "<i4", "logp": "<f2", "tail": "<f4", "lse": "<f4", "weights": "<f2"}


def write_shard(path: Path, rows: Iterable[CacheRow], card: CacheCard) -> int:
    """Write rows as one Parquet file (the caller makes it atomic); returns their number."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    held = [
        {
            name: np.ascontiguousarray(value, _KINDS[name]).tobytes() if name in _KINDS else value
            for name, value in vars(row).items()
        }
        for row in rows
    ]
    pq.write_table(pa.Table.from_pylist(held, schema(card)), path, compression="zstd")
    return len(held)


def read_shard(path: Path, card: CacheCard) -> Iterator[CacheRow]:
    """Rows of one shard. Raises InputError naming the file when it is truncated or of another shape."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0][:120]
        raise InputError(f"{path}: not a readable shard ({reason}); delete it and run teach again") from None
    for held in table.to_pylist():
        values = {name: np.frombuffer(held[name], kind) for name, kind in _KINDS.items()}
        count = len(values["answer_ids"])
        shapes = {"ids": (count, card.top), "logp": (count, card.top), "lse": (count, len(card.temperatures))}
        for name, shape in shapes.items():
            if values[name].size != shape[0] * shape[1]:
                raise InputError(f"{path}: row {held['id']} is damaged ({name}); delete the file and run teach again")
            values[name] = values[name].reshape(shape)
        yield CacheRow(**{**held, **values})


class TeacherCache:
    """A finished cache, its rows by sample id.

    Raises InputError when it is not finished, or on any damaged file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not (self.path / CARD).is_file():
            raise InputError(f"{self.path}: no finished teacher cache ({CARD} is missing); run pacenote teach")
        held = read_json(self.path / CARD)
        self.card = CacheCard(**{**held["card"], "temperatures": tuple(held["card"]["temperatures"])})
        self.rows: dict[str, list[CacheRow]] = {}
        for name in held["shards"]:
            for row in read_shard(self.path / name, self.card):
                self.rows.setdefault(row.id, []).append(row)

    def __len__(self) -> int:
        return sum(len(rows) for rows in self.rows.values())

    def __iter__(self) -> Iterator[CacheRow]:
        for rows in self.rows.values():
            yield from rows

    def check_tokenizer(self, tokenizer: Any, name: str) -> None:
        """Raise InputError unless `tokenizer` gives every token the id that the teacher's gave it."""
        if tokenizer_digest(tokenizer) != self.card.tokenizer:
            raise InputError(
                f"{self.path}: the teacher {self.card.teacher} has another vocabulary than {name}; soft labels need the"
                " same token ids. Distil from the teacher's written answers instead (alpha: 0)"
            )

    def soft_labels(self, row: CacheRow, temperature: float) -> SoftLabels:
        """The row's distributions at `temperature`, for `kd_loss`. Raises InputError where it was not cached."""
        import torch

        from pacenote.training.kd import SoftLabels

        logp = torch.from_numpy(row.logp.astype("float32"))
        if temperature != 1:
            if temperature not in self.card.temperatures:
                known = ", ".join(str(t) for t in (1.0, *self.card.temperatures))
                raise InputError(f"{self.path}: holds no temperature {temperature} (it has {known}); run teach with it")
            column = self.card.temperatures.index(temperature)
            logp = logp / temperature - torch.from_numpy(row.lse[:, column].copy())[:, None]
        return SoftLabels(torch.from_numpy(row.ids.astype("int64")), logp)


def soft_row(logits: Any, top: int, temperatures: Sequence[float]) -> dict[str, np.ndarray]:
    """`ids`, `logp`, `tail` and `lse` of a CacheRow from logits (n, V) of any float dtype."""
    import torch

    logp = logits.float().log_softmax(-1)
    best = logp.topk(min(top, logp.shape[-1]), -1)
    ids, held = best.indices, best.values
    if ids.shape[1] < top:  # a vocabulary smaller than k: filled with impossible tokens
        ids = torch.nn.functional.pad(ids, (0, top - ids.shape[1]))
        held = torch.nn.functional.pad(held, (0, top - held.shape[1]), value=-torch.inf)
    rest = logp.scatter(-1, best.indices, -torch.inf).logsumexp(-1)
    lse = torch.stack([(logp / t).logsumexp(-1) for t in temperatures], -1) if temperatures else logp[:, :0]
    return {
        "ids": ids.int().cpu().numpy(), "logp": held.half().cpu().numpy(), "tail": rest.cpu().numpy(),
        "lse": lse.cpu().numpy(),
    }  # fmt: skip


def write_card(path: Path, card: CacheCard, shards: Sequence[str], figures: Mapping[str, Any]) -> None:
    """The card, written last: it makes the cache a finished one."""
    from pacenote.work.files import write_json

    write_json(path / CARD, {"card": asdict(card), "shards": list(shards), **figures})
