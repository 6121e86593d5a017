"""Labels of others come in as they are: null stays null, no speed becomes a recommended one, bad rows are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pacenote.advisory import CROSSROADS, OBSTACLES
from pacenote.data import Dataset
from pacenote.data.importer import import_labels, import_photos, to_sample
from pacenote.data.sample import Picture
from pacenote.errors import InputError

from .conftest import picture

REAL = Path(__file__).parents[3] / "shared" / "real" / "open"


def folder(tmp_path: Path, rows: list[dict[str, Any] | str], images: tuple[str, ...]) -> Path:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number, name in enumerate(images):
        (photos / name).write_bytes(picture(number).bytes)
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (photos / "labels.jsonl").write_text("\n".join(lines) + "\n")
    return photos


nullable = st.sampled_from([True, False, None])
rows = st.fixed_dictionaries(
    {"image": st.just("a.png")},
    optional={
        "traffic_light": st.sampled_from(["red", "yellow", "green", "none", None]),
        "cones": nullable,
        "crossroad": nullable,
        "speed_kmh": st.one_of(st.none(), st.floats(0, 150)),
        "speed_kind": st.sampled_from(["vehicle_log", "speed_limit_sign"]),
    },
)


@given(rows)
def test_null_stays_null_and_no_speed_is_recommended(row: dict[str, Any]) -> None:
    item = to_sample(row, Picture(b"", "a.png"))
    truth = item.truth
    assert truth is not None
    assert truth.speed_kmh is None
    assert truth.light_state == row.get("traffic_light")
    assert (truth.light is None) == (row.get("traffic_light") != "none")
    cones = row.get("cones")
    assert truth.obstacles == {kind: cones if kind == "cone" else None for kind in OBSTACLES}
    assert truth.obstacles_any == (True if cones else None)
    crossroad = row.get("crossroad")
    assert truth.crossroad == dict.fromkeys(CROSSROADS, False if crossroad is False else None)
    assert truth.crossroad_any is crossroad
    logged = row.get("speed_kmh") is not None and row.get("speed_kind") == "vehicle_log"
    assert (item.speed_mps is not None) == logged
    if logged:
        assert item.speed_mps == pytest.approx(row["speed_kmh"] / 3.6)
    shown = row.get("speed_kmh") is not None and row.get("speed_kind") == "speed_limit_sign"
    assert ("sign_kmh" in item.conditions) == shown
    assert "limit_kmh" not in item.conditions


def test_import_keeps_rows_and_names_bad_ones(tmp_path: Path) -> None:
    images = ("a.png", "b.png", "cut.png", "empty.png", "big.png")
    source = folder(
        tmp_path,
        [
            {
                "image": "a.png",
                "traffic_light": "red",
                "cones": True,
                "crossroad": True,
                "channeliser": "drum",
                "clip": "c1",
            },
            {"image": "b.png", "speed_kmh": 36.0, "speed_kind": "vehicle_log", "source": "town"},
            {"image": "cut.png", "traffic_light": "red"},
            {"image": "empty.png"},
            {"image": "big.png"},
            {"image": "gone.png"},
            {"image": "a.png"},
            "{broken",
            {"image": "b2.png", "traffic_light": "blue"},
            {"image": "b3.png", "speed_kmh": 30},
            {"cones": True},
        ],
        images,
    )
    (source / "cut.png").write_bytes(picture(2).bytes[:-900])
    (source / "empty.png").write_bytes(b"")
    Image.new("1", (9000, 9000)).save(source / "big.png")
    data = import_photos(source, tmp_path / "out", split="test", licence="CC BY 4.0")
    assert [item.id for item in data] == ["a.png", "b.png"]
    assert data[0].conditions == {"channeliser": "drum"}
    assert data[0].drive == "c1"
    assert data[0].licence == "CC BY 4.0"
    assert data[0].images[0].bytes == picture(0).bytes  # stored as it was, not encoded again
    assert data[1].speed_mps == pytest.approx(10)
    assert data[1].provenance["labels"]["source"] == "town"
    reasons = {row.id: row.reason for row in data.rejected()}
    assert set(reasons) == {
        "cut.png", "empty.png", "big.png", "gone.png", "labels.jsonl:7", "labels.jsonl:8",
        "b2.png", "b3.png", "labels.jsonl:11",
    }  # fmt: skip
    assert "not a readable image" in reasons["cut.png"]
    assert "empty" in reasons["empty.png"]
    assert reasons["big.png"] == "huge image"
    assert "No such file" in reasons["gone.png"]
    assert reasons["labels.jsonl:7"] == "its image occurs twice"
    assert "'blue' is not red" in reasons["b2.png"]
    assert "speed_kind None" in reasons["b3.png"]
    assert reasons["labels.jsonl:11"] == "no 'image'"


def test_a_part_of_a_collection_names_images_from_above(tmp_path: Path) -> None:
    part = folder(tmp_path, [{"image": "photos/a.png", "cones": True}], ("a.png",))
    photos = import_labels(part)
    assert len(photos) == 1 and not photos.rejected
    assert photos[0].truth.obstacles["cone"] is True


def test_plain_photos_are_upright_and_unknown(tmp_path: Path) -> None:
    (tmp_path / "p" / "sub").mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.new("RGB", (40, 20)).save(tmp_path / "p" / "sub" / "turned.jpg", exif=exif)
    Image.new("RGB", (40, 20), "red").save(tmp_path / "p" / "old.bmp")
    (tmp_path / "p" / "notes.txt").write_text("not a photo")
    data = import_photos(tmp_path / "p", tmp_path / "out")
    assert [item.id for item in data] == ["old.bmp", "sub/turned.jpg"]
    assert data[1].image().size == (20, 40)
    assert data[0].images[0].bytes.startswith(b"\x89PNG")
    assert data[0].truth is not None
    assert data[0].truth.advisory().light is None


@pytest.mark.parametrize(
    ("text", "words"), [("", "file is empty"), ("[1]\n", "not a JSON object"), ("\xff", "no usable row")]
)
def test_useless_labels_are_one_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "labels.jsonl").write_text(text)
    with pytest.raises(InputError, match=words):
        import_labels(tmp_path)
    (tmp_path / "labels.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        import_labels(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        import_photos(tmp_path / "nowhere", tmp_path / "out")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.text(max_size=20), st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(st.sampled_from(["image", "traffic_light", "cones", "speed_kmh", "clip"]), inner),
    max_leaves=5).map(json.dumps)), max_size=5))  # fmt: skip
def test_any_labels_file_gives_rows_or_one_line(tmp_path: Path, lines: list[str]) -> None:
    (tmp_path / "labels.jsonl").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(InputError):
        import_labels(tmp_path)  # no image of that name exists, so there is never a usable row


def test_real_labels_come_in_whole(tmp_path: Path) -> None:
    if not (REAL / "labels.jsonl").is_file():
        pytest.skip("the real photos are not here")
    source = REAL / "s2tld_shanghai"
    wanted = [json.loads(line) for line in (source / "labels.jsonl").read_text().splitlines()]
    labels = tmp_path / "labels.jsonl"
    labels.write_text("\n".join(json.dumps(row | {"image": str(REAL / row["image"])}) for row in wanted))
    data = import_photos(labels, tmp_path / "out")
    assert len(data) == len(wanted)
    assert data.rejected() == []
    for row, item in zip(wanted, data, strict=True):
        assert item.truth is not None
        assert item.truth.light_state == row["traffic_light"]
        assert item.truth.crossroad_any == row["crossroad"]
    assert Dataset.open(tmp_path / "out", "test").card["counts"]["test"]["speed"] == {"unknown": len(wanted)}
