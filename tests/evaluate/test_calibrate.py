"""Temperatures make confidences honest, and change no answer."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacenote.advisory import SLOTS
from pacenote.cli import main
from pacenote.engine.answer import withhold
from pacenote.engine.engine import Engine
from pacenote.engine.temperatures import FILE, confidence, temperatures
from pacenote.errors import InputError
from pacenote.evaluate.calibrate import calibrate, fit
from pacenote.evaluate.source import open_source
from pacenote.models import load
from tests.evaluate.scripted import make_dataset


def decided(rng: np.random.Generator, overconfident: float) -> tuple[list[Any], bool]:
    """A decision among three; the truth is drawn from the model's own distribution, made flatter."""
    told = rng.normal(0, 3.0, 3)
    told -= np.log(np.exp(told).sum())
    taken = int(told.argmax())
    true = np.exp(told / overconfident)
    return [(told, taken)], bool(rng.random() < true[taken] / true.sum())


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0, 4.0])
def test_the_temperature_is_found(factor: float) -> None:
    rng = np.random.default_rng(0)
    found = fit([decided(rng, factor) for _ in range(4000)])
    assert found["temperature"] == pytest.approx(factor, rel=0.2)
    assert found["log_loss"][1] <= found["log_loss"][0]
    assert found["ece"][1] < 0.04


@given(st.lists(st.lists(st.floats(-9, 0), min_size=2, max_size=4), max_size=4), st.floats(0.3, 6))
def test_a_confidence_is_a_probability(options: list[list[float]], temperature: float) -> None:
    decisions = [(np.array(one), int(np.argmax(one))) for one in options]
    assert 0 < confidence(decisions, temperature) <= 1 + 1e-9
    assert confidence([], temperature) == 1


def test_too_little_to_fit_on_stays_as_it_is() -> None:
    rng = np.random.default_rng(0)
    few = [decided(rng, 4.0) for _ in range(10)]
    assert fit(few)["temperature"] == 1.0
    assert fit([(one, True) for one, _ in few * 10])["temperature"] == 1.0
    assert fit([]) == {"temperature": 1.0, "n": 0, "log_loss": None, "ece": None}


def test_the_file_beside_the_model_is_used(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(checkpoint, tmp_path / "m")
    make_dataset(tmp_path / "set")
    model, source = load(str(tmp_path / "m")), open_source(str(tmp_path / "set"))
    assert temperatures(model) == dict.fromkeys(SLOTS, 1.0)
    found = calibrate(model, source)
    assert set(found) == set(SLOTS)
    assert temperatures(model) == {slot: found[slot]["temperature"] for slot in SLOTS}
    image = [[source.samples[0].image(0)]]
    before = Engine(model, temperatures=dict.fromkeys(SLOTS, 1.0), speed="greedy")(image, ["Advise the driver."])[0]
    (tmp_path / "m" / FILE).write_text('{"slots": {"light": {"temperature": 5.0}}}')
    after = Engine(model, speed="greedy")(image, ["Advise the driver."])[0]
    assert after.text == before.text
    assert after.confidence is not None
    assert before.confidence is not None
    assert after.confidence["light"] < before.confidence["light"]  # type: ignore[operator]
    assert main(["calibrate", str(tmp_path / "m"), str(tmp_path / "set"), "--split", "test"]) == 0
    assert "temperature" in capsys.readouterr().out
    (tmp_path / "m" / FILE).write_text("{")
    with pytest.raises(InputError, match="delete it"):
        Engine(model)


def test_a_model_without_a_directory_is_refused(tmp_path: Path, tiny: Any) -> None:
    make_dataset(tmp_path / "set")
    before, tiny.name = tiny.name, "owner/model"
    with pytest.raises(InputError, match="directory"):
        calibrate(tiny, open_source(str(tmp_path / "set")))
    tiny.name = before


def test_unsure_slots_are_withheld(tmp_path: Path, tiny: Any) -> None:
    make_dataset(tmp_path / "set")
    image = open_source(str(tmp_path / "set")).samples[0].image(0)
    answer = Engine(tiny)([[image]], ["Advise the driver."])[0]
    told = answer.confidence or {}
    kept = max(SLOTS, key=lambda slot: told[slot] or 0)
    held = withhold(answer, float(told[kept] or 0))
    fields = {"speed": held.advisory.speed_kmh, **{slot: getattr(held.advisory, slot) for slot in SLOTS[1:]}}
    assert [slot for slot, value in fields.items() if value is not None] == [kept]
    assert held.text
    assert held.text in answer.text
    assert withhold(answer, 1.1).text == ""
    assert withhold(answer, 0.0) == answer
