"""What the rounds of `pacenote imagine` gain over their control, in a world that two cores learn in minutes.

    python benchmarks/imagine.py --out runs/drawn --json drawn.json

Streets are drawn, 64x32 px: a lamp or none, a cone, a person, a zebra crossing, by day and by night, in four weathers;
yellow lamps and things that come together are rare. The starter painter learns them from scratch, and two judges (small
convolutional networks of other shapes and frames) learn to read them. Then the rounds go as they always do: the first
judge decides, the second only watches, a control trains as long on the original pairs. A stopped run goes on.

It shows what the rounds do to a painter that can be trained here; rendered streets take a GPU (docs/imagine.md).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
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
from pacenote.imagine.judge import Judge, calibrate
from pacenote.imagine.loop import Loop, LoopOptions
from pacenote.imagine.lora import PaintLora
from pacenote.imagine.painter import open_painter
from pacenote.imagine.pairs import read_pairs
from pacenote.imagine.quality import Usual
from pacenote.imagine.rounds import Jury, judge_round
from pacenote.imagine.score import Limits
from pacenote.imagine.screen import word_screen
from pacenote.imagine.show import show
from pacenote.imagine.spec import SEEN, Spec
from pacenote.imagine.starter import StarterOptions, train_starter
from pacenote.work import RunDirectory, digest_file, read_json, say, write_json

SIZE = (64, 32)
LIGHTS = ("none", "red", "yellow", "green")
OFTEN = {"light": (0.5, 0.23, 0.04, 0.23), "cone": 0.15, "pedestrian": 0.15, "zebra": 0.2, "night": 0.25}
LENS = {"red": (235, 30, 25), "yellow": (245, 190, 30), "green": (30, 225, 90)}
SKY = {"clear": (130, 175, 230), "overcast": (165, 170, 175), "rain": (120, 125, 135), "snow": (205, 210, 215)}
GROUND = {"clear": (95, 95, 95), "overcast": (85, 85, 88), "rain": (60, 62, 70), "snow": (190, 190, 195)}
PAIRS, JUDGED, KNOWN = 1200, 3000, 400


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--painter-steps", type=int, default=2500, metavar="N", help="of the UNet (2500)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300, metavar="N", help="of the LoRA, a round (300)")
    parser.add_argument("--probe", type=int, default=200, metavar="N", help="specs that are never learnt from (200)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    pairs = drawn(args.out / "pairs", PAIRS, args.seed)
    known = drawn(args.out / "known", KNOWN, args.seed + 1)
    options = StarterOptions(
        size=SIZE, vae_blocks=(1, 2, 2), crop=32, vae_steps=4000, vae_batch=4, vae_lr=2e-3, channels=(32, 64, 96),
        attention=(False, True, True), text_width=96, text_layers=2, steps=args.painter_steps, batch=32, lr=1e-3,
        ema=0.99, seed=args.seed,
    )  # fmt: skip
    painter = open_painter(str(train_starter([str(pairs.path)], args.out / "painter", options)))
    judges = [learnt(args.out, name, args.seed + n, width) for n, (name, width) in enumerate(JUDGES.items(), 2)]
    for judge in judges:
        calibrate(judge, known)
    trust = {judge.name: judge.trust for judge in judges}
    held = read_pairs(pairs.path)
    # A small painter's pictures are softer than drawings, all of them: sharpness chooses nothing here.
    jury = Jury(*judges, Thumbnail(), None, Usual.of(held, SIZE), word_screen, Limits(quality=0.0))  # type: ignore[arg-type]
    lora = PaintLora(
        rank=16, alpha=16, targets=(*PaintLora.targets, "conv1", "conv2"), lr=5e-4, steps=args.steps, batch=16,
        accumulate=1, seed=args.seed,
    )  # fmt: skip
    loop = LoopOptions(
        rounds=args.rounds, specs=150, images=4, keep=2, probe=args.probe, own=0.7, control=True, lora=lora,
        seed=args.seed,
    )  # fmt: skip
    settings = {"options": loop, "painter": painter.digest, "judges": [judge.digest for judge in judges]}
    run = RunDirectory.open(args.out / "rounds", "drawn rounds", settings, seed=args.seed)
    rounds = Loop(held, painter, jury, run.path, loop)
    figures = {**rounds.run(), "trust": {name: {s: one[s]["right"] for s in SEEN} for name, one in trust.items()}}
    names = sorted(path.parent.name for path in rounds.out.glob("*/scores.json"))
    show(rounds.out, figures, trust, {name: judge_round(rounds.out / name, jury) for name in names})
    if figures["best"]:
        figures["gain"] = gain(rounds.out, figures["best"], args.seed)
        own = figures["gain"]
        say(f"round {figures['best']} over its control, second judge: {own['mean']:+.3f} {own['ci']}")
    if args.json:
        write_json(args.json, figures)
    return 0


def gain(out: Path, top: int, seed: int) -> dict[str, Any]:
    """How much more the second judge agrees with the best round's probe than with the control's; resampled by spec."""
    read = [
        np.array(
            [[bool(seen["watched"][slot]) for slot in SEEN] for seen in read_json(out / name / "scores.json")["seen"]]
        )
        for name in (f"probe-{top:02d}", f"control-probe-{top:02d}")
    ]
    away = (read[0].astype(float) - read[1]).mean(1)
    draws = np.random.default_rng(seed).integers(len(away), size=(2000, len(away)))
    return {
        "mean": float(away.mean()),
        "ci": [round(float(q), 3) for q in np.quantile(away[draws].mean(1), [0.025, 0.975])],
    }


# --- the drawn world ---------------------------------------------------------------------------------------------


def drawn(out: Path, count: int, seed: int) -> Dataset:
    """`count` drawn streets as a Dataset in `out`, split train."""
    if not (out / "dataset.json").is_file():
        with DatasetWriter(out, Card("drawn")) as writer:
            for number in range(count):
                rng = np.random.default_rng([seed, number])
                spec = some_spec(rng)
                picture = Picture.encode(draw(spec, rng), f"{number}.png", format="PNG")
                writer.add(
                    Sample(f"drawn-{seed}-{number}", (picture,), truth=spec.truth, conditions=spec.conditions,
                           scene=f"drawn-{seed}-{number}"),
                    "train",
                )  # fmt: skip
    return Dataset.open(out)


def some_spec(rng: np.random.Generator) -> Spec:
    light = str(rng.choice(LIGHTS, p=OFTEN["light"]))
    obstacles = frozenset(kind for kind in ("cone", "pedestrian") if rng.random() < OFTEN[kind])
    crossroad = frozenset({"pedestrian_crossing"} if rng.random() < OFTEN["zebra"] else ())
    time = "night" if rng.random() < OFTEN["night"] else "day"
    advisory = Advisory(None, Light(light), obstacles, crossroad)
    return Spec(advisory, str(rng.choice(list(SKY))), time, "urban").with_rules()


def draw(spec: Spec, rng: np.random.Generator) -> Image.Image:
    """A street that shows what `spec` says, at places that `rng` draws; four times as large, then shrunk."""
    scale = 4
    width, height = SIZE[0] * scale, SIZE[1] * scale
    dark = 0.25 if spec.time == "night" else 1.0

    def shade(colour: Sequence[int], by: float = 1.0) -> tuple[int, ...]:
        jitter = rng.uniform(0.9, 1.1)
        return tuple(int(min(255, value * dark * jitter * by)) for value in colour)

    image = Image.new("RGB", (width, height), shade(SKY[spec.weather]))
    pen = ImageDraw.Draw(image)
    horizon = int(height * rng.uniform(0.42, 0.52))
    for _ in range(int(rng.integers(2, 5))):
        x, w, h = int(rng.integers(-20, width)), int(rng.integers(24, 60)), int(rng.integers(16, 48))
        pen.rectangle([x, horizon - h, x + w, horizon], fill=shade(rng.integers(90, 170, 3).tolist()))
    pen.rectangle([0, horizon, width, height], fill=shade(GROUND[spec.weather], 1.15))
    middle = width * rng.uniform(0.42, 0.58)
    road = shade(GROUND[spec.weather], 0.75)
    pen.polygon(
        [(middle - 12, horizon), (middle + 12, horizon), (width * 0.95, height), (width * 0.05, height)], fill=road
    )
    if "pedestrian_crossing" in spec.crossroad:
        top = int(rng.uniform(0.62, 0.72) * height)
        for x in range(int(width * 0.2), int(width * 0.8), 20):
            pen.rectangle([x, top, x + 10, top + 14], fill=shade((235, 235, 235)))
    if spec.light.state != "none":
        x, y = int(rng.uniform(0.12, 0.88) * width), int(rng.uniform(0.08, 0.2) * height)
        pen.rectangle([x - 2, y, x + 2, horizon + 8], fill=shade((50, 50, 50)))
        pen.rectangle([x - 11, y - 4, x + 11, y + 36], fill=(18, 18, 18))
        lens = y + 2 + 11 * list(LENS).index(spec.light.state)
        pen.ellipse([x - 8, lens - 3, x + 8, lens + 13], fill=LENS[spec.light.state])
    if "cone" in spec.obstacles:
        x, foot, high = int(rng.uniform(0.25, 0.75) * width), int(rng.uniform(0.75, 0.95) * height), 34
        pen.polygon([(x, foot - high), (x - 13, foot), (x + 13, foot)], fill=shade((250, 110, 15), 1.3))
        pen.line([(x - 7, foot - high // 2), (x + 7, foot - high // 2)], fill=shade((240, 240, 240)), width=6)
    if "pedestrian" in spec.obstacles:
        x, foot, high = int(rng.uniform(0.2, 0.8) * width), int(rng.uniform(0.7, 0.9) * height), 50
        pen.rectangle([x - 6, foot - high + 12, x + 6, foot - 20], fill=shade(rng.integers(40, 220, 3).tolist(), 1.3))
        pen.rectangle([x - 5, foot - 20, x - 1, foot], fill=shade((40, 45, 90), 1.2))
        pen.rectangle([x + 1, foot - 20, x + 5, foot], fill=shade((40, 45, 90), 1.2))
        pen.ellipse([x - 6, foot - high, x + 6, foot - high + 12], fill=shade((225, 175, 145), 1.3))
    pixels = np.asarray(image.resize(SIZE, Image.Resampling.BOX), np.float64)
    return Image.fromarray((pixels + rng.normal(0, 3, pixels.shape)).clip(0, 255).astype(np.uint8))


# --- who looks ---------------------------------------------------------------------------------------------------

JUDGES = {"first": (24, 48, 96), "second": (16, 32, 64, 64)}
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
    model, file = Reader(width), out / f"{name}.pt"
    if not file.is_file():
        torch.manual_seed(seed)
        rng = np.random.default_rng([seed, 7])
        specs = [some_spec(rng) for _ in range(JUDGED)]
        pixels = torch.stack([tensor(draw(spec, rng)) for spec in specs])
        wanted = torch.tensor([facts(spec) for spec in specs])
        optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
        for step in range(1200):
            rows = torch.from_numpy(rng.integers(JUDGED, size=64))
            for group in optimizer.param_groups:
                group["lr"] = 2e-3 * (1 - step / 1200)
            told = model(pixels[rows] + 0.05 * torch.randn(64, 1, 1, 1))
            loss = nn.functional.cross_entropy(told[:, :4], wanted[rows][:, :4].argmax(1))
            loss = loss + nn.functional.binary_cross_entropy_with_logits(told[:, 4:], wanted[rows][:, 4:])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        torch.save(model.state_dict(), file)
    model.load_state_dict(torch.load(file))
    model.eval()

    def ask(images: Sequence[Sequence[Any]], questions: Sequence[str], roles: Sequence[Any] = ()) -> list[Answer]:
        with torch.inference_mode():
            told = model(torch.stack([tensor(own[0]) for own in images]))
        return [answer(row) for row in told]

    return Judge(name, digest_file(file), ask, None)


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
