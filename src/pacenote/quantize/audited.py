"""Quantize, audit and gate in one: what the command and the recipe's stage call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pacenote.errors import InputError, PacenoteError
from pacenote.quantize.audit_tables import Table
from pacenote.quantize.settings import QuantizeOptions


@dataclass(frozen=True)
class AuditOptions:
    """`data`: Datasets of which `split` is asked, at most `limit` frames each; () = no audit. `most`: the largest upper
    bound of red that became green."""

    data: tuple[str, ...] = ()
    split: str = "test"
    limit: int | None = None
    most: float = 0.005
    control: bool = False  # also what rounding to 16 bits alone flips

    def __post_init__(self) -> None:
        if not 0 < self.most <= 1:
            raise InputError(f"--max-red-green {self.most}: give a share above 0, at most 1")


def quantize_audited(
    model: str, data: Sequence[str], out: Path, options: QuantizeOptions, audit: AuditOptions
) -> dict[str, Any]:
    """`run.quantize` with the audit of `audit.audit` as its gate; the figures of both (`audit` is None without one)."""
    from pacenote.quantize import audit as audits
    from pacenote.quantize.run import quantize

    held: dict[str, Any] = {}

    def gate(checkpoint: Path, place: Path) -> str:
        held["audit"] = audits.audit(
            model, str(checkpoint), audit.data, split=audit.split, limit=audit.limit, device=options.device,
            control=audit.control, seed=options.seed,
        )  # fmt: skip
        audits.write(held["audit"], place)
        return audits.verdict(held["audit"], audit.most)

    if audit.data:
        from pacenote.evaluate.source import open_source

        for name in audit.data:
            open_source(name, audit.split)  # a wrong name is said before the work, not behind it
    figures = quantize(model, data, out, options, gate if audit.data else None)
    return figures | {"audit": held.get("audit")}


def audit_checkpoint(
    model: str, checkpoint: str, out: Path, audit: AuditOptions, *, device: str = "auto", seed: int = 0
) -> dict[str, Any]:
    """Audit a checkpoint that is there already against its 16-bit `model`; `audit.json` and `audit.md` go to `out`.

    Raises PacenoteError where the bound is above the limit; what was found stays in `out`.
    """
    from pacenote.quantize import audit as audits
    from pacenote.work import prepare_out

    if not audit.data:
        raise InputError("--checkpoint is for an audit: give --audit DATASET")
    prepare_out(out)
    figures = audits.audit(
        model, checkpoint, audit.data, split=audit.split, limit=audit.limit, device=device, control=audit.control,
        seed=seed,
    )  # fmt: skip
    audits.write(figures, out)
    if why := audits.verdict(figures, audit.most):
        raise PacenoteError(f"{why}; see {out / 'audit.md'}")
    return figures


def tables(figures: dict[str, Any]) -> Iterator[Table]:
    """What a quantization showed: methods, the audit's flips, layers alone."""
    from pacenote.quantize import audit_tables, run, sensitivity

    size = figures["bytes"]
    words = (
        f"{figures['scheme']}, {figures['rows']['calibration']} calibration rows. Quantized layers"
        f" {size['linear'] / 2**20:.2f} MiB, {figures['size_ratio']:.3f} of their bf16 size; whole checkpoint"
        f" {size['checkpoint'] / 2**20:.2f} MiB."
    )
    yield words, *run.table(figures)
    if figures.get("audit"):
        yield from audit_tables.tables(figures["audit"])
    if figures["sensitivity"]:
        words = "Loss on the dev split with one layer alone rounded to nearest."
        yield words, *sensitivity.table(figures["sensitivity"])


def report(figures: dict[str, Any]) -> str:
    """The tables as Markdown."""
    from pacenote.evaluate.tables import markdown

    return "\n\n".join(f"{words}\n\n{markdown(columns, rows)}" for words, columns, rows in tables(figures))
