"""What the experts see, scored at the level of the picture: the state of its light, and whether there are cones.

    python benchmarks/experts.py --json out.json [--quick] [--data DATASET] [--real FOLDER] [--experts SPEC ...]
    python benchmarks/experts.py --data DATASET --fit

A picture's light is the most confident one (times `own` where an expert tells it). Figures as in `pacenote.metrics`,
with the 95 % interval of F1 over drives or scenes; `auc` by kind of obstacle; ms is the median of one picture a call.
`--fit` prints the weights of the classical expert anew, with the F1 that five-fold cross-validation gives.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pacenote.advisory import LIGHT_STATES, OBSTACLES, Advisory, Light
from pacenote.data import Dataset, Sample
from pacenote.data.importer import import_labels
from pacenote.experts import Detection, Expert, open_expert
from pacenote.experts.classical import Regions, cones, lights, prepare
from pacenote.experts.detection import chance, iou, likely
from pacenote.metrics import score

FOLDS, RIDGE = 5, 2.0
SEEN = 0.45  # confidence from which a detection counts: what the classical expert reports at all


def advisory(detections: Sequence[Detection]) -> Advisory:
    """What the detections of a picture say of its light and its cones; the other slots are left unanswered."""
    seen = [one for one in detections if likely(one) >= SEEN]
    lit = [one for one in seen if one.kind == "traffic_light" and one.state in LIGHT_STATES]
    best = max(lit, key=likely, default=None)
    found = frozenset({"cone"} if any(one.kind == "cone" for one in seen) else ())
    return Advisory(None, Light(best.state if best else "none"), found, None)


def ranked(seen: Sequence[Sequence[Detection]], samples: Sequence[Sample]) -> dict[str, float]:
    """For each kind of obstacle the area under the curve: how often a picture with one gets a likelier detection of it
    than a picture without."""
    found = {}
    for kind in OBSTACLES:
        facts = [sample.truth.obstacles.get(kind) if sample.truth else None for sample in samples]
        p = [chance(own, kind) for own in seen]
        yes, no = (np.array([v for v, fact in zip(p, facts, strict=True) if fact is is_it]) for is_it in (True, False))
        if len(yes) and len(no):
            found[kind] = float(((yes[:, None] > no).mean() + (yes[:, None] == no).mean() / 2).item())
    return found


def measure(expert: Expert, samples: Sequence[Sample]) -> dict[str, Any]:
    """Figures of one expert on one set, of what it can see at all."""
    told, times, seen = [], [], []
    for sample in samples:
        picture = sample.image(0)
        start = time.perf_counter()
        seen.append(expert.detect([picture])[0])
        told.append(advisory(seen[-1]))
        times.append((time.perf_counter() - start) * 1000)
    held = score(told, [sample.truth for sample in samples], [sample.cluster for sample in samples])
    cone = held["per_kind"]["obstacles"]["cone"]
    light = {**held["light"], "ci": held["ci"]["light"]["f1"]}
    cone = {**cone, "ci": cone["ci"]["f1"]}
    ms = statistics.median(times)
    told_of = {"light": light} if "traffic_light" in expert.kinds else {}
    told_of |= {"cone": cone} if "cone" in expert.kinds else {}
    auc = {kind: value for kind, value in ranked(seen, samples).items() if kind in expert.kinds}
    return {**told_of, "confusion": held["confusion"], "ms": ms, "auc": auc, "digest": expert.digest}


def show(name: str, place: str, figures: dict[str, Any]) -> None:
    for slot, one in ((slot, figures[slot]) for slot in ("light", "cone") if slot in figures):
        shown = "  ".join("  -  " if one[key] is None else f"{one[key]:.3f}" for key in ("p", "r", "f1"))
        bounds = "" if one["ci"] is None else f"  [{one['ci'][0]:.3f}, {one['ci'][1]:.3f}]"
        print(f"{name:20} {place:12} {slot:6} {shown}{bounds}  n {one['n']:4}  {figures['ms']:7.1f} ms")
    if figures["auc"]:
        print(f"{'':33} auc    " + "  ".join(f"{kind} {value:.3f}" for kind, value in figures["auc"].items()))


def truths(seen: Regions, sample: Sample) -> np.ndarray:
    """(N,) 1 for regions that are a thing of their kind and state, 0 for others, NaN where that is not clear."""
    out = np.zeros(len(seen.boxes))
    things = [one for one in sample.evidence["objects"] if one["kind"] == seen.kind]
    for i, (box, state) in enumerate(zip(seen.boxes, seen.states, strict=True)):
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        for thing in things:
            x0, y0, x1, y1 = thing["box"]
            slack = max(1.0, 0.3 * (x1 - x0))
            inside = x0 - slack <= x <= x1 + slack and y0 - slack <= y <= y1 + slack
            if inside and (not state or state in thing["state"]):
                # a part of a cone is neither a cone nor none
                part = seen.kind == "cone" and iou(tuple(box), (x0, y0, x1, y1)) < 0.25
                out[i] = np.nan if part or not thing["stated"] else 1.0
                if out[i] == 1:
                    break
    return out


def fitted(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Logistic regression by Newton steps, with a ridge on the standardised measures; column 0 is constant one."""
    middle, spread = x[:, 1:].mean(0), x[:, 1:].std(0) + 1e-6
    z = np.c_[np.ones(len(x)), (x[:, 1:] - middle) / spread]
    ridge = np.diag([1e-6] + [RIDGE] * (z.shape[1] - 1))
    weights = np.zeros(z.shape[1])
    for _ in range(60):
        p = 1 / (1 + np.exp(-z @ weights))
        hessian = (z * (p * (1 - p))[:, None]).T @ z + ridge
        weights -= np.linalg.solve(hessian, z.T @ (p - y) + ridge @ weights)
    return np.r_[weights[0] - (weights[1:] * middle / spread).sum(), weights[1:] / spread]


def fit(samples: Sequence[Sample]) -> None:
    """Print the weights of both finders, and how well those of the other folds do on each fold's pictures."""
    for finder in (lights, cones):
        seen = [finder(prepare(sample.image(0))[0]) for sample in samples]
        y = np.concatenate([truths(one, sample) for one, sample in zip(seen, samples, strict=True)])
        x = np.concatenate([np.stack(list(one.measures.values()), 1) for one in seen])
        owner = np.concatenate([np.full(len(one.boxes), i) for i, one in enumerate(seen)])
        states = np.concatenate([np.array(one.states, dtype=object) for one in seen])
        clear, held_out = ~np.isnan(y), np.zeros(len(y))
        for fold in range(FOLDS):
            test = owner % FOLDS == fold
            held_out[test] = 1 / (1 + np.exp(-x[test] @ fitted(x[clear & ~test], y[clear & ~test])))
        kind = seen[0].kind
        for least in (0.2, 0.3, 0.4, 0.5, 0.6):
            told = []
            for i in range(len(samples)):
                mine = np.flatnonzero((owner == i) & (held_out >= least))
                mine = sorted(mine, key=lambda j: -held_out[j])
                told.append(advisory([Detection(kind, (0, 0, 1, 1), float(held_out[j]), states[j]) for j in mine]))
            held = score(told, [s.truth for s in samples], [s.cluster for s in samples], resamples=0)
            one = held["light"] if finder is lights else held["per_kind"]["obstacles"]["cone"]
            print(f"{kind:14} least {least:.1f}: held-out p {one['p']:.3f}  r {one['r']:.3f}  f1 {one['f1']:.3f}")
        weights = fitted(x[clear], y[clear])
        print({name: round(float(w), 2) for name, w in zip(seen[0].measures, weights, strict=True)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--quick", action="store_true", help="24 pictures a set")
    parser.add_argument("--data", help="a Dataset")
    parser.add_argument("--split", help="the Dataset's split; default: all")
    parser.add_argument("--real", type=Path, help="a folder of photos with labels.jsonl")
    parser.add_argument("--experts", nargs="+", default=["classical"], metavar="SPEC")
    parser.add_argument("--fit", action="store_true", help="fit the classical expert on --data and stop")
    args = parser.parse_args()
    sets: dict[str, Sequence[Sample]] = {}
    if args.data:
        sets["data"] = list(Dataset.open(args.data, split=args.split))
    if args.real:
        sets["real"] = import_labels(args.real)
    if not sets or (args.fit and "data" not in sets):
        parser.error("give --data DATASET or --real FOLDER (--fit: --data)")
    if args.fit:
        fit(sets["data"])
        return
    result: dict[str, Any] = {}
    print(f"{'expert':20} {'set':12} {'slot':6} {'P':5}  {'R':5}  F1")
    for spec in args.experts:
        expert = open_expert(spec)
        for place, samples in sets.items():
            step = max(1, len(samples) // 24) if args.quick else 1
            figures = measure(expert, [samples[i] for i in range(0, len(samples), step)])
            result.setdefault(spec, {})[place] = figures
            show(spec, place, figures)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
