"""What was said of a drive's frames: made once, kept as a file, read as arrays."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
import numpy.typing as npt

from pacenote.advisory import Light, stated_limit
from pacenote.errors import InputError
from pacenote.mining.facts import FACT
from pacenote.mining.window import MISSING

if TYPE_CHECKING:
    from PIL import Image

    from pacenote.drives.drive import Drive, DriveFrame
    from pacenote.mining.sources import Said, Source

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
SIGNALS = ("speed_mps", "accel_mps2", "yaw_rate", "lux", "wipers")
WIPING_S = 30.0  # over which wipers are averaged: they stand still between two strokes
DIGITS = 4  # of a stored probability
LABELER = "labeler"
VIEWS = ("fair", "night", "wet")
WET = ("rain", "fog", "snow")
MATTERS = 0.1  # probability from which what an expert sees is worth the labeler's look
EVERY_S = 1.0  # and one frame in so many seconds, whatever is on it: a set of positives teaches no "none"


@dataclass(frozen=True)
class Votes:
    """One drive. `times` (T,) s; `signals` name -> (T,), NaN where unknown; `said` source -> fact -> (T, values), rows
    of NaN where it did not speak; `lights`, `texts` of the labeler; `seen` conditions; `frames` (T,) their indices in
    the drive; `asked` (T,) whether the labeler was asked; `refused` index of a frame -> why nobody was; `limits` (T,)
    km/h that a map or the like states beside the picture, NaN where nothing does."""

    drive: str
    frames: Ints
    times: Floats
    signals: dict[str, Floats]
    said: dict[str, dict[str, Floats]]
    texts: list[str]
    lights: list[Light | None]
    seen: list[dict[str, str]]
    asked: npt.NDArray[np.bool_]
    refused: dict[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    limits: Floats | None = None

    @property
    def seconds(self) -> Floats:
        """(T - 1,) between frames."""
        return np.diff(self.times)

    @property
    def metres(self) -> Floats:
        """(T - 1,) driven between frames; 0 where the speed is not known, so that only seconds count."""
        speed = np.nan_to_num(self.signals["speed_mps"])
        return np.asarray((speed[1:] + speed[:-1]) / 2 * self.seconds)

    @cached_property
    def views(self) -> npt.NDArray[np.str_]:
        """(T,) of VIEWS: what makes sources err differently."""
        wet = np.isin([one.get("weather", "") for one in self.seen], WET)
        night = np.array([one.get("time") == "night" for one in self.seen], bool)
        return np.select([night, wet], ["night", "wet"], "fair")

    def without(self, facts: Collection[str]) -> Votes:
        """The same, with nothing said of `facts`."""
        if not facts:
            return self
        said = {name: {fact: p for fact, p in own.items() if fact not in facts} for name, own in self.said.items()}
        return replace(self, said=said)

    def but(self, *sources: str) -> Votes:
        """The same, without what `sources` said."""
        return replace(self, said={name: own for name, own in self.said.items() if name not in sources})

    def labels(self, fact: str, source: str) -> Ints:
        """(T,) the likeliest class of a fact as a source says it, MISSING where it said nothing."""
        p = self.said.get(source, {}).get(fact)
        if p is None:
            return np.full(len(self.times), MISSING)
        silent = np.asarray(np.isnan(p).any(axis=1))
        return np.where(silent, MISSING, np.where(silent[:, None], 0, p).argmax(1))


Choose = Callable[["DriveFrame", "Image.Image", float], str | None]


def record(
    drive: Drive, sources: Sequence[Source], file: Path, *, rate_hz: float | None = None, batch: int = 8,
    choose: Choose | None = None, select: bool = False, lent: Path | None = None,
) -> dict[str, int]:  # fmt: skip
    """Ask `sources` about a drive's frames and write `file`, a line a frame; what an earlier call has written stays.

    `lent`: the votes of an earlier mining of the drive, whose experts are not asked again: only the labeler is new.
    `choose(frame, image, speed)` says why a frame is not worth asking about; one whose picture cannot be read is
    refused likewise. `select`: the labeler is asked only where an expert sees something (see `matters`). Memory is that
    of one batch. Returns counts of frames, refused ones and those that the labeler was asked about now.
    """
    known = _written(file)
    counts = {"frames": 0, "refused": 0, "asked": 0}
    waiting: list[Waiting] = []
    experts = [source for source in sources if source.name != LABELER]
    labelers = [source for source in sources if source.name == LABELER]
    before = _lent(lent) if lent and lent.is_file() else {}
    due = -math.inf

    def ask(out: TextIO) -> None:
        nonlocal due
        told = _tell(experts, waiting, before)
        chosen = []
        for k, (frame, *_) in enumerate(waiting):
            if not select or frame.time_s >= due or any(matters(own[k]) for own in told.values()):
                chosen.append(k)
                due = frame.time_s + EVERY_S
        labelled = _say(labelers, [waiting[k] for k in chosen])
        place = {k: number for number, k in enumerate(chosen)}
        for k, (frame, _, signals) in enumerate(waiting):
            said = {name: own[place[k]] for name, own in labelled.items() if k in place}
            said |= {name: own[k] for name, own in told.items()}
            out.write(json.dumps(_row(frame, signals, said, k in place), allow_nan=False) + "\n")
        out.flush()
        counts["asked"] += len(chosen)
        waiting.clear()

    with file.open("a", encoding="utf-8") as out:
        for frame in drive.frames(rate_hz):
            counts["frames"] += 1
            signals = _signals(drive, frame.time_s)
            try:
                image = frame.image()
                why = choose(frame, image, signals["speed_mps"]) if choose else None
            except InputError as error:
                why = str(error)
            counts["refused"] += why is not None
            if frame.index in known:
                continue
            if why is not None:
                out.write(json.dumps({"frame": frame.index, "t": frame.time_s, "refused": why}) + "\n")
                continue
            waiting.append((frame, image, signals))
            if len(waiting) >= batch:
                ask(out)
        if waiting:
            ask(out)
    if not counts["frames"]:
        raise InputError(f"{drive.source or drive.id}: the drive has no frames; record it again")
    return counts


def matters(said: Said) -> bool:
    """Whether an expert sees anything that an advisory would name."""
    for name, p in said.facts.items():
        there = 1 - p[0] if name == "light" else p[1] if FACT[name].kind else 0.0
        if there >= MATTERS:
            return True
    return False


Waiting = tuple["DriveFrame", "Image.Image", dict[str, float]]  # a frame, its picture, its signals


def _say(sources: Sequence[Source], frames: Sequence[Waiting]) -> dict[str, list[Said]]:
    if not frames:
        return {}
    images, speeds = [image for _, image, _ in frames], [signals["speed_mps"] for *_, signals in frames]
    given = [frame.given for frame, *_ in frames]
    return {source.name: source.say(images, given, speeds) for source in sources}


def _tell(
    experts: Sequence[Source], frames: Sequence[Waiting], before: Mapping[str, Mapping[int, Said]]
) -> dict[str, list[Said]]:
    """What each expert says of `frames`, asked only where `before` does not hold it."""
    found = {}
    for expert in experts:
        held = before.get(expert.name, {})
        fresh = [one for one in frames if one[0].index not in held]
        new = zip([frame.index for frame, *_ in fresh], _say([expert], fresh).get(expert.name, []), strict=True)
        known = {**held, **dict(new)}
        found[expert.name] = [known[frame.index] for frame, *_ in frames]
    return found


def _lent(file: Path) -> dict[str, dict[int, Said]]:
    """Source -> frame -> what it said there, as `file` has it; weather, time and road class as it saw them."""
    from pacenote.mining.sources import Said, conditions

    found: dict[str, dict[int, Said]] = {}
    for row in _rows(file):
        for name, facts in row.get("said", {}).items():
            found.setdefault(name, {})[row["frame"]] = Said(facts, seen=conditions(facts))
    return found


def _signals(drive: Drive, time_s: float) -> dict[str, float]:
    found = {name: float(drive.signals.at(name, [time_s])[0]) for name in SIGNALS if name != "wipers"}
    wiped = drive.signals.at("wipers", time_s - np.arange(0.0, WIPING_S))
    known = wiped[np.isfinite(wiped)]
    return found | {"wipers": float(known.mean()) if len(known) else math.nan}


def _row(frame: DriveFrame, signals: dict[str, float], said: dict[str, Said], asked: bool) -> dict[str, Any]:
    sources = {
        name: {fact: [round(float(p), DIGITS) for p in values] for fact, values in one.facts.items()}
        for name, one in said.items()
    }
    first = next((one for one in said.values() if one.text), None)
    light = first.light.to_dict() if first and first.light else None
    seen: dict[str, str] = {}
    for one in said.values():  # the labeler is the first: experts see better
        seen = {**seen, **one.seen}
    return {
        "frame": frame.index, "t": frame.time_s,
        "signals": {name: None if math.isnan(value) else value for name, value in signals.items()},
        "said": sources, "text": first.text if first else "", "light": light, "seen": seen,
        "prompt": first.prompt if first else "", "asked": asked, "given": frame.given,
    }  # fmt: skip


def _written(file: Path) -> set[int]:
    """The frames that `file` holds; a last line that a kill has cut is taken away."""
    if not file.is_file():
        return set()
    lines = file.read_bytes()
    whole = lines[: lines.rfind(b"\n") + 1]
    if len(whole) < len(lines):
        file.write_bytes(whole)
    return {json.loads(line)["frame"] for line in whole.splitlines()}


def read(file: Path, drive: str, notes: Sequence[str] = ()) -> Votes:
    """The votes of a drive. Raises InputError for a broken file and where no frame was worth asking about."""
    rows = sorted(_rows(file), key=lambda row: row["t"])
    refused = {row["frame"]: row["refused"] for row in rows if "refused" in row}
    rows = [row for row in rows if "refused" not in row]
    if not rows:
        why = max(refused.values(), key=list(refused.values()).count) if refused else "it has no frames"
        raise InputError(f"{drive}: none of its frames can be used ({why}); look at the recording")
    said: dict[str, dict[str, Floats]] = {}
    for name in sorted({name for row in rows for name in row["said"]}):
        said[name] = {}
        for fact in sorted({fact for row in rows for fact in row["said"].get(name, {})}):
            silent = [math.nan] * len(FACT[fact].values)
            said[name][fact] = np.array([row["said"].get(name, {}).get(fact, silent) for row in rows])
    signals = {
        name: np.array([math.nan if (v := row["signals"][name]) is None else v for row in rows]) for name in SIGNALS
    }
    return Votes(
        drive,
        np.array([row["frame"] for row in rows], dtype=np.int64),
        np.array([row["t"] for row in rows]),
        signals,
        said,
        [row["text"] for row in rows],
        [Light.from_dict(row["light"]) if row["light"] else None for row in rows],
        [row["seen"] for row in rows],
        np.array([row["asked"] for row in rows]),
        refused,
        tuple(notes),
        np.array([math.nan if (limit := stated_limit(row.get("given", ""))) is None else limit for row in rows]),
    )


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield json.loads(line)
            except ValueError:
                raise InputError(f"{file}: line {number} is no JSON; delete the file and mine again") from None


def asked_frames(votes: Votes) -> list[int]:
    """The numbers in `votes` of the frames that the labeler was asked about."""
    return [int(t) for t in np.flatnonzero(votes.asked)]
