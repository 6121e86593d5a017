"""The page answers only who has the whole address; what is decided there is stored, and Finish writes it."""

from __future__ import annotations

import io
import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pacenote.advisory import Light, Truth
from pacenote.data import Card, Dataset, DatasetWriter, Picture, Sample
from pacenote.data.correct import DECISIONS_FILE, Decisions, decisions_on
from pacenote.errors import InputError
from pacenote.serve.correct import Page, Session


def frame(k: int, drive: str) -> Sample:
    picture = Picture.encode(Image.new("RGB", (64, 36), (9 * k, 80, 40)), f"{k}.jpg")
    votes = {"light": {"vlm": "red", "look": "green" if k == 3 else "red"}}
    thing = {"id": 1, "kind": "traffic_light", "state": "red", "box": [1, 2, 9, 8], "stated": None, "reason": "small"}
    return Sample(
        f"{drive}-{k}", (picture,), truth=Truth(50, Light("red", "left")), posterior={"light": {"red": 1 - k / 20}},
        drive=drive, time_s=k / 2, speed_mps=10.0, source="mined", provenance={"votes": votes},
        evidence={"objects": [thing], "description": "a <street>"}, conditions={"weather": "rain"},
    )  # fmt: skip


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[Dataset, Decisions]]:
    with DatasetWriter(tmp_path / "set", Card("set", recipe="r")) as writer:
        for k in range(6):
            writer.add(frame(k, "one"))
        writer.add(frame(9, "two"))
    dataset = Dataset.open(tmp_path / "set")
    with decisions_on(dataset, tmp_path / "new") as decisions:
        yield dataset, decisions


@pytest.fixture
def page(opened: tuple[Dataset, Decisions]) -> Iterator[Page]:
    server = Page(Session(*opened, who="ada"))
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield server
    server.stop()
    thread.join(5)
    assert not thread.is_alive()


def ask(url: str, body: Any = None, **headers: str) -> Any:
    data = None if body is None else json.dumps(body).encode()
    kind = {"Content-Type": "application/json"} if data else {}
    with urllib.request.urlopen(urllib.request.Request(url, data, kind | headers), timeout=10) as answer:
        content: bytes = answer.read()
        return json.loads(content) if answer.headers.get_content_type() == "application/json" else content


def refused(url: str, body: Any = None, **headers: str) -> tuple[int, str]:
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(url, body, **headers)
    return caught.value.code, json.loads(caught.value.read())["error"]


def test_a_whole_session(page: Page, opened: tuple[Dataset, Decisions]) -> None:
    url, (_, decisions) = page.url, opened
    overview = ask(url + "queue")
    assert overview["ids"][0] == "one-3"  # a source disagrees there
    assert overview["ids"][1] == "two-9"
    shown = ask(url + "sample/0")
    assert shown["votes"]["light"] == {"vlm": ["red", True], "look": ["green", False]}
    assert shown["posterior"]["light"] == [["red", 0.85]]
    assert [near["dt"] for near in shown["around"]] == [-1.5, -1.0, -0.5, 0.0, 0.5, 1.0]
    assert [overview["ids"][near["place"]] for near in shown["around"]] == [f"one-{k}" for k in range(6)]
    assert Image.open(io.BytesIO(ask(f"{url}image/{shown['row']}/0"))).size == (64, 36)
    assert Image.open(io.BytesIO(ask(f"{url}thumbnail/{shown['row']}"))).size == (64, 36)

    fixed = shown["truth"] | {"light": {"state": "green", "movement": "left"}, "light_state": "green"}
    assert ask(url + "decide", {"place": 0, "verdict": "accept", "truth": fixed}) == {
        "place": 0, "verdict": "fix", "slots": ["light"],
    }  # fmt: skip
    assert decisions.path.read_text().count("\n") == 2  # on the disk before the answer came
    assert ask(url + "sample/0")["truth"]["light_state"] == "green"
    assert ask(url + "sample/0")["old"]["light_state"] == "red"
    assert ask(url + "decide", {"place": 1, "verdict": "reject"})["verdict"] == "reject"
    assert ask(url + "decide", {"place": 2, "verdict": "accept", "truth": None})["verdict"] == "accept"
    assert ask(url + "undo", {}) == {"place": 2, "id": overview["ids"][2], "verdict": None}
    assert ask(url + "queue")["verdicts"] == ["fix", "reject", None, None, None, None, None]

    done = ask(url + "finish", {})
    assert (done["fixed"], done["rejected"], done["not_checked"]) == (1, 1, 5)
    made = Dataset.open(done["path"])
    assert {item.id: item.truth.light_state for item in made if item.truth}["one-3"] == "green"
    assert "two-9" not in made.column("id")


def test_nobody_else_gets_in(page: Page) -> None:
    root = page.url.split("/", 3)
    base = "/".join(root[:3])
    assert refused(f"{base}/queue")[0] == 404
    assert refused(f"{base}/{'0' * 32}/queue")[0] == 404
    assert refused(page.url + "queue", Host="evil.example")[0] == 403  # a name that was rebound to this machine
    assert refused(page.url + "queue", Host=f"127.0.0.1.evil.example:{page.url.split(':')[2].split('/')[0]}")[0] == 403
    assert ask(page.url + "queue", Host="localhost:9999")["who"] == "ada"  # a tunnel with another port
    assert refused(page.url + "decide", {"place": 0, "verdict": "reject"}, **{"Content-Type": "text/plain"})[0] == 400
    assert page.url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"place": 99, "verdict": "reject"}, "no item 99"),
        ({"place": -1, "verdict": "reject"}, "no item -1"),
        ({"place": 0, "verdict": "delete"}, "accept or reject"),
        ({"verdict": "reject"}, "place"),
        ({"place": 0, "verdict": "accept", "truth": {"speed_kmh": 51}}, "multiple of 5"),
        ({"place": 0, "verdict": "accept", "truth": {"light_state": "blue"}}, "light_state must be"),
        ([1], "JSON object"),
    ],
)
def test_a_bad_decision_is_one_line_and_stores_nothing(
    page: Page, opened: tuple[Dataset, Decisions], body: Any, words: str
) -> None:
    code, error = refused(page.url + "decide", body)
    assert (code, words in error) == (400, True), error
    assert "\n" not in error
    assert opened[1].standing() == {}


def test_the_page_is_whole_and_loads_nothing_from_elsewhere(page: Page) -> None:
    with urllib.request.urlopen(page.url) as answer:
        text, policy = answer.read().decode(), answer.headers["Content-Security-Policy"]
    assert "NONCE" not in text
    assert "/*STYLE*/" not in text
    assert text.count(f'nonce="{page.nonce}"') == 2
    assert f"script-src 'nonce-{page.nonce}'" in policy
    assert policy.startswith("default-src 'none'")
    assert set(re.findall(r'https?://[^"\s)]+', text)) == {"http://www.w3.org/2000/svg"}
    assert "innerHTML" not in text
    script = text[text.index("<script") :]
    assert not set(re.findall(r'\$\("(\w+)"\)', script)) - set(re.findall(r'id(?:="|: ")(\w+)"', text))
    assert page.token not in text


def test_a_limit_keeps_the_neighbours(opened: tuple[Dataset, Decisions]) -> None:
    shown = Session(*opened, who="ada", limit=1)
    assert shown.overview()["ids"] == ["one-3"]
    around = shown.sample(0)["around"]
    assert [near["place"] for near in around] == [None, None, None, 0, None, None]


def test_it_goes_on_where_it_was(opened: tuple[Dataset, Decisions]) -> None:
    dataset, decisions = opened
    Session(dataset, decisions, "ada").decide(0, "reject", None)
    again = Session(dataset, Decisions(decisions.path.parent, dataset), "bob")
    assert again.overview()["verdicts"][:2] == ["reject", None]
    assert again.sample(0)["who"] == "ada"
    assert (decisions.path.name, decisions.path.read_text().count("\n")) == (DECISIONS_FILE, 2)


def test_a_taken_port_and_an_unlabelled_set_are_one_line(
    page: Page, opened: tuple[Dataset, Decisions], tmp_path: Path
) -> None:
    port = int(page.url.split(":")[2].split("/")[0])
    with pytest.raises(InputError, match=f"--port {port}: cannot listen there"):
        Page(page.session, port)
    with pytest.raises(InputError, match="--port 99999"):
        Page(page.session, 99999)
    with DatasetWriter(tmp_path / "bare", Card("bare")) as writer:
        writer.add(Sample("a", task="vqa", answer="yes", source="general"))
    bare = Dataset.open(tmp_path / "bare")
    with decisions_on(bare, tmp_path / "other") as decisions, pytest.raises(InputError, match="no sample with a truth"):
        Session(bare, decisions, "ada")
