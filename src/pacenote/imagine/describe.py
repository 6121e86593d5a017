"""What else is in a picture: one sentence by a VLM, behind the facts that the truth tells (paper A, section 3.2.2:
descriptions synchronized with the images).

A VLM's own words on lights, obstacles and weather would be labels that nobody checked, so that a sentence which speaks
of what a slot or a scene word names is not used.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from pacenote.experts.detection import KIND_OF_NAME
from pacenote.work import digest

if TYPE_CHECKING:
    from PIL import Image

    from pacenote.models import Model
    from pacenote.models.endpoint import Endpoint

QUESTION = (
    "In one short sentence: what stands beside the road, and what does the road look like? Do not speak of traffic "
    "lights, signs, obstacles, people, animals, crossings, weather, time of day or speed."
)
TOKENS = 48
LEAST, MOST = 3, 14  # words
FREE = ("vehicle", "bicycle")  # kinds that no slot names
SCENE = (
    "rain rainy wet fog foggy snow snowy sunny overcast cloudy night dusk evening dark speed limit sign stop"
    " lane marking"
)
TABOO = (*(name for name, kind in KIND_OF_NAME.items() if kind not in FREE), *SCENE.split())
_TABOO = re.compile(rf"\b(?:{'|'.join(re.escape(word) for word in sorted(TABOO, key=len, reverse=True))})(?:e?s)?\b")


class Describer(Protocol):
    """Something that tells in words what it sees. `digest` is its identity."""

    digest: str

    def tell(self, images: Sequence[Image.Image]) -> list[str]:
        """A sentence on each picture, as it comes."""
        ...


class ModelDescriber:
    """A model on this machine, any family."""

    def __init__(self, model: Model) -> None:
        from pacenote.evaluate.run import model_digest

        self.model, self.digest = model, digest([model_digest(model), QUESTION])

    def tell(self, images: Sequence[Image.Image]) -> list[str]:
        return self.model.generate([[image] for image in images], [QUESTION] * len(images), TOKENS)


class ServedDescriber:
    """A model behind an OpenAI-compatible server, which batches what is asked at once."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint, self.digest = endpoint, digest([endpoint.url, endpoint.name, QUESTION])

    def tell(self, images: Sequence[Image.Image]) -> list[str]:
        from pacenote.models.endpoint import at_once

        return at_once(lambda image: self.endpoint.generate([image], QUESTION, TOKENS), images)


def open_describer(name: str, endpoint: str = "", device: str = "auto") -> Describer:
    """`name`: a model; with `endpoint` the name of a served one."""
    if endpoint:
        from pacenote.models.endpoint import Endpoint

        return ServedDescriber(Endpoint(endpoint, name))
    from pacenote.models import load

    return ModelDescriber(load(name, device=device))


def usable(text: str) -> str:
    """The first sentence of `text` without its full stop, or "" where it is too short or too long to be one, is not in
    plain letters, or names what the truth alone may name."""
    first = re.split(r"(?<=[a-z])[.!?;]|\n", text.strip(), maxsplit=1)[0]
    words = " ".join(first.split()).rstrip(".")
    if not LEAST <= len(words.split()) <= MOST or not re.fullmatch(r"[A-Za-z0-9 ,'()-]+", words):
        return ""
    return "" if _TABOO.search(words.lower()) else words[0].lower() + words[1:]
