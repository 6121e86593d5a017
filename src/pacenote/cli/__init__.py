"""The command line: one thin module a command, imported only when that command runs.

Each module has `add_arguments(parser)` and `run(args) -> int | None`. Exit codes: 0 well, 1 failure, 2 bad input,
130 after Ctrl-C. Errors are one line on stderr.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from pacenote.errors import PacenoteError

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("pacenote.cli.demo", "render streets, score the starters, advise on photos, open one report"),
    "run": ("pacenote.cli.run", "run a recipe of stages; finished stages are skipped"),
    "render": ("pacenote.cli.render", "simulate and render streets into a labelled Dataset"),
    "mine": ("pacenote.cli.mine", "turn raw drives into labelled frames"),
    "imagine": ("pacenote.cli.imagine", "paint labelled scenes with a painter that learns from its best pictures"),
    "preflight": ("pacenote.cli.preflight", "check a training's rows, cache, memory and work before it starts"),
    "teach": ("pacenote.cli.teach", "store a teacher's soft labels for a student"),
    "train": ("pacenote.cli.train", "train a model on Datasets"),
    "merge": ("pacenote.cli.merge", "merge a LoRA adapter into its base model"),
    "calibrate": ("pacenote.cli.calibrate", "make a model's confidences mean what they say"),
    "quantize": ("pacenote.cli.quantize", "quantize a model, check what was saved and audit what flips"),
    "evaluate": ("pacenote.cli.evaluate", "score a model on a Dataset or a labelled folder"),
    "advise": ("pacenote.cli.advise", "advise on photos, one JSON line each"),
    "watch": ("pacenote.cli.watch", "advise along a clip and draw it into the video"),
    "prompts": ("pacenote.cli.prompts", "show a prompt book, see what it makes of an image, optimize it"),
    "data": ("pacenote.cli.data", "check, view, export, import, merge and split Datasets"),
    "report": ("pacenote.cli.report", "make one HTML page of a run or of evaluations"),
    "doctor": ("pacenote.cli.doctor", "say what is installed, what is missing and how to get it"),
}
EXTRAS = {
    "torch": "models", "transformers": "models", "tokenizers": "models", "safetensors": "models",
    "accelerate": "train", "peft": "train", "tensorboard": "train",
    "sumo": "render", "sumolib": "render", "ray": "ray",
    "numba": "mine", "mcap": "drives", "rosbags": "drives", "diffusers": "imagine",
    "llmcompressor": "quantize", "compressed_tensors": "quantize",
}  # fmt: skip


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line that names the nearest option."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("allow_abbrev", False)
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        parsed, rest = self.parse_known_args(args, namespace)
        if rest:
            options = [option for option in self._option_string_actions if option.startswith("--")]
            hint = nearest(rest[0].split("=")[0], options)
            self.error(f"unknown argument {rest[0]}{hint}")
        return parsed


def nearest(word: str, known: Sequence[str]) -> str:
    """ " (did you mean X?)" for the known word closest to `word`, or an empty string."""
    close = get_close_matches(word, known, n=1, cutoff=0.5)
    return f" (did you mean {close[0]}?)" if close else ""


def usage() -> str:
    """The help of `pacenote` itself, from COMMANDS alone."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    return (
        "usage: pacenote COMMAND [options]\n\n"
        "Teach a small vision-language model to warn like a rally co-driver.\n\n"
        "commands:\n" + "\n".join(lines) + "\n\n"
        "  pacenote COMMAND --help  options and an example\n"
        "  pacenote --version       the version\n\n"
        "example: pacenote advise starter-teacher photo.jpg\n"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage(), end="")
        return 0
    name, rest = arguments[0], arguments[1:]
    if name in ("-V", "--version"):
        from pacenote import __version__

        print(f"pacenote {__version__}")
        return 0
    if name not in COMMANDS:
        return _fail(f"{name}: no such command{nearest(name, list(COMMANDS))}; see pacenote --help", 2)
    return _guarded(name, rest)


def _guarded(name: str, rest: list[str]) -> int:
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        module = importlib.import_module(COMMANDS[name][0])
        parser = Parser(prog=f"pacenote {name}", description=(module.__doc__ or COMMANDS[name][1]).strip())
        module.add_arguments(parser)
        code = module.run(parser.parse_args(rest))
        sys.stdout.flush()
        return int(code or 0)
    except PacenoteError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail(f"stopped; finished work is kept. To resume: pacenote {_quoted([name, *rest])}", 130)
    except BrokenPipeError:  # the reader of our output left, as in `pacenote ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in EXTRAS:
            raise
        return _fail(f"the {package} package is missing: pip install 'pacenote[{EXTRAS[package]}]'", 1)
    except OSError as error:
        from pacenote.work.files import FULL

        if error.errno not in FULL:
            raise
        return _fail(f"{error.filename or 'output'}: no space left on the device; free some and run it again", 1)
    finally:
        signal.signal(signal.SIGTERM, previous)


def _terminate(*_: Any) -> NoReturn:
    raise SystemExit(143)  # so that `finally` closes workers, as with Ctrl-C


def _quoted(words: Sequence[str]) -> str:
    import shlex

    return shlex.join(words)


def _fail(line: str, code: int) -> int:
    print("pacenote: " + " ".join(line.split()), file=sys.stderr, flush=True)
    return code
