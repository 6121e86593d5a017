"""Check, view, export, import, merge and split Datasets."""

from __future__ import annotations

import argparse
from pathlib import Path

from pacenote.cli.actions import add_actions

EPILOG = """examples:
  pacenote data check streets-test
  pacenote data view streets-test --out sheet.html --where light=red --where weather=rain
  pacenote data import photos/ --out my-photos --licence "CC BY 4.0"
  pacenote data export streets-test --out for-trl --format trl-parquet
  pacenote data split drives/ --out drives-split --by drive --dev 0.1 --test 0.2
  pacenote data merge rendered/ drives-split/ --out mixed
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    action = add_actions(parser, "data")

    check = action(
        "check", "look for broken pictures, contradictions, leaks between splits, imbalance", "check streets-test"
    )
    check.add_argument("dataset", help="a directory, a shipped name or a hub id")
    check.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON")

    view = action("view", "write a page of samples with boxes, evidence, truth and answer", "view set --out sheet.html")
    view.add_argument("dataset", help="a directory, a shipped name or a hub id")
    view.add_argument("--out", type=Path, required=True, metavar="FILE", help="the HTML page")
    view.add_argument("--split", help="train, dev or test (default: all)")
    view.add_argument("--count", type=int, default=48, help="samples on the page (default 48)")
    view.add_argument("--seed", type=int, default=0, help="which samples are drawn (default 0)")
    view.add_argument("--where", action="append", default=[], metavar="KEY=VALUE", help="only samples with this value")

    export = action("export", "write a Dataset for another tool", "export set --out for-trl --format trl-parquet")
    export.add_argument("dataset", help="a directory, a shipped name or a hub id")
    export.add_argument("--out", type=Path, required=True, metavar="DIR")
    export.add_argument("--format", required=True, help="trl, trl-parquet, sharegpt (LLaMA-Factory) or coco")
    export.add_argument("--split", help="train, dev or test (default: all)")

    load = action("import", "make a Dataset of a labels.jsonl or a folder of photos", "import photos/ --out my-photos")
    load.add_argument("photos", help="a labels.jsonl, a folder with one, or a plain folder of photos")
    load.add_argument("--out", type=Path, required=True, metavar="DIR")
    load.add_argument("--split", default="test", help="train, dev or test (default test)")
    load.add_argument("--licence", default="", help="licence of the photos, kept with each sample")

    merge = action("merge", "join Datasets, each sample in its split", "merge rendered/ mined/ --out mixed")
    merge.add_argument("datasets", nargs="+", help="two or more directories, shipped names or hub ids")
    merge.add_argument("--out", type=Path, required=True, metavar="DIR")

    split = action("split", "split anew, never across a unit", "split drives/ --out drives-split --by drive")
    split.add_argument("dataset", help="a directory, a shipped name or a hub id")
    split.add_argument("--out", type=Path, required=True, metavar="DIR")
    split.add_argument("--by", default="network", help="network, scene or drive (default network)")
    split.add_argument("--dev", type=float, default=0.1, help="share of dev (default 0.1)")
    split.add_argument("--test", type=float, default=0.1, help="share of test (default 0.1)")
    split.add_argument("--seed", type=int, default=0, help="which units go where (default 0)")


def run(args: argparse.Namespace) -> int | None:
    return _ACTIONS[args.action](args)


def _check(args: argparse.Namespace) -> int:
    from pacenote.data.check import check_dataset
    from pacenote.work import write_json

    report = check_dataset(args.dataset)
    print(report.text())
    if args.json:
        write_json(args.json, report.to_dict())
    return 0 if report.ok else 1


def _view(args: argparse.Namespace) -> None:
    from pacenote.data.view import view_dataset
    from pacenote.errors import InputError

    if bad := [item for item in args.where if "=" not in item]:
        raise InputError(f"--where {bad[0]}: give KEY=VALUE, as in light=red")
    where = dict(item.split("=", 1) for item in args.where)
    shown = view_dataset(args.dataset, args.out, split=args.split, count=args.count, seed=args.seed, where=where)
    print(f"{args.out}: {shown} samples")


def _export(args: argparse.Namespace) -> None:
    from pacenote.data.export import export_dataset

    stats = export_dataset(args.dataset, args.out, args.format, split=args.split)
    print(f"{args.out}: {stats['written']} samples, {stats['skipped']} left out (see skipped.jsonl)")


def _import(args: argparse.Namespace) -> None:
    from pacenote.data.importer import import_photos

    _tell(import_photos(args.photos, args.out, split=args.split, licence=args.licence).path)


def _merge(args: argparse.Namespace) -> None:
    from pacenote.data.split import merge_datasets

    _tell(merge_datasets(args.datasets, args.out).path)


def _split(args: argparse.Namespace) -> None:
    from pacenote.data.split import split_dataset

    out = split_dataset(args.dataset, args.out, by=args.by, dev=args.dev, test=args.test, seed=args.seed)
    _tell(out.path)


def _tell(path: Path) -> None:
    """One line about a dataset that was just made: samples by split, and rejections."""
    from pacenote.data.card import read_card

    card = read_card(path)
    splits = ", ".join(f"{held['samples']} {split}" for split, held in card["splits"].items())
    rejected = sum(card["rejected"].values())
    print(f"{path}: {splits}" + (f"; {rejected} rejected (see rejected.parquet)" if rejected else ""))


_ACTIONS = {
    "check": _check,
    "view": _view,
    "export": _export,
    "import": _import,
    "merge": _merge,
    "split": _split,
}
