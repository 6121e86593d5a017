"""`pacenote prompts` and `--prompts`: what is printed, drawn and written, and one line where something is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from pacenote.cli import main


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A frame of the shipped test set."""
    from pacenote.data import Dataset

    path = tmp_path_factory.mktemp("photo") / "frame.jpg"
    Dataset.open("streets-test", split="test")[4].image(0).save(path)
    return path


def test_show_prints_a_book_and_a_diff(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompts", "show", "default"]) == 0
    assert "light-crop" in capsys.readouterr().out
    assert main(["prompts", "show", "default", "--against", "original"]) == 0
    assert "+- id: light-crop" in capsys.readouterr().out


def test_select_says_why_and_draws_it(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["prompts", "select", str(photo), "--model", "starter-student", "--limit", "50"]
    assert main([*words, "--out", str(tmp_path / "why.png"), "--json", str(tmp_path / "why.json")]) == 0
    told = capsys.readouterr().out
    assert "+ limit: limit: limit = 50" in told
    assert "The speed limit here is 50 km/h. Advise the driver." in told
    held = json.loads((tmp_path / "why.json").read_text())
    assert {one["block"] for one in held["choices"]} >= {"limit", "light-crop", "people"}
    assert held["tokens"] > sum(one["tokens"] for one in held["choices"] if one["used"]) > 0
    assert Image.open(tmp_path / "why.png").height == 378


def test_answers_carry_their_prompt(photo: Path, tmp_path: Path) -> None:
    words = ["advise", "starter-student", str(photo), "--json", str(tmp_path / "a.jsonl"), "--prompts", "default"]
    assert main(words) == 0
    told = json.loads((tmp_path / "a.jsonl").read_text())
    assert set(told["prompt"]) == {"book", "blocks", "tokens"}


def test_a_clip_is_watched_with_a_book(tmp_path: Path) -> None:
    from tests.drives.test_clip import make_clip

    clip = make_clip(tmp_path / "c.mp4", frames=6, rate=10)
    words = ["watch", "starter-student", str(clip), "--out", str(tmp_path / "o.mp4"), "--every", "3"]
    assert main([*words, "--prompts", "default"]) == 0
    assert (tmp_path / "o.mp4").stat().st_size > 0
    assert main([*words, "--prompts", "default", "--still", "2"]) == 2


@pytest.mark.slow
def test_optimize_resumes_and_writes_a_book(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["prompts", "optimize", "starter-student", "streets-test", "--split", "test", "--limit", "160"]
    words += ["--rounds", "1", "--candidates", "2", "--out", str(tmp_path / "run")]
    assert main(words) == 0
    for name in ("book.yaml", "rounds.json", "report.html"):
        assert (tmp_path / "run" / name).is_file()
    first = (tmp_path / "run" / "rounds.json").read_text()
    assert main(words) == 0
    assert (tmp_path / "run" / "rounds.json").read_text() == first
    capsys.readouterr()
    assert main(["prompts", "show", str(tmp_path / "run" / "book.yaml")]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["prompts", "show", "nothing"], "shipped are"),
        (["advise", "starter-student", "PHOTO", "--prompts", "default", "--expert", "psychic"], "unknown expert"),
        (["prompts", "select", "missing.jpg"], "no such image"),
    (
        ["prompts", "optimize", "starter-student", "streets-test", "--split", "test", "--limit", "20", "--out", "OUT"],
        "more scenes",
    ),
    ],
)  # fmt: skip
def test_one_line_says_what_is_wrong(
    words: list[str], said: str, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [str(photo) if word == "PHOTO" else str(tmp_path / "out") if word == "OUT" else word for word in words]
    assert main(filled) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert said in told
