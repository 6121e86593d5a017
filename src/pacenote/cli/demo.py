"""Render some streets, score the starters, advise on your photos and along your clip, and open one report.

Everything runs offline on a CPU. What is not installed (Blender, say) is named in the report, and the rest still runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from pacenote.cli.run import add_common, execute

EPILOG = """examples:
  pacenote demo
  pacenote demo --photos photos/ --clip drive.mp4
"""
CLIPS = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".hevc")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("--photos", type=Path, metavar="DIR", help="photos to advise on; labels.jsonl scores them")
    parser.add_argument("--clip", type=Path, metavar="FILE", help="a video to advise along (the first under DIR)")
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    from pacenote.errors import InputError

    clip = args.clip
    if args.photos:
        if not args.photos.is_dir():
            raise InputError(f"--photos {args.photos}: no such folder")
        clip = clip or next((p for p in sorted(args.photos.rglob("*")) if p.suffix.lower() in CLIPS), None)
    if clip and not clip.is_file():
        raise InputError(f"--clip {clip}: no such file")
    given = {"photos": str(args.photos) if args.photos else None, "clip": str(clip) if clip else None}
    return execute(args, "demo", given)
