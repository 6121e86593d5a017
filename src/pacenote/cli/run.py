"""Run a recipe: a YAML file of stages.

Stages whose settings and inputs are unchanged are skipped; after Ctrl-C or a kill the same command resumes. The run's
directory gets the resolved recipe, versions and seed, what each stage made, and report.html.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

EPILOG = """examples:
  pacenote run demo --set photos=photos/
  pacenote run my.yaml --out runs/mine --seed 1 --workers 2
  pacenote run recipes/table2.yaml --set labelled=A --set unlabelled=B --jobs 2
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("recipe", metavar="RECIPE", help="a YAML file, or the name of a shipped recipe (demo)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an input of the recipe")
    add_common(parser)


def add_common(parser: argparse.ArgumentParser) -> None:
    """Options that `run` and `demo` share."""
    parser.add_argument("--out", type=Path, metavar="DIR", help="the run's directory (runs/NAME); resumed if it exists")
    parser.add_argument("--seed", type=int, help="in place of the recipe's seed")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes, where a stage uses them (1)")
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="stages at once that do not need each other (1)"
    )
    parser.add_argument("--ray", metavar="ADDRESS", help="run shards on a Ray cluster instead of local processes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write how each stage ended here")


def run(args: argparse.Namespace) -> int:
    from pacenote.work.settings import parse_inputs

    return execute(args, args.recipe, parse_inputs(args.set))


def execute(args: argparse.Namespace, recipe: str, given: dict[str, Any]) -> int:
    """Load, run, and say where the page is."""
    from pacenote.errors import InputError
    from pacenote.recipes import load, run_recipe
    from pacenote.work import read_json, write_json

    for name, value in (("workers", args.workers), ("jobs", args.jobs)):
        if value < 1:
            raise InputError(f"--{name} {value}: give at least 1")
    loaded = load(recipe, given, args.seed)
    out = args.out or Path("runs") / loaded.name
    page = run_recipe(loaded, out, workers=args.workers, ray=args.ray, jobs=args.jobs)
    record = read_json(out / "run.json")
    if args.json:
        write_json(args.json, record)
    for name, state in record["stages"].items():
        print(f"{name:20} {state['status']:10} {state.get('seconds', '')} {state['reason']}".rstrip())
    print(page)
    return 0
