"""Dense pre-training: patches as the processor makes them, a teacher's tokens and heads, soft targets, small lights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from pacenote.advisory import LIGHT_STATES, Truth
from pacenote.advisory.domain import SPEEDS
from pacenote.errors import InputError
from pacenote.models.heads import FACTS
from pacenote.training import dense
from pacenote.training.augment import PLAIN
from pacenote.training.dense import DenseOptions
from pacenote.training.targets import UNKNOWN, beliefs_of
from pacenote.training.tower import QwenEncoder, cell_loss, fact_loss, patches, token_loss
from tests.training.conftest import tiny, weights


def test_patches_are_those_of_the_processor(model: Any, drawn: Any) -> None:
    image = np.asarray(Image.fromarray(drawn.images[0]).resize((448, 252)))
    stock = model.inputs([[Image.fromarray(image)]], ["?"])["pixel_values"]
    torch.testing.assert_close(patches(torch.from_numpy(image[None].copy()))[0], stock, rtol=1e-4, atol=1e-4)


def test_a_tower_learns_a_teachers_tokens_without_labels(tokenizer: Any, drawn: Any, tmp_path: Path) -> None:
    teacher, student = tiny(tokenizer, seed=1, width=48, heads=2), tiny(tokenizer, seed=2)
    teacher.save(tmp_path / "teacher")
    bare = replace(drawn, has_map=np.zeros(len(drawn), bool))
    options = DenseOptions(
        epochs=10, batch=6, lr=3e-3, facts_weight=0.0, view=(224, 168), compile=False, teacher=str(tmp_path / "teacher")
    )
    frozen = weights(teacher.model)
    task = dense.pretrain(QwenEncoder(student.model.model.visual), bare, options, tmp_path / "run", device="cpu")
    assert all(torch.equal(value, teacher.model.state_dict()[name]) for name, value in frozen.items())
    assert not any("teacher" in name for name in task.state_dict())
    images = torch.from_numpy(
        np.stack([dense.item(bare, i, np.random.default_rng(i), PLAIN)["images"] for i in (0, 1)])
    )
    wanted = task.teacher(images)
    assert wanted.cells is None  # no heads lie beside this one
    with torch.no_grad():
        torch.manual_seed(0)
        first = QwenEncoder(tiny(tokenizer, seed=2).model.model.visual)
        far = token_loss(torch.nn.Linear(first.width, task.teacher.encoder.width)(first(images)), wanted.tokens)
        near = token_loss(task.project(task.encoder(images)), wanted.tokens)
    assert near < 0.7 * far
    with pytest.raises(InputError, match="no frame has a class map"):
        dense.pretrain(QwenEncoder(student.model.model.visual), bare, replace(options, teacher=""), tmp_path / "x")


@pytest.mark.slow
def test_what_no_label_tells_the_teachers_heads_do(tokenizer: Any, drawn: Any, tmp_path: Path) -> None:
    """A student without a class map learns to see what the teacher sees: with its heads, and not without."""
    teacher = tiny(tokenizer, seed=1)
    labelled = DenseOptions(epochs=20, batch=6, lr=3e-3, view=(224, 168), compile=False)
    learnt = dense.pretrain(
        QwenEncoder(teacher.model.model.visual), drawn, labelled, tmp_path / "teacher-run", device="cpu"
    )
    teacher.save(tmp_path / "teacher")
    save_file(dense.head_state(learnt), tmp_path / "teacher" / dense.HEADS)
    bare = replace(drawn, has_map=np.zeros(len(drawn), bool))
    options = replace(labelled, epochs=10, teacher=str(tmp_path / "teacher"))
    images = torch.from_numpy(
        np.stack([dense.item(drawn, i, np.random.default_rng(i), PLAIN)["images"] for i in (0, 1)])
    )
    far: dict[str, float] = {}
    for name, place in (("with", "teacher"), ("without", "bare")):
        if name == "without":
            teacher.save(tmp_path / place)
        encoder = QwenEncoder(tiny(tokenizer, seed=2).model.model.visual)
        given = replace(options, teacher=str(tmp_path / place))
        task = dense.pretrain(encoder, bare, given, tmp_path / name, device="cpu")
        with torch.no_grad():
            own, wanted = task.logits(images)[0], learnt.logits(images)[0]
        far[name] = float((own.sigmoid() - wanted.sigmoid()).abs().mean())
    assert far["with"] < 0.9 * far["without"]


def test_a_soft_target_is_best_met_by_itself_and_hard_ones_are_as_ever() -> None:
    generator = torch.Generator().manual_seed(0)
    wanted = torch.randn(2, 5, 7, generator=generator)
    positive, weight = torch.rand(7, generator=generator) * 9 + 1, torch.rand(7, generator=generator) + 0.5
    unknown = torch.full((2, 5, 7), UNKNOWN, dtype=torch.int8)
    logits = wanted.clone().requires_grad_()
    cell_loss(logits, unknown, positive, weight, wanted.sigmoid()).backward()
    assert logits.grad is not None
    assert float(logits.grad.abs().max()) < 1e-6
    hard = torch.randint(-1, 2, (2, 5, 7), generator=generator).to(torch.int8)
    known = (hard != UNKNOWN).float() * weight
    each = torch.nn.functional.binary_cross_entropy_with_logits(
        wanted, (hard == 1).float(), pos_weight=positive, reduction="none"
    )
    torch.testing.assert_close(
        cell_loss(wanted, hard, positive, weight), (each * known).sum() / known.sum() * 4.0, rtol=1e-5, atol=1e-6
    )
    facts = torch.tensor([[0, UNKNOWN], [2, 1]])
    values = (torch.randn(2, 3, generator=generator), torch.randn(2, 2, generator=generator))
    told = tuple(v.softmax(-1) for v in values)
    own = fact_loss(values, facts, told=told)
    first = torch.nn.functional.cross_entropy(values[0], facts[:, 0])
    second = -(told[1][0] * values[1][0].log_softmax(-1)).sum() - values[1][1].log_softmax(-1)[1]
    torch.testing.assert_close(own, (first + second / 2) / 2)


def test_a_posterior_takes_the_place_of_known_facts_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    facts = torch.tensor([[0, 1], [UNKNOWN, 1]])
    beliefs = torch.tensor([[0.6, 0.4, 0.0, 0.0, 0.0], [0.6, 0.4, 0.0, 0.3, 0.7]])
    values = (torch.randn(2, 3, generator=generator), torch.randn(2, 2, generator=generator))
    logs = [one.log_softmax(-1) for one in values]
    first = -(beliefs[0, :3] * logs[0][0]).sum()
    second = -(logs[1][0, 1] + (beliefs[1, 3:] * logs[1][1]).sum()) / 2
    torch.testing.assert_close(fact_loss(values, facts, beliefs), (first + second) / 2)


def test_beliefs_are_the_posterior_of_a_mined_row(drawn: Any) -> None:
    told = {"light": {"red": 0.3, "none": 0.6}, "obstacles": {"cone": 0.2}, "speed": {"50": 1.0}}
    record = replace(drawn.records[0], posterior=told)
    found = dict(zip(FACTS, np.split(beliefs_of(record), np.cumsum(list(FACTS.values()))[:-1]), strict=True))
    light = dict(zip(LIGHT_STATES, found["light"].tolist(), strict=True))
    assert light["red"] == pytest.approx(1 / 3) and sum(light.values()) == pytest.approx(1)
    assert found["obstacles.cone"].tolist() == pytest.approx([0.8, 0.2])
    assert found["speed"][SPEEDS.index(50)] == 1
    assert not any(found[name].any() for name in FACTS if name not in ("light", "speed", "obstacles.cone"))


def test_a_tower_learns_how_sure_labels_are(tokenizer: Any, drawn: Any, tmp_path: Path) -> None:
    """Frames of one posterior: the heads learn it with `soft`, else the label."""
    truth = replace(Truth.unknown(), obstacles={"crash": True}, obstacles_any=True)
    records = tuple(replace(one, truth=truth, posterior={"obstacles": {"crash": 0.6}}) for one in drawn.records)
    options = DenseOptions(epochs=25, batch=6, lr=3e-3, facts_weight=3.0, view=(224, 168), compile=False)
    sure = []
    for soft in (True, False):
        encoder = QwenEncoder(tiny(tokenizer, seed=2).model.model.visual)
        frames, given = replace(drawn, records=records), replace(options, soft=soft)
        task = dense.pretrain(encoder, frames, given, tmp_path / str(soft), device="cpu")
        with torch.no_grad():
            facts = task.logits(
                torch.from_numpy(np.stack([dense.item(drawn, 0, np.random.default_rng(0), PLAIN)["images"]]))
            )[1]
        sure.append(float(facts[list(FACTS).index("obstacles.crash")].softmax(-1)[0, 1]))
    assert sure[0] == pytest.approx(0.6, abs=0.1) and sure[1] > 0.8


@pytest.mark.slow
def test_the_tower_learns_small_lights(tokenizer: Any, tmp_path: Path) -> None:
    """A minute of dense pre-training on drawn streets finds cones, zebras and lamp housings on streets unseen."""
    from pacenote.models.starter import build, starter_config
    from tests.training.streets import streets

    model = build(starter_config("student"), tokenizer)
    task = dense.pretrain(
        QwenEncoder(model.model.model.visual), streets(200), DenseOptions(epochs=8, lr=2e-3, compile=False), tmp_path
    )
    scores = dense.evaluate(task, streets(60, 1))["cells"]
    assert scores["zebra"] > 0.6 and scores["cone"] > 0.2 and scores["light_housing"] > 0.2
