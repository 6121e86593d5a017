"""`pacenote data ...` from the command line: output, exit codes, one-line errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pacenote.cli import main
from pacenote.data import Dataset

from .conftest import picture, sample

Make = Callable[..., Path]


def test_import_split_check_export_view(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(6):
        (photos / f"{i}.png").write_bytes(picture(i).bytes)
    rows = [{"image": f"{i}.png", "traffic_light": ["red", "none"][i % 2], "clip": f"c{i // 2}"} for i in range(6)]
    (photos / "labels.jsonl").write_text("\n".join(map(json.dumps, [*rows, {"image": "gone.png"}])))
    assert main(["data", "import", str(photos), "--out", str(tmp_path / "a"), "--split", "train"]) == 0
    assert "6 train; 1 rejected" in capsys.readouterr().out
    split = [
        "data",
        "split",
        str(tmp_path / "a"),
        "--out",
        str(tmp_path / "b"),
        "--by",
        "drive",
        "--dev",
        "0",
        "--test",
        "0.3",
    ]
    assert main(split) == 0
    assert "4 train, 2 test" in capsys.readouterr().out
    report = tmp_path / "report.json"
    assert main(["data", "check", str(tmp_path / "b"), "--json", str(report)]) == 0
    assert json.loads(report.read_text())["ok"] is True
    assert main(["data", "view", str(tmp_path / "b"), "--out", str(tmp_path / "v.html"), "--where", "light=red"]) == 0
    assert "3 samples" in capsys.readouterr().out
    assert main(["data", "export", str(tmp_path / "b"), "--out", str(tmp_path / "e"), "--format", "sharegpt"]) == 0
    assert "0 samples, 6 left out" in capsys.readouterr().out  # partial labels never become full answers


def test_check_fails_on_a_leak(make_dataset: Make, capsys: pytest.CaptureFixture[str]) -> None:
    path = make_dataset([("train", sample(1)), ("test", sample(2))])  # both of network grid-0
    assert main(["data", "check", str(path)]) == 1
    assert "leakage: a network is in more than one split" in capsys.readouterr().out


def test_merge(make_dataset: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = make_dataset([("train", sample(1))], "one"), make_dataset([("test", sample(20))], "two")
    assert main(["data", "merge", str(one), str(two), "--out", str(tmp_path / "both")]) == 0
    assert "1 train, 1 test" in capsys.readouterr().out
    assert len(Dataset.open(tmp_path / "both")) == 2


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["check", "nowhere"], "nowhere: no such dataset"),
        (["view", "nowhere", "--out", "x.html", "--where", "red"], "--where red: give KEY=VALUE"),
        (["import", "nowhere", "--out", "x"], "nowhere: no such folder"),
        (["merge", "one", "--out", "x"], "at least two"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(words: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", *words]) == 2
    error = capsys.readouterr().err
    assert line in error
    assert error.count("\n") == 1
