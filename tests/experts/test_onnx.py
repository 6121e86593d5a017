"""The three output layouts, from tiny models made here, come back as boxes in pixels of the picture."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from pacenote.errors import InputError
from pacenote.experts import open_expert
from pacenote.experts.detection import Box
from pacenote.experts.onnx import OnnxDetector, layout_of, letterbox

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

NAMES = {0: "person", 1: "traffic light", 2: "stop sign", 3: "red_light"}
SIZE = (64, 32)  # of the input, width and height
PICTURE = (256, 192)  # in the input: 43 x 32 px (scale 1/6), 10 px of grey on the left
LEFT, SCALE = 10, 1 / 6

# In px of the picture: box, score, class. The third overlaps the first, the fourth has no word here, the fifth is weak.
TRUTH: list[tuple[Box, float, int]] = [
    ((24, 30, 84, 150), 0.9, 0),
    ((120, 12, 144, 60), 0.8, 1),
    ((27, 30, 87, 150), 0.6, 0),
    ((180, 60, 210, 90), 0.9, 2),
    ((200, 100, 230, 160), 0.1, 0),
    ((160, 12, 172, 36), 0.7, 3),
]


def rows(layout: str, count: int) -> np.ndarray:
    """The output for TRUTH, padded to `count` boxes of no confidence."""
    width = {"anchors": 4 + len(NAMES), "objectness": 5 + len(NAMES), "listed": 6}[layout]
    out = np.zeros((count, width), np.float32)
    for row, (box, score, index) in zip(out, TRUTH, strict=False):
        x0, y0, x1, y1 = np.array(box) * SCALE + [LEFT, 0, LEFT, 0]
        if layout == "listed":
            row[:] = (x0, y0, x1, y1, score, index)
            continue
        row[:4] = ((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0)
        if layout == "objectness":
            row[4], row[5 + index] = 0.95, score / 0.95
        else:
            row[4 + index] = score
    return out[None].transpose(0, 2, 1) if layout == "anchors" else out[None]


def save(
    path: Path, out: np.ndarray, names: Any = NAMES, shape: tuple[Any, ...] = (1, 3, SIZE[1], SIZE[0]), kind: int = 1
) -> Path:
    """A model that answers `out` whatever it is shown."""
    value = onnx.helper.make_tensor("value", onnx.TensorProto.FLOAT, out.shape, out.ravel())
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Constant", [], ["output0"], value=value)],
        "tiny",
        [onnx.helper.make_tensor_value_info("images", kind, shape)],
        [onnx.helper.make_tensor_value_info("output0", onnx.TensorProto.FLOAT, out.shape)],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    if names is not None:
        onnx.helper.set_model_props(model, {"names": str(names)})
    onnx.save(model, path)
    return path


def picture() -> Image.Image:
    image = Image.new("RGB", PICTURE, (120, 120, 120))
    draw = ImageDraw.Draw(image)
    draw.rectangle(TRUTH[1][0], (20, 20, 20))
    draw.ellipse((125, 44, 139, 58), (20, 235, 150))
    return image


@pytest.mark.parametrize(("layout", "count"), [("anchors", 40), ("objectness", 40), ("listed", 40), ("listed", 3000)])
def test_each_layout_in_pixels_of_the_picture(layout: str, count: int, tmp_path: Path) -> None:
    expert = open_expert(str(save(tmp_path / "tiny.onnx", rows(layout, count))))
    found = expert.detect([picture(), picture()])
    assert found[0] == found[1]
    told = [(one.kind, one.state) for one in found[0]]
    assert told == [("pedestrian", ""), ("traffic_light", "green"), ("traffic_light", "red")]
    for one, index in zip(found[0], (0, 1, 5), strict=True):
        assert one.box == pytest.approx(TRUTH[index][0], abs=0.01)
        assert one.confidence == pytest.approx(TRUTH[index][1], abs=1e-4)


def test_least_labels_and_digest(tmp_path: Path) -> None:
    path = save(tmp_path / "tiny.onnx", rows("anchors", 40), names=None)
    labels = tmp_path / "labels.txt"
    labels.write_text("car\nbus\ncone\nbicycle\n")
    expert = OnnxDetector(path, labels, least=0.65)
    assert expert.name == "tiny"
    assert [one.kind for one in expert.detect([picture()])[0]] == ["vehicle", "cone", "vehicle", "bicycle"]
    digests = {expert.digest, OnnxDetector(path, labels).digest}
    labels.write_text("car\nbus\ncone\nperson\n")
    digests.add(OnnxDetector(path, labels).digest)
    assert len(digests) == 3 and all(len(one) == 12 for one in digests)


def test_eighty_classes_without_names_are_coco(tmp_path: Path) -> None:
    out = np.zeros((1, 84, 200), np.float32)
    out[0, :4, 0], out[0, 4 + 9, 0] = (300, 300, 40, 80), 0.9
    path = save(tmp_path / "coco.onnx", out, names=None, shape=(1, 3, "height", "width"))
    assert [one.kind for one in OnnxDetector(path).detect([picture()])[0]] == ["traffic_light"]


@given(st.integers(1, 400), st.integers(1, 400), st.tuples(*[st.floats(0, 1)] * 4))
def test_a_letterbox_is_undone(width: int, height: int, corners: tuple[float, ...]) -> None:
    pixels, placed = letterbox(Image.new("RGB", (width, height), (0, 0, 0)), SIZE)
    assert pixels.shape == (SIZE[1], SIZE[0], 3)
    box = np.array([corners]) * [width, height, width, height]
    laid = box * placed.scale + [placed.left, placed.top] * 2
    assert laid.min() >= -1 and (laid <= np.array([SIZE * 2]) + 1).all()
    assert placed.back(laid) == pytest.approx(box, abs=1e-6)


def test_ambiguous_shapes() -> None:
    path = Path("x.onnx")
    assert layout_of(path, (1, 6, 8400), 2) == ("anchors", 2)
    assert layout_of(path, (1, 300, 6), 2) == ("listed", 2)
    assert layout_of(path, (1, 300, 6), 1) == ("listed", 1)
    assert layout_of(path, (1, 25200, 6), 1) == ("objectness", 1)
    assert layout_of(path, (1, 25200, 85), None) == ("objectness", 80)
    for shape in ((1, 8400), (2, 84, 8400), (1, 116, 8400), (1, 32, 160, 160)):
        with pytest.raises(InputError, match="is not supported; export it as"):
            layout_of(path, shape, 80)


def test_bad_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = rows("anchors", 40)
    text, empty = tmp_path / "text.onnx", tmp_path / "empty.onnx"
    text.write_text("no model")
    empty.write_bytes(b"")
    good = save(tmp_path / "good.onnx", out)
    cases: list[tuple[str, Path, Path | None]] = [
        ("no such file", tmp_path / "none.onnx", None),
        ("not a usable ONNX model", text, None),
        ("not a usable ONNX model", empty, None),
        ("cannot be read; give a text file", good, tmp_path / "none.txt"),
        ("none of its class names is known", save(tmp_path / "a.onnx", out, {i: f"c{i}" for i in range(4)}), None),
        ("none of its class names is known", save(tmp_path / "b.onnx", out, None), None),
        ("for 2 class names is not supported", save(tmp_path / "c.onnx", out, {0: "car", 1: "bus"}), None),
        ("is no dict of class names", save(tmp_path / "d.onnx", out, "__import__('os')"), None),
        ("is not read; export it as float", save(tmp_path / "e.onnx", out, shape=(1, 32, 64, 3)), None),
        ("is not read; export it as float", save(tmp_path / "f.onnx", out, shape=(4, 3, 32, 64)), None),
        ("is not read; export it as float", save(tmp_path / "g.onnx", out, kind=onnx.TensorProto.UINT8), None),
    ]
    for message, path, labels in cases:
        with pytest.raises(InputError, match=message) as caught:
            OnnxDetector(path, labels)
        assert "\n" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"pip install 'pacenote\[experts\]'"):
        OnnxDetector(good)
