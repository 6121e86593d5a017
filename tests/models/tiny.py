"""Tiny random checkpoints of every family, built from configurations alone."""

from __future__ import annotations

from typing import Any

FAMILY_NAMES = ("qwen2_5_vl", "qwen3_vl", "internvl", "smolvlm")

# The templates of the published checkpoints, without tools and video.
INTERNVL = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n'}}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for content in message['content'] %}{% if content['type'] == 'image' %}{{ '<IMG_CONTEXT>\n' }}"
    "{% elif content['type'] == 'text' %}{{ content['text'] }}{% endif %}{% endfor %}{% endif %}"
    "{{'<|im_end|>\n'}}{% endfor %}{% if add_generation_prompt %}{{'<|im_start|>assistant\n' }}{% endif %}"
)
SMOLVLM = (
    "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}"
    "{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}"
    "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
TOKENS = {
    "internvl": {
        "start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    },
    "smolvlm": {
        "image_token": "<image>", "fake_image_token": "<fake_token_around_image>",
        "global_image_token": "<global-img>", "end_of_utterance_token": "<end_of_utterance>", "video_token": "<video>",
    },
}  # fmt: skip
TEXT = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "max_position_embeddings": 4096,
}  # fmt: skip


def tokenizer_of(family: str) -> Any:
    """A byte-level tokenizer with the family's special tokens."""
    from transformers import PreTrainedTokenizerFast

    from pacenote.models.tokenizer import canonical_texts, train_tokenizer

    plain = train_tokenizer(canonical_texts(), 512)
    if family in ("qwen2_5_vl", "qwen3_vl"):
        return plain
    end = "<|im_end|>" if family == "internvl" else "<end_of_utterance>"
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=plain.backend_tokenizer, eos_token=end, pad_token="<|endoftext|>", padding_side="left",
        extra_special_tokens=TOKENS[family], clean_up_tokenization_spaces=False,
    )  # fmt: skip
    rows = [f"<row_{r}_col_{c}>" for r in range(1, 4) for c in range(1, 4)] if family == "smolvlm" else []
    tokenizer.add_special_tokens({"additional_special_tokens": [*TOKENS[family].values(), *rows]})
    return tokenizer


def tiny_model(family: str, seed: int = 0) -> Any:
    """A `Model` of the family with random weights: some hundred thousand parameters."""
    import torch
    from transformers import AutoModelForImageTextToText, InternVLConfig, Qwen3VLConfig, SmolVLMConfig

    from pacenote.models.chat import CHAT_TEMPLATE
    from pacenote.models.families import FAMILIES, Model
    from pacenote.models.processor import QWEN_TOKENS, image_processor_class, processor_class
    from pacenote.models.vision import install

    tokenizer = tokenizer_of(family)
    if family == "qwen2_5_vl":
        from tests.training.conftest import tiny

        return tiny(tokenizer, seed=seed)
    ids = tokenizer.convert_tokens_to_ids
    torch.manual_seed(seed)
    text = {**TEXT, "vocab_size": len(tokenizer), "bos_token_id": None, "eos_token_id": tokenizer.eos_token_id}
    text["pad_token_id"] = tokenizer.pad_token_id
    image = image_processor_class(family)
    if family == "qwen3_vl":
        config: Any = Qwen3VLConfig(
            vision_config={
                "depth": 3, "hidden_size": 32, "num_heads": 2, "intermediate_size": 64, "out_hidden_size": 32,
                "num_position_embeddings": 64, "deepstack_visual_indexes": [0, 1], "temporal_patch_size": 2,
            },
            text_config={
                **text, "head_dim": 16,
                "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 2, 2]},
            },
            **{f"{name}_id": ids(token) for name, token in QWEN_TOKENS.items()},
        )  # fmt: skip
        pictures = image(
            size={"shortest_edge": 32 * 32, "longest_edge": 224 * 224}, patch_size=16, temporal_patch_size=2
        )
        processor = processor_class(family)(pictures, tokenizer, CHAT_TEMPLATE)
    elif family == "internvl":
        config = InternVLConfig(
            vision_config={
                "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
                "image_size": [112, 112], "patch_size": [14, 14],
            },
            text_config={"model_type": "qwen2", **text},
            image_token_id=ids("<IMG_CONTEXT>"), image_seq_length=16,
        )  # fmt: skip
        pictures = image(size={"height": 112, "width": 112}, crop_to_patches=True, min_patches=1, max_patches=4)
        processor = processor_class(family)(pictures, tokenizer, 16, INTERNVL)
    else:
        config = SmolVLMConfig(
            vision_config={
                "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
                "image_size": 96, "patch_size": 12,
            },
            text_config={"model_type": "llama", **text},
            image_token_id=ids("<image>"), scale_factor=2, pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
        pictures = image(size={"longest_edge": 192}, max_image_size={"longest_edge": 96}, do_image_splitting=True)
        processor = processor_class(family)(pictures, tokenizer, 16, SMOLVLM)
    model = AutoModelForImageTextToText.from_config(config)
    return Model(FAMILIES[family], install(model).eval(), processor, f"tiny {family}")
