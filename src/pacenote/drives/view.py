"""A Drive as one HTML page: what it holds, its signals over time, and a contact sheet."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pacenote.drives.drive import MAX_GAP_S, Drive, DriveFrame, Floats
from pacenote.work import Page, progress

if TYPE_CHECKING:
    from PIL import Image

THUMBNAIL = 480  # pixels wide: sharp in a grid on a dense screen
PLOTS = {  # signal -> title, factor from SI
    "speed_mps": ("speed, km/h", 3.6),
    "accel_mps2": ("acceleration, m/s²", 1.0),
    "yaw_rate": ("yaw rate, °/s (left is positive)", 180 / math.pi),
}
WORDS = {
    "speed_mps": "speed", "accel_mps2": "acceleration", "yaw_rate": "yaw rate", "x_m": "position", "y_m": "",
    "lux": "light outside", "wipers": "wipers",
}  # fmt: skip


@dataclass
class Sheet:
    """What one pass over the frames keeps: the stamps, and each `stride`-th frame as a thumbnail; the stride doubles
    when there are too many."""

    count: int
    stride: int = 1
    shown: list[tuple[float, Image.Image]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    size: tuple[int, int] = (0, 0)

    def add(self, frame: DriveFrame) -> None:
        if len(self.times) % self.stride == 0:
            image = frame.image()
            self.size = image.size
            image.thumbnail((THUMBNAIL, THUMBNAIL))
            self.shown.append((frame.time_s, image))
            if len(self.shown) >= 2 * self.count:
                self.shown = self.shown[::2]
                self.stride *= 2
        self.times.append(frame.time_s)

    def chosen(self) -> list[tuple[float, Image.Image]]:
        """At most `count` thumbnails, evenly over the drive."""
        places = np.linspace(0, len(self.shown) - 1, min(self.count, len(self.shown))).round().astype(int)
        return [self.shown[place] for place in places]


def view_drive(drive: Drive, out: str | Path, count: int = 24) -> int:
    """Write the page `out` with up to `count` thumbnails; returns how many frames the drive has.

    Raises InputError for a frame that is no picture.
    """
    sheet = Sheet(max(count, 1))
    for frame in progress(drive.read(), "reading frames"):
        sheet.add(frame)
    page = Page(drive.id)
    page.table(["", ""], _facts(drive, sheet))
    if drive.notes:
        page.heading("Notes")
        for note in drive.notes:
            page.paragraph(note)
    if plot := _plot(drive, sheet.times):
        page.heading("Signals").figure(plot, "On the frames' clock. A break in a line is a hole: nothing was measured.")
    page.heading("Frames").gallery((image, _caption(drive, time_s)) for time_s, image in sheet.chosen())
    page.save(out)
    return len(sheet.times)


def _facts(drive: Drive, sheet: Sheet) -> list[tuple[str, str]]:
    steps = np.diff(sheet.times)
    length = sheet.times[-1] - sheet.times[0]
    known = [WORDS[name] for name in drive.signals.values if WORDS[name] and _known(drive, name).any()]
    covered = np.isfinite(drive.signals.at("speed_mps", sheet.times)).mean()
    facts = [
        ("camera", drive.camera),
        ("frames", f"{len(sheet.times)} of {sheet.size[0]}×{sheet.size[1]} pixels"),
        ("duration", f"{int(length // 60)} min {length % 60:.1f} s"),
        ("rate", f"{1 / np.median(steps):.1f} frames/s; longest gap {steps.max():.2f} s" if len(steps) else "–"),
        ("began", _moment(drive.began)),
        ("signals", ", ".join(known) or "none"),
        ("speed known", f"for {covered:.0%} of the frames"),
        ("clock offset", _offset(drive)),
        ("source", " · ".join(part for part in (drive.source, drive.licence) if part)),
    ]
    return [(name, value) for name, value in facts if value]


def _moment(began: float | None) -> str:
    return "" if began is None else f"{datetime.fromtimestamp(began, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _offset(drive: Drive) -> str:
    if not len(drive.signals.time_s):
        return ""
    if math.isinf(drive.offset.sd_s):
        return "not known"
    return f"{drive.offset.s:+.2f} ± {drive.offset.sd_s:.2f} s" if drive.offset.sd_s else f"{drive.offset.s:+.2f} s"


def _known(drive: Drive, name: str) -> Any:
    return np.isfinite(drive.signals.values.get(name, np.empty(0)))


def _caption(drive: Drive, time_s: float) -> str:
    speed = float(drive.signals.at("speed_mps", time_s)[0])
    told = "" if math.isnan(speed) else f" · {3.6 * speed:.0f} km/h"
    return f"{int(time_s // 60)}:{time_s % 60:04.1f}{told}"


def _plot(drive: Drive, times: list[float]) -> Any:
    """The known signals of PLOTS, one above the other, within the frames' span; None where there is none."""
    names = [name for name in PLOTS if _known(drive, name).any()]
    if not names:
        return None
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 1.9 * len(names) + 0.4), layout="constrained")
    axes = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    for axis, name in zip(axes, names, strict=True):
        title, factor = PLOTS[name]
        when, what = _line(drive, name, times)
        axis.plot(when, factor * what, color="#2f6fdb", linewidth=1.3)
        axis.set_title(title, loc="left", fontsize=10)
        axis.set_xlim(times[0], times[-1])
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel("time, s")
    return figure


def _line(drive: Drive, name: str, times: list[float]) -> tuple[Floats, Floats]:
    """The points of a signal about the frames' span, with a NaN in each hole so that the line breaks there."""
    near = (drive.signals.time_s >= times[0] - MAX_GAP_S) & (drive.signals.time_s <= times[-1] + MAX_GAP_S)
    known = _known(drive, name) & near
    when, what = drive.signals.time_s[known], drive.signals.values[name][known]
    holes = np.flatnonzero(np.diff(when) > MAX_GAP_S) + 1
    return np.insert(when, holes, when[holes]), np.insert(what, holes, np.nan)
