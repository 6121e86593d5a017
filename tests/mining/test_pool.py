"""Drives of known truth weigh what sources say beyond words; where that gains nothing, the chain stays as it was."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacenote.mining import fusion
from pacenote.mining.calibrate import calibrated
from pacenote.mining.facts import FACT
from pacenote.mining.fusion import FactModel
from pacenote.mining.pool import AROUND_S, FOLDS, Pool, evidence, pooled
from pacenote.mining.window import MISSING
from tests.mining.made import votes

KIND = "obstacles.cone"


def hinting(seed: int) -> tuple:
    """A drive on which source "hint" tells cones by probabilities that are all of one word: unsure, no cone."""
    own, truth = votes(seed, motion=False)
    rng = np.random.default_rng(seed + 1000)
    p = np.where(truth[KIND] == 1, 0.4, 0.1) + rng.uniform(-0.05, 0.05, len(own.times))
    return dataclasses.replace(own, said={**own.said, "hint": {KIND: np.stack([1 - p, p], axis=1)}}), truth


@pytest.fixture(scope="module")
def made() -> list:
    return [hinting(seed) for seed in range(12)]


def wrong(fused: dict[str, FactModel], drives: list) -> float:
    told = [fused[KIND].posterior(own).argmax(1) != truth[KIND] for own, truth in drives]
    return float(np.concatenate(told).mean())


def test_gold_drives_teach_what_words_do_not_tell(made: list) -> None:
    gold, others = made[:8], made[8:]
    learnt = fusion.fit([own for own, _ in others])
    fused = calibrated(learnt, gold)
    assert fused[KIND].pool is not None
    chain = {KIND: dataclasses.replace(fused[KIND], pool=None)}
    assert wrong(fused, others) < wrong(chain, others) / 2
    deaf = np.concatenate([fused[KIND].posterior(own, ("hint",)).argmax(1) != truth[KIND] for own, truth in others])
    assert deaf.mean() > wrong(fused, others)


def test_a_pool_is_kept_with_its_fact(made: list) -> None:
    own, _ = made[0]
    model = fusion.fit([own])[KIND]
    pool = Pool(("hint",), (1.0, 0.5, 0.25, 0.125), (0.0, 0.3))
    model = dataclasses.replace(model, pool=pool)
    again = FactModel.from_dict(model.to_dict())
    assert again.pool == pool
    np.testing.assert_allclose(again.posterior(own), model.posterior(own))


def test_few_drives_and_chains_that_know_all_pool_nothing(made: list) -> None:
    rng = np.random.default_rng(0)
    drives = [own for own, _ in made]
    chains, truths, noise = [], [], []
    for own in drives:
        p = rng.uniform(0.02, 0.98, len(own.times))
        chains.append(np.stack([1 - p, p], axis=1))
        truths.append((rng.random(len(p)) < p).astype(int))
        q = rng.uniform(0.02, 0.98, len(p))
        noise.append(dataclasses.replace(own, said={"noise": {KIND: np.stack([1 - q, q], axis=1)}}))
    assert pooled({KIND: chains[: FOLDS - 1]}, noise[: FOLDS - 1], {KIND: truths[: FOLDS - 1]}) == {}
    found = pooled({KIND: chains}, noise, {KIND: truths})
    assert not found or np.abs(np.array(found[KIND].weights) - [1, 0, 0, 0]).max() < 0.15
    assert pooled({KIND: chains}, noise, {KIND: truths}, but=["noise"]) == {}


def test_frames_of_unknown_truth_and_drives_without_any_teach_nothing(made: list) -> None:
    drives, truths = [own for own, _ in made], [truth[KIND].copy() for _, truth in made]
    chains = [np.full((len(own.times), 2), 0.5) for own in drives]
    before = pooled({KIND: chains}, drives, {KIND: truths})
    for truth in truths[:4]:
        truth[:] = MISSING
    after = pooled({KIND: chains}, drives, {KIND: truths})
    alone = pooled({KIND: chains[4:]}, drives[4:], {KIND: truths[4:]})
    assert before != after
    np.testing.assert_allclose(after[KIND].weights, alone[KIND].weights, atol=0.05)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_silence_says_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    own, _ = votes(seed % 1000, frames=40)
    p = rng.dirichlet(np.ones(27), size=40)
    p[rng.random(40) < 0.5] = np.nan
    own = dataclasses.replace(own, said={"some": {"speed": p}})
    chain = rng.dirichlet(np.ones(27), size=40)
    told = evidence(chain, own, "speed", ("some", "never"))
    assert np.isfinite(told).all()
    np.testing.assert_allclose(told.sum(1), 0, atol=1e-9)  # about the mean of the values
    assert (told[np.isnan(p).any(1), :, 1] == 0).all()
    assert not told[:, :, 1 + len(AROUND_S) :].any()
    assert not evidence(chain, own, "speed", ("some",), without=("some",))[:, :, 1:].any()
    posterior = Pool(("some",), (0.5, 0.2, 0.2, 0.2), (0.0,) * 27).posterior(chain, own, "speed")
    np.testing.assert_allclose(posterior.sum(1), 1)


def test_the_sure_speed_of_a_chain_alone_is_a_pool_of_nothing_else() -> None:
    own, _ = votes(0, frames=20)
    chain = np.random.default_rng(0).dirichlet(np.ones(len(FACT["light"].values)), size=20)
    np.testing.assert_allclose(
        Pool((), (1.0,), (0.0,) * chain.shape[1]).posterior(chain, own, "light"), chain, atol=2e-3
    )
