"""Commands that have actions of their own: `pacenote data check`, `pacenote prompts show`."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def add_actions(parser: argparse.ArgumentParser, command: str) -> Callable[[str, str, str], argparse.ArgumentParser]:
    """What adds an action to `parser`: `action(name, help, example)`, the example without `pacenote COMMAND`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    shape = argparse.RawDescriptionHelpFormatter

    def action(name: str, help: str, example: str) -> argparse.ArgumentParser:
        return actions.add_parser(
            name, help=help, description=help, epilog=f"example: pacenote {command} {example}", formatter_class=shape
        )

    return action
