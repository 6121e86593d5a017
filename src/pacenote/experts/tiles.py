"""The heads of a tower on parts of a picture, each as large as a whole frame: what is small in the frame is seen as if
it were near.

Costs a pass of the tower a part. Which obstacle concerns the ego car cannot be told from a part; that is the whole
frame's look. Of a light too small for that look only the part can tell.
The likeliest of some three thousand patches is nearly always likely, so its probability is brought to what it means by
a file beside the weights (`fit`, `pacenote calibrate --tiles`); without it detections are good for ranking only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pacenote.advisory import OBSTACLES
from pacenote.errors import InputError
from pacenote.experts.detection import Box, Detection, likely, suppressed
from pacenote.experts.look import TowerLook, things
from pacenote.models import resolve
from pacenote.models.frames import fit_frame, frame_size
from pacenote.work import digest

if TYPE_CHECKING:
    from PIL import Image

    from pacenote.models import Model

SHARE = 0.6  # of the picture's width and height that a part shows: two of them overlap by what an obstacle takes
SAME = 0.3  # intersection over union from which two detections are one thing
FILE = "tiles.json"  # beside the weights: by kind the line that brings a log-odds to what it means
HELD = (100.0, 4.0)  # how firmly a kind's line is held to that of all kinds, of which most are too rare for their own
Line = tuple[float, float]  # scale and offset of log-odds
LIGHTS = frozenset({"traffic_light"})
TELLS = {"tiles": frozenset(OBSTACLES), "lights": LIGHTS, "parts": LIGHTS | frozenset(OBSTACLES)}
"""What the experts of parts find, by name; a part holds no intersection."""


class TileLook:
    """Obstacles, small traffic lights or both from the heads beside `model`'s weights, on the whole picture and on four
    overlapping parts.

    For a tower that learnt from parts of frames (`view` of a dense stage); one of whole frames alone gains nothing. Nor
    do lights where the whole look sees them (benchmarks/experts.py): those are for photos of more pixels than it sees.

    `lines`: by kind of obstacle what a log-odds means, in place of the file beside the weights; {} = as the heads tell
    it, as lights always are. `name`: one of TELLS. Raises InputError for a model without heads, and for a broken file
    beside them.
    """

    def __init__(self, model: Model, lines: Mapping[str, Line] | None = None, name: str = "tiles") -> None:
        self.name, self.kinds = name, TELLS[name]
        self.look = TowerLook(model)
        self.size = frame_size(model)
        self.lines = read_lines(Path(resolve(model.name)) / FILE) if lines is None else lines
        self.digest = digest([name, SHARE, SAME, self.lines, self.look.digest])

    def detect(self, images: Sequence[Image.Image]) -> list[list[Detection]]:
        """What is likely in each picture, the likeliest first; boxes are whole patches in pixels of the picture."""
        found = []
        for image in images:  # one by one: five views of a batch are more than is worth holding
            whole, own = self._told([image])[0]
            seen = things(whole, own, image.size, self.kinds)
            boxes = list(parts(image.size))
            for box, (near, cells) in zip(boxes, self._told([image.crop(box) for box in boxes]), strict=True):
                size = (box[2] - box[0], box[3] - box[1])
                shares = [value / side for value, side in zip(box, image.size * 2, strict=True)]
                near_seen = things(near, cut(own, shares, cells.shape[:2]), size, self.kinds - LIGHTS)
                near_seen += things(near, cells, size, self.kinds & LIGHTS)
                seen += [moved(one, box) for one in near_seen]
            kept = suppressed(seen, SAME)
            found.append(sorted((self._meant(one) for one in kept), key=lambda one: -likely(one)))
        return found

    def _meant(self, one: Detection) -> Detection:
        return meant(one, self.lines[one.kind]) if one.kind in self.lines else one

    def _told(self, images: Sequence[Image.Image]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Probabilities of the patches (rows, columns, classes) of each picture, and of OWN by cells."""
        shown = [fit_frame(image, self.size, "stretch") if self.size else image for image in images]
        found: list[Any] = [None] * len(images)
        for places, told in self.look.told(shown):
            for place, patches, own in zip(places, told.patches.cpu().numpy(), told.own.cpu().numpy(), strict=True):
                found[place] = (patches, own)
        return found


def parts(size: tuple[int, int]) -> Iterator[tuple[int, int, int, int]]:
    """Boxes (x0, y0, x1, y1) of four parts, each SHARE of the picture wide and high, one in each of its corners."""
    width, height = (round(SHARE * side) for side in size)
    for y in (0, size[1] - height):
        for x in (0, size[0] - width):
            yield x, y, x + width, y + height


def cut(own: np.ndarray, box: Sequence[float], cells: tuple[int, ...]) -> np.ndarray:
    """What the whole frame's cells `own` (rows, columns, targets) say within `box`, in shares of the frame, for a
    part of so many rows and columns of `cells`: the cell below each of them."""
    rows, columns = own.shape[:2]
    y = box[1] + (np.arange(cells[0]) + 0.5) / cells[0] * (box[3] - box[1])
    x = box[0] + (np.arange(cells[1]) + 0.5) / cells[1] * (box[2] - box[0])
    return own[np.ix_((y * rows).astype(int).clip(0, rows - 1), (x * columns).astype(int).clip(0, columns - 1))]


def moved(one: Detection, part: Box) -> Detection:
    """A detection in a part, in pixels of the picture."""
    x0, y0, x1, y1 = one.box
    return replace(one, box=(x0 + part[0], y0 + part[1], x1 + part[0], y1 + part[1]))


def meant(one: Detection, line: Line) -> Detection:
    """A detection whose confidence is the probability that its thing is there and concerns the ego car."""
    return replace(one, confidence=float(_sigmoid(line[0] * _log_odds(likely(one)) + line[1])), own=None)


def fit(p: Mapping[str, Sequence[float]], there: Mapping[str, Sequence[bool]]) -> dict[str, Line]:
    """By kind the line through the log-odds of `p`, the likeliest detection of each of n pictures, that makes whether
    one is `there` likeliest; held to the line of all kinds together. Raises InputError where nothing is there, or
    everything."""
    x = {kind: _log_odds(np.asarray(own, float)) for kind, own in p.items()}
    y = {kind: np.asarray(own, float) for kind, own in there.items()}
    all_x, all_y = np.concatenate(list(x.values())), np.concatenate(list(y.values()))
    if len(set(all_y)) < 2:
        raise InputError("tiles: needs frames with obstacles and frames without; give another Dataset")
    common = _newton(all_x, all_y, np.zeros(2), (1e-3, 1e-3))
    lines = {kind: _newton(x[kind], y[kind], common, HELD) for kind in p}
    return {kind: (round(float(line[0]), 4), round(float(line[1]), 4)) for kind, line in lines.items()}


def _newton(x: np.ndarray, y: np.ndarray, middle: np.ndarray, ridge: Line) -> np.ndarray:
    """Logistic regression of y on x and 1, with a `ridge` around `middle`."""
    z, line, held = np.stack([x, np.ones_like(x)], 1), np.zeros(2), np.array(ridge)

    def loss(line: np.ndarray) -> float:
        odds = z @ line
        return float((np.logaddexp(0, odds) - y * odds).sum() + (held * (line - middle) ** 2).sum() / 2)

    for _ in range(50):
        p = _sigmoid(z @ line)
        hessian = (z * (p * (1 - p))[:, None]).T @ z + np.diag(held)
        step = np.linalg.solve(hessian, z.T @ (p - y) + held * (line - middle))
        while loss(line - step) > loss(line) and abs(step).max() > 1e-9:  # it may overshoot
            step = step / 2
        line = line - step
    return line


def _log_odds(p: np.ndarray | float) -> np.ndarray:
    held = np.clip(p, 1e-3, 1 - 1e-3)
    return np.asarray(np.log(held / (1 - held)))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))))


def read_lines(file: Path) -> dict[str, Line]:
    """By kind, or nothing where there is no such file. Raises InputError for a broken one."""
    if not file.is_file():
        return {}
    try:
        kinds = json.loads(file.read_text())["kinds"]
        return {kind: (float(kinds[kind][0]), float(kinds[kind][1])) for kind in OBSTACLES}
    except (ValueError, KeyError, TypeError, IndexError):
        raise InputError(
            f"{file}: no calibration of tiles; delete it, or run pacenote calibrate --tiles again"
        ) from None
