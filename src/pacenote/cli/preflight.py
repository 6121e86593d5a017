"""Check a training before it starts: every row, the teacher cache, what is learnt, memory and work.

Needs no GPU and takes no step; with --no-weights not even the model's weights.
"""

import argparse
from pathlib import Path

EPILOG = """examples:
  pacenote preflight tune.yaml --data data/streets
  pacenote preflight recipes/qwen-distil.yaml --data data/real data/streets --no-weights --rows 200 --tflops 400
  pacenote preflight recipes/table4-qwen.yaml --set student=Qwen2.5-VL-7B --set painter=Kolors --no-weights
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("recipe", type=Path, metavar="RECIPE", help="a training recipe, or a run's (YAML)")
    parser.add_argument("--data", nargs="+", metavar="DATASET", help="Datasets to train on (a run names its own)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an input of the recipe")
    parser.add_argument("--rows", type=int, default=0, metavar="N", help="check about N rows of each stage (all)")
    parser.add_argument("--no-weights", action="store_true", help="read configurations and processors only")
    parser.add_argument(
        "--tflops", type=float, default=0.0, metavar="X", help="what the machine sustains: prints hours"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the reports here too")


def run(args: argparse.Namespace) -> int:
    from pacenote.errors import InputError
    from pacenote.recipes import load
    from pacenote.recipes.preflight import preflight_run
    from pacenote.recipes.recipe import is_run
    from pacenote.training.preflight import as_text, faults, preflight
    from pacenote.training.recipe import read_recipe
    from pacenote.work import write_json
    from pacenote.work.settings import parse_inputs

    inputs, weights = parse_inputs(args.set), not args.no_weights
    if is_run(args.recipe):
        if args.data:
            raise InputError(f"{args.recipe}: the recipe of a run names its Datasets; give them by --set, not --data")
        reports = preflight_run(load(args.recipe, inputs=inputs), most=args.rows, weights=weights)
    elif args.data:
        reports = preflight(read_recipe(args.recipe, inputs=inputs), args.data, most=args.rows, weights=weights)
    else:
        raise InputError(f"{args.recipe}: is a training recipe; name the Datasets to train on (--data)")
    if args.json:
        write_json(args.json, reports)
    print(as_text(reports, args.tflops))
    return 2 if faults(reports) else 0
