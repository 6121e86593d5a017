"""How much later the signals' clock runs than the camera's, from the motion that the pictures show.

The optical flow of the road ahead is a zoom, which grows with speed, and a shift, which grows with the yaw rate. Each
is correlated with its signal at every offset tried. Under an unknown gain and Gaussian noise the profile log
likelihood of an offset is -n/2 log(1 - r^2), summed over the two; its best offset is the estimate, and the scatter of
the best over resampled pieces of the drive is its standard deviation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pacenote.drives.drive import DriveFrame, Floats, Offset, Signals
from pacenote.errors import InputError

MAX_OFFSET_S = 2.0  # recorders start their clocks that far apart at most; more is another mistake
STEP_S = 0.02
RATE_HZ = 10.0  # pairs of frames looked at
MAX_STEP_S = 0.5  # between the frames of a pair; farther apart, the flow is a guess
LOOKED_S = 180.0  # of the drive, from its start: ample for an estimate, bounded in time
WIDTH, HEIGHT = 160, 90  # pixels of the grey picture whose flow is measured
PIECES, RESAMPLES = 12, 200
LEAST_SPREAD = {"speed_mps": 0.5, "yaw_rate": 0.01}  # a signal that varies less tells nothing
LEAST_LIKENESS = 0.35  # correlation below which pictures and signals are not seen to belong together
LEAST_FRAMES = 30


@dataclass(frozen=True)
class Motion:
    """Between frames: `time_s` (N,) of the middle, `zoom` (N,) in 1/s, `turn` (N,) in widths/s, positive to the
    left as the yaw rate is."""

    time_s: Floats
    zoom: Floats
    turn: Floats


def estimate_offset(
    frames: Iterable[DriveFrame], signals: Signals, max_s: float = MAX_OFFSET_S, seed: int = 0
) -> tuple[Offset, str]:
    """The offset within ±`max_s`, and "" or why there is none: then it is 0 with an infinite deviation."""
    useful = [name for name in LEAST_SPREAD if _spread(signals, name) >= LEAST_SPREAD[name]]
    if not useful:
        known = [name for name in LEAST_SPREAD if np.isfinite(signals.values.get(name, np.empty(0))).any()]
        why = f"{' and '.join(known)} hardly change" if known else "neither speed nor yaw rate is known"
        return Offset(0.0, math.inf), why
    return offset_of_motion(measure_motion(frames), signals, useful, max_s, seed)


def _spread(signals: Signals, name: str) -> float:
    values = signals.values.get(name, np.empty(0))
    values = values[np.isfinite(values) & (signals.time_s < LOOKED_S + MAX_OFFSET_S)] if len(values) else values
    return float(values.std()) if len(values) else 0.0


def measure_motion(frames: Iterable[DriveFrame]) -> Motion:
    """Zoom and turn between neighbouring frames of the first LOOKED_S, at most RATE_HZ; one frame in memory."""
    import cv2

    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    x, y = np.meshgrid(np.arange(WIDTH) - (WIDTH - 1) / 2, np.arange(HEIGHT) - HEIGHT / 2)
    road = (y > HEIGHT * 0.08) & (y < HEIGHT * 0.3)  # nearer, it runs too fast for the flow; farther, too slowly
    far = np.abs(y) < HEIGHT * 0.2  # about the horizon: what lies there hardly zooms, and shifts with the turn
    arms = np.stack([x[road], y[road]])
    reach = float((arms**2).sum())
    rows: list[tuple[float, float, float]] = []
    for earlier, later in _pairs(frames):
        step = later.time_s - earlier.time_s
        try:
            before, after = _grey(earlier), _grey(later)
        except InputError:
            continue  # one picture that cannot be read is no reason to refuse the drive: whoever needs it will say so
        moved = flow.calc(before, after, None)
        turn = float(np.median(moved[..., 0][far]))
        along = (moved[..., 0][road] - turn) * arms[0] + moved[..., 1][road] * arms[1]
        rows.append((earlier.time_s + step / 2, float(along.sum()) / reach / step, turn / WIDTH / step))
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return Motion(table[:, 0], table[:, 1], table[:, 2])


def _pairs(frames: Iterable[DriveFrame]) -> Iterator[tuple[DriveFrame, DriveFrame]]:
    """Neighbouring frames, at most RATE_HZ pairs a second, until LOOKED_S after the first; none across a gap."""
    slice_ = -math.inf
    for earlier, later in pairwise(frames):
        if earlier.time_s > LOOKED_S:
            return
        own = math.floor(earlier.time_s * RATE_HZ + 1e-6)
        if own > slice_ and later.time_s - earlier.time_s < MAX_STEP_S:
            slice_ = own
            yield earlier, later


def _grey(frame: DriveFrame) -> np.ndarray:
    return np.asarray(frame.image().convert("L").resize((WIDTH, HEIGHT)))


def offset_of_motion(
    motion: Motion, signals: Signals, useful: list[str], max_s: float = MAX_OFFSET_S, seed: int = 0
) -> tuple[Offset, str]:
    """The offset that fits the motion best to the `useful` signals; see `estimate_offset`."""
    none = Offset(0.0, math.inf)
    if len(motion.time_s) < LEAST_FRAMES:
        return none, f"only {len(motion.time_s)} steps between frames"
    shifts = np.arange(-max_s, max_s + STEP_S / 2, STEP_S)
    seen = {"speed_mps": motion.zoom, "yaw_rate": motion.turn}
    sums = [_sums(motion.time_s, _calm(seen[name]), signals, name, shifts) for name in useful]
    score, likeness = _score([one.sum(axis=0) for one in sums])
    if not np.isfinite(score).any():
        return none, "frames and signals hardly overlap in time"
    best = int(np.nanargmax(score))
    if likeness[best] < LEAST_LIKENESS:
        return none, f"the pictures' motion is not like the signals (correlation {likeness[best]:.2f})"
    if best in (0, len(shifts) - 1):
        return none, f"no offset within ±{max_s:g} s fits"
    random = np.random.default_rng(seed)
    bests = []
    for _ in range(RESAMPLES):
        picked = random.integers(0, PIECES, PIECES)
        again, _likeness = _score([one[picked].sum(axis=0) for one in sums])
        bests.append(shifts[int(np.nanargmax(again))] if np.isfinite(again).any() else max_s)
    scatter = math.sqrt(float(np.mean((np.array(bests) - shifts[best]) ** 2)))
    grid = float(np.median(np.diff(motion.time_s))) / math.sqrt(12)  # frames do not say what was between them
    return Offset(_peak(shifts, score, best), math.hypot(scatter, grid)), ""


def _calm(values: Floats) -> Floats:
    """Median of three and outliers cut: one wrong flow (a wiper, a cut, a lorry) must not decide."""
    padded = np.pad(values, 1, mode="edge")
    calm = np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0)
    low, high = np.percentile(calm, [1, 99])
    return np.clip(calm, low, high)


def _sums(times: Floats, seen: Floats, signals: Signals, name: str, shifts: Floats) -> np.ndarray:
    """Sums for correlations by piece of the drive and by shift: (PIECES, D, 6) of 1, x, y, xx, yy, xy."""
    told = signals.at(name, (times[None, :] + shifts[:, None]).ravel()).reshape(len(shifts), -1)
    known = np.isfinite(told)
    y = np.where(known, told, 0.0)
    x = np.where(known, seen[None, :] - seen.mean(), 0.0)
    terms = np.stack([known.astype(float), x, y, x * x, y * y, x * y], axis=-1)
    bounds = np.linspace(0, len(times), PIECES + 1).astype(int)
    return np.stack([terms[:, a:b].sum(axis=1) for a, b in pairwise(bounds)])


def _score(sums: list[np.ndarray]) -> tuple[Floats, Floats]:
    """Profile log likelihood a frame (D,), NaN where half of the frames have no signal, and the largest correlation."""
    score = np.zeros(sums[0].shape[0])
    likeness = np.full(sums[0].shape[0], -1.0)
    any_known = np.zeros(len(score), dtype=bool)
    for one in sums:
        n, x, y, xx, yy, xy = np.moveaxis(one, -1, 0)
        with np.errstate(all="ignore"):
            r = (n * xy - x * y) / np.sqrt((n * xx - x * x) * (n * yy - y * y))
        usable = np.isfinite(r) & (n >= 0.5 * n.max()) & (n >= LEAST_FRAMES / 2)
        r = np.where(usable, r, 0.0).clip(-0.9999, 0.9999)
        score += np.where(r > 0, -0.5 * np.log1p(-(r**2)), 0.0)  # forward is forward: a negative r is no likeness
        likeness = np.maximum(likeness, np.where(usable, r, -1.0))
        any_known |= usable
    return np.where(any_known, score, np.nan), likeness


def _peak(shifts: Floats, score: Floats, best: int) -> float:
    """The top of the parabola through the best and its neighbours."""
    left, top, right = score[best - 1], score[best], score[best + 1]
    bend = left - 2 * top + right
    if not np.isfinite(bend) or bend >= 0:
        return float(shifts[best])
    return float(shifts[best] + STEP_S * 0.5 * (left - right) / bend)
