"""Qwen2.5-VL's processor with the PIL image processor and no video part, so that it works without torchvision."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from pacenote.models.chat import CHAT_TEMPLATE

# 144 visual tokens: the 16x9 cells of 28 px of a frame seen at 448x252.
MAX_PIXELS = 448 * 252
MIN_PIXELS = 28 * 28


@functools.cache
def processor_class() -> type:
    """The stock processor class without its video processor (whose module cannot be imported without torchvision).

    It keeps the stock name, so that what it saves loads as a stock processor elsewhere.
    """
    from transformers import Qwen2_5_VLProcessor as Stock

    class Qwen2_5_VLProcessor(Stock):
        def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None) -> None:
            self.image_token = getattr(tokenizer, "image_token", "<|image_pad|>")
            self.video_token = getattr(tokenizer, "video_token", "<|video_pad|>")
            self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
            self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)
            super(Stock, self).__init__(image_processor, tokenizer, chat_template=chat_template)

    return Qwen2_5_VLProcessor


def build_processor(
    tokenizer: Any, *, patch: int = 14, merge: int = 2, min_pixels: int = MIN_PIXELS, max_pixels: int = MAX_PIXELS
) -> Any:
    """A processor for `tokenizer`; images are scaled to multiples of patch * merge px within the two pixel counts."""
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    images = Qwen2VLImageProcessorPil(
        size={"shortest_edge": min_pixels, "longest_edge": max_pixels},
        temporal_patch_size=1,
        patch_size=patch,
        merge_size=merge,
    )
    tokenizer.padding_side = "left"
    return processor_class()(images, tokenizer, chat_template=CHAT_TEMPLATE)


def load_processor(source: str) -> Any:
    """The processor saved in a directory or on the hub."""
    from transformers import AutoTokenizer
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    tokenizer = AutoTokenizer.from_pretrained(source, padding_side="left")
    images = Qwen2VLImageProcessorPil.from_pretrained(source)
    template = CHAT_TEMPLATE
    saved = Path(source) / "chat_template.jinja"
    if saved.is_file():
        template = saved.read_text()
    return processor_class()(images, tokenizer, chat_template=template)
