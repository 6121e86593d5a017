"""How much a prompt could gain at all: crops in the right places, true hints, true context.

    python benchmarks/prompt_oracle.py --data STREETS --split dev --json out.json

Each row answers the frames anew with one aid that only the truth can give; "placebo" crops chance places. "crop if
light" also tells by its being there that there is a light, which no expert knows for sure: what can be had lies between
it and "crop always". small: F1 of the light where its lens has 3 to 6 px in the model's picture; tiny: less.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from pacenote.advisory import Truth, slot_text
from pacenote.data import Dataset, Sample
from pacenote.engine import asker
from pacenote.evaluate.suite import load_model
from pacenote.metrics import score
from pacenote.work import progress

SIDE, SEEN = 1 / 7, 168  # of the frame's width that a crop shows; px at which the model sees it
SMALL = 3.0, 6.0  # px of a lens in the picture that the model sees, MODEL_PX wide
MODEL_PX = 448
CONTEXT = {"weather": "Weather: {0}.", "time": "Time: {0}.", "road_class": "Road: {0}."}
Asked = tuple[list[Image.Image], str]


def crop(image: Image.Image, centre: tuple[float, float]) -> Image.Image:
    side = round(SIDE * image.width)
    x = int(min(max(centre[0] - side / 2, 0), image.width - side))
    y = int(min(max(centre[1] - side / 2, 0), image.height - side))
    return image.crop((x, y, x + side, y + side)).resize((SEEN, SEEN))


def place(sample: Sample, kind: str, role: str) -> tuple[float, float] | None:
    """The centre of the tallest stated object of that kind ("" any) and role."""
    objects = (sample.evidence or {}).get("objects", [])
    own = [o for o in objects if o.get("role") == role and o.get("stated") and o.get("box") and kind in ("", o["kind"])]
    if not own:
        return None
    x0, y0, x1, y1 = max(own, key=lambda o: o["box"][3] - o["box"][1])["box"]
    return (x0 + x1) / 2, (y0 + y1) / 2


def somewhere(image: Image.Image, rng: random.Random) -> tuple[float, float]:
    return rng.uniform(0.2, 0.8) * image.width, rng.uniform(0.1, 0.5) * image.height


def variants(rng: random.Random) -> dict[str, Callable[[Sample, Image.Image], Asked]]:
    def crops(*places: Callable[[Sample, Image.Image], tuple[float, float] | None]) -> Callable[..., Asked]:
        def made(sample: Sample, image: Image.Image) -> Asked:
            centres = [one(sample, image) for one in places]
            return [image, *(crop(image, one) for one in centres if one)], sample.question

        return made

    def hint(sample: Sample, image: Image.Image) -> Asked:
        said = []
        for slot in ("light", "obstacles", "crossroad"):
            try:
                words = slot_text(sample.truth.advisory(), slot).rstrip(".")  # type: ignore[union-attr]
            except ValueError:
                continue
            said.append(f"A hint that may be wrong: {words[0].lower() + words[1:]}.")
        return [image], " ".join([*said, sample.question])

    def context(sample: Sample, image: Image.Image) -> Asked:
        told = [words.format(sample.conditions[name]) for name, words in CONTEXT.items() if sample.conditions.get(name)]
        return [image], " ".join([*told, sample.question])

    def light(sample: Sample, image: Image.Image) -> tuple[float, float] | None:
        return place(sample, "traffic_light", "ego")

    def thing(sample: Sample, image: Image.Image) -> tuple[float, float] | None:
        return place(sample, "", "obstacle")

    return {
        "plain": lambda sample, image: ([image], sample.question),
        "placebo": crops(lambda sample, image: somewhere(image, rng)),
        "crop if light": crops(light),
        "crop always": crops(lambda sample, image: light(sample, image) or somewhere(image, rng)),
        "crop if obstacle": crops(thing),
        "crop if light, if obstacle": crops(light, thing),
        "hint": hint,
        "context": context,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--quick", action="store_true", help="24 frames")
    parser.add_argument("--models", nargs="+", default=["starter-teacher", "starter-distilled", "starter-student"])
    parser.add_argument("--data", default="streets-test")
    parser.add_argument("--split", default="test")
    args = parser.parse_args()
    samples = [one for one in Dataset.open(args.data, split=args.split) if one.task == "advisory"]
    samples = samples[:24] if args.quick else samples
    truths, clusters = [one.truth or Truth.unknown() for one in samples], [one.cluster for one in samples]
    lit = [k for k, truth in enumerate(truths) if truth.light_state not in (None, "none")]
    lens = {k: float(samples[k].conditions.get("light_px") or 0) * MODEL_PX / samples[k].image(0).width for k in lit}
    small = [k for k in lit if SMALL[0] <= lens[k] < SMALL[1]]
    tiny = [k for k in lit if 0 < lens[k] < SMALL[0]]
    held: dict[str, Any] = {"frames": len(samples), "small": len(small), "tiny": len(tiny)}
    for name in args.models:
        ask = asker(load_model(name, "cpu"))
        print(f"{name}: {len(samples)} frames, {len(small)} with a small light, {len(tiny)} with a tiny one")
        for title, variant in variants(random.Random(0)).items():
            told = []
            for start in progress(range(0, len(samples), 8), title):
                asked = [variant(one, one.image(0)) for one in samples[start : start + 8]]
                roles = [("frame", *["crop"] * (len(images) - 1)) for images, _ in asked]
                answers = ask([images for images, _ in asked], [words for _, words in asked], roles)
                told += [one.advisory for one in answers]
            whole = score(told, truths, clusters, resamples=0)
            row = {slot: whole[slot]["f1"] for slot in ("light", "obstacles", "crossroad")}
            row |= {"average": whole["average"], "r2": whole["speed"]["r2"]}
            for group, places in (("small", small), ("tiny", tiny)):
                own = [told[k] for k in places], [truths[k] for k in places], [clusters[k] for k in places]
                row[group] = score(*own, resamples=0)["light"]["f1"] if places else None
            held.setdefault(name, {})[title] = row
            print(f"  {title:28}" + "  ".join(f"{key} {value:.3f}" for key, value in row.items() if value is not None))
    if args.json:
        args.json.write_text(json.dumps(held, indent=2) + "\n")


if __name__ == "__main__":
    main()
