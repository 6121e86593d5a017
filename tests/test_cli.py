from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from pacenote import cli
from pacenote.cli import COMMANDS, Parser, main
from pacenote.errors import InputError, PacenoteError

HEAVY = ("torch", "transformers", "cv2", "av", "datasets", "pyarrow", "matplotlib", "peft", "ray", "rich")


def play(monkeypatch: pytest.MonkeyPatch, error: BaseException | None) -> None:
    """Put a command `play` into the table that raises `error`."""
    module = type(sys)("play")
    module.__doc__ = "Plays."

    def add_arguments(parser: Parser) -> None:
        parser.add_argument("--resolution", type=int, default=3)

    def run(args: object) -> None:
        if error is not None:
            raise error

    module.add_arguments, module.run = add_arguments, run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "play", module)
    monkeypatch.setitem(COMMANDS, "play", ("play", "plays"))


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("a.yaml: no such file"), 2, "a.yaml: no such file"),
        (PacenoteError("it broke"), 1, "it broke"),
        (KeyboardInterrupt(), 130, "To resume: pacenote play --resolution 4"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), 1, "pip install 'pacenote[models]'"),
        (OSError(28, "No space left on device"), 1, "no space left"),
        (None, 0, ""),
    ],
)
def test_each_end_has_its_code_and_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, line: str
) -> None:
    play(monkeypatch, error)
    assert main(["play", "--resolution", "4"]) == code
    said = capsys.readouterr().err
    assert line in said
    assert said.count("\n") == (1 if code else 0)


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        main(["play"])


def test_unknown_words_name_the_nearest(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evalute"]) == 2
    assert "did you mean evaluate?" in capsys.readouterr().err
    play(monkeypatch, None)
    with pytest.raises(SystemExit) as caught:
        main(["play", "--resolutoin", "4"])
    assert caught.value.code == 2
    assert "did you mean --resolution?" in capsys.readouterr().err


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in COMMANDS)


def test_every_command_explains_itself_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        with pytest.raises(SystemExit) as caught:
            main([name, "--help"])
        assert caught.value.code == 0
        assert f"pacenote {name}" in capsys.readouterr().out.split("\n\n", 1)[1], f"{name} --help shows no example"


def test_help_imports_nothing_heavy() -> None:
    script = f"""
import sys
from pacenote.cli import COMMANDS, main
main(["--help"])
for name in COMMANDS:
    try:
        main([name, "--help"])
    except SystemExit:
        pass
heavy = [name for name in {HEAVY!r} if name in sys.modules]
sys.exit(f"imported for --help: {{heavy}}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_commands_are_thin() -> None:
    """A command parses, calls one function and prints: anything long belongs to a room."""
    for name, (module, _) in COMMANDS.items():
        file = Path(str(importlib.import_module(module).__file__))
        assert len(file.read_text().splitlines()) <= 250, name
    assert Path(str(cli.__file__)).is_file()
