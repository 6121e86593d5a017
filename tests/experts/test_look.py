"""The tower's own look: heads give the probabilities that training learnt, peaks become boxes, and an engine that is
given the eyes answers as without them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from pacenote.data.classes import CLASS_INDEX, CLASSES
from pacenote.engine.engine import Engine
from pacenote.errors import InputError
from pacenote.experts.detection import KINDS
from pacenote.experts.look import CLASSES_OF, TowerLook, regions, things
from pacenote.models import load
from pacenote.models.eyes import Eyes
from pacenote.models.heads import OWN, TARGETS, Heads
from pacenote.prompts.prompter import Prompter
from tests.models.test_families import picture
from tests.models.tiny import tiny_model

STUDENT = "starter-student"


@pytest.fixture(scope="module")
def student() -> object:
    return load(STUDENT, dtype=torch.float32)


def frames() -> list[Image.Image]:
    return [picture(1, (672, 378)), picture(2, (672, 378)), picture(3, (168, 168))]


def test_heads_say_what_training_would(student: object) -> None:
    from pathlib import Path

    from safetensors.torch import load_file

    from pacenote.models import resolve
    from pacenote.training.tower import DenseTeacher, QwenEncoder

    heads = Heads.of(student)  # type: ignore[arg-type]
    assert heads is not None
    image = frames()[0].resize((448, 252))
    view = Eyes(student)([image])[0]  # type: ignore[arg-type]
    told = heads(view.details[None], view.tokens[None], view.rows)
    weights = load_file(Path(resolve(STUDENT)) / "heads.safetensors")
    teacher = DenseTeacher(QwenEncoder(student.family.visual(student.model)), weights)  # type: ignore[attr-defined]
    sight = teacher(torch.from_numpy(np.asarray(image).copy())[None])
    assert sight.cells is not None and sight.patches is not None and sight.facts is not None
    torch.testing.assert_close(told.own.flatten(1, 2), sight.cells[..., len(CLASSES) :], atol=1e-4, rtol=1e-3)
    # (cells, merge^2) -> rows and columns of patches: the upper left patch of a cell and the one to its right.
    assert told.patches.shape == (1, 18, 32, len(CLASSES))
    torch.testing.assert_close(told.patches[0, 0, 0:2], sight.patches[0, 0, 0:2], atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(told.patches[0, 1, 0:2], sight.patches[0, 0, 2:4], atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(told.patches[0, 2, 2], sight.patches[0, 17, 0], atol=1e-4, rtol=1e-3)
    for own, other in zip(told.facts.values(), sight.facts, strict=True):
        torch.testing.assert_close(own, other, atol=1e-4, rtol=1e-3)


def test_an_engine_with_eyes_answers_as_without(student: object) -> None:
    images = [[frames()[0]], [frames()[1], frames()[2]]]
    questions, roles = ["Advise the driver."] * 2, [("frame",), ("frame", "crop")]
    plain = Engine(student)(images, questions, roles)  # type: ignore[arg-type]
    eyes = Eyes(student)  # type: ignore[arg-type]
    eyes([images[0][0], images[1][0]])
    looked = Engine(student, eyes=eyes)(images, questions, roles)  # type: ignore[arg-type]
    assert [one.text for one in looked] == [one.text for one in plain]


def test_a_frame_that_was_seen_is_not_seen_again(student: object, monkeypatch: pytest.MonkeyPatch) -> None:
    from pacenote.models import vision

    calls = []
    real = vision.patch_tokens
    monkeypatch.setattr(vision, "patch_tokens", lambda *a: calls.append(len(a[1])) or real(*a))  # type: ignore[func-returns-value]
    prompter = Prompter(student, "default")  # type: ignore[arg-type]
    engine = Engine(student, eyes=prompter.eyes)  # type: ignore[arg-type]
    image = frames()[0]
    (prompt,) = prompter([image])
    engine([prompt.images], [prompt.question], [prompt.roles])
    assert sum(calls) == len(prompt.images)
    prompter([image])
    assert sum(calls) == len(prompt.images)


def test_eyes_forget_the_oldest(student: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pacenote.models.eyes.KEPT", 2)
    eyes = Eyes(student)  # type: ignore[arg-type]
    for number in range(5):
        eyes([picture(number, (56, 56))])
    assert len(eyes._seen) == 2


def test_peaks_become_boxes_with_state_and_share() -> None:
    patches = np.zeros((18, 32, len(CLASSES)))
    own = np.zeros((9, 16, len(OWN)))
    patches[4, 10, CLASS_INDEX["light_red"]] = 0.9
    patches[4, 10, CLASS_INDEX["light_green"]] = 0.2
    own[2, 5, OWN.index("own_light_red")] = 0.8
    patches[4, 25, CLASS_INDEX["light_green"]] = 0.95
    own[2, 12, OWN.index("own_light_green")] = 0.1
    patches[12:14, 6:9, CLASS_INDEX["cone"]] = 0.7
    found = things(patches, own, (640, 360))
    kinds = [(one.kind, one.state) for one in found]
    assert kinds[:3] == [("traffic_light", "red"), ("cone", ""), ("traffic_light", "green")]
    red, cone, green = found[:3]
    assert red.box == (200, 80, 220, 100)
    assert (red.own, green.own) == (pytest.approx(0.8), pytest.approx(0.1))
    assert cone.box == (120, 240, 180, 280)
    assert cone.own is None


def test_an_empty_frame_has_no_peaks() -> None:
    assert regions(np.zeros((18, 32))) == []
    assert len(regions(np.full((4, 4), 0.5))) == 1  # one region, not sixteen


def test_names_are_those_of_experts() -> None:
    assert set(CLASSES_OF) <= set(KINDS)
    assert len(TARGETS) == len(set(TARGETS))


def test_a_model_without_heads_needs_another_expert() -> None:
    model = tiny_model("qwen2_5_vl")
    with pytest.raises(InputError, match="--expert"):
        TowerLook(model)
    assert Prompter(model, "original").expert is None
    with pytest.raises(InputError, match="single patches"):
        Eyes(tiny_model("internvl"))
