"""The loops of chains and pools, compiled: a drive of two hours is smoothed in well under a second."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
FLOOR = 1e-300


@numba.njit(cache=True)
def smooth(told: Floats, hazard: Floats, prior: Floats) -> tuple[Floats, Floats, float]:
    """Forward and backward over `told` (T, K) likelihoods, with `hazard` (T - 1) of a new draw from `prior` (K,).

    Returns posteriors (T, K), the probability (T - 1,) of a new draw in each gap, and the log-likelihood.
    """
    frames, classes = told.shape
    ahead = np.empty((frames, classes))
    scale = np.empty(frames)
    predicted = prior.copy()
    for t in range(frames):
        total = 0.0
        for z in range(classes):
            ahead[t, z] = predicted[z] * told[t, z]
            total += ahead[t, z]
        total = max(total, FLOOR)
        scale[t] = total
        for z in range(classes):
            ahead[t, z] /= total
        if t + 1 < frames:
            for z in range(classes):
                predicted[z] = (1 - hazard[t]) * ahead[t, z] + hazard[t] * prior[z]
    anew = np.empty(max(frames - 1, 0))
    behind = np.ones(classes)
    seen = np.empty(classes)
    logs = 0.0
    for t in range(frames):
        logs += np.log(scale[t])
    for t in range(frames - 2, -1, -1):
        drawn = 0.0
        for z in range(classes):
            seen[z] = told[t + 1, z] * behind[z] / scale[t + 1]
            drawn += prior[z] * seen[z]
        total = 0.0
        for z in range(classes):
            behind[z] = (1 - hazard[t]) * seen[z] + hazard[t] * drawn
            ahead[t, z] *= behind[z]
            total += ahead[t, z]
        for z in range(classes):
            ahead[t, z] /= max(total, FLOOR)
        anew[t] = min(max(hazard[t] * drawn, 0.0), 1.0)  # the forward part sums to one
    return ahead, anew, logs


@numba.njit(cache=True)
def around(told: Floats, times: Floats, seconds: Floats, out: Floats) -> None:
    """Means of `told` (T, K) over the frames as far as each of `seconds` (S,) to each side, into `out` (T, K, S).

    Rows of NaN count for nothing; where no frame counts, the mean is 0. `times` (T,) s, ascending.
    """
    frames, values = told.shape
    sums = np.zeros((frames + 1, values))
    counts = np.zeros(frames + 1)
    for t in range(frames):
        heard = not np.isnan(told[t, 0])
        counts[t + 1] = counts[t] + heard
        for z in range(values):
            sums[t + 1, z] = sums[t, z] + (told[t, z] if heard else 0.0)
    for k in range(len(seconds)):
        first = end = 0
        for t in range(frames):
            while first < t and times[first] < times[t] - seconds[k]:
                first += 1
            while end < frames and times[end] <= times[t] + seconds[k]:
                end += 1
            count = max(counts[end] - counts[first], 1.0)
            for z in range(values):
                out[t, z, k] = (sums[end, z] - sums[first, z]) / count
