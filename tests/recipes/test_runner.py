from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from pacenote.errors import InputError, PacenoteError
from pacenote.recipes import load, run_recipe
from pacenote.recipes.stage import Context, Stage
from pacenote.recipes.stages import KINDS
from pacenote.work import Page, read_json


@dataclass(frozen=True, kw_only=True)
class Upper(Stage):
    """Writes a file's text in capitals; appends to a log outside, so that tests see how often it ran."""

    READS = ("text",)
    text: str
    log: str = ""
    cut: int | None = None
    pause: float = 0.0

    def run(self, out: Path, context: Context) -> None:
        if self.log:
            with Path(self.log).open("a") as file:
                file.write(f"{out.name}\n")
        words = Path(self.text).read_text() if Path(self.text).is_file() else (Path(self.text) / "x").read_text()
        if words == "bad":
            raise InputError("x: bad words")
        for number in range(20 if self.pause else 0):  # resumable work of its own
            part = out / f"part{number}"
            if not part.exists():
                part.write_text(str(os.getpid()))
                time.sleep(self.pause)
        (out / "x").write_text(words.upper()[: self.cut])

    def show(self, page: Page, out: Path) -> None:
        page.paragraph((out / "x").read_text())


@pytest.fixture(autouse=True)
def upper() -> Iterator[None]:
    KINDS["upper"] = Upper
    yield
    del KINDS["upper"]


def write(path: Path, stages: dict[str, Any], **more: Any) -> Path:
    path.write_text(yaml.safe_dump({"name": "t", "stages": stages, **more}, sort_keys=False))
    return path


@pytest.fixture
def two(tmp_path: Path) -> Path:
    (tmp_path / "in.txt").write_text("hello")
    log = str(tmp_path / "log")
    first = {"kind": "upper", "text": "${inputs.file}", "log": log, "cut": 3}
    second = {"kind": "upper", "text": "${first.out}", "log": log}
    return write(tmp_path / "t.yaml", {"first": first, "second": second}, inputs={"file": str(tmp_path / "in.txt")})


def ran(tmp_path: Path) -> list[str]:
    log = tmp_path / "log"
    words = log.read_text().split() if log.exists() else []
    log.unlink(missing_ok=True)
    return words


def test_only_what_changed_runs_again(tmp_path: Path, two: Path) -> None:
    out = tmp_path / "run"
    page = run_recipe(load(two), out)
    assert ran(tmp_path) == ["first", "second"]
    assert (out / "stages" / "second" / "x").read_text() == "HEL"
    assert "<p>HEL</p>" in page.read_text()
    run_recipe(load(two), out)
    assert ran(tmp_path) == []
    assert {state["status"] for state in read_json(out / "run.json")["stages"].values()} == {"unchanged"}
    (tmp_path / "in.txt").write_text("help")  # the first stage's output stays the same
    run_recipe(load(two), out)
    assert ran(tmp_path) == ["first"]
    (tmp_path / "in.txt").write_text("world")
    run_recipe(load(two), out)
    assert ran(tmp_path) == ["first", "second"]
    run_recipe(load(two, seed=7), out)
    assert ran(tmp_path) == ["first", "second"]
    (out / "stages" / "second.json").unlink()
    run_recipe(load(two, seed=7), out)
    assert ran(tmp_path) == ["second"]


def test_the_run_says_how_it_was_made(tmp_path: Path, two: Path) -> None:
    out = tmp_path / "run"
    recipe = load(two, seed=3)
    run_recipe(recipe, out)
    assert load(out / "recipe.yaml") == recipe
    record = read_json(out / "run.json")
    assert record["seed"] == 3
    assert record["versions"]["pacenote"]
    assert record["machine"]["cores"] >= 1


def test_a_stage_may_fail_or_be_left_out(tmp_path: Path) -> None:
    for name in ("good", "bad"):
        (tmp_path / name).write_text(name)
    stages = {
        "broken": {"kind": "upper", "text": str(tmp_path / "bad"), "optional": True},
        "after": {"kind": "upper", "text": "${broken.out}", "optional": True},
        "absent": {"kind": "upper", "text": "${inputs.file}", "when": "${inputs.file}"},
        "behind": {"kind": "upper", "text": "${absent.out}"},
        "fine": {"kind": "upper", "text": str(tmp_path / "good")},
    }
    page = run_recipe(load(write(tmp_path / "t.yaml", stages, inputs={"file": None})), tmp_path / "run")
    ended = {name: state["status"] for name, state in read_json(tmp_path / "run" / "run.json")["stages"].items()}
    assert ended == {
        "broken": "failed", "after": "left out", "absent": "left out", "behind": "left out", "fine": "done"
    }  # fmt: skip
    assert "bad words" in page.read_text()


def test_a_failure_stops_the_run_names_the_stage_and_still_leaves_a_page(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("bad")
    recipe = load(write(tmp_path / "t.yaml", {"one": {"kind": "upper", "text": str(tmp_path / "bad")}}))
    with pytest.raises(InputError, match="^stage one: x: bad words$"):
        run_recipe(recipe, tmp_path / "run")
    assert "bad words" in (tmp_path / "run" / "report.html").read_text()


def test_a_run_in_which_nothing_could_run_is_a_failure(tmp_path: Path) -> None:
    stages = {"one": {"kind": "upper", "text": str(tmp_path / "absent"), "optional": True}}
    with pytest.raises(PacenoteError, match="no stage of t could run: .*absent"):
        run_recipe(load(write(tmp_path / "t.yaml", stages)), tmp_path / "run")


def test_another_run_is_never_mixed_in(tmp_path: Path, two: Path) -> None:
    run_recipe(load(two), tmp_path / "run")
    other = load(write(tmp_path / "o.yaml", {"a": {"kind": "upper", "text": str(tmp_path / "in.txt")}}, name="other"))
    with pytest.raises(InputError, match="another run"):
        run_recipe(other, tmp_path / "run")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    with pytest.raises(InputError, match="not empty"):
        run_recipe(other, tmp_path / "full")


SCRIPT = """
import sys
from tests.recipes.test_runner import KINDS, Upper, load, run_recipe
KINDS["upper"] = Upper
run_recipe(load(sys.argv[1]), sys.argv[2])
"""


def test_resume_after_kill_9(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("hello")
    slow = {"kind": "upper", "text": str(tmp_path / "in"), "pause": 0.1}
    recipe, out = write(tmp_path / "t.yaml", {"slow": slow}), tmp_path / "run"
    root = Path(__file__).parents[2]
    child = subprocess.Popen([sys.executable, "-c", SCRIPT, str(recipe), str(out)], cwd=root, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 180
    while not (out / "stages" / "slow" / "part2").exists():
        assert time.monotonic() < deadline, "the run did not start"
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert not (out / "stages" / "slow.json").exists()
    run_recipe(load(recipe), out)
    assert (out / "stages" / "slow" / "x").read_text() == "HELLO"
    assert (out / "stages" / "slow" / "part0").read_text() == str(child.pid)  # kept, not made again
    assert (out / "stages" / "slow" / "part19").read_text() == str(os.getpid())


def test_stages_that_do_not_need_each_other_run_at_once(tmp_path: Path) -> None:
    """Two processes, a failure beside them that spoils nothing, and what needs both comes after them."""
    for name in ("in", "bad"):
        (tmp_path / name).write_text({"in": "hello"}.get(name, name))
    slow = {"kind": "upper", "text": str(tmp_path / "in"), "pause": 0.02}
    stages = {
        "one": slow, "two": slow, "both": {"kind": "upper", "text": "${two.out}"},
        "broken": {"kind": "upper", "text": str(tmp_path / "bad"), "optional": True}, "report": {"kind": "report"},
    }  # fmt: skip
    out = tmp_path / "run"
    page = run_recipe(load(write(tmp_path / "t.yaml", stages)), out, jobs=2)
    ended = {name: state["status"] for name, state in read_json(out / "run.json")["stages"].items()}
    assert list(ended.items()) == [
        ("one", "done"),
        ("two", "done"),
        ("both", "done"),
        ("broken", "failed"),
        ("report", "done"),
    ]
    pids = [(out / "stages" / name / "part0").read_text() for name in ("one", "two")]
    assert len({*pids, str(os.getpid())}) == 3
    assert (out / "stages" / "both" / "x").read_text() == "HELLO" and "bad words" in page.read_text()
    stages["broken"] = {"kind": "upper", "text": str(tmp_path / "bad")}
    stages["two"] = {**slow, "cut": 2}
    with pytest.raises(InputError, match="^stage broken: x: bad words$"):
        run_recipe(load(write(tmp_path / "t.yaml", stages)), out, jobs=2)
    states = read_json(out / "run.json")["stages"]
    assert {name: state["status"] for name, state in states.items()} == {
        "one": "unchanged", "two": "done", "broken": "failed"
    }  # fmt: skip
    assert not (out / "stages" / ".jobs").exists()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"stages": {"a": {"kind": "upper", "tekst": "x"}}}, "unknown key tekst; did you mean text?"),
        ({"stages": {"a": {"kind": "uper", "text": "x"}}}, "unknown kind uper; did you mean upper?"),
        ({"stages": {"a": {"kind": "upper", "text": 5}}}, "text: must be text, not 5"),
        ({"stages": {"a": {"kind": "upper", "text": "x", "cut": "y"}}}, "cut: must be a whole number, not 'y'"),
        ({"stages": {"a": {"kind": "upper"}}}, "stage a: text is missing"),
        ({"stages": {"a": {"kind": "upper", "text": "${b.out}"}}}, r"unknown reference \$\{b.out\}"),
        ({"stages": {"a": {"kind": "upper", "text": "${inputs.fil}"}}}, r"did you mean \$\{inputs.file\}"),
        ({"stages": {"A b": {"kind": "upper", "text": "x"}}}, "lower-case"),
        ({"stages": {"a": {"kind": "upper", "when": None, "tekst": "x"}}}, "did you mean text"),
        ({"stages": {}}, "at least one stage"),
        ({"sead": 1}, "unknown key sead; did you mean seed?"),
        ({"seed": "one"}, "seed must be a whole number"),
    ],
)
def test_bad_recipes_are_one_line_that_names_the_file(tmp_path: Path, change: dict[str, Any], line: str) -> None:
    stages = {"a": {"kind": "upper", "text": "x"}}
    held = {"name": "t", "inputs": {"file": None}, "stages": stages} | change
    path = tmp_path / "t.yaml"
    path.write_text(yaml.safe_dump(held))
    with pytest.raises(InputError, match=line) as caught:
        load(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_bad_files_and_inputs(tmp_path: Path, two: Path) -> None:
    with pytest.raises(InputError, match="did you mean file"):
        load(two, {"fil": "x"})
    with pytest.raises(InputError, match="no such recipe"):
        load(tmp_path / "absent.yaml")
    (tmp_path / "b.yaml").write_text("a: [1\nb: 2")
    with pytest.raises(InputError, match=r"b\.yaml line 2: not valid YAML"):
        load(tmp_path / "b.yaml")
    (tmp_path / "c.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"c\.yaml"):
        load(tmp_path / "c.yaml")


def test_the_shipped_demo_is_a_valid_recipe() -> None:
    recipe = load("demo", {"photos": "photos", "clip": "clip.mp4"})
    assert {settings["kind"] for settings in recipe.stages.values()} >= {"render", "evaluate", "advise", "watch"}
    assert not load("demo").wanted("photos")
