"""Questions' answers follow from what is known, and nothing unknown is trained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pacenote.advisory import CROSSROADS, OBSTACLES, Advisory, Light, Truth
from pacenote.training import questions
from pacenote.training.frames import Record, mirrored
from pacenote.training.questions import MIX, ask, plain, vocabulary, with_unknown


def record(**changes: Any) -> Record:
    truth = Truth(
        speed_kmh=30,
        light=Light("red", "left"),
        obstacles={kind: kind == "cone" for kind in OBSTACLES},
        crossroad={kind: kind == "intersection" for kind in CROSSROADS},
    )
    objects = (
        {"kind": "traffic_light", "state": "red left", "box": [40, 20, 50, 30], "stated": True, "role": "ego"},
        {"kind": "cone", "box": [600, 200, 620, 240], "stated": True, "role": "obstacle", "distance_m": 12.0},
        {"kind": "cone", "box": [300, 180, 305, 190], "stated": True, "role": "obstacle", "distance_m": 60.0},
        {"kind": "car", "box": [100, 180, 200, 240], "stated": True, "role": "traffic"},
    )
    base = Record("r", truth, objects, {"weather": "rain", "time": "day", "road_class": "urban"}, 10.0, 1.0, {}, "s")
    return replace(base, **changes)


def many(own: Record, kind: str, count: int = 200) -> list[questions.Ask]:
    rng = np.random.default_rng(0)
    return [one for one in (ask(own, rng, 672.0, kind) for _ in range(count)) if one]


def test_every_kind_is_asked_and_shares_hold() -> None:
    rng = np.random.default_rng(0)
    made = [ask(record(), rng, 672.0) for _ in range(2000)]
    for kind, share in MIX.items():
        assert sum(one is not None and one.kind == kind for one in made) / 2000 == pytest.approx(share, abs=0.04)


def test_whole_advisories_parse_back() -> None:
    for one in [*many(record(), "advisory"), plain(record())]:
        assert Advisory.parse(one.text) == record().truth.advisory()
        assert all(weight == 1.0 for _, weight in one.answer)


def test_answers_are_right() -> None:
    for one in many(record(), "yes_no"):
        said = one.text == "Yes."
        asked = one.question.rsplit(". ", 1)[-1]
        for kind, true in {"red": True, "green": False, "cone": True, "barrier": False, "intersection": True}.items():
            if f" {kind}" in asked and "any" not in asked:
                assert said is true, one
    counts = {one.text for one in many(record(), "count") if "cone" in one.question}
    assert counts == {"Two."}
    where = {(one.question, one.text) for one in many(record(), "where")}
    assert {text for question, text in where if "cone" in question} == {"Right, near."}
    assert {text for question, text in where if "light" in question} == {"Left."}
    assert {one.text for one in many(record(), "condition")} == {"Rain.", "Day.", "Urban."}


def test_yes_and_no_are_about_as_common() -> None:
    empty = Truth(
        30, Light("none"), obstacles=dict.fromkeys(OBSTACLES, False), crossroad=dict.fromkeys(CROSSROADS, False)
    )
    share = np.mean([one.text == "Yes." for one in many(record(), "yes_no", 600)])
    assert 0.5 < share < 0.8  # everything that is asked about is there as often as not
    assert {one.text for one in many(record(truth=empty), "yes_no")} == {"No."}


def test_unknown_facts_are_never_trained() -> None:
    nothing = record(truth=Truth.unknown(), objects=(), conditions={})
    assert ask(nothing, np.random.default_rng(0), 672.0) is None
    part = record(truth=Truth(speed_kmh=None, light_state="green", obstacles={"cone": None, "barrier": True}))
    for one in many(part, "advisory"):
        trained = "".join(words for words, weight in one.answer if weight)
        assert trained.strip() == "Traffic light: green"
    for one in many(part, "slot"):
        assert "".join(words for words, weight in one.answer if weight) == "Traffic light: green"
    for one in many(part, "yes_no"):
        assert "cone" not in one.question.rsplit(". ", 1)[-1]


def test_slot_weights_reach_the_words() -> None:
    own = record(slot_weight={"light": 0.25}, weight=2.0)
    weights = {words.strip()[:13]: weight for words, weight in plain(own).answer}
    assert weights == {"Recommended s": 2.0, "Traffic light": 0.5, "Obstacles: co": 2.0, "Crossroad: in": 2.0}


def test_a_limit_from_context_is_always_said_when_speed_is_asked() -> None:
    own = record(conditions={"limit_kmh": 40})
    assert plain(own).question == "The speed limit here is 40 km/h. Advise the driver."
    assert all("40" in one.question for one in many(own, "advisory"))
    assert all("40" in one.question for one in many(own, "slot") if one.text.startswith("Recommended"))


def test_hints_do_not_change_answers() -> None:
    hinted = [one for one in many(record(), "advisory", 600) if "hint" in one.question or "Someone" in one.question]
    assert hinted and {one.text for one in hinted} == {record().truth.advisory().text()}


def test_a_view_that_cuts_the_evidence_away_makes_facts_unknown() -> None:
    truth = with_unknown(record(), frozenset({"traffic_light", "cone"})).truth
    assert truth.speed_kmh is None and truth.light_state is None
    assert truth.obstacles["cone"] is None and truth.obstacles["barrier"] is False and truth.obstacles_any is None
    assert truth.crossroad["intersection"] is True
    assert with_unknown(record(), frozenset()) == record()
    assert with_unknown(record(), frozenset({"car"})).truth == record().truth  # no advisory speaks of cars


def test_the_limit_is_what_is_given_or_shown() -> None:
    assert {one.text for one in many(record(), "limit")} == {"None."}
    sign = {"kind": "speed_limit", "role": "ahead", "stated": True, "state": "60", "box": [500, 90, 525, 120]}
    signed = record(objects=(*record().objects, sign))
    assert {one.text for one in many(signed, "limit")} == {"60 km/h."}
    given = record(conditions={"limit_kmh": 40})
    assert {one.text for one in many(given, "limit")} == {"40 km/h."}
    assert all("40" in one.question for one in many(given, "limit"))
    half_read = record(objects=(*record().objects, {**sign, "stated": None}))
    assert not many(half_read, "limit") and not many(with_unknown(signed, frozenset({"speed_limit"})), "limit")


def test_mirrors_swap_left_and_right() -> None:
    seen = mirrored(record())
    assert seen.truth.light == Light("red", "right")
    assert seen.objects[0]["state"] == "red right" and seen.objects[0]["box"] == [622, 20, 632, 30]
    assert mirrored(seen) == record()


def test_the_vocabulary_covers_the_questions(tokenizer: Any) -> None:
    words = " ".join(vocabulary())
    assert all(text in words for text in (*questions.ASK_ADVICE, *questions.ASK_ANY.values()))
    rng = np.random.default_rng(0)
    for _ in range(50):
        one = ask(record(), rng, 672.0)
        assert one is not None
        text = one.question + one.text
        assert len(tokenizer(text)["input_ids"]) < len(text) / 2
