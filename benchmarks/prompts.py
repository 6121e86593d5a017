"""Whether the prompt optimizer fools itself, and what choosing a prompt costs.

    python benchmarks/prompts.py --json prompts.json

Null experiment: runs of the whole procedure (races, looks, alpha spending) in which no edit changes anything. A frame's
answer is drawn from those of two prompts of one model, anew for the incumbent and for every candidate, so that all are
equally good and differ as real prompts do. false_acceptance: share of runs that accept an edit at all, with its exact
95 % interval; the bar is alpha. Choosing: choosing_share of a frame's time at batch 1, most_tokens of the budget.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pacenote.evaluate.run import Settings, evaluate
from pacenote.evaluate.source import open_source
from pacenote.evaluate.suite import load_model
from pacenote.metrics.statistics import Statistics, columns, figures, statistics
from pacenote.optimize.accept import Gate, compare_rows
from pacenote.optimize.race import race
from pacenote.optimize.run import PROMISING, Options
from pacenote.quantize.bounds import upper
from pacenote.work import progress

BOOKS = ("original", "default")


def rows_of(sets: list[Statistics], picks: np.ndarray, frames: np.ndarray) -> Statistics:
    """Rows of `frames`, each from the set that `picks` says."""
    return {name: np.where(picks == 0, sets[0][name][frames], sets[1][name][frames]) for name in sets[0]}


def average(rows: Statistics) -> float:
    return float(figures({name: values.sum() for name, values in rows.items()})["average"])


def accepts(sets: list[Statistics], clusters: list[str], options: Options, rng: np.random.Generator) -> int:
    """How many edits a run of nothing but luck accepts."""
    count = len(clusters)
    part = rng.permutation(count)
    racing, kept = np.sort(part[: count * 3 // 8]), np.sort(part[count * 3 // 8 :])
    gate, idle, accepted = Gate(options.alpha, options.margin, seed=int(rng.integers(2**31))), 0, 0
    incumbent = rng.integers(0, 2, count)
    for _ in range(options.rounds):
        candidates = rng.integers(0, 2, (options.candidates, count))

        def gains(
            chosen: Sequence[int], n: int, new: np.ndarray = candidates, old: np.ndarray = incumbent
        ) -> list[float]:
            frames = racing[:n]
            base = average(rows_of(sets, old[frames], frames))
            return [average(rows_of(sets, new[one][frames], frames)) - base for one in chosen]

        winner, gain = race(list(range(options.candidates)), gains, len(racing), rungs=options.rungs)[-1].gains[0]
        verdict = None
        old, new = (rows_of(sets, picks[racing], racing) for picks in (incumbent, candidates[winner]))
        if gain > 0 and compare_rows(old, new, [clusters[k] for k in racing], draws=500).p <= PROMISING:
            first, second = (rows_of(sets, picks[kept], kept) for picks in (incumbent, candidates[winner]))
            scenes = [clusters[k] for k in kept]
            found = compare_rows(first, second, scenes, draws=1000, seed=int(rng.integers(2**31)))
            verdict = gate.decide(found, first, second, scenes)
        if verdict is not None and verdict.accepted:
            incumbent, idle, accepted = candidates[winner], 0, accepted + 1
        else:
            idle += 1
        if idle >= options.patience:
            break
    return accepted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--quick", action="store_true", help="100 runs in place of 1,000, on 120 frames")
    parser.add_argument("--model", default="starter-distilled")
    parser.add_argument("--data", default="streets-test")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    runs, limit = (100, 120) if args.quick else (1000, None)
    source, model = open_source(args.data), load_model(args.model, "cpu")
    told = {}
    with tempfile.TemporaryDirectory() as place:
        for book in BOOKS:
            settings = Settings(prompts=book, limit=limit, resamples=0, latency_frames=50)
            told[book] = evaluate(model, source, Path(place) / book, settings)
    truths = [frame.truth for frame, _ in told["original"].rows]
    clusters = [frame.cluster for frame, _ in told["original"].rows]
    sets = [statistics(*columns([said.advisory for _, said in told[book].rows], truths)) for book in BOOKS]
    rng, options = np.random.default_rng(args.seed), Options()
    each = [accepts(sets, clusters, options, rng) for _ in progress(range(runs), "null runs")]
    false = sum(count > 0 for count in each)
    choosing = told["default"].figures["prompts"]
    held = {
        "runs": runs,
        "frames": len(truths),
        "alpha": options.alpha,
        "false_acceptance": false / runs,
        "interval": [1 - upper(runs - false, runs, 0.975), upper(false, runs, 0.975)],
        "average": {book: told[book].figures["average"] for book in BOOKS},
        "choosing_share": choosing["choosing_share"],
        "choosing_ms": choosing["choosing_ms"],
        "most_tokens": choosing["tokens"]["max"],
        "budget": choosing["tokens"]["budget"],
        "ms": {book: told[book].figures["latency_ms"]["p50"] for book in BOOKS},
    }
    for name, value in held.items():
        print(f"{name:18} {value}")
    if args.json:
        args.json.write_text(json.dumps(held, indent=2) + "\n")


if __name__ == "__main__":
    main()
