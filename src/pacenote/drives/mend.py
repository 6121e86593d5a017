"""What is wrong with a recorded drive: found, mended where the data says how, and noted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from pacenote.drives.drive import MAX_GAP_S, Floats
from pacenote.drives.geo import speed_of_positions
from pacenote.drives.series import Series, dropped, longest_rise, tidy
from pacenote.errors import InputError

# A column's true unit may be another than the one that it claims: what its numbers, taken as m/s, are to be
# multiplied with. The second and third undo a conversion of numbers that were m/s already.
UNITS = {"km/h": 1 / 3.6, "mph": 0.44704, "m/s, not km/h": 3.6, "m/s, not mph": 1 / 0.44704}
FASTEST_MPS = 70.0  # 250 km/h
HARDEST_MPS2 = 12.0  # full braking on a dry road is about 10
NEAR = 0.15  # share by which two speeds may differ and still be called one
MOVING_MPS = 2.0


def mend_frames(place: str, times: npt.ArrayLike, notes: list[str]) -> npt.NDArray[np.bool_]:
    """Which of the frames, given their stamps (N,) in s in the order of the file, to keep.

    Notes what is left out and where frames are missing. InputError where fewer than two moments are left.
    """
    stamps = np.asarray(times, dtype=np.float64)
    keep = longest_rise(stamps)
    if keep.sum() < 2:
        raise InputError(f"{place}: {int(keep.sum())} usable frame(s): a drive needs two moments; check the recording")
    notes += dropped(stamps, keep, "frames")
    steps = np.diff(stamps[keep])
    usual = float(np.median(steps))
    holes = steps[steps > max(MAX_GAP_S, 5 * usual)]
    if len(holes):
        notes.append(f"frames: {len(holes)} gap(s), the longest {holes.max():.1f} s")
    if float(np.percentile(steps, 95)) > 1.5 * float(np.percentile(steps, 5)):
        notes.append(f"frames: the rate varies, {1 / usual:.1f} a second at the middle; the stamps are used")
    return keep


def mend_series(series: Sequence[Series], notes: list[str]) -> list[Series]:
    """The series tidied, the speed in its likeliest unit, and speed from positions where none was measured."""
    tidied = [one for one in (tidy(one, notes) for one in series) if len(one.time_s)]
    for one in {one.name: one for one in reversed(tidied)}.values():
        holes = np.diff(one.time_s)
        holes = holes[holes > MAX_GAP_S]
        if len(holes):
            notes.append(f"{one.name}: {len(holes)} gap(s), the longest {holes.max():.1f} s")
    by_name = {one.name: one for one in reversed(tidied)}
    driven = _driven(by_name)
    speed = by_name.get("speed_mps")
    if speed is None and driven is not None:
        notes.append("speed follows from the positions: none was recorded")
        return [*tidied, driven]
    if speed is None:
        notes.append("no speed: neither speeds nor positions were recorded")
        return tidied
    mended = mend_unit(speed, driven, by_name.get("accel_mps2"), notes)
    return [mended if one is speed else one for one in tidied]


def _driven(by_name: dict[str, Series]) -> Series | None:
    """Speed from positions, or None where there are none."""
    x, y = by_name.get("x_m"), by_name.get("y_m")
    if x is None or y is None:
        return None
    both, of_x, of_y = np.intersect1d(x.time_s, y.time_s, return_indices=True)
    times, speeds = speed_of_positions(both, x.value[of_x], y.value[of_y])
    return Series("speed_mps", times, speeds, "positions") if len(times) else None


def mend_unit(speed: Series, driven: Series | None, accel: Series | None, notes: list[str]) -> Series:
    """The speed in m/s, were its column's unit wrong: told by the positions, else by the measured acceleration, else
    where one unit alone is physically possible. A guess is never made silently; a doubt is noted and left."""
    against_positions = _ratio_to_positions(speed, driven)
    for ratio, by in ((against_positions, "the positions"), (_ratio_to_accel(speed, accel), "the acceleration")):
        unit = None if ratio is None else _unit_of(ratio)
        if unit is not None:
            return _in_unit(speed, unit, by, notes)
    if against_positions is not None:
        notes.append(f"speed is doubtful: {against_positions:.2f} times that of the positions; check its unit")
        return speed
    values, hardest = speed.value, hardest_mps2(speed)
    if _possible(values, hardest):
        return speed
    fits = [unit for unit, factor in UNITS.items() if factor < 1 and _possible(values * factor, hardest * factor)]
    if len(fits) == 1:
        return _in_unit(speed, fits[0], "the accelerations that it implies", notes)
    notes.append(
        f"speed is doubtful: up to {values.max():.0f} m/s with {hardest:.0f} m/s^2; check the unit of its column"
    )
    return speed


def _in_unit(speed: Series, unit: str, by: str, notes: list[str]) -> Series:
    if not unit:
        return speed
    notes.append(f"speed: its numbers are {unit}, as {by} show(s); corrected")
    return Series(speed.name, speed.time_s, speed.value * UNITS[unit], speed.source)


def hardest_mps2(speed: Series) -> float:
    """How hard the speed changes within a second, m/s^2: the 99th percentile."""
    if len(speed.time_s) < 2:
        return 0.0
    grid = np.arange(speed.time_s[0], speed.time_s[-1] + 1e-9, 1.0)
    values = np.interp(grid, speed.time_s, speed.value)
    if len(grid) < 2:
        return 0.0
    return float(np.percentile(np.abs(np.diff(values)), 99))


def _possible(values: Floats, hardest: float) -> bool:
    return float(values.max()) <= FASTEST_MPS and hardest <= HARDEST_MPS2


def _ratio_to_positions(speed: Series, driven: Series | None) -> float | None:
    """How many times the speed of the positions it is; None where they do not tell."""
    if driven is None or len(speed.time_s) < 2:
        return None
    inside = (driven.time_s >= speed.time_s[0]) & (driven.time_s <= speed.time_s[-1]) & (driven.value > MOVING_MPS)
    if inside.sum() < 5:
        return None
    claimed = np.interp(driven.time_s[inside], speed.time_s, speed.value)
    return float(np.median(claimed / driven.value[inside]))


def _ratio_to_accel(speed: Series, accel: Series | None) -> float | None:
    """How many times the measured acceleration its own change is; None where the two are not alike."""
    if accel is None or len(speed.time_s) < 5 or len(accel.time_s) < 5:
        return None
    grid = np.arange(max(speed.time_s[0], accel.time_s[0]), min(speed.time_s[-1], accel.time_s[-1]), 1.0)
    if len(grid) < 10:
        return None
    change = np.diff(np.interp(grid, speed.time_s, speed.value))
    measured = np.array([_mean_between(accel, a, b) for a, b in pairwise(grid)])
    known = np.isfinite(measured)
    change, measured = change[known], measured[known]
    if len(change) < 9 or measured.std() < 0.3 or change.std() == 0:
        return None
    likeness = float(np.corrcoef(change, measured)[0, 1])
    if likeness < 0.8:
        return None
    return float(change.std() / measured.std())


def _mean_between(series: Series, start: float, end: float) -> float:
    first, last = np.searchsorted(series.time_s, [start, end])
    return float(series.value[first:last].mean()) if last > first else float("nan")


def _unit_of(ratio: float) -> str | None:
    """The unit of numbers that are `ratio` times as large as m/s would be: "" for m/s, None where none is near."""
    if abs(ratio - 1) <= NEAR:
        return ""
    near = [unit for unit, factor in UNITS.items() if abs(ratio * factor - 1) <= NEAR]
    return near[0] if near else None
