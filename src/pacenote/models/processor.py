"""Processors with the PIL image processors and no video part, so that they work without torchvision."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pacenote.errors import InputError
from pacenote.models.chat import CHAT_TEMPLATE

# 144 visual tokens: the 16x9 cells of 28 px of a frame seen at 448x252.
MAX_PIXELS = 448 * 252
MIN_PIXELS = 28 * 28
QWEN_TOKENS = {
    "image_token": "<|image_pad|>", "video_token": "<|video_pad|>",
    "vision_start_token": "<|vision_start|>", "vision_end_token": "<|vision_end|>",
}  # fmt: skip


@functools.cache
def processor_class(family: str = "qwen2_5_vl") -> type:
    """The family's stock processor class without its video processor, whose module cannot be imported without
    torchvision. It keeps the stock name, so that what it saves loads as a stock processor elsewhere."""
    makers: dict[str, Callable[[], type]] = {
        "qwen2_5_vl": _qwen, "qwen3_vl": _qwen3, "internvl": _internvl, "smolvlm": _smolvlm,
    }  # fmt: skip
    return makers[family]()


def _qwen() -> type:
    from transformers import Qwen2_5_VLProcessor as Stock

    class Qwen2_5_VLProcessor(Stock):
        def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None) -> None:
            self.image_token = getattr(tokenizer, "image_token", "<|image_pad|>")
            self.video_token = getattr(tokenizer, "video_token", "<|video_pad|>")
            self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
            self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)
            super(Stock, self).__init__(image_processor, tokenizer, chat_template=chat_template)

    return Qwen2_5_VLProcessor


def _qwen3() -> type:
    from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor as Stock

    class Qwen3VLProcessor(Stock):
        def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None) -> None:
            ids = tokenizer.convert_tokens_to_ids
            for name, token in QWEN_TOKENS.items():
                setattr(self, name, token)
                setattr(self, f"{name}_id", ids(token))
            super(Stock, self).__init__(image_processor, tokenizer, chat_template=chat_template)

    return Qwen3VLProcessor


def _internvl() -> type:
    from transformers.models.internvl.processing_internvl import InternVLProcessor as Stock

    class InternVLProcessor(Stock):
        def __init__(
            self,
            image_processor: Any = None,
            tokenizer: Any = None,
            image_seq_length: int = 256,
            chat_template: Any = None,
        ) -> None:
            super(Stock, self).__init__(image_processor, tokenizer, chat_template=chat_template)
            self.image_seq_length = image_seq_length
            self.start_image_token = getattr(tokenizer, "start_image_token", "<img>")
            self.end_image_token = getattr(tokenizer, "end_image_token", "</img>")
            self.image_token = getattr(tokenizer, "context_image_token", "<IMG_CONTEXT>")
            self.video_token = getattr(tokenizer, "video_token", "<video>")
            ids = tokenizer.convert_tokens_to_ids
            self.start_image_token_id, self.end_image_token_id = ids(self.start_image_token), ids(self.end_image_token)
            self.image_token_id = ids(self.image_token)
            both = f"(?P<image>{re.escape(self.image_token)})|(?P<video>{re.escape(self.video_token)})"
            self.multimodal_pattern = re.compile(both)

    return InternVLProcessor


def _smolvlm() -> type:
    from transformers.models.smolvlm.processing_smolvlm import SmolVLMProcessor as Stock

    class SmolVLMProcessor(Stock):
        def __init__(
            self,
            image_processor: Any = None,
            tokenizer: Any = None,
            image_seq_len: int = 169,
            chat_template: Any = None,
        ) -> None:
            self.fake_image_token = getattr(tokenizer, "fake_image_token", "<fake_token_around_image>")
            self.image_token = getattr(tokenizer, "image_token", "<image>")
            self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
            self.end_of_utterance_token = getattr(tokenizer, "end_of_utterance_token", "<end_of_utterance>")
            self.global_image_token = getattr(tokenizer, "global_image_token", "<global-img>")
            self.video_token = getattr(tokenizer, "video_token", "<video>")
            self.image_seq_len = image_seq_len
            super(Stock, self).__init__(image_processor, tokenizer, chat_template=chat_template)

    return SmolVLMProcessor


def build_processor(
    tokenizer: Any, *, patch: int = 14, merge: int = 2, min_pixels: int = MIN_PIXELS, max_pixels: int = MAX_PIXELS
) -> Any:
    """A Qwen2.5-VL processor for `tokenizer`; images are scaled to multiples of patch * merge px within the two pixel
    counts."""
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    images = Qwen2VLImageProcessorPil(
        size={"shortest_edge": min_pixels, "longest_edge": max_pixels},
        temporal_patch_size=1,
        patch_size=patch,
        merge_size=merge,
    )
    tokenizer.padding_side = "left"
    return processor_class()(images, tokenizer, chat_template=CHAT_TEMPLATE)


def load_processor(source: str, family: str = "qwen2_5_vl", config: Any = None) -> Any:
    """The processor saved in a directory or on the hub; `config` is the model's, which says how many tokens a tile of
    the families with tiles has. Raises InputError where there is no chat template."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source, padding_side="left")
    images = image_processor_class(family).from_pretrained(source)
    if family in ("qwen2_5_vl", "qwen3_vl"):
        return processor_class(family)(images, tokenizer, chat_template=_template(source) or CHAT_TEMPLATE)
    template = _template(source) or tokenizer.chat_template
    if not template:
        raise InputError(f"{source}: has no chat template; a chat model is needed (chat_template.jinja)")
    if family == "internvl":
        return processor_class(family)(images, tokenizer, int(config.image_seq_length), template)
    return processor_class(family)(images, tokenizer, smolvlm_tile_tokens(config), template)


def smolvlm_tile_tokens(config: Any) -> int:
    """Visual tokens of one tile of a SmolVLM."""
    vision = config.vision_config
    return int((vision.image_size // vision.patch_size) ** 2 / config.scale_factor**2)


def image_processor_class(family: str) -> Any:
    """The family's image processor on PIL."""
    if family == "internvl":
        from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

        return GotOcr2ImageProcessorPil
    if family == "smolvlm":
        from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

        return SmolVLMImageProcessorPil
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    return Qwen2VLImageProcessorPil


def limit_pixels(family: str, images: Any, most: int) -> None:
    """Let an image processor pass on at most `most` pixels of a picture, in place; of families with tiles so many
    whole tiles, at least one. What is saved with the model holds wherever it is loaded.

    Raises InputError where `most` is less than a single visual token.
    """
    if most < MIN_PIXELS:
        raise InputError(f"max_pixels: {most} is less than one visual token ({MIN_PIXELS} px); give more")
    if family == "internvl":
        images.max_patches = max(1, most // (int(images.size["height"]) * int(images.size["width"])))
        images.min_patches = min(images.min_patches, images.max_patches)
    elif family == "smolvlm":
        tile = int(images.max_image_size["longest_edge"])
        images.size = {"longest_edge": max(1, int((most * 16 / 9) ** 0.5) // tile) * tile}
    else:
        images.size = {"shortest_edge": min(int(images.size["shortest_edge"]), most), "longest_edge": most}


def _template(source: str) -> str | None:
    """The chat template that lies beside a checkpoint as a file of its own."""
    from transformers.utils import cached_file

    file = cached_file(
        source, "chat_template.jinja", _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )  # fmt: skip
    return Path(file).read_text() if file else None
