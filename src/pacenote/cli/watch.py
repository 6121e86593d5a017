"""Advise along a clip and draw it into an overlay video.

The light is enlarged where the model's own tower sees it, or else at the most striking spot of the claimed colour
(--no-crop: not at all); it is a pointer for the eye and takes no part in the answer.
"""

import argparse
from pathlib import Path

EPILOG = """example:
  pacenote watch starter-teacher drive.mp4 --out overlay.mp4 --speed-log speed_log.csv
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from pacenote.cli.asking import add_asking, add_withhold

    parser.epilog = EPILOG
    parser.add_argument("model", metavar="MODEL", help="a model directory, a shipped name or a hub id")
    parser.add_argument("clip", metavar="CLIP", type=Path, help="a video file")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the overlay video (.mp4)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="one object an answer, as JSON lines")
    parser.add_argument(
        "--speed-log",
        type=Path,
        metavar="CSV",
        help="the car's own speed: a column t_s and one of v_kmh, v_ms, speed_mph",
    )
    parser.add_argument(
        "--log-offset", type=float, default=0.0, metavar="S", help="time of the log at the clip's first frame (0)"
    )
    parser.add_argument("--every", type=int, metavar="N", help="ask about each N-th frame (about four a second)")
    parser.add_argument(
        "--hold", type=int, default=2, metavar="N", help="answers that must agree before the panel changes (2; 1 = off)"
    )
    parser.add_argument("--confidence", action="store_true", help="show the model's confidence in each card")
    parser.add_argument("--no-crop", action="store_true", help="do not enlarge the light")
    parser.add_argument("--question", metavar="TEXT", help="ask this instead of the neutral request")
    add_withhold(parser)
    parser.add_argument(
        "--still", type=float, default=0.0, metavar="LEVELS",
        help="a frame none of whose patches moved so far (of 255; say 3) keeps the last answer (0: ask about all)",
    )  # fmt: skip
    add_asking(parser)


def run(args: argparse.Namespace) -> int:
    from pacenote.advisory import ADVISE
    from pacenote.drives.clip import read_clip
    from pacenote.drives.speed_log import read_speed_log
    from pacenote.errors import InputError
    from pacenote.evaluate.suite import load_model
    from pacenote.serve.watch import WatchSettings, watch

    for name in ("every", "hold"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise InputError(f"--{name} {value}: give at least 1")
    read_clip(args.clip)  # a bad clip or log is refused before a large model is loaded
    log = read_speed_log(args.speed_log) if args.speed_log else None
    settings = WatchSettings(
        every=args.every, hold=args.hold, fit=args.fit, speed=args.speed, engine=args.engine,
        least=args.withhold, still=args.still,
        question=args.question or ADVISE, prompts=args.prompts, expert=args.expert,
        log_offset_s=args.log_offset, crop=not args.no_crop, confidence=args.confidence,
    )  # fmt: skip
    done = watch(load_model(args.model, args.device), args.clip, args.out, settings, log=log, json=args.json)
    print(f"{args.out}: {done['frames']} frames, {done['answers']} answers at {done['ms']:.0f} ms each")
    return 0
