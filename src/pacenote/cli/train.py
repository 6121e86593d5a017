"""Train a model on Datasets: dense pre-training of its vision tower, then questions and answers.

Stopped runs go on where they were: give the same command again.
"""

import argparse
from pathlib import Path

EPILOG = """examples:
  pacenote train recipes/starter-teacher.yaml --data streets/ --dev streets/ --out runs/teacher
  pacenote train recipes/starter-student.yaml --data streets/ more/ --out runs/student
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("recipe", type=Path, metavar="RECIPE", help="a training recipe (YAML)")
    parser.add_argument("--data", nargs="+", required=True, metavar="DATASET", help="Datasets to train on")
    parser.add_argument(
        "--dev", nargs="+", default=[], metavar="DATASET", help="score dense stages on the dev split of these"
    )
    parser.add_argument(
        "--cache", type=Path, metavar="DIR",
        help="share decoded frames and what teachers see with other trainings (OUT/cache)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for the run; the same command resumes")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an input of the recipe")
    parser.add_argument("--seed", type=int, help="in place of the recipe's")
    parser.add_argument("--device", default="auto", help="cpu, cuda, ... (auto)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what each stage did")


def run(args: argparse.Namespace) -> int:
    import json

    from pacenote.training.recipe import read_recipe
    from pacenote.training.run import train
    from pacenote.work.settings import parse_inputs

    recipe = read_recipe(args.recipe, seed=args.seed, inputs=parse_inputs(args.set))
    model = train(recipe, args.data, args.out, device=args.device, dev=args.dev, cache=args.cache)
    if args.json:
        stages = [json.loads((args.out / s.name / "model" / "done.json").read_text()) for s in recipe.stages]
        args.json.write_text(json.dumps({"model": str(model), "stages": stages}, indent=2) + "\n")
    print(model)
    return 0
