"""What a fact is along a drive, from votes that may be wrong: a hidden Markov chain on time and distance.

States change with a hazard that counts seconds and metres: signal phases end after seconds, cones and crossroads after
metres. Sources (a VLM, a detector, the car's motion) speak in words of their own, and how often each word comes in each
state is learnt without labels (Dawid and Skene 1979, inside the chain): only time tells two sources apart.

Between two frames, dt seconds and ds metres apart, the state is drawn anew from `prior` with probability
h = 1 - exp(-(per_s dt + per_m ds)), else it stays. A source says the word v in state z with probability
confusion[z, v], whatever it said before. That is too good of it: a car that stands sees one picture a hundred times. A
version in which sources repeat themselves was calibrated better and wrong more often; `calibrate` does the former.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pacenote.mining.window import MISSING

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FLOOR = 1e-12
LEAST_HAZARD, MOST_HAZARD = 1e-5, 10.0  # a second or a metre


@dataclass(frozen=True)
class Track:
    """One drive: `votes` (sources, T) words from 0 or MISSING; `seconds` and `metres` (T - 1) between frames."""

    votes: Ints
    seconds: Floats
    metres: Floats

    def __post_init__(self) -> None:
        frames = self.votes.shape[-1]
        if self.votes.ndim != 2 or frames < 1:
            raise ValueError(f"votes have shape {self.votes.shape}; give (sources, frames), at least one of each")
        if len(self.seconds) != frames - 1 or len(self.metres) != frames - 1:
            raise ValueError(f"{frames} frames have {frames - 1} gaps, not {len(self.seconds)} and {len(self.metres)}")
        if bool((self.seconds < 0).any() or (self.metres < 0).any()):
            raise ValueError("seconds and metres between frames cannot be negative")


@dataclass(frozen=True)
class Chain:
    """`prior` (K,); hazards `per_s` and `per_m`; `confusion` of each source (K, words): rows are states."""

    prior: Floats
    per_s: float
    per_m: float
    confusion: tuple[Floats, ...]

    @classmethod
    def start(
        cls, classes: int, sources: int, *, right: float = 0.75, per_s: float = 0.1, per_m: float = 0.01
    ) -> Chain:
        """Sources that name states and are right more often than not: EM needs to be told which way round."""
        wrong = (1 - right) / max(1, classes - 1)
        one = np.full((classes, classes), wrong)
        np.fill_diagonal(one, right if classes > 1 else 1.0)
        return cls(np.full(classes, 1 / classes), per_s, per_m, (one,) * sources)

    def hazard(self, track: Track) -> Floats:
        """Probability (T - 1,) that the state is drawn anew between frames."""
        return np.asarray(-np.expm1(-(self.per_s * track.seconds + self.per_m * track.metres)))

    def likelihood(self, track: Track, trust: Sequence[float] | None = None) -> Floats:
        """(T, K) likelihood of the votes of each frame. `trust` (sources,) are exponents: two sources whose errors come
        together count as less than two."""
        logs = np.zeros((track.votes.shape[1], len(self.prior)))
        for source, votes in enumerate(track.votes):
            share = 1.0 if trust is None else trust[source]
            told = share * np.log(np.maximum(self.confusion[source].T, FLOOR))
            logs += np.concatenate([told, np.zeros((1, len(self.prior)))])[votes]  # the last row is MISSING's, -1
        return np.asarray(np.exp(logs - logs.max(1, keepdims=True)))

    def posterior(self, track: Track, trust: Sequence[float] | None = None) -> Floats:
        """(T, K) probabilities of the states, given all votes of the drive."""
        return self._pass(track, trust)[0]

    def _pass(self, track: Track, trust: Sequence[float] | None) -> tuple[Floats, Floats, float]:
        """Posteriors (T, K), the probability (T - 1,) of a new draw in each gap, and the log-likelihood, up to a
        constant of the votes."""
        from pacenote.mining.kernels import smooth

        posterior, anew, logs = smooth(self.likelihood(track, trust), self.hazard(track), self.prior)
        return posterior, anew, logs

    def fitted(
        self,
        tracks: Sequence[Track],
        *,
        rounds: int = 50,
        tolerance: float = 1e-5,
        pseudo: float = 1.0,
    ) -> Chain:
        """The chain whose parameters make the votes of `tracks` likeliest, by EM from this one. `pseudo`: counts of the
        present confusion that keep a rare state's row from being learnt from nothing.

        Raises ValueError without tracks or where their sources differ in number.
        """
        if not tracks or any(len(track.votes) != len(self.confusion) for track in tracks):
            raise ValueError(f"give tracks, each with votes of {len(self.confusion)} sources")
        now, last = self, -np.inf
        for _ in range(rounds):
            learnt = [pseudo * one for one in self.confusion]
            prior = np.ones(len(self.prior))
            gaps: list[tuple[Floats, Floats, Floats]] = []
            total = 0.0
            for track in tracks:
                posterior, anew, logs = now._pass(track, None)
                total += logs
                for own, votes in zip(learnt, track.votes, strict=True):
                    known = votes != MISSING
                    np.add.at(own.T, votes[known], posterior[known])
                # The first state is a draw from the prior, and so is each that follows a new draw.
                prior += posterior[0] + (anew[:, None] * posterior[1:]).sum(0)
                gaps.append((anew, track.seconds, track.metres))
            per_s, per_m = _hazards(gaps, (now.per_s, now.per_m))
            confusion = tuple(own / own.sum(-1, keepdims=True) for own in learnt)
            now = replace(now, prior=prior / prior.sum(), per_s=per_s, per_m=per_m, confusion=confusion)
            if total - last < tolerance * max(1.0, abs(total)):
                break
            last = total
        return now


def _hazards(gaps: Sequence[tuple[Floats, Floats, Floats]], start: tuple[float, float]) -> tuple[float, float]:
    """Rates (a second, a metre) that make the expected draws likeliest: the maximum of sum anew log h + (1 - anew)
    log(1 - h), by EM over which of the two clocks rang. `gaps`: (anew, seconds, metres), each (n,)."""
    anew, seconds, metres = (np.concatenate(parts) for parts in zip(*gaps, strict=True))
    per_s, per_m = start
    if not len(anew):
        return start
    for _ in range(20):
        rate = np.maximum(per_s * seconds + per_m * metres, FLOOR)
        # Given that a draw came in the gap: how many would be expected, and the share of each clock in them.
        rings = anew * rate / -np.expm1(-rate)
        own_s, own_m = float((rings * per_s * seconds / rate).sum()), float((rings * per_m * metres / rate).sum())
        # Without a draw the whole gap was exposure; with one only the part before it, which is counted whole here: gaps
        # are short against what they measure.
        per_s = own_s / max(float(seconds.sum()), FLOOR)
        per_m = own_m / max(float(metres.sum()), FLOOR)
    return float(np.clip(per_s, LEAST_HAZARD, MOST_HAZARD)), float(np.clip(per_m, LEAST_HAZARD, MOST_HAZARD))
