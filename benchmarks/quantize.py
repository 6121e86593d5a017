"""4 bits against 16: what the kept method and plain rounding cost the starter student, and what flips.

    python benchmarks/quantize.py --data STREETS --json out.json [--quick] [--audit streets-test]

Bars: Average within .005 of 16 bits, quantized layers at most .30 of their bf16 size. STREETS has splits train and dev.
Flips are told with their exact 95 % upper bound; on a set with few red lights that bound is far above its share.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from pacenote.quantize.audit import compare
from pacenote.quantize.paired import Asked, ask_all
from pacenote.quantize.run import quantize
from pacenote.quantize.settings import METHODS, QuantizeOptions

BARS = {"average_delta": 0.005, "size_ratio": 0.30, "red_green_upper": 0.005}


def answers(model: str, data: str, limit: int | None, label: str) -> list[Asked]:
    """What a checkpoint says to the test split of `data`."""
    from pacenote.evaluate.source import open_source
    from pacenote.evaluate.suite import load_model

    return ask_all(load_model(model, "auto"), [open_source(data)], label, limit=limit)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="16 rows and 64 frames")
    parser.add_argument("--model", default="starter-student")
    parser.add_argument("--data", default="data/streets", help="calibration and dev rows")
    parser.add_argument("--audit", default="streets-test", help="frames whose answers are compared")
    parser.add_argument("--rows", type=int, default=128)
    args = parser.parse_args()
    rows, limit = (16, 64) if args.quick else (args.rows, None)
    first = answers(args.model, args.audit, limit, "16 bits")
    found: dict[str, Any] = {}
    for name, methods in (("best", METHODS), ("rtn", ("rtn",))):
        if name == "rtn" and found["best"]["method"] == "rtn":
            found["rtn"] = found["best"]
            continue
        with tempfile.TemporaryDirectory() as place:
            out = Path(place) / "model"
            options = QuantizeOptions(methods=methods, rows=rows, dev_rows=2 * rows)
            figures = quantize(args.model, [args.data], out, options)
            audit = compare(first, answers(str(out), args.audit, limit, figures["method"]))
        found[name] = {"method": figures["method"], "quantize": figures, "audit": audit}
    best, plain = (found[name]["audit"] for name in ("best", "rtn"))
    result = {
        "model": args.model, "method": found["best"]["method"], "frames": best["n"], "rows": rows,
        "average_delta": best["scores"]["average"]["difference"],
        "rtn_average_delta": plain["scores"]["average"]["difference"],
        "size_ratio": found["best"]["quantize"]["size_ratio"],
        "checkpoint_bytes": found["best"]["quantize"]["bytes"]["checkpoint"],
        "red_green_flips": best["red_green"]["count"], "red_frames": best["red_green"]["n"],
        "red_green_upper": best["red_green"]["upper"], "cones_missed": best["cone_missed"]["count"],
        "cone_frames": best["cone_missed"]["n"], "same_answers": best["same"],
        "losses": found["best"]["quantize"]["losses"],
    }  # fmt: skip
    for key, value in result.items():
        bar = f"   (bar {BARS[key]})" if key in BARS else ""
        print(f"{key:20} {value:.4f}{bar}" if isinstance(value, float) else f"{key:20} {value}{bar}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
