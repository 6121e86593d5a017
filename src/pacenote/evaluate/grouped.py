"""A table of columns that each stand for several evaluations of one set: the same training with several seeds.

A column's figure is the mean over its evaluations, its interval comes from the same resampled frames for all columns,
and so does the interval of its difference from another column (see `paired`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pacenote.advisory import Advisory, Truth
from pacenote.errors import InputError
from pacenote.evaluate import paired, tables
from pacenote.evaluate.compare import read_answers, read_figures
from pacenote.evaluate.source import Source

MEASURED = ("fps", "memory_mib", "weights_mib")  # of an evaluation as a whole: no interval


def group(
    several: Mapping[str, Sequence[Path]], source: Source, *, against: str = "", seed: int = 0, resamples: int = 1000
) -> dict[str, dict[str, Any]]:
    """For each title: `{"value", "ci", "least", "most", "n"}` with figures by name ("light.f1"), least and most over
    its `n` evaluations, and `{"difference": {name: {"difference", "ci"}}}` from the column `against`.

    Raises InputError where an evaluation is of another set, or lacks a frame.
    """
    import numpy as np

    from pacenote.metrics.bootstrap import Resampler, interval

    samples = [source.samples[index] for index in source.indices()]
    truths = [sample.truth or Truth.unknown() for sample in samples]
    resampler = Resampler([sample.cluster for sample in samples], seed=seed, resamples=resamples)
    values: dict[str, list[dict[str, float]]] = {}
    drawn: dict[str, list[dict[str, Any]]] = {}
    for title, places in several.items():
        for place in places:
            whole = read_figures(place)
            if whole["dataset"]["digest"] != source.digest:
                raise InputError(
                    f"{place}: is of {whole['dataset']['name']}, not of {source.name}; evaluate on one set"
                )
            totals, draws = paired.drawn_figures(_answers(place, [s.id for s in samples]), truths, resampler)
            own = {name: float(value) for name, value in totals.items()}
            own |= {name: float(whole[name]) for name in MEASURED if whole.get(name) is not None}
            values.setdefault(title, []).append(own)
            drawn.setdefault(title, []).append(draws)
    table: dict[str, dict[str, Any]] = {}
    for title, owns in values.items():
        names = owns[0]
        mean = {name: float(np.mean([own.get(name, np.nan) for own in owns])) for name in names}
        draws = {name: np.mean([one[name] for one in drawn[title]], axis=0) for name in drawn[title][0]}
        table[title] = {
            "n": len(owns), "value": {name: _number(value) for name, value in mean.items()},
            "ci": {name: interval(one) for name, one in draws.items()},
            "least": {name: _number(min(own.get(name, np.nan) for own in owns)) for name in names},
            "most": {name: _number(max(own.get(name, np.nan) for own in owns)) for name in names},
            "draws": draws,
        }  # fmt: skip
    for title, column in table.items():
        base = table.get(against)
        if base is not None and title != against:
            column["difference"] = {
                name: {"difference": _number(column["value"][name], base["value"][name]),
                       "ci": interval(column["draws"][name] - base["draws"][name])}
                for name in column["draws"]
            }  # fmt: skip
    for column in table.values():
        del column["draws"]
    return table


def _answers(place: Path, ids: Sequence[str]) -> list[Advisory]:
    held = read_answers(place)
    missing = [one for one in ids if one not in held]
    if missing:
        raise InputError(f"{place}: has no answer for {missing[0]}; run it without --limit")
    return [held[one] for one in ids]


def _number(value: float | None, less: float | None = 0.0) -> float | None:
    return None if value is None or less is None or value != value or less != less else value - less


def as_table(
    table: Mapping[str, Mapping[str, Any]], paper: Mapping[str, Mapping[str, Any]], filled_later: Sequence[str] = ()
) -> tuple[list[str], list[list[str]]]:
    """Rows of Table 2: our columns with intervals, those that are filled later (a dash), the paper's as printed."""
    head = ["", *(f"{title} ({column['n']} seeds)" if column["n"] > 1 else title for title, column in table.items())]
    rows = []
    for name, path in tables.ROWS:
        ours = [
            f"{tables.number(column['value'].get(path))} {tables.interval(column['ci'].get(path))}".strip()
            for column in table.values()
        ]
        printed = [tables.number(tables.look(column, path)) for column in paper.values()]
        rows.append([name, *ours, *("–" for _ in filled_later), *printed])
    return [*head, *filled_later, *(f"paper: {title}" for title in paper)], rows


def differences(table: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Each column's difference from the one that it was held against."""
    return paired.difference_table({t: column["difference"] for t, column in table.items() if "difference" in column})
