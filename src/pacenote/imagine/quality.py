"""How good and how various painted pictures are, against the pictures that the painter learnt from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pacenote.errors import InputError
from pacenote.mining.duplicates import embeddings
from pacenote.mining.quality import sharpness, shrunk
from pacenote.models.frames import fit_frame

if TYPE_CHECKING:
    from PIL import Image

    from pacenote.imagine.pairs import Pair
    from pacenote.models.eyes import Eyes

MEASURES = ("sharpness", "exposure", "contrast")
TAIL = 0.05  # of the training pictures on either side; a picture in the middle rest is as good as any
LEAST = 20  # pictures of a time of day that make a distribution of their own
PART = 16  # pictures that a tower sees at once

Floats = npt.NDArray[np.float64]


def measures(image: Image.Image) -> dict[str, float]:
    """`sharpness` (variance of the Laplacian over that of the levels), `exposure` (mean level) and `contrast` (standard
    deviation of the levels), levels of 0-255."""
    grey = shrunk(image)
    return {"sharpness": sharpness(grey), "exposure": float(grey.mean()), "contrast": float(grey.std())}


@dataclass(frozen=True)
class Usual:
    """The sorted measures of the training pictures, by time of day ("" = all of them): a night is dark and is compared
    with nights."""

    held: dict[str, dict[str, Floats]]

    @classmethod
    def of(cls, pairs: Iterable[Pair], size: tuple[int, int]) -> Usual:
        """Measure the pairs' pictures at the painter's `size` (width, height). Raises InputError without pairs."""
        rows = [(p.spec.time, measures(fit_frame(p.picture.open(), size, "stretch"))) for p in pairs]
        if not rows:
            raise InputError("quality: no pairs to compare painted pictures with; give a Dataset of pairs")
        times = {time for time, _ in rows if sum(other == time for other, _ in rows) >= LEAST}
        groups = {"": rows} | {time: [row for row in rows if row[0] == time] for time in times}
        return cls({t: {m: np.sort([told[m] for _, told in own]) for m in MEASURES} for t, own in groups.items()})

    def quality(self, told: dict[str, float], time: str) -> float:
        """0 to 1 by the measure that is most unlike the training pictures': 1 within their middle 90 %, falling in
        proportion to the share that lies farther out, 0 beyond them all."""
        held = self.held.get(time) or self.held[""]
        return min(_central(held[name], told[name]) for name in MEASURES)


def _central(usual: Floats, value: float) -> float:
    below = float(np.searchsorted(usual, value, "right")) / len(usual)
    above = 1 - float(np.searchsorted(usual, value, "left")) / len(usual)
    return min(1.0, min(below, above) / TAIL)


def embed(eyes: Eyes, images: Sequence[Image.Image], size: tuple[int, int] | None) -> Floats:
    """(n, width) embeddings of length 1 by a fixed tower; pictures are brought to `size` (width, height) first."""
    found: list[Floats] = []
    for start in range(0, len(images), PART):
        part = [image.convert("RGB") if size is None else fit_frame(image, size) for image in images[start:][:PART]]
        found += [np.asarray(one, np.float64) for one in embeddings(eyes, part)]
    return np.stack(found)


def diversity(vectors: Floats) -> float:
    """Mean cosine distance over all pairs of unit `vectors` (n, width); 0 where all pictures look the same to the tower
    or there is only one."""
    n = len(vectors)
    if n < 2:
        return 0.0
    total = float(np.square(vectors.sum(axis=0)).sum())
    return 1 - (total - n) / (n * (n - 1))
