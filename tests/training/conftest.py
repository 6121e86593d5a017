"""Tiny models and drawn streets for the training tests."""

from __future__ import annotations

from typing import Any

import pytest

from tests.training.streets import streets


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    from pacenote.models.tokenizer import canonical_texts, train_tokenizer
    from pacenote.training.questions import vocabulary

    return train_tokenizer([*canonical_texts(), *vocabulary()], 640)


def tiny(tokenizer: Any, **changes: Any) -> Any:
    from pacenote.models.starter import build, starter_config

    settings = {
        "vision_width": 32, "vision_depth": 2, "vision_heads": 2, "vision_ffn": 64, "full_attention": [1],
        "width": 32, "depth": 2, "heads": 2, "kv_heads": 1, "ffn": 64,
    }  # fmt: skip
    return build(starter_config("student", **(settings | changes)), tokenizer)


@pytest.fixture
def model(tokenizer: Any) -> Any:
    return tiny(tokenizer)


@pytest.fixture(scope="session")
def drawn() -> Any:
    return streets(12)


def weights(model: Any) -> dict[str, Any]:
    return {name: value.clone() for name, value in model.state_dict().items()}
