"""Show a prompt book, see what it makes of an image and why, optimize it on labelled frames."""

from __future__ import annotations

import argparse
from pathlib import Path

from pacenote.cli.actions import add_actions

EPILOG = """examples:
  pacenote prompts show default
  pacenote prompts select photo.jpg --model starter-distilled --out why.png
  pacenote prompts optimize starter-distilled DATA --split train --out runs/book
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    action = add_actions(parser, "prompts")

    show = action("show", "print a book, or how two books differ", "show default --against original")
    show.add_argument("book", help="default, original, placebo or a YAML file")
    show.add_argument("--against", metavar="BOOK", help="print the diff from this book instead")

    select = action("select", "say which blocks a book uses for an image, and why", "select photo.jpg --out why.png")
    select.add_argument("image", type=Path)
    select.add_argument("--model", default="starter-teacher", help="whose prompt it is (starter-teacher)")
    select.add_argument("--book", default="default", help="a shipped name or a YAML file (default)")
    select.add_argument("--expert", default="", help="who looks: look, classical, FILE.onnx or a detector's directory")
    select.add_argument("--limit", type=int, metavar="KMH", help="the speed limit, as a signal")
    select.add_argument("--speed", type=int, metavar="KMH", help="own speed, as a signal")
    select.add_argument("--out", type=Path, metavar="FILE", help="also draw the pictures of the prompt here (PNG)")
    select.add_argument("--json", type=Path, metavar="FILE", help="also write question, blocks and reasons here")

    optimize = action(
        "optimize", "improve a book in rounds on labelled frames", "optimize starter-distilled DATA --out runs/book"
    )
    optimize.add_argument("model", metavar="MODEL", help="a model directory, a shipped name or a hub id")
    optimize.add_argument(
        "dataset", metavar="DATA", help="labelled frames; never the test split that the book is scored on"
    )
    optimize.add_argument("--split", default="train", choices=("train", "dev", "test"), help="split of DATA (train)")
    optimize.add_argument("--out", type=Path, required=True, metavar="DIR", help="book.yaml, rounds.json, report.html")
    optimize.add_argument("--book", default="default", help="where it starts: a shipped name or a YAML file (default)")
    optimize.add_argument("--bare", action="store_true", help="start with every block of the book inactive")
    optimize.add_argument(
        "--expert", default="", help="who looks: look, classical, FILE.onnx or a detector's directory"
    )
    optimize.add_argument("--rounds", type=int, default=12, metavar="N", help="at most (12)")
    optimize.add_argument("--candidates", type=int, default=8, metavar="N", help="edits a round (8)")
    optimize.add_argument(
        "--patience", type=int, default=4, metavar="N", help="rounds without success before it ends (4)"
    )
    optimize.add_argument("--alpha", type=float, default=0.025, help="of a false acceptance in the whole run (0.025)")
    optimize.add_argument(
        "--margin", type=float, default=0.03, help="how much worse a slot may be, by its bound (0.03)"
    )
    optimize.add_argument("--limit", type=int, metavar="N", help="only N frames")
    optimize.add_argument(
        "--endpoint", metavar="URL", help="let an LLM behind an OpenAI-compatible server propose edits, too"
    )
    optimize.add_argument("--endpoint-model", default="", metavar="NAME", help="as the server calls it")
    optimize.add_argument("--gepa", type=int, default=0, metavar="N", help="let GEPA search, with N answers a round")
    optimize.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, ... (auto)")
    optimize.add_argument("--seed", type=int, default=0, help="of splits and proposals (0)")


def run(args: argparse.Namespace) -> int:
    return {"show": _show, "select": _select, "optimize": _optimize}[args.action](args)


def _show(args: argparse.Namespace) -> int:
    from pacenote.prompts.book import difference, load_book

    book = load_book(args.book)
    if args.against:
        print(difference(load_book(args.against), book) or "the books are alike")
    else:
        print(f"# digest {book.digest}\n{book.dump()}", end="")
    return 0


def _select(args: argparse.Namespace) -> int:
    from pacenote.evaluate.suite import load_model
    from pacenote.models.frames import open_image
    from pacenote.prompts.draw import drawn
    from pacenote.prompts.look import Context
    from pacenote.prompts.prompter import Prompter
    from pacenote.work import atomic, write_json

    prompter = Prompter(load_model(args.model, "cpu"), args.book, args.expert)
    image, context = open_image(args.image), Context(args.limit, args.speed)
    (frame,), (look,) = prompter.look([image])
    prompt = prompter.compose(prompter.book, frame, look, image, context=context)
    print(f"{args.image}: {len(prompt.images)} pictures, {prompt.tokens} of {prompter.book.budget} tokens")
    print(f"  {prompt.question}")
    for choice in prompt.choices:
        print(f"  {'+' if choice.used else '-'} {choice.block}: {choice.why}")
    if args.out:
        with atomic(args.out) as partial:
            drawn(prompt, look).save(partial, format="PNG")
    if args.json:
        chosen = [{"block": c.block, "used": c.used, "why": c.why, "tokens": c.tokens} for c in prompt.choices]
        write_json(args.json, {**prompt.to_dict(), "question": prompt.question, "choices": chosen})
    return 0


def _optimize(args: argparse.Namespace) -> int:
    from pacenote.evaluate.suite import load_model
    from pacenote.optimize.run import Options
    from pacenote.optimize.start import optimize_book

    options = Options(
        rounds=args.rounds, candidates=args.candidates, patience=args.patience, alpha=args.alpha, margin=args.margin,
        seed=args.seed,
    )  # fmt: skip
    model = load_model(args.model, args.device)
    state, page = optimize_book(
        model, args.dataset, args.out, options, split=args.split, book=args.book, bare=args.bare, expert=args.expert,
        limit=args.limit, endpoint=args.endpoint or "", endpoint_model=args.endpoint_model, gepa=args.gepa,
    )  # fmt: skip
    gain = state.figures["gain_on_accept"]["average"]
    print(f"{args.out / 'book.yaml'}: version {state.best.version}, {gain:+.3f} on the accept frames\n{page}")
    return 0
