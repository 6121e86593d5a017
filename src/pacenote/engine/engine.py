"""Advisories from pictures, several times faster than token by token.

An advisory is a form: most of its tokens follow from the ones before. The engine computes the words before the picture
once, forces what is certain, tries the likeliest ways on in one pass, and computes only the rows of the head that can
be chosen. `mode` "exact" gives the answer of greedy decoding under the same grammar, token for token; "parallel" asks
for every slot beside the others behind one picture, each as a question of its own.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pacenote.advisory import SLOTS, Advisory, slot_text
from pacenote.advisory.domain import SPEEDS
from pacenote.engine.answer import Answer, with_speed
from pacenote.engine.decoder import Decoder
from pacenote.engine.draft import Prior, Strand
from pacenote.engine.grammar import grammar, values
from pacenote.engine.prefill import Prefill, Seen
from pacenote.engine.preprocess import KEPT, Preprocess
from pacenote.engine.roofline import Meter
from pacenote.engine.temperatures import confidence as confident
from pacenote.engine.temperatures import temperatures as temperatures_beside
from pacenote.engine.write import Writer
from pacenote.errors import InputError
from pacenote.models.int4 import row_cost
from pacenote.models.readout import SPEED
from pacenote.prompts.slots import slot_question

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from pacenote.models import Model
    from pacenote.models.eyes import Eyes

MODES = ("exact", "parallel")
WIDTH = 24
NONE: frozenset[int] = frozenset()


class Engine:
    """A model that advises. `width`: how many tokens of possible ways on a pass may carry beside the certain ones;
    `speed`: the rule of `models.readout`; `temperatures`: by slot, for the confidences, in place of those beside the
    model. `eyes` see pictures in place of the tower and remember them: those who looked first have paid for it.
    `meter` sums over all calls.

    Raises InputError for a model whose tokenizer or layers cannot be driven this way, and for an unknown mode.
    """

    def __init__(
        self,
        model: Model,
        *,
        mode: str = "exact",
        width: int = WIDTH,
        speed: str = SPEED,
        temperatures: Mapping[str, float] | None = None,
        eyes: Eyes | None = None,
    ) -> None:
        if mode not in MODES:
            raise InputError(f"unknown mode '{mode}' of the engine; choose {' or '.join(MODES)}")
        self.model = model
        self.mode = mode
        self.speed = speed
        parts = [SLOTS] if mode == "exact" else [(slot,) for slot in SLOTS]
        self.priors = [Prior(grammar(model.tokenizer, part)) for part in parts]
        decoder = Decoder(model.family.language(model.model))
        self.preprocess = Preprocess(model)
        self._behind = functools.lru_cache(maxsize=KEPT)(self._words_behind)  # most frames are asked the same
        self.prefill = Prefill(model, decoder)
        self.eyes = eyes
        self.meter = Meter()
        self.temperatures = temperatures_beside(model) | dict(temperatures or {})
        self.written: list[list[Strand]] = []  # the strands of the last call, by row
        spoken = self.priors[0].grammar
        self.wanted = NONE if speed == "greedy" else frozenset(n for n in spoken.undecided if spoken.slot[n] == "speed")
        self.writer = Writer(
            decoder,
            model.model.get_input_embeddings(),
            model.model.get_output_embeddings(),
            sorted({token for prior in self.priors for token in prior.grammar.tokens}),
            width=width,
            row_cost=row_cost(model.model),
            axes=3 if hasattr(model.model.model, "get_rope_index") else 1,
            meter=self.meter,
        )

    def __call__(
        self,
        images: Sequence[Sequence[Image.Image]],
        questions: Sequence[str],
        roles: Sequence[Sequence[str]] = (),
    ) -> list[Answer]:
        """Answers to a batch, each question with its own images; `ms` is the time of the call divided by the batch.

        Raises InputError for a question without a picture.
        """
        import torch

        if not questions:
            return []
        if not all(images):
            raise InputError("a question without a picture; the engine advises on pictures")
        start = clock = time.perf_counter()

        def took(stage: str) -> None:
            nonlocal clock
            if self.model.device.type == "cuda":
                torch.cuda.synchronize()
            now = time.perf_counter()
            self.meter.ms[stage] += (now - clock) * 1000
            clock = now

        with torch.inference_mode():
            inputs = self.preprocess(images, questions, roles)
            took("preprocess")
            visual = self._visual_tokens(images, inputs)
            took("vision")
            seen = self.prefill.read(inputs, visual)
            took("prefill")
            strands = self._strands(seen, images, questions, roles)
            self.writer.run([s for row in strands for s in row], seen.cache, seen.mask)
            took("decode")
        self.written = strands
        self.meter.calls += 1
        self.meter.prompt += int(seen.mask.sum())
        self.meter.patches += _patches(inputs, self.model.model.config.vision_config.patch_size)
        ms = (time.perf_counter() - start) * 1000 / len(questions)
        return [self._answer(row, ms) for row in strands]

    def _visual_tokens(
        self, images: Sequence[Sequence[Image.Image]], inputs: Mapping[str, Any]
    ) -> tuple[Tensor, Sequence[Tensor] | None]:
        if self.eyes is None:
            return self.prefill.visual_tokens(inputs)
        import torch

        return torch.cat([view.tokens for view in self.eyes([image for own in images for image in own])]), None

    def _strands(
        self, seen: Seen, images: Sequence[Sequence[Any]], questions: Sequence[str], roles: Sequence[Sequence[str]]
    ) -> list[list[Strand]]:
        """The answers to be written, by row."""
        rows = []
        for row, (tail, position) in enumerate(zip(seen.tails, seen.following, strict=True)):
            line = []
            for prior in self.priors:
                own = tail
                if self.mode == "parallel":
                    own_roles = roles[row] if roles else ()
                    asked = slot_question(questions[row], prior.grammar.slot[0])
                    own = self._tail(tail, len(images[row]), questions[row], asked, own_roles)
                always = self.wanted if prior is self.priors[0] else NONE
                line.append(Strand(row, prior, list(own), position, always=always))
            rows.append(line)
        return rows

    def _tail(self, tail: list[int], images: int, question: str, asked: str, roles: Sequence[str]) -> list[int]:
        """The tokens behind the last picture, if `asked` stood in the place of `question`."""
        old, new = (self._behind(images, one, tuple(roles)) for one in (question, asked))
        if tail[len(tail) - len(old) :] != old:
            raise InputError("this chat template cannot be asked for slots beside each other; use mode exact")
        return tail[: len(tail) - len(old)] + new

    def _words_behind(self, images: int, question: str, roles: tuple[str, ...]) -> list[int]:
        """Tokens of a prompt's words behind its last picture."""
        text, mark = self.model.prompt(images, question, roles), self.model.family.placeholders[0]
        return list(self.model.tokenizer(text[text.rindex(mark) + len(mark) :], add_special_tokens=False)["input_ids"])

    def _answer(self, strands: Sequence[Strand], ms: float) -> Answer:
        """The strands of a row, put together; the ways they took are learnt."""
        pieces: list[str] = []
        confidence: dict[str, float | None] = {}
        for strand in strands:
            strand.prior.learn(strand.nodes)
            pieces.append(str(self.model.tokenizer.decode(strand.tokens)))
            for slot in set(strand.grammar.slot):
                confidence[slot] = round(confident(strand.decisions.get(slot, []), self.temperatures[slot]), 6)
        text = " ".join(pieces)
        answer = Answer(text, Advisory.parse(text), {slot: confidence[slot] for slot in SLOTS}, ms)
        if self.speed == "greedy":
            return answer
        return with_speed(answer, speeds(strands[0], self.model.tokenizer), self.speed)


def _patches(inputs: Mapping[str, Any], side: int | Sequence[int]) -> int:
    """Patches of a batch that its vision tower sees."""
    grids = inputs.get("image_grid_thw")
    if grids is not None:
        return int(grids.prod(-1).sum())
    rows, columns = (side, side) if isinstance(side, int) else side
    return int(inputs["pixel_values"][..., 0, :, :].numel()) // (rows * columns)


def speeds(strand: Strand, tokenizer: Any) -> dict[int, float]:
    """The probability of each speed, from a strand that wanted them all."""
    own = strand.grammar
    shares = {}
    for kmh, ids in _speed_ids(tokenizer).items():
        logp, node = 0.0, 0
        for token in ids:
            if len(own.children[node]) > 1:
                logp += float(strand.options[node][list(own.children[node]).index(token)])
            node = own.children[node][token]
        shares[kmh] = math.exp(logp)
    return shares


@functools.lru_cache(maxsize=8)
def _speed_ids(tokenizer: Any) -> dict[int, list[int]]:
    texts = {one.speed_kmh: slot_text(one, "speed") for one in values("speed")}
    return {kmh: list(tokenizer(texts[kmh], add_special_tokens=False)["input_ids"]) for kmh in SPEEDS}
