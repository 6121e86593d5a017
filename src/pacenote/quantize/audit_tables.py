"""The audit's figures as tables, for Markdown and for a report page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Table = tuple[str, list[str], list[list[str]]]  # what is said before it, columns, rows


def share(held: Mapping[str, Any]) -> str:
    """`count / n, at most upper`."""
    return f"{held['count']} / {held['n']}, at most {held['upper']:.2%}"


def tables(figures: Mapping[str, Any]) -> Iterator[Table]:
    """Every table of an audit."""
    flips = [
        ["red became green, of what 16 bits call red", share(figures["red_green"])],
        ["... where it is red", share(figures["red_green"]["wrong"])],
        ["... of all frames", share(figures["red_green"]["of_all"])],
        ["cone lost, of what 16 bits call a cone", share(figures["cone_missed"])],
        ["... where there is one", share(figures["cone_missed"]["wrong"])],
    ]
    if held := figures.get("control"):
        flips += [
            ["rounding alone: red is green in float32", share(held["red_green"])],
            ["rounding alone: a cone is lost in float32", share(held["cone_missed"])],
        ]
    yield "Flips that matter, with one-sided exact 95 % bounds (Clopper-Pearson).", ["", "frames"], flips
    yield "Scores of both models; the interval is that of the difference.", *_scores(figures["scores"])
    states = figures["light"]["states"]
    rows = [[state, *map(str, row)] for state, row in zip(states, figures["light"]["counts"], strict=True)]
    yield "Light: rows 16 bits, columns quantized.", ["", *states], rows
    kinds = [
        [f"{slot}: {kind.replace('_', ' ')}", *(str(held[a][b]) for a, b in ((1, 1), (1, 0), (0, 1), (0, 0)))]
        for slot in ("obstacles", "crossroad")
        for kind, held in figures[slot].items()
    ]
    yield "Kinds.", ["", "both name it", "lost", "gained", "neither"], kinds
    yield "Speed, km/h.", ["", "mean", "p95", "p99", "max"], _speed(figures["speed"])
    rows = [
        [f"{name}: {value}", str(own["n"]), str(own["changed"]), str(own["light_changed"]), share(own["red_green"]),
         share(own["cone_missed"])]
        for name, parts in figures["by_condition"].items()
        for value, own in parts.items()
    ]  # fmt: skip
    columns = ["", "frames", "changed", "light changed", "red became green", "cone lost"]
    yield "By condition (light_px: lens diameter in pixels of the model's input).", columns, rows
    held = figures["conflict"]
    rows = [
        [slot, str(held[slot]["n"]), *(str(held[slot]["follows"][who]) for who in ("16-bit", "quantized"))]
        for slot in ("light", "obstacles")
    ]
    words = "A hint that contradicts the picture: how often it is followed; red became green under it: "
    yield words + share(held["red_green"]) + ".", ["hint about", "frames", "16 bits follow", "quantized follows"], rows


def _scores(scores: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    from pacenote.evaluate.tables import interval, number

    rows = []
    for name, own in scores.items():
        change = "–" if own["difference"] is None else f"{own['difference']:+.4f}"
        rows.append([name, number(own["16-bit"]), number(own["quantized"]), change, interval(own["ci"])])
    return ["", "16 bits", "quantized", "difference", "95 % interval"], rows


def _speed(speed: Mapping[str, Any]) -> list[list[str]]:
    named = [("between the two", speed["difference"])]
    named += [(f"error, {name}", own) for name, own in speed["error"].items()]
    return [[name, *(f"{own[k]:.1f}" for k in ("mean", "p95", "p99", "max"))] for name, own in named if own]


def markdown(figures: Mapping[str, Any]) -> str:
    """The audit as a Markdown page."""
    from pacenote.evaluate.tables import markdown as pipe

    parts = [f"# Audit of {figures['n']} frames\n\n{figures['same']} answers are the same in every slot."]
    parts += [f"{words}\n\n{pipe(columns, rows)}" for words, columns, rows in tables(figures)]
    return "\n\n".join(parts) + "\n"
