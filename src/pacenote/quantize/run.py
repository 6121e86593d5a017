"""`quantize`: every method from a fresh copy, the best on the dev split, written whole or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.errors import InputError, PacenoteError
from pacenote.quantize.settings import LEAST, SCHEMES, QuantizeOptions

if TYPE_CHECKING:
    from torch import Tensor

    from pacenote.data.sample import Sample
    from pacenote.models import Model
    from pacenote.quantize.calibrate import Measured, Row

SURE = 1.96  # one would refuse every sixth method that costs nothing: the nearer to 16 bits, the smaller the error, too
CHECKED = 3  # rows whose logits the reload check compares
PACKAGES = ("llmcompressor", "compressed-tensors")
Audit = Callable[[Path, Path], str]  # (checkpoint, directory for audit.json and audit.md) -> why it fails, or ""


def quantize(
    name: str, data: Sequence[str], out: Path, options: QuantizeOptions = QuantizeOptions(), audit: Audit | None = None
) -> dict[str, Any]:
    """Quantize the model `name` into `out`, calibrated on the train split of `data`; returns what `quantization.json`
    holds.

    Where `audit` finds a reason against it, the checkpoint goes to `out` + ".rejected" and PacenoteError is raised.
    Raises InputError for bad settings, data or a checkpoint that is quantized already. Nothing half is ever left.
    """
    from pacenote.quantize import compress
    from pacenote.work import say
    from pacenote.work.files import atomic, publish

    compress.require()
    rejected = out.with_name(out.name + ".rejected")
    for place in (out, rejected) if audit else (out,):
        _free(place)
    work = _Work(name, data, options)
    made_parent = not out.parent.exists()
    try:
        with atomic(out) as partial:
            partial.mkdir()
            figures = work.run(partial)
            why = audit(partial, partial) if audit else ""
            if why:
                publish(partial, rejected)
                raise PacenoteError(f"{why}; kept for inspection as {rejected}")
    finally:
        if made_parent and out.parent.is_dir() and not any(out.parent.iterdir()):
            out.parent.rmdir()
    say(f"{figures['method']} kept")
    return figures


def _free(place: Path) -> None:
    """InputError when something is there; unlike `prepare_out` it makes nothing, so that a failure leaves nothing."""
    if place.exists() and not (place.is_dir() and not any(place.iterdir())):
        raise InputError(f"--out {place} is not empty; give a new directory or remove it")


class _Work:
    """The rows, and what is measured on the way."""

    def __init__(self, name: str, data: Sequence[str], options: QuantizeOptions) -> None:
        from pacenote.models import resolve
        from pacenote.quantize.calibrate import choose
        from pacenote.training.loop import pick_device

        self.name, self.options, self.scheme = name, options, SCHEMES[options.scheme]
        self.source = resolve(name)
        self.device = pick_device(options.device)
        _not_quantized(name, self.source)
        self.train = choose(data, "train", options.rows, options.seed, "--rows", options.rows)
        self.dev = choose(data, "dev", options.dev_rows, options.seed, "--dev-rows", 1)
        self.tuning: list[Sample] = []
        if "tuned" in options.methods:
            self.tuning = choose(data, "train", options.tune_rows, options.seed, "--tune-rows", LEAST, whole=False)

    def load(self) -> Model:
        """A fresh copy; in float32 on a CPU, where bf16 would only cost time."""
        import torch

        from pacenote.models import load

        return load(self.name, self.device, torch.float32 if self.device == "cpu" else None)

    def run(self, place: Path) -> dict[str, Any]:
        """Measure all methods, leave the best one's checkpoint in `place`; the figures."""
        from pacenote.quantize import calibrate, checkpoint, compress, sensitivity, tuned
        from pacenote.quantize.layers import config_groups, group_sizes, ignored, linear_layers
        from pacenote.work import digest, versions, write_json
        from pacenote.work.files import remove
        from pacenote.work.progress import bar
        from pacenote.work.rundir import machine

        model = self.load()
        compress.check_finite(model)
        layers = linear_layers(model)
        sizes = group_sizes(layers, self.options.group) if self.scheme.grouped else dict.fromkeys(
            {name.rpartition(".")[2] for name in layers}, 0
        )  # fmt: skip
        train = calibrate.capture(model, self.train, "calibration rows")
        dev = calibrate.capture(model, self.dev, "dev rows")
        with bar("16-bit loss", len(dev)) as advance:
            reference = calibrate.dev_loss(model, dev, advance)
        tuning = calibrate.capture(model, tuned.answered(model, self.tuning), "tuning rows") if self.tuning else []
        aim = calibrate.dev_loss(model, tuning).logp if tuning else ()
        losses: dict[str, Any] = {"16-bit": {"loss": reference.loss, "decisions": reference.decided}}
        per_layer = sensitivity.measure(model, dev[: self.options.sensitivity]) if self.options.sensitivity else []
        family = model.family
        groups, targets = config_groups(family, sizes, self.scheme)
        del model, layers
        measured: dict[str, Any] = {}
        made: dict[str, Any] = {}
        for method in self.options.methods:
            start = time.monotonic()
            model = self.quantized(method, groups, train, tuning, aim)
            with bar(f"{method} loss", len(dev)) as advance:
                own = measured[method] = calibrate.dev_loss(model, dev, advance)
            if not own.loss < float("inf"):
                raise PacenoteError(f"{method}: its loss on the dev split is not finite; leave it out with --methods")
            losses[method] = {
                "loss": own.loss, "decisions": own.decided, "divergence": own.divergence(reference),
                "seconds": time.monotonic() - start,
            }  # fmt: skip
            dtype, wanted = model.model.dtype, checkpoint.logits(model, self.dev[:CHECKED])
            made[method] = (checkpoint.write(model, place / method, targets, ignored(family)), dtype, wanted)
            del model
        method = best(reference, measured, losses)
        for file in (place / method).iterdir():
            file.rename(place / file.name)
        for other in measured:
            remove(place / other)
        bytes_, dtype, wanted = made[method]
        reload = checkpoint.check(place, self.device, dtype, self.dev[:CHECKED], wanted)
        figures = {
            "model": Path(self.name).name, "scheme": self.options.scheme, "method": method,
            "group_sizes": sizes if self.scheme.grouped else None, "balance": self.options.balance,
            "losses": losses, "rows": {"calibration": len(train), "dev": len(dev), "tuning": len(tuning)},
            "bytes": bytes_, "size_ratio": bytes_["linear"] / bytes_["linear_bf16"], "reload": reload,
            "calibration_digest": calibrate.rows_digest(train), "groups_digest": digest(groups),
            "seed": self.options.seed, "versions": versions(PACKAGES), "machine": machine(),
            "sensitivity": per_layer,
        }  # fmt: skip
        write_json(place / checkpoint.FILE, figures)
        return figures

    def quantized(
        self, method: str, groups: dict[str, Any], train: Sequence[Row], tuning: Sequence[Row], aim: Sequence[Tensor]
    ) -> Model:
        """A fresh copy quantized by `method`, its weights as its checkpoint will hold them; `tuning` and what 16 bits
        say to it (`aim`) are for "tuned"."""
        import copy

        from pacenote.quantize.compress import compress, settle
        from pacenote.quantize.layers import linear_layers
        from pacenote.quantize.tuned import tune
        from pacenote.work import say

        say(f"{method}: {len(train)} calibration rows")
        model = self.load()
        options = self.options
        first = "gptq" if method == "tuned" else method
        compress(model, self.source, first, copy.deepcopy(groups), train, options.balance, options.seed)
        if method == "tuned":
            tune(model, linear_layers(model), tuning, aim, options.seed)
        settle(model, linear_layers(model), self.scheme, method)
        return model


def _not_quantized(name: str, source: str) -> None:
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(source)
    except (OSError, ValueError):
        return  # loading says what is wrong
    if getattr(config, "quantization_config", None) is not None:
        raise InputError(f"{name}: is quantized already; give the 16-bit model that it was made from")


def best(reference: Measured, measured: dict[str, Measured], losses: dict[str, Any]) -> str:
    """Of the methods whose dev loss is not above the 16-bit model's by more than chance makes it on these rows (SURE
    standard errors of the difference), the one whose decisions are nearest to the 16-bit model's; where all are above
    it, the one with the lowest loss. Less loss than 16 bits is luck on these rows, no merit: what flips is what
    moved."""
    level = [name for name, own in measured.items() if own.loss - reference.loss <= SURE * own.error(reference)]
    if not level:
        return min(measured, key=lambda name: measured[name].loss)
    return min(level, key=lambda name: losses[name]["divergence"] or 0.0)


def table(figures: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the methods side by side."""
    rows = []
    first = figures["losses"]["16-bit"]["loss"]
    for name, own in figures["losses"].items():
        kept = "kept" if name == figures["method"] else ""
        change = "" if name == "16-bit" else f"{(own['loss'] / first - 1) * 100 if first else 0:+.1f} %"
        moved = own.get("divergence")
        told = "" if moved is None else f"{moved:.5f}"
        rows.append([name, f"{own['loss']:.5f}", change, f"{own['decisions']:.5f}", told, kept])
    return ["", "dev loss (nats a token)", "change", "at decisions", "divergence a decision", ""], rows
