"""Merge a LoRA adapter into its base model, after checking that the merged model answers as the adapted one."""

import argparse
from pathlib import Path

EPILOG = """examples:
  pacenote merge starter-student runs/student/02-lora/adapter --out models/student
  pacenote merge Qwen/Qwen2.5-VL-7B-Instruct runs/seven/02-lora/adapter --out models/seven --bf16
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("base", metavar="MODEL", help="the base: directory, hub id or shipped name")
    parser.add_argument("adapter", type=Path, metavar="ADAPTER", help="directory with adapter_config.json")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for the merged model")
    parser.add_argument("--bf16", action="store_true", help="write bf16 weights (float32)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was merged here too")


def run(args: argparse.Namespace) -> int:
    from pacenote.training.tune import merge_adapter
    from pacenote.work import prepare_out, write_json

    prepare_out(args.out)
    done = merge_adapter(args.base, args.adapter, args.out, bf16=args.bf16)
    if args.json:
        write_json(args.json, done)
    print(f"{done['layers']} adapted layers merged")
    print(args.out)
    return 0
