"""Scores as printable rows: plain lists of strings, a header first, for Markdown, HTML or a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Table = list[list[str]]

DASH = "–"
SLOT_NAMES = {
    "speed": "Recommended Speed",
    "light": "Traffic Lights",
    "obstacles": "Obstacles",
    "crossroad": "Crossroad",
}
FIGURE_NAMES = {"smape": "sMAPE", "r2": "R2", "p": "P", "r": "R", "f1": "F1"}


def table2(scores: Mapping[str, Mapping[str, Any]], *, intervals: bool = True) -> Table:
    """Paper A's Table 2: one column a model (name -> `score` result, or the paper's own from `metrics.paper`).

    Rows `[group, figure, value...]` under the paper's names; FPS and Memory (MiB) where any column knows them, and n.
    """
    columns = list(scores.values())
    table: Table = [["", "", *scores]]
    for name, key, unit in (("FPS", "fps", "{:.1f}"), ("Memory", "memory_mib", "{:.0f} MiB")):
        if any(column.get(key) is not None for column in columns):
            table.append([name, "", *(DASH if c.get(key) is None else unit.format(c[key]) for c in columns)])
    for slot, title in SLOT_NAMES.items():
        for figure in ("smape", "r2") if slot == "speed" else ("p", "r", "f1"):
            cells = [_cell(c[slot].get(figure), _bounds(c, slot, figure) if intervals else None) for c in columns]
            table.append([title, FIGURE_NAMES[figure], *cells])
    cells = [_cell(c["average"], (c.get("ci") or {}).get("average") if intervals else None) for c in columns]
    table.append(["Average", "", *cells])
    if any("n" in column for column in columns):
        table.append(["Frames", "n", *(str(c.get("n", DASH)) for c in columns)])
    return table


def with_baselines(name: str, result: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Columns for `table2`: the model, then its set's baselines."""
    return {name: result} | {f"always {kind}": column for kind, column in result["baselines"].items()}


def slot_table(result: Mapping[str, Any]) -> Table:
    """What stands behind each slot's figures: scored frames, positives, TP, FP, FN, unreadable answers."""
    table: Table = [["Slot", "n", "positives", "TP", "FP", "FN", "unreadable"]]
    for slot, title in SLOT_NAMES.items():
        counts = [str(result[slot].get(part, DASH)) for part in ("n", "positives", "tp", "fp", "fn")]
        table.append([title, *counts, str(result["unreadable"][slot])])
    return table


def kind_table(result: Mapping[str, Any]) -> Table:
    """P, R and F1 of each kind of obstacle and crossroad."""
    table: Table = [["Slot", "Kind", "P", "R", "F1", "n", "positives"]]
    for slot, kinds in result["per_kind"].items():
        for kind, row in kinds.items():
            figures = [_cell(row[figure], row["ci"][figure]) for figure in ("p", "r", "f1")]
            table.append([SLOT_NAMES[slot], kind.replace("_", " "), *figures, str(row["n"]), str(row["positives"])])
    return table


def confusion_table(result: Mapping[str, Any]) -> Table:
    """Light states: rows are the truth, columns the answer."""
    confusion = result["confusion"]
    rows = zip(confusion["truth"], confusion["counts"], strict=True)
    return [["truth \\ answer", *confusion["answer"]], *([state, *map(str, counts)] for state, counts in rows)]


def breakdown_table(groups: Mapping[str, Mapping[str, Any]]) -> Table:
    """One row a group of `breakdown`: its frames, sMAPE and R2 of the speed, the F1 of the slots, the average."""
    table: Table = [["Group", "n", "sMAPE", "R2", "Lights F1", "Obstacles F1", "Crossroad F1", "Average"]]
    for name, result in groups.items():
        figures = [("speed", "smape"), ("speed", "r2"), ("light", "f1"), ("obstacles", "f1"), ("crossroad", "f1")]
        cells = [_cell(result[slot][figure], _bounds(result, slot, figure)) for slot, figure in figures]
        table.append([name, str(result["n"]), *cells, _cell(result["average"], result["ci"]["average"])])
    return table


def flip_table(flips: Mapping[str, Any]) -> Table:
    """Rows of `flip_accuracy`: each slot that has pairs, then all."""
    table: Table = [["Flipped slot", "pairs", "both right"]]
    rows = [(SLOT_NAMES[slot], row) for slot, row in flips["by_slot"].items() if row["n"]]
    return table + [[name, str(row["n"]), _cell(row["accuracy"], row["ci"])] for name, row in [*rows, ("All", flips)]]


def markdown(table: Sequence[Sequence[str]]) -> str:
    """A GitHub Markdown table of the rows, the first as its header."""
    header, *rows = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in table]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *rows])


def _bounds(result: Mapping[str, Any], slot: str, figure: str) -> list[float] | None:
    return ((result.get("ci") or {}).get(slot) or {}).get(figure)


def _cell(value: float | None, bounds: Sequence[float] | None = None) -> str:
    if value is None:
        return DASH
    return f"{value:.3f}" if bounds is None else f"{value:.3f} [{bounds[0]:.3f}, {bounds[1]:.3f}]"
