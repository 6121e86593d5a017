"""What the rounds of `pacenote imagine` gain over their control, in worlds that a core learns in an hour.

    python benchmarks/imagine.py --out runs/drawn --json drawn.json

    pacenote render recipes/streets-near.yaml --split train --count 1400 --preset draft --out NEAR
    python benchmarks/imagine.py --renders NEAR --out runs/windows --json windows.json

Streets are drawn, 64x32 px: a lamp or none, a cone, a person, a zebra crossing, by day and by night, in four weathers,
as often as in rendered streets (small_world/world.py); with --renders they are windows of rendered streets
(small_world/crops.py). The pairs are labelled as wrongly as a labeler labels drives, and the starter painter learns
them from scratch. Two judges, small convolutional networks of other shapes, learn to read streets of known truth in
which nothing is rare. Pairs that the first judge reads otherwise are refused (`--do pairs`: those where it is sure),
and the rounds go as they always do: the first judge decides, the second only watches. Beside them stand a control,
trained as long on the pairs that were not refused, one on the original pairs, and an oracle. At the end students learn
from the pairs with and without what was painted. A stopped run goes on where it was.

`--few N` keeps only so many of the pairs that were not refused, as where labelled pictures are few.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from small_world.crops import Crops
from small_world.readers import JUDGES, STUDENT, Thumbnail, answer, facts, fit_reader, learnt, tensor
from small_world.world import SIZE, WRONG, Drawn, World, streets
from torch import Tensor

from pacenote.data import Dataset
from pacenote.data.sample import Picture
from pacenote.imagine.judge import Judge, agree, calibrate
from pacenote.imagine.loop import Loop, LoopOptions
from pacenote.imagine.lora import PaintLora
from pacenote.imagine.painter import open_painter
from pacenote.imagine.pairs import Pair, read_pairs, surely_other
from pacenote.imagine.quality import Usual
from pacenote.imagine.rounds import Jury, judge_round
from pacenote.imagine.score import Limits
from pacenote.imagine.screen import word_screen
from pacenote.imagine.show import show
from pacenote.imagine.spec import SEEN, draw_specs
from pacenote.imagine.starter import StarterOptions, train_starter
from pacenote.metrics.bootstrap import mean_of, signed
from pacenote.work import RunDirectory, read_json, say, write_json

PAIRS, KNOWN, TESTED = 1200, 400, 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--guidance", type=float, default=1.0, help="of the painter; above 1 it paints twice (1)")
    parser.add_argument("--renders", type=Path, metavar="DATA", help="windows of these rendered streets, none drawn")
    parser.add_argument("--right", action="store_true", help="every label of the pairs is right")
    parser.add_argument("--few", type=int, metavar="N", help="of the pairs that are not refused only N (all)")
    parser.add_argument("--painter-steps", type=int, default=4500, metavar="N", help="of the UNet (4500)")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=500, metavar="N", help="of the LoRA, a round (500)")
    parser.add_argument("--probe", type=int, default=200, metavar="N", help="specs that are never learnt from (200)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    world: World = Crops(args.renders, args.out) if args.renders else Drawn()
    pairs = streets(world, args.out / "pairs", PAIRS, args.seed, "pairs", wrong=None if args.right else WRONG)
    known = streets(world, args.out / "known", KNOWN, args.seed + 1, "test", even=True)
    options = StarterOptions(
        size=SIZE, vae_blocks=(1, 2, 2), crop=32, vae_steps=2500, vae_batch=4, vae_lr=2e-3, channels=(32, 64, 96),
        attention=(False, True, True), text_width=96, text_layers=2, steps=args.painter_steps, batch=32, lr=1e-3,
        ema=0.99, seed=args.seed,
    )  # fmt: skip
    trained = train_starter([str(pairs.path)], args.out / "painter", options)
    painter = open_painter(str(trained), guidance=args.guidance)
    judges = [learnt(world, args.out, name, args.seed + n, width) for n, (name, width) in enumerate(JUDGES.items(), 2)]
    for judge in judges:
        calibrate(judge, known)
    trust = {judge.name: judge.trust for judge in judges}
    held = read_pairs(pairs.path)
    chosen = agreed(judges[0], held)
    say(f"{len(chosen)} of {len(held)} pairs show what they say, as the first judge reads them")
    chosen = chosen[: args.few]
    # A small painter's pictures are softer than drawings, all of them: sharpness chooses nothing here.
    jury = Jury(*judges, Thumbnail(), None, Usual.of(held, SIZE), word_screen, Limits(quality=0.0))  # type: ignore[arg-type]
    lora = PaintLora(
        rank=16, alpha=16, targets=(*PaintLora.targets, "conv1", "conv2"), lr=2e-3, steps=args.steps, batch=16,
        accumulate=1, seed=args.seed,
    )  # fmt: skip
    loop = LoopOptions(
        rounds=args.rounds, specs=150, images=4, keep=2, probe=args.probe, own=0.7, control=True, lora=lora,
        seed=args.seed,
    )  # fmt: skip
    settings = {
        "options": loop, "painter": painter.digest, "judges": [judge.digest for judge in judges], "pairs": len(chosen),
    }  # fmt: skip
    place = args.out / (f"rounds-{args.few}" if args.few else "rounds")
    run = RunDirectory.open(place, "drawn rounds", settings, seed=args.seed)
    rounds = Loop(chosen, painter, jury, run.path, loop, original=held)
    figures = {**rounds.run(), "trust": {name: {s: one[s]["right"] for s in SEEN} for name, one in trust.items()}}
    if top := figures["best"]:
        figures["oracle"] = rounds.beside("oracle", [chosen, ideal(world, rounds, top)], top)
        for name, than in (("", "original-"), ("", "control-"), ("oracle-", "control-")):
            pair = [watched(rounds.out / f"{one}probe-{top:02d}") for one in (name, than)]
            slots, whole = gain(*pair, args.seed), gain(*map(whole_of, pair), args.seed)
            figures[f"gain of {name}probe over {than}probe"] = {"slots": slots, "whole": whole}
            say(f"{name}probe over {than}probe, second judge: slots {words(slots)}, whole advisories {words(whole)}")
    names = sorted(path.parent.name for path in rounds.out.glob("*/scores.json"))
    show(rounds.out, figures, trust, {name: judge_round(rounds.out / name, jury) for name in names})
    if (rounds.out / "dataset" / "dataset.json").is_file():
        figures["students"] = students(world, pairs, Dataset.open(rounds.out / "dataset"), args.out, args.seed)
    if args.json:
        write_json(args.json, figures)
    return 0


def ideal(world: World, rounds: Loop, top: int) -> list[Pair]:
    """What the best of all painters and judges would have kept by round `top`: true pictures of such specs as the
    rounds draw, as many as they keep at most."""
    options = rounds.options
    rng = np.random.default_rng([options.seed, 13])
    specs = draw_specs([pair.spec for pair in rounds.pairs], options.specs * options.keep * top, options.seed + 13)
    seen = [world.like(spec, rng, "pairs") for spec in specs]
    return [
        Pair(f"true-{n}", Picture.encode(one.image, f"true-{n}.png", format="PNG"), one.spec.prompt(), one.spec)
        for n, one in enumerate(seen)
    ]


def agreed(judge: Judge, pairs: Sequence[Pair]) -> list[Pair]:
    """Those of the pairs in which `judge` reads what they say: what choosing does without painting."""
    read = judge.read([pair.picture.open() for pair in pairs])
    return [pair for pair, told in zip(pairs, read, strict=True) if surely_other(told, pair.spec, 0.0) is None]


def watched(out: Path) -> np.ndarray:
    """(pictures, slots) bool: where the second judge read what was asked for."""
    rows = read_json(out / "scores.json")["seen"]
    return np.array([[bool(seen["watched"][slot]) for slot in SEEN] for seen in rows])


def whole_of(right: np.ndarray) -> np.ndarray:
    """(pictures, 1) bool: where every slot is right."""
    return right.all(1, keepdims=True)


def gain(right: np.ndarray, than: np.ndarray, seed: int) -> dict[str, Any]:
    """How much more often slots are right than in the others, (..., pictures, slots) each; resampled by picture."""
    away = (right.astype(float) - than).mean(-1)
    mean, ci = mean_of(away.reshape(-1, away.shape[-1]).mean(0), seed=seed)
    return {"mean": mean, "ci": ci}


def words(gained: dict[str, Any]) -> str:
    return signed(gained["mean"], gained["ci"])


# --- what painted pictures teach another (paper A, Table 4) ------------------------------------------------------


def students(world: World, pairs: Dataset, painted: Dataset, out: Path, seed: int) -> dict[str, Any]:
    """Small networks learn to read from the pairs, with what the rounds painted or as many fresh streets (what a
    renderer adds), with both, or from painted pictures alone: equal steps, three seeds each. They are tested on
    streets in which nothing is rare, which is where the pairs teach too little."""
    fresh = streets(world, out / "fresh", len(painted), seed + 8, "pairs")
    test = read_pairs(streets(world, out / "test", TESTED, seed + 9, "test", even=True).path)
    arms = {"pairs": [pairs], "+ painted": [pairs, painted], "+ fresh": [pairs, fresh]}
    arms |= {"+ both": [pairs, painted, fresh], "painted alone": [painted]}
    right = {name: np.array([marks(data, test, seed + n) for n in range(3)]) for name, data in arms.items()}
    found: dict[str, Any] = {"painted": len(painted)}
    for name, marked in right.items():
        found[name] = {"right": float(marked.mean()), "seeds": marked.mean((1, 2)).round(4).tolist()}
        found[name]["slots"] = dict(zip(SEEN, marked.mean((0, 1)).tolist(), strict=True))
        line = f"{name}: {found[name]['right']:.3f} of slots right"
        if name != "pairs":
            found[name]["over pairs"] = gain(marked, right["pairs"], seed)
            line += f", over the pairs alone {words(found[name]['over pairs'])}"
        say(line)
    return found


def marks(data: Sequence[Dataset], test: Sequence[Pair], seed: int) -> np.ndarray:
    """(test pictures, slots) bool: what a network that has learnt `data`, each Dataset as often, reads rightly."""
    held = [read_pairs(one.path) for one in data]
    parts = [(stacked(own), torch.tensor([facts(pair.spec) for pair in own])) for own in held]
    model = fit_reader(STUDENT, parts, seed)
    with torch.inference_mode():
        read = [answer(row).advisory for row in model(stacked(test))]
    agreed = [agree(advisory, pair.spec) for advisory, pair in zip(read, test, strict=True)]
    return np.array([[bool(one[slot]) for slot in SEEN] for one in agreed])


def stacked(pairs: Sequence[Pair]) -> Tensor:
    return torch.stack([tensor(pair.picture.open()) for pair in pairs])


if __name__ == "__main__":
    raise SystemExit(main())
