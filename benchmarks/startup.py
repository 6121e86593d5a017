"""How long `pacenote --help` takes, beside `python -c pass` on the same interpreter.

    python benchmarks/startup.py --json startup.json

help_s: median seconds of a fresh process, the interpreter's own start included (target: under 0.3 s).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

TARGET_S = 0.3
SIDES = {
    "interpreter_s": [sys.executable, "-c", "pass"],
    "help_s": [sys.executable, "-m", "pacenote", "--help"],
    "command_help_s": [sys.executable, "-m", "pacenote", "doctor", "--help"],
}


def seconds(command: list[str]) -> float:
    """Wall seconds of one run of `command`; raises CalledProcessError when it fails."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--quick", action="store_true", help="5 runs a side in place of 15")
    args = parser.parse_args()
    runs = 5 if args.quick else 15
    for command in SIDES.values():  # once, for the bytecode and the disk cache
        seconds(command)
    times: dict[str, list[float]] = {name: [] for name in SIDES}
    for _ in range(runs):  # sides alternate, so that a busy machine slows all alike
        for name, command in SIDES.items():
            times[name].append(seconds(command))
    figures = {name: round(statistics.median(values), 4) for name, values in times.items()}
    for name, value in figures.items():
        print(f"{name:16} {value:.3f} s   (fastest {min(times[name]):.3f}, n = {runs})")
    print(f"target           {TARGET_S:.3f} s   {'met' if figures['help_s'] < TARGET_S else 'MISSED'}")
    if args.json:
        args.json.write_text(json.dumps(figures | {"runs": runs, "target_s": TARGET_S}, indent=2) + "\n")


if __name__ == "__main__":
    main()
