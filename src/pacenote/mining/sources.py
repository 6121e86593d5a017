"""Who says what of a frame: a labeler (a VLM, here or behind a server) and experts, each as probabilities of facts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from pacenote.advisory import Advisory, Light, asked, stated_limit
from pacenote.mining.facts import FACT, FACTS
from pacenote.mining.window import MISSING
from pacenote.models.heads import CONDITIONS
from pacenote.prompts.look import Context

if TYPE_CHECKING:
    from PIL import Image

    from pacenote.experts import Detection, Expert
    from pacenote.models import Model
    from pacenote.models.endpoint import Endpoint

Probabilities = Mapping[str, Sequence[float]]  # fact -> probability of each of its values


@dataclass(frozen=True)
class Said:
    """What one source says of one frame. A fact that it does not speak of is missing. `light`: the whole light, where
    the source names movement and place; `seen`: weather, time and road class as it sees them."""

    facts: Probabilities
    text: str = ""
    light: Light | None = None
    seen: Mapping[str, str] = field(default_factory=dict)
    prompt: str = ""  # digest of the words that were asked


class Source(Protocol):
    """Something that is asked about frames. `name` is unique among the sources of a mining; `digest` its identity."""

    name: str
    digest: str

    def say(self, images: Sequence[Image.Image], given: Sequence[str], speeds: Sequence[float]) -> list[Said]:
        """What is said of each of `images`; `given` sentences may begin the question, `speeds` in m/s may be NaN."""
        ...


def certain(advisory: Advisory) -> dict[str, list[float]]:
    """What an advisory says, as probabilities of 0 and 1."""
    found = {}
    for fact in FACTS:
        value = fact.said(advisory)
        if value != MISSING:
            found[fact.name] = [float(k == value) for k in range(len(fact.values))]
    return found


class ModelLabeler:
    """A model on this machine, asked through the engine and, where `prompts` names one, a prompt book."""

    def __init__(self, model: Model, *, engine: str = "exact", prompts: str = "", expert: str = "") -> None:
        from pacenote.engine import asker
        from pacenote.evaluate.run import model_digest
        from pacenote.experts.look import TowerLook
        from pacenote.models.frames import frame_size
        from pacenote.prompts.prompter import Prompter
        from pacenote.work import digest

        self.model = model
        self.prompter = Prompter(model, prompts, expert, "auto") if prompts else None
        self.look = TowerLook.own(model, self.prompter.expert if self.prompter else None)
        eyes = self.look.eyes if self.look else None
        self.ask = asker(model, engine, eyes=eyes)
        self.size = frame_size(model)
        self.name = "labeler"
        book = self.prompter.digest if self.prompter else None
        self.digest = digest([model_digest(model), engine, book])

    def say(self, images: Sequence[Image.Image], given: Sequence[str], speeds: Sequence[float]) -> list[Said]:
        from pacenote.engine.engine import Engine
        from pacenote.engine.marginals import marginals
        from pacenote.engine.prompted import ask_prompted
        from pacenote.models.frames import fit_frame

        questions = [asked(one) for one in given]
        frames = [fit_frame(image, self.size, "auto") if self.size else image for image in images]
        prompts = [""] * len(images)
        if self.prompter:
            contexts = [context_of(v) for v in speeds]
            pairs = ask_prompted(self.ask, self.prompter, images, questions, contexts)
            answers, prompts = [one for one, _ in pairs], [prompt.book for _, prompt in pairs]
            frames = [prompt.images[0] for _, prompt in pairs]  # those that its eyes have seen
        else:
            answers = self.ask([[frame] for frame in frames], questions)
        said = []
        for row, answer in enumerate(answers):
            facts = certain(answer.advisory)
            if isinstance(self.ask, Engine):
                told = marginals(self.ask.written[row], self.model.tokenizer)
                facts |= {name: values.tolist() for name, values in told.items()}
            if answer.speeds:
                facts["speed"] = [answer.speeds.get(kmh, 0.0) for kmh in FACT["speed"].values]
            said.append(Said(facts, answer.text, answer.advisory.light, prompt=prompts[row]))
        if self.look:
            told_looks = self.look.tell(frames)
            said = [
                Said({**one.facts, **hidden(told)}, one.text, one.light, conditions(told), one.prompt)
                for one, told in zip(said, told_looks, strict=True)
            ]
        return said


def hidden(told: Probabilities) -> dict[str, Sequence[float]]:
    """Weather, time and road class of what a tower tells."""
    return {name: told[name] for name in CONDITIONS if name in told}


def conditions(told: Probabilities) -> dict[str, str]:
    """The likeliest weather, time and road class of what a tower tells of a frame."""
    from pacenote.experts.look import likeliest

    return likeliest(hidden(told))


class ServedCounter:
    """About how many tokens words and pictures take in a model whose tokenizer is elsewhere."""

    def words(self, text: str) -> int:
        return -(-len(text) // 4)

    def picture(self, size: tuple[int, int]) -> int:
        return -(-size[0] // 28) * -(-size[1] // 28)


class ServedLabeler:
    """A model behind an OpenAI-compatible server, asked in free text through a prompt book. The frames of a batch are
    asked at once: the server batches them itself. `expert` looks first, for what the book shows and says."""

    def __init__(self, endpoint: Endpoint, prompts: str = "general", expert: Expert | None = None) -> None:
        from pacenote.prompts.book import load_book
        from pacenote.work import digest

        self.endpoint, self.book, self.expert = endpoint, load_book(prompts), expert
        self.counter = ServedCounter()
        self.name = "labeler"
        self.digest = digest([endpoint.url, endpoint.name, self.book.digest, expert.digest if expert else None])

    def say(self, images: Sequence[Image.Image], given: Sequence[str], speeds: Sequence[float]) -> list[Said]:
        from pacenote.models.endpoint import at_once
        from pacenote.prompts.compose import compose
        from pacenote.prompts.look import Look

        seen = self.expert.detect(images) if self.expert else [[] for _ in images]
        prompts = [
            compose(self.book, image, Look(image.size, tuple(own)), self.counter, context=context_of(v), given=before)
            for image, own, v, before in zip(images, seen, speeds, given, strict=True)
        ]
        texts = at_once(lambda p: self.endpoint.generate(p.images, p.question, roles=p.roles), prompts)
        advisories = [Advisory.parse(text) for text in texts]
        return [
            Said(certain(advisory), text, advisory.light, prompt=prompt.book)
            for advisory, text, prompt in zip(advisories, texts, prompts, strict=True)
        ]


def context_of(speed_mps: float) -> Context:
    """What the car knows of itself in a frame."""
    return Context(speed_kmh=None if math.isnan(speed_mps) else round(speed_mps * 3.6))


class ExpertSource:
    """A detector as a source. One with heads of its own (`look:`) tells every fact of the whole image, any other what
    its detections amount to. It hears no words: where they state the limit, it says nothing of the speed."""

    def __init__(self, expert: Expert, name: str) -> None:
        self.expert, self.name, self.digest = expert, name, expert.digest

    def say(self, images: Sequence[Image.Image], given: Sequence[str], speeds: Sequence[float]) -> list[Said]:
        from pacenote.experts.look import TowerLook
        from pacenote.models.frames import fit_frame, frame_size

        if not isinstance(self.expert, TowerLook):
            return [Said(from_detections(own, self.expert.kinds)) for own in self.expert.detect(images)]
        size = frame_size(self.expert.eyes.model)
        frames = [fit_frame(image, size, "auto") if size else image for image in images]
        said = []
        for told, before in zip(self.expert.tell(frames), given, strict=True):
            deaf = {"speed"} if stated_limit(before) is not None else set()
            facts = {name: values for name, values in told.items() if name in FACT and name not in deaf}
            said.append(Said(facts, seen=conditions(told)))
        return said


def from_detections(detections: Sequence[Detection], kinds: frozenset[str]) -> dict[str, list[float]]:
    """Probabilities of the facts that a detector of `kinds` can speak of: the likeliest detection of a kind decides."""
    from pacenote.experts.detection import STATES, chance, likely

    found: dict[str, list[float]] = {}
    if "traffic_light" in kinds:
        lights = [one for one in detections if one.kind == "traffic_light" and one.state in STATES]
        best = max(lights, key=likely, default=None)
        p = likely(best) if best else 0.0
        values = FACT["light"].values
        found["light"] = [1 - p if v == "none" else p if best and v == best.state else 0.0 for v in values]
    for fact in FACTS:
        if fact.kind and fact.kind in kinds:
            p = chance(detections, fact.kind)
            found[fact.name] = [1 - p, p]
    return found
