"""A frame that shows what the last one did gets the last answer.

What changed is the greatest mean difference of any patch, in levels of 0..255, between the frame and the one that was
last asked about (not the last seen, so slow change adds up). A lamp of three pixels that turns from red to green moves
its patch of 14 pixels by some five levels.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    from pacenote.engine import Answer, Ask

PATCH = 14  # px


class Reuse:
    """`ask` for one frame after the other: calls of a single picture whose patches all moved less than `still` levels
    since the last one that was asked are answered as that was. `reused` counts them."""

    def __init__(self, ask: Ask, still: float) -> None:
        self.ask = ask
        self.still = still
        self.reused = 0
        self._last: tuple[NDArray[np.float32], str, Answer] | None = None

    def __call__(
        self,
        images: Sequence[Sequence[Image.Image]],
        questions: Sequence[str],
        roles: Sequence[Sequence[str]] = (),
    ) -> list[Answer]:
        """As `Engine`; the answer's `ms` is the time it took to see that nothing changed."""
        if len(images) != 1 or len(images[0]) != 1:
            return self.ask(images, questions, roles)
        start = time.perf_counter()
        frame = np.asarray(images[0][0].convert("RGB"), dtype=np.float32)
        if self._last is not None and self._last[1] == questions[0] and change(frame, self._last[0]) < self.still:
            self.reused += 1
            return [replace(self._last[2], ms=(time.perf_counter() - start) * 1000)]
        answer = self.ask(images, questions, roles)[0]
        self._last = (frame, questions[0], answer)
        return [answer]


def change(frame: NDArray[Any], before: NDArray[Any]) -> float:
    """The greatest mean absolute difference of any patch of two (H, W, 3) frames; infinite if their shapes differ."""
    if frame.shape != before.shape:
        return float("inf")
    height, width = frame.shape[:2]
    difference = np.pad(np.abs(frame - before).mean(-1), ((0, -height % PATCH), (0, -width % PATCH)), mode="edge")
    rows, columns = difference.shape[0] // PATCH, difference.shape[1] // PATCH
    return float(difference.reshape(rows, PATCH, columns, PATCH).mean((1, 3)).max())
