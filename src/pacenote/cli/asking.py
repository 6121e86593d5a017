"""The options of every command that asks a model about pictures."""

import argparse


def add_asking(parser: argparse.ArgumentParser) -> None:
    """`--fit`, `--speed`, `--engine` and `--device`."""
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
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, ... (auto)")
