"""The figures as Markdown, with the row names of the paper's Table 2."""

from collections.abc import Mapping, Sequence
from typing import Any

# (name in the paper's Table 2, path in the figures)
ROWS: tuple[tuple[str, str], ...] = (
    ("FPS", "fps"),
    ("Memory (MiB)", "memory_mib"),
    ("Recommended Speed sMAPE", "speed.smape"),
    ("Recommended Speed R2", "speed.r2"),
    *((f"{name} {what}", f"{slot}.{what.lower()}")
      for name, slot in (("Traffic Lights", "light"), ("Obstacles", "obstacles"), ("Crossroad", "crossroad"))
      for what in ("P", "R", "F1")),
    ("Average", "average"),
)  # fmt: skip
PARTS = ("speed.smape", "speed.r2", "light.f1", "obstacles.f1", "crossroad.f1", "average")
PART_NAMES = ("sMAPE", "R2", "Lights F1", "Obstacles F1", "Crossroad F1", "Average")


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
    return columns, rows


def compare_table(several: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Table 2 with one column a model."""
    rows = []
    for name, path in ROWS:
        cells = [f"{number(look(f, path))} {interval(look(f.get('ci'), path))}".strip() for f in several.values()]
        rows.append([name, *cells])
    return ["", *several], rows


def part_table(parts: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """One row a part (a weather, a source, a size bin): n, then each main figure with its interval."""
    rows = []
    for name, figures in parts.items():
        cells = [f"{number(look(figures, p))} {interval(look(figures.get('ci'), p))}".strip() for p in PARTS]
        rows.append([name, count(figures, "n"), *cells])
    return ["", "frames", *PART_NAMES], rows
