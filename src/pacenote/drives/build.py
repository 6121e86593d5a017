"""A Drive from what a reader found: stamps mended, signals merged and put on the frames' clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pacenote.drives.csv_signals import EPOCH_S
from pacenote.drives.drive import Drive, DriveFrame, DriveRef, Offset, Signals
from pacenote.drives.mend import mend_frames, mend_series
from pacenote.drives.series import Series, merge, shifted
from pacenote.errors import InputError

SHARP_S = 0.15  # an estimated offset that is less certain than this is told, not applied


@dataclass(frozen=True)
class Recording:
    """What a reader found.

    `times`: the stamp of each frame in s, in the order in which `read` gives the frames, which carry the same stamps;
    on one clock with `series`, up to the clocks' offset. `offset`: what is known of that, and accounted for already;
    None where it is to be estimated. `began`: when that clock was 0, in s since 1970, where it does not count from
    there itself.
    """

    times: Sequence[float]
    read: Callable[[], Iterator[DriveFrame]]
    series: Sequence[Series]
    offset: Offset | None = None
    began: float | None = None
    camera: str = "CAM_FRONT"
    licence: str = ""
    source: str = ""
    notes: list[str] = field(default_factory=list)


def build_drive(ref: DriveRef, recording: Recording, zero_s: float | None = None) -> Drive:
    """The Drive of `ref`; its clock starts with the first frame that is kept, or at `zero_s` of the recording's.

    Option `offset` of the reference: "estimate" (the default), "none", or seconds. Raises InputError for a recording
    without two moments.
    """
    place = f"{ref.path} ({ref.name})" if ref.name not in str(ref.path) else str(ref.path)
    notes = list(recording.notes)
    keep = mend_frames(place, recording.times, notes)
    start = float(recording.times[int(np.argmax(keep))]) if zero_s is None else zero_s
    stamps = np.asarray(recording.times, dtype=np.float64)
    refused = frozenset(stamps[~keep].tolist()) - frozenset(stamps[keep].tolist())

    def read() -> Iterator[DriveFrame]:
        index, last = 0, -math.inf
        for frame in recording.read():
            if last < frame.time_s and frame.time_s not in refused:
                last = frame.time_s
                yield replace(frame, index=index, time_s=frame.time_s - start)
                index += 1

    series = mend_series(shifted(recording.series, -start), notes)
    _note_overlap(float(stamps[keep][-1]) - start, series, notes)
    offset = _offset(ref, read, merge(series), recording.offset, notes)
    applied = offset.s if offset is not recording.offset and offset.sd_s < SHARP_S else 0.0
    signals = merge(shifted(series, -applied))
    began = recording.began if recording.began is not None else 0.0 if start >= EPOCH_S else None
    began = None if began is None else began + start
    return Drive(
        ref.name, read, signals, recording.camera, offset, recording.licence, recording.source, tuple(notes), began
    )  # fmt: skip


def _note_overlap(end: float, series: Sequence[Series], notes: list[str]) -> None:
    """A note where no signal lies within the frames' time: then their clocks do not start in the same place."""
    known = [one for one in series if len(one.time_s)]
    if known and not any(((one.time_s >= 0) & (one.time_s <= end)).any() for one in known):
        first = min(float(one.time_s[0]) for one in known)
        notes.append(f"signals: none within the frames' time, they start {first:+.0f} s from it; check the clocks")


def _offset(
    ref: DriveRef,
    read: Callable[[], Iterator[DriveFrame]],
    signals: Signals,
    known: Offset | None,
    notes: list[str],
) -> Offset:
    from pacenote.drives.offset import estimate_offset

    wish = ref.options.get("offset", "estimate" if known is None else "none")
    if wish not in ("none", "estimate"):
        try:
            given = float(wish)
        except ValueError:
            raise InputError(f"{ref.path}: offset '{wish}' is unknown; give estimate, none or seconds") from None
        notes.append(f"offset: {given:+.2f} s as given")
        return Offset(given)
    if not len(signals.time_s):
        return Offset()
    if wish == "none":
        return known or Offset(0.0, math.inf)
    offset, why = estimate_offset(read(), signals)
    if why:
        notes.append(f"offset: {why}; the clocks are taken as they are")
    elif offset.sd_s < SHARP_S:
        notes.append(f"offset: the signals' clock runs {offset.s:+.2f} ± {offset.sd_s:.2f} s later; corrected")
    else:
        notes.append(f"offset: {offset.s:+.2f} ± {offset.sd_s:.2f} s is too vague to be applied; taken as they are")
    return offset
