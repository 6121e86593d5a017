"""What fusion learns without labels is right more often than any source, and says so when it is calibrated."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacenote.advisory import LIGHT_STATES, SLOTS, Advisory
from pacenote.mining import fusion
from pacenote.mining.calibrate import best_threshold, calibrated, ece, with_thresholds
from pacenote.mining.chain import Chain, Track
from pacenote.mining.facts import FACT, FACTS
from pacenote.mining.fusion import FactModel
from pacenote.mining.labels import Labels, label, usual, weights
from pacenote.mining.score import score
from pacenote.mining.window import MISSING
from tests.mining.made import votes


@pytest.fixture(scope="module")
def made() -> list:
    return [votes(seed) for seed in range(8)]


@pytest.fixture(scope="module")
def learnt(made: list) -> dict[str, FactModel]:
    return fusion.fit([own for own, _ in made])


def scored(made: list, learnt: dict[str, FactModel], method: str) -> dict:
    return score([(own, label(own, learnt, method), truth) for own, truth in made])


def test_full_beats_the_window_and_the_window_the_raw_labels(made: list, learnt: dict[str, FactModel]) -> None:
    raw, window, full = (scored(made, learnt, method)["error"]["mean"] for method in ("raw", "window", "full"))
    assert full < window < raw
    assert full < raw / 2


def test_labels_jump_about_as_often_as_the_truth(made: list, learnt: dict[str, FactModel]) -> None:
    jitter = scored(made, learnt, "full")["jitter"]
    assert jitter["labels"] == pytest.approx(jitter["truth"], rel=0.25)


def test_calibration_closes_the_gap_and_changes_no_sure_label(made: list, learnt: dict[str, FactModel]) -> None:
    gold, others = made[:4], made[4:]
    after = calibrated(learnt, gold)
    assert scored(others, after, "full")["ece"] < max(0.05, scored(others, learnt, "full")["ece"])
    for own, _ in others:
        for name in learnt:
            apart = dataclasses.replace(after[name], pool=None)  # a pool is there to change labels
            before, now = learnt[name].posterior(own), apart.posterior(own)
            assert (before.argmax(1) == now.argmax(1)).all()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_no_other_threshold_is_expected_to_do_better(chances: list[float]) -> None:
    p = np.array(chances)
    least, f1 = best_threshold(p)
    assert 0 <= least <= 0.5 and 0 <= f1 <= 1 + 1e-9
    for other in p:
        chosen = p >= other
        assert f1 >= 2 * p[chosen].sum() / max(chosen.sum() + p.sum(), 1e-9) - 1e-9


def test_what_sources_often_miss_is_labelled_from_a_lower_probability_on() -> None:
    rng = np.random.default_rng(0)
    p = np.concatenate([rng.beta(1, 3, 4000), rng.beta(8, 1, 400)])
    truth = rng.random(len(p)) < p

    def f1(least: float) -> float:
        named = p >= least
        return float(2 * (named & truth).sum() / (named.sum() + truth.sum()))

    least, expected = best_threshold(p)
    assert least == pytest.approx(expected / 2, abs=0.03)  # Lipton et al. 2014
    assert f1(least) == pytest.approx(expected, abs=0.03)
    assert f1(least) > f1(0.5) + 0.05


def test_labels_follow_the_threshold_of_their_kind(made: list, learnt: dict[str, FactModel]) -> None:
    own = with_thresholds(learnt, [one for one, _ in made])
    for name, model in own.items():
        p = model.posterior(made[0][0])
        expected = p[:, 1] >= model.least if FACT[name].kind else p.argmax(1)
        np.testing.assert_array_equal(label(made[0][0], own).classes[name], expected)
        assert FactModel.from_dict(model.to_dict()).least == model.least <= 0.5


def test_weights_favour_sure_labels_but_not_those_that_name_nothing(made: list, learnt: dict[str, FactModel]) -> None:
    drives = [label(one, learnt) for one, _ in made]
    means = usual(drives)
    found: dict[tuple[str, bool], list[tuple[float, float]]] = {}
    for labels in drives:
        for t in range(labels.frames):
            own = weights(labels, t, means)
            assert own is not None
            for slot, weight in own.items():
                found.setdefault((slot, bool(labels.named[slot][t])), []).append((labels.certainty[slot][t], weight))
    for key, pairs in found.items():
        sure, weight = np.array(pairs).T
        assert weight.mean() == pytest.approx(1, abs=0.01), key
        assert (np.diff(weight[np.argsort(sure, kind="stable")]) >= -1e-3).all()
    assert weights(drives[0], 0, means, least=1.01) == dict.fromkeys(SLOTS, 0.0)


def test_raw_labels_are_what_the_labeler_wrote(made: list) -> None:
    own, _ = made[0]
    text = "Recommended speed: 30 km/h. Obstacles: cone."
    read = Advisory.parse(text)
    assert read.obstacles == {"cone"} and read.light is None
    doubtful = {**own.said["labeler"], "obstacles.cone": np.tile([0.6, 0.4], (len(own.times), 1))}
    votes = dataclasses.replace(own, texts=[text] * len(own.times), said={**own.said, "labeler": doubtful})
    raw = label(votes, {}, "raw").classes
    assert (raw["obstacles.cone"] == 1).all() and not raw["obstacles.barrier"].any()
    np.testing.assert_array_equal(raw["light"], votes.labels("light", "labeler"))  # of which it wrote nothing


def test_a_speed_one_step_off_counts_as_right_in_its_certainty() -> None:
    fact = FACT["speed"]
    p = np.zeros((1, len(fact.values)))
    p[0, [9, 10, 11, 20]] = [0.2, 0.4, 0.1, 0.3]
    found = Labels({"speed": np.array([10])}, {"speed": p}).certainty
    assert {slot: own.tolist() for slot, own in found.items()} == {
        "speed": [pytest.approx(0.7)], "light": [1.0], "obstacles": [1.0], "crossroad": [1.0],
    }  # fmt: skip


def test_what_has_no_label_is_never_sure() -> None:
    p = np.full((2, 2), 0.5)
    found = Labels({"obstacles.cone": np.array([MISSING, 1])}, {"obstacles.cone": p})
    assert found.certainty["obstacles"].tolist() == [0.0, 0.5]
    assert found.named["obstacles"].tolist() == [False, True]
    assert Labels({"light": np.array([1])}, {}).certainty == {} and usual([]) == {}


def test_motion_tells_red_from_green_where_eyes_cannot() -> None:
    """Two sources that know only whether there is a light: standing cars make it red."""
    made = [votes(seed, right=0.7) for seed in range(8)]
    with_motion, without = (fusion.fit([own for own, _ in made], use_motion=use) for use in (True, False))
    red = LIGHT_STATES.index("red")

    def wrong(learnt: dict[str, FactModel]) -> float:
        told = [(learnt["light"].posterior(own).argmax(1) == red) != (truth["light"] == red) for own, truth in made]
        return float(np.concatenate(told).mean())

    assert wrong(with_motion) < wrong(without)


def test_a_model_survives_its_file(made: list, learnt: dict[str, FactModel]) -> None:
    for name, model in learnt.items():
        again = FactModel.from_dict(model.to_dict())
        np.testing.assert_allclose(again.posterior(made[0][0]), model.posterior(made[0][0]))
        assert again.fact == name


def test_sources_that_are_wrong_together_count_for_less(made: list) -> None:
    """A third source that repeats the second lowers the trust of both, not that of the first."""
    doubled = [dataclasses.replace(own, said={**own.said, "f": own.said["e"]}) for own, _ in made]
    fact = FACT["obstacles.cone"]
    before = fusion.fit([own for own, _ in made], views=False)[fact.name]
    after = fusion.fit(doubled, views=False)[fact.name]
    trust = dict(zip(after.sources, after.trust, strict=True))
    assert trust["e"] == pytest.approx(trust["f"])
    assert trust["e"] < dict(zip(before.sources, before.trust, strict=True))["e"] - 0.1


def test_a_silent_frame_takes_its_neighbours_label(made: list, learnt: dict[str, FactModel]) -> None:
    own, _ = made[0]
    said = {name: {fact: p.copy() for fact, p in facts.items()} for name, facts in own.said.items()}
    for facts in said.values():
        for p in facts.values():
            p[50] = np.nan
    gap = dataclasses.replace(own, said=said)
    told, before = (learnt["obstacles.cone"].posterior(one).argmax(1) for one in (gap, own))
    assert told[50] in (before[49], before[51])


@pytest.mark.filterwarnings("ignore:.*keyword.*deprecated:Warning")
def test_it_agrees_with_another_dawid_and_skene() -> None:
    """On frames that have no time, the chain is the model of Dawid and Skene as crowd-kit fits it."""
    pd = pytest.importorskip("pandas")
    from crowdkit.aggregation import DawidSkene

    rng = np.random.default_rng(0)
    frames, classes = 800, 3
    truth = rng.integers(classes, size=frames)
    confusion = [np.full((3, 3), a) + (1 - 3 * a) * np.eye(3) for a in (0.05, 0.1, 0.12, 0.2)]
    said = np.stack([[rng.choice(classes, p=one[z]) for z in truth] for one in confusion])
    rows = [(t, k, said[k, t]) for k in range(len(confusion)) for t in range(frames)]
    theirs = DawidSkene(n_iter=100).fit_predict(pd.DataFrame(rows, columns=["task", "worker", "label"]))
    track = Track(said, np.full(frames - 1, 1e9), np.zeros(frames - 1))
    ours = Chain.start(classes, len(confusion)).fitted([track], pseudo=1e-3, rounds=100)
    labels = ours.posterior(track).argmax(1)
    assert (labels == theirs.sort_index().to_numpy()).mean() > 0.99


def test_ece_is_nought_for_honest_and_large_for_boastful() -> None:
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 20_000)
    assert ece(sure, rng.random(20_000) < sure) < 0.02
    assert ece(np.ones(1000), rng.random(1000) < 0.6) == pytest.approx(0.4, abs=0.05)


def test_every_fact_has_its_chain(learnt: dict[str, FactModel]) -> None:
    assert set(learnt) == {fact.name for fact in FACTS}


def test_gold_drives_silence_a_source_that_is_wrong_for_whole_stretches() -> None:
    """It agrees with itself, so that agreement alone takes it for right."""
    made = []
    for seed in range(8):
        own, truth = votes(seed, motion=False)
        stubborn = votes(seed + 100, motion=False)[0].said["e"]  # what would be right elsewhere
        said = {**own.said, "stubborn": {name: np.where(p > 0.5, 0.97, 0.01) for name, p in stubborn.items()}}
        made.append((dataclasses.replace(own, said=said), truth))
    gold, others = made[:4], made[4:]
    drives = [own for own, _ in others]
    learnt = fusion.fit(drives)
    without = fusion.fit_without(drives)
    assert len(without) == 3
    several = (learnt, calibrated(learnt, gold), calibrated(learnt, gold, without))
    before, weighed, chosen = (scored(others, one, "full")["error"]["mean"] for one in several)
    assert chosen < weighed / 2 < before / 2


def test_gold_drives_silence_a_source_that_takes_roads_for_others() -> None:
    roads = FACT["road_class"].values
    made = []
    for seed in range(8):
        own, truth = votes(seed, motion=False)
        true = np.full(len(own.times), seed % len(roads))
        said = dict(own.said)
        for name, took in (("e", true), ("labeler", (true + 1) % len(roads)), ("other", (true + 1) % len(roads))):
            said[name] = {**said.get(name, {}), "road_class": np.eye(len(roads))[took] * 0.95 + 0.01}
        made.append((dataclasses.replace(own, said=said), {**truth, "road_class": true}))
    gold, others = made[:4], made[4:]
    drives = [own for own, _ in others]
    learnt = fusion.fit(drives)

    def right(fused: dict[str, FactModel]) -> float:
        told = [fused["road_class"].posterior(own).argmax(1) == truth["road_class"] for own, truth in others]
        return float(np.concatenate(told).mean())

    assert right(learnt) <= 0.5 < 0.9 < right(calibrated(learnt, gold, fusion.fit_without(drives)))


def test_a_motorway_crosses_nothing_and_a_street_may(made: list, learnt: dict[str, FactModel]) -> None:
    roads = FACT["road_class"].values
    sure = np.full((len(made[0][0].times), len(roads)), 0.01)
    told = {}
    for road in ("motorway", "toll", "urban"):
        own = sure.copy()
        own[:, roads.index(road)] = 0.96
        seen = dataclasses.replace(
            made[0][0], said={name: {**p, "road_class": own} for name, p in made[0][0].said.items()}
        )
        told[road] = fusion.posteriors(fusion.fit([seen]), seen)
    for name in ("crossroad.intersection", "crossroad.pedestrian_crossing"):
        assert told["motorway"][name][:, 1].max() < 0.1
        assert told["toll"][name][:, 1].max() < 0.1
        assert told["urban"][name][:, 1].max() > 0.9
        assert np.allclose(told["motorway"][name].sum(1), 1)


def test_the_rule_is_silent_where_two_roads_are_as_likely(made: list) -> None:
    roads, frames = FACT["road_class"].values, len(made[0][0].times)
    p = np.zeros((frames, len(roads)))
    p[:, roads.index("urban")] = p[:, roads.index("arterial")] = 0.5
    p[0] = np.eye(len(roads))[roads.index("urban")]
    seen = {name: np.eye(len(FACT[name].values))[[0] * frames] for name in ("weather", "time")}
    said = fusion.with_rule(made[0][0], {**seen, "road_class": p}).labels("speed", fusion.RULE)
    assert FACT["speed"].values[said[0]] == 50
    assert (said[1:] == MISSING).all()
