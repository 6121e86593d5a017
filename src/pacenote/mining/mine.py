"""`pacenote mine`: drives -> votes -> posteriors -> a Dataset, one shard a drive.

Three steps, each resumable: every drive's frames are put to the sources (the costly step), what the sources are worth
is learnt from all votes at once, and every drive is labelled and written. Steps one and three run in processes or on
Ray, the same function for both.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.advisory import asked
from pacenote.data.card import Card
from pacenote.data.dataset import finish_dataset
from pacenote.data.sample import Picture, Sample
from pacenote.data.shards import Rejected, shard_name, write_shard
from pacenote.drives.drive import Drive, DriveRef
from pacenote.errors import InputError
from pacenote.mining import fusion as fusing
from pacenote.mining import votes as voting
from pacenote.mining.balance import Candidate, choose
from pacenote.mining.calibrate import calibrated, with_thresholds
from pacenote.mining.conflicts import implausible
from pacenote.mining.duplicates import Duplicates, signature, slots_key
from pacenote.mining.facts import fact_named
from pacenote.mining.fusion import FactModel
from pacenote.mining.labels import METHODS, Labels, Usual, label, sample_of, usual
from pacenote.mining.open import find, open_drive
from pacenote.mining.quality import Quality
from pacenote.mining.score import aligned, truths_of
from pacenote.mining.votes import Votes
from pacenote.work import RunDirectory, Shard, digest, read_json, run_shards, say, write_json

if TYPE_CHECKING:
    from PIL import Image

    from pacenote.drives.drive import DriveFrame
    from pacenote.mining.sources import Source

VOTES, FUSION, ASKING = "votes", "fusion.json", ".asking"
QUALITY = 92  # JPEG, where a drive holds no encoded pictures
MOTIONS = ("soft", "hard", "none")


@dataclass(frozen=True)
class Asking:
    """Who is asked about which frames. `labeler`: a model; with `endpoint` the name of a served one. `prompts`: a book,
    "" for the plain request. `experts`: see `experts.open_expert`. `rate_hz` None: every frame."""

    labeler: str = "starter-student"
    endpoint: str = ""
    engine: str = "exact"
    prompts: str = "default"
    experts: tuple[str, ...] = ("look:starter-teacher",)
    rate_hz: float | None = 4.0
    batch: int = 8
    select: bool = False


@dataclass(frozen=True)
class Labelling:
    """How votes become labels. `method` of `labels.METHODS`; `motion`: a soft source, the paper's hard correction, or
    none; `least`: certainty below which a slot gets weight 0; `keep`: at most so many frames; `dedup`: refuse frames
    that repeat another of their drive; `unknown`: facts (or kinds) of which no source is believed: they stay without
    a label, and nothing is concluded from them."""

    method: str = "full"
    motion: str = "soft"
    views: bool = True
    least: float = 0.0
    keep: int | None = None
    dedup: bool = True
    unknown: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "unknown", tuple(fact_named(word).name for word in self.unknown))
        for name, value, known in (("method", self.method, METHODS), ("motion", self.motion, MOTIONS)):
            if value not in known:
                raise InputError(f"{name} '{value}' is not one of {', '.join(known)}")


@dataclass(frozen=True)
class Mined:
    """What a report shows. `drives`: (votes, labels) by drive."""

    card: dict[str, Any]
    out: Path
    drives: list[tuple[Votes, Labels]]
    fusion: dict[str, FactModel]


def mine(
    paths: Sequence[Path], out: Path, asking: Asking = Asking(), labelling: Labelling = Labelling(), *,
    gold: Sequence[tuple[Path, str]] = (), fusion: Path | None = None, votes: Path | None = None,
    lent: Path | None = None, split: str = "", workers: int = 1, ray: str | None = None,
) -> Mined:  # fmt: skip
    """Mine the drives at `paths` into the Dataset `out`.

    `gold`: (Dataset of drives with truth, its split), on which posteriors are calibrated. `fusion`: what an earlier
    mining learnt, in place of learning. `votes`: where they are kept, for other minings of the same drives to find them
    (OUT/votes); `lent`: those of another labeler and the same experts, who are not asked again. `split`: of Datasets
    among `paths`. The same call resumes. Raises InputError where no drive can be read; one bad drive of several is
    passed over and told.
    """
    refs = [ref for path in paths for ref in find(path, split)]
    held = [(ref, path, part) for path, part in gold for ref in find(path, part)]
    _check_names([*refs, *(ref for ref, *_ in held)])
    key = {
        "asking": asdict(asking), "labelling": asdict(labelling), "gold": [ref for ref, *_ in held],
        "drives": refs, "fusion": digest(read_json(fusion)) if fusion else None,
    }  # fmt: skip
    RunDirectory.open(out, "mine", key, seed=labelling.seed)
    kept = votes or out / VOTES
    told = ask([*refs, *(ref for ref, *_ in held)], kept, asking, lent=lent, workers=workers, ray=ray)
    told = {name: votes.without(labelling.unknown) for name, votes in told.items()}
    drives = [told[ref.name] for ref in refs if ref.name in told]
    if not drives:
        raise InputError(f"{paths[0]}: no drive of {len(refs)} could be used; see the lines above")
    learnt = _learn(drives, labelling, fusion)
    if held and fusion is None:
        truths = {part: truths_of(path, part) for _, path, part in held}
        known = [(told[r.name], aligned(told[r.name], truths[p][r.name])) for r, _, p in held if r.name in told]
        learnt = with_thresholds(calibrated(learnt, known, fusing.fit_without(drives, **_how(labelling))), drives)
    write_json(out / FUSION, {name: model.to_dict() for name, model in learnt.items()})
    labels = [label(one, learnt, labelling.method, hard=labelling.motion == "hard") for one in drives]
    for line in implausible(labels):
        say(line)
    made = {"labeler": asking.labeler, "experts": list(asking.experts), "prompts": asking.prompts, **asdict(labelling)}
    chosen = _choose(drives, labels, labelling)
    means = usual(labels)
    meant = digest([model.to_dict() for model in learnt.values()])
    used = [ref for ref in refs if ref.name in told]
    shards = [
        Shard(
            shard_name("train", k, len(used)),
            _Order(ref, out, kept, labelling, chosen.get(ref.name), made, means, meant),
        )
        for k, ref in enumerate(used)
    ]
    run_shards(write_drive, shards, out, workers=workers, ray=ray, label="write drives")
    card = Card(
        name=out.name, recipe=digest(key), seed=labelling.seed, licence=_licences(used),
        description="Mined from drives; labels by a labeler, experts and the car's own motion.",
        notes={"mining": made, "calibrated": bool(held) or fusion is not None},
    )  # fmt: skip
    return Mined(finish_dataset(out, card), out, list(zip(drives, labels, strict=True)), learnt)


def _check_names(refs: Sequence[DriveRef]) -> None:
    names = [ref.name for ref in refs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"two drives are called {twice[0]}; rename one, or mine them apart")


def _learn(drives: Sequence[Votes], labelling: Labelling, given: Path | None) -> dict[str, FactModel]:
    if given is not None:
        return {name: FactModel.from_dict(held) for name, held in read_json(given).items()}
    return fusing.fit(drives, **_how(labelling))


def _how(labelling: Labelling) -> dict[str, bool]:
    return {"use_motion": labelling.motion == "soft", "views": labelling.views}


def _choose(drives: Sequence[Votes], labels: Sequence[Labels], labelling: Labelling) -> dict[str, tuple[int, ...]]:
    """Drive -> the frames to keep, where not all are."""
    if labelling.keep is None:
        return {}
    blank = Picture(b"")
    places, candidates = [], []
    for votes, own in zip(drives, labels, strict=True):
        for t in voting.asked_frames(votes):
            sample = _sample(own, votes, t, blank, labelling, {}, {})
            places.append((votes.drive, int(votes.frames[t])))
            candidates.append(Candidate.of(sample))
    kept: dict[str, list[int]] = {votes.drive: [] for votes in drives}
    for index in choose(candidates, labelling.keep, seed=labelling.seed):
        kept[places[index][0]].append(places[index][1])
    return {drive: tuple(frames) for drive, frames in kept.items()}


def _licences(refs: Sequence[DriveRef]) -> str:
    return ", ".join(sorted({open_drive(frames_only(ref)).licence for ref in refs[:50]} - {""}))


def frames_only(ref: DriveRef) -> DriveRef:
    """`ref` for those who want no signals: the offset of their clock, which takes a pass over the pictures, is left."""
    return replace(ref, options={**ref.options, "offset": "none"})


# --- step one: votes -------------------------------------------------------------------------------------------------


def ask(
    refs: Sequence[DriveRef], folder: Path, asking: Asking, *,
    lent: Path | None = None, workers: int = 1, ray: str | None = None,
) -> dict[str, Votes]:  # fmt: skip
    """The votes on every drive, by name, kept in `folder`; a drive that cannot be used is left out and told. `lent`:
    votes of another labeler, from which experts' are taken."""
    shards = [Shard(f"{_file_name(ref.name)}.jsonl", (ref, asking, lent)) for ref in refs]
    results = run_shards(ask_drive, shards, folder, workers=workers, ray=ray, label="ask about drives")
    found = {}
    for ref, result in zip(refs, results, strict=True):
        why = result.stats.get("refused_drive")
        try:
            if why is None:
                found[ref.name] = voting.read(result.path, ref.name, result.stats.get("notes", ()))
        except InputError as error:
            why = str(error)
        if why is not None:
            say(f"passed over {why}")
    return found


def ask_drive(shard: Shard, partial: Path) -> dict[str, Any]:
    """Put one drive's frames to the sources; what was asked before a kill is not asked again."""
    ref, asking, lent = shard.payload
    started = partial.parent.parent / ASKING / shard.name  # beside the folder of partial files, which a stop empties
    started.parent.mkdir(exist_ok=True)
    try:
        drive = open_drive(ref)
        quality = Quality()

        def look(frame: DriveFrame, image: Image.Image, speed: float) -> str | None:
            return quality.judge(image, frame.time_s, speed)

        counts = voting.record(
            drive, sources(asking), started, rate_hz=asking.rate_hz, batch=asking.batch, choose=look,
            select=asking.select, lent=lent and lent / shard.name,
        )  # fmt: skip
    except InputError as error:  # one bad drive of many costs itself alone
        partial.write_text("")
        return {"refused_drive": str(error)}
    shutil.copyfile(started, partial)
    started.unlink()
    return counts | {"notes": list(drive.notes)}


@functools.lru_cache(maxsize=1)
def sources(asking: Asking) -> tuple[Source, ...]:
    """Labeler and experts, loaded once a process."""
    from pacenote.experts import open_expert
    from pacenote.mining.sources import ExpertSource, ModelLabeler, ServedLabeler

    found: list[Source] = []
    if asking.endpoint:
        from pacenote.models.endpoint import Endpoint

        first = open_expert(asking.experts[0]) if asking.experts else None
        found.append(ServedLabeler(Endpoint(asking.endpoint, asking.labeler), asking.prompts or "original", first))
    else:
        from pacenote.models import load

        found.append(ModelLabeler(load(asking.labeler), engine=asking.engine, prompts=asking.prompts))
    for number, spec in enumerate(asking.experts, 1):
        found.append(ExpertSource(open_expert(spec), f"expert {number}: {spec}"))
    return tuple(found)


def _file_name(drive: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in drive).lstrip(".")


# --- step three: a shard a drive -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Order:
    ref: DriveRef
    out: Path
    votes: Path
    labelling: Labelling
    keep: tuple[int, ...] | None
    made: Mapping[str, Any]
    usual: Usual
    fusion: str  # digest of what was learnt: shards of another fusion are not taken for finished


def write_drive(shard: Shard, partial: Path) -> dict[str, Any]:
    """Label one drive and write its frames; those that are refused go along with their reason."""
    order: _Order = shard.payload
    votes = voting.read(order.votes / f"{_file_name(order.ref.name)}.jsonl", order.ref.name)
    votes = votes.without(order.labelling.unknown)
    learnt = {name: FactModel.from_dict(held) for name, held in read_json(order.out / FUSION).items()}
    labels = label(votes, learnt, order.labelling.method, hard=order.labelling.motion == "hard")
    rejected = [Rejected(f"{votes.drive}-{frame:06d}", why, "mined") for frame, why in votes.refused.items()]
    samples = _samples(order, votes, labels, rejected)
    with partial.open("wb") as file:
        return dict(write_shard(samples, file, rejected))


def _samples(order: _Order, votes: Votes, labels: Labels, rejected: list[Rejected]) -> Iterator[Sample]:
    """The drive's Samples, read as a stream; what is refused on the way is added to `rejected`."""
    place = {int(frame): t for t, frame in enumerate(votes.frames)}
    keep = None if order.keep is None else set(order.keep)
    twins = Duplicates()
    drive = open_drive(frames_only(order.ref))
    for frame in drive.read():
        t = place.get(frame.index)
        if t is None:
            continue
        name = f"{votes.drive}-{frame.index:06d}"
        if not votes.asked[t]:
            rejected.append(Rejected(name, "no expert sees anything in it that an advisory names", "mined"))
            continue
        if keep is not None and frame.index not in keep:
            rejected.append(Rejected(name, "others of its kind were kept (--keep)", "mined"))
            continue
        image = frame.image()
        picture = Picture(frame.encoded, name) if frame.encoded else Picture.encode(image, name, quality=QUALITY)
        sample = _sample(labels, votes, t, picture, order.labelling, order.made, order.usual, drive, frame.given)
        why = twins.add(name, signature(image), slots_key(sample.truth)) if order.labelling.dedup else None
        if why:
            rejected.append(Rejected(name, why, "mined"))
            continue
        yield sample


def _sample(
    labels: Labels, votes: Votes, t: int, picture: Picture, labelling: Labelling, made: Mapping[str, Any],
    usual: Usual, drive: Drive | None = None, given: str = "",
) -> Sample:  # fmt: skip
    return sample_of(
        labels, votes, t, picture, name=f"{votes.drive}-{int(votes.frames[t]):06d}",
        question=asked(given), usual=usual, least=labelling.least,
        camera=drive.camera if drive else "CAM_FRONT", licence=drive.licence if drive else "", made=made,
    )  # fmt: skip
