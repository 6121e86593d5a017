"""What a teacher's look costs a step of distilling the vision tower: at each step, or once at fixed views.

    python benchmarks/distil_step.py --data STREETS --json out.json [--quick] [--threads 1]

Steps of recipes/student-distil.yaml (16 whole frames of the train split of STREETS, forward, backward, optimizer), the
three sides in turns: the teacher looks at each step; it looked before (`copies`); there is no teacher.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from pacenote.data.dataset import Dataset
from pacenote.models import load
from pacenote.models.vision import compiled
from pacenote.training import dense
from pacenote.training.augment import SEEN, Strength
from pacenote.training.frames import decode
from pacenote.training.loop import autocast, keep_memory
from pacenote.training.optimizer import optimizer_for
from pacenote.training.run import Rows
from pacenote.training.sights import Views, look
from pacenote.training.tower import DenseTask, QwenEncoder

BATCH, FRAMES = 16, 64


def task_of(student: str, teacher: str, batch: dict[str, Any]) -> tuple[DenseTask, Any]:
    """A fresh task with its optimizer."""
    model = load(student, dtype=torch.float32)
    model.model.requires_grad_(True)
    encoder = QwenEncoder(model.family.visual(model.model))
    ones = [torch.ones(batch[name].shape[-1]) for name in ("cells", "patches")]
    task = DenseTask(
        encoder, ones[0], ones[0], 0.3, ones[1], dense.dense_teacher(encoder, teacher) if teacher else None
    )
    rest = [p for name, p in task.named_parameters() if not name.startswith("encoder.")]
    groups = [{"params": list(encoder.parameters()), "lr": 1e-6, "muon": 16.0}, {"params": rest, "lr": 1e-6}]
    return task, optimizer_for(groups, 0.05)


def step(task: DenseTask, optimizer: Any, batch: dict[str, Any]) -> float:
    """Seconds of one."""
    start = time.perf_counter()
    with autocast("cpu"):
        loss = task(**batch)["loss"]
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="3 steps a side")
    parser.add_argument("--data", required=True)
    parser.add_argument("--student", default="starter-student")
    parser.add_argument("--teacher", default="starter-teacher")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    keep_memory()
    rows = Rows([Dataset.open(args.data, split="train")], FRAMES)
    with tempfile.TemporaryDirectory() as held, compiled():
        place = Path(held)
        frames = decode(rows, len(rows), place / "frames")
        views = Views(frames, 1, Strength(photometric=0.7), SEEN)
        teacher = dense.dense_teacher(QwenEncoder(load(args.student).model.model.visual), args.teacher)
        start = time.perf_counter()
        sights = look(teacher, views, place, BATCH)
        once = (time.perf_counter() - start) / len(views)
        stored = sum(array.nbytes for array in sights.held.values()) / len(views)
        stream = dense.TaughtStream(views, sights, lambda k: k % len(views), FRAMES, 0, 14)
        start = time.perf_counter()
        batch = dense.collate([stream[k] for k in range(BATCH)])
        made = time.perf_counter() - start
        bare = {name: value for name, value in batch.items() if name != "sight"}
        sides = {
            "looks each step": (*task_of(args.student, args.teacher, batch), bare),
            "looked once": (*task_of(args.student, args.teacher, batch), batch),
            "no teacher": (*task_of(args.student, "", batch), bare),
        }
        took: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(5 if args.quick else 14):
            for name, side in sides.items():
                seconds = step(*side)
                if number >= 2:  # the first ones compile
                    took[name].append(seconds)
    result: dict[str, Any] = {f"{name}, s": statistics.median(values) for name, values in took.items()}
    result |= {
        "speedup of a step": result["looks each step, s"] / result["looked once, s"],
        "over no teacher": result["looked once, s"] / result["no teacher, s"],
        "a look, s a view": once, "bytes a view": stored, "making a batch, s": made, "threads": args.threads,
    }  # fmt: skip
    for name, value in result.items():
        print(f"{name:24} {value:.4g}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
