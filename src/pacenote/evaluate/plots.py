"""Plots of one evaluation, as matplotlib figures."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pacenote.evaluate.breakdown import LIGHT_BINS, Row, bin_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ACCENT = "#2563a8"


def _axes(width: float, height: float) -> tuple["Figure", Any]:
    """A figure without pyplot's global state, so that plots can be made in any thread or process."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def confusion(figures: Mapping[str, Any]) -> "Figure":
    """States of the light: truth in rows, answer in columns; colour is the share of the row, figures are counts."""
    import numpy as np

    table = figures["confusion"]
    counts = np.asarray(table["counts"], float)
    used = counts.sum(1) > 0
    answers = [i for i, name in enumerate(table["answer"]) if counts[:, i].sum() > 0 or name in table["truth"][:4]]
    counts = counts[used][:, answers]
    share = counts / counts.sum(1, keepdims=True).clip(1)
    figure, axes = _axes(5.2, 0.62 * max(len(counts), 2) + 1.4)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(answers)), [table["answer"][i] for i in answers])
    axes.set_yticks(range(len(counts)), [name for name, keep in zip(table["truth"], used, strict=True) if keep])
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    for (row, column), value in np.ndenumerate(counts):
        ink = "white" if share[row, column] > 0.55 else "black"
        axes.text(column, row, f"{value:.0f}", ha="center", va="center", color=ink)
    return figure


def speed_scatter(rows: Sequence[Row]) -> "Figure | None":
    """Advised against true speed; the area of a disc is the number of frames. None where no speed is known."""
    from collections import Counter

    pairs = Counter(
        (frame.truth.speed_kmh, said.advisory.speed_kmh)
        for frame, said in rows
        if frame.truth.speed_kmh is not None and said.advisory.speed_kmh is not None
    )
    if not pairs:
        return None
    top = max(max(pair) for pair in pairs) + 8
    largest = max(pairs.values())
    figure, axes = _axes(4.6, 4.4)
    axes.plot([0, top], [0, top], color="#9aa1ab", lw=1, zorder=1)
    sizes = [12 + 260 * n / largest for n in pairs.values()]
    axes.scatter([t for t, _ in pairs], [p for _, p in pairs], s=sizes, color=ACCENT, alpha=0.55, lw=0, zorder=2)
    axes.set(xlim=(0, top), ylim=(0, top), xlabel="true speed, km/h", ylabel="advised speed, km/h", aspect="equal")
    return figure


def light_size(parts: Mapping[str, Mapping[str, Any]]) -> "Figure | None":
    """F1 and recall of the light by lens diameter in the model's pixels, with 95 % intervals. None without sizes."""
    names = [bin_name(low, high) for low, high in LIGHT_BINS if bin_name(low, high) in parts]
    if not names:
        return None
    figure, axes = _axes(5.4, 3.4)
    for offset, what, colour, marker in ((-0.08, "f1", ACCENT, "o"), (0.08, "r", "#d97706", "s")):
        values = [parts[name]["light"][what] or 0.0 for name in names]
        spans = [parts[name]["ci"]["light"][what] or [v, v] for name, v in zip(names, values, strict=True)]
        below = [max(v - lo, 0) for v, (lo, _) in zip(values, spans, strict=True)]
        above = [max(hi - v, 0) for v, (_, hi) in zip(values, spans, strict=True)]
        x = [i + offset for i in range(len(names))]
        label = "F1" if what == "f1" else "recall"
        axes.errorbar(x, values, yerr=[below, above], fmt=marker, color=colour, capsize=3, label=label)
    ticks = [f"{name}\nn={parts[name]['light']['n']}" for name in names]
    axes.set_xticks(range(len(names)), ticks)
    axes.set(ylim=(0, 1.04), xlabel="lens diameter, px of the model's input", ylabel="traffic light")
    axes.legend(frameon=False, loc="lower right")
    return figure


def reliability(calibration: Mapping[str, Mapping[str, Any]]) -> "Figure | None":
    """Share of right answers against stated confidence, one curve a slot; the diagonal is perfect. None without any."""
    if not calibration:
        return None
    figure, axes = _axes(4.6, 4.4)
    axes.plot([0, 1], [0, 1], color="#9aa1ab", lw=1)
    colours = {"speed": "#6b4ea0", "light": "#c8323c", "obstacles": "#d97706", "crossroad": ACCENT}
    for slot, found in calibration.items():
        x, y, n = zip(*found["curve"], strict=True)
        most = max(n)
        axes.plot(x, y, color=colours[slot], lw=1.2, label=f"{slot}, ECE {found['ece']:.3f}")
        axes.scatter(x, y, s=[8 + 70 * k / most for k in n], color=colours[slot], alpha=0.8, lw=0)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="confidence", ylabel="share right", aspect="equal")
    axes.legend(frameon=False, loc="upper left", fontsize=8)
    return figure


def latency(ms: Sequence[float]) -> "Figure | None":
    """Histogram of the time of one frame at batch 1. None below five frames."""
    if len(ms) < 5:
        return None
    figure, axes = _axes(5.0, 2.8)
    axes.hist(ms, bins=min(30, len(ms)), color=ACCENT, alpha=0.85)
    axes.set(xlabel="ms a frame at batch 1", ylabel="frames")
    return figure
