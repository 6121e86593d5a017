"""Paint labelled scenes with a text-to-image model that learns, in rounds, from the best of its own pictures.

Each round paints pictures of specs that fill the long tail of DATA. A frozen judge reads them back, a second one only
watches; the best are learnt from. The rounds stop when the second judge agrees less or the pictures grow alike. The
same command goes on where it was stopped. `--do` chooses a single step instead: filter pairs, train a starter painter,
merge a LoRA into a painter, or change photos together with their truth.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

EPILOG = """examples:
  pacenote imagine DATA --do pairs --judge starter-teacher --out runs/pairs
  pacenote imagine DATA --do starter --out runs/painter
  pacenote imagine runs/pairs --painter runs/painter --judge starter-teacher --second starter-distilled \\
      --known DEV --rounds 4 --images 4 --control --out runs/imagined
  pacenote imagine runs/pairs --painter Kwai-Kolors/Kolors-diffusers --negatives --judge ... --out runs/kolors
  pacenote imagine --do merge --painter runs/painter --lora runs/imagined/lora-02 --out runs/better
  pacenote imagine DATA --do edit --edits fog,night,cone --out runs/edited
"""
STEPS = ("rounds", "pairs", "starter", "merge", "edit")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from pacenote.imagine.loop import LoopOptions
    from pacenote.imagine.lora import PaintLora
    from pacenote.imagine.starter import StarterOptions

    loop, lora, starter = LoopOptions(), PaintLora(), StarterOptions()
    parser.epilog = EPILOG
    parser.add_argument("data", metavar="DATA", nargs="*", help="pairs (--do pairs made them) or any labelled Dataset")
    parser.add_argument("--do", default="rounds", choices=STEPS, help="a single step (rounds)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for the results")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    parser.add_argument("--split", default="train", choices=("train", "dev", "test"), help="split of DATA (train)")
    parser.add_argument(
        "--painter", metavar="NAME", help="a diffusers pipeline (Kolors, SDXL, SD): directory or hub id"
    )
    parser.add_argument("--lora", type=Path, metavar="DIR", help="merge: the LoRA that a round left")
    parser.add_argument("--size", type=_size, metavar="WxH", help="of the pictures, px (the painter's own)")
    parser.add_argument("--paint-steps", type=int, metavar="N", help="denoising steps (the painter's own, or 30)")
    parser.add_argument("--guidance", type=float, help="classifier-free guidance (the painter's own, or 5)")
    parser.add_argument("--negatives", action="store_true", help="also tell the painter what must not be there")
    parser.add_argument(
        "--judge", metavar="MODEL", help="reads pictures back and decides; not the model under training"
    )
    parser.add_argument("--second", metavar="MODEL", help="reads them, too, and decides nothing; other weights")
    parser.add_argument("--trains", nargs="+", default=[], metavar="MODEL", help="models that the pictures are for")
    parser.add_argument("--known", default="", metavar="DATASET", help="frames that judges are calibrated on (DATA)")
    parser.add_argument("--known-split", default="train", choices=("train", "dev", "test"), help="its split (train)")
    parser.add_argument("--tower", default="starter-teacher", metavar="MODEL", help="whose eyes tell pictures apart")
    parser.add_argument("--screen", default="", metavar="MODULE:FUNCTION", help="refuses prompts and pictures (words)")
    parser.add_argument("--prompts", default="", metavar="BOOK", help="words around each caption: painter, or a file")
    parser.add_argument("--describe", default="", metavar="MODEL", help="pairs: a VLM that adds what no slot names")
    parser.add_argument("--endpoint", default="", metavar="URL", help="ask it behind this OpenAI-compatible server")
    parser.add_argument("--limit", type=int, metavar="N", help="only N pairs")
    for name, help in (
        ("rounds", "rounds at most"), ("specs", "specs a round"), ("images", "pictures a spec"),
        ("keep", "of them to learn from"), ("probe", "specs of the probe that is never learnt from"),
        ("first", "steps on the pairs before round 0"),
    ):  # fmt: skip
        default = getattr(loop, name)
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=f"{help} ({default})")
    parser.add_argument("--own", type=float, default=loop.own, help=f"share of own pictures in training ({loop.own})")
    parser.add_argument(
        "--relabelled", type=float, default=loop.relabelled,
        help=f"at most this share of them under another label ({loop.relabelled})",
    )  # fmt: skip
    parser.add_argument("--control", action="store_true", help="also train equally long on the pairs alone")
    parser.add_argument(
        "--original", default="", metavar="DATA", help="what DATA was chosen from: with --control on these, too"
    )
    for name, kind in (("rank", int), ("steps", int), ("batch", int), ("accumulate", int), ("lr", float)):
        default = getattr(lora, name)
        parser.add_argument(f"--{name}", type=kind, default=default, help=f"of the LoRA ({default})")
    parser.add_argument(
        "--targets", type=_names, default=lora.targets, metavar="A,B",
        help="layers of the UNet that the LoRA adapts, convolutions (conv1, conv2) too (its attention)",
    )  # fmt: skip
    parser.add_argument(
        "--edits",
        type=_names,
        default="rain,fog,snow,night,cone,barrier",
        metavar="A,B",
        help="edit: what is done to photos, one each",
    )
    for name, default, what in (
        ("starter-steps", starter.steps, "UNet"), ("vae-steps", starter.vae_steps, "autoencoder"),
    ):  # fmt: skip
        parser.add_argument(
            f"--{name}", type=int, default=default, metavar="N", help=f"starter: of the {what} ({default})"
        )
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes that paint (1)")
    parser.add_argument("--ray", metavar="ADDRESS", help="paint on a Ray cluster: auto, local or host:port")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, ... (auto)")
    parser.add_argument("--seed", type=int, default=0, help="of all draws (0)")


def _size(text: str) -> tuple[int, int]:
    width, x, height = text.partition("x")
    if not (x and width.isdigit() and height.isdigit()):
        raise argparse.ArgumentTypeError(f"{text}: give WIDTHxHEIGHT, for example 224x128")
    return int(width), int(height)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def run(args: argparse.Namespace) -> int:
    steps = {"rounds": _rounds, "pairs": _pairs, "starter": _starter, "merge": _merge, "edit": _edit}
    figures = steps[args.do](args)
    if args.json:
        from pacenote.work import write_json

        write_json(args.json, figures)
    return 0


def _need(args: argparse.Namespace, *names: str) -> None:
    from pacenote.errors import InputError

    for name in names:
        if not getattr(args, name):
            shown = "DATA" if name == "data" else f"--{name}"
            raise InputError(f"--do {args.do}: needs {shown}; see pacenote imagine --help")


def _one(args: argparse.Namespace) -> str:
    from pacenote.errors import InputError

    if len(args.data) != 1:
        raise InputError(f"--do {args.do}: takes one DATA, here are {len(args.data)}; filter several with --do pairs")
    return str(args.data[0])


def _painter(args: argparse.Namespace) -> Any:
    from pacenote.imagine.painter import open_painter

    return open_painter(args.painter, args.device, size=args.size, steps=args.paint_steps, guidance=args.guidance)


def _rounds(args: argparse.Namespace) -> dict[str, Any]:
    from pacenote.imagine.judge import check_judges
    from pacenote.imagine.loop import LoopOptions
    from pacenote.imagine.lora import PaintLora
    from pacenote.imagine.run import Names, imagine
    from pacenote.training.loop import pick_device

    _need(args, "data", "painter", "judge", "second")
    check_judges(args.judge, args.second, args.trains)  # before gigabytes are loaded
    lora = PaintLora(
        rank=args.rank, alpha=args.rank, lr=args.lr, steps=args.steps, batch=args.batch, accumulate=args.accumulate,
        targets=args.targets, seed=args.seed,
    )  # fmt: skip
    options = LoopOptions(
        rounds=args.rounds, specs=args.specs, images=args.images, keep=args.keep, relabelled=args.relabelled,
        probe=args.probe, own=args.own, first=args.first, control=args.control, negatives=args.negatives, lora=lora,
        seed=args.seed,
    )  # fmt: skip
    names = Names(
        _one(args), args.judge, args.second, args.known, args.known_split, args.tower, tuple(args.trains), args.screen,
        args.limit, args.split, args.prompts, args.original,
    )  # fmt: skip
    figures = imagine(
        names, _painter(args), args.out, options,
        device=pick_device(args.device), workers=args.workers, ray=args.ray,
    )  # fmt: skip
    print(f"best round: {figures['best']}" + (f"; stopped: {figures['stopped']}" if figures["stopped"] else ""))
    print(args.out / "report.html")
    return figures


def _pairs(args: argparse.Namespace) -> dict[str, Any]:
    from pacenote.imagine.describe import open_describer
    from pacenote.imagine.judge import open_judge
    from pacenote.imagine.pairs import make_pairs
    from pacenote.training.loop import pick_device

    _need(args, "data")
    device = pick_device(args.device)
    judge = open_judge(args.judge, device) if args.judge else None
    describer = open_describer(args.describe, args.endpoint, device) if args.describe else None
    pairs = make_pairs(args.data, args.out, judge=judge, split=args.split, describer=describer)
    print(f"{len(pairs)} pairs\n{args.out / 'report.html'}")
    return {"pairs": len(pairs), "rejected": pairs.card["rejected"]}


def _starter(args: argparse.Namespace) -> dict[str, Any]:
    from pacenote.imagine.starter import StarterOptions, train_starter
    from pacenote.work import read_json

    _need(args, "data")
    options = StarterOptions(seed=args.seed, steps=args.starter_steps, vae_steps=args.vae_steps)
    if args.size:
        options = replace(options, size=args.size)
    painter = train_starter(args.data, args.out, options, args.device)
    print(painter)
    return dict(read_json(args.out / "training.json"))


def _merge(args: argparse.Namespace) -> dict[str, Any]:
    _need(args, "painter", "lora")
    _painter(args).merged(args.lora, args.out)
    print(args.out)
    return {"painter": args.painter, "lora": str(args.lora)}


def _edit(args: argparse.Namespace) -> dict[str, Any]:
    from pacenote.imagine.edit import edit_dataset

    _need(args, "data")
    edited = edit_dataset(_one(args), args.out, args.edits, split=args.split, seed=args.seed, limit=args.limit)
    print(f"{len(edited)} pictures\n{args.out}")
    return {"edited": len(edited), "rejected": edited.card["rejected"]}
