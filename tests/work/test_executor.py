from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pacenote.errors import InputError, PacenoteError
from pacenote.work import Shard, run_shards
from pacenote.work.executor import RETRIES

_calls = 0  # state of the process that runs the shards


def square(shard: Shard, partial: Path) -> dict[str, object]:
    global _calls
    _calls += 1
    partial.write_text(str(shard.payload**2))
    return {"calls": _calls, "pid": os.getpid()}


def die_once(shard: Shard, partial: Path) -> dict[str, object]:
    flag = Path(shard.payload["flag"])
    if shard.payload["dies"] and not flag.exists():
        flag.write_text("")
        partial.write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
    partial.write_text("whole")
    return {}


def always_die(shard: Shard, partial: Path) -> dict[str, object]:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def fail(shard: Shard, partial: Path) -> dict[str, object]:
    if shard.payload == "input":
        raise InputError("bad.yaml: mend it")
    if shard.payload == "full":
        raise OSError(28, "No space left on device")
    raise ZeroDivisionError("oops")


def slow(shard: Shard, partial: Path) -> dict[str, object]:
    time.sleep(0.2)
    partial.write_text(str(os.getpid()))
    return {}


def shards(n: int) -> list[Shard]:
    return [Shard(f"s{i}.txt", i) for i in range(n)]


def names(out: Path) -> set[str]:
    return {p.name for p in out.iterdir() if not p.name.startswith(".")}


@pytest.mark.parametrize("workers", [1, 2])
def test_results_are_the_same_with_any_number_of_workers(tmp_path: Path, workers: int) -> None:
    results = run_shards(square, shards(5), tmp_path, workers=workers)
    assert [r.path.read_text() for r in results] == ["0", "1", "4", "9", "16"]
    assert [r.name for r in results] == [s.name for s in shards(5)]
    again = run_shards(square, shards(6), tmp_path, workers=workers)
    assert [r.skipped for r in again] == [True] * 5 + [False]
    assert again[2].stats == results[2].stats
    assert not (tmp_path / ".partial").exists()


def test_a_worker_keeps_its_state_between_shards(tmp_path: Path) -> None:
    results = run_shards(square, shards(6), tmp_path, workers=2)
    assert max(r.stats["calls"] for r in results) > 1
    assert os.getpid() not in {r.stats["pid"] for r in results}


def test_a_killed_worker_loses_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    work = [Shard(f"{i}.txt", {"dies": i == 1, "flag": str(tmp_path / "flag")}) for i in range(4)]
    results = run_shards(die_once, work, out, workers=2)
    assert {r.path.read_text() for r in results} == {"whole"}
    assert (tmp_path / "flag").exists()


def test_a_shard_that_always_kills_its_worker_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(PacenoteError, match=f"died {RETRIES + 1} times.*signal 9"):
        run_shards(always_die, shards(2), tmp_path, workers=2)


@pytest.mark.parametrize("workers", [1, 2])
def test_failures_come_back_as_they_are(tmp_path: Path, workers: int) -> None:
    def run(payload: str) -> None:
        run_shards(fail, [Shard(f"{payload}{i}", payload) for i in range(2)], tmp_path, workers=workers)

    with pytest.raises(InputError, match=r"^bad\.yaml: mend it$"):
        run("input")
    with pytest.raises(PacenoteError, match="no space left"):
        run("full")
    with pytest.raises((ZeroDivisionError, PacenoteError), match="oops"):
        run("bug")
    assert names(tmp_path) == set()


def test_other_settings_are_never_mixed_in(tmp_path: Path) -> None:
    run_shards(square, [Shard("a", 1)], tmp_path)
    with pytest.raises(InputError, match="other settings"):
        run_shards(square, [Shard("a", 2)], tmp_path)


def test_ray_gives_the_same_results(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the ray extra is not installed")
    results = run_shards(square, shards(4), tmp_path, ray="local")
    assert [r.path.read_text() for r in results] == ["0", "1", "4", "9"]


def test_a_killed_ray_worker_loses_nothing(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the ray extra is not installed")
    out = tmp_path / "out"
    work = [Shard(f"{i}.txt", {"dies": i == 1, "flag": str(tmp_path / "flag")}) for i in range(4)]
    assert {r.path.read_text() for r in run_shards(die_once, work, out, ray="local")} == {"whole"}
    assert (tmp_path / "flag").exists() and not (out / ".partial").exists()
    with pytest.raises(PacenoteError, match=f"died {RETRIES + 1} times"):
        run_shards(always_die, shards(1), tmp_path / "never", ray="local")


def test_a_ray_cluster_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the ray extra is not installed")
    for address, line in (("127.0.0.1:1", "no cluster answers"), ("nonsense", "host:port")):
        with pytest.raises(InputError, match=line):
            run_shards(square, shards(1), tmp_path, ray=address)


SCRIPT = """
import sys
from pathlib import Path
from pacenote.work import run_shards
from tests.work.test_executor import shards, slow
if __name__ == "__main__":
    run_shards(slow, shards(40), Path(sys.argv[1]), workers=2)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_resume_after_the_command_is_killed(tmp_path: Path, how: signal.Signals) -> None:
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    out = tmp_path / "out"
    root = Path(__file__).parents[2]
    env = os.environ | {"PYTHONPATH": str(root)}
    child = subprocess.Popen(
        [sys.executable, str(script), str(out)], env=env, start_new_session=True, stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )  # fmt: skip
    deadline = time.monotonic() + 180
    while not (out.is_dir() and len(names(out)) >= 3):
        assert time.monotonic() < deadline, "the run did not start"
        time.sleep(0.05)
    os.kill(child.pid, how) if how == signal.SIGKILL else os.killpg(child.pid, how)
    child.wait(60)
    deadline = time.monotonic() + 60
    while True:  # workers of a killed command leave by themselves
        try:
            os.killpg(child.pid, 0)
        except ProcessLookupError:
            break
        assert time.monotonic() < deadline, "workers outlived the command"
        time.sleep(0.1)
    finished = {name: (out / name).read_text() for name in names(out)}
    assert 3 <= len(finished) < 40
    results = run_shards(square, [Shard(s.name, s.payload) for s in shards(40)], out)
    assert sum(r.skipped for r in results) >= len(finished) - 2  # a file without its marker is made again
    assert all(r.path.exists() for r in results)
    assert not (out / ".partial").exists()
