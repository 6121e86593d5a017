"""Check, view, export, import, merge, split and correct Datasets."""

from __future__ import annotations

import argparse
from pathlib import Path

from pacenote.cli.actions import add_actions

EPILOG = """examples:
  pacenote data check streets-test
  pacenote data view streets-test --out sheet.html --where light=red --where weather=rain
  pacenote data view drive.mcap --out drive.html
  pacenote data view nuscenes/ --drive scene-0061 --option camera=CAM_BACK --out scene.html
  pacenote data import photos/ --out my-photos --licence "CC BY 4.0"
  pacenote data export streets-test --out for-trl --format trl-parquet
  pacenote data split drives/ --out drives-split --by drive --dev 0.1 --test 0.2
  pacenote data merge rendered/ drives-split/ --out mixed
  pacenote data correct mined/ --out mined-checked --limit 200
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    action = add_actions(parser, "data")

    check = action(
        "check", "look for broken pictures, contradictions, leaks between splits, imbalance", "check streets-test"
    )
    check.add_argument("dataset", help="a directory, a shipped name or a hub id")
    check.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON")

    view = action(
        "view", "write a page of a Dataset's samples, or of a drive's frames and signals", "view set --out sheet.html"
    )
    view.add_argument("dataset", help="a directory, a shipped name or a hub id; or a drive (video, MCAP, bag, folder)")
    view.add_argument("--out", type=Path, required=True, metavar="FILE", help="the HTML page")
    view.add_argument("--split", help="train, dev or test (default: all)")
    view.add_argument("--count", type=int, help="samples or frames on the page (default 48, of a drive 24)")
    view.add_argument("--seed", type=int, default=0, help="which samples are drawn (default 0)")
    view.add_argument("--where", action="append", default=[], metavar="KEY=VALUE", help="only samples with this value")
    view.add_argument("--drive", metavar="NAME", help="which drive, where the path holds several")
    view.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="of a drive: see docs/drives.md"
    )

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

    correct = action(
        "correct", "check labels by hand in the browser, worst first", "correct mined/ --out mined-checked"
    )
    correct.add_argument("dataset", help="a directory, a shipped name or a hub id")
    correct.add_argument("--out", type=Path, required=True, metavar="DIR", help="decisions, then the new version")
    correct.add_argument("--limit", type=int, metavar="N", help="only the N most suspicious samples")
    correct.add_argument("--only-checked", action="store_true", help="leave out what nobody decided on")
    correct.add_argument(
        "--apply", action="store_true", help="write the new version from the decisions, without the page"
    )
    correct.add_argument("--who", default="", metavar="NAME", help="who decides (default: the name of the account)")
    correct.add_argument("--port", type=int, default=0, help="of the page on this machine (default: any free one)")


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

    where, options = _pairs("--where", args.where, "light=red"), _pairs("--option", args.option, "camera=CAM_BACK")
    if _is_drive(args.dataset):
        if args.split or where:
            raise InputError(f"{args.dataset} is a drive: --split and --where are for a Dataset")
        return _view_drive(args, options)
    if args.drive or options:
        raise InputError(f"{args.dataset} is a Dataset: --drive and --option are for a drive")
    count = args.count or 48
    shown = view_dataset(args.dataset, args.out, split=args.split, count=count, seed=args.seed, where=where)
    print(f"{args.out}: {shown} samples")
    return None


def _pairs(flag: str, items: list[str], example: str) -> dict[str, str]:
    from pacenote.errors import InputError

    if bad := [item for item in items if "=" not in item]:
        raise InputError(f"{flag} {bad[0]}: give KEY=VALUE, as in {example}")
    return dict(item.split("=", 1) for item in items)


def _is_drive(name: str) -> bool:
    """Whether it is something on the disk that is no Dataset: those hold a dataset.json or Parquet files."""
    path = Path(name)
    if path.is_dir():
        return not any(next(path.glob(name), None) for name in ("dataset.json", "*.parquet", "*/*.parquet"))
    return path.is_file()


def _view_drive(args: argparse.Namespace, options: dict[str, str]) -> None:
    from pacenote.drives.find import find_drives, open_drive, pick_drive
    from pacenote.drives.view import view_drive

    ref = pick_drive(find_drives(args.dataset), args.drive, options)
    frames = view_drive(open_drive(ref), args.out, count=args.count or 24)
    print(f"{args.out}: {ref.name} ({ref.format}), {frames} frames")


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


def _correct(args: argparse.Namespace) -> None:
    from pacenote.data.correct import apply, decisions_on, user_name
    from pacenote.data.dataset import Dataset
    from pacenote.errors import InputError

    if args.limit is not None and args.limit < 1:
        raise InputError(f"--limit {args.limit}: give a number of at least 1")
    dataset = Dataset.open(args.dataset)
    with decisions_on(dataset, args.out) as decisions:
        if args.apply:
            apply(dataset, decisions, only_checked=args.only_checked)
        else:
            from pacenote.serve.correct import Page, Session

            who = args.who or user_name()
            page = Page(Session(dataset, decisions, who, limit=args.limit, only_checked=args.only_checked), args.port)
            print(f"open in a browser on this machine, end with Finish there or Ctrl-C:\n  {page.url}", flush=True)
            page.serve()
    _tell(args.out)


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
    "correct": _correct,
}
