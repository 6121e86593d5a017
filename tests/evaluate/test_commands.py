"""The three commands on a random checkpoint: what they write, and how they refuse."""

import json
from pathlib import Path

import av
import pytest

from pacenote.cli import main
from tests.drives.test_clip import make_clip
from tests.evaluate.scripted import make_dataset, picture_of

pytestmark = pytest.mark.slow


def test_advise(tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(2):
        picture_of(number, (400, 300)).save(tmp_path / f"{number}.jpg")
    out = tmp_path / "a.jsonl"
    assert main(["advise", str(checkpoint), str(tmp_path), "--json", str(out)]) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [Path(row["image"]).name for row in rows] == ["0.jpg", "1.jpg"]
    assert all(row["confidence"].keys() == {"speed", "light", "obstacles", "crossroad"} for row in rows)
    assert "0.jpg" in capsys.readouterr().out


def test_evaluate_resumes_and_writes_figures(tmp_path: Path, checkpoint: Path) -> None:
    data = make_dataset(tmp_path / "set", count=6)
    command = [
        "evaluate",
        str(checkpoint),
        str(data),
        "--out",
        str(tmp_path / "out"),
        "--latency-frames",
        "2",
        "--batch",
        "3",
    ]
    assert main([*command, "--json", str(tmp_path / "f.json")]) == 0
    first = json.loads((tmp_path / "f.json").read_text())
    assert first["n"] == 6
    assert first["model"]["name"] == "tiny"
    said = (tmp_path / "out" / "predictions.jsonl").read_text()
    assert main(command) == 0
    assert (tmp_path / "out" / "predictions.jsonl").read_text() == said


def test_evaluate_on_real_photos(tmp_path: Path, checkpoint: Path, real: Path) -> None:
    out = tmp_path / "out"
    assert (
        main(["evaluate", str(checkpoint), str(real), "--out", str(out), "--limit", "8", "--latency-frames", "1"]) == 0
    )
    figures = json.loads((out / "evaluation.json").read_text())
    assert figures["frames"] == 8
    assert not figures["complete"]
    assert figures["speed"]["n"] == 0  # no recommended speed is known of any photo
    assert len(figures["by_source"]) > 1


def test_watch(tmp_path: Path, checkpoint: Path) -> None:
    clip = make_clip(tmp_path / "c.mp4", frames=6, rate=4)
    (tmp_path / "log.csv").write_text("t_s,v_kmh\n0,30\n1,30\n2,30\n")
    command = ["watch", str(checkpoint), str(clip), "--out", str(tmp_path / "o.mp4"), "--every", "3", "--confidence"]
    assert main([*command, "--speed-log", str(tmp_path / "log.csv"), "--json", str(tmp_path / "o.jsonl")]) == 0
    with av.open(str(tmp_path / "o.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 6
    assert [json.loads(line)["own_kmh"] for line in (tmp_path / "o.jsonl").read_text().splitlines()] == [30, 30]


@pytest.mark.parametrize(
    "words",
    [
        ["advise", "{checkpoint}", "gone.jpg"],
        ["advise", "nobody", "{tmp}/x.jpg"],
        ["evaluate", "{checkpoint}", "gone", "--out", "{tmp}/out"],
        ["evaluate", "{checkpoint}", "{tmp}", "--out", "{tmp}/out", "--batch", "0"],
        ["evaluate", "{checkpoint}", "{tmp}", "--out", "{tmp}"],
        ["watch", "{checkpoint}", "{tmp}/x.jpg", "--out", "{tmp}/o.mp4", "--speed-log", "gone.csv"],
        ["watch", "{checkpoint}", "gone.mp4", "--out", "{tmp}/o.mp4"],
        ["advise", "{checkpoint}", "{tmp}/x.jpg", "--device", "warp"],
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    picture_of(1).save(tmp_path / "x.jpg")
    told = [word.format(checkpoint=checkpoint, tmp=tmp_path) for word in words]
    assert main(told) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("pacenote: ")


@pytest.mark.parametrize("words", [["advise", "m", "x.jpg"], ["watch", "m", "x.mp4", "--out", "y.mp4"]])
def test_withhold_wants_a_confidence(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--withhold", "1.5"])
    assert ended.value.code == 2
    assert "--withhold: 1.5: give a confidence from 0 to below 1" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["evaluate", "advise", "watch"])
def test_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"pacenote {command} starter-teacher" in capsys.readouterr().out
