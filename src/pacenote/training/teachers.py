"""The two kinds of teacher that `teach` can ask: a model in this process, and one behind a server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pacenote.errors import InputError
from pacenote.models.endpoint import at_once
from pacenote.models.frames import fitted, frame_size
from pacenote.training.batches import pieces_ids

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from pacenote.data.sample import Sample
    from pacenote.models import Model
    from pacenote.models.endpoint import Distribution, Endpoint

Pieces = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Row:
    """One question about one sample, ready to be scored; `pieces` None = the teacher writes the answer, `written` = it
    has."""

    sample: Sample
    images: tuple[Image.Image, ...]
    question: str
    pieces: Pieces | None
    written: bool = False

    @property
    def answer(self) -> str:
        return "".join(words for words, _ in self.pieces or ())


class Teacher(Protocol):
    """What `teach` needs of a teacher."""

    name: str
    tokenizer: Any
    end_id: int

    def images(self, sample: Sample) -> tuple[Image.Image, ...]:
        """The sample's pictures as the teacher is shown them."""

    def write(self, rows: Sequence[Row], max_new_tokens: int) -> list[str]:
        """The teacher's own answers."""

    def score(self, rows: Sequence[Row], top: int, temperatures: Sequence[float]) -> list[dict[str, np.ndarray] | None]:
        """For each row `ids`, `logp`, `tail`, `lse` as in `CacheRow` over the answer's tokens and its end; None where
        the teacher's numbers are not finite."""


class LocalTeacher:
    """A model in this process."""

    def __init__(self, model: Model) -> None:
        self.model, self.name = model, model.name
        self.tokenizer, self.end_id = model.tokenizer, model.end_id

    def images(self, sample: Sample) -> tuple[Image.Image, ...]:
        return fitted(sample, frame_size(self.model))

    def write(self, rows: Sequence[Row], max_new_tokens: int) -> list[str]:
        roles = [row.sample.image_roles for row in rows]
        return self.model.generate([row.images for row in rows], [row.question for row in rows], max_new_tokens, roles)

    def score(self, rows: Sequence[Row], top: int, temperatures: Sequence[float]) -> list[dict[str, np.ndarray] | None]:
        import torch

        from pacenote.training.batches import answer_rows, collate, encode
        from pacenote.training.cache import soft_row

        model = self.model
        encoded = [
            # Every token counts: a teacher has an opinion on what the truth does not know, too.
            encode(model, row.sample.id, row.images, row.question, _all(row), row.sample.image_roles)
            for row in rows
        ]
        batch = {name: value.to(model.device) for name, value in collate(encoded, model).items()}
        found: list[dict[str, np.ndarray] | None] = []
        with torch.inference_mode():
            hidden, _, _ = answer_rows(model.model, batch)
            for part in hidden.split([len(one.answer) for one in encoded]):
                logits = model.model.get_output_embeddings()(part)[:, : len(model.tokenizer)]
                finite = bool(torch.isfinite(logits).all())
                found.append(soft_row(logits, top, temperatures) if finite else None)
        return found


class ServedTeacher:
    """A model behind a server. `tokenizer` is the model's own, loaded here; the server's token ids are checked against
    it, answer by answer. Only temperature 1 is known: the tail's logsumexp at another one is not served."""

    def __init__(self, endpoint: Endpoint, tokenizer: Any, end: str) -> None:
        self.endpoint, self.tokenizer = endpoint, tokenizer
        self.name, self.end_id = f"{endpoint.url} {endpoint.name}", int(tokenizer.convert_tokens_to_ids(end))

    def images(self, sample: Sample) -> tuple[Image.Image, ...]:
        return tuple(sample.image(i) for i in range(len(sample.images)))

    def write(self, rows: Sequence[Row], max_new_tokens: int) -> list[str]:
        def one(row: Row) -> str:
            return self.endpoint.generate(row.images, row.question, max_new_tokens, row.sample.image_roles)

        return at_once(one, rows)

    def score(self, rows: Sequence[Row], top: int, temperatures: Sequence[float]) -> list[dict[str, np.ndarray] | None]:
        if temperatures:
            raise InputError(
                "a served teacher's soft labels are known at temperature 1 only; give --temperatures alone"
            )

        def one(row: Row) -> dict[str, np.ndarray] | None:
            wanted = list(pieces_ids(self.tokenizer, self.end_id, row.pieces or ())[0][:-1])
            roles = row.sample.image_roles
            found, ids = self.endpoint.score(row.images, row.question, row.answer, len(wanted), top, roles)
            if ids[:-1] != wanted:
                raise InputError(
                    f"{self.endpoint.url}: sample {row.sample.id}: the server has other token ids ({ids[:-1][:4]}...)"
                    f" than this tokenizer ({wanted[:4]}...); give the served model's own with --tokenizer"
                )
            return served_row(found, top)

        return at_once(one, rows)


def served_row(found: Sequence[Distribution], top: int) -> dict[str, np.ndarray]:
    """`ids`, `logp`, `tail`, `lse` from served distributions: the `top` likeliest of each, the rest of it its tail."""
    import numpy as np

    ids = np.zeros((len(found), top), np.int32)
    logp = np.full((len(found), top), -np.inf, np.float16)
    tail = np.zeros(len(found), np.float32)
    for row, own in enumerate(found):
        best = sorted(own.items(), key=lambda pair: -pair[1])[:top]
        ids[row, : len(best)] = [token for token, _ in best]
        logp[row, : len(best)] = [value for _, value in best]
        tail[row] = np.log(max(1e-12, 1.0 - float(np.exp([value for _, value in best]).sum())))
    return {"ids": ids, "logp": logp, "tail": tail, "lse": np.zeros((len(found), 0), np.float32)}


def _all(row: Row) -> Pieces:
    return tuple((words, 1.0) for words, _ in row.pieces or ())
