"""Turn raw drives into labelled frames.

A labeler and experts say what they see; along each drive a chain on time and distance, the car's own motion and what
each source is worth make labels of it, with probabilities. Nothing is lost: refused frames keep their reason. The same
command resumes a stopped run.
"""

from __future__ import annotations

import argparse
from pathlib import Path

EPILOG = """examples:
  pacenote mine clips/ --out mined
  pacenote mine drives/ --gold labelled-drives --out mined --workers 2
  pacenote mine log.mcap --labeler Qwen/Qwen2.5-VL-72B-Instruct --endpoint http://localhost:8000/v1 --out mined
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("drives", nargs="+", type=Path, metavar="DRIVE", help="files, folders, or a Dataset of drives")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the Dataset; the same command resumes")
    who = parser.add_argument_group("who is asked")
    who.add_argument("--labeler", default="starter-student", metavar="MODEL", help="a model (starter-student)")
    who.add_argument("--endpoint", metavar="URL", help="ask the labeler behind this OpenAI-compatible server")
    who.add_argument("--engine", default="exact", choices=("exact", "parallel", "plain"), help="of the labeler (exact)")
    who.add_argument(
        "--prompts",
        default="default",
        metavar="BOOK",
        help="a book, or 'none' (default; if served, general)",
    )
    who.add_argument(
        "--expert", action="append", metavar="E", help="again for more: look:MODEL, classical, FILE.onnx, a detector's "
        "directory, or 'none' (look:starter-teacher)",
    )  # fmt: skip
    who.add_argument("--rate", type=float, default=4.0, metavar="HZ", help="frames a second, 0 for every frame (4)")
    who.add_argument(
        "--votes", type=Path, metavar="DIR", help="where what they say is kept, to be asked once (OUT/votes)"
    )
    who.add_argument("--select", action="store_true", help="ask the labeler only where an expert sees something")
    how = parser.add_argument_group("how votes become labels")
    how.add_argument(
        "--method", default="full", choices=("full", "window", "raw"),
        help="full; window: the paper's majority vote; raw: the labeler as it is (full)",
    )  # fmt: skip
    how.add_argument(
        "--motion",
        default="soft",
        choices=("soft", "hard", "none"),
        help="the car's motion: a source, or rewriting",
    )
    how.add_argument("--gold", type=Path, metavar="DATA", help="a Dataset of drives with truth, to calibrate on")
    how.add_argument("--gold-split", default="dev", metavar="S", help="split of --gold (dev)")
    how.add_argument("--fusion", type=Path, metavar="FILE", help="fusion.json of an earlier run, in place of learning")
    how.add_argument("--least", type=float, default=0.0, metavar="P", help="certainty below which a slot weighs 0 (0)")
    how.add_argument(
        "--unknown", nargs="+", default=[], metavar="KIND",
        help="facts of which no source is believed (crash, light, ...): they get no label",
    )  # fmt: skip
    how.add_argument("--keep", type=int, metavar="N", help="at most N frames: rare, disputed, contradicted ones first")
    how.add_argument("--no-dedup", action="store_true", help="keep frames that repeat another of their drive")
    parser.add_argument(
        "--split", default="", choices=("train", "dev", "test"), help="split of Datasets given as DRIVE"
    )
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes (1)")
    parser.add_argument("--ray", metavar="ADDRESS", help="work on a Ray cluster: auto, local or host:port")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of what --keep draws (0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the card and counts here too")


def run(args: argparse.Namespace) -> int:
    import os

    from pacenote.errors import InputError
    from pacenote.mining.mine import Asking, Labelling, mine
    from pacenote.mining.report import report
    from pacenote.work import write_json

    for name, least in (("rate", 0), ("workers", 1), ("keep", 1)):
        value = getattr(args, name)
        if value is not None and value < least:
            raise InputError(f"--{name} {value}: give at least {least}")
    if not 0 <= args.least <= 1:
        raise InputError(f"--least {args.least}: give a probability, 0 to 1")
    if args.endpoint and args.prompts == "default":
        args.prompts = "general"  # the book for models that were never trained on advisories
    if args.workers > 1:  # of each process that is started
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // args.workers)))
    experts = ("look:starter-teacher",) if args.expert is None else tuple(e for e in args.expert if e != "none")
    asking = Asking(
        labeler=args.labeler, endpoint=args.endpoint or "", engine=args.engine,
        prompts="" if args.prompts == "none" else args.prompts, experts=experts, rate_hz=args.rate or None,
        select=args.select,
    )  # fmt: skip
    labelling = Labelling(
        method=args.method, motion=args.motion, least=args.least, keep=args.keep, dedup=not args.no_dedup,
        unknown=tuple(args.unknown), seed=args.seed,
    )  # fmt: skip
    mined = mine(
        args.drives, args.out, asking, labelling, gold=[(args.gold, args.gold_split)] if args.gold else [],
        fusion=args.fusion, votes=args.votes, split=args.split, workers=args.workers, ray=args.ray,
    )  # fmt: skip
    page = report(mined)
    if args.json:
        write_json(args.json, mined.card)
    held = mined.card["splits"]["train"]["samples"]
    print(f"{held} frames of {len(mined.drives)} drives, {sum(mined.card['rejected'].values())} refused")
    print(page)
    return 0
