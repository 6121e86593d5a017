"""Make the HTML page of a recipe's run again, or one page that compares finished evaluations."""

from __future__ import annotations

import argparse
from pathlib import Path

EPILOG = """examples:
  pacenote report runs/demo
  pacenote report runs/teacher runs/student --out runs/compared
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("runs", nargs="+", type=Path, metavar="DIR", help="one run of a recipe, or evaluations")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the comparison of evaluations goes")


def run(args: argparse.Namespace) -> int:
    from pacenote.errors import InputError
    from pacenote.evaluate.compare import is_evaluation
    from pacenote.recipes.report import write_evaluations, write_page

    if all(map(is_evaluation, args.runs)):
        if args.out is None:
            raise InputError("--out DIR is needed: the comparison of evaluations goes there")
        print(write_evaluations(args.runs, args.out))
        return 0
    if len(args.runs) > 1:
        odd = next(path for path in args.runs if not is_evaluation(path))
        raise InputError(f"{odd}: not a finished evaluation; give one run, or evaluations only")
    print(write_page(args.runs[0]))
    return 0
