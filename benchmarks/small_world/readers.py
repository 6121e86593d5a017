"""Small networks that read streets of 64x32 px: judges of painted ones, and the students that learn from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from pacenote.advisory import Advisory, Light
from pacenote.engine import Answer
from pacenote.imagine.judge import Judge
from pacenote.imagine.spec import Spec
from pacenote.work import digest_file
from small_world.world import LIGHTS, World

JUDGES = {"first": (24, 48, 96), "second": (16, 32, 64, 64)}
STUDENT = (16, 32, 64)
JUDGED = 3000  # streets that a judge learns
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


def learnt(world: World, out: Path, name: str, seed: int, width: Sequence[int]) -> Judge:
    """A judge that has learnt JUDGED streets of its own, or the one that an earlier start left."""
    file = out / f"{name}.pt"
    if not file.is_file():
        seen = world.scenes(np.random.default_rng([seed, 7]), JUDGED, "judges", even=True)
        pixels = torch.stack([tensor(scene.image) for scene in seen])
        truth = torch.tensor([facts(scene.spec) for scene in seen])
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
