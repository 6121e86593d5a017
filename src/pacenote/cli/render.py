"""Simulate and render streets into a labelled Dataset.

SUMO makes networks and traffic, Blender the pictures; labels are measured on the finished frames, and what cannot be
told from the picture is unknown or rejected. The same command resumes a stopped run.
"""

import argparse
from pathlib import Path

EPILOG = """examples:
  pacenote render recipes/streets.yaml --out data/streets --workers 2
  pacenote render recipes/streets.yaml --out data/few --split test --count 30 --preset draft
  pacenote render recipes/streets.yaml --out data/twins --split test --count 50 --twins
  pacenote render recipes/streets.yaml --out data/drives --split test --drives 5
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("recipe", metavar="RECIPE", type=Path, help="a scene recipe (YAML)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the Dataset; the same command resumes")
    parser.add_argument(
        "--split", default="all", choices=("train", "dev", "test", "all"), help="part of the recipe to render (all)"
    )
    parser.add_argument("--count", type=int, metavar="N", help="scenes of the split (as many as the recipe says)")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes, each with its own Blender (1)")
    parser.add_argument("--ray", metavar="ADDRESS", help="render on a Ray cluster: auto, local or host:port")
    parser.add_argument("--preset", default="demo", metavar="NAME", help="draft, demo or quality (demo)")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--twins", action="store_true", help="each scene twice, one fact flipped in the second")
    mode.add_argument("--drives", type=int, metavar="N", help="N simulated drives, many frames each, not scenes")
    parser.add_argument("--quality", type=int, default=92, metavar="Q", help="JPEG quality of the frames, 50..100 (92)")
    parser.add_argument("--seed", type=int, metavar="S", help="replaces the recipe's seed: other streets")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the card and counts here too")


def run(args: argparse.Namespace) -> int:
    import dataclasses

    from pacenote.errors import InputError
    from pacenote.render.pipeline import render_dataset
    from pacenote.scenes.recipe import SceneRecipe
    from pacenote.work import write_json

    if not 50 <= args.quality <= 100:
        raise InputError(f"--quality {args.quality}: give 50 to 100")
    for name in ("count", "workers", "drives"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise InputError(f"--{name} {getattr(args, name)}: give at least 1")
    if args.split == "all" and (args.count or args.drives):
        raise InputError("--count and --drives are for one part: add --split train, dev or test")
    recipe = SceneRecipe.load(args.recipe)
    if args.seed is not None:
        recipe = dataclasses.replace(recipe, seed=args.seed)
    mode = "drives" if args.drives else "twins" if args.twins else "frames"
    splits = [name for name in recipe.parts if recipe.parts[name]] if args.split == "all" else [args.split]
    for split in splits:
        card = render_dataset(
            recipe, args.out, split, args.drives or args.count, workers=args.workers, preset=args.preset,
            mode=mode, quality=args.quality, ray=args.ray,
        )  # fmt: skip
    if args.json:
        write_json(args.json, card)
    for split, held in card["splits"].items():
        print(f"{split}: {held['samples']} samples in {held['shards']} shards")
    print(f"rejected: {sum(card['rejected'].values())}")
    print(args.out / "README.md")
    return 0
