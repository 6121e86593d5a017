"""Scores of parts of a set: by condition, by source of the photo, by size of the light in the model's pixels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pacenote.advisory import Truth
from pacenote.engine.answer import Answer
from pacenote.evaluate.predictions import Prediction

CONDITIONS = ("weather", "time", "road_class")
# Lens diameter in px of the model's input.
LIGHT_BINS = ((0.0, 3.0), (3.0, 4.5), (4.5, 6.0), (6.0, 9.0), (9.0, float("inf")))
PART_RESAMPLES = 300  # enough for two digits of an interval's ends; the main table takes more


@dataclass(frozen=True)
class Frame:
    """What scoring needs to know of a frame; the picture itself stays in the Dataset, at `index`.

    `scale`: pixels of the model's input per pixel of the stored frame.
    """

    index: int
    id: str
    key: str
    question: str
    truth: Truth
    cluster: str
    origin: str = ""
    twin_of: str = ""
    scale: float = 1.0
    conditions: dict[str, Any] = field(default_factory=dict)

    @property
    def light_px(self) -> float | None:
        """Lens diameter of ego's light in pixels of the model's input; None without a light or its size."""
        px = self.conditions.get("light_px")
        return None if px is None or self.truth.light_state in (None, "none") else float(px) * self.scale


Row = tuple[Frame, Prediction]


def bin_name(low: float, high: float) -> str:
    """`<3`, `3-4.5`, ..., `>9`."""
    if low == 0:
        return f"<{high:g}"
    return f">{low:g}" if high == float("inf") else f"{low:g}-{high:g}"


def score_rows(rows: Sequence[Row], seed: int, resamples: int) -> dict[str, Any]:
    """`metrics.score` of predictions against their frames' truth, resampled by cluster, and `light_right`: the share of
    frames whose light state, `none` included, is told right, beside that of always saying the commonest state."""
    from pacenote.metrics import score

    figures = score(
        [prediction.advisory for _, prediction in rows],
        [frame.truth for frame, _ in rows],
        [frame.cluster for frame, _ in rows],
        seed=seed,
        resamples=resamples,
    )
    return figures | {"light_right": _light_right(rows, seed, resamples)}


def _light_right(rows: Sequence[Row], seed: int, resamples: int) -> dict[str, Any]:
    from collections import Counter

    import numpy as np

    from pacenote.metrics.bootstrap import Resampler, interval

    known = [(frame, said) for frame, said in rows if frame.truth.light_state is not None]
    if not known:
        return {"accuracy": None, "n": 0, "ci": None, "commonest": None}
    right = np.asarray([float(bool(slot_right(said, frame.truth, "light"))) for frame, said in known])
    resampler = Resampler([frame.cluster for frame, _ in known], seed=seed, resamples=resamples)
    sums = resampler.sums({"right": right, "n": np.ones_like(right)})
    commonest = Counter(frame.truth.light_state for frame, _ in known).most_common(1)[0][1] / len(known)
    ci = interval(sums["right"] / sums["n"].clip(1))
    return {"accuracy": float(right.mean()), "n": len(known), "ci": ci, "commonest": commonest}


def by(rows: Sequence[Row], group: Callable[[Frame], str | None], seed: int) -> dict[str, dict[str, Any]]:
    """The score of each group, groups in sorted order; frames whose group is None are left out."""
    from pacenote.metrics import breakdown

    return breakdown(
        [prediction.advisory for _, prediction in rows],
        [frame.truth for frame, _ in rows],
        [group(frame) for frame, _ in rows],
        [frame.cluster for frame, _ in rows],
        seed=seed,
        resamples=PART_RESAMPLES,
    )


def flips(rows: Sequence[Row], seed: int) -> dict[str, Any] | None:
    """`metrics.flip_accuracy` over the twins of the set; None where it has none."""
    from pacenote.metrics import flip_accuracy, twin_pairs

    truths = [frame.truth for frame, _ in rows]
    pairs = twin_pairs([frame.id for frame, _ in rows], [frame.twin_of for frame, _ in rows], truths)
    if not pairs:
        return None
    answers = [prediction.advisory for _, prediction in rows]
    return flip_accuracy(answers, truths, pairs, [frame.cluster for frame, _ in rows], seed=seed)


def by_condition(rows: Sequence[Row], seed: int) -> dict[str, dict[str, Any]]:
    """`{condition: {value: score}}` for the conditions that take at least two values in the set."""
    found = {}
    for name in CONDITIONS:
        parts = by(rows, lambda frame, name=name: frame.conditions.get(name), seed)  # type: ignore[misc]
        if len(parts) > 1:
            found[name] = parts
    return found


def by_light_px(rows: Sequence[Row], seed: int) -> dict[str, dict[str, Any]]:
    """The score of the frames with a light, by its size. A false alarm has no size, so P counts wrong colours."""

    def group(frame: Frame) -> str | None:
        px = frame.light_px
        if px is None:
            return None
        return next(bin_name(low, high) for low, high in LIGHT_BINS if low <= px < high)

    parts = by(rows, group, seed)
    order = [bin_name(low, high) for low, high in LIGHT_BINS]
    return {name: parts[name] for name in order if name in parts}


def calibration(rows: Sequence[Row], bins: int = 10) -> dict[str, dict[str, Any]]:
    """Per slot: expected calibration error and the reliability curve `[(mean confidence, share right, n), ...]`.

    A slot is right when every fact of it that is known agrees; speed within 5 km/h, the step of the scale.
    """
    found: dict[str, dict[str, Any]] = {}
    for slot in ("speed", "light", "obstacles", "crossroad"):
        points = []
        for frame, prediction in rows:
            confidence = (prediction.confidence or {}).get(slot)
            right = slot_right(prediction, frame.truth, slot)
            if confidence is not None and right is not None:
                points.append((confidence, right))
        if points:
            found[slot] = reliability(points, bins)
    return found


def reliability(points: Sequence[tuple[float, bool]], bins: int = 10) -> dict[str, Any]:
    """Expected calibration error of (confidence, right) pairs, and its curve [(mean confidence, share right, n)]."""
    curve = []
    for k in range(bins):
        inside = [p for p in points if k / bins <= p[0] < (k + 1) / bins or (k == bins - 1 and p[0] >= 1.0)]
        if inside:
            mean = sum(c for c, _ in inside) / len(inside)
            curve.append((mean, sum(r for _, r in inside) / len(inside), len(inside)))
    ece = sum(abs(mean - share) * n for mean, share, n in curve) / len(points)
    return {"ece": ece, "n": len(points), "curve": curve}


def slot_right(prediction: Prediction | Answer, truth: Truth, slot: str) -> bool | None:
    """Whether a slot agrees with every known fact; None where nothing is known. An unreadable slot is wrong."""
    said = prediction.advisory
    if slot == "speed":
        if truth.speed_kmh is None:
            return None
        return said.speed_kmh is not None and abs(said.speed_kmh - truth.speed_kmh) <= 5
    if slot == "light":
        if truth.light_state is None:
            return None
        return said.light is not None and said.light.state == truth.light_state
    kinds: frozenset[str] | None = getattr(said, slot)
    facts: dict[str, bool | None] = getattr(truth, slot)
    present: bool | None = getattr(truth, f"{slot}_any")
    known = {kind: fact for kind, fact in facts.items() if fact is not None}
    if present is None and not known:
        return None
    if kinds is None:
        return False
    if present is not None and bool(kinds) != present:
        return False
    return all((kind in kinds) == fact for kind, fact in known.items())
