"""Mined labels against the truth of rendered drives: raw labels, the paper's window, the full method and its parts.

    pacenote render recipes/drives.yaml --out DRIVES --split train --drives 32 --workers 2
    pacenote render recipes/drives.yaml --out GOLD --split dev --drives 12 --workers 2
    python benchmarks/mine.py --drives DRIVES --gold GOLD --out VOTES --json mine.json

The miner learns what sources are worth without the truth of DRIVES. Posteriors are calibrated, and thresholds of kinds
follow, on all splits of GOLD and, with --folds N, on the truth of those DRIVES that are not of the same Nth.
`--quick` needs no drives: it measures the speed of smoothing and the memory of a long drive alone.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pacenote.data import Dataset
from pacenote.drives.drive import Drive, DriveFrame, Signals
from pacenote.metrics.bootstrap import mean_of, signed
from pacenote.mining import fusion
from pacenote.mining import votes as voting
from pacenote.mining.calibrate import Truths, calibrated, with_thresholds
from pacenote.mining.facts import FACT, FACTS, SPEED_SLACK
from pacenote.mining.labels import Labels, label
from pacenote.mining.mine import Asking, ask
from pacenote.mining.open import find
from pacenote.mining.pool import AROUND_S, Pool
from pacenote.mining.score import aligned, score, truths_of
from pacenote.mining.sources import Said
from pacenote.mining.votes import LABELER, Votes
from pacenote.mining.window import MISSING
from pacenote.work import say, write_json

HOURS, RATE_HZ = 2.0, 4.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drives", type=Path, metavar="DATA", help="a Dataset of rendered drives")
    parser.add_argument("--split", default="train", help="which of its splits is mined (train)")
    parser.add_argument("--gold", type=Path, metavar="DATA", help="other drives of known truth")
    parser.add_argument("--folds", type=int, default=1, metavar="N", help="drives are gold for those of other Nths")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where votes are kept")
    parser.add_argument("--labeler", default="starter-student", metavar="MODEL")
    parser.add_argument("--experts", nargs="+", default=["look:starter-teacher"], metavar="E")
    parser.add_argument("--without", nargs="*", default=[], metavar="E", help="of these what was said is not heard")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="speed and memory alone")
    args = parser.parse_args()
    figures: dict[str, Any] = {}
    if not args.quick:
        if not args.drives or not args.out:
            parser.error("give --drives and --out, or --quick")
        figures |= labels(args)
    figures |= {"frames_per_s": speed(), "frames_per_s_pools": speed(pools=True)}
    figures |= {"memory_growth_mib": memory(0.1 if args.quick else 1.0)}
    print(f"smoothing: {figures['frames_per_s']:,.0f} frames/s of one core (all {len(FACTS)} facts)")
    print(f"smoothing with pools of gold drives: {figures['frames_per_s_pools']:,.0f} frames/s of one core")
    print(
        f"memory over a drive of {HOURS:g} h: {figures['memory_growth_mib']:+.1f} MiB from its first tenth to its end"
    )
    if args.json:
        write_json(args.json, figures)
    return 0


def labels(args: argparse.Namespace) -> dict[str, Any]:
    """Errors of every method on the test drives."""
    asking = Asking(labeler=args.labeler, experts=tuple(args.experts))
    parts = [(args.drives, args.split)]
    if args.gold:
        parts += [(args.gold, part) for part in Dataset.open(args.gold).splits]
    refs = [(ref, path, part) for path, part in parts for ref in find(path, part)]
    told = ask([ref for ref, *_ in refs], args.out, asking, workers=args.workers)
    unheard = [name for own in told.values() for name in own.said if name.endswith(tuple(args.without))]
    told = {drive: own.but(*unheard) for drive, own in told.items()}
    truths = {place: truths_of(*place) for place in parts}
    pairs_of = [
        (told[ref.name], aligned(told[ref.name], truths[path, part][ref.name]), path) for ref, path, part in refs
    ]
    test = [(own, truth) for own, truth, path in pairs_of if path == args.drives]
    gold = [(own, truth) for own, truth, path in pairs_of if path != args.drives]

    def scored(
        learnt: dict[str, Any], method: str = "full", *, without: Sequence[str] = (), hard: bool = False,
        others: Any = (), pools: bool = True,
    ) -> Any:  # fmt: skip
        """Labels of the test drives; calibrated where there are gold drives, without what some sources said there."""
        found = []
        for part in np.array_split(np.arange(len(test)), args.folds):  # neighbours share a network: whole blocks
            known = gold + ([pair for k, pair in enumerate(test) if k not in part] if args.folds > 1 else [])
            own = learnt
            if known and method == "full":
                known = [(votes.but(*without), truth) for votes, truth in known]
                own = with_thresholds(calibrated(learnt, known, others, pools=pools), [votes for votes, _ in test])
            found += [(test[k][0], label(test[k][0], own, method, hard=hard), test[k][1]) for k in part]
        return score(found)

    mined = [own for own, _ in test]  # gold drives take part in calibration alone
    experts = sorted({name for own in mined for name in own.said} - {LABELER})
    learnt, without_each = fusion.fit(mined), fusion.fit_without(mined)
    rows = {
        "raw labels": scored(learnt, "raw"),
        "majority window (paper)": scored(learnt, "window"),
        "window, then hard motion (paper)": scored(learnt, "window", hard=True),
        "full": scored(learnt, others=without_each),
        "without pools": scored(learnt, others=without_each, pools=False),
        "full, uncalibrated": score([(own, label(own, learnt), truth) for own, truth in test]),
        "all sources everywhere": scored(learnt),
        "without motion": scored(
            fusion.fit(mined, use_motion=False), others=fusion.fit_without(mined, use_motion=False)
        ),
        "without views": scored(fusion.fit(mined, views=False), others=fusion.fit_without(mined, views=False)),
        "labeler alone, chain": scored(fusion.fit([own.but(*experts) for own in mined]), without=experts),
        "experts alone, chain": scored(fusion.fit([own.but(LABELER) for own in mined]), without=[LABELER]),
        "first expert alone, raw": score([(own, as_labels(own), truth) for own, truth in test]),
        "oracle: the best source, frame by frame": score(
            [(own, clairvoyant(own, truth), truth) for own, truth in test]
        ),
    }
    frames = sum(len(own.times) for own, _ in test)
    print(f"{len(test)} drives, {frames} frames; {len(gold)} gold drives")
    head = "speed light obst. cross.  F1    light obst. cross. jitter  ECE  sure  cover"
    print(f"{'':40}{'error':>7} {'interval':>16}  {head}")
    for name, one in rows.items():
        e, low, high = one["error"], *one["ci"]
        line = f"{name:40}{e['mean']:7.3f} [{low:.3f}, {high:.3f}]  "
        line += " ".join(f"{e[slot]:.3f}" for slot in ("speed", "light", "obstacles", "crossroad"))
        f1 = one["f1"]
        line += f"  {f1['mean']:.3f} {f1['light']:.3f} {f1['obstacles']:.3f} {f1['crossroad']:.3f}"
        line += f" {one['jitter']['labels']:6.1f}"
        if "ece" in one:
            line += f" {one['ece']:.3f} {one['sure'] or float('nan'):.3f} {one['coverage']:.3f}"
        print(line)
    for name in ("raw labels", "majority window (paper)"):
        gap = np.array(rows["full"]["by_drive"]) - np.array(rows[name]["by_drive"])
        print(f"full against {name}, mean over drives: {signed(*mean_of(gap))}")
    print(f"jitter of the truth: {rows['full']['jitter']['truth']:.1f} switches a minute")
    errors = {key: rows[name]["error"]["mean"] for key, name in NAMES.items()}
    return {"drives": len(test), "frames": frames, "ece": rows["full"]["ece"], "rows": rows, **errors}


NAMES = {"error_raw": "raw labels", "error_window": "majority window (paper)", "error_full": "full"}


def as_labels(own: Votes) -> Any:
    """What the first expert says, as it is."""
    source = next(name for name in own.said if name != LABELER)
    return Labels({fact.name: own.labels(fact.name, source) for fact in FACTS}, {})


def clairvoyant(own: Votes, truth: Truths) -> Labels:
    """Fact by fact and frame by frame what is true, where any source says it, else what the first one says: what no
    choice among the sources can beat."""
    found = {}
    for fact in FACTS:
        named = [own.labels(fact.name, source) for source in own.said if fact.name in own.said[source]]
        slack = SPEED_SLACK if fact.slot == "speed" else 0
        told = named[0]
        for one in named:
            told = np.where((one != MISSING) & (np.abs(one - truth[fact.name]) <= slack), one, told)
        found[fact.name] = told
    return Labels(found, {})


def speed(pools: bool = False) -> float:
    """Frames smoothed in a second, all facts, over a drive of two hours; with the `pools` of gold drives, too."""
    made = long_drive(int(HOURS * 3600 * RATE_HZ))
    learnt = fusion.fit([long_drive(400)])
    if pools:
        weights = (0.9,) + (0.1,) * (2 * len(AROUND_S))
        learnt = {
            name: replace(model, pool=Pool((LABELER, "e"), weights, (0.0,) * len(FACT[name].values)))
            for name, model in learnt.items()
        }
    for model in learnt.values():
        model.posterior(made)  # compiled before the clock runs
    start = time.perf_counter()
    for model in learnt.values():
        model.posterior(made)
    return len(made.times) / (time.perf_counter() - start)


def long_drive(frames: int) -> Votes:
    rng = np.random.default_rng(0)
    said = {name: {f.name: rng.dirichlet(np.ones(len(f.values)), frames) for f in FACTS} for name in (LABELER, "e")}
    signals = {name: np.full(frames, np.nan) for name in voting.SIGNALS} | {"speed_mps": rng.uniform(0, 20, frames)}
    return Votes(
        "long", np.arange(frames), np.arange(frames) / RATE_HZ, signals, said, [""] * frames, [None] * frames,
        [{}] * frames, np.ones(frames, bool),
    )  # fmt: skip


class Silent:
    """A source that says the same of every frame: what is measured is the miner."""

    name, digest = LABELER, ""

    def say(self, images: Sequence[Any], given: Sequence[str], speeds: Sequence[float]) -> list[Said]:
        return [Said({f.name: [1.0] + [0.0] * (len(f.values) - 1) for f in FACTS})] * len(images)


def memory(share: float) -> float:
    """How much the peak of this process grows between the first tenth and the end of a drive of HOURS, in MiB."""
    import io

    from PIL import Image

    from pacenote.mining.quality import Quality

    rng = np.random.default_rng(0)
    pictures = []
    for _ in range(8):
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 255, (378, 672, 3), dtype=np.uint8)).save(buffer, "JPEG")
        pictures.append(buffer.getvalue())
    count = int(HOURS * 3600 * RATE_HZ * share)
    peaks: list[int] = []

    def read() -> Iterator[DriveFrame]:
        for k in range(count):
            if k in (count // 10, count - 1):
                peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
            yield DriveFrame(k, k / RATE_HZ, pictures[k % len(pictures)])

    times = np.arange(0, count / RATE_HZ, 0.05)
    drive = Drive("long", read, Signals(times, {"speed_mps": np.full(len(times), 10.0)}))
    quality = Quality()
    with tempfile.TemporaryDirectory() as folder:
        voting.record(
            drive, [Silent()], Path(folder) / "votes.jsonl",
            choose=lambda frame, image, v: quality.judge(image, frame.time_s, v),
        )  # fmt: skip
    scale = 1024 if sys.platform != "darwin" else 1024 * 1024
    say(f"{count} frames recorded")
    return (peaks[1] - peaks[0]) / scale


if __name__ == "__main__":
    raise SystemExit(main())
