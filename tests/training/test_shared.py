"""Directories that trainings share: one a content, held by one process at a time, never half written unseen."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from pacenote.errors import PacenoteError
from pacenote.training.shared import Shared, allocate, stamp


def test_a_place_belongs_to_its_key_and_others_wait(tmp_path: Path) -> None:
    one, other = Shared(tmp_path, ["rows", 1]), Shared(tmp_path, ["rows", 2])
    order: list[str] = []

    def second() -> None:
        with one.place("sights", "teacher", 3) as place:
            order.append(f"second {sorted(p.name for p in place.iterdir() if p.suffix)}")

    with one.place("sights", "teacher", 3) as first:
        thread = threading.Thread(target=second)
        thread.start()
        with other.place("sights", "teacher", 3) as foreign:  # another key is free
            assert foreign != first
        with one.place("sights", "teacher", 4) as foreign:
            assert foreign != first
        thread.join(0.2)
        assert thread.is_alive()
        (first / "made.npy").touch()
        order.append("first")
    thread.join()
    assert order == ["first", "second ['made.npy']"]


def test_a_stamp_changes_with_the_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    before = stamp(tmp_path)
    assert stamp(tmp_path) == before
    (tmp_path / ".lock").write_text("")
    assert stamp(tmp_path) == before
    (tmp_path / "a").write_text("12")
    changed = stamp(tmp_path)
    assert changed != before
    os.utime(tmp_path / "a", ns=(0, 0))
    assert stamp(tmp_path) != changed
    assert stamp(Path("owner/name")) != stamp(Path("owner/other"))  # hub ids


def test_a_full_disk_is_told_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = allocate(tmp_path / "a.npy", np.uint8, (3, 5))
    array[:] = 7
    array.flush()
    assert (np.load(tmp_path / "a.npy") == 7).all() and (tmp_path / "a.npy").stat().st_blocks

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(PacenoteError, match=r"b\.npy: no space left"):
        allocate(tmp_path / "b.npy", np.uint8, (3, 5))
    assert not (tmp_path / "b.npy").exists()
