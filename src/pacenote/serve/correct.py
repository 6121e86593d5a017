"""The page of `pacenote data correct`: a small HTTP server on this machine alone, for one person's browser.

It listens on 127.0.0.1; every address starts with a random token, and a request under another host's name is refused,
so that no web page of another origin can read frames or decide. The page loads nothing from elsewhere.
"""

from __future__ import annotations

import io
import json
import secrets
import threading
from functools import lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pacenote.advisory import CROSSROADS, LIGHT_STATES, MOVEMENTS, OBSTACLES, PLACES, SLOTS, SPEEDS, Truth, kind_words
from pacenote.data.correct import Decisions, Item, apply, changed, queue
from pacenote.data.dataset import Dataset
from pacenote.data.doubt import LEAST, signs, slot_values, votes
from pacenote.data.sample import Picture, Sample
from pacenote.errors import InputError, PacenoteError

HOST = "127.0.0.1"
AROUND = 4  # frames before and after in the strip
THUMBNAIL = (200, 120)  # px, at most
MOST_BODY = 1 << 16  # bytes of a request
_KINDS = {b"\xff\xd8": "image/jpeg", b"\x89P": "image/png", b"RI": "image/webp"}
_SHOWN = ("weather", "time", "road_class", "limit_kmh", "light_px", "light_m")  # conditions, the rest on demand


class Session:
    """What the page shows and does, as plain data: the queue, one sample, a decision, the end."""

    def __init__(
        self, dataset: Dataset, decisions: Decisions, who: str, *, limit: int | None = None, only_checked: bool = False
    ) -> None:
        self.dataset, self.decisions, self.who, self.only_checked = dataset, decisions, who, only_checked
        self.items = queue(dataset, limit)
        if not self.items:
            raise InputError(f"{dataset.path}: no sample with a truth to correct; give a labelled dataset")
        self.finished: Dataset | None = None
        self._place = {item.row: place for place, item in enumerate(self.items)}
        self._groups = _groups(self.items if limit is None else queue(dataset))
        self.thumbnail = lru_cache(maxsize=512)(self._thumbnail)

    def overview(self) -> dict[str, Any]:
        """The vocabulary, and for each item its id, suspicion and verdict."""
        standing = self.decisions.standing()
        verdicts = [standing[item.id].verdict if item.id in standing else None for item in self.items]
        return {
            "name": self.dataset.card["name"], "who": self.who, "out": str(self.decisions.path.parent),
            "only_checked": self.only_checked, "ids": [item.id for item in self.items], "verdicts": verdicts,
            "suspicion": [round(item.suspicion, 4) for item in self.items],
            "words": {
                "speed": list(SPEEDS), "light": list(LIGHT_STATES), "movement": list(MOVEMENTS), "place": list(PLACES),
                "obstacles": list(OBSTACLES), "crossroad": list(CROSSROADS),
                "names": {kind: kind_words(kind) for kind in (*OBSTACLES, *CROSSROADS)},
            },
        }  # fmt: skip

    def sample(self, place: int) -> dict[str, Any]:
        """All that the page shows of item number `place`."""
        item = self.items[place]
        sample = self.dataset[item.row]
        assert sample.truth is not None
        decision = self.decisions.standing().get(item.id)
        now = Truth.from_dict(decision.truth) if decision is not None and decision.truth else sample.truth
        return {
            "id": sample.id, "row": item.row, "source": sample.source, "task": sample.task, "answer": sample.answer,
            "verdict": decision.verdict if decision else None, "who": decision.who if decision else None,
            "truth": now.to_dict(), "old": sample.truth.to_dict(),
            "signs": [[sign.slot, sign.weight, sign.words] for sign in signs(sample) if sign.weight >= LEAST],
            "posterior": {slot: _sorted(values) for slot, values in (sample.posterior or {}).items()},
            "votes": {slot: _votes(sample, slot) for slot in SLOTS},
            "images": [f"{role} {camera}" for role, camera in zip(sample.image_roles, sample.cameras, strict=True)],
            "boxes": [_box(thing) for thing in (sample.evidence or {}).get("objects", ()) if thing.get("box")],
            "facts": _facts(sample), "about": str((sample.evidence or {}).get("description") or ""),
            "rules": [str(rule) for rule in (sample.evidence or {}).get("rules", ())],
            "around": self._around(item),
        }  # fmt: skip

    def _around(self, item: Item) -> list[dict[str, Any]]:
        """The frames before and after in the same drive: row, seconds from this one, and place in the queue."""
        if not item.group or item.time_s is None:
            return []
        group = self._groups[item.group]
        own = next(index for index, other in enumerate(group) if other.row == item.row)
        near = group[max(0, own - AROUND) : own + AROUND + 1]
        return [
            {"row": other.row, "dt": (other.time_s or 0.0) - item.time_s, "place": self._place.get(other.row)}
            for other in near
        ]

    def decide(self, place: int, verdict: str, truth: dict[str, Any] | None) -> dict[str, Any]:
        """Raises ValueError on a truth that contradicts itself, an unknown verdict or place."""
        if not 0 <= place < len(self.items):
            raise ValueError(f"no item {place}")
        sample = self.dataset[self.items[place].row]
        decision = self.decisions.decide(sample, verdict, None if truth is None else Truth.from_dict(truth), self.who)
        slots = changed(sample.truth, Truth.from_dict(decision.truth)) if sample.truth and decision.truth else []
        return {"place": place, "verdict": decision.verdict, "slots": slots}

    def undo(self) -> dict[str, Any]:
        """The place whose decision was taken back (None: there was none, or not in this queue), what stands there."""
        undone = self.decisions.undo(self.who)
        if undone is None:
            return {"place": None, "id": None}
        place = next((k for k, item in enumerate(self.items) if item.id == undone.id), None)
        before = self.decisions.standing().get(undone.id)
        return {"place": place, "id": undone.id, "verdict": before.verdict if before else None}

    def finish(self) -> dict[str, Any]:
        """Write the new version."""
        self.finished = apply(self.dataset, self.decisions, only_checked=self.only_checked)
        return {"path": str(self.finished.path), **self.finished.card["notes"]["corrected"]}

    def picture(self, row: int, index: int) -> Picture:
        return self.dataset[row].images[index]

    def _thumbnail(self, row: int) -> bytes:
        image = self.dataset[row].image()
        image.thumbnail(THUMBNAIL)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=80)
        return buffer.getvalue()


def _groups(items: list[Item]) -> dict[str, list[Item]]:
    groups: dict[str, list[Item]] = {}
    for item in sorted((item for item in items if item.time_s is not None), key=lambda item: item.time_s or 0.0):
        groups.setdefault(item.group, []).append(item)
    return groups


def _sorted(values: Any) -> list[list[Any]]:
    return [[value, p] for value, p in sorted(values.items(), key=lambda pair: -pair[1])]


def _votes(sample: Sample, slot: str) -> dict[str, list[Any]]:
    """Source -> [what it said, whether the label says so, too (None: the label is not known)]."""
    values = slot_values(sample.truth).get(slot)
    label = ", ".join(sorted(map(kind_words, values))) if values else None
    return {source: [said, None if label is None else said == label] for source, said in votes(sample, slot).items()}


def _box(thing: dict[str, Any]) -> dict[str, Any]:
    words = " ".join(str(thing.get(name) or "").replace("_", " ") for name in ("kind", "state")).strip()
    return {"box": thing["box"], "words": words, "stated": thing.get("stated"), "why": str(thing.get("reason") or "")}


def _facts(sample: Sample) -> list[str]:
    facts = [
        f"{name.replace('_', ' ')} {_short(sample.conditions[name])}" for name in _SHOWN if name in sample.conditions
    ]
    facts += [f"own speed {3.6 * sample.speed_mps:.0f} km/h"] if sample.speed_mps is not None else []
    facts += [f"acceleration {sample.accel_mps2:+.1f} m/s²"] if sample.accel_mps2 is not None else []
    facts += [f"drive {sample.drive}"] if sample.drive else []
    return facts + ([f"at {sample.time_s:.2f} s"] if sample.time_s is not None else [])


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


class Page:
    """The server of a session. `url` is its address; `serve` runs until Finish, or until it is interrupted."""

    def __init__(self, session: Session, port: int = 0) -> None:
        self.session, self.token, self.nonce = session, secrets.token_hex(16), secrets.token_hex(8)
        page = self

        class Handler(_Handler):
            owner = page

        try:
            self._server = ThreadingHTTPServer((HOST, port), Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InputError(f"--port {port}: cannot listen there ({reason}); give another, or 0 for any") from None
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._server.server_address[1]}/{self.token}/"

    def serve(self) -> None:
        try:
            self._server.serve_forever(poll_interval=0.2)
        finally:
            self._server.server_close()

    def stop(self) -> None:
        """End `serve` from another thread, once the answer under way is out."""
        threading.Thread(target=self._server.shutdown, daemon=True).start()

    def html(self) -> bytes:
        here = Path(__file__).parent
        text = (here / "correct.html").read_text(encoding="utf-8")
        style = (here / "correct.css").read_text(encoding="utf-8")
        return text.replace("/*STYLE*/", style).replace("NONCE", self.nonce).encode()


class _Handler(BaseHTTPRequestHandler):
    owner: Page
    server_version, sys_version = "pacenote", ""

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def _answer(self, method: Any) -> None:
        """One JSON line with the reason where a request cannot be answered; never a trace."""
        try:
            method(self._route())
        except _Refused as error:
            self._json({"error": error.args[1]}, error.args[0])
        except (ValueError, KeyError, IndexError, TypeError) as error:
            self._json({"error": f"bad request: {error}"}, HTTPStatus.BAD_REQUEST)
        except (PacenoteError, OSError) as error:
            self._json({"error": str(error)}, HTTPStatus.INTERNAL_SERVER_ERROR)

    def _route(self) -> list[str]:
        """The parts of the path after the token. A name of another host is how a foreign page would get here."""
        host = urlsplit("//" + (self.headers.get("Host") or "")).hostname
        if host not in (HOST, "localhost"):
            raise _Refused(HTTPStatus.FORBIDDEN, "wrong host")
        token, *parts = urlsplit(self.path).path.lstrip("/").split("/")
        if not secrets.compare_digest(token.encode(), self.owner.token.encode()):
            raise _Refused(HTTPStatus.NOT_FOUND, "no such page: take the whole address that the command printed")
        return parts

    def _get(self, parts: list[str]) -> None:
        session = self.owner.session
        match parts:
            case [""]:
                self._send(self.owner.html(), "text/html; charset=utf-8")
            case ["queue"]:
                self._json(session.overview())
            case ["sample", place]:
                self._json(session.sample(int(place)))
            case ["image", row, index]:
                picture = session.picture(int(row), int(index))
                self._send(picture.bytes, _KINDS.get(picture.bytes[:2], "application/octet-stream"), keep=True)
            case ["thumbnail", row]:
                self._send(session.thumbnail(int(row)), "image/jpeg", keep=True)
            case _:
                raise _Refused(HTTPStatus.NOT_FOUND, "no such page")

    def _post(self, parts: list[str]) -> None:
        session, body = self.owner.session, self._body()
        match parts:
            case ["decide"]:
                self._json(session.decide(int(body["place"]), body["verdict"], body.get("truth")))
            case ["undo"]:
                self._json(session.undo())
            case ["finish"]:
                self._json(session.finish())
                self.owner.stop()
            case _:
                raise _Refused(HTTPStatus.NOT_FOUND, "no such page")

    def _body(self) -> dict[str, Any]:
        length = int(self.headers.get("Content-Length") or 0)
        if self.headers.get_content_type() != "application/json" or not 0 < length <= MOST_BODY:
            raise _Refused(HTTPStatus.BAD_REQUEST, "give a JSON object")
        body = json.loads(self.rfile.read(length))
        if not isinstance(body, dict):
            raise ValueError("give a JSON object")
        return body

    def _json(self, value: Any, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._send(json.dumps(value).encode(), "application/json", status)

    def _send(self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK, *, keep: bool = False) -> None:
        nonce = self.owner.nonce
        policy = f"default-src 'none'; img-src 'self' data:; connect-src 'self'; style-src 'nonce-{nonce}'; "
        policy += f"script-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Cache-Control": "private, max-age=3600" if keep else "no-store",
            "Content-Security-Policy": policy,
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):  # the browser went on to the next frame
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Quiet: the token is in every line."""


class _Refused(Exception):
    """(status, reason)."""
