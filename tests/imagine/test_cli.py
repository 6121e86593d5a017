"""`pacenote imagine`: pairs, rounds, merge and edits from the command line; one line where something is wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pacenote.cli import main
from pacenote.data import Dataset
from pacenote.models import resolve
from tests.imagine import tiny

ROUNDS = [
    "--rounds", "1", "--specs", "2", "--images", "2", "--probe", "4", "--steps", "2", "--rank", "2", "--batch", "1",
    "--accumulate", "1", "--device", "cpu",
]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.few_frames(tmp_path_factory.mktemp("imagine") / "data")


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def run(*words: str) -> str:
        capsys.readouterr()
        assert main(["imagine", *words]) == 2
        line = capsys.readouterr().err.strip()
        assert "\n" not in line
        return line

    return run


@pytest.mark.slow
def test_pairs_and_rounds(data: Path, untrained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs, out = tmp_path / "pairs", tmp_path / "out"
    assert main(["imagine", str(data), "--do", "pairs", "--judge", "starter-student", "--out", str(pairs)]) == 0
    assert "pairs" in capsys.readouterr().out
    words = ["imagine", str(pairs), "--painter", str(untrained), "--judge", "starter-distilled"]
    words += ["--second", "starter-student", "--known", str(data), "--tower", "starter-student", *ROUNDS]
    words += ["--relabelled", "1", "--out", str(out), "--json", str(tmp_path / "f.json")]
    assert main(words) == 0
    figures = json.loads((tmp_path / "f.json").read_text())
    assert figures["rounds"][0]["n"] == 4 and 0 <= figures["rounds"][0]["second"]["all"] <= 1
    assert (out / "report.html").is_file() and "starter-distilled" in json.loads((out / "trust.json").read_text())
    assert main(words) == 0  # nothing is left to do, and nothing has changed
    assert json.loads((tmp_path / "f.json").read_text()) == figures
    assert main([*words[:-2], "--seed", "5"]) == 2  # another run is refused in the same directory


def test_a_merged_painter_paints_as_the_lora_did(sd_painter: Path, tmp_path: Path) -> None:
    from pacenote.imagine.painter import open_painter
    from tests.imagine.test_painter import OPTIONS, pixels, some_pairs

    painter = open_painter(str(sd_painter), "cpu")
    painter.train_lora([some_pairs()], tmp_path / "lora", OPTIONS, None, tmp_path / "store")
    words = ["imagine", "--do", "merge", "--painter", str(sd_painter), "--lora", str(tmp_path / "lora")]
    assert main([*words, "--device", "cpu", "--out", str(tmp_path / "whole")]) == 0
    whole = pixels(open_painter(str(tmp_path / "whole"), "cpu").paint(["red"], [1]))
    adapted = pixels(painter.with_lora(tmp_path / "lora").paint(["red"], [1]))
    assert abs(whole - adapted).max() <= 2


def test_edits(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "edited"
    assert (
        main(["imagine", str(data), "--do", "edit", "--edits", "fog, night", "--limit", "10", "--out", str(out)]) == 0
    )
    assert f"{len(Dataset.open(out))} pictures" in capsys.readouterr().out
    assert {one.provenance["edited"]["edit"] for one in Dataset.open(out)} <= {"fog", "night"}


def test_bad_input_is_one_line(data: Path, sd_painter: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    out = ["--out", str(tmp_path / "out")]
    painter = ["--painter", str(sd_painter)]
    judges = ["--judge", "starter-teacher", "--second", "starter-student"]
    assert "needs --painter" in refused(str(data), *out)
    shutil.copytree(resolve("starter-teacher"), tmp_path / "copy")
    same = ["--judge", "starter-teacher", "--second", str(tmp_path / "copy")]
    assert "independent" in refused(str(data), *painter, *same, *out)
    pupil = ["--trains", "starter-student"]
    assert "model under training" in refused(str(data), *painter, *judges, *pupil, *out)
    assert "--control" in refused(str(data), *painter, *judges, "--original", str(data), *out)
    assert "no such painter" in refused(str(data), "--painter", "nowhere", *judges, *out)
    assert "--screen" in refused(str(data), *painter, *judges, "--screen", "no:thing", *out)
    assert "takes one DATA" in refused(str(data), str(data), *painter, *judges, *out)
    assert "--edits hail" in refused(str(data), "--do", "edit", "--edits", "hail", *out)
    # The tiny text encoder spells letters: every caption is longer than its 77 tokens, and none is cut.
    assert "reads 77 tokens" in refused(str(data), *painter, *judges, *out)
    assert not (tmp_path / "out").exists()
