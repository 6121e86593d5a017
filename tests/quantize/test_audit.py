"""The audit: exact bounds, flips that add up, and the gate."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacenote.advisory import CROSSROADS, OBSTACLES, Advisory, Light, Truth
from pacenote.cli import main
from pacenote.data import Dataset
from pacenote.errors import InputError
from pacenote.evaluate.breakdown import Frame
from pacenote.quantize import audit as audits
from pacenote.quantize.audit import compare, verdict
from pacenote.quantize.audit_tables import markdown
from pacenote.quantize.bounds import at_most, needed, upper
from pacenote.quantize.calibrate import capture
from pacenote.quantize.paired import Asked, lie, with_hint
from pacenote.quantize.sensitivity import measure, rounded, table
from pacenote.work import read_json
from tests.advisory.strategies import advisories
from tests.models.tiny import tiny_model


@pytest.mark.parametrize(
    ("count", "n", "wanted"),  # .95 quantiles of Beta(count + 1, n - count)
    [(0, 10, 0.2588656), (0, 100, 0.0295130), (1, 10, 0.3941633), (2, 20, 0.2826185), (10, 10, 1.0)],
)
def test_bounds_are_those_of_clopper_and_pearson(count: int, n: int, wanted: float) -> None:
    assert upper(count, n) == pytest.approx(wanted, abs=2e-6)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))))
def test_at_its_bound_so_few_hits_have_five_percent(pair: tuple[int, int]) -> None:
    count, n = pair
    bound = upper(count, n)
    assert count / n < bound < 1
    assert at_most(count, n, bound) == pytest.approx(0.05, rel=1e-6)


def test_how_many_frames_a_limit_needs() -> None:
    assert needed(0.005) == 598
    assert upper(0, 598) <= 0.005 < upper(0, 597)
    with pytest.raises(ValueError, match="no share"):
        upper(3, 2)


def frame(number: int, truth: Truth) -> Frame:
    return Frame(number, f"s{number}", "", "Advise the driver.", truth, f"scene{number // 2}", conditions={
        "weather": "rain" if number % 2 else "clear", "time": "night", "light_px": 4.0,
    })  # fmt: skip


@given(st.lists(st.tuples(advisories, advisories, advisories), min_size=1, max_size=12))
def test_flips_add_up(said: list[tuple[Advisory, Advisory, Advisory]]) -> None:
    frames = [frame(number, Truth.from_advisory(truth)) for number, (truth, _, _) in enumerate(said)]
    first = [Asked(f, a) for f, (_, a, _) in zip(frames, said, strict=True)]
    second = [Asked(f, b) for f, (_, _, b) in zip(frames, said, strict=True)]
    figures = compare(first, second, resamples=10)
    n = len(said)
    assert sum(map(sum, figures["light"]["counts"])) == figures["n"] == n
    for slot, kinds in (("obstacles", OBSTACLES), ("crossroad", CROSSROADS)):
        assert all(sum(map(sum, figures[slot][kind])) == n for kind in kinds)
    assert figures["red_green"]["count"] == figures["light"]["counts"][1][3] <= figures["red_green"]["n"]
    lost = figures["obstacles"]["cone"][1]
    assert (figures["cone_missed"]["count"], figures["cone_missed"]["n"]) == (lost[0], sum(lost))
    assert sum(part["n"] for part in figures["by_condition"]["weather"].values()) == n
    same = compare(first, first, resamples=10)
    assert same["same"] == n and same["red_green"]["count"] == 0
    assert all(own["difference"] in (0.0, None) for own in same["scores"].values())
    assert f"Audit of {n} frames" in markdown(figures)


def said(state: str) -> Advisory:
    return Advisory(20, Light(state), frozenset(), frozenset())


def test_the_gate_is_the_bound_not_the_share() -> None:
    frames = [frame(number, Truth.from_advisory(said("red"))) for number in range(700)]
    red = [Asked(f, said("red")) for f in frames]
    assert verdict(compare(red, red, resamples=0), 0.005) == ""
    flipped = [Asked(f, said("green" if f.index < 2 else "red")) for f in frames]
    why = verdict(compare(red, flipped, resamples=0), 0.005)
    assert "red became green in 2 of 700" in why and "the limit is 0.50%" in why
    few = verdict(compare(red[:50], red[:50], resamples=0), 0.005)
    assert "needs 598 such frames" in few


def test_answers_to_other_frames_are_not_compared() -> None:
    asked = [Asked(frame(number, Truth.unknown()), said("red")) for number in range(2)]
    with pytest.raises(InputError, match="not asked about the same frames"):
        compare(asked, asked[:1])


def test_lies_contradict_the_truth() -> None:
    red = Truth.from_advisory(said("red"))
    slot, words = lie(red) or ("", "")
    assert slot == "light" and "green, proceed" in words
    assert with_hint("The speed limit here is 50 km/h. Advise the driver.", words).startswith("The speed limit here")
    cone = Truth.from_advisory(Advisory(20, Light("none"), frozenset({"cone"}), frozenset()))
    assert (lie(cone) or ("", ""))[1].endswith("obstacles: none.")
    assert lie(Truth.unknown()) is None


def test_following_a_hint_is_counted() -> None:
    red = frame(0, Truth.from_advisory(said("red")))
    first = [Asked(red, said("red")), Asked(red, said("red"), "light")]
    second = [Asked(red, said("red")), Asked(red, said("green"), "light")]
    held = compare(first, second, resamples=0)["conflict"]
    assert held["light"] == {"n": 1, "follows": {"16-bit": 0, "quantized": 1}}
    assert (held["red_green"]["count"], held["red_green"]["n"]) == (1, 1)


def test_a_layer_alone_costs_little_and_leaves_the_model_as_it_was(data: Path) -> None:
    model = tiny_model("internvl")
    before = {name: value.clone() for name, value in model.model.state_dict().items()}
    rows = capture(model, [Dataset.open(str(data), split="dev")[i] for i in range(2)], "rows")
    entries = measure(model, rows)
    assert len(entries) == 14 and all(entry["peak"] > 0 and entry["kurtosis"] >= 1 for entry in entries)
    assert sum(abs(entry["loss_8"]) for entry in entries) < sum(abs(entry["loss_4"]) for entry in entries)
    assert all((value == before[name]).all() for name, value in model.model.state_dict().items())
    assert len(table(entries)[1]) == 14


def test_rounding_errs_by_half_a_step_at_most() -> None:
    import torch

    weight = torch.randn(8, 64, generator=torch.Generator().manual_seed(0))
    for bits in (4, 8):
        grouped = weight.view(8, 2, 32)
        step = (grouped.amax(-1).clamp(min=0) - grouped.amin(-1).clamp(max=0)) / (2**bits - 1)
        error = (rounded(weight, bits, 32) - weight).view(8, 2, 32).abs().amax(-1)
        assert (error <= 1.01 * step).all()  # the zero point is rounded, too: a whole step at the ends


@pytest.mark.slow
def test_a_checkpoint_over_the_limit_is_put_aside(
    checkpoint: Callable[[str], Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("llmcompressor")
    out, file = tmp_path / "out", tmp_path / "figures.json"
    argv = ["quantize", str(checkpoint("qwen2_5_vl")), "--data", str(data), "--rows", "8", "--dev-rows", "4",
            "--methods", "rtn", "--audit", str(data), "--sensitivity", "1"]  # fmt: skip
    assert main([*argv, "--out", str(out)]) == 1
    assert "red became green" in capsys.readouterr().err
    assert not out.exists()
    assert {"audit.json", "audit.md", "config.json", "quantization.json"} <= {
        path.name for path in (tmp_path / "out.rejected").iterdir()
    }
    assert (
        main([*argv, "--out", str(tmp_path / "other"), "--max-red-green", "1", "--json", str(file), "--control"]) == 0
    )
    said = capsys.readouterr().out
    control = json.loads(file.read_text())["audit"]["control"]
    assert control["n"] > 0 and control["same"] <= control["n"] and "rounding alone: red is green in float32" in said
    assert "Flips that matter" in said and "layer alone" in said and file.is_file()


@pytest.mark.slow
def test_a_recipe_quantizes_and_shows_it(checkpoint: Callable[[str], Path], data: Path, tmp_path: Path) -> None:
    import yaml

    pytest.importorskip("llmcompressor")
    stage: dict[str, Any] = {
        "kind": "quantize", "model": str(checkpoint("internvl")), "data": [str(data)], "rows": 8, "dev_rows": 4,
        "methods": ["rtn"], "audit": [str(data)], "max_red_green": 1.0,
    }  # fmt: skip
    recipe = tmp_path / "r.yaml"
    recipe.write_text(yaml.safe_dump({"name": "q", "stages": {"small": stage}}))
    assert main(["run", str(recipe), "--out", str(tmp_path / "run")]) == 0
    assert (tmp_path / "run" / "stages" / "small" / "model" / "config.json").is_file()
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Flips that matter" in page and "of their bf16 size" in page
    stage["scheme"] = "W3A16"
    recipe.write_text(yaml.safe_dump({"name": "q", "stages": {"small": stage}}))
    assert main(["run", str(recipe), "--out", str(tmp_path / "other")]) == 2


def test_a_checkpoint_that_is_there_is_audited(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["quantize", "starter-distilled", "--checkpoint", "starter-distilled-int4", "--audit", "streets-test"]
    out = tmp_path / "audit"
    assert main([*argv, "--audit-limit", "6", "--max-red-green", "1", "--out", str(out)]) == 0
    assert read_json(out / "audit.json")["n"] >= 6 and "red became green" in capsys.readouterr().out.lower()
    assert main([*argv, "--audit-limit", "6", "--out", str(tmp_path / "strict")]) == 1  # so few frames show nothing
    assert (tmp_path / "strict" / "audit.md").is_file() and "the limit is 0.50%" in capsys.readouterr().err
    assert main([*argv[:4], "--out", str(tmp_path / "none")]) == 2
    assert main(["quantize", "starter-distilled", "--out", str(tmp_path / "none")]) == 2
    assert "--data" in capsys.readouterr().err and not (tmp_path / "none").exists()


def test_the_audit_writes_both_files(tmp_path: Path) -> None:
    asked = [Asked(frame(0, Truth.from_advisory(said("red"))), said("red"))]
    audits.write(compare(asked, asked, resamples=0), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"audit.json", "audit.md"}
