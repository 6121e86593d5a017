"""Predictions on disk, one JSON line a frame, so that an interrupted evaluation goes on where it stopped."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pacenote.advisory import Advisory
from pacenote.errors import InputError

FILE = "predictions.jsonl"


@dataclass(frozen=True)
class Prediction:
    """What a model said about one frame.

    `key` names image, question and fit, so that a frame is run again when any of them changed. `confidence` is per slot
    (see `engine.plain`), None where it was not asked for. `ms` is the time of the whole call divided by `batch`;
    only predictions of batch 1 after the warm-up count as latency.
    """

    key: str
    id: str
    text: str
    advisory: Advisory
    confidence: dict[str, float | None] | None
    ms: float
    batch: int
    prompt: dict[str, Any] | None = None  # book (its digest), blocks and tokens, where one was composed

    def to_dict(self) -> dict[str, Any]:
        told = {} if self.prompt is None else {"prompt": self.prompt}
        return {
            "id": self.id,
            "text": self.text,
            "advisory": self.advisory.to_dict(),
            "confidence": self.confidence,
            "ms": round(self.ms, 2),
            "batch": self.batch,
            "key": self.key,
            **told,
        }

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> "Prediction":
        advisory = Advisory.from_dict(row["advisory"])
        told = row.get("prompt")
        return cls(row["key"], row["id"], row["text"], advisory, row["confidence"], row["ms"], row["batch"], told)


class PredictionFile:
    """`predictions.jsonl` in a directory: what is there already by key and by frame, and a way to add to it. Frames of
    one picture (a car that stands) share a key.

    A line cut short by a kill is dropped with what follows it on that line; the frame is then run again.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE
        self.found: dict[str, Prediction] = {}
        self.by_id: dict[str, Prediction] = {}
        whole: list[str] = []
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        for number, line in enumerate(lines, 1):
            try:
                prediction = Prediction.from_dict(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                if number == len(lines):
                    break
                raise InputError(f"{self.path}: line {number} is damaged ({error}); delete it and run again") from error
            self.found[prediction.key] = self.by_id[prediction.id] = prediction
            whole.append(line)
        if len(whole) < len(lines):
            self.path.write_text("".join(line + "\n" for line in whole), encoding="utf-8")

    def add(self, predictions: list[Prediction]) -> None:
        """Append and flush, one write a batch."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(p.to_dict(), ensure_ascii=False) + "\n" for p in predictions))
        self.found.update((p.key, p) for p in predictions)
        self.by_id.update((p.id, p) for p in predictions)
