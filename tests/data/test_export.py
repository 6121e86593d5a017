"""Each export is read back as its tool reads it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from pacenote.advisory import Advisory, Light, Truth
from pacenote.data import Sample
from pacenote.data.export import export_dataset
from pacenote.errors import InputError

from .conftest import picture, sample

Make = Callable[..., Path]
FULL = Truth.from_advisory(Advisory(30, Light("red"), frozenset({"cone"}), frozenset()))


@pytest.fixture
def dataset(make_dataset: Make) -> Path:
    full = sample(0, truth=FULL, question="<image> Advise the driver.", id="a/b c")
    partial = sample(1)  # crash unknown
    asked = sample(2, answer="Yes.", truth=None, evidence=None, images=(picture(2), picture(3)), task="vqa")
    text = Sample("t", task="general", question="Hello?", answer="Hi.", source="general")
    return make_dataset([("train", item) for item in (full, partial, asked, text)])


def test_trl_jsonl_loads(dataset: Path, tmp_path: Path) -> None:
    import datasets

    assert export_dataset(dataset, tmp_path / "x", "trl") == {"written": 3, "skipped": 1}
    rows = [json.loads(line) for line in (tmp_path / "x" / "messages.jsonl").read_text().splitlines()]
    for row in rows:
        shown = [part for part in row["messages"][0]["content"] if part["type"] == "image"]
        assert len(shown) == len(row["images"])
        assert all(Image.open(tmp_path / "x" / name).size == (64, 36) for name in row["images"])
    answer = rows[0]["messages"][1]["content"][0]["text"]
    assert Advisory.parse(answer) == FULL.advisory()
    assert rows[0]["messages"][0]["content"][1]["text"] == "Advise the driver."
    assert json.loads((tmp_path / "x" / "skipped.jsonl").read_text()) == {
        "id": "scene-00001",
        "reason": "not known: obstacles",
    }
    loaded = datasets.load_dataset(
        "json", data_files=str(tmp_path / "x" / "messages.jsonl"), cache_dir=str(tmp_path / "c")
    )
    assert loaded["train"].num_rows == 3


def test_trl_parquet_loads_with_pictures(dataset: Path, tmp_path: Path) -> None:
    import datasets

    export_dataset(dataset, tmp_path / "x", "trl-parquet", split="train")
    loaded = datasets.load_dataset(str(tmp_path / "x"), cache_dir=str(tmp_path / "c"))["train"]
    assert [len(row["images"]) for row in loaded] == [1, 2, 0]
    assert loaded[0]["images"][0].size == (64, 36)
    assert loaded[1]["messages"][0]["content"][0]["type"] == "image"
    assert loaded[1]["messages"][1]["content"][0]["text"] == "Yes."


def test_sharegpt_has_one_placeholder_an_image(dataset: Path, tmp_path: Path) -> None:
    export_dataset(dataset, tmp_path / "x", "sharegpt")
    info = json.loads((tmp_path / "x" / "dataset_info.json").read_text())["pacenote"]
    rows = json.loads((tmp_path / "x" / info["file_name"]).read_text())
    assert [row["messages"][0]["content"].count("<image>") for row in rows] == [1, 2, 0]
    assert [len(row[info["columns"]["images"]]) for row in rows] == [1, 2, 0]
    assert all((tmp_path / "x" / name).is_file() for row in rows for name in row["images"])


def test_coco_boxes_are_consistent(make_dataset: Make, tmp_path: Path) -> None:
    objects = [
        {"id": 1, "kind": "traffic_light", "state": "red", "box": [10, 2, 14, 12], "stated": True, "role": "ego"},
        {"id": 2, "kind": "cone", "state": "", "box": [0, 0, 5, 7], "stated": None, "role": "obstacle"},
    ]
    path = make_dataset([("test", sample(0, evidence={"objects": objects})), ("test", sample(1, evidence=None))])
    assert export_dataset(path, tmp_path / "x", "coco", split="test") == {"written": 1, "skipped": 1}
    coco = json.loads((tmp_path / "x" / "annotations.json").read_text())
    names = {row["id"]: row["name"] for row in coco["categories"]}
    assert [names[a["category_id"]] for a in coco["annotations"]] == ["traffic_light_red", "cone"]
    assert coco["annotations"][0]["bbox"] == [10, 2, 4, 10]
    assert {a["image_id"] for a in coco["annotations"]} <= {image["id"] for image in coco["images"]}
    image = coco["images"][0]
    assert Image.open(tmp_path / "x" / image["file_name"]).size == (image["width"], image["height"])


def test_export_continues_its_own_and_refuses_others(dataset: Path, tmp_path: Path) -> None:
    export_dataset(dataset, tmp_path / "x", "trl")
    assert export_dataset(dataset, tmp_path / "x", "trl")["written"] == 3
    with pytest.raises(InputError, match="another export"):
        export_dataset(dataset, tmp_path / "x", "coco")
    with pytest.raises(InputError, match="not empty"):
        export_dataset(dataset, dataset, "coco")
    with pytest.raises(InputError, match="not one of trl"):
        export_dataset(dataset, tmp_path / "y", "csv")
