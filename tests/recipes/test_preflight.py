"""Preflight of a whole run: painters from configurations alone, what comes later is said, faults end it with 2."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pacenote.cli import main
from pacenote.errors import InputError
from pacenote.imagine.lora import PaintLora
from pacenote.imagine.preflight import check_painter, longest_negative, longest_prompt
from pacenote.training.preflight import StageReport
from tests.imagine import tiny
from tests.models.tiny import tiny_model

RECIPE = Path(__file__).parents[2] / "recipes" / "table4-qwen.yaml"


@pytest.fixture(scope="module")
def painter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Kolors whose weights are gone."""
    root = tiny.save("kolors", tmp_path_factory.mktemp("painter"))
    weights = [*root.rglob("*.safetensors"), *root.rglob("*.bin")]
    assert len(weights) >= 3
    for file in weights:
        file.unlink()
    return root


def report() -> StageReport:
    return StageReport("imagine", "imagine")


def test_the_painter_of_the_paper_is_checked_without_weights(painter: Path) -> None:
    found = report()
    check_painter(str(painter), PaintLora(rank=2), found, size=tiny.SIZE)
    assert not [fault for fault in found.faults if "prompts" in fault]
    assert 0 < found.parameters["trained"] < found.parameters["unet"]
    assert {"unet", "vae", "text_encoder"} <= set(found.parameters) and "adapter" in found.memory_gib
    small = found.parameters["trained"]
    check_painter(str(painter), PaintLora(rank=4), found, size=tiny.SIZE)
    assert found.parameters["trained"] == 2 * small  # a LoRA has rank * (in + out) numbers a layer


def test_what_a_painter_cannot_do_is_said(painter: Path, tmp_path: Path) -> None:
    found = report()
    check_painter(str(painter), PaintLora(rank=2), found, size=(33, 16))
    assert any("33x16 px: width and height must be multiples of 2" in fault for fault in found.faults)
    with pytest.raises(InputError, match="targets to_z: no such layers"):
        check_painter(str(painter), PaintLora(targets=("to_z",)), report())
    with pytest.raises(InputError, match=r"has no model_index\.json"):
        check_painter(str(tmp_path), PaintLora(), report())
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "FluxPipeline"}))
    with pytest.raises(InputError, match="a FluxPipeline is not supported; give one of KolorsPipeline"):
        check_painter(str(tmp_path), PaintLora(), report())


def test_what_a_painter_is_told_to_leave_out_is_checked_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    painter = tiny.save("sd", tmp_path)
    monkeypatch.setattr("pacenote.imagine.preflight.longest_prompt", lambda: "red")  # its tokenizer spells letters
    check_painter(str(painter), PaintLora(rank=2), found := report())
    assert not found.faults
    check_painter(str(painter), PaintLora(rank=2), found := report(), negatives=True)
    assert any(longest_negative()[:20] in reason for reason in found.faults)


def test_the_longest_prompt_names_everything() -> None:
    text = longest_prompt()
    for word in ("cones", "pedestrian", "animal", "crash", "intersection", "60 km/h", "Overcast", "night"):
        assert word.lower() in text.lower(), text


def qwen(tmp_path: Path, painter: Path, capsys: pytest.CaptureFixture[str], **given: Any) -> tuple[int, str]:
    student = tmp_path / "student"
    if not student.is_dir():
        tiny_model("qwen2_5_vl").save(student)
        for file in student.glob("*.safetensors"):
            file.unlink()
    inputs = {"student": student, "painter": painter, **given}
    words = [word for name, value in inputs.items() for word in ("--set", f"{name}={value}")]
    code = main(["preflight", str(RECIPE), "--no-weights", *words])
    return code, "".join(capsys.readouterr())


def test_table_4_with_published_models_passes_without_weights(
    painter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The recipe's own sizes of pictures, LoRA and mixtures; the models are tiny ones of the same classes."""
    code, said = qwen(tmp_path, painter, capsys)
    assert code == 0, said
    assert "imagine (imagine)" in said and "warm: 01-lora (tune)" in said and said.count("tune-both-3") == 1
    assert "tune-both-1, tune-both-2, tune-both-3 (train)" in said  # they differ in seeds alone
    assert "the model to start from is made by warm" in said and "FAULT" not in said


def test_a_judge_that_is_trained_is_a_fault(painter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = qwen(tmp_path, painter, capsys, judge=tmp_path / "student")
    assert code == 2 and "FAULT" in said and "would judge itself" in said


def test_data_belong_to_a_training_and_not_to_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preflight", str(RECIPE), "--data", "x"]) == 2
    assert "names its Datasets; give them by --set" in capsys.readouterr().err
    assert main(["preflight", str(RECIPE.parent / "qwen-distil.yaml")]) == 2
    assert "name the Datasets to train on (--data)" in capsys.readouterr().err
