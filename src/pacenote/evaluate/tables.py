"""The figures as Markdown, with the row names of the paper's Table 2."""

from collections.abc import Mapping, Sequence
from typing import Any

# (name in the paper's Table 2, path in the figures)
ROWS: tuple[tuple[str, str], ...] = (
    ("FPS", "fps"),
    ("Memory (MiB)", "memory_mib"),
    ("Weights (MiB)", "weights_mib"),
    ("Recommended Speed sMAPE", "speed.smape"),
    ("Recommended Speed R2", "speed.r2"),
    *((f"{name} {what}", f"{slot}.{what.lower()}")
      for name, slot in (("Traffic Lights", "light"), ("Obstacles", "obstacles"), ("Crossroad", "crossroad"))
      for what in ("P", "R", "F1")),
    ("Average", "average"),
)  # fmt: skip
# (column, path of the figure, path of its interval, path of its n)
PARTS: tuple[tuple[str, str, str, str], ...] = (
    ("sMAPE", "speed.smape", "ci.speed.smape", "speed.n"),
    ("R2", "speed.r2", "ci.speed.r2", "speed.n"),
    ("Lights F1", "light.f1", "ci.light.f1", "light.n"),
    ("Lights right", "light_right", "", "light.n"),
    ("Obstacles F1", "obstacles.f1", "ci.obstacles.f1", "obstacles.n"),
    ("Cones F1", "per_kind.obstacles.cone.f1", "per_kind.obstacles.cone.ci.f1", "per_kind.obstacles.cone.n"),
    ("Crossroad F1", "crossroad.f1", "ci.crossroad.f1", "crossroad.n"),
    ("Average", "average", "ci.average", "n"),
)


def look(figures: Mapping[str, Any] | None, path: str) -> Any:
    """`look(f, "light.f1")` is `f["light"]["f1"]`; None where a step is missing."""
    value: Any = figures
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def number(value: Any) -> str:
    """Three decimals below 10, one above, a dash for what is not known."""
    if value is None or value != value:
        return "–"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def interval(value: Any) -> str:
    """`[lo, hi]`, or nothing."""
    if not isinstance(value, Sequence) or len(value) != 2 or any(v is None or v != v for v in value):
        return ""
    return f"[{number(value[0])}, {number(value[1])}]"


def count(figures: Mapping[str, Any], path: str) -> str:
    """How many frames the figure rests on: those where the slot's truth is known, for the average all frames."""
    n = look(figures, f"{path.split('.')[0]}.n") if "." in path else look(figures, "n")
    return "–" if n is None else str(n)


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A pipe table; all but the first column stand right."""
    lines = ["| " + " | ".join(columns) + " |", "| --- |" + " ---: |" * (len(columns) - 1)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def main_table(figures: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of Table 2 for one model: value, interval, n, then each baseline."""
    baselines: Mapping[str, Any] = figures.get("baselines") or {}
    columns = ["", "value", "95 % interval", "n", *(name.replace("_", " ") for name in baselines)]
    rows = []
    for name, path in ROWS:
        measured = path in ("fps", "memory_mib")
        rows.append([
            name,
            number(look(figures, path)),
            interval(look(figures.get("ci"), path)),
            "" if measured else count(figures, path),
            *("" if measured else number(look(baseline, path)) for baseline in baselines.values()),
        ])  # fmt: skip
    if one_sided(figures, "obstacles"):
        rows[-1:-1] = _cone_rows(figures, baselines)
    return columns, rows


def one_sided(figures: Mapping[str, Any], slot: str) -> bool:
    """Whether every scored frame has something in the slot, so that its P cannot fall and its F1 says little."""
    n = look(figures, f"{slot}.n")
    return bool(n) and look(figures, f"{slot}.positives") == n


def _cone_rows(figures: Mapping[str, Any], baselines: Mapping[str, Any]) -> list[list[str]]:
    """P, R and F1 of cones alone; a constant answer is right as often as its prevalence allows."""
    cone = figures["per_kind"]["obstacles"]["cone"]
    if not cone["n"]:
        return []
    share = cone["positives"] / cone["n"]
    yes = {"p": share, "r": 1.0, "f1": 2 * share / (1 + share)}
    no = dict.fromkeys(yes, 0.0)
    constant = {"yes": yes, "none": no, "commonest": yes if share > 0.5 else no}
    return [
        [
            f"Cones {what.upper()}",
            number(cone[what]),
            interval(cone["ci"][what]),
            str(cone["n"]),
            *(number(constant.get(name, no)[what]) for name in baselines),
        ]
        for what in yes
    ]


def compare_table(several: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Table 2 with one column a model."""
    rows = []
    for name, path in ROWS:
        cells = [f"{number(look(f, path))} {interval(look(f.get('ci'), path))}".strip() for f in several.values()]
        rows.append([name, *cells])
    return ["", *several], rows


def part_table(parts: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """One row a part (a weather, a source, a size bin) with each main figure, its interval and, where fewer frames than
    all of the part are known, its n. Columns in which no part has a figure are left out."""
    full = {name: {**figures, "light_right": share_right(figures)} for name, figures in parts.items()}
    shown = [column for column in PARTS if any(look(figures, column[1]) is not None for figures in full.values())]
    rows = []
    for name, figures in full.items():
        cells = []
        for _, path, ci, n in shown:
            value, known = look(figures, path), look(figures, n)
            few = f" (n={known})" if value is not None and known != figures["n"] else ""
            cells.append(f"{number(value)} {interval(look(figures, ci))}".strip() + few)
        rows.append([name, str(figures["n"]), *cells])
    return ["", "frames", *(column[0] for column in shown)], rows


def share_right(figures: Mapping[str, Any]) -> float | None:
    """Share of frames whose light state, `none` included, is told right; what F1 cannot say where no light is."""
    counts = figures["confusion"]["counts"]
    total = sum(map(sum, counts))
    return sum(row[i] for i, row in enumerate(counts)) / total if total else None


def kind_table(figures: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """One row a kind that is there or was claimed; beside it the F1 of always saying yes."""
    rows = []
    for slot, kinds in figures["per_kind"].items():
        for kind, row in kinds.items():
            if not row["positives"] and not row["fp"]:
                continue
            yes = 2 * row["positives"] / (row["n"] + row["positives"])
            scores = [number(row[what]) for what in ("p", "r", "f1")]
            name = f"{slot}: {kind.replace('_', ' ')}"
            rows.append([name, str(row["n"]), str(row["positives"]), *scores, interval(row["ci"]["f1"]), number(yes)])
    return ["", "n", "positives", "P", "R", "F1", "95 % interval", "F1 of always yes"], rows
