"""Advise on photos: speed, traffic light, obstacles and crossroad of each."""

import argparse
from pathlib import Path

EPILOG = """examples:
  pacenote advise starter-teacher photo.jpg
  pacenote advise starter-teacher photos/ --json advisories.jsonl
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from pacenote.cli.asking import add_asking, add_withhold

    parser.epilog = EPILOG
    parser.add_argument("model", metavar="MODEL", help="a model directory, a shipped name or a hub id")
    parser.add_argument("images", metavar="IMAGE|DIR", nargs="+", help="pictures, or folders searched in depth")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="one object a picture: image, advisory, text, confidence, ms"
    )
    parser.add_argument("--question", metavar="TEXT", help="ask this instead of the neutral request")
    parser.add_argument("--batch", type=int, default=1, metavar="N", help="pictures a call (1, which times each alone)")
    add_withhold(parser)
    add_asking(parser)


def run(args: argparse.Namespace) -> int:
    import contextlib
    import json

    from pacenote.advisory import ADVISE
    from pacenote.errors import InputError
    from pacenote.evaluate.advise import advise
    from pacenote.evaluate.suite import load_model
    from pacenote.models.frames import find_images
    from pacenote.work import atomic

    if args.batch < 1:
        raise InputError(f"--batch {args.batch}: give at least 1")
    images = find_images([Path(name) for name in args.images])
    model = load_model(args.model, args.device)
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(stack.enter_context(atomic(args.json)).open("w")) if args.json else None
        for advised in advise(
            model,
            images,
            question=args.question or ADVISE,
            fit=args.fit,
            speed=args.speed,
            engine=args.engine,
            batch=args.batch,
            least=args.withhold,
            prompts=args.prompts,
            expert=args.expert,
        ):
            print(f"{advised.image}\n  {advised.answer.text or '(no answer)'}")
            if file:
                file.write(json.dumps(advised.to_dict(), ensure_ascii=False) + "\n")
    return 0
