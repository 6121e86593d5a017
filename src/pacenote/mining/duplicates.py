"""Near-duplicates: frames that show the same again, and of which labels, training and people need only one.

A frame may repeat another only where both have the same slots. Usual perceptual hashes see luminance alone, in which a
red and a green light are the same picture; so each frame is told apart by three things, and repeats another only when
all of them agree: hashes of luminance and of both colour channels, the extremes of colour block by block (a lamp of
four pixels moves no hash), and, where a tower is at hand, the mean of its patch features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pacenote.advisory import Truth
from pacenote.work import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

    from pacenote.models.eyes import Eyes

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

SIDE = 32  # px of the square whose cosine transform is hashed
LOW = 8  # frequencies to each side that are kept; the constant one is not
DEAD = 2.0  # of a coefficient, relative to one level of 255 over the square: below, grain decides the sign
BLOCKS = (9, 16)  # rows and columns of colour extremes
VIEW = (448, 252)  # px in which a block's extremes are taken
BANDS = 7  # of 9 bits: 63 bits with at most 6 errors agree in at least one band


@dataclass(frozen=True)
class Likeness:
    """When two frames of equal slots are the same again: hashes differ by at most `luminance` and `chroma` bits of 63,
    no block's extreme colour by more than `colour` levels of 255, and embeddings have at least the cosine `embedding`.

    Measured on eleven real clips of moving cars (frames 1/20 s apart: median and 90th percentile; in brackets the
    median of frames 2 s apart): luminance 1 and 3 (18) bits, chroma 3 and 4 (16) bits, colour 7 and 12 (38) levels,
    cosine of the starter teacher .998 and least .989 (.982). Luminance is at most 6: buckets would miss more.
    """

    luminance: int = 6
    chroma: int = 10
    colour: int = 24
    embedding: float = 0.985

    def __post_init__(self) -> None:
        if not 0 <= self.luminance < BANDS:
            raise ValueError(f"luminance {self.luminance}: give 0 to {BANDS - 1} bits")


@dataclass(frozen=True)
class Signature:
    """What is kept of a frame, about 1 KB: `hashes` of luminance, blue and red difference (63 bits each), `low` and
    `high` (2, 9, 16) extremes of both colour differences, `embedding` (width,) of length 1."""

    hashes: tuple[int, int, int]
    low: Bytes
    high: Bytes
    embedding: Floats | None = None


def signature(image: Image.Image, embedding: Floats | None = None) -> Signature:
    """Look at one frame. `embedding` as `embeddings` gives it."""
    import cv2

    view = cv2.resize(np.asarray(image.convert("YCbCr")), VIEW, interpolation=cv2.INTER_AREA)
    luminance, blue, red = (phash(view[..., channel]) for channel in range(3))
    # Extremes of single pixels are grain and ringing; of the mean of 2 x 2 they are lamps.
    small = cv2.resize(view[..., 1:], (VIEW[0] // 2, VIEW[1] // 2), interpolation=cv2.INTER_AREA)
    rows, columns = BLOCKS
    cells = small.reshape(rows, small.shape[0] // rows, columns, small.shape[1] // columns, 2)
    low, high = (edge(axis=(1, 3)).transpose(2, 0, 1).astype(np.uint8) for edge in (cells.min, cells.max))
    return Signature((luminance, blue, red), low, high, embedding)


def phash(channel: Bytes) -> int:
    """63 bits: which of the lowest frequencies of `channel` (height, width) lie above their median and above grain."""
    import cv2

    square = cv2.resize(channel.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    waves = cv2.dct(square)[:LOW, :LOW].ravel()[1:]
    bits = waves > max(float(np.median(waves)), 0.0) + DEAD
    return int("".join("1" if bit else "0" for bit in bits), 2)


def embeddings(eyes: Eyes, images: Sequence[Image.Image]) -> list[Floats]:
    """The mean of each picture's patch features in a tower, (width,) of length 1."""
    return [_unit(view.details.float().mean(dim=(0, 1)).cpu().numpy()) for view in eyes(images)]


def _unit(vector: Floats) -> Floats:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)


def slots_key(truth: Truth | None) -> str:
    """Equal for frames whose facts are all the same, unknown ones too."""
    return digest(None if truth is None else truth.to_dict())


def likeness(a: Signature, b: Signature, limits: Likeness) -> str | None:
    """How alike two frames are, in words, when one repeats the other; None when they differ."""
    luminance, *chroma = ((x ^ y).bit_count() for x, y in zip(a.hashes, b.hashes, strict=True))
    if luminance > limits.luminance or max(chroma) > limits.chroma:
        return None
    colour = max(_colours(a, b), _colours(b, a))
    if colour > limits.colour:
        return None
    words = f"luminance {luminance} and colour {max(chroma)} of 63 bits, {colour} levels"
    if a.embedding is None or b.embedding is None:
        return words
    cosine = float(a.embedding @ b.embedding)
    return f"{words}, cosine {cosine:.3f}" if cosine >= limits.embedding else None


def _colours(a: Signature, b: Signature) -> int:
    """By how many levels a block of `a` is more colourful than the same block of `b` and its neighbours: a lamp may
    move by a block, but not come or go."""
    import cv2

    around = np.ones((3, 3), np.uint8)
    worst = 0
    for channel in range(2):
        high = a.high[channel].astype(int) - cv2.dilate(b.high[channel], around)
        low = cv2.erode(b.low[channel], around).astype(int) - a.low[channel]
        worst = max(worst, int(high.max()), int(low.max()))
    return worst


class Duplicates:
    """Which of the frames it is shown are new. Frames come one by one, of one drive or of many; what it holds grows
    with the frames kept, not with those seen.

    Each is compared with the kept frames of equal slots that share a bucket (a ninth of the luminance hash), which
    misses none within `limits`. The first of a group is kept, so another order may keep others, and perhaps more or
    fewer: likeness is not transitive.
    """

    def __init__(self, limits: Likeness | None = None) -> None:
        self.limits = limits or Likeness()
        self._buckets: dict[tuple[str, int, int], list[tuple[str, Signature]]] = {}

    def add(self, id: str, seen: Signature, key: str) -> str | None:
        """Keep the frame `id` and return None, or refuse it: the reason names the kept frame that it repeats.

        `key` says which frames may repeat each other at all: `slots_key(truth)`, or that with the drive's name to
        compare within a drive only.
        """
        buckets = [(key, band, seen.hashes[0] >> (9 * band) & 0x1FF) for band in range(BANDS)]
        compared: set[str] = set()
        for bucket in buckets:
            for twin, held in self._buckets.get(bucket, ()):
                if twin in compared:
                    continue
                compared.add(twin)
                if words := likeness(seen, held, self.limits):
                    return f"repeats {twin} ({words})"
        for bucket in buckets:
            self._buckets.setdefault(bucket, []).append((id, seen))
        return None
