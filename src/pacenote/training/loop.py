"""One training loop for every stage: the HF Trainer with a fixed data order, so that a resumed run is the same run."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from pacenote.errors import InputError, PacenoteError
from pacenote.models.precision import fast_bf16
from pacenote.training.judge import Judge, keep_best

WEIGHTS = "weights.safetensors"  # of a checkpoint


def pick_device(wanted: str = "auto") -> str:
    """ "cuda" where there is one (and it is wanted), else "cpu"."""
    import torch

    if wanted != "auto":
        return wanted
    return "cuda" if torch.cuda.is_available() else "cpu"


def autocast(device: Any) -> AbstractContextManager[Any]:
    """bf16 autocast where it is fast, else a context that does nothing."""
    import torch

    kind = str(device).split(":")[0]
    return torch.autocast(kind, torch.bfloat16, enabled=fast_bf16(kind))


@functools.cache
def keep_memory() -> None:
    """Let glibc keep freed blocks: a training step allocates the same sizes again and again, and mapping fresh zeroed
    pages for each costs a quarter of a CPU step. Does nothing elsewhere than on Linux with glibc."""
    import ctypes
    import sys

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        m_trim_threshold, m_top_pad, m_mmap_max = -1, -2, -4
        mallopt(m_mmap_max, 0)
        mallopt(m_trim_threshold, 2**31 - 1)
        mallopt(m_top_pad, 64 << 20)


def processes() -> int:
    """How many processes train together (`accelerate launch`, `torchrun`)."""
    return int(os.environ.get("WORLD_SIZE", 1))


def sharded() -> bool:
    """Whether the processes share the weights (FSDP, ZeRO) and no one holds the model whole."""
    return any(os.environ.get(f"ACCELERATE_USE_{name}", "false").lower() == "true" for name in ("FSDP", "DEEPSPEED"))


@contextmanager
def one_writes() -> Iterator[bool]:
    """Whether this process is the one that writes; at the end all wait for it."""
    yield int(os.environ.get("RANK", 0)) == 0
    if processes() > 1:
        from accelerate import PartialState

        PartialState().wait_for_everyone()


def read_checkpoint(model: Any, out: Path) -> None:
    """Put what the newest checkpoint in `out` learnt into `model`."""
    from safetensors.torch import load_file

    from pacenote.training.task import put

    newest = last_checkpoint(out)
    if newest is None:
        raise PacenoteError(f"{out}: the training left no checkpoint")
    put(model, load_file(newest / WEIGHTS), str(newest))


def last_checkpoint(out: Path) -> Path | None:
    """The newest whole checkpoint in `out`."""
    found = [p for p in out.glob("checkpoint-*") if (p / "trainer_state.json").is_file()]
    return max(found, key=lambda p: int(p.name.rsplit("-", 1)[1]), default=None)


def fit(
    model: Any,
    stream: Any,
    collate: Callable[[list[Any]], dict[str, Any]],
    out: Path,
    *,
    steps: int,
    batch: int,
    groups: Sequence[dict[str, Any]],
    accumulate: int = 1,
    warmup: float = 0.1,
    weight_decay: float = 0.01,
    max_grad_norm: float = 1.0,
    seed: int = 0,
    device: str = "auto",
    save_every: int = 0,
    log_every: int = 10,
    loss: Callable[[Any, dict[str, Any], Any], Any] | None = None,
    judge: Judge | None = None,
    report_to: Sequence[str] = ("tensorboard",),
    compile: bool = False,
) -> dict[str, float]:
    """Train `model` for `steps` optimizer steps of `batch * accumulate` items of `stream`, taken in order.

    `model(**collate(items))` gives `{"loss": ...}`, unless `loss(model, batch, items)` is given: then it is called
    under autocast with `items`, the labels (`batch["labels"]` other than -100) of the whole optimizer step. `groups`:
    parameter groups with their peak `lr` (`optimizer_for`); the rate rises over `warmup` (share of the steps) and falls
    to zero along a cosine. Writes checkpoints and events (`report_to`: tensorboard, wandb, mlflow) to `out` and goes on
    from the newest one there. `save_every` 0 = four times a run. With a `judge` the model ends as it was at the best
    check. A batch may name its `rows`, for the error when its loss is not finite. Under `accelerate launch` every
    process takes its part of each batch; the steps stay the same. Returns the Trainer's metrics.

    Raises InputError where a batch cannot be divided among the processes, PacenoteError where the loss is not finite;
    the last checkpoint stays.
    """
    import torch
    from safetensors.torch import load_file, save_file
    from torch.utils.data import SequentialSampler
    from transformers import Trainer, TrainerCallback, TrainingArguments

    from pacenote.models.vision import compiled
    from pacenote.training.optimizer import optimizer_for
    from pacenote.training.task import Task, learnt, put

    place = pick_device(device)
    bf16 = fast_bf16(place)
    if place == "cpu":
        keep_memory()
    if batch % processes():
        raise InputError(f"batch: {batch} rows cannot be divided among {processes()} processes; take a multiple")
    arguments = TrainingArguments(
        output_dir=str(out),
        max_steps=steps,
        per_device_train_batch_size=batch // processes(),
        gradient_accumulation_steps=accumulate,
        lr_scheduler_type="cosine",
        warmup_steps=round(warmup * steps),
        weight_decay=weight_decay,
        max_grad_norm=max_grad_norm,
        bf16=bf16,
        use_cpu=place == "cpu",
        seed=seed,
        data_seed=seed,
        logging_steps=log_every,
        report_to=list(report_to),
        save_strategy="steps",
        save_steps=save_every or max(1, -(-steps // 4)),
        save_total_limit=1,
        remove_unused_columns=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
        disable_tqdm=None,
        optim="adamw_torch",
    )

    groups, bare = list(groups), model
    trained = model if loss is None else Task(model, loss)

    class Ordered(Trainer):
        """Takes the stream as it comes: its order is already random and a function of the seed."""

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            return SequentialSampler(train_dataset if train_dataset is not None else self.train_dataset)

        def _get_num_items_in_batch(self, batch_samples: list[Any], device: Any) -> Any:
            if loss is None:
                return None
            own = sum(int((batch["labels"] != -100).sum()) for batch in batch_samples)
            if self.args.world_size == 1:
                return own
            return int(self.accelerator.gather(torch.tensor(own, device=self.args.device)).sum())

        def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            names = inputs.pop("rows", None)
            value = super().compute_loss(model, inputs, *args, **kwargs)
            if not bool(torch.isfinite(value)):
                kept = last_checkpoint(out)
                raise PacenoteError(
                    f"the loss is {float(value.detach())} at step {self.state.global_step + 1}"
                    f"{', in a batch of ' + ', '.join(names) if names else ''}; lower lr or take these rows out"
                    f" ({kept.name + ' is kept' if kept else 'there was no checkpoint yet'})"
                )
            return value

        # save_pretrained writes a VLM's weights under the hub's names, which the Trainer's own resume does not find: it
        # loads unstrictly, and training goes on from the start weights without a word.
        def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
            place_to = Path(output_dir or self.args.output_dir)
            place_to.mkdir(parents=True, exist_ok=True)
            # A `state_dict` was gathered from the processes that share the model.
            save_file(learnt(bare, state_dict, "model." if loss else ""), str(place_to / WEIGHTS))

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            file = Path(resume_from_checkpoint) / WEIGHTS
            put(bare, load_file(file), str(file))

    class Audit(TrainerCallback):
        """Checks at the first step that what should learn gets a gradient and what is frozen does not."""

        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if not self.done and not sharded():
                audit_gradients(groups, bare)
            self.done = True

        done = False

    keeper = keep_best(bare, judge, steps, out) if judge is not None else None
    trainer = Ordered(
        model=trained,
        args=arguments,
        train_dataset=stream,
        data_collator=collate,
        optimizers=(optimizer_for(groups, weight_decay), None),
        callbacks=[Audit(), *([keeper] if keeper else [])],
    )
    trainer.model_accepts_loss_kwargs = loss is not None  # then the loss is already divided by the step's labels
    checkpoint = last_checkpoint(out)
    with compiled(compile):
        result = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    return {**result.metrics, **(keeper.restore() if keeper else {})}


def audit_gradients(groups: Sequence[dict[str, Any]], model: Any) -> None:
    """Raise PacenoteError where a group that should learn has no gradient, or a frozen parameter has one."""
    for group in groups:
        if not any(p.grad is not None and bool((p.grad != 0).any()) for p in group["params"]):
            name = group.get("part", "group")
            raise PacenoteError(f"the part '{name}' gets no gradient although its learning rate is above 0")
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad and parameter.grad is not None:
            raise PacenoteError(f"the frozen parameter {name} got a gradient")
