from __future__ import annotations

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacenote.errors import InputError, PacenoteError
from pacenote.scenes.scene import Camera
from pacenote.work import RunDirectory, atomic, digest, digest_tree, prepare_out, read_json, versions, write_json

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_atomic_keeps_the_old_file_when_the_block_fails(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic(target) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    with atomic(target) as partial:
        assert partial.suffix == ".txt"
        partial.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_atomic_makes_directories_and_refuses_nothing(tmp_path: Path) -> None:
    with atomic(tmp_path / "model") as partial:
        partial.mkdir()
        (partial / "w").write_text("1")
    assert (tmp_path / "model" / "w").read_text() == "1"
    with pytest.raises(PacenoteError, match="nothing was written"), atomic(tmp_path / "x"):
        pass


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(PacenoteError, match="no space left") as caught, atomic(tmp_path / "x"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "\n" not in str(caught.value)


@given(PLAIN)
def test_digest_ignores_key_order_and_survives_json(value: object) -> None:
    import json

    assert digest(value) == digest(json.loads(json.dumps(value)))
    assert len(digest(value)) == 12


def test_digest_sees_each_field() -> None:
    assert digest(Camera(0, 0, 1.4, 0)) != digest(Camera(0, 0, 1.5, 0))
    assert digest(frozenset("abc")) == digest(frozenset("cba"))
    with pytest.raises(TypeError):
        digest(object())


def test_digest_tree_sees_names_and_bytes_but_no_bookkeeping(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    first = digest_tree(tmp_path)
    (tmp_path / ".done").mkdir()
    (tmp_path / ".done" / "a.json").write_text("{}")
    assert digest_tree(tmp_path) == first
    (tmp_path / "a").rename(tmp_path / "b")
    assert digest_tree(tmp_path) != first


def test_out_is_refused_or_resumed_never_mixed(tmp_path: Path) -> None:
    out = tmp_path / "run"
    first = RunDirectory.open(out, "train", {"rate": 0.1}, seed=1)
    assert not first.resumed
    assert RunDirectory.open(out, "train", {"rate": 0.1}, seed=1).resumed
    with pytest.raises(InputError, match="other settings"):
        RunDirectory.open(out, "train", {"rate": 0.2}, seed=1)
    with pytest.raises(InputError, match="not empty"):
        prepare_out(out)
    record = first.record()
    assert record["seed"] == 1
    assert record["settings"] == {"rate": 0.1}
    assert record["versions"]["pacenote"] == versions()["pacenote"]


def test_json_errors_name_the_file(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": {1, 2}})
    assert read_json(tmp_path / "a.json") == {"b": [1, 2]}
    (tmp_path / "bad.json").write_text("{")
    for name in ("bad.json", "absent.json"):
        with pytest.raises(InputError, match=name):
            read_json(tmp_path / name)
