"""The one executor: shard in, atomic file out, marker last. In process, in spawned processes, or on a Ray cluster.

A worker process lives for the whole call, so whatever a function keeps in module globals (a Blender process, a
loaded model) is made once per worker. A shard whose worker dies runs again, a bounded number of times. Nothing of a
finished shard is ever redone: after Ctrl-C, kill -9 or a full disk the same call continues.
"""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pacenote.errors import InputError, PacenoteError
from pacenote.work.files import digest, disk_full, locked, publish, read_json, remove, write_json
from pacenote.work.progress import bar, say

RETRIES = 2  # runs of a shard after its worker died for the first time
DONE = ".done"
PARTIAL = ".partial"


@dataclass(frozen=True)
class Shard:
    """One unit of work. `name` is the file name of its result; `payload` is plain data (see `digest`)."""

    name: str
    payload: Any


@dataclass(frozen=True)
class ShardResult:
    """A finished shard: its file, what the function returned, and whether it was there already."""

    name: str
    path: Path
    stats: dict[str, Any]
    skipped: bool


ShardFunction = Callable[[Shard, Path], dict[str, Any]]


def run_shards(
    function: ShardFunction,
    shards: Sequence[Shard],
    out: str | Path,
    *,
    workers: int = 1,
    ray: str | None = None,
    label: str = "",
    retries: int = RETRIES,
) -> list[ShardResult]:
    """Run `function(shard, partial) -> stats` for every shard; results in the order of `shards`.

    The function writes the file `partial` (same suffix as the shard's name) and returns JSON-able stats; the file is
    then renamed to `out/name` and the marker `out/.done/name.json` is written last. Finished shards are skipped; one
    that was made from another payload is refused with InputError, so that outputs never mix.

    workers: 1 runs in this process; more run in spawned processes, for which `function` must be importable.
    ray: address of a Ray cluster ("auto", "local" or host:port); `out` must then be on a file system that all see.
    Raises what the function raised; PacenoteError when a shard killed its worker `retries + 1` times.
    """
    out = Path(out)
    names = [shard.name for shard in shards]
    if len(set(names)) != len(names) or any("/" in name or name.startswith(".") for name in names):
        raise ValueError("shard names must be unique plain file names")
    (out / DONE).mkdir(parents=True, exist_ok=True)
    with locked(out):
        remove(out / PARTIAL)
        finished = {shard.name: result for shard in shards if (result := _finished(shard, out))}
        todo = [shard for shard in shards if shard.name not in finished]
        with bar(label, len(shards), len(finished)) as advance:
            if ray is not None:
                stream = _on_ray(function, todo, out, ray, retries)
            elif workers > 1 and len(todo) > 1:
                stream = _in_processes(function, todo, out, min(workers, len(todo)), retries)
            else:
                stream = ((shard.name, run_one(function, shard, out)) for shard in todo)
            for name, stats in stream:
                finished[name] = ShardResult(name, out / name, stats, skipped=False)
                advance(1)
        remove(out / PARTIAL)
    return [finished[name] for name in names]


def run_one(function: ShardFunction, shard: Shard, out: Path) -> dict[str, Any]:
    """Make one shard: partial file, rename, marker. Runs in whichever process does the work."""
    partial = out / PARTIAL / f"{os.getpid()}-{shard.name}"
    partial.parent.mkdir(parents=True, exist_ok=True)
    remove(partial)
    try:
        stats = function(shard, partial)
        if not partial.exists():
            raise PacenoteError(f"{out / shard.name}: the work wrote nothing")
        publish(partial, out / shard.name)
        write_json(_marker(out, shard.name), {"payload": digest(shard.payload), "stats": stats})
        return stats
    except OSError as error:
        raise disk_full(error, out / shard.name) or error from error
    finally:
        remove(partial)


def _marker(out: Path, name: str) -> Path:
    return out / DONE / f"{name}.json"


def _finished(shard: Shard, out: Path) -> ShardResult | None:
    marker = _marker(out, shard.name)
    if not (marker.is_file() and (out / shard.name).exists()):
        return None
    held = read_json(marker)
    if held["payload"] != digest(shard.payload):
        raise InputError(f"{out / shard.name} was made with other settings; give a new --out or delete {out}")
    return ShardResult(shard.name, out / shard.name, held["stats"], skipped=True)


# --- processes ---------------------------------------------------------------------------------------------------


class _Remote(Exception):
    """Carries the traceback text of a worker as the cause of the exception that is raised here."""

    def __str__(self) -> str:
        return "\n" + str(self.args[0])


def _worker(connection: Any, function: ShardFunction, out: Path) -> None:
    """Loop of a worker process: receive shards until None or the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143) if _ending.is_set() else _end())
    threading.Thread(target=_follow_parent, daemon=True).start()
    with suppress(EOFError, OSError):
        while (shard := connection.recv()) is not None:
            try:
                answer: tuple[Any, ...] = ("done", run_one(function, shard, out))
            except Exception as error:  # noqa: BLE001 - the parent raises it again
                known = error if isinstance(error, PacenoteError) else None
                answer = ("failed", known, f"{type(error).__name__}: {error}", traceback.format_exc())
            connection.send(answer)


_ending = threading.Event()


def _end() -> None:
    _ending.set()
    raise SystemExit(143)  # so that `finally` and atexit close what the worker holds


def _follow_parent() -> None:
    import multiprocessing

    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
        if not _ending.wait(5):
            os._exit(143)


@dataclass
class _Slot:
    process: Any
    connection: Any
    shard: Shard | None = None


def _in_processes(
    function: ShardFunction, todo: Sequence[Shard], out: Path, workers: int, retries: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    import multiprocessing
    from multiprocessing.connection import wait

    context = multiprocessing.get_context("spawn")
    queue = list(reversed(todo))
    deaths: dict[str, int] = {}
    slots: list[_Slot] = []

    def start() -> _Slot:
        ours, theirs = context.Pipe()
        process = context.Process(target=_worker, args=(theirs, function, out), daemon=False)
        process.start()
        theirs.close()  # so that recv() here ends when the worker dies
        return _Slot(process, ours)

    def feed(slot: _Slot) -> None:
        slot.shard = queue.pop() if queue else None
        with suppress(OSError):  # it died just now: recv() will tell
            slot.connection.send(slot.shard)

    try:
        for _ in range(workers):
            slots.append(start())
            feed(slots[-1])
        while busy := [slot for slot in slots if slot.shard is not None]:
            ready = wait([slot.connection for slot in busy])
            for slot in [slot for slot in busy if slot.connection in ready]:
                shard = slot.shard
                assert shard is not None
                try:
                    answer = slot.connection.recv()
                except (EOFError, OSError):
                    slot.process.join()
                    _count_death(shard, deaths, retries, slot.process.exitcode, out)
                    queue.append(shard)
                    slots[slots.index(slot)] = fresh = start()
                    slot.connection.close()
                    feed(fresh)
                    continue
                if answer[0] == "failed":
                    _, known, line, trace = answer
                    raise (known or PacenoteError(f"{out / shard.name}: {line}")) from _Remote(trace)
                feed(slot)
                yield shard.name, answer[1]
    finally:
        _stop(slots)


def _count_death(shard: Shard, deaths: dict[str, int], retries: int, code: int | None, out: Path) -> None:
    deaths[shard.name] = deaths.get(shard.name, 0) + 1
    why = f"signal {-code}" if code is not None and code < 0 else f"exit {code}"
    if deaths[shard.name] > retries:
        raise PacenoteError(
            f"{out / shard.name}: its worker died {deaths[shard.name]} times ({why}); "
            "if memory ran out, use fewer --workers"
        )
    say(f"a worker died ({why}); {shard.name} runs again")


def _stop(slots: Sequence[_Slot]) -> None:
    for slot in slots:
        slot.connection.close()  # an idle worker leaves at once
        if slot.shard is not None:
            slot.process.terminate()
    for slot in slots:
        slot.process.join(10)
        if slot.process.is_alive():
            slot.process.kill()
            slot.process.join()


# --- Ray ---------------------------------------------------------------------------------------------------------


def _reachable(address: str) -> None:
    """InputError when nothing listens at host:port; Ray itself would wait for minutes and then abort the process."""
    import socket

    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        if address in ("auto", "local"):
            return
        raise InputError(f"--ray {address}: give auto, local or host:port")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except OSError as error:
        raise InputError(f"--ray {address}: no cluster answers there ({error.strerror or error})") from None


def _on_ray(
    function: ShardFunction, todo: Sequence[Shard], out: Path, address: str, retries: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        import ray
    except ImportError:
        raise InputError("--ray needs the ray package: pip install 'pacenote[ray]'") from None
    _reachable(address)
    try:
        ray.init(address=address, ignore_reinit_error=True, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise InputError(f"--ray {address}: no cluster there ({str(error).splitlines()[0]})") from None
    remote = ray.remote(max_retries=retries)(run_one)
    target = out.resolve()
    pending = {remote.remote(function, shard, target): shard for shard in todo}
    try:
        while pending:
            ready, _ = ray.wait(list(pending), num_returns=1)
            shard = pending.pop(ready[0])
            try:
                yield shard.name, ray.get(ready[0])
            except ray.exceptions.RayTaskError as error:
                cause = error.cause
                if isinstance(cause, PacenoteError):
                    raise cause from None
                raise PacenoteError(f"{out / shard.name}: {type(cause).__name__}: {cause}") from error
            except ray.exceptions.WorkerCrashedError:
                raise PacenoteError(f"{out / shard.name}: its worker died {retries + 1} times") from None
    finally:
        for reference in pending:
            ray.cancel(reference, force=True)
        ray.shutdown()
