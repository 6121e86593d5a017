"""What `pacenote evaluate` does: load, run, report, and compare with others on the same frames."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pacenote.evaluate import compare as side
from pacenote.evaluate import paired, tables
from pacenote.evaluate.report import write_report
from pacenote.evaluate.run import Evaluation, Settings, evaluate
from pacenote.evaluate.source import Source, open_source
from pacenote.work import write_json

if TYPE_CHECKING:
    from pacenote.models import Model


def load_model(name: str, device: str = "auto") -> "Model":
    """`models.load` on `device`; "auto" takes the GPU where there is one. Loads quietly."""
    import torch
    from transformers.utils import logging

    from pacenote.errors import InputError
    from pacenote.models import load

    logging.disable_progress_bar()
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, AttributeError) as error:
        reason = str(error).split("\n")[0]
        raise InputError(f"--device {device}: cannot be used here ({reason}); try --device cpu") from None
    return load(name, device=device)


def evaluate_several(
    model: str,
    dataset: str,
    out: Path,
    settings: Settings,
    *,
    split: str = "test",
    device: str = "auto",
    compare: Sequence[str] = (),
    json: Path | None = None,
) -> tuple[str, Path]:
    """Evaluate `model` into `out`, then each of `compare`; the Markdown table to print and the page to open.

    An entry of `compare` that is a finished evaluation is read; any other is a model, run into `out/compare/NAME`.
    With `compare`, `json` gets the figures by column title, else those of the one model.
    """
    source = open_source(dataset, split)
    evaluation, page = _one(model, source, out, settings, device)
    figures = evaluation.figures
    if not compare:
        if json:
            write_json(json, figures)
        if not figures["n"]:
            return f"{figures['frames']} frames without labels: answers are shown, nothing is scored", page
        return tables.markdown(*tables.main_table(figures)), page
    columns, answers = [(Path(model).name, figures)], []
    for other in compare:
        path = Path(other)
        if side.is_evaluation(path):
            columns.append((path.name, side.read_figures(path)))
            answers.append(side.read_answers(path))
            continue
        name = path.name if path.is_dir() else other.replace("/", "--")
        told, _ = _one(other, source, out / "compare" / name, settings, device)
        columns.append((path.name, told.figures))
        answers.append(paired.answers_by_id(told.rows))
    side.check_same_set([own for _, own in columns])
    several = side.unique_names(columns)
    found = {}
    if figures["n"]:
        for name, said in zip(list(several)[1:], answers, strict=True):
            found[name] = paired.differences(evaluation.rows, said, seed=settings.seed, resamples=settings.resamples)
    table = side.write_comparison(several, out, found)
    if json:
        write_json(json, several)
    return table, out / "compare.html"


def _one(model: str, source: Source, out: Path, settings: Settings, device: str) -> tuple[Evaluation, Path]:
    evaluation = evaluate(load_model(model, device), source, out, settings)
    return evaluation, write_report(evaluation)
