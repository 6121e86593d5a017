"""Scales that learn the 16-bit model's decisions, and frames that it answers itself."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pacenote.advisory import Advisory
from pacenote.data.dataset import Dataset
from pacenote.errors import PacenoteError
from pacenote.models import Model, load
from pacenote.quantize.calibrate import Row, answer_text, capture, choose, dev_loss
from pacenote.quantize.compress import compress
from pacenote.quantize.layers import config_groups, group_sizes, linear_layers
from pacenote.quantize.settings import SCHEMES
from pacenote.quantize.tuned import _levels, answered, tune
from tests.models.tiny import tiny_model

pytest.importorskip("llmcompressor")


def test_frames_without_labels_get_the_models_own_answers(data: Path) -> None:
    samples = [Dataset.open(str(data), split="train")[place] for place in range(4)]
    bare = [dataclasses.replace(sample, truth=None) if place % 2 else sample for place, sample in enumerate(samples)]
    told = answered(tiny_model("internvl"), bare, batch=1)
    assert [told[place] for place in (0, 2)] == [samples[place] for place in (0, 2)]
    for place in (1, 3):
        text = answer_text(told[place])
        assert text is not None and Advisory.parse(text).text() == text
        assert told[place].id == samples[place].id


def test_rows_without_labels_are_drawn_for_tuning_alone(data: Path, tmp_path: Path) -> None:
    from tests.quantize.conftest import write_set

    bare = [str(write_set(tmp_path / "bare", {"train": 8}, truth=None))]
    assert len(choose(bare, "train", 9, 0, "--tune-rows", 8, whole=False)) == 8
    with pytest.raises(PacenoteError, match="0 rows of split train can be used, 8 are needed"):
        choose(bare, "train", 9, 0, "--rows", 8)


@pytest.fixture
def coarse(checkpoint: Callable[[str], Path], data: Path) -> Any:
    """A tiny model rounded by GPTQ, its rows, and what 16 bits say to them."""

    def make(scheme: str = "W4A16") -> tuple[Model, list[Row], Any]:
        source = str(checkpoint("qwen2_5_vl"))
        whole = load(source, "cpu", torch.float32)
        rows = capture(whole, choose([str(data)], "train", 8, 0, "--rows", 8), "rows")
        first = SCHEMES[scheme]
        groups, _ = config_groups(whole.family, group_sizes(linear_layers(whole), 64), first)
        model = load(source, "cpu", torch.float32)
        compress(model, source, "gptq", copy.deepcopy(groups), rows, "all", 0)
        return model, rows, dev_loss(whole, rows)

    return make


NOISE = 5e-8  # of a divergence in float32: which way it goes below depends on the machine's kernels


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["W4A16", "W8A16"])
def test_decisions_come_nearer_and_every_weight_stays_on_its_level(coarse: Any, scheme: str) -> None:
    model, rows, reference = coarse(scheme)
    before, levels = dev_loss(model, rows), {n: _levels(layer) for n, layer in linear_layers(model).items()}
    zero = {n: layer.weight_zero_point.clone() for n, layer in linear_layers(model).items()}
    others = {n: p.clone() for n, p in model.model.named_parameters() if "_proj" not in n}
    tune(model, linear_layers(model), rows, reference.logp, 0)
    far, left = before.divergence(reference), dev_loss(model, rows).divergence(reference)
    assert 0 < left < max(far, NOISE) and (far > NOISE or scheme == "W8A16")  # 8 bits leave next to nothing
    for name, layer in linear_layers(model).items():
        assert torch.equal(_levels(layer), levels[name]), name
        assert torch.equal(layer.weight_zero_point, zero[name]), name
        assert torch.equal(layer.weight_scale, layer.weight_scale.to(torch.bfloat16).to(layer.weight_scale.dtype))
    for name, value in model.model.named_parameters():
        if name in others:
            assert torch.equal(value, others[name]), name


@pytest.mark.slow
def test_rows_of_other_tasks_change_nothing(coarse: Any) -> None:
    model, rows, reference = coarse()
    other, *_ = coarse()
    foreign = dataclasses.replace(rows[0], options=((),) * len(rows[0].options))  # an answer that the grammar lacks
    tune(model, linear_layers(model), rows, reference.logp, 0)
    tune(other, linear_layers(other), [foreign, *rows], reference.logp, 0)
    for one, two in zip(linear_layers(model).values(), linear_layers(other).values(), strict=True):
        assert torch.equal(one.weight_scale, two.weight_scale)


@pytest.mark.slow
def test_without_a_grammar_or_a_finite_loss_it_says_so(coarse: Any) -> None:
    model, rows, reference = coarse()
    with pytest.raises(PacenoteError, match="no row has a decision of the grammar to tune by; leave tuned out"):
        tune(model, linear_layers(model), rows, (), 0)
    broken = [torch.full_like(own, float("nan")) for own in reference.logp]
    with pytest.raises(PacenoteError, match="the divergence is not finite"):
        tune(model, linear_layers(model), rows, broken, 0)
