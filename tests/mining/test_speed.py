"""The speed that the rule makes of other facts: from the road class, or from a limit that is stated."""

from __future__ import annotations

import numpy as np
from PIL import Image

from pacenote.advisory import LIMIT
from pacenote.experts import open_expert
from pacenote.mining import speed
from pacenote.mining.facts import FACT, HIDDEN
from pacenote.mining.sources import ExpertSource


def sure(**values: str) -> dict[str, np.ndarray]:
    """A frame's hidden facts (1, values) of which nothing is in doubt."""
    found = {}
    for fact in HIDDEN:
        p = np.zeros((1, len(fact.values)))
        p[0, fact.values.index(values.get(fact.name, fact.values[0]))] = 1.0
        found[fact.name] = p
    return found


def likeliest(posterior: dict[str, np.ndarray], limit: float = np.nan) -> int:
    told = speed.by_rule(posterior, np.array([limit]))
    return int(FACT["speed"].values[int(told[0].argmax())])


def test_the_road_class_gives_the_speed_where_no_limit_is_stated() -> None:
    assert [likeliest(sure(road_class=road)) for road in ("motorway", "urban", "residential")] == [120, 50, 30]
    assert (
        speed.by_rule(sure(road_class="urban")) == speed.by_rule(sure(road_class="urban"), np.array([np.nan]))
    ).all()


def test_a_stated_limit_is_the_base_whatever_the_road_is_taken_for() -> None:
    assert {likeliest(sure(road_class=road), 80) for road in ("motorway", "urban", "residential")} == {80}
    assert likeliest(sure(road_class="residential", time="night"), 80) == 70


def test_an_expert_that_hears_no_words_says_nothing_of_the_speed_where_they_state_the_limit() -> None:
    frame = Image.new("RGB", (448, 252), (90, 90, 90))
    source = ExpertSource(open_expert("look:starter-teacher"), "look")
    plain, told = source.say([frame, frame], ["", LIMIT.format(80)], [10.0, 10.0])
    assert set(plain.facts) - set(told.facts) == {"speed"}
    assert plain.seen == told.seen


def test_all_that_may_be_is_the_mean_over_what_may_be() -> None:
    rng = np.random.default_rng(0)
    facts = [fact for fact in FACT.values() if fact.name != "speed"]
    posterior = {fact.name: rng.dirichlet(np.ones(len(fact.values)), size=6) for fact in facts}
    limits = np.array([np.nan, 50.0, np.nan, 80.0, 50.0, np.nan])
    draws = 4000
    mean = np.zeros((6, len(FACT["speed"].values)))
    for _ in range(draws):
        drawn = {
            name: np.stack([np.eye(p.shape[1])[rng.choice(p.shape[1], p=row)] for row in p])
            for name, p in posterior.items()
        }
        mean += speed.by_rule(drawn, limits) / draws
    np.testing.assert_allclose(speed.over_all(posterior, limits), mean, atol=0.04)


def test_all_that_may_be_of_sure_facts_is_what_the_rule_says_of_them() -> None:
    for road in ("motorway", "urban", "toll"):
        told = sure(road_class=road, time="night")
        np.testing.assert_allclose(speed.over_all(told), speed.by_rule(told), atol=1e-12)
