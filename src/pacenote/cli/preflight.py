"""Check a training before it starts: every row, the teacher cache, what is learnt, memory and work.

Needs no GPU and takes no step; with --no-weights not even the model's weights.
"""

import argparse
from pathlib import Path

EPILOG = """examples:
  pacenote preflight tune.yaml --data data/streets
  pacenote preflight recipes/qwen-distil.yaml --data data/real data/streets --no-weights --rows 200 --tflops 400
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("recipe", type=Path, metavar="RECIPE", help="a training recipe (YAML)")
    parser.add_argument("--data", nargs="+", required=True, metavar="DATASET", help="Datasets to train on")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an input of the recipe")
    parser.add_argument("--rows", type=int, default=0, metavar="N", help="check about N rows of each stage (all)")
    parser.add_argument("--no-weights", action="store_true", help="read configurations and processors only")
    parser.add_argument(
        "--tflops", type=float, default=0.0, metavar="X", help="what the machine sustains: prints hours"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the reports here too")


def run(args: argparse.Namespace) -> int:
    from pacenote.training.preflight import as_text, faults, preflight
    from pacenote.training.recipe import read_recipe
    from pacenote.work import write_json
    from pacenote.work.settings import parse_inputs

    recipe = read_recipe(args.recipe, inputs=parse_inputs(args.set))
    reports = preflight(recipe, args.data, most=args.rows, weights=not args.no_weights)
    if args.json:
        write_json(args.json, reports)
    print(as_text(reports, args.tflops))
    return 2 if faults(reports) else 0
