"""What a pass of so many rows costs in 4 bits: PyTorch's packed kernel, the weight spelt out, and bf16 as it was.

    python benchmarks/int4.py --json out.json [--threads 1] [--quick]

The linear layers of one block of a 0.5 B model, times its 24 blocks; CPU time, so that other work beside it does not
count. An engine that answers in fewer passes pays for their rows: `worth` is how many passes of one row each row of a
larger pass costs, and an engine that reads R rows where `generate` reads T one by one gains at most T / (R worth).
`perfect_worth` is that of a kernel nobody has: one row as fast as the packed kernel's, further rows as fast as bf16's.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pacenote.models.int4 import dequantize, int4_linear

HIDDEN, INNER, KEYS, BLOCKS, GROUP = 896, 4864, 128, 24, 128
SHAPES = [
    (HIDDEN, HIDDEN),
    (HIDDEN, HIDDEN),
    (KEYS, HIDDEN),
    (KEYS, HIDDEN),
    (INNER, HIDDEN),
    (INNER, HIDDEN),
    (HIDDEN, INNER),
]
ROWS = (1, 2, 4, 8, 16, 32, 64, 80, 144)


def cost(call: Callable[[], Any], repeats: int) -> float:
    """Least CPU milliseconds of a call."""
    found = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        found.append(time.process_time() - start)
    return min(found) * 1000


def layers() -> list[tuple[Any, torch.Tensor]]:
    """(packed layer, the same weight in bf16) of one block, from random numbers."""
    draw, found = torch.Generator().manual_seed(0), []
    for rows, width in SHAPES:
        values = torch.randint(0, 16, (rows, width), generator=draw, dtype=torch.uint8)
        zero = torch.randint(0, 16, (rows, width // GROUP), generator=draw, dtype=torch.uint8)
        scale = (torch.rand(rows, width // GROUP, generator=draw) + 0.5).div(100).to(torch.bfloat16)
        packed = int4_linear(values, scale, zero)
        if packed is None:
            raise SystemExit("PyTorch has no int4 kernel that works on this machine")
        found.append((packed, dequantize(values, scale, zero, torch.bfloat16)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch (1)")
    parser.add_argument("--quick", action="store_true", help="few sizes, once")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    block, repeats = layers(), 1 if args.quick else 5
    out: dict[str, Any] = {"threads": args.threads, "blocks": BLOCKS, "rows": {}}
    with torch.inference_mode():
        for count in ROWS[::4] if args.quick else ROWS:
            x = {width: torch.randn(count, width).to(torch.bfloat16) for width in (HIDDEN, INNER)}

            def packed(x: dict[int, torch.Tensor] = x) -> None:
                for layer, weight in block:
                    layer.few(x[weight.shape[1]])

            def spelt(x: dict[int, torch.Tensor] = x) -> None:
                for layer, weight in block:
                    layer.dense(x[weight.shape[1]])

            def dense(x: dict[int, torch.Tensor] = x) -> None:
                for _, weight in block:
                    x[weight.shape[1]] @ weight.t()

            told = {"packed": packed, "spelt_out": spelt, "bf16": dense}
            row = {name: round(BLOCKS * cost(call, repeats), 1) for name, call in told.items()}
            out["rows"][count] = row
            print(f"{count:4d} rows: " + ", ".join(f"{name} {ms} ms" for name, ms in row.items()), flush=True)
    one, most = (out["rows"][count] for count in (min(out["rows"]), max(out["rows"])))
    for name in ("packed", "bf16"):
        out[f"{name}_worth"] = round((most[name] - one[name]) / (max(out["rows"]) - 1) / one[name], 3)
        print(f"{name}: each further row costs {out[f'{name}_worth']} passes of one row")
    out["perfect_worth"] = round(out["bf16_worth"] * one["bf16"] / one["packed"], 3)
    print(f"packed, with further rows at the speed of bf16: {out['perfect_worth']} passes of one row")
    if args.json:
        args.json.write_text(json.dumps(out, indent=2) + "\n")


if __name__ == "__main__":
    main()
