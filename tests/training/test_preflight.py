"""Preflight: what it counts, what it refuses, what it shows, and that it needs no weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pacenote.cli import main
from pacenote.errors import InputError
from pacenote.training import preflight as room
from pacenote.training.preflight import NF4_BYTES, as_text, faults, preflight
from pacenote.training.recipe import parse_recipe
from pacenote.training.teach import TeachOptions, teach
from tests.models.tiny import FAMILY_NAMES, tiny_model
from tests.training.test_teach import TRUTH, dataset


@pytest.fixture(params=FAMILY_NAMES)
def student(request: Any, tmp_path: Path) -> str:
    tiny_model(request.param).save(tmp_path / "student")
    return str(tmp_path / "student")


def recipe(student: str, **stage: Any) -> Any:
    return parse_recipe({"name": "x", "model": {"load": student}, "stages": [{"kind": "tune", **stage}]})


def test_rows_tokens_parameters_and_a_preview(student: str, tmp_path: Path) -> None:
    (report,) = preflight(recipe(student, epochs=2, batch=3, lora={"r": 2}), [dataset(tmp_path / "data")])
    assert report.rows == report.checked == 6 and report.steps == 4 and not report.faults
    assert report.tokens["image"] >= 16 and report.tokens["max"] > report.tokens["answer"] > 10
    assert 0 < report.parameters["trained"] < 0.1 * report.parameters["total"]
    assert report.memory_gib["total"] > 0 and report.exaflop > 0
    masked, learnt = report.preview.split("[learnt]")
    assert "co-driver" in masked and "image tokens>" in masked and "Advise the driver." in masked
    assert TRUTH.advisory().text() in learnt and "Recommended" not in masked
    assert "hours" not in as_text([report]) and "1e-06 TFLOPS" in as_text([report], 1e-6)


def test_without_weights_it_says_the_same(student: str, tmp_path: Path) -> None:
    data = [dataset(tmp_path / "data")]
    (Path(student) / "model.safetensors").rename(tmp_path / "away")
    (bare,) = preflight(recipe(student), data, weights=False)
    (tmp_path / "away").rename(Path(student) / "model.safetensors")
    (whole,) = preflight(recipe(student), data)
    assert replace(bare, memory_gib={}) == replace(whole, memory_gib={})


def test_the_cache_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_model("qwen2_5_vl").save(tmp_path / "m")
    data, more = dataset(tmp_path / "data"), dataset(tmp_path / "more", 9)
    teach(str(tmp_path / "m"), [data], tmp_path / "cache", TeachOptions(top=8))
    taught = recipe(str(tmp_path / "m"), cache=str(tmp_path / "cache"))
    (report,) = preflight(taught, [more])
    assert report.cached == pytest.approx(6 / 9) and report.rows == 6
    assert any("67% of the samples" in line for line in report.warnings)
    assert "soft labels for" in report.preview
    hot = recipe(str(tmp_path / "m"), cache=str(tmp_path / "cache"), kd={"temperature": 5.0})
    assert any("holds no temperature 5.0" in reason for reason in faults(preflight(hot, [data])))
    tiny_model("internvl").save(tmp_path / "other")
    other = recipe(str(tmp_path / "other"), cache=str(tmp_path / "cache"))
    assert any("another vocabulary" in reason for reason in faults(preflight(other, [data], weights=False)))


def test_rows_that_are_too_long_are_named(tmp_path: Path) -> None:
    tiny_model("qwen2_5_vl").save(tmp_path / "m")
    config = tmp_path / "m" / "config.json"
    held = json.loads(config.read_text())
    held["text_config"]["max_position_embeddings"] = 100
    config.write_text(json.dumps(held))
    (report,) = preflight(recipe(str(tmp_path / "m")), [dataset(tmp_path / "data", 3)], weights=False)
    assert report.faults == {
        "longer than the 100 tokens that the model takes; nothing is truncated": ["s0", "s1", "s2"]
    }


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_model("qwen2_5_vl").save(tmp_path / "m")
    data = dataset(tmp_path / "data", answer="See <|image_pad|> there.")
    file = tmp_path / "r.yaml"
    file.write_text(f"name: x\nmodel: {{load: {tmp_path}/m}}\nstages: [{{kind: tune}}]\n")
    assert main(["preflight", str(file), "--data", data, "--no-weights", "--json", str(tmp_path / "o.json")]) == 2
    said = capsys.readouterr().out
    assert "FAULT: its answer holds an image placeholder" in said and "(6 rows: s0, s1, s2, s3, s4 and 1 more)" in said
    assert json.loads((tmp_path / "o.json").read_text())[0]["rows"] == 6
    with pytest.raises(InputError, match="not of a new starter"):
        preflight(parse_recipe({"name": "x", "model": {"size": "student"}, "stages": [{"kind": "tune"}]}), [data])


def test_four_bits_take_less_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights are counted as float32, as they are trained; the language part's matrices in NF4 as half a byte each."""
    monkeypatch.setattr(room, "GIB", 1)
    data = [dataset(tmp_path / "data")]
    tiny_model("internvl").save(tmp_path / "student")
    model = tiny_model("internvl")
    matrices = sum(
        p.numel() for n, p in model.model.named_parameters() if model.family.part(n) == "language" and p.ndim == 2
    )
    found = []
    for bits in (0, 4):
        (report,) = preflight(
            recipe(str(tmp_path / "student"), lr={"language": 1e-3}, lora={"r": 2, "bits": bits}), data
        )
        found.append((report.memory_gib["weights"], report.parameters["total"]))
    assert found[0][0] == 4 * found[0][1]
    assert found[0][0] - found[1][0] == pytest.approx(matrices * (4 - NF4_BYTES))
