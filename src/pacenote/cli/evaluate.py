"""Score a model on a Dataset or on a folder of photos.

Writes evaluation.json, predictions.jsonl, report.md, report.html and plots into --out. Stopped runs go on where they
were. A folder without labels.jsonl is run and shown, not scored.
"""

import argparse
from pathlib import Path

EPILOG = """examples:
  pacenote evaluate starter-teacher streets-test --out runs/teacher
  pacenote evaluate starter-teacher photos/ --out runs/photos
  pacenote evaluate starter-student streets-test --out runs/student --compare runs/teacher
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from pacenote.cli.asking import add_asking

    parser.epilog = EPILOG
    parser.add_argument("model", metavar="MODEL", help="a model directory, a shipped name or a hub id")
    parser.add_argument("dataset", metavar="DATASET", help="a Dataset (directory, shipped name, hub id) or photos")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="for the results; the same command resumes"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    parser.add_argument(
        "--compare", nargs="+", default=[], metavar="MODEL|DIR",
        help="other models (run on the same frames, into DIR/compare) or earlier results, side by side in one table",
    )  # fmt: skip
    parser.add_argument("--split", default="test", choices=("train", "dev", "test"), help="split of the Dataset (test)")
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="frames a call, after the timed ones (8)")
    parser.add_argument("--latency-frames", type=int, default=50, metavar="N", help="frames timed one by one (50)")
    parser.add_argument("--limit", type=int, metavar="N", help="only N frames, spread over the set")
    parser.add_argument("--question", metavar="TEXT", help="ask this instead of each frame's own question")
    parser.add_argument("--resamples", type=int, default=1000, metavar="N", help="bootstrap resamples (1000)")
    add_asking(parser)
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (0)")


def run(args: argparse.Namespace) -> int:
    from pacenote.errors import InputError
    from pacenote.evaluate.run import Settings
    from pacenote.evaluate.suite import evaluate_several

    for name in ("batch", "limit"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise InputError(f"--{name} {value}: give at least 1")
    settings = Settings(
        fit=args.fit, speed=args.speed, engine=args.engine, question=args.question, batch=args.batch,
        prompts=args.prompts, expert=args.expert,
        latency_frames=max(args.latency_frames, 0), limit=args.limit, seed=args.seed, resamples=max(args.resamples, 0),
    )  # fmt: skip
    table, page = evaluate_several(
        args.model, args.dataset, args.out, settings,
        split=args.split, device=args.device, compare=args.compare, json=args.json,
    )  # fmt: skip
    print(table)
    print(f"\n{page}")
    return 0
