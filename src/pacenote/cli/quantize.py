"""Quantize a model's language part; of several methods one is kept by the dev split: of those that cost no loss
beyond its error, the one whose decisions are nearest to the 16-bit model's.

Calibrates on the train split of --data (real prompts with pictures and answers), checks that the saved checkpoint
gives the logits of the model in memory, and with --audit counts what flips between the 16-bit model and its checkpoint.
"""

import argparse
from pathlib import Path

EPILOG = """examples:
  pacenote quantize starter-student --data data/streets --out models/student-int4
  pacenote quantize models/seven --data data/streets --out models/seven-int4 --methods rtn awq --device cuda
  pacenote quantize starter-student --data data/streets --out models/int4 --audit data/audit --max-red-green 0.005
  pacenote quantize starter-distilled --checkpoint starter-distilled-int4 --audit data/audit --out runs/audit

Writes quantization.json beside the weights, and with --audit audit.json and audit.md. A checkpoint whose bound of red
that became green is above --max-red-green goes to DIR.rejected, and the exit code is 1.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from pacenote.quantize.settings import BALANCE, BALANCES, GROUPS, METHODS

    parser.epilog = EPILOG
    parser.add_argument("model", metavar="MODEL", help="a 16-bit model: directory, shipped name or hub id")
    parser.add_argument("--data", nargs="+", default=[], metavar="DATASET", help="with splits train and dev")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for the checkpoint; must be empty")
    parser.add_argument(
        "--checkpoint", default="", metavar="DIR",
        help="make none: --audit this one; audit.json and audit.md go to --out",
    )  # fmt: skip
    parser.add_argument("--scheme", default="W4A16", metavar="NAME", help="W4A16, W8A16 or W8A8 (W4A16)")
    parser.add_argument(
        "--methods", nargs="+", default=list(METHODS), metavar="NAME", help=f"of {', '.join(METHODS)} (all)"
    )
    parser.add_argument("--rows", type=int, default=128, metavar="N", help="calibration rows (128)")
    parser.add_argument("--dev-rows", type=int, default=256, metavar="N", help="rows of the dev split (256)")
    parser.add_argument(
        "--tune-rows", type=int, default=512, metavar="N",
        help="train rows for the method tuned, which needs no labels (512)",
    )  # fmt: skip
    parser.add_argument(
        "--group", type=int, default=GROUPS[0], metavar="N", help="columns a scale, or less where it must (128)"
    )
    parser.add_argument(
        "--balance", default=BALANCE, metavar="NAME",
        help=f"tokens that AWQ weighs: {', '.join(BALANCES)} ({BALANCE})",
    )  # fmt: skip
    parser.add_argument(
        "--sensitivity", type=int, default=0, metavar="N", help="dev rows for the loss of each layer alone (0 = none)"
    )
    parser.add_argument("--audit", nargs="+", default=[], metavar="DATASET", help="compare both models' answers on it")
    parser.add_argument("--audit-split", default="test", choices=("train", "dev", "test"), help="split of it (test)")
    parser.add_argument("--audit-limit", type=int, metavar="N", help="only N frames of each, spread over it")
    parser.add_argument(
        "--max-red-green", type=float, default=0.005, metavar="SHARE",
        help="largest 95 %% bound of red that became green, of what 16 bits call red (0.005)",
    )  # fmt: skip
    parser.add_argument(
        "--control", action="store_true", help="also count what flips between the 16-bit model and itself in float32"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the rows and tokens drawn (0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, ... (auto)")


def run(args: argparse.Namespace) -> int:
    from pacenote.errors import InputError
    from pacenote.quantize.audited import AuditOptions, audit_checkpoint, quantize_audited, report
    from pacenote.quantize.settings import QuantizeOptions
    from pacenote.work import write_json

    if args.audit_limit is not None and args.audit_limit < 1:
        raise InputError(f"--audit-limit {args.audit_limit}: give at least 1")
    audit = AuditOptions(tuple(args.audit), args.audit_split, args.audit_limit, args.max_red_green, args.control)
    if args.checkpoint:
        found = audit_checkpoint(args.model, args.checkpoint, args.out, audit, device=args.device, seed=args.seed)
        if args.json:
            write_json(args.json, found)
        print((args.out / "audit.md").read_text())
        return 0
    if not args.data:
        raise InputError("--data: give a Dataset with splits train and dev to calibrate on")
    options = QuantizeOptions(
        scheme=args.scheme, methods=tuple(args.methods), rows=args.rows, dev_rows=args.dev_rows,
        tune_rows=args.tune_rows, group=args.group, balance=args.balance, sensitivity=args.sensitivity, seed=args.seed,
        device=args.device,
    )  # fmt: skip
    figures = quantize_audited(args.model, args.data, args.out, options, audit)
    if args.json:
        write_json(args.json, figures)
    print(report(figures))
    print(args.out)
    return 0
