"""Fill a teacher cache: a big model's soft labels of the answers to a Dataset, for any number of students.

Rows with a truth are scored on the true answer; for rows without one the teacher writes the advisory itself. The same
command resumes a stopped run.
"""

import argparse
from pathlib import Path

EPILOG = """examples:
  pacenote teach starter-teacher data/streets --out cache/streets
  pacenote teach Qwen/Qwen2.5-VL-72B-Instruct data/streets data/unlabelled --out cache/big --batch 32 --device cuda
  pacenote teach Qwen/Qwen2.5-VL-72B-Instruct data/streets --out cache/served --temperatures \\
      --endpoint http://teacher:8000/v1 --tokenizer Qwen/Qwen2.5-VL-72B-Instruct
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("teacher", metavar="TEACHER", help="a model: directory, hub id or shipped name")
    parser.add_argument("data", nargs="+", metavar="DATASET", help="Datasets to teach on")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the cache; the same command resumes")
    parser.add_argument("--split", default="train", choices=("train", "dev", "test", "all"), help="(train)")
    parser.add_argument("--top", type=int, default=64, metavar="K", help="tokens kept of each distribution (64)")
    parser.add_argument(
        "--temperatures", type=float, nargs="*", default=[2.0], metavar="T", help="to be read at, beside 1 (2)"
    )
    parser.add_argument("--asks", type=int, default=0, metavar="N", help="further questions a labelled frame (0)")
    parser.add_argument(
        "--write", default="missing", choices=("missing", "all", "never"), help="which answers it writes (missing)"
    )
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="questions at a time (8)")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes, each with the teacher (1)")
    parser.add_argument("--ray", metavar="ADDRESS", help="spread the shards over a Ray cluster: auto, local, host:port")
    parser.add_argument("--endpoint", metavar="URL", help="ask the TEACHER of an OpenAI-compatible server (vLLM)")
    parser.add_argument("--tokenizer", metavar="MODEL", help="the served model's tokenizer (TEACHER)")
    parser.add_argument("--end", default="<|im_end|>", metavar="TOKEN", help="its end of an answer (<|im_end|>)")
    parser.add_argument("--key-env", default="PACENOTE_KEY", metavar="NAME", help="variable with the server's key")
    parser.add_argument("--device", default="auto", help="cpu, cuda, ... (auto)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the further questions (0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")


def run(args: argparse.Namespace) -> int:
    import os

    from pacenote.errors import InputError
    from pacenote.training.teach import Served, TeachOptions, teach
    from pacenote.work import write_json

    for name in ("top", "batch", "workers"):
        if getattr(args, name) < 1:
            raise InputError(f"--{name} {getattr(args, name)}: give at least 1")
    options = TeachOptions(
        args.top, tuple(args.temperatures), args.asks, args.write, args.batch, seed=args.seed, device=args.device
    )
    served = None
    if args.endpoint:
        served = Served(args.endpoint, args.tokenizer or args.teacher, args.end, os.environ.get(args.key_env, ""))
    split = None if args.split == "all" else args.split
    figures = teach(
        args.teacher, args.data, args.out, options, split=split, workers=args.workers, ray=args.ray, served=served
    )
    if args.json:
        write_json(args.json, figures)
    each = figures["bytes"] / max(1, figures["tokens"])
    print(f"{figures['rows']} answers, {figures['tokens']} tokens, {each:.0f} bytes each; {figures['written']} written")
    print(args.out)
    return 0
