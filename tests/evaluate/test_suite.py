"""Several models in one table; advisories of single pictures."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacenote.errors import InputError
from pacenote.evaluate import advise as advising
from pacenote.evaluate import paired, suite, tables
from pacenote.evaluate.breakdown import Frame, score_rows
from pacenote.evaluate.predictions import Prediction
from pacenote.evaluate.run import Settings
from tests.evaluate.scripted import Scripted, make_dataset, picture_of, truth_of

QUICK = Settings(batch=4, latency_frames=2, engine="plain", resamples=50)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Scripted]:
    """Two models by name: one right, one that says the same of every frame."""
    make_dataset(tmp_path / "set")
    constant = truth_of(1).advisory().text()
    found = {
        "good": Scripted(tmp_path / "good"),
        "constant": Scripted(tmp_path / "constant", wrong=dict.fromkeys(range(12), constant)),
    }
    found["constant"].retrain()
    monkeypatch.setattr(suite, "load_model", lambda name, device: found[Path(name).name])
    return found


def test_models_stand_side_by_side_on_the_same_frames(tmp_path: Path, models: dict[str, Scripted]) -> None:
    out = tmp_path / "out"
    table, page = suite.evaluate_several(
        models["good"].name,
        str(tmp_path / "set"),
        out,
        QUICK,
        compare=[models["constant"].name],
        json=tmp_path / "j.json",
    )
    header, _, *rows = table.splitlines()
    assert header == "|  | good | constant |"
    both = [row for row in rows if row.startswith("| Average")]
    assert len(both) == 2
    # The second table: the constant model's difference from the good one, with an interval below zero.
    assert both[1].split("|")[2].strip().startswith("-")
    assert both[1].endswith("* |")
    average = next(row for row in rows if row.startswith("| Average"))
    assert "1.000 [1.000, 1.000]" in average
    figures = json.loads((tmp_path / "j.json").read_text())
    assert figures["good"]["average"] == 1.0 > figures["constant"]["average"]
    assert page.is_file()
    assert (out / "compare" / "constant" / "report.html").is_file()


def test_an_earlier_result_is_read_not_run(tmp_path: Path, models: dict[str, Scripted]) -> None:
    suite.evaluate_several(models["constant"].name, str(tmp_path / "set"), tmp_path / "first", QUICK)
    models["constant"].asked.clear()
    table, _ = suite.evaluate_several(
        models["good"].name, str(tmp_path / "set"), tmp_path / "second", QUICK, compare=[str(tmp_path / "first")]
    )
    assert table.splitlines()[0] == "|  | good | first |"
    assert models["constant"].asked == []


def test_results_of_different_sets_are_not_compared(tmp_path: Path, models: dict[str, Scripted]) -> None:
    make_dataset(tmp_path / "other", count=6)
    suite.evaluate_several(models["constant"].name, str(tmp_path / "other"), tmp_path / "first", QUICK)
    with pytest.raises(InputError, match="different sets"):
        suite.evaluate_several(
            models["good"].name, str(tmp_path / "set"), tmp_path / "second", QUICK, compare=[str(tmp_path / "first")]
        )


def test_numbers_and_intervals_read_as_a_person_expects() -> None:
    assert [tables.number(v) for v in (0.5, 12.34, None, float("nan"), -1.0)] == ["0.500", "12.3", "–", "–", "-1.000"]
    assert tables.interval([0.1, 0.25]) == "[0.100, 0.250]"
    assert tables.interval(None) == ""
    assert tables.markdown(["", "a|b"], [["x", "y|z"]]).splitlines()[-1] == "| x | y\\|z |"


def test_advise_writes_what_was_agreed_and_passes_over_broken_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        picture_of(number, (640, 480)).save(tmp_path / f"{number}.png")
    (tmp_path / "3.png").write_bytes(b"")
    model: Any = Scripted(tmp_path / "m")
    told = list(advising.advise(model, sorted(tmp_path.glob("*.png")), batch=2, engine="plain"))
    assert model.batches == [2, 1]
    for number, advised in enumerate(told):
        row = json.loads(json.dumps(advised.to_dict()))
        assert row.keys() == {"image", "advisory", "text", "confidence", "ms"}
        assert row["advisory"] == truth_of(number).advisory().to_dict()
        assert row["image"].endswith(f"{number}.png")
    assert "3.png" in capsys.readouterr().err
    with pytest.raises(InputError, match="empty"):
        list(advising.advise(model, [tmp_path / "3.png"], engine="plain"))


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), min_size=4, max_size=24))
@settings(max_examples=15)
def test_a_difference_is_the_difference_and_vanishes_for_equal_models(frames: list[tuple[int, int]]) -> None:
    rows, others = [], {}
    for index, (true, said) in enumerate(frames):
        frame = Frame(index, f"f{index}", f"k{index}", "q", truth_of(true), f"scene{index // 2}")
        text = truth_of(said).advisory()
        rows.append((frame, Prediction(frame.key, frame.id, "", text, None, 1.0, 1)))
        others[frame.id] = truth_of(true).advisory()
    own = score_rows(rows, 0, 20)
    right = score_rows([(f, Prediction(f.key, f.id, "", others[f.id], None, 1.0, 1)) for f, _ in rows], 0, 20)
    found = paired.differences(rows, others, resamples=20)
    for _, path in tables.ROWS:
        if path in found and found[path]["difference"] is not None:
            expected = tables.look(right, path) - tables.look(own, path)
            assert found[path]["difference"] == pytest.approx(expected)
    same = paired.differences(rows, paired.answers_by_id(rows), resamples=20)
    assert {cell["difference"] for cell in same.values()} <= {0.0, None}
    assert all(cell["ci"] in (None, [0.0, 0.0]) for cell in same.values())


def test_a_missing_answer_is_named() -> None:
    frame = Frame(0, "f0", "k0", "q", truth_of(1), "scene")
    rows = [(frame, Prediction("k0", "f0", "", truth_of(1).advisory(), None, 1.0, 1))]
    with pytest.raises(InputError, match="f0"):
        paired.differences(rows, {})
