"""A model behind an OpenAI-compatible server (vLLM, SGLang), asked over HTTP: answers and their log-probabilities.

`generate` needs what every such server has. `score` needs vLLM's `prompt_logprobs` and `continue_final_message`; the
server's cap on log-probabilities (`--max-logprobs`, 20 unless told) must be at least `top`.
"""

from __future__ import annotations

import base64
import io
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pacenote.errors import InputError, PacenoteError
from pacenote.models import chat

if TYPE_CHECKING:
    from PIL import Image

ATTEMPTS = 4  # of a request that the server was too busy for, or that broke on the way
WAIT_S = 1.0  # before the second attempt; doubled after each
PARALLEL = 8  # requests at once, which a server batches

Asked = TypeVar("Asked")
Told = TypeVar("Told")

Distribution = dict[int, float]  # token id -> natural log-probability


@dataclass(frozen=True)
class Endpoint:
    """A served model. `url` up to and with `/v1`; `name` as the server calls the model; `key` for its authorization."""

    url: str
    name: str
    key: str = ""
    timeout_s: float = 120.0

    def generate(
        self, images: Sequence[Image.Image], question: str, max_new_tokens: int = 96, roles: Sequence[str] = ()
    ) -> str:
        """The greedy answer."""
        reply = self._post(
            {"messages": messages(images, question, roles), "max_tokens": max_new_tokens, "temperature": 0}
        )
        return str(reply["choices"][0]["message"]["content"] or "").strip()

    def score(
        self, images: Sequence[Image.Image], question: str, answer: str, count: int, top: int, roles: Sequence[str] = ()
    ) -> tuple[list[Distribution], list[int | None]]:
        """Distributions over the last `count` tokens of `answer` and over the token after it, `top` tokens each, and
        the ids of those tokens as the server has them (None for the one after it).

        Raises InputError where the server gives no log-probabilities of prompts, or fewer than `top`.
        """
        asked = [*messages(images, question, roles), {"role": "assistant", "content": answer}]
        reply = self._post(
            {"messages": asked, "max_tokens": 1, "temperature": 0, "add_generation_prompt": False,
             "continue_final_message": True, "prompt_logprobs": top, "logprobs": True, "top_logprobs": top,
             "return_tokens_as_token_ids": True}
        )  # fmt: skip
        prompt = reply.get("prompt_logprobs")
        if not prompt:
            raise InputError(f"{self.url}: gives no log-probabilities of the prompt; a teacher must be served by vLLM")
        found: list[Distribution] = []
        ids: list[int | None] = []
        for entry in prompt[-count:]:
            # Beside the `top` likeliest there is the token that stands there, wherever it ranks; it comes first.
            own = {int(token): float(value["logprob"]) for token, value in (entry or {}).items()}
            ids.append(next(iter(own), None))
            found.append(own)
        following = reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        found.append({int(one["token"].removeprefix("token_id:")): float(one["logprob"]) for one in following})
        return found, [*ids, None]

    def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps({"model": self.name, **body}).encode()
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {self.key}"} if self.key else {})}
        wait = WAIT_S
        for attempt in range(1, ATTEMPTS + 1):
            request = urllib.request.Request(f"{self.url.rstrip('/')}/chat/completions", text, headers)
            try:
                with urllib.request.urlopen(request, timeout=self.timeout_s) as reply:
                    held: dict[str, Any] = json.loads(reply.read())
                    return held
            except urllib.error.HTTPError as error:
                said = _message(error)
                if error.code not in (408, 429, 500, 502, 503, 504) or attempt == ATTEMPTS:
                    cap = "logprobs" in said and ("max" in said or "greater" in said)
                    mend = (
                        "; start the server with --max-logprobs of at least --top, or give a smaller --top"
                        if cap
                        else ""
                    )
                    raise InputError(f"{self.url}: refused the request ({error.code}: {said}){mend}") from None
            except (urllib.error.URLError, TimeoutError, ConnectionError, json.JSONDecodeError) as error:
                if attempt == ATTEMPTS:
                    reason = getattr(error, "reason", error)
                    raise PacenoteError(
                        f"{self.url}: no answer ({reason}); is the server up? Run again to go on"
                    ) from None
            time.sleep(wait)
            wait *= 2
        raise AssertionError("the last attempt returns or raises")


def at_once(ask: Callable[[Asked], Told], asked: Sequence[Asked]) -> list[Told]:
    """`ask(one)` for each of `asked`, in their order, PARALLEL of them at once. The first error is raised."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        return list(pool.map(ask, asked))


def messages(images: Sequence[Image.Image], question: str, roles: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The conversation of `chat.messages` with the pictures in it as PNG data."""
    held = iter(images)
    found = []
    for message in chat.messages(len(images), question, roles):
        parts = []
        for part in message["content"]:
            if part["type"] == "image":
                buffer = io.BytesIO()
                next(held).convert("RGB").save(buffer, "PNG")
                data = base64.b64encode(buffer.getvalue()).decode()
                part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
            parts.append(part)
        found.append({**message, "content": parts})
    return found


def _message(error: urllib.error.HTTPError) -> str:
    """What the server says about a refused request, in one line."""
    try:
        body = json.loads(error.read())
    except (json.JSONDecodeError, OSError):
        return str(error.reason)
    inner = body.get("error", body) if isinstance(body, dict) else body
    said = inner.get("message", inner) if isinstance(inner, dict) else inner
    return " ".join(str(said).split())[:200]
