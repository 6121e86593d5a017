"""A sample comes back as it went in; a killed writer continues; broken files are named."""

from __future__ import annotations

import io
import os
import pickle
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacenote.advisory import CROSSROADS, LIGHT_STATES, MOVEMENTS, OBSTACLES, Light, Truth
from pacenote.data import Card, Dataset, DatasetWriter, Sample, finish_dataset, shard_name, write_shard
from pacenote.data.schema import schema
from pacenote.data.shards import GROUP_ROWS, Rejected
from pacenote.errors import InputError

from .conftest import sample

Make = Callable[..., Path]
fact = st.sampled_from([True, False, None])
light = st.one_of(
    st.none(),
    st.just(Light("none")),
    st.builds(
        Light,
        st.sampled_from(LIGHT_STATES[1:]),
        st.sampled_from(MOVEMENTS),
        st.sampled_from(("junction", "toll")),
        st.one_of(st.none(), st.tuples(st.sampled_from(LIGHT_STATES[1:]), st.sampled_from(MOVEMENTS))),
    ),
)
truths = st.builds(
    Truth,
    speed_kmh=st.one_of(st.none(), st.integers(0, 26).map(lambda i: 5 * i)),
    light=light,
    obstacles=st.fixed_dictionaries(dict.fromkeys(OBSTACLES, fact)),
    crossroad=st.fixed_dictionaries(dict.fromkeys(CROSSROADS, fact)),
)
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**50), 2**50)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
number = st.one_of(st.none(), st.floats(allow_nan=False))
samples = st.builds(
    Sample,
    id=st.text(min_size=1).filter(lambda text: text.isprintable()),
    answer=st.one_of(st.none(), st.text()),
    question=st.text(),
    truth=st.one_of(st.none(), truths),
    posterior=st.one_of(st.none(), st.just({}), st.just({"obstacles": {"cone": 0.3}, "speed": {}})),
    evidence=st.one_of(st.none(), st.dictionaries(st.text(), plain, max_size=2)),
    provenance=st.dictionaries(st.text(), plain, max_size=2),
    conditions=st.fixed_dictionaries(
        {}, optional={"weather": st.text(), "limit_kmh": st.integers(5, 130), "toll": st.text()}
    ),
    source=st.sampled_from(("mined", "imagined", "rendered", "general", "drivelm")),
    time_s=number,
    yaw_rate=number,
    drive=st.text(),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(samples, min_size=1, max_size=4, unique_by=lambda item: item.id))
def test_any_sample_round_trips(tmp_path_factory: pytest.TempPathFactory, items: list[Sample]) -> None:
    out = tmp_path_factory.mktemp("d")
    write_shard(items, out / shard_name("dev", 0, 1))
    finish_dataset(out, Card("any"))
    assert list(Dataset.open(out, "dev")) == items


def test_full_sample_round_trips_with_pictures(make_dataset: Make) -> None:
    item = sample(3)
    back = Dataset.open(make_dataset([("train", item)]))[0]
    assert back == item
    assert back.image(0).size == (64, 36)
    classes = back.class_map()
    assert classes is not None
    assert classes.dtype == np.uint8
    assert (classes == 3).all()


def test_load_dataset_opens_the_directory(make_dataset: Make, tmp_path: Path) -> None:
    import datasets

    rows = [("train", sample(i)) for i in range(5)] + [("dev", sample(10)), ("test", sample(20, images=(), truth=None))]
    path = make_dataset(rows, shard_rows=3)
    loaded = datasets.load_dataset(str(path), cache_dir=str(tmp_path / "cache"))
    assert {name: len(part) for name, part in loaded.items()} == {"train": 5, "dev": 1, "test": 1}
    row = loaded["train"][1]
    assert row["images"][0].size == (64, 36)  # a decoded PIL image
    assert row["segmentation"].getpixel((0, 0)) == 1
    assert row["truth"]["light"]["other"] == {"state": "green", "movement": "left"}
    assert row["truth"]["obstacles"]["crash"] is None
    assert row["conditions"]["weather"] == "rain"
    assert loaded["test"][0]["truth"] is None
    by_format = datasets.load_dataset("parquet", data_dir=str(path), cache_dir=str(tmp_path / "cache"))
    assert by_format["train"].num_rows == 5


def test_load_dataset_opens_a_shard_without_rows(tmp_path: Path) -> None:
    import datasets

    write_shard([sample(0)], tmp_path / "d" / shard_name("train", 0, 2))
    write_shard([], tmp_path / "d" / shard_name("train", 1, 2), [Rejected("x", "ambiguous light")])
    finish_dataset(tmp_path / "d", Card("d"))
    assert len(Dataset.open(tmp_path / "d")) == 1
    loaded = datasets.load_dataset(str(tmp_path / "d"), cache_dir=str(tmp_path / "cache"))
    assert loaded["train"].num_rows == 1


def test_features_are_those_of_hugging_face() -> None:
    import datasets

    features = datasets.Features.from_arrow_schema(schema())
    assert features.arrow_schema.metadata[b"huggingface"] == schema().metadata[b"huggingface"]
    assert isinstance(features["images"].feature, datasets.Image)
    assert isinstance(features["segmentation"], datasets.Image)


def test_random_access_reads_one_group_and_equals_iteration(
    make_dataset: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pacenote.data.dataset as module

    count = 3 * GROUP_ROWS + 5
    data = Dataset.open(make_dataset([("train", sample(i)) for i in range(count)], shard_rows=2 * GROUP_ROWS))
    reads: list[tuple[Path, int]] = []
    read_group = module.read_group

    def counted(file: Path, footer: Any, group: int) -> list[dict[str, Any]]:
        reads.append((file, group))
        return read_group(file, footer, group)

    monkeypatch.setattr(module, "read_group", counted)
    assert data[count - 1].id == f"scene-{count - 1:05d}"
    assert data[-count].id == "scene-00000"
    assert len(reads) == 2
    ids = [item.id for item in data]
    assert ids == [data[i].id for i in range(count)] == data.column("id")
    with pytest.raises(IndexError):
        data[count]
    view = pickle.loads(pickle.dumps(data.select([5, 2])))
    assert [item.id for item in view] == view.column("id") == ["scene-00005", "scene-00002"]
    shuffled = [item.id for item in data.shuffled(1)]
    assert sorted(shuffled) == ids
    assert shuffled != ids
    assert shuffled == [item.id for item in data.shuffled(1)]


def test_killed_writer_continues_and_ends_equal(tmp_path: Path) -> None:
    """kill -9 in the middle; the same calls again give the same rows, and finished shards are not written again."""
    script = textwrap.dedent("""
        import os, signal, sys
        from tests.data.conftest import sample
        from pacenote.data import Card, DatasetWriter
        writer = DatasetWriter(sys.argv[1], Card("k", recipe="r"), shard_rows=4)
        for i in range(18):
            if i == 11:
                os.kill(os.getpid(), signal.SIGKILL)
            writer.reject(f"bad-{i}", "too dark") if i % 5 == 0 else writer.add(sample(i))
    """)
    root = Path(__file__).parents[2]
    out = tmp_path / "out"
    run = subprocess.run(
        [sys.executable, "-c", script, str(out)], cwd=root, env={**os.environ, "PYTHONPATH": str(root)}
    )
    assert run.returncode == -signal.SIGKILL
    with pytest.raises(InputError, match="no finished dataset"):
        Dataset.open(out)
    with pytest.raises(InputError, match="another recipe"):
        DatasetWriter(out, Card("k", recipe="other"))
    before = {file.name: file.stat().st_mtime_ns for file in out.glob(".parts/*.parquet")}
    assert len(before) == 2
    with DatasetWriter(out, Card("k", recipe="r"), shard_rows=4) as writer:
        assert writer.has("scene-00001")
        for i in range(18):
            writer.reject(f"bad-{i}", "too dark") if i % 5 == 0 else writer.add(sample(i))
    data = Dataset.open(out, "train")
    assert data.column("id") == [f"scene-{i:05d}" for i in range(18) if i % 5]
    assert sorted(row.id for row in data.rejected()) == ["bad-0", "bad-10", "bad-15", "bad-5"]
    assert data.card["rejected"] == {"too dark": 4}
    after = {file.name[:11]: file.stat().st_mtime_ns for file in out.glob("train-*.parquet")}
    assert all(after[name[:11]] == stamp for name, stamp in before.items())
    assert not (out / ".parts").exists()


def test_killed_finish_continues(make_dataset: Make, tmp_path: Path) -> None:
    """As if killed between the renames of `finish`: some shards renamed, the rest still parts, no card yet."""
    path = make_dataset([("train", sample(i)) for i in range(9)], shard_rows=3)
    (path / ".parts").mkdir()
    (path / ".parts" / "card.json").write_text('{"recipe": "r", "seed": 0}')
    (path / ".parts" / ".train-00003.99.partial.parquet").write_bytes(b"PAR1 half a shard")
    (path / shard_name("train", 2, 3)).rename(path / ".parts" / "train-00002.parquet")
    for name in ("dataset.json", "README.md", "rejected.parquet"):
        (path / name).unlink()
    with DatasetWriter(path, Card("set", recipe="r"), shard_rows=3) as writer:
        for i in range(9):
            writer.add(sample(i))
    assert Dataset.open(path).column("id") == [f"scene-{i:05d}" for i in range(9)]
    assert not (path / ".parts").exists()


def test_writer_refuses_a_foreign_directory(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        DatasetWriter(tmp_path, Card("x"))


@pytest.mark.parametrize("cut", ["tail", "half", "empty"])
def test_truncated_shard_is_named(make_dataset: Make, cut: str) -> None:
    path = make_dataset([("train", sample(i)) for i in range(4)])
    file = path / shard_name("train", 0, 1)
    content = file.read_bytes()
    file.write_bytes({"tail": content[:-7], "half": content[: len(content) // 2], "empty": b""}[cut])
    with pytest.raises(InputError, match=r"train-00000-of-00001\.parquet: truncated or corrupt"):
        Dataset.open(path)


def test_flipped_bytes_inside_a_page_are_noticed(make_dataset: Make) -> None:
    path = make_dataset([("train", sample(i)) for i in range(4)])
    file = path / shard_name("train", 0, 1)
    content = bytearray(file.read_bytes())
    place = content.index(b"\x89PNG") + 60
    content[place] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"train-00000-of-00001\.parquet"):
        list(Dataset.open(path))


def test_missing_shard_split_and_directory_are_named(make_dataset: Make, tmp_path: Path) -> None:
    path = make_dataset([("train", sample(i)) for i in range(9)], shard_rows=3)
    with pytest.raises(InputError, match="no split 'test'; it has train"):
        Dataset.open(path, "test")
    (path / shard_name("train", 1, 3)).unlink()
    with pytest.raises(InputError, match="train-00001-of-00003"):
        Dataset.open(path)
    with pytest.raises(InputError, match="no such dataset"):
        Dataset.open("no-such-set")


def test_foreign_parquet_is_refused(make_dataset: Make) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = make_dataset([("train", sample(0))])
    pq.write_table(pa.table({"id": ["a"]}), path / shard_name("train", 0, 1))
    with pytest.raises(InputError, match="column 'images' is missing"):
        Dataset.open(path)


def test_nothing_but_rejections_is_an_error_with_the_reason(tmp_path: Path) -> None:
    writer = DatasetWriter(tmp_path / "d", Card("d"))
    writer.reject("a", "no junction in reach")
    with pytest.raises(InputError, match="no samples"):
        writer.finish()


def test_bad_values_name_the_sample() -> None:
    refused: list[tuple[dict[str, Any], str]] = [
        ({"source": "dreamt"}, "source 'dreamt'"),
        ({"image_roles": ("frame", "crop")}, "2 image_roles for 1 images"),
    ]
    for changes, words in refused:
        with pytest.raises(InputError, match=f"sample scene-00001: {words}"):
            sample(1, **changes)
    unwritable: list[tuple[dict[str, Any], str]] = [
        ({"conditions": {"light_px": "big"}}, "condition 'light_px' must be float"),
        ({"slot_weight": {"lights": 1.0}}, "slot_weight has no 'lights'"),
        ({"evidence": {"x": object()}}, "evidence cannot be written as JSON"),
    ]
    for changes, words in unwritable:
        with pytest.raises(InputError, match=words):
            write_shard([sample(1, **changes)], io.BytesIO())


def test_card_counts_are_table_1(make_dataset: Make) -> None:
    rows = [("train", sample(i, source="mined" if i < 4 else "imagined")) for i in range(6)] + [("test", sample(30))]
    path = make_dataset(rows)
    card = Dataset.open(path).card
    assert card["splits"] == {"train": {"samples": 6, "shards": 1}, "test": {"samples": 1, "shards": 1}}
    assert card["counts"]["train"]["source"] == {"mined": 4, "imagined": 2}
    assert card["counts"]["train"]["light"] == {"none": 3, "red": 3}
    assert card["counts"]["train"]["obstacles"] == {"any": 2, "unknown": 4, "cone": 2}
    assert card["counts"]["train"]["conditions"]["light_px"] == {"3-6": 6}
    assert "| Real data | 4 | 0 |" in (path / "README.md").read_text()
