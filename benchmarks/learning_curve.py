"""How much a vision tower sees after dense pre-training, by number of frames, beside a plain CNN on the same task.

    python benchmarks/learning_curve.py --data DATASET --out DIR --json out.json [--frames 300 750 1500] [--quick]

Each point trains from random weights for the same number of steps (first on parts of frames, then on whole ones) and
is scored on the Dataset's dev split (networks unseen): F1 of light, obstacles and crossroad for whole images as in
Table 2, and of the cells by class. Points that are done are kept in --out; the same command goes on. On a machine that
is shared with other work the CPU seconds tell more than the wall clock.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from pacenote.training import dense
from pacenote.training.augment import Strength
from pacenote.training.dense import DenseOptions
from pacenote.training.frames import Frames, decode

PART = (224, 168)
CELLS = ("light_red", "light_yellow", "light_green", "light_housing", "own_light_red", "own_light_green", "cone",
         "barrier", "construction", "debris", "pedestrian", "zebra", "junction", "own_intersection",
         "own_pedestrian_crossing", "speed_sign")  # fmt: skip


def frames_of(data: str, split: str, store: Path, most: int, seed: int) -> Frames:
    """At most `most` frames of a split, drawn at random, decoded into `store`."""
    from pacenote.data.dataset import Dataset

    opened = Dataset.open(data, split=split)
    chosen = np.random.default_rng(seed).permutation(len(opened))[:most].tolist()
    return decode(iter(opened.select(chosen)), len(chosen), store / f"{split}-{len(chosen)}-{seed}")


def encoder_of(kind: str, seed: int) -> Any:
    """A fresh encoder: a size of starter, or "cnn"."""
    import torch

    torch.manual_seed(seed)
    if kind == "cnn":
        from pacenote.training.cnn import ConvEncoder

        return ConvEncoder()
    from pacenote.models.starter import build, starter_config
    from pacenote.models.tokenizer import canonical_texts, train_tokenizer
    from pacenote.training.tower import QwenEncoder

    model = build(starter_config(kind, seed=seed), train_tokenizer(canonical_texts(), 512))
    return QwenEncoder(model.model.model.visual)


def point(
    kind: str, frames: Frames, dev: Frames, real: Frames | None, args: argparse.Namespace, out: Path
) -> dict[str, Any]:
    """Train one encoder for `parts` + `whole` steps of 16 views and score it."""
    parts, whole, seed = args.parts, args.whole, args.seed
    encoder = encoder_of(kind, seed)
    wall, cpu = time.monotonic(), time.process_time()
    common = {"compile": kind != "cnn", "muon": args.muon, "patches": not args.cells_only}
    strength = Strength(photometric=args.photometric)
    epochs = 16 / len(frames)
    first = DenseOptions(epochs=parts * epochs, lr=1.2e-3, view=PART, seed=seed, augment=strength, **common)
    task = dense.pretrain(encoder, frames, first, out / "parts")
    if whole:
        last = DenseOptions(epochs=whole * epochs, lr=6e-4, seed=seed + 1, augment=strength, **common)
        task = dense.pretrain(encoder, frames, last, out / "whole", heads=dense.head_state(task))
    figures = dense.evaluate(task, dev)
    found = dense.evaluate(task, real)["facts"] if real is not None else {}
    return {
        "encoder": kind, "frames": len(frames), "dev": len(dev),
        "muon": args.muon, "patches": not args.cells_only, "photometric": args.photometric,
        "parameters": sum(p.numel() for p in encoder.parameters()),
        "steps": [parts, whole], "wall_s": time.monotonic() - wall, "cpu_s": time.process_time() - cpu,
        "facts": figures["facts"], "real": found, "cells": {name: figures["cells"][name] for name in CELLS},
    }  # fmt: skip


def table(points: list[dict[str, Any]]) -> str:
    """The points as a Markdown table."""
    columns = ("light", "obstacles", "crossroad", "average")
    photos = ("light", "obstacles.cone", "crossroad") if any(p.get("real") for p in points) else ()
    cells = ("light_red", "light_yellow", "light_green", "cone", "pedestrian", "zebra")
    lines = [
        "| encoder | M parameters | frames | steps | Muon | patches | photometric | "
        + " | ".join((*columns, *cells, *(f"photos: {name}" for name in photos), "CPU s |")),
        "| --- " * (8 + len(columns) + len(cells) + len(photos)) + "|",
    ]

    def said(value: float | None) -> str:
        return "–" if value is None else f"{value:.2f}"

    for p in points:
        facts = " | ".join(said(p["facts"][c]) for c in columns)
        own = " | ".join((*(said(p["cells"][c]) for c in cells), *(said(p["real"].get(c)) for c in photos)))
        steps, size = f"{p['steps'][0]} + {p['steps'][1]}", f"{p['parameters'] / 1e6:.1f}"
        how = f"{p['muon']:g} | {'yes' if p['patches'] else 'no'} | {p['photometric']:g}"
        row = (p["encoder"], size, p["frames"], steps, how, facts, own, f"{p['cpu_s']:.0f}")
        lines.append("| " + " | ".join(map(str, row)) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a Dataset with splits train and dev")
    parser.add_argument("--real", help="a Dataset of photos (split test) on which the facts are scored too")
    parser.add_argument("--out", type=Path, required=True, help="for decoded frames, checkpoints and finished points")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--frames", type=int, nargs="+", default=[300, 750, 1500])
    parser.add_argument("--encoders", nargs="+", default=["teacher", "student", "cnn"])
    parser.add_argument("--parts", type=int, default=600, help="steps of 16 parts of frames")
    parser.add_argument("--whole", type=int, default=200, help="steps of 16 whole frames")
    parser.add_argument("--muon", type=float, default=16.0, help="of a tower; 0 = AdamW for all")
    parser.add_argument("--cells-only", action="store_true", help="do not name the classes patch by patch")
    parser.add_argument("--photometric", type=float, default=0.5, help="strength of photometric augmentation")
    parser.add_argument("--threads", type=int, default=0, help="torch threads; 1 is best on a busy machine")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="one point of few steps, to see that it runs")
    args = parser.parse_args()
    if args.threads:
        import torch

        torch.set_num_threads(args.threads)
    if args.quick:
        args.frames, args.encoders, args.parts, args.whole = [64], ["student"], 4, 2
    train = frames_of(args.data, "train", args.out / "frames", max(args.frames), args.seed)
    dev = frames_of(args.data, "dev", args.out / "frames", 32 if args.quick else 10**9, args.seed)
    real = frames_of(args.real, "test", args.out / "frames", 10**9, args.seed) if args.real else None
    points = []
    for count in args.frames:
        if count > len(train):
            print(f"only {len(train)} frames: no point at {count}", file=sys.stderr)
            continue
        for kind in args.encoders:
            how = (args.parts, args.whole, args.seed, args.muon, args.cells_only, args.photometric)
            place = args.out / "-".join(map(str, (kind, count, *how)))
            held = place / "point.json"
            if not held.is_file():
                chosen = train.subset(range(count))
                made = point(kind, chosen, dev, real, args, place)
                held.write_text(json.dumps(made))
            points.append(json.loads(held.read_text()))
            print(table(points[-1:]).splitlines()[-1], flush=True)
    args.json.write_text(json.dumps({"points": points}, indent=2) + "\n")
    print("\n" + table(points))


if __name__ == "__main__":
    main()
