"""Quantizing tiny models of every family, from calibration to the reload check."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pacenote.cli import main
from pacenote.errors import InputError, PacenoteError
from pacenote.models import load
from pacenote.quantize import checkpoint as checkpoints
from pacenote.quantize import compress
from pacenote.quantize.calibrate import Measured
from pacenote.quantize.layers import config_groups, group_sizes, ignored, linear_layers
from pacenote.quantize.run import best, quantize, table
from pacenote.quantize.settings import METHODS, SCHEMES, QuantizeOptions
from tests.models.tiny import FAMILY_NAMES, tiny_model
from tests.quantize.conftest import write_set

pytest.importorskip("llmcompressor")
FEW = QuantizeOptions(rows=8, dev_rows=4)
Checkpoint = Callable[[str], Path]


@pytest.fixture(scope="module")
def made(checkpoint: Checkpoint, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Quantized tiny models, each made once: (directory, figures)."""
    held: dict[Any, Any] = {}

    def make(family: str, scheme: str = "W4A16", methods: tuple[str, ...] = METHODS) -> Any:
        key = (family, scheme, methods)
        if key not in held:
            out = tmp_path_factory.mktemp("out") / "model"
            options = QuantizeOptions(scheme=scheme, methods=methods, rows=8, dev_rows=4)
            held[key] = (out, quantize(str(checkpoint(family)), [str(data)], out, options))
        return held[key]

    return make


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_every_method_on_every_family(family: str, made: Callable[..., Any], checkpoint: Checkpoint) -> None:
    out, figures = made(family)
    losses = figures["losses"]
    assert set(losses) == {"16-bit", *METHODS}
    assert all(losses[name]["divergence"] > 0 for name in METHODS)
    assert not (out / "rtn").exists()
    assert figures["bytes"]["linear"] / figures["bytes"]["linear_bf16"] == figures["size_ratio"]
    assert set(figures["group_sizes"].values()) <= {32, 64}
    assert all(own["mean"] < 0.01 for own in figures["reload"].values())
    assert json.loads((out / "quantization.json").read_text())["method"] == figures["method"]
    assert [row[-1] for row in table(figures)[1]].count("kept") == 1
    assert not [path for path in out.parent.iterdir() if path != out]
    assert str(checkpoint(family)) not in (out / "config.json").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_a_loaded_checkpoint_keeps_its_weights_packed(
    family: str, made: Callable[..., Any], checkpoint: Checkpoint
) -> None:
    out, _ = made(family)
    model, dense = load(str(out)), load(str(checkpoint(family)))
    own = dict(model.family.language(model.model).named_modules())
    packed = {name for name in linear_layers(dense) if type(own[name]).__name__ == "Int4Linear"}
    assert packed == {name for name, layer in linear_layers(dense).items() if layer.out_features % 16 == 0}
    assert packed
    before = dict(dense.model.named_parameters())
    for name, value in model.model.named_parameters():
        if model.family.part(name) in ("vision", "projector", "head"):
            assert torch.equal(value, before[name]), name
    from pacenote.engine import asker
    from tests.models.test_families import picture

    answers = asker(model, "exact", "greedy")([[picture(0, (112, 112))]], ["Advise the driver."])
    assert answers[0].advisory.text() == answers[0].text


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["W8A16", "W8A8"])
def test_eight_bits(scheme: str, made: Callable[..., Any]) -> None:
    out, figures = made("smolvlm", scheme, ("rtn", "awq"))
    assert abs(figures["losses"]["rtn"]["loss"] / figures["losses"]["16-bit"]["loss"] - 1) < 0.02
    assert figures["size_ratio"] < 0.7
    held = json.loads((out / "config.json").read_text())["quantization_config"]
    assert held["format"] == {"W8A16": "pack-quantized", "W8A8": "int-quantized"}[scheme]


@pytest.mark.slow
def test_a_checkpoint_is_not_quantized_twice(made: Callable[..., Any], data: Path, tmp_path: Path) -> None:
    out, _ = made("internvl")
    with pytest.raises(InputError, match="is quantized already"):
        quantize(str(out), [str(data)], tmp_path / "again", FEW)
    assert not (tmp_path / "again").exists()


@pytest.mark.slow
def test_a_changed_checkpoint_is_named(made: Callable[..., Any], tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    out, _ = made("internvl")
    for change, words in (("nan", "not finite"), ("missing", "has no")):
        place = tmp_path / change
        shutil.copytree(out, place)
        held = load_file(place / "model.safetensors")
        name = next(name for name in held if name.endswith("up_proj.weight_scale"))
        if change == "nan":
            held[name][0, 0] = float("nan")
        else:
            del held[name]
        save_file(held, place / "model.safetensors", {"format": "pt"})
        with pytest.raises(InputError, match=rf"(?s){words}.*") as caught:
            load(str(place))
        assert "up_proj" in str(caught.value)


@pytest.mark.slow
def test_a_wrong_reload_fails_and_leaves_nothing(
    checkpoint: Checkpoint, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = checkpoints.write

    def spoilt(*args: Any) -> Any:
        from safetensors.torch import load_file, save_file

        sizes = write(*args)
        file = args[1] / "model.safetensors"
        held = load_file(file)
        for name, value in held.items():
            if name.endswith("weight_scale"):
                held[name] = value * 3
        save_file(held, file, {"format": "pt"})
        return sizes

    monkeypatch.setattr(checkpoints, "write", spoilt)
    with pytest.raises(PacenoteError, match="differ from those in memory"):
        quantize(str(checkpoint("internvl")), [str(data)], tmp_path / "deep" / "out", QuantizeOptions(
            methods=("rtn",), rows=8, dev_rows=4
        ))  # fmt: skip
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_scales_that_are_not_finite_fail_and_leave_nothing(
    checkpoint: Checkpoint, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = compress.compress

    def broken(model: Any, *args: Any) -> None:
        own(model, *args)
        linear_layers(model)["layers.0.mlp.up_proj"].weight_scale.data[0] = float("nan")

    monkeypatch.setattr(compress, "compress", broken)
    options = QuantizeOptions(methods=("rtn",), rows=8, dev_rows=4)
    with pytest.raises(PacenoteError, match=r"rtn: layers.0.mlp.up_proj: its weight_scale is not finite"):
        quantize(str(checkpoint("internvl")), [str(data)], tmp_path / "out", options)
    assert not list(tmp_path.iterdir())


def refuse(line: str, *argv: str, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quantize", *argv, "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert line in said and said.count("pacenote: ") == 1, said
    assert not out.exists() and not list(out.parent.glob(".*partial*"))


def test_bad_words_are_refused_at_once(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for line, *more in (
        ("did you mean W4A16?", "--scheme", "w4a16"),
        ("--methods autoawq: not known", "--methods", "autoawq"),
        ("--group 100: choose one of 128, 64, 32", "--group", "100"),
        ("--rows 3: too few", "--rows", "3"),
        ("--tune-rows 3: too few", "--tune-rows", "3"),
        ("--balance even: not known", "--balance", "even"),
        ("--max-red-green 0.0: give a share", "--max-red-green", "0"),
    ):
        refuse(line, "starter-student", "--data", str(data), *more, out=tmp_path / "out", capsys=capsys)


def test_data_that_cannot_calibrate_is_refused(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    refuse("8 rows of split train can be used, 128 are needed", "starter-student", "--data", str(data), out=out,
           capsys=capsys)  # fmt: skip
    bare = write_set(tmp_path / "bare", {"train": 8, "dev": 2}, images=(), image_roles=())
    refuse("8 have no picture", "starter-student", "--data", str(bare), "--rows", "8", out=out, capsys=capsys)
    out.mkdir()
    (out / "held").write_text("x")
    assert main(["quantize", "starter-student", "--data", str(data), "--out", str(out)]) == 2
    assert "is not empty" in capsys.readouterr().err


def test_weights_that_are_not_finite_are_named() -> None:
    model = tiny_model("internvl")
    compress.check_finite(model)
    linear_layers(model)["layers.1.mlp.up_proj"].weight.data[3, 3] = float("inf")
    with pytest.raises(InputError, match=r"layers.1.mlp.up_proj.weight holds numbers that are not finite"):
        compress.check_finite(model)


def test_of_what_costs_no_loss_the_nearest_decisions_win() -> None:
    import numpy as np

    def told(*sums: float) -> Measured:
        return Measured(np.array(sums), np.ones(4), 0.0, ())

    whole, far = told(1, 2, 3, 4), told(2.1, 2.9, 4.1, 5.0)
    near = {"a": told(1, 2, 3, 4), "b": told(1.1, 1.9, 3.1, 4.0)}
    assert best(whole, near, {"a": {"divergence": 0.2}, "b": {"divergence": 0.1}}) == "b"
    assert best(whole, near, {"a": {"divergence": 0.1}, "b": {"divergence": 0.2}}) == "a"
    lucky = {"a": told(0.2, 1, 2.2, 3.1), "b": told(1.1, 1.9, 3.1, 4.0)}  # less loss than 16 bits is no merit
    assert best(whole, lucky, {"a": {"divergence": 0.2}, "b": {"divergence": 0.1}}) == "b"
    assert best(whole, {"a": whole, "b": far}, {"a": {"divergence": 0.2}, "b": {"divergence": 0.1}}) == "a"
    worse = {"a": far, "b": told(3, 4, 5, 6.5)}
    assert best(whole, worse, {"a": {"divergence": 0.2}, "b": {"divergence": 0.1}}) == "a"


def test_groups_are_the_largest_that_divide() -> None:
    def layer(width: int) -> Any:
        return torch.nn.Linear(width, 16)

    layers = {"layers.0.q_proj": layer(960), "layers.0.up_proj": layer(256), "layers.1.up_proj": layer(192)}
    assert group_sizes(layers, 128) == {"q_proj": 64, "up_proj": 64}
    assert group_sizes(layers, 32) == {"q_proj": 32, "up_proj": 32}
    with pytest.raises(InputError, match=r"layers.2.o_proj: its 48 inputs are divided by no group size of 128, 64, 32"):
        group_sizes(layers | {"layers.2.o_proj": layer(48)}, 128)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_targets_and_what_is_left_out_split_the_model(family: str) -> None:
    from pacenote.models.packed import targeted

    model = tiny_model(family)
    own = linear_layers(model)
    groups, targets = config_groups(model.family, group_sizes(own, 64), SCHEMES["W4A16"])
    for group in groups.values():
        group["targets"] = [targets[target] for target in group["targets"]]
    held = {"config_groups": groups, "ignore": ignored(model.family)}
    found = {id(module) for _, module, _ in targeted(model.model, held)}
    assert found == {id(module) for module in own.values()}
    rest = {"config_groups": {"all": {"targets": ["Linear"], "weights": {}}}, "ignore": ignored(model.family)}
    assert {id(module) for _, module, _ in targeted(model.model, rest)} == found
