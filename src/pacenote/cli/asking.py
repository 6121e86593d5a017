"""The options of every command that asks a model about pictures."""

import argparse


def _confidence(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text}: give a confidence from 0 to below 1")
    return value


def add_withhold(parser: argparse.ArgumentParser) -> None:
    """`--withhold`."""
    parser.add_argument(
        "--withhold", type=_confidence, default=0.0, metavar="P", help="say nothing of a slot less confident than P (0)"
    )


def add_asking(parser: argparse.ArgumentParser) -> None:
    """`--fit`, `--speed`, `--engine`, `--prompts`, `--expert` and `--device`."""
    from pacenote.engine import ENGINE, ENGINES
    from pacenote.models.frames import FITS
    from pacenote.models.readout import RULES, SPEED

    parser.add_argument(
        "--fit", default="auto", choices=FITS, help="how pictures are brought to the model's shape (auto)"
    )
    parser.add_argument("--speed", default=SPEED, choices=RULES, help=f"how the speed is decided ({SPEED})")
    parser.add_argument(
        "--engine", default=ENGINE, choices=ENGINES,
        help=f"exact: forced form, greedy decisions; parallel: slots beside each other; plain: free text ({ENGINE})",
    )  # fmt: skip
    parser.add_argument(
        "--prompts", default="", metavar="BOOK",
        help="compose a prompt for each frame by this book: default, original, FILE.yaml (without: the plain question)",
    )  # fmt: skip
    parser.add_argument(
        "--expert",
        default="",
        metavar="EXPERT",
        help="who looks first: look (the model's own tower, where it can), classical, FILE.onnx, a detector",
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, ... (auto)")
