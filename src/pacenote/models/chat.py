"""What a model is told: fixed text before the image, the question after it.

The words before the image never change, so that an engine may keep their key-value cache; everything chosen per image
(context, hints, the question itself) stands after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

SYSTEM = "You are a rally co-driver. Warn the driver."

# Qwen2.5-VL's own template without its video and tool branches: structured content parts only, so that a stray
# placeholder in a user's words is never read as an image.
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

PLACEHOLDERS = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>", "<|im_start|>", "<|im_end|>")


def clean(text: str, placeholders: Sequence[str] = PLACEHOLDERS) -> str:
    """`text` without the tokens that would be read as structure."""
    for token in placeholders:
        text = text.replace(token, "")
    return text


def messages(
    images: int, question: str, roles: Sequence[str] = (), placeholders: Sequence[str] = PLACEHOLDERS
) -> list[dict[str, Any]]:
    """The conversation that asks `question` about `images` pictures.

    `roles` name the pictures (`data.sample.ROLES`); the first is the frame, any other is introduced by its role.
    """
    parts: list[dict[str, Any]] = []
    for index in range(images):
        if index:
            parts.append({"type": "text", "text": f"{roles[index] if index < len(roles) else 'crop'}: "})
        parts.append({"type": "image"})
    parts.append({"type": "text", "text": clean(question, placeholders)})
    return [{"role": "system", "content": [{"type": "text", "text": SYSTEM}]}, {"role": "user", "content": parts}]
