"""The shipped kinds of stages, run through a recipe with a scripted model."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from pacenote.cli import main
from pacenote.errors import InputError
from pacenote.evaluate import suite
from pacenote.recipes import load, run_recipe
from pacenote.recipes.clips import cut
from pacenote.recipes.show import show_training
from pacenote.recipes.stages import KINDS, Advise, Evaluate, Render, Train
from pacenote.training.recipe import read_recipe
from pacenote.work import Page, read_json, write_json
from tests.drives.test_clip import make_clip
from tests.evaluate.scripted import Scripted, make_dataset, picture_of, script, truth_of


class Liberal(Scripted):
    """A scripted model that takes pictures of any size."""

    def generate(self, images: Any, questions: Any, max_new_tokens: int, roles: Any = ()) -> list[str]:
        return [self.wrong.get(own[0].getpixel((0, 0))[0]) or truth_of(1).advisory().text() for own in images]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a Dataset, photos, a clip and two models; loading them is scripted."""
    make_dataset(tmp_path / "set")
    (tmp_path / "photos").mkdir()
    for number in range(6):
        picture_of(number).save(tmp_path / "photos" / f"p{number}.png")
    make_clip(tmp_path / "drive.mp4", frames=30, rate=10)
    models = {"good": Scripted(tmp_path / "good"), "other": Liberal(tmp_path / "other")}
    monkeypatch.setattr(suite, "load_model", lambda name, device="auto": models[Path(name).name])

    script(monkeypatch)
    return tmp_path


def recipe(place: Path) -> Path:
    stages = {
        "good": {
            "kind": "evaluate",
            "model": str(place / "good"),
            "data": str(place / "set"),
            "latency_frames": 2,
        },
        "other": {
            "kind": "evaluate",
            "model": str(place / "other"),
            "data": str(place / "set"),
            "latency_frames": 2,
        },
        "table": {
            "kind": "table",
            "data": str(place / "set"),
            "against": "good",
            "later": ["4 bits"],
            "paper": "2",
            "columns": {"good": ["${good.out}"], "both": ["${good.out}", "${other.out}"], "other": ["${other.out}"]},
        },
        "photos": {
            "kind": "advise",
            "model": str(place / "good"),
            "images": str(place / "photos"),
            "limit": 4,
        },
        "unlabelled": {"kind": "evaluate", "model": str(place / "good"), "data": str(place / "photos")},
        "clip": {
            "kind": "watch",
            "model": str(place / "other"),
            "clip": str(place / "drive.mp4"),
            "seconds": 1,
        },
        "report": {"kind": "report", "title": "Both models", "text": "side by side"},
    }
    for stage in stages.values():
        if stage["kind"] in ("evaluate", "advise", "watch"):
            stage["engine"] = "plain"  # a scripted model has no layers to drive
    path = place / "r.yaml"
    path.write_text(yaml.safe_dump({"name": "both", "stages": stages}, sort_keys=False))
    return path


def test_a_run_of_every_kind_ends_in_one_page(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = place / "run"
    assert main(["run", str(recipe(place)), "--out", str(out), "--json", str(place / "ends.json")]) == 0
    said = capsys.readouterr()
    assert str(out / "report.html") in said.out
    ends = read_json(place / "ends.json")["stages"]
    assert {name: state["status"] for name, state in ends.items()} == dict.fromkeys(ends, "done")
    page = (out / "report.html").read_text()
    assert "Both models" in page
    assert page.index("both (2 seeds)") < page.index("Failures, the most confident first")  # the recipe's table leads
    assert "Scores on set (test)" not in page
    assert "Failures, the most confident first" in page
    assert page.count("<video") == 1
    assert page.count("data:image/") > 12
    assert not re.search(r"""(src|href)=["'](https?:|/|\.)""", page)
    lines = (out / "stages" / "photos" / "advisories.jsonl").read_text().splitlines()
    assert [Path(json.loads(line)["image"]).name for line in lines] == ["p0.png", "p1.png", "p3.png", "p4.png"]
    good, other = (read_json(out / "stages" / name / "evaluation.json")["average"] for name in ("good", "other"))
    assert good == 1.0 > other
    table = read_json(out / "stages" / "table" / "table.json")
    assert table["both"]["value"]["average"] == pytest.approx((good + other) / 2) and table["both"]["n"] == 2
    assert (table["both"]["least"]["average"], table["both"]["most"]["average"]) == (other, good)
    assert table["other"]["difference"]["average"]["difference"] == pytest.approx(other - good)
    assert (
        table["good"]["ci"]["light.f1"] == read_json(out / "stages" / "good" / "evaluation.json")["ci"]["light"]["f1"]
    )
    text = (out / "stages" / "table" / "table.md").read_text()
    assert "both (2 seeds)" in text and "| 4 bits | paper: 72B+Qua(official)" in text and "0.944" in text
    assert main(["run", str(recipe(place)), "--out", str(out)]) == 0
    assert capsys.readouterr().out.count("unchanged") == 6
    (out / "report.html").unlink()
    assert main(["report", str(out)]) == 0
    assert "side by side" in (out / "report.html").read_text()
    held = yaml.safe_load(recipe(place).read_text())
    del held["stages"]["table"]
    (place / "r.yaml").write_text(yaml.safe_dump(held, sort_keys=False))
    assert main(["run", str(place / "r.yaml"), "--out", str(out)]) == 0
    assert "Scores on set (test)" in (out / "report.html").read_text()  # without one all evaluations side by side


def test_a_retrained_model_is_scored_again(place: Path) -> None:
    out = place / "run"
    run_recipe(load(recipe(place)), out)
    Scripted(place / "good").retrain()
    run_recipe(load(recipe(place)), out)
    ends = {name: state["status"] for name, state in read_json(out / "run.json")["stages"].items()}
    assert ends == {
        "good": "done", "other": "unchanged", "table": "done", "photos": "done", "unlabelled": "done",
        "clip": "unchanged", "report": "done",
    }  # fmt: skip


def test_report_compares_evaluations(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = place / "run"
    run_recipe(load(recipe(place)), out)
    both = [str(out / "stages" / name) for name in ("good", "other")]
    assert main(["report", *both, "--out", str(place / "compared")]) == 0
    assert (place / "compared" / "compare.html").is_file()
    assert main(["report", *both]) == 2
    assert main(["report", str(place / "photos")]) == 2
    assert main(["report", both[0], str(place / "photos")]) == 2
    refusals = [line for line in capsys.readouterr().err.splitlines() if line.startswith("pacenote: ")]
    assert len(refusals) == 3
    assert "--out" in refusals[0]
    assert all("photos" in line for line in refusals[1:])


def test_training_shows_the_loss_of_each_stage_from_its_newest_checkpoint(tmp_path: Path) -> None:
    for stage, step, loss in (("01-dense", 5, 2.0), ("01-dense", 10, 1.0), ("02-language", 4, 0.5)):
        place = tmp_path / stage / f"checkpoint-{step}"
        place.mkdir(parents=True)
        write_json(
            place / "trainer_state.json", {"log_history": [{"step": 1, "loss": loss}, {"step": step, "lr": 0.1}]}
        )
    page = Page("x")
    show_training(page, tmp_path)
    assert "Training loss of each stage" in page.html()
    empty = Page("x")
    show_training(empty, tmp_path / "absent")
    assert "no losses" in empty.html()


def test_training_reads_all_its_datasets(tmp_path: Path) -> None:
    for name in ("r.yaml", "a", "b"):
        (tmp_path / name).write_text(name)
    paths = {name: str(tmp_path / name) for name in ("r.yaml", "a", "b")}
    stage = Train(recipe=paths["r.yaml"], data=(paths["a"], paths["b"]))
    assert set(stage.sources()) == {"recipe", "data.0", "data.1"}
    assert str(tmp_path) not in str(stage.settings())


def test_the_inputs_of_a_training_count_by_content(tmp_path: Path) -> None:
    for name in ("r.yaml", "a", "start"):
        (tmp_path / name).write_text(name)
    inputs = {"start": str(tmp_path / "start"), "rate": 0.5}
    stage = Train(recipe=str(tmp_path / "r.yaml"), data=(str(tmp_path / "a"),), inputs=inputs)
    before = stage.sources()
    assert set(before) == {"recipe", "data.0", "inputs.start"} and stage.settings()["inputs"] == {"rate": 0.5}
    (tmp_path / "start").write_text("other")
    assert stage.sources()["inputs.start"] != before["inputs.start"]


TAUGHT = """
name: taught
inputs: {model: MODEL, data: DATA}
stages:
  teach: {kind: teach, teacher: "${inputs.model}", data: ["${inputs.data}"], top: 8, temperatures: [2.0]}
  student:
    kind: train
    recipe: "${recipe.dir}/student.yaml"
    data: ["${inputs.data}"]
    inputs: {start: "${inputs.model}", cache: "${teach.out}/cache"}
    seed: 3
"""
STUDENT = """
name: student
inputs: {start: none, cache: none, epochs: 1}
model: {load: "${inputs.start}"}
stages:
  - {kind: tune, epochs: "${inputs.epochs}", batch: 3, lr: {projector: 1.0e-3}, cache: "${inputs.cache}"}
"""


def test_a_run_teaches_and_trains_on_what_was_taught(tmp_path: Path) -> None:
    from tests.models.tiny import tiny_model
    from tests.training.test_teach import dataset

    model = tiny_model("internvl", 3)
    with torch.no_grad():
        for parameter in model.model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(6)
    model.save(tmp_path / "model")
    dataset(tmp_path / "data")
    (tmp_path / "student.yaml").write_text(STUDENT)
    (tmp_path / "run.yaml").write_text(
        TAUGHT.replace("MODEL", str(tmp_path / "model")).replace("DATA", str(tmp_path / "data"))
    )
    page = run_recipe(load(tmp_path / "run.yaml"), tmp_path / "run")
    done = json.loads((tmp_path / "run/stages/student/01-tune/model/done.json").read_text())
    assert done["examples"] == 6
    assert json.loads((tmp_path / "run/stages/student/train.json").read_text())["recipe"]["seed"] == 3
    assert "6 answers" in page.read_text()
    run_recipe(load(tmp_path / "run.yaml"), tmp_path / "run")
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert {state["status"] for state in record["stages"].values()} == {"unchanged"}


def test_a_training_recipe_takes_inputs(tmp_path: Path) -> None:
    (tmp_path / "student.yaml").write_text(STUDENT)
    made = read_recipe(tmp_path / "student.yaml", inputs={"start": "x", "epochs": 4})
    assert made.model == {"load": "x"} and made.stages[0].options.epochs == 4.0
    with pytest.raises(InputError, match="unknown input strat; did you mean start"):
        read_recipe(tmp_path / "student.yaml", inputs={"strat": "x"})
    (tmp_path / "bad.yaml").write_text(STUDENT.replace("inputs.cache}", "inputs.cash}"))
    with pytest.raises(InputError, match="inputs.cash"):
        read_recipe(tmp_path / "bad.yaml")


def test_demo_refuses_what_is_not_there(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--photos", str(place / "absent"), "--out", str(place / "d")]) == 2
    assert main(["demo", "--clip", str(place / "absent"), "--out", str(place / "d")]) == 2
    assert main(["run", "demo", "--set", "photos", "--out", str(place / "d")]) == 2
    assert main(["run", "demo", "--workers", "0", "--out", str(place / "d")]) == 2
    assert capsys.readouterr().err.count("\n") == 4
    assert not (place / "d").exists()


def test_a_clip_is_cut_at_its_beginning_only_when_it_is_longer(tmp_path: Path) -> None:
    from pacenote.drives.clip import read_clip

    clip = make_clip(tmp_path / "c.mp4", frames=40, rate=10)
    assert cut(clip, 10, tmp_path / "short.mp4") == clip
    short = cut(clip, 1.5, tmp_path / "short.mp4")
    assert 1.0 <= read_clip(short).seconds <= 2.0
    (tmp_path / "bad.mp4").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"bad\.mp4"):
        cut(tmp_path / "bad.mp4", 1, tmp_path / "x.mp4")


def test_what_a_stage_reads_decides_its_digest(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    stage = Advise(model="owner/name", images=str(tmp_path / "a"))
    first = stage.sources()
    (tmp_path / "a").write_text("2")
    assert stage.sources()["images"] != first["images"]
    assert stage.sources()["model"] == first["model"]
    with pytest.raises(InputError, match="no such file"):
        Evaluate(model="owner/name", data="nothing-like-this").sources()
    with pytest.raises(InputError, match=r"absent\.yaml"):
        Render(recipe=str(tmp_path / "absent.yaml")).sources()


def test_the_page_about_recipes_names_every_kind() -> None:
    page = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()
    assert all(f"**{kind}**" in page for kind in KINDS)


FOLDER = Path(__file__).parents[2] / "recipes"


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.yaml")))
def test_every_recipe_in_the_house_can_be_read(name: str) -> None:
    """Recipes of runs, of trainings and of streets; a run's training recipes take the inputs that it gives them."""
    from pacenote.scenes.recipe import SceneRecipe

    held = yaml.safe_load((FOLDER / name).read_text())
    if isinstance(held.get("stages"), dict):
        run = load(FOLDER / name)
        for settings in run.stages.values():
            if settings["kind"] == "train":
                read_recipe(Path(settings["recipe"]), inputs=settings.get("inputs"))
    elif isinstance(held.get("stages"), list):
        assert read_recipe(FOLDER / name).stages
    else:
        assert SceneRecipe.load(FOLDER / name).digest
