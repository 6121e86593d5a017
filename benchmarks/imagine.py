"""What the rounds of `pacenote imagine` gain over their control, in a world that two cores learn in minutes.

    python benchmarks/imagine.py --out runs/drawn --json drawn.json

Streets are drawn, 64x32 px: a lamp or none, a cone, a person, a zebra crossing, by day and by night, in four weathers,
as often as in rendered streets (OFTEN), and the pairs are labelled as wrongly as a labeler labels drives (WRONG). The
starter painter learns them from scratch. Two judges, small convolutional networks of other shapes, learn to read
drawings of known truth in which nothing is rare. Then the rounds go as they always do: the first judge decides, the
second only watches, a control trains as long on the original pairs. Beside it stand a painter that learns those of the
pairs that the first judge agrees with, and an oracle. At the end students learn from the pairs with and without what
was painted. A stopped run goes on where it was.

It shows what the rounds do to a painter that can be trained here; rendered streets take a GPU (docs/imagine.md).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn

from pacenote.advisory import Advisory, Light
from pacenote.data import Card, Dataset, DatasetWriter
from pacenote.data.sample import Picture, Sample
from pacenote.engine import Answer
from pacenote.imagine.judge import Judge, agree, calibrate
from pacenote.imagine.loop import Loop, LoopOptions
from pacenote.imagine.lora import PaintLora
from pacenote.imagine.painter import open_painter
from pacenote.imagine.pairs import Pair, read_pairs
from pacenote.imagine.quality import Usual
from pacenote.imagine.rounds import Jury, judge_round
from pacenote.imagine.score import Limits
from pacenote.imagine.screen import word_screen
from pacenote.imagine.show import show
from pacenote.imagine.spec import SEEN, Spec, draw_specs
from pacenote.imagine.starter import StarterOptions, train_starter
from pacenote.metrics.bootstrap import mean_of, signed
from pacenote.work import RunDirectory, digest_file, read_json, say, write_json

SIZE = (64, 32)
LIGHTS = ("none", "red", "yellow", "green")
# As often as in rendered streets: a light in .45, something in the way in .48, a crossing in .44 (docs/results.md).
OFTEN = {"light": (0.55, 0.2, 0.05, 0.2), "cone": 0.35, "pedestrian": 0.2, "zebra": 0.44, "night": 0.25}
EVEN = {"light": (0.25, 0.25, 0.25, 0.25), "cone": 0.5, "pedestrian": 0.5, "zebra": 0.5, "night": 0.5}
# How often a slot of a pair's label is wrong: as raw labels of drives are (docs/mining.md).
WRONG = {"light": 0.13, "obstacles": 0.39, "crossroad": 0.24}
LENS = {"red": (235, 30, 25), "yellow": (245, 190, 30), "green": (30, 225, 90)}
SKY = {"clear": (130, 175, 230), "overcast": (165, 170, 175), "rain": (120, 125, 135), "snow": (205, 210, 215)}
GROUND = {"clear": (95, 95, 95), "overcast": (85, 85, 88), "rain": (60, 62, 70), "snow": (190, 190, 195)}
PAIRS, JUDGED, KNOWN, TESTED = 1200, 3000, 400, 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--guidance", type=float, default=1.0, help="of the painter; above 1 it paints twice (1)")
    parser.add_argument("--right", action="store_true", help="every label of the pairs is right")
    parser.add_argument("--painter-steps", type=int, default=1500, metavar="N", help="of the UNet (1500)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=500, metavar="N", help="of the LoRA, a round (500)")
    parser.add_argument("--probe", type=int, default=200, metavar="N", help="specs that are never learnt from (200)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    pairs = drawn(args.out / "pairs", PAIRS, args.seed, wrong=None if args.right else WRONG)
    known = drawn(args.out / "known", KNOWN, args.seed + 1, EVEN)
    options = StarterOptions(
        size=SIZE, vae_blocks=(1, 2, 2), crop=32, vae_steps=2500, vae_batch=4, vae_lr=2e-3, channels=(32, 64, 96),
        attention=(False, True, True), text_width=96, text_layers=2, steps=args.painter_steps, batch=32, lr=1e-3,
        ema=0.99, seed=args.seed,
    )  # fmt: skip
    trained = train_starter([str(pairs.path)], args.out / "painter", options)
    painter = open_painter(str(trained), guidance=args.guidance)
    judges = [learnt(args.out, name, args.seed + n, width) for n, (name, width) in enumerate(JUDGES.items(), 2)]
    for judge in judges:
        calibrate(judge, known)
    trust = {judge.name: judge.trust for judge in judges}
    held = read_pairs(pairs.path)
    # A small painter's pictures are softer than drawings, all of them: sharpness chooses nothing here.
    jury = Jury(*judges, Thumbnail(), None, Usual.of(held, SIZE), word_screen, Limits(quality=0.0))  # type: ignore[arg-type]
    lora = PaintLora(
        rank=16, alpha=16, targets=(*PaintLora.targets, "conv1", "conv2"), lr=2e-3, steps=args.steps, batch=16,
        accumulate=1, seed=args.seed,
    )  # fmt: skip
    loop = LoopOptions(
        rounds=args.rounds, specs=150, images=6, keep=2, probe=args.probe, own=0.7, control=True, lora=lora,
        seed=args.seed,
    )  # fmt: skip
    settings = {"options": loop, "painter": painter.digest, "judges": [judge.digest for judge in judges]}
    run = RunDirectory.open(args.out / "rounds", "drawn rounds", settings, seed=args.seed)
    rounds = Loop(held, painter, jury, run.path, loop)
    figures = {**rounds.run(), "trust": {name: {s: one[s]["right"] for s in SEEN} for name, one in trust.items()}}
    names = sorted(path.parent.name for path in rounds.out.glob("*/scores.json"))
    show(rounds.out, figures, trust, {name: judge_round(rounds.out / name, jury) for name in names})
    if top := figures["best"]:
        figures["oracle"] = learn_beside(rounds, top, "oracle", [held, ideal(rounds, top)])
        figures["chosen"] = learn_beside(rounds, top, "chosen", [agreed(judges[0], held)])
        control = watched(rounds.out / f"control-probe-{top:02d}")
        for name in ("probe", "chosen-probe", "oracle-probe"):
            own = watched(rounds.out / f"{name}-{top:02d}")
            slots, whole = gain(own, control, args.seed), gain(whole_of(own), whole_of(control), args.seed)
            figures[f"gain of {name}"] = {"slots": slots, "whole": whole}
            say(f"{name} over the control, second judge: slots {words(slots)}, whole advisories {words(whole)}")
    if (rounds.out / "dataset" / "dataset.json").is_file():
        figures["students"] = students(pairs, Dataset.open(rounds.out / "dataset"), args.out, args.seed)
    if args.json:
        write_json(args.json, figures)
    return 0


def ideal(rounds: Loop, top: int) -> list[Pair]:
    """What the best of all painters and judges would have kept by round `top`: true drawings of such specs as the
    rounds draw, as many as they keep at most."""
    options = rounds.options
    rng = np.random.default_rng([options.seed, 13])
    specs = draw_specs([pair.spec for pair in rounds.pairs], options.specs * options.keep * top, options.seed + 13)
    return [
        Pair(f"true-{n}", Picture.encode(draw(spec, rng), f"true-{n}.png", format="PNG"), spec.prompt(), spec)
        for n, spec in enumerate(specs)
    ]


def agreed(judge: Judge, pairs: Sequence[Pair]) -> list[Pair]:
    """Those of the pairs in which `judge` reads what they say: what choosing does without painting."""
    read = judge.read([pair.picture.open() for pair in pairs])
    return [
        pair
        for pair, answer in zip(pairs, read, strict=True)
        if all(agree(answer.advisory, pair.spec)[slot] for slot in SEEN)
    ]


def learn_beside(rounds: Loop, top: int, name: str, groups: Sequence[Sequence[Pair]]) -> dict[str, Any]:
    """The probe's figures of the painter after as many steps on other pairs (own ones last) as round `top` had."""
    options = rounds.options
    shares = (1 - options.own, options.own) if len(groups) > 1 else ()
    lora = replace(options.lora, steps=options.lora.steps * top, shares=shares)
    learnt = rounds.painter.train_lora(groups, rounds.out / name, lora, None, rounds.out / "encoded")
    return {"pairs": len(groups[-1]), **rounds.probe(top, learnt, f"{name}-probe").figures}


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


def students(pairs: Dataset, painted: Dataset, out: Path, seed: int) -> dict[str, Any]:
    """Small networks learn to read from the drawn pairs, with what the rounds painted or as many fresh drawings (what a
    renderer adds), with both, or from painted pictures alone: equal steps, three seeds each. They are tested on
    drawings in which nothing is rare, which is where the pairs teach too little."""
    fresh = drawn(out / "fresh", len(painted), seed + 8)
    test = read_pairs(drawn(out / "test", TESTED, seed + 9, EVEN).path)
    arms = {"pairs": [pairs], "+ painted": [pairs, painted], "+ drawn": [pairs, fresh]}
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


# --- the drawn world ---------------------------------------------------------------------------------------------


def drawn(
    out: Path, count: int, seed: int, chances: Mapping[str, Any] = OFTEN, wrong: Mapping[str, float] | None = None
) -> Dataset:
    """`count` drawn streets as a Dataset in `out`, split train; a share `wrong` of each slot is labelled wrongly."""
    if not (out / "dataset.json").is_file():
        with DatasetWriter(out, Card("drawn")) as writer:
            for number in range(count):
                rng = np.random.default_rng([seed, number])
                spec = some_spec(rng, chances)
                image = draw(spec, rng)
                spec = mistaken(spec, chances, wrong, rng) if wrong else spec
                id = f"drawn-{seed}-{number}"
                writer.add(
                    Sample(
                        id, (Picture.encode(image, f"{id}.png", format="PNG"),), truth=spec.truth, scene=id,
                        conditions=spec.conditions,
                    ),
                    "train",
                )  # fmt: skip
    return Dataset.open(out)


def some_spec(rng: np.random.Generator, chances: Mapping[str, Any] = OFTEN) -> Spec:
    light = str(rng.choice(LIGHTS, p=chances["light"]))
    obstacles = frozenset(kind for kind in ("cone", "pedestrian") if rng.random() < chances[kind])
    crossroad = frozenset({"pedestrian_crossing"} if rng.random() < chances["zebra"] else ())
    time = "night" if rng.random() < chances["night"] else "day"
    advisory = Advisory(None, Light(light), obstacles, crossroad)
    return Spec(advisory, str(rng.choice(list(SKY))), time, "urban").with_rules()


def mistaken(spec: Spec, chances: Mapping[str, Any], wrong: Mapping[str, float], rng: np.random.Generator) -> Spec:
    """`spec`, each slot with that chance as in another street in which it differs."""
    taken: dict[str, Any] = {}
    for slot in SEEN:
        if rng.random() < wrong[slot]:
            while slot not in taken:
                other = getattr(some_spec(rng, chances), slot)
                taken |= {} if other == getattr(spec, slot) else {slot: other}
    return replace(spec, advisory=replace(spec.advisory, speed_kmh=None, **taken)).with_rules()


def draw(spec: Spec, rng: np.random.Generator) -> Image.Image:
    """A street that shows what `spec` says, at places that `rng` draws."""
    scale = 4  # drawn larger, then shrunk
    width, height = SIZE[0] * scale, SIZE[1] * scale
    dark = 0.4 if spec.time == "night" else 1.0

    def shade(colour: Sequence[int], by: float = 1.0) -> tuple[int, ...]:
        jitter = rng.uniform(0.9, 1.1)
        return tuple(int(min(255, value * dark * jitter * by)) for value in colour)

    image = Image.new("RGB", (width, height), shade(SKY[spec.weather]))
    pen = ImageDraw.Draw(image)
    horizon = int(height * rng.uniform(0.44, 0.5))
    for _ in range(int(rng.integers(0, 3))):
        x, w, h = int(rng.integers(-20, width)), int(rng.integers(32, 64)), int(rng.integers(12, 40))
        pen.rectangle([x, horizon - h, x + w, horizon], shade((130, 120, 110)))
    pen.rectangle([0, horizon, width, height], shade(GROUND[spec.weather], 1.15))
    middle = width * rng.uniform(0.46, 0.54)
    road = [(middle - 12, horizon), (middle + 12, horizon), (width * 0.95, height), (width * 0.05, height)]
    pen.polygon(road, shade(GROUND[spec.weather], 0.75))
    if "pedestrian_crossing" in spec.crossroad:
        top = int(rng.uniform(0.62, 0.72) * height)
        for x in range(int(width * 0.2), int(width * 0.8), 32):
            pen.rectangle([x, top, x + 18, top + 18], shade((235, 235, 235)))
    if spec.light.state != "none":
        x, y = int(rng.uniform(0.65, 0.9) * width), int(rng.uniform(0.02, 0.08) * height)
        pen.rectangle([x - 2, y, x + 2, horizon + 8], shade((50, 50, 50)))
        pen.rectangle([x - 15, y, x + 15, y + 60], (18, 18, 18))
        lens = y + 2 + 16 * list(LENS).index(spec.light.state)
        pen.ellipse([x - 13, lens, x + 13, lens + 26], LENS[spec.light.state])
    if "cone" in spec.obstacles:
        x, foot, high = int(rng.uniform(0.2, 0.42) * width), int(rng.uniform(0.8, 0.98) * height), 44
        pen.polygon([(x, foot - high), (x - 18, foot), (x + 18, foot)], shade((250, 110, 15), 1.3))
        pen.rectangle([x - 9, foot - high // 2 - 4, x + 9, foot - high // 2 + 4], shade((240, 240, 240)))
    if "pedestrian" in spec.obstacles:
        x, foot, high = int(rng.uniform(0.5, 0.75) * width), int(rng.uniform(0.85, 0.98) * height), 72
        pen.rectangle([x - 11, foot - high + 16, x + 11, foot - 24], shade((200, 230, 40), 1.3))
        pen.rectangle([x - 9, foot - 24, x + 9, foot], shade((40, 50, 140), 1.3))
        pen.ellipse([x - 8, foot - high, x + 8, foot - high + 16], shade((225, 175, 145), 1.3))
    pixels = np.asarray(image.resize(SIZE, Image.Resampling.BOX), np.float64)
    return Image.fromarray((pixels + rng.normal(0, 2, pixels.shape)).clip(0, 255).astype(np.uint8))


# --- who looks ---------------------------------------------------------------------------------------------------

JUDGES = {"first": (24, 48, 96), "second": (16, 32, 64, 64)}
STUDENT = (16, 32, 64)
READER_STEPS, READER_LR = 1200, 2e-3
FACTS = (*LIGHTS, "cone", "pedestrian", "zebra")


class Reader(nn.Module):
    """A convolutional network that tells the light (softmax) and three things (sigmoid)."""

    def __init__(self, width: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((3, *width), width, strict=False):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
        self.body = nn.Sequential(*layers, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(width[-1], len(FACTS)))

    def forward(self, pixels: Tensor) -> Tensor:
        told: Tensor = self.body(pixels)
        return told


def learnt(out: Path, name: str, seed: int, width: Sequence[int]) -> Judge:
    """A judge that has learnt JUDGED drawings of its own, or the one that an earlier start left."""
    file = out / f"{name}.pt"
    if not file.is_file():
        rng = np.random.default_rng([seed, 7])
        specs = [some_spec(rng, EVEN) for _ in range(JUDGED)]
        pixels = torch.stack([tensor(draw(spec, rng)) for spec in specs])
        truth = torch.tensor([facts(spec) for spec in specs])
        torch.save(fit_reader(width, [(pixels, truth)], seed).state_dict(), file)
    model = Reader(width)
    model.load_state_dict(torch.load(file))
    model.eval()

    def ask(images: Sequence[Sequence[Any]], questions: Sequence[str], roles: Sequence[Any] = ()) -> list[Answer]:
        with torch.inference_mode():
            told = model(torch.stack([tensor(own[0]) for own in images]))
        return [answer(row) for row in told]

    return Judge(name, digest_file(file), ask, None)


def fit_reader(width: Sequence[int], parts: Sequence[tuple[Tensor, Tensor]], seed: int) -> Reader:
    """A Reader that has learnt pictures (n, 3, h, w) and their facts (n, FACTS); each part is met equally often."""
    torch.manual_seed(seed)
    model, rng = Reader(width), np.random.default_rng([seed, 11])
    optimizer = torch.optim.AdamW(model.parameters(), lr=READER_LR)
    for step in range(READER_STEPS):
        for group in optimizer.param_groups:
            group["lr"] = READER_LR * (1 - step / READER_STEPS)
        rows = [torch.from_numpy(rng.integers(len(pixels), size=64 // len(parts))) for pixels, _ in parts]
        batch = torch.cat([pixels[own] for (pixels, _), own in zip(parts, rows, strict=True)])
        wanted = torch.cat([truth[own] for (_, truth), own in zip(parts, rows, strict=True)])
        read = model(soft(batch, rng) + 0.05 * torch.randn(len(batch), 1, 1, 1))
        loss = nn.functional.cross_entropy(read[:, :4], wanted[:, :4].argmax(1))
        loss = loss + nn.functional.binary_cross_entropy_with_logits(read[:, 4:], wanted[:, 4:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def soft(batch: Tensor, rng: np.random.Generator) -> Tensor:
    """Pictures of which half are less sharp, as painted ones are."""
    half = nn.functional.interpolate(nn.functional.avg_pool2d(batch, 2), scale_factor=2, mode="bilinear")
    mix = torch.from_numpy(rng.uniform(0, 2, (len(batch), 1, 1, 1)).clip(max=1)).float()
    return mix * batch + (1 - mix) * half


def tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.asarray(image.convert("RGB"), np.float32).transpose(2, 0, 1) / 127.5 - 1)


def facts(spec: Spec) -> list[float]:
    things = ("cone" in spec.obstacles, "pedestrian" in spec.obstacles, "pedestrian_crossing" in spec.crossroad)
    return [*(float(spec.light.state == state) for state in LIGHTS), *map(float, things)]


def answer(told: Tensor) -> Answer:
    light, things = told[:4].softmax(0), told[4:].sigmoid()
    there = (things >= 0.5).tolist()
    obstacles = frozenset(kind for kind, seen in zip(("cone", "pedestrian"), there, strict=False) if seen)
    crossroad = frozenset({"pedestrian_crossing"} if there[2] else ())
    sure = torch.where(things >= 0.5, things, 1 - things)
    advisory = Advisory(None, Light(LIGHTS[int(light.argmax())]), obstacles, crossroad)
    confidence = {
        "speed": None,
        "light": float(light.max()),
        "obstacles": float(sure[:2].prod()),
        "crossroad": float(sure[2]),
    }
    return Answer("", advisory, confidence, 0.0)


class Thumbnail:
    """Eyes that see a picture as 16x8 px of colour."""

    def __call__(self, images: Sequence[Image.Image]) -> list[Any]:
        return [Glance(image) for image in images]


class Glance:
    def __init__(self, image: Image.Image) -> None:
        pixels = np.asarray(image.resize((16, 8)), np.float32) - 100
        self.details = torch.from_numpy(pixels.reshape(1, 1, -1))


if __name__ == "__main__":
    raise SystemExit(main())
