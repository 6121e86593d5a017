"""How each kind of diffusers pipeline reads a prompt. A prompt that its text encoder would cut is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pacenote.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

KOLORS_TOKENS = 256  # of ChatGLM3, as KolorsPipeline pads to


@dataclass(frozen=True)
class Encoding:
    """One kind of pipeline: longest prompt in `tokens` (None: what its tokenizer says, 77 of CLIP's), `size` (width,
    height) px that it was trained at, `sized`: its UNet is also told pooled text and the picture's size (SDXL)."""

    tokens: int | None
    size: tuple[int, int]
    sized: bool
    encode: Callable[[Any, list[str]], tuple[Tensor, Tensor | None]]


def _sd(pipeline: Any, texts: list[str]) -> tuple[Tensor, Tensor | None]:
    embeds, _ = pipeline.encode_prompt(texts, pipeline.device, 1, False)
    return embeds, None


def _sdxl(pipeline: Any, texts: list[str]) -> tuple[Tensor, Tensor | None]:
    embeds, _, pooled, _ = pipeline.encode_prompt(texts, device=pipeline.device, do_classifier_free_guidance=False)
    return embeds, pooled


def _kolors(pipeline: Any, texts: list[str]) -> tuple[Tensor, Tensor | None]:
    # hidden_states[-2] of ChatGLM and, pooled, the last token of hidden_states[-1]
    embeds, _, pooled, _ = pipeline.encode_prompt(
        texts, device=pipeline.device, do_classifier_free_guidance=False, max_sequence_length=KOLORS_TOKENS
    )
    return embeds, pooled


ENCODINGS = {
    "KolorsPipeline": Encoding(KOLORS_TOKENS, (1344, 768), True, _kolors),
    "StableDiffusionXLPipeline": Encoding(None, (1344, 768), True, _sdxl),
    "StableDiffusionPipeline": Encoding(None, (768, 448), False, _sd),
}


def encoding_of(kind: str, name: str) -> Encoding:
    """The encoding of a pipeline of the class `kind`. Raises InputError for one that is not known here."""
    if kind not in ENCODINGS:
        raise InputError(f"{name}: a {kind} is not supported; give one of {', '.join(ENCODINGS)}")
    return ENCODINGS[kind]


def check_lengths(pipeline: Any, encoding: Encoding, texts: Sequence[str], name: str) -> None:
    """Raise InputError where a prompt is longer than a text encoder of the pipeline reads: the end would be cut off
    without a word, and the end is where the crossroad and the speed stand."""
    tokenizers = [getattr(pipeline, part, None) for part in ("tokenizer", "tokenizer_2")]
    for tokenizer in (one for one in tokenizers if one is not None):
        most = encoding.tokens or int(tokenizer.model_max_length)
        for text in dict.fromkeys(texts):
            length = len(tokenizer(text, truncation=False, verbose=False)["input_ids"])
            if length > most:
                raise InputError(f"{name}: reads {most} tokens, this prompt has {length}: '{text[:60]}...'; shorten it")


def encode_texts(pipeline: Any, encoding: Encoding, texts: Sequence[str], name: str) -> tuple[Tensor, Tensor | None]:
    """(embeddings (texts, tokens, width), pooled (texts, width) or None) on the CPU. Raises InputError on a prompt that
    is too long."""
    import torch

    check_lengths(pipeline, encoding, texts, name)
    with torch.inference_mode():
        embeds, pooled = encoding.encode(pipeline, list(texts))
    return embeds.cpu(), None if pooled is None else pooled.cpu()
