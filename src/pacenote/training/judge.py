"""Early stopping: how good the model is on frames that it is not trained on, as often as asked; the best is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.errors import InputError
from pacenote.work.files import atomic
from pacenote.work.progress import say

if TYPE_CHECKING:
    from pacenote.data.sample import Sample
    from pacenote.models import Model

BEST, HISTORY = "best.safetensors", "best.json"


@dataclass(frozen=True)
class Judge:
    """`score()` of the model as it is, higher is better; asked `checks` times in a stage, evenly. After `patience`
    checks without a better one the stage ends (0 = never)."""

    score: Callable[[], float]
    checks: int
    patience: int = 0


def dev_judge(model: Model, samples: Sequence[Sample], checks: int, patience: int = 0, most: int = 200) -> Judge | None:
    """The judge of a stage: the Average on at most `most` of `samples`. None where no checks are wanted.

    Raises InputError when there are no samples to check on.
    """
    if not checks:
        return None
    chosen = range(0, len(samples), max(1, -(-len(samples) // most)))
    if not chosen:
        raise InputError("checks: there is no dev split to check on; give --dev DATASET, or set checks to 0")
    return Judge(lambda: average(model, [samples[i] for i in chosen]), checks, patience)


def average(model: Model, samples: Sequence[Sample], batch: int = 8) -> float:
    """The Average (metrics.score) of the model's answers to the samples' own questions; 0 where nothing is known."""
    from pacenote.advisory import Truth
    from pacenote.engine.plain import ask
    from pacenote.metrics import score
    from pacenote.models.frames import fitted, frame_size

    told = []
    for start in range(0, len(samples), batch):
        part = samples[start : start + batch]
        images, roles = [fitted(one, frame_size(model)) for one in part], [one.image_roles for one in part]
        told += ask(model, images, [one.question for one in part], roles=roles, confidence=False, speed="greedy")
    truths = [one.truth or Truth.unknown() for one in samples]
    figures = score([one.advisory for one in told], truths, [one.scene for one in samples], resamples=0)
    return float(figures["average"] or 0.0)


def keep_best(model: Any, judge: Judge, steps: int, out: Path) -> Any:
    """A Trainer callback that asks `judge`, keeps the weights of the best check in `out` and stops when it is time.
    Its `restore()` puts them back and returns `{"best_step", "best_score"}`."""
    from safetensors.torch import load_file, save_file
    from transformers import TrainerCallback

    from pacenote.training.task import learnt, put

    class KeepBest(TrainerCallback):
        def __init__(self) -> None:
            self.wanted = {max(1, round(steps * (n + 1) / judge.checks)) for n in range(judge.checks)}
            self.found: list[tuple[int, float]] = []

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            file = out / HISTORY
            held = json.loads(file.read_text()) if file.is_file() else []
            self.found = [(step, value) for step, value in held if step <= state.global_step]
            control.should_training_stop |= self.over()

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step not in self.wanted:
                return
            learning = model.training
            model.eval()
            value = judge.score()
            model.train(learning)
            better = all(value > before for _, before in self.found)
            self.found.append((state.global_step, value))
            if state.is_world_process_zero:
                if better:
                    with atomic(out / BEST) as partial:
                        save_file(learnt(model), str(partial))
                with atomic(out / HISTORY) as partial:
                    partial.write_text(json.dumps(self.found) + "\n")
            say(f"step {state.global_step}: dev average {value:.3f}{', the best so far' if better else ''}")
            control.should_training_stop |= self.over()

        def over(self) -> bool:
            """Whether the last `patience` checks brought nothing better."""
            values = [value for _, value in self.found]
            since = len(values) - 1 - values.index(max(values)) if values else 0
            return bool(judge.patience) and since >= judge.patience

        def restore(self) -> dict[str, float]:
            if not self.found:
                return {}
            step, value = max(self.found, key=lambda one: one[1])
            put(model, load_file(out / BEST), str(out / BEST))
            return {"best_step": step, "best_score": value}

    return KeepBest()
