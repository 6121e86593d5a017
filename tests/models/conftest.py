"""The tiny models of the training tests."""

from tests.training.conftest import model, tokenizer  # noqa: F401
