"""Make a model's confidences mean what they say.

Fits a temperature for each slot on frames whose truth is known (never those that the model is tested on) and writes it
beside the weights, where the engine finds it. Answers stay the same.
"""

import argparse
from pathlib import Path

EPILOG = """examples:
  pacenote calibrate models/student data/streets --split dev
  pacenote calibrate models/teacher data/streets --tiles      # the expert tiles:models/teacher instead
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("model", metavar="MODEL", help="a model's directory")
    parser.add_argument("dataset", metavar="DATASET", help="a Dataset that the model was not trained on")
    parser.add_argument("--split", default="dev", choices=("train", "dev", "test"), help="split of the Dataset (dev)")
    parser.add_argument(
        "--tiles",
        action="store_true",
        help="fit what the expert tiles:MODEL says, not the answers",
    )
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="frames a call, of answers (8)")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, ... (auto)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was found here")


def run(args: argparse.Namespace) -> int:
    from pacenote.errors import InputError
    from pacenote.evaluate.calibrate import calibrate
    from pacenote.evaluate.source import open_source
    from pacenote.evaluate.suite import load_model
    from pacenote.work import write_json

    if args.batch < 1:
        raise InputError(f"--batch {args.batch}: give at least 1")
    if args.tiles:
        return _tiles(args)
    found = calibrate(load_model(args.model, args.device), open_source(args.dataset, args.split), batch=args.batch)
    print(f"{'':12}{'n':>6}{'temperature':>13}{'log loss':>20}{'calibration error':>20}")
    for slot, one in found.items():
        pairs = [one["log_loss"], one["ece"]]
        both = ["-" if pair is None else f"{pair[0]:.3f} -> {pair[1]:.3f}" for pair in pairs]
        print(f"{slot:12}{one['n']:>6}{one['temperature']:>13.2f}{both[0]:>20}{both[1]:>20}")
    if args.json:
        write_json(args.json, found)
    return 0


def _tiles(args: argparse.Namespace) -> int:
    from pacenote.evaluate.calibrate import calibrate_tiles
    from pacenote.evaluate.source import open_source
    from pacenote.evaluate.suite import load_model
    from pacenote.work import write_json

    found = calibrate_tiles(load_model(args.model, args.device), open_source(args.dataset, args.split))
    print(f"{'':14}{'n':>6}{'there':>7}{'scale':>8}{'offset':>9}")
    for kind, one in found.items():
        print(f"{kind:14}{one['n']:>6}{one['there']:>7}{one['line'][0]:>8.2f}{one['line'][1]:>9.2f}")
    if args.json:
        write_json(args.json, found)
    return 0
