"""4 bits against 16: what each method costs a model, and what flips.

    python benchmarks/quantize.py --data STREETS --json out.json [--quick] [--audit streets-test] [--group 32]

Bars, of the method that is kept: Average within .005 of 16 bits, quantized layers at most .30 of their bf16 size.
STREETS has splits train and dev, or several Datasets have one each. Flips are told with their exact 95 % upper bound;
on a set with few red lights that bound is far above its share. `control` is the same model in float32: what rounding
alone flips.
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


def answers(model: str, data: str, limit: int | None, label: str, exact: bool = False) -> list[Asked]:
    """What a checkpoint says to the test split of `data`, `exact`: in float32."""
    from pacenote.evaluate.source import open_source
    from pacenote.evaluate.suite import load_model

    loaded = load_model(model, "auto")
    if exact:
        loaded.model.float()
    return ask_all(loaded, [open_source(data)], label, limit=limit)


def told(audit: dict[str, Any]) -> dict[str, Any]:
    """What a reader asks first of an audit."""
    return {
        "average_delta": audit["scores"]["average"]["difference"],
        "same_answers": audit["same"], "frames": audit["n"],
        "red_green_flips": audit["red_green"]["count"], "red_frames": audit["red_green"]["n"],
        "red_green_upper": audit["red_green"]["upper"],
        "cones_missed": audit["cone_missed"]["count"], "cone_frames": audit["cone_missed"]["n"],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="16 rows and 64 frames")
    parser.add_argument("--model", default="starter-student")
    parser.add_argument("--data", nargs="+", default=["data/streets"], help="calibration and dev rows")
    parser.add_argument("--audit", default="streets-test", help="frames whose answers are compared")
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--group", type=int, default=128)
    args = parser.parse_args()
    rows, limit = (16, 64) if args.quick else (args.rows, None)
    first = answers(args.model, args.audit, limit, "16 bits")
    result: dict[str, Any] = {"model": args.model, "rows": rows, "group": args.group}
    result["control"] = told(compare(first, answers(args.model, args.audit, limit, "float32", exact=True)))
    waiting: list[tuple[str, ...]] = [METHODS]  # all, of which one is kept; then each of the others alone
    while waiting:
        methods = waiting.pop(0)
        with tempfile.TemporaryDirectory() as place:
            out = Path(place) / "model"
            options = QuantizeOptions(methods=methods, rows=rows, dev_rows=2 * rows, group=args.group)
            figures = quantize(args.model, args.data, out, options)
            audit = told(compare(first, answers(str(out), args.audit, limit, figures["method"])))
        name = figures["method"]
        if len(methods) > 1:
            result |= {"kept": name, "losses": figures["losses"], "size_ratio": figures["size_ratio"]}
            result["checkpoint_bytes"] = figures["bytes"]["checkpoint"]
            waiting = [(other,) for other in METHODS if other != name]
        result[name] = audit
    print(f"{args.model}: {result['kept']} kept, size_ratio {result['size_ratio']:.3f} (bar {BARS['size_ratio']})")
    for name in ("control", *METHODS):
        print(f"\n{name}, {result['losses'].get(name, {})}")
        for key, value in result[name].items():
            bar = f"   (bar {BARS[key]})" if key in BARS and name == result["kept"] else ""
            print(f"  {key:18} {value:.4f}{bar}" if isinstance(value, float) else f"  {key:18} {value}{bar}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
