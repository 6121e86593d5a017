"""A random checkpoint, small enough to run anywhere."""

import warnings
from pathlib import Path
from typing import Any

import pytest

from tests.evaluate.scripted import script


@pytest.fixture(scope="package")
def tiny() -> Any:
    """A random qwen2_5_vl model of some ten thousand weights."""
    pytest.importorskip("torch")
    from pacenote.models.starter import build, starter_config
    from pacenote.models.tokenizer import canonical_texts, train_tokenizer

    config = starter_config(
        "student", vision_width=32, vision_depth=1, vision_heads=2, vision_ffn=64, full_attention=[0],
        width=32, depth=1, heads=2, kv_heads=1, ffn=64,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return build(config, train_tokenizer(canonical_texts()))


@pytest.fixture(scope="package")
def checkpoint(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same on disk."""
    path = tmp_path_factory.mktemp("checkpoint") / "tiny"
    tiny.save(path)
    return path


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripted models can be asked."""
    script(monkeypatch)
