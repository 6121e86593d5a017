"""A teacher behind a server that speaks vLLM's dialect: the same cache as from the model itself, and clear refusals."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pacenote.errors import InputError, PacenoteError
from pacenote.models import endpoint, load
from pacenote.training.cache import TeacherCache
from pacenote.training.teach import Served, TeachOptions, teach
from tests.models.tiny import tiny_model
from tests.training.test_teach import dataset

CAP = 30


class Server(ThreadingHTTPServer):
    """Serves one model. `blind`: drops the pictures' content; `fails`: so many requests are answered with 503 first."""

    model: Any
    blind = False
    fails = 0
    plain = False
    seen: list[dict[str, Any]]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append(body)
        if self.server.fails > 0:
            self.server.fails -= 1
            return self.reply(503, {"error": {"message": "busy"}})
        if body.get("prompt_logprobs", 0) > CAP:
            said = f"Requested prompt logprobs of {body['prompt_logprobs']}, which is greater than max allowed: {CAP}"
            return self.reply(400, {"error": {"message": said}})
        if body["model"] != "big":
            return self.reply(404, {"message": f"The model `{body['model']}` does not exist."})
        return self.reply(200, self.answer(body))

    def reply(self, code: int, value: Any) -> None:
        text = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        model = self.server.model
        images, words = [], []
        for part in body["messages"][1]["content"]:
            if part["type"] == "image_url":
                data = base64.b64decode(part["image_url"]["url"].split(",")[1])
                picture = Image.open(io.BytesIO(data)).convert("RGB")
                images.append(Image.new("RGB", picture.size) if self.server.blind else picture)
            else:
                words.append(part["text"])
        if "prompt_logprobs" not in body:
            text = model.generate([images], ["".join(words)], body["max_tokens"])[0]
            return {"choices": [{"message": {"content": text}}]}
        if self.server.plain:
            return {"choices": [{"message": {"content": ""}}]}
        assert body["continue_final_message"] and not body["add_generation_prompt"]
        inputs = dict(model.inputs([images], ["".join(words)]))
        answer = model.tokenizer(body["messages"][2]["content"], add_special_tokens=False)["input_ids"]
        extra = torch.tensor([answer])
        start = inputs["input_ids"].shape[1]
        inputs["input_ids"] = torch.cat([inputs["input_ids"], extra], 1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        inputs["mm_token_type_ids"] = torch.cat([inputs["mm_token_type_ids"], torch.zeros_like(extra)], 1)
        with torch.no_grad():
            logp = model.model(**inputs).logits[0, start - 1 :].log_softmax(-1)
        entries = []
        for token, row in zip(answer, logp, strict=False):
            best = row.topk(body["prompt_logprobs"])
            own = {str(token): {"logprob": row[token].item()}}
            own |= {str(i): {"logprob": v} for i, v in zip(best.indices.tolist(), best.values.tolist(), strict=True)}
            entries.append(own)
        last = logp[-1].topk(body["top_logprobs"])
        tops = [
            {"token": f"token_id:{i}", "logprob": v}
            for i, v in zip(last.indices.tolist(), last.values.tolist(), strict=True)
        ]
        return {
            "prompt_logprobs": [None, *entries],
            "choices": [{"message": {"content": "x"}, "logprobs": {"content": [{"top_logprobs": tops}]}}],
        }


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, Served]]:
    monkeypatch.setattr(endpoint, "WAIT_S", 0.01)
    monkeypatch.setenv("no_proxy", "*")
    model = tiny_model("qwen2_5_vl", 3)
    with torch.no_grad():
        for parameter in model.model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(6)
    model.save(tmp_path / "teacher")
    server = Server(("127.0.0.1", 0), Handler)
    server.model, server.seen = load(str(tmp_path / "teacher")), []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server, Served(f"http://127.0.0.1:{server.server_port}/v1", str(tmp_path / "teacher"))
    server.shutdown()
    server.server_close()


OPTIONS = TeachOptions(top=20, temperatures=(), batch=3)


def big(tmp_path: Path) -> str:
    """Pictures of the size that the local teacher is shown, so that both see the same pixels."""
    from pacenote.data.card import Card
    from pacenote.data.dataset import DatasetWriter
    from pacenote.data.sample import Picture, Sample
    from tests.models.test_families import picture
    from tests.training.test_teach import TRUTH

    with DatasetWriter(tmp_path / "big", Card(name="streets", licence="CC0-1.0", seed=0)) as writer:
        for index in range(3):
            image = Picture.encode(picture(index), format="PNG")
            writer.add(Sample(f"s{index}", (image,), ("frame",), truth=TRUTH, evidence={"objects": []}))
    return str(tmp_path / "big")


def test_the_served_cache_is_the_local_one(served: Any, tmp_path: Path) -> None:
    server, how = served
    data = big(tmp_path)
    server.fails = 2
    teach("big", [data], tmp_path / "served", OPTIONS, served=how)
    teach(how.tokenizer, [data], tmp_path / "local", OPTIONS)
    one, two = TeacherCache(tmp_path / "served"), TeacherCache(tmp_path / "local")
    assert len(one) == len(two) == 3 and one.card.tokenizer == two.card.tokenizer
    for a, b in zip(one, two, strict=True):
        assert a.key == b.key and (a.answer_ids == b.answer_ids).all() and (a.weights == b.weights).all()
        np.testing.assert_allclose(a.logp, b.logp, atol=2e-2)
        np.testing.assert_allclose(np.exp(a.tail), np.exp(b.tail), atol=1e-3)
        assert (a.ids[:, 0] == b.ids[:, 0]).all()


def test_it_writes_what_has_no_answer(served: Any, tmp_path: Path) -> None:
    server, how = served
    figures = teach("big", [dataset(tmp_path / "data", 2, truth=None)], tmp_path / "cache", OPTIONS, served=how)
    assert figures["refused"] == {"the teacher wrote no whole advisory": 2}
    asked = [body for body in server.seen if "prompt_logprobs" not in body]
    assert len(asked) == 2 and all(body["temperature"] == 0 for body in asked)


def test_refusals_say_what_to_mend(served: Any, tmp_path: Path) -> None:
    server, how = served
    data = [dataset(tmp_path / "data", 2)]
    for number, (options, teacher, said) in enumerate(
        [
            (TeachOptions(top=64, temperatures=()), "big", "--max-logprobs of at least --top"),
            (TeachOptions(top=8), "big", "at temperature 1 only"),
            (OPTIONS, "small", "404: The model `small` does not exist"),
        ]
    ):
        with pytest.raises(InputError, match=said):
            teach(teacher, data, tmp_path / str(number), options, served=how)
    server.plain = True
    with pytest.raises(InputError, match="gives no log-probabilities of the prompt"):
        teach("big", data, tmp_path / "plain", OPTIONS, served=how)
    server.plain, server.blind = False, True
    with pytest.raises(PacenoteError, match="does not see its pictures"):
        teach("big", data, tmp_path / "blind", OPTIONS, served=how)


def test_another_tokenizer_is_found_by_its_ids(served: Any, tmp_path: Path) -> None:
    from pacenote.models.tokenizer import train_tokenizer
    from tests.training.conftest import tiny

    _, how = served
    tiny(train_tokenizer(["Some other words than those of advisories."], 400)).save(tmp_path / "other")
    with pytest.raises(InputError, match="the server has other token ids"):
        other = Served(how.url, str(tmp_path / "other"))
        teach("big", [dataset(tmp_path / "data", 2)], tmp_path / "cache", OPTIONS, served=other)


def test_a_server_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "WAIT_S", 0.01)
    with pytest.raises(PacenoteError, match="no answer .* is the server up"):
        endpoint.Endpoint("http://127.0.0.1:9/v1", "big").generate([], "Hello?")
