"""The last answer is given again only where nothing changed, a small lamp included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pacenote.advisory import Advisory
from pacenote.engine.answer import Answer
from pacenote.engine.reuse import Reuse, change


def street(lamp: tuple[int, int, int] = (200, 30, 30), noise: float = 0.0, seed: int = 0) -> Image.Image:
    """A grey street with a lamp of three pixels across."""
    rng = np.random.default_rng(seed)
    pixels = np.full((252, 448, 3), 120.0) + rng.normal(0, noise, (252, 448, 3))
    pixels[60:63, 200:203] = lamp
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


class Counting:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, images: Any, questions: Any, roles: Any = ()) -> list[Answer]:
        self.calls += 1
        return [Answer(str(self.calls), Advisory(None, None, None, None), None, 5.0) for _ in questions]


def test_a_standing_street_is_asked_once_and_a_lamp_that_turns_again() -> None:
    ask = Counting()
    reuse = Reuse(ask, 3.0)
    frames = [street(noise=2.0, seed=seed) for seed in range(5)]
    assert [reuse([[frame]], ["?"])[0].text for frame in frames] == ["1"] * 5
    assert reuse.reused == 4
    assert reuse([[street((30, 200, 60), noise=2.0)]], ["?"])[0].text == "2"
    assert reuse([[street((30, 200, 60))]], ["other?"])[0].text == "3"
    assert reuse([[street().resize((448, 224))]], ["other?"])[0].text == "4"
    assert len(reuse([[street()], [street()]], ["?", "?"])) == 2
    assert ask.calls == 5


def test_slow_change_adds_up() -> None:
    reuse = Reuse(ask := Counting(), 3.0)
    for level in range(0, 60, 2):
        reuse([[Image.new("RGB", (56, 56), (level, level, level))]], ["?"])
    assert ask.calls == 15


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 80))
def test_change_finds_one_patch(height: int, width: int, level: int) -> None:
    before = np.zeros((height, width, 3), dtype=np.float32)
    assert change(before, before) == 0
    after = before.copy()
    after[-1, -1] = level
    assert 0 < change(after, before) <= level
    assert change(after, before) == pytest.approx(change(before, after))
