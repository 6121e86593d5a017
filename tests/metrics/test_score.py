"""Every figure against a second, slow implementation written from the definitions, frame by frame."""

import json
import math
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacenote.advisory import CROSSROADS, LIGHT_STATES, OBSTACLES, SPEEDS, Advisory, Light, Truth
from pacenote.metrics import breakdown, score
from tests.advisory.strategies import advisories, partial_advisories, truths

frames = st.lists(st.tuples(partial_advisories, truths(), st.sampled_from("abcd")), min_size=1, max_size=25)


def slow_counts(pairs: list[tuple[object, object]], none: object) -> dict[str, int]:
    """TP, FP, FN over (answer, truth); answer None = unreadable, truth None = not scored."""
    tp = fp = fn = 0
    for answer, truth in pairs:
        if truth is None:
            continue
        if answer is None:
            fn, fp = (fn + 1, fp) if truth != none else (fn, fp + 1)
            continue
        tp += answer == truth != none
        fp += answer != none and answer != truth
        fn += truth != none and answer != truth
    return {"tp": tp, "fp": fp, "fn": fn}


def slow_f1(counts: dict[str, int]) -> float | None:
    tp, fp, fn = counts["tp"], counts["fp"], counts["fn"]
    if tp + fp + fn == 0:
        return None
    p, r = tp / (tp + fp) if tp + fp else 0.0, tp / (tp + fn) if tp + fn else 0.0
    return 2 * p * r / (p + r) if p + r else 0.0


def slow_speed(pairs: list[tuple[int | None, int | None]]) -> tuple[float | None, float | None]:
    scored = [(p, t) for p, t in pairs if t is not None]
    if not scored:
        return None, None
    low, high = min(t for _, t in scored), max(t for _, t in scored)
    ends = (low, high) if low != high else (0, 130)

    def smape(p: int, t: int) -> float:
        return 0.0 if p == t == 0 else abs(p - t) / ((abs(p) + abs(t)) / 2)

    errors = [smape(p, t) if p is not None else max(smape(e, t) for e in ends) for p, t in scored]
    squares = [(p - t) ** 2 if p is not None else max((e - t) ** 2 for e in ends) for p, t in scored]
    mean = sum(t for _, t in scored) / len(scored)
    spread = sum((t - mean) ** 2 for _, t in scored)
    return sum(errors) / len(scored), 1 - sum(squares) / spread if spread else None


@given(frames)
def test_figures_equal_a_second_implementation(rows: list) -> None:
    predictions, facts, clusters = (list(column) for column in zip(*rows, strict=True))
    result = score(predictions, facts, clusters, resamples=10)

    smape, r2 = slow_speed([(p.speed_kmh, t.speed_kmh) for p, t in zip(predictions, facts, strict=True)])
    assert result["speed"]["smape"] == (None if smape is None else pytest.approx(smape))
    assert result["speed"]["r2"] == (None if r2 is None else pytest.approx(r2))

    pairs = zip(predictions, facts, strict=True)
    lights = slow_counts([(p.light and p.light.state, t.light_state) for p, t in pairs], "none")
    assert {part: result["light"][part] for part in lights} == lights
    f1s = [slow_f1(lights)]
    for slot, kinds in (("obstacles", OBSTACLES), ("crossroad", CROSSROADS)):
        said = [getattr(p, slot) for p in predictions]
        counts = slow_counts(
            [(None if s is None else bool(s), getattr(t, f"{slot}_any")) for s, t in zip(said, facts, strict=True)],
            False,
        )
        assert {part: result[slot][part] for part in counts} == counts
        f1s.append(slow_f1(counts))
        for kind in kinds:
            counts = slow_counts(
                [(None if s is None else kind in s, getattr(t, slot)[kind]) for s, t in zip(said, facts, strict=True)],
                False,
            )
            assert {part: result["per_kind"][slot][kind][part] for part in counts} == counts
    for slot, f1 in zip(("light", "obstacles", "crossroad"), f1s, strict=True):
        assert result[slot]["f1"] == (None if f1 is None else pytest.approx(f1))
    assert result["average"] == (None if None in f1s else pytest.approx(sum(f1s) / 3))  # type: ignore[arg-type]

    known = [(p, t) for p, t in zip(predictions, facts, strict=True) if t.light is not None]
    assert result["light_exact"]["n"] == len(known)
    if known:
        assert result["light_exact"]["accuracy"] == pytest.approx(
            sum(p.light == t.light for p, t in known) / len(known)
        )
    assert result["unreadable"]["light"] == sum(
        p.light is None and t.light_state is not None for p, t in zip(predictions, facts, strict=True)
    )
    assert sum(map(sum, result["confusion"]["counts"])) == sum(t.light_state is not None for t in facts)
    json.dumps(result, allow_nan=False)


@given(st.lists(advisories, min_size=1, max_size=20))
def test_right_answers_score_one_and_no_baseline_beats_them(said: list[Advisory]) -> None:
    result = score(said, [Truth.from_advisory(one) for one in said], [str(i) for i in range(len(said))], resamples=0)
    assert result["speed"]["smape"] == 0
    assert result["speed"]["r2"] in (None, 1.0)
    assert result["light_exact"]["accuracy"] == 1
    for slot in ("light", "obstacles", "crossroad"):
        assert result[slot]["f1"] == (1.0 if result[slot]["positives"] else None)
        for baseline in result["baselines"].values():
            assert (baseline[slot]["f1"] or 0) <= (result[slot]["f1"] or 0)


def test_the_average_row_of_paper_a() -> None:
    """Counts that give the paper's F1 of .941, .977 and .914 give its average of .944."""

    def with_f1(f1: float) -> tuple[int, int]:
        return round(1000 * f1), 2 * (1000 - round(1000 * f1))  # tp, and misses: 2tp / (2tp + fn) with fp = 0

    predictions, facts = [], []
    for slot, f1 in (("light", 0.941), ("obstacles", 0.977), ("crossroad", 0.914)):
        tp, fn = with_f1(f1)
        for index in range(tp + fn):
            right = index < tp
            said = {"speed_kmh": None, "light": None, "obstacles": None, "crossroad": None}
            if slot == "light":
                said["light"] = Light("red" if right else "none")
                truth = Truth(light_state="red")
            elif slot == "obstacles":
                said["obstacles"] = frozenset({"cone"} if right else ())
                truth = Truth(obstacles={"cone": True})
            else:
                said["crossroad"] = frozenset({"intersection"} if right else ())
                truth = Truth(crossroad={"intersection": True})
            predictions.append(Advisory(**said))  # type: ignore[arg-type]
            facts.append(truth)
    result = score(predictions, facts, ["one"] * len(facts), resamples=0)
    assert [round(result[slot]["f1"], 3) for slot in ("light", "obstacles", "crossroad")] == [0.941, 0.977, 0.914]
    assert round(result["average"], 3) == 0.944
    assert result["speed"] == {"smape": None, "r2": None, "n": 0}


def test_a_wrong_colour_is_a_false_alarm_and_a_miss() -> None:
    prediction = Advisory(None, Light("green"), None, None)
    result = score([prediction], [Truth(light_state="red")], ["a"])
    assert (result["light"]["tp"], result["light"]["fp"], result["light"]["fn"]) == (0, 1, 1)


def test_unreadable_answers_are_counted_and_never_better_than_any_answer() -> None:
    facts = [
        Truth(speed_kmh=v, light_state=s) for v, s in zip((10, 40, 60, 120), ("none", "red", "red", "off"), strict=True)
    ]
    silent = score([Advisory(None, None, None, None)] * 4, facts, list("abcd"))
    assert silent["unreadable"] == {"speed": 4, "light": 4, "obstacles": 0, "crossroad": 0}
    assert (silent["light"]["fp"], silent["light"]["fn"]) == (1, 3)
    for speed in (10, 40, 60, 120):
        answer = score([Advisory(speed, None, None, None)] * 4, facts, list("abcd"))
        assert answer["speed"]["smape"] < silent["speed"]["smape"]
        assert answer["speed"]["r2"] > silent["speed"]["r2"]
    lone = score([Advisory(None, None, None, None)], [Truth(speed_kmh=50)], ["a"])
    assert lone["speed"]["smape"] == 2.0


def test_slots_without_a_known_fact_give_null_not_zero() -> None:
    result = score(
        [Advisory(30, Light("red"), frozenset({"cone"}), frozenset())] * 3, [Truth.unknown()] * 3, list("abc")
    )
    assert result["speed"]["smape"] is None
    assert result["average"] is None
    for slot in ("light", "obstacles", "crossroad"):
        assert result[slot]["p"] is result[slot]["r"] is result[slot]["f1"] is None
        assert result["ci"][slot]["f1"] is None


def test_baselines() -> None:
    facts = [
        Truth(speed_kmh=50, light_state="red", obstacles={"cone": True}, crossroad_any=False),
        Truth(speed_kmh=50, light_state="green", obstacles_any=False, crossroad_any=False),
        Truth(speed_kmh=20, light_state="green", obstacles_any=False, crossroad={"intersection": True}),
    ]
    baselines = score([t.advisory() for t in facts], facts, list("abc"))["baselines"]
    assert baselines["commonest"]["light"]["p"] == pytest.approx(2 / 3)  # always green
    assert baselines["commonest"]["obstacles"]["f1"] == 0  # always none
    assert baselines["commonest"]["speed"]["smape"] == pytest.approx(30 / 35 / 3)
    assert baselines["none"]["light"]["f1"] == 0
    assert baselines["none"]["speed"]["smape"] is None
    assert baselines["yes"]["crossroad"] | {"p": 0, "f1": 0} == {
        "p": 0, "r": 1.0, "f1": 0, "n": 3, "tp": 1, "fp": 2, "fn": 0, "positives": 1,
    }  # fmt: skip


def some_set(n: int, clusters: int, seed: int = 0) -> tuple[list[Advisory], list[Truth], list[str]]:
    rng = random.Random(seed)

    def advisory() -> Advisory:
        return Advisory(
            rng.choice(SPEEDS),
            Light(rng.choice(LIGHT_STATES)),
            frozenset(kind for kind in OBSTACLES if rng.random() < 0.15),
            frozenset(kind for kind in CROSSROADS if rng.random() < 0.3),
        )

    facts = [Truth.from_advisory(advisory()) for _ in range(n)]
    difficulty = [rng.random() for _ in range(clusters)]
    names = [rng.randrange(clusters) for _ in range(n)]
    said = [t.advisory() if rng.random() > difficulty[c] else advisory() for t, c in zip(facts, names, strict=True)]
    return said, facts, [f"drive-{c}" for c in names]


def test_intervals_hold_the_figure_and_are_the_same_each_time() -> None:
    said, facts, clusters = some_set(400, 40)
    one, two = (score(said, facts, clusters, seed=7) for _ in range(2))
    assert one == two
    assert one["ci"] != score(said, facts, clusters, seed=8)["ci"]
    for slot in ("light", "obstacles", "crossroad"):
        for figure in ("p", "r", "f1"):
            low, high = one["ci"][slot][figure]
            assert low < one[slot][figure] < high
    low, high = one["ci"]["average"]
    assert low < one["average"] < high


def test_intervals_resample_clusters_not_frames() -> None:
    said, facts, clusters = some_set(100, 20)
    copies = 9
    width = {}
    for name, names in (("clusters", clusters * copies), ("frames", [str(i) for i in range(100 * copies)])):
        low, high = score(said * copies, facts * copies, names)["ci"]["light"]["f1"]
        width[name] = high - low
    low, high = score(said, facts, clusters)["ci"]["light"]["f1"]
    assert width["clusters"] == pytest.approx(high - low)  # copying each drive's frames tells nothing new
    assert width["frames"] < 0.6 * width["clusters"]


def test_a_single_cluster_gives_no_interval() -> None:
    said, facts, _ = some_set(30, 2)
    assert score(said, facts, ["one"] * 30)["ci"]["light"]["f1"] is None


def test_a_thousand_resamples_of_3000_frames_take_less_than_a_second() -> None:
    said, facts, _ = some_set(3000, 10)
    start = time.process_time()
    score(said, facts, [str(i) for i in range(3000)], resamples=1000)
    assert time.process_time() - start < 1.0


@settings(max_examples=20)
@given(frames)
def test_breakdown_scores_each_group_alone(rows: list) -> None:
    predictions, facts, groups = (list(column) for column in zip(*rows, strict=True))
    parts = breakdown(predictions, facts, [None if g == "d" else g for g in groups], groups, resamples=0)
    assert sorted(set(groups) - {"d"}) == list(parts)
    whole = score(predictions, facts, groups, resamples=0)
    if "d" not in groups:
        assert sum(part["light"]["tp"] for part in parts.values()) == whole["light"]["tp"]
    for group, part in parts.items():
        alone = [i for i, g in enumerate(groups) if g == group]
        assert part == score(
            [predictions[i] for i in alone], [facts[i] for i in alone], [group] * len(alone), resamples=0
        )


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="1 predictions for 2 truths"):
        score([Advisory(None, None, None, None)], [Truth(), Truth()], ["a", "b"])
    with pytest.raises(ValueError, match="clusters"):
        score([Advisory(None, None, None, None)], [Truth()], [])
    assert not math.isnan(score([], [], [])["n"])
