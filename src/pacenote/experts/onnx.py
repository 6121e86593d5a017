"""Any YOLO-style detector exported to ONNX, run by onnxruntime."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pacenote.errors import InputError
from pacenote.experts.classical import lamp_state
from pacenote.experts.detection import Detection, clipped, kind_of, suppressed
from pacenote.work import digest, digest_file

if TYPE_CHECKING:
    from PIL import Image

Array = NDArray[Any]

SIDE = 640  # px: the input of a model that takes any size
GREY = 114  # what the models of this kind saw around the pictures they were trained on
MOST = 300  # boxes of a picture that are looked at
LISTED = 1000  # rows of a (1, N, 6) output, at most: above, they are anchors of a model of one class
# Exports without names, with 80 classes, are of COCO: those of its classes that matter here.
COCO = {
    0: "person", 1: "bicycle", 2: "car", 3: "motorcycle", 5: "bus", 6: "train", 7: "truck", 9: "traffic light",
    14: "bird", 15: "cat", 16: "dog", 17: "horse", 18: "sheep", 19: "cow", 20: "elephant", 21: "bear", 22: "zebra",
    23: "giraffe",
}  # fmt: skip


@dataclass(frozen=True)
class Letterbox:
    """How a picture lies in the input: scaled by `scale`, its corner at (`left`, `top`) px."""

    scale: float
    left: int
    top: int

    def back(self, boxes: Array) -> Array:
        """(N, 4) corners in px of the input -> px of the picture."""
        return (boxes - np.array([self.left, self.top] * 2)) / self.scale


class OnnxDetector:
    """A detector in the file `path`, whose output has one of three layouts:

    - (1, 4 + C, N): centre, size and C class scores of N anchors (YOLOv8, 11);
    - (1, N, 5 + C): the same with the score that something is there (YOLOv5, 7);
    - (1, N, 6): corners, score, class, already suppressed (YOLOv10, exports with NMS).

    Class names are the model's own ("names" in its metadata), or the lines of the file `labels`. Boxes under `least`
    and classes that Pacenote has no word for are left out. Raises InputError for a file that is missing, no ONNX model
    or of another layout, and where onnxruntime is not installed.
    """

    def __init__(self, path: str | Path, labels: str | Path | None = None, least: float = 0.25) -> None:
        self.path, self.least = Path(path), least
        self.name = self.path.stem
        self._session = _session(self.path)
        self._input, self._size = _input(self.path, self._session)
        names = _names(self.path, labels, self._session)
        # A dry run: shapes in the file may be symbolic, and a bad model should be refused before the first picture.
        blank = np.full((self._size[1], self._size[0], 3), GREY, np.uint8)
        shape = self._run(blank).shape
        self._layout, classes = layout_of(self.path, shape, len(names) if names else None)
        names = names or (COCO if classes == 80 else {})
        self._kinds = {index: kind for index, name in names.items() if (kind := kind_of(name))}
        self.kinds = frozenset(kind for kind, _ in self._kinds.values())
        if not self._kinds:
            raise InputError(f"{path}: none of its class names is known here; give a labels file, one name a line")
        self.digest = digest({"file": digest_file(path), "names": sorted(names.items()), "least": least})

    def detect(self, images: Sequence[Image.Image]) -> list[list[Detection]]:
        """The detections of each picture, best first; the state of a plain traffic light is read from its pixels."""
        return [self._detect(image.convert("RGB")) for image in images]

    def _detect(self, image: Image.Image) -> list[Detection]:
        pixels, placed = letterbox(image, self._size)
        boxes, scores, classes = READERS[self._layout](self._run(pixels)[0].astype(np.float32))
        known = np.isin(classes, list(self._kinds)) & (scores >= self.least)
        order = np.flatnonzero(known)[np.argsort(-scores[known], kind="stable")][:MOST]
        found = []
        for box, score, index in zip(placed.back(boxes[order]), scores[order], classes[order], strict=True):
            kind, state = self._kinds[int(index)]
            inside = clipped(box, image.size)
            if inside:
                if kind == "traffic_light" and not state:
                    state = lamp_state(image, inside)
                found.append(Detection(kind, inside, min(float(score), 1.0), state))
        return suppressed(found)

    def _run(self, pixels: Array) -> Array:
        """The first output for one (H, W, 3) uint8 picture of the input's size."""
        kind = np.float16 if self._input.type == "tensor(float16)" else np.float32
        batch = (pixels.transpose(2, 0, 1)[None] / 255).astype(kind)
        return np.asarray(self._session.run(None, {self._input.name: batch})[0])


def letterbox(image: Image.Image, size: tuple[int, int]) -> tuple[Array, Letterbox]:
    """(H, W, 3) uint8: the whole picture, scaled to fit `size` = (width, height) px, centred on grey."""
    from PIL import Image

    scale = min(size[0] / image.width, size[1] / image.height)
    width, height = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    pixels = np.full((size[1], size[0], 3), GREY, np.uint8)
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    pixels[top : top + height, left : left + width] = np.asarray(resized)
    return pixels, Letterbox(scale, left, top)


def layout_of(path: Path, shape: Sequence[int], classes: int | None) -> tuple[str, int]:
    """(layout, number of classes) for the shape of an output; `classes` is their number where names tell it."""
    if len(shape) == 3 and shape[0] == 1:
        rows, columns = shape[1:]
        if columns == 6 and (rows <= LISTED or classes not in (None, 1)):
            return "listed", classes or 0
        if 4 < rows < columns and classes in (None, rows - 4):
            return "anchors", rows - 4
        if 5 < columns < rows and classes in (None, columns - 5):
            return "objectness", columns - 5
    known = "(1, 4 + classes, N), (1, N, 5 + classes) or (1, N, 6)"
    told = f" for {classes} class names" if classes else ""
    raise InputError(f"{path}: output of shape {tuple(shape)}{told} is not supported; export it as {known}")


def _read_anchors(out: Array) -> tuple[Array, Array, Array]:
    scores = out[4:].T
    return _corners(out[:4].T), scores.max(1), scores.argmax(1)


def _read_objectness(out: Array) -> tuple[Array, Array, Array]:
    scores = out[:, 5:] * out[:, 4:5]
    return _corners(out[:, :4]), scores.max(1), scores.argmax(1)


def _read_listed(out: Array) -> tuple[Array, Array, Array]:
    return out[:, :4], out[:, 4], out[:, 5].round().astype(int)


# Each gives corners (N, 4) in px of the input, scores (N,) and class indices (N,) of one picture's output.
READERS = {"anchors": _read_anchors, "objectness": _read_objectness, "listed": _read_listed}


def _corners(boxes: Array) -> Array:
    """Centre and size -> corners."""
    middle, half = boxes[:, :2], boxes[:, 2:] / 2
    return np.concatenate([middle - half, middle + half], 1)


def _session(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"{path}: no such file; give an ONNX model")
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as errors
    except ImportError:
        raise InputError(f"{path}: ONNX models need onnxruntime; pip install 'pacenote[experts]'") from None
    here = onnxruntime.get_available_providers()
    wanted = [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in here]
    try:
        return onnxruntime.InferenceSession(str(path), providers=wanted)
    except (
        errors.Fail, errors.InvalidArgument, errors.InvalidGraph, errors.InvalidProtobuf, errors.NotImplemented,
        errors.RuntimeException,
    ) as error:  # fmt: skip
        reason = str(error).splitlines()[0].split("failed:")[-1].strip()
        raise InputError(f"{path}: not a usable ONNX model ({reason}); export it again") from None


def _input(path: Path, session: Any) -> tuple[Any, tuple[int, int]]:
    """The input of a model that takes one picture, and its (width, height) px."""
    given = session.get_inputs()[0]
    fixed = [side if isinstance(side, int) else None for side in given.shape]  # None: any
    floats = given.type in ("tensor(float)", "tensor(float16)") and len(session.get_inputs()) == 1
    if not floats or len(fixed) != 4 or fixed[0] not in (1, None) or fixed[1] not in (3, None):
        raise InputError(f"{path}: input {given.type} {given.shape} is not read; export it as float (1, 3, H, W)")
    return given, (fixed[3] or SIDE, fixed[2] or SIDE)


def _names(path: Path, labels: str | Path | None, session: Any) -> dict[int, str]:
    """Class names by index from the labels file, else from the model's metadata; empty where there are none."""
    if labels is not None:
        try:
            lines = Path(labels).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            raise InputError(f"{labels}: cannot be read; give a text file with one class name a line") from None
        return dict(enumerate(line.strip() for line in lines if line.strip()))
    told = session.get_modelmeta().custom_metadata_map.get("names")
    if told is None:
        return {}
    try:
        held = ast.literal_eval(told)
        return {int(index): str(name) for index, name in (held.items() if isinstance(held, dict) else enumerate(held))}
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise InputError(f"{path}: its metadata 'names' is no dict of class names; give a labels file") from None
