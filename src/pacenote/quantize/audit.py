"""What quantization changed, decision by decision: the 16-bit model's answers beside those of its checkpoint.

An average hides the one flip that matters. Here every pair of answers is counted by slot and class, red that became
green and cones that were lost with exact bounds, by condition, and under hints that contradict the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.advisory import CROSSROADS, LIGHT_STATES, OBSTACLES, Advisory
from pacenote.errors import InputError
from pacenote.quantize.bounds import needed, rate
from pacenote.quantize.paired import Asked, ask_all

if TYPE_CHECKING:
    from pacenote.evaluate.breakdown import Frame

KINDS = {"obstacles": OBSTACLES, "crossroad": CROSSROADS}
CONDITIONS = ("weather", "time")
Pair = tuple["Frame", Advisory, Advisory]  # frame, what the 16-bit model said, what the quantized one said


def audit(
    reference: str,
    quantized: str,
    data: Sequence[str],
    *,
    split: str = "test",
    limit: int | None = None,
    device: str = "auto",
    control: bool = False,
    seed: int = 0,
    resamples: int = 1000,
) -> dict[str, Any]:
    """Ask both models about a split of the Datasets `data`, one model after the other, and compare; see `compare`.
    With `control` also the 16-bit model in the other of 16 and 32 bits (`models.precision` tells which of them the
    machine asks it in): what flips there is rounding's doing alone (`control`)."""
    import torch

    from pacenote.evaluate.source import open_source
    from pacenote.evaluate.suite import load_model

    sources = [open_source(name, split) for name in data]
    told = []
    for name, label in ((reference, "16-bit answers"), (quantized, "quantized answers")):
        told.append(ask_all(load_model(name, device), sources, label, limit=limit))
    figures: dict[str, Any] = {"data": [source.name for source in sources], "split": split}
    figures |= compare(*told, seed=seed, resamples=resamples)
    if control:
        model = load_model(reference, device)
        model.model.to(torch.bfloat16 if model.model.dtype == torch.float32 else torch.float32)
        rounded = compare(told[0], ask_all(model, sources, "answers rounded otherwise", limit=limit), resamples=0)
        figures["control"] = {name: rounded[name] for name in ("n", "same", "red_green", "cone_missed")}
    return figures


def compare(first: Sequence[Asked], second: Sequence[Asked], *, seed: int = 0, resamples: int = 1000) -> dict[str, Any]:
    """Figures of paired answers: `n` frames; `light`, `obstacles`, `crossroad`: counts [16-bit][quantized];
    `red_green`, `cone_missed`: shares with exact bounds; `speed`: tail of |difference| in km/h; `average` of both with
    the interval of the difference; `by_condition`; `conflict`."""
    if [(a.frame.id, a.hint) for a in first] != [(b.frame.id, b.hint) for b in second]:
        raise InputError("the two models were not asked about the same frames; ask both again")
    pairs = [(a.frame, a.advisory, b.advisory) for a, b in zip(first, second, strict=True) if not a.hint]
    lied = [(a, b) for a, b in zip(first, second, strict=True) if a.hint]
    return {
        "n": len(pairs),
        "same": sum(a == b for _, a, b in pairs),
        "light": {"states": list(LIGHT_STATES), "counts": light_matrix(pairs)},
        **{slot: {kind: kind_matrix(pairs, slot, kind) for kind in kinds} for slot, kinds in KINDS.items()},
        "light_exact_changed": sum(a.light != b.light for _, a, b in pairs),
        "red_green": red_green(pairs),
        "cone_missed": cone_missed(pairs),
        "speed": speed_tail(pairs),
        **_scores(pairs, seed, resamples),
        "by_condition": by_condition(pairs),
        "conflict": conflict(lied),
    }


def light_matrix(pairs: Sequence[Pair]) -> list[list[int]]:
    """(5, 5) counts: rows the 16-bit model's state, columns the quantized one's, in the order of LIGHT_STATES."""
    counts = [[0] * len(LIGHT_STATES) for _ in LIGHT_STATES]
    for _, a, b in pairs:
        counts[_state(a)][_state(b)] += 1
    return counts


def _state(said: Advisory) -> int:
    return LIGHT_STATES.index("none" if said.light is None else said.light.state)


def kind_matrix(pairs: Sequence[Pair], slot: str, kind: str) -> list[list[int]]:
    """(2, 2) counts: rows whether the 16-bit model named the kind, columns whether the quantized one did."""
    counts = [[0, 0], [0, 0]]
    for _, a, b in pairs:
        counts[kind in (getattr(a, slot) or ())][kind in (getattr(b, slot) or ())] += 1
    return counts


def red_green(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Red that became green: of the frames that the 16-bit model calls red, `count`, `n`, `rate`, `upper`; `of_all`
    frames; `wrong`: those where the truth is red, of the frames where the 16-bit model rightly says red."""
    red, green = LIGHT_STATES.index("red"), LIGHT_STATES.index("green")
    called = [(f, _state(b)) for f, a, b in pairs if _state(a) == red]
    right = [state for frame, state in called if frame.truth.light_state == "red"]
    flips = sum(state == green for _, state in called)
    return rate(flips, len(called)) | {
        "of_all": rate(flips, len(pairs)),
        "wrong": rate(sum(state == green for state in right), len(right)),
    }


def cone_missed(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Cones that the 16-bit model names and the quantized one does not; `wrong`: of the frames that have one."""
    named = [(f, "cone" in (b.obstacles or ())) for f, a, b in pairs if "cone" in (a.obstacles or ())]
    right = [seen for frame, seen in named if frame.truth.obstacles.get("cone")]
    missed = rate(sum(not seen for _, seen in named), len(named))
    return missed | {"wrong": rate(sum(not seen for seen in right), len(right))}


def speed_tail(pairs: Sequence[Pair]) -> dict[str, Any]:
    """|difference| of the two speeds in km/h: how many changed, mean, p95, p99 and the largest; and p95, p99 of the
    error of each against what is true, where it is known."""
    import numpy as np

    def tail(values: Sequence[float]) -> dict[str, float] | None:
        if not values:
            return None
        own = np.asarray(values)
        return {
            "mean": float(own.mean()), "p95": float(np.percentile(own, 95)), "p99": float(np.percentile(own, 99)),
            "max": float(own.max()),
        }  # fmt: skip

    known = [p for p in pairs if p[1].speed_kmh is not None and p[2].speed_kmh is not None]
    true = [p for p in known if p[0].truth.speed_kmh is not None]
    gaps = [abs(int(a.speed_kmh or 0) - int(b.speed_kmh or 0)) for _, a, b in known]
    errors = {
        "16-bit": tail([abs(int(a.speed_kmh or 0) - int(frame.truth.speed_kmh or 0)) for frame, a, _ in true]),
        "quantized": tail([abs(int(b.speed_kmh or 0) - int(frame.truth.speed_kmh or 0)) for frame, _, b in true]),
    }
    return {"n": len(known), "changed": sum(gap > 0 for gap in gaps), "difference": tail(gaps), "error": errors}


def _scores(pairs: Sequence[Pair], seed: int, resamples: int) -> dict[str, Any]:
    """The Average of both models and every figure's difference with its 95 % interval, resampled by scene."""
    from pacenote.evaluate.paired import drawn_figures
    from pacenote.metrics.bootstrap import Resampler, interval

    truths = [frame.truth for frame, _, _ in pairs]
    resampler = Resampler([frame.cluster for frame, _, _ in pairs], seed=seed, resamples=resamples)
    first, first_drawn = drawn_figures([a for _, a, _ in pairs], truths, resampler)
    second, second_drawn = drawn_figures([b for _, _, b in pairs], truths, resampler)
    found = {}
    for name in ("average", "light.f1", "obstacles.f1", "crossroad.f1", "speed.r2", "speed.smape"):
        values = float(first[name]), float(second[name])
        known = values[0] == values[0] and values[1] == values[1]
        found[name] = {
            "16-bit": values[0] if known else None,
            "quantized": values[1] if known else None,
            "difference": values[1] - values[0] if known else None,
            "ci": interval(second_drawn[name] - first_drawn[name]) if known else None,
        }
    return {"scores": found}


def by_condition(pairs: Sequence[Pair]) -> dict[str, dict[str, Any]]:
    """By weather, time of day and the light's size in pixels of the model's input: frames, changed lights, changed
    advisories, red that became green, cones lost."""
    from pacenote.evaluate.breakdown import LIGHT_BINS, bin_name

    def lens(frame: Frame) -> str | None:
        px = frame.light_px
        return None if px is None else next(bin_name(low, high) for low, high in LIGHT_BINS if low <= px < high)

    def condition(name: str) -> Callable[[Frame], str | None]:
        return lambda frame: frame.conditions.get(name)

    groups = {name: condition(name) for name in CONDITIONS} | {"light_px": lens}
    found: dict[str, dict[str, Any]] = {}
    for name, group in groups.items():
        parts: dict[str, list[Pair]] = {}
        for pair in pairs:
            value = group(pair[0])
            if value is not None:
                parts.setdefault(str(value), []).append(pair)
        found[name] = {
            value: {
                "n": len(own),
                "light_changed": sum(_state(a) != _state(b) for _, a, b in own),
                "changed": sum(a != b for _, a, b in own),
                "red_green": rate(red_green(own)["count"], red_green(own)["n"]),
                "cone_missed": rate(cone_missed(own)["count"], cone_missed(own)["n"]),
            }
            for value, own in sorted(parts.items())
        }
    return found


def conflict(lied: Sequence[tuple[Asked, Asked]]) -> dict[str, Any]:
    """Under a hint that contradicts the picture: how often each model follows it, and what differs between the two."""
    light = [pair for pair in lied if pair[0].hint == "light"]
    cones = [pair for pair in lied if pair[0].hint == "obstacles"]

    def follows(asked: Asked) -> bool:
        from pacenote.quantize.paired import OPPOSITE

        if asked.hint == "light":
            state = LIGHT_STATES[_state(asked.advisory)]
            return state == OPPOSITE.get(str(asked.frame.truth.light_state))
        return "cone" not in (asked.advisory.obstacles or ())

    pairs = [(a.frame, a.advisory, b.advisory) for a, b in light]
    return {
        slot: {
            "n": len(own),
            "follows": {"16-bit": sum(follows(a) for a, _ in own), "quantized": sum(follows(b) for _, b in own)},
        }
        for slot, own in (("light", light), ("obstacles", cones))
    } | {"red_green": rate(red_green(pairs)["count"], red_green(pairs)["n"])}


def verdict(figures: dict[str, Any], most: float) -> str:
    """Why the audit fails, in one line; "" where the upper bound of red that became green is at most `most`."""
    held = figures["red_green"]
    if held["upper"] <= most:
        return ""
    line = (
        f"red became green in {held['count']} of {held['n']} frames that the 16-bit model calls red: at most"
        f" {held['upper']:.2%} (95 %), the limit is {most:.2%}"
    )
    enough = needed(most)
    return line if held["n"] >= enough else f"{line}, which needs {enough} such frames even without a flip"


def write(figures: dict[str, Any], place: Path) -> None:
    """`audit.json` and `audit.md` in the directory `place`."""
    from pacenote.quantize.audit_tables import markdown
    from pacenote.work import write_json, write_text

    write_json(place / "audit.json", figures)
    write_text(place / "audit.md", markdown(figures))
