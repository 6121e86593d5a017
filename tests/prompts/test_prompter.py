"""Who looks sees the picture as it was recorded; what it finds is told in pixels of the frame that the model sees."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from PIL import Image

from pacenote.experts.detection import Detection
from pacenote.models import load
from pacenote.prompts.prompter import Prompter


class Pointing:
    """An expert that sees a red light in the upper right quarter, and remembers how large its pictures were."""

    name, digest, kinds = "pointing", "0", frozenset({"traffic_light"})

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    def detect(self, images: Sequence[Image.Image]) -> list[list[Detection]]:
        self.sizes += [one.size for one in images]
        return [[Detection("traffic_light", (w * 0.5, 0, w, h * 0.5), 0.9, "red")] for w, h in (i.size for i in images)]


@pytest.mark.parametrize(
    ("size", "seen"), [((1344, 756), (1344, 756)), ((1600, 1200), (1600, 900)), ((400, 225), None)]
)
def test_an_expert_looks_at_the_frames_own_resolution(size: tuple[int, int], seen: tuple[int, int] | None) -> None:
    prompter = Prompter(load("starter-student"), "default", "classical")
    prompter.expert = expert = Pointing()
    (frame,), (look,) = prompter.look([Image.new("RGB", size, (90, 100, 110))])
    assert expert.sizes == [seen or frame.size]
    (light,) = look.detections
    assert look.size == frame.size == prompter.size
    assert light.box == pytest.approx((frame.width / 2, 0, frame.width, frame.height / 2))
    (prompt,) = prompter([Image.new("RGB", size, (90, 100, 110))])
    assert prompt.roles == ("frame", "crop")
