"""A judge is known by its weights, trusted as far as it is right at the painter's size, and nobody's pupil."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pacenote.data import Dataset
from pacenote.errors import InputError
from pacenote.imagine.judge import agree, calibrate, check_judges, open_judge, weights_digest
from pacenote.models import resolve
from tests.imagine.streets import always_green, judge_of, look, spec, street_data


def test_agreement_is_slot_by_slot() -> None:
    wanted, read = spec("red", cone=True), spec("green", cone=True).advisory
    assert agree(read, wanted) == {"speed": None, "light": False, "obstacles": True, "crossroad": True}


def test_trust_is_the_share_that_is_right_and_told_apart_by_condition(tmp_path: Path) -> None:
    known = [spec("green")] * 3 + [spec("red", weather="rain")] * 6
    data = street_data(tmp_path / "data", known)
    exact, biased = judge_of(look), judge_of(always_green)
    calibrate(exact, data)
    calibrate(biased, data)
    assert exact.right("light") == 1.0 and biased.right("light") == pytest.approx(1 / 3)
    assert biased.trust["light"]["by"]["weather rain"] == {"right": 0.0, "n": 6}
    assert biased.right("obstacles") == 1.0


def test_a_judge_that_saw_no_frames_is_not_trusted() -> None:
    with pytest.raises(InputError, match="not calibrated"):
        judge_of(look).right("light")


def test_frames_are_read_at_the_painters_size(tmp_path: Path) -> None:
    data = street_data(tmp_path / "data", [spec("red")])
    sizes = []
    judge = judge_of(lambda image: sizes.append(image.size) or look(image))  # type: ignore[func-returns-value]
    calibrate(judge, data, (16, 8))
    assert sizes == [(16, 8)]


def test_a_copy_is_the_same_judge_and_a_pupil_is_none(tmp_path: Path) -> None:
    shutil.copytree(resolve("starter-student"), tmp_path / "copy")
    assert weights_digest(str(tmp_path / "copy")) == weights_digest("starter-student")
    with pytest.raises(InputError, match="same weights"):
        check_judges("starter-student", str(tmp_path / "copy"))
    with pytest.raises(InputError, match="model under training"):
        check_judges("starter-teacher", "starter-student", [str(tmp_path / "copy")])
    check_judges("starter-teacher", "starter-distilled", ["starter-student"])


def test_a_shipped_model_reads_its_frames() -> None:
    data = Dataset.open("streets-test", "test").select(range(0, 40, 2))
    judge = open_judge("starter-student")
    calibrate(judge, data)
    assert judge.right("light") > 0.5 and judge.trust["light"]["n"] >= 12
