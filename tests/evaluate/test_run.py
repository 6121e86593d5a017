"""An evaluation scores what the model said, times batch 1, resumes, and never mixes two models in one directory."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacenote.advisory import Advisory, Light
from pacenote.data import Card, DatasetWriter, Picture, Sample
from pacenote.errors import InputError
from pacenote.evaluate.compare import read_answers
from pacenote.evaluate.predictions import FILE, PredictionFile
from pacenote.evaluate.report import write_report
from pacenote.evaluate.run import Evaluation, Settings, evaluate
from pacenote.evaluate.source import Source, open_source
from tests.evaluate.scripted import Scripted, make_dataset, picture_of, truth_of

QUICK = Settings(batch=4, latency_frames=3, engine="plain", resamples=50)
WARMUP = 3


def run(tmp_path: Path, model: Scripted, settings: Settings = QUICK) -> Evaluation:
    if not (tmp_path / "set").exists():
        make_dataset(tmp_path / "set")
    return evaluate(model, open_source(str(tmp_path / "set")), tmp_path / "out", settings)  # type: ignore[arg-type]


def test_a_perfect_model_scores_one_everywhere(tmp_path: Path) -> None:
    figures = run(tmp_path, Scripted(tmp_path / "m")).figures
    assert figures["average"] == 1.0
    assert figures["speed"]["smape"] == 0.0
    assert figures["speed"]["r2"] == 1.0
    assert figures["light_right"]["accuracy"] == 1.0
    assert figures["twins"]["accuracy"] == 1.0
    assert figures["n"] == figures["frames"] == 12
    assert figures["unreadable"] == {"speed": 0, "light": 0, "obstacles": 0, "crossroad": 0}


def test_json_nests_as_agreed(tmp_path: Path) -> None:
    run(tmp_path, Scripted(tmp_path / "m"))
    figures = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    for slot in ("light", "obstacles", "crossroad"):
        assert {"p", "r", "f1"} <= figures[slot].keys()
        low, high = figures["ci"][slot]["f1"]
        assert 0 <= low <= high <= 1
    assert {"smape", "r2"} <= figures["speed"].keys()
    assert {"average", "n", "unreadable", "baselines", "fps", "latency_ms", "memory_mib"} <= figures.keys()
    assert 0 < figures["latency_ms"]["p50"] <= figures["latency_ms"]["p99"]
    assert figures["memory_mib"] > 10
    assert figures["weights_mib"] == 1.0  # the two tied tensors are one


def test_errors_show_where_they_were_made(tmp_path: Path) -> None:
    red_as_green = Advisory(20, Light("green"), frozenset(), frozenset())
    wrong = {5: red_as_green.text(), 2: "I cannot tell."}
    figures = run(tmp_path, Scripted(tmp_path / "m", wrong=wrong)).figures
    assert figures["confusion"]["counts"][1][3] == 1  # one red told green
    assert figures["unreadable"] == {"speed": 1, "light": 1, "obstacles": 1, "crossroad": 1}
    # Lens 2 + 5 = 7 px of a 96 px frame seen at 64 px is 4.67 px: the bin 4.5-6.
    assert figures["by_light_px"]["4.5-6"]["light"]["r"] < 1.0
    # So is the bin of frame 2 (4 px -> 2.67); all others are whole.
    assert {name for name, part in figures["by_light_px"].items() if part["light"]["r"] < 1.0} == {"<3", "4.5-6"}
    assert {name: part["n"] for name, part in figures["by_condition"]["weather"].items()} == {"clear": 4, "rain": 8}


def test_the_first_frames_are_timed_one_by_one_and_the_warm_up_is_not_counted(tmp_path: Path) -> None:
    model = Scripted(tmp_path / "m")
    evaluation = run(tmp_path, model)
    assert model.batches == [1] * (WARMUP + 3) + [4, 4, 1]
    assert evaluation.figures["latency_ms"]["n"] == 4  # the three, and the last that was left alone
    assert len(evaluation.latencies_ms) == 4


def test_a_stopped_run_goes_on_and_gives_the_same_figures(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Scripted(tmp_path / "m", stop_after=WARMUP + 8))
    done = len((tmp_path / "out" / FILE).read_text().splitlines())
    assert 0 < done < 12
    with (tmp_path / "out" / FILE).open("a") as file:
        file.write('{"id": "s11", "text": "Recomm')  # killed while writing
    model = Scripted(tmp_path / "m")
    resumed = run(tmp_path, model)
    assert sorted(set(model.asked)) == list(range(done, 12))
    (tmp_path / "other").mkdir()
    fresh = evaluate(model, open_source(str(tmp_path / "set")), tmp_path / "other" / "out", QUICK)  # type: ignore[arg-type]
    for name in ("speed", "light", "obstacles", "crossroad", "average", "ci", "confusion", "twins", "by_light_px"):
        assert resumed.figures[name] == fresh.figures[name]
    again = Scripted(tmp_path / "m")
    run(tmp_path, again)
    assert again.asked == []


def test_frames_of_one_picture_each_have_an_answer(tmp_path: Path) -> None:
    """A car that stands records one picture many times: it is asked about once, and told of every frame."""
    with DatasetWriter(tmp_path / "set", Card("standing", recipe="r", seed=0)) as writer:
        for number in range(12):
            picture = Picture.encode(picture_of(number // 6), format="PNG")
            writer.add(Sample(id=f"s{number:02}", images=(picture,), truth=truth_of(number // 6)), "test")
    told = run(tmp_path, Scripted(tmp_path / "m"))
    assert told.figures["frames"] == 12
    assert sorted(read_answers(tmp_path / "out")) == [f"s{number:02}" for number in range(12)]
    before = (tmp_path / "out" / FILE).read_text()
    run(tmp_path, Scripted(tmp_path / "m"))
    assert (tmp_path / "out" / FILE).read_text() == before


def test_a_damaged_line_inside_is_named(tmp_path: Path) -> None:
    run(tmp_path, Scripted(tmp_path / "m"))
    path = tmp_path / "out" / FILE
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "{", *lines[2:]]) + "\n")
    with pytest.raises(InputError, match="line 2"):
        PredictionFile(tmp_path / "out")


def test_another_checkpoint_is_refused_in_the_same_directory(tmp_path: Path) -> None:
    model = Scripted(tmp_path / "m")
    run(tmp_path, model)
    model.retrain()
    with pytest.raises(InputError, match="new directory"):
        run(tmp_path, model)


def test_another_question_or_fit_is_refused_too(tmp_path: Path) -> None:
    run(tmp_path, Scripted(tmp_path / "m"))
    with pytest.raises(InputError, match="new directory"):
        run(tmp_path, Scripted(tmp_path / "m"), Settings(question="What now?", engine="plain"))


def test_plain_photos_are_run_and_shown_but_not_scored(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    (folder / "day").mkdir(parents=True)
    for number in range(3):
        picture_of(number).save(folder / "day" / f"{number}.png")
    (folder / "broken.jpg").write_bytes(b"no picture")
    evaluation = evaluate(Scripted(tmp_path / "m"), open_source(str(folder)), tmp_path / "out", QUICK)  # type: ignore[arg-type]
    assert evaluation.figures["n"] == 0
    assert evaluation.figures["frames"] == 3
    assert evaluation.figures["skipped"] == 1
    page = write_report(evaluation).read_text()
    assert "Recommended speed: 20 km/h" in page
    assert "day/1.png" in page


def test_labelled_photos_are_scored_where_facts_are_known(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    rows = []
    for number in range(8):
        picture_of(number).save(folder / f"{number}.png")
        truth = truth_of(number)
        cones = {0: False, 1: None}.get(number % 2)
        rows.append(
            {
                "image": f"{number}.png",
                "traffic_light": truth.light_state,
                "cones": cones,
                "crossroad": None,
                "source": "a",
            }
        )
    (folder / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"image": "gone.png"}]))
    evaluation = evaluate(Scripted(tmp_path / "m"), open_source(str(folder)), tmp_path / "out", QUICK)  # type: ignore[arg-type]
    figures = evaluation.figures
    assert figures["light"]["n"] == 8
    assert figures["light"]["f1"] == 1.0
    assert figures["crossroad"]["n"] == 0
    assert figures["speed"]["smape"] is None
    assert figures["per_kind"]["obstacles"]["cone"]["n"] == 4
    assert figures["skipped"] == 1
    write_report(evaluation)


@given(st.integers(1, 60), st.integers(1, 70))
def test_a_limit_spreads_over_the_set_and_keeps_twins_together(count: int, limit: int) -> None:
    source = Source("x", "d", [sample_of(number) for number in range(count)])
    chosen = source.indices(limit)
    assert len(chosen) == min(limit, count)
    assert chosen == sorted(set(chosen))
    assert chosen[0] == 0
    if 2 < limit < count:
        assert chosen[-1] >= count // 2 - 1
        halves = [index for index in chosen if index % 2 == 0 and index + 1 < count]
        assert sum(index + 1 in chosen for index in halves) >= len(halves) - 1


def test_rows_of_other_tasks_are_left_out() -> None:
    tasks = ["vqa" if number % 3 else "advisory" for number in range(9)]
    source = Source("x", "d", [sample_of(number) for number in range(9)], tasks=tasks)
    assert [index for index, _ in source.frames()] == [0, 3, 6]


def sample_of(number: int) -> Sample:
    return Sample(id=f"s{number}")


def test_a_file_or_nothing_is_no_set(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"")
    with pytest.raises(InputError, match="advise"):
        open_source(str(tmp_path / "x.png"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no pictures"):
        open_source(str(tmp_path / "empty"))


def test_report_names_the_rows_of_table_2_and_shows_failures(tmp_path: Path) -> None:
    evaluation = run(
        tmp_path, Scripted(tmp_path / "m", wrong={5: Advisory(90, Light("green"), frozenset(), frozenset()).text()})
    )
    page = write_report(evaluation).read_text()
    text = (tmp_path / "out" / "report.md").read_text()
    for row in (
        "FPS",
        "Recommended Speed sMAPE",
        "Recommended Speed R2",
        "Traffic Lights F1",
        "Obstacles P",
        "Crossroad R",
        "Average",
    ):
        assert f"| {row} |" in text
    assert "Failures: light" in page
    assert "said: green, proceed" in page
    assert "true: red, stop and wait" in page
    for name in ("light_confusion", "speed", "light_size"):
        assert (tmp_path / "out" / "plots" / f"{name}.png").stat().st_size > 5000


def test_a_prompt_book_is_told_with_every_answer(tmp_path: Path) -> None:
    make_dataset(tmp_path / "set", 8)
    from pacenote.models import load

    source, model = open_source(str(tmp_path / "set")), load("starter-student")
    settings = Settings(batch=4, latency_frames=3, resamples=20, prompts="default")
    done = evaluate(model, source, tmp_path / "out", settings)
    told = done.figures["prompts"]
    assert told["book"] == "default"
    assert told["expert"] == "look"
    assert told["tokens"]["max"] <= told["tokens"]["budget"]
    assert 0 < told["choosing_share"] < 1
    rows = [json.loads(line) for line in (tmp_path / "out" / FILE).read_text().splitlines()]
    assert {row["prompt"]["book"] for row in rows} == {told["digest"]}
    again = evaluate(model, source, tmp_path / "out", settings)
    assert again.figures["average"] == done.figures["average"]
    with pytest.raises(InputError):  # another book, another evaluation
        evaluate(model, source, tmp_path / "out", Settings(batch=4, latency_frames=3, prompts="original"))
    plain = evaluate(model, source, tmp_path / "plain", Settings(batch=4, latency_frames=3, resamples=20))
    original = evaluate(
        model, source, tmp_path / "original", Settings(batch=4, latency_frames=3, resamples=20, prompts="original")
    )
    assert [p.text for _, p in original.rows] == [p.text for _, p in plain.rows]
    with pytest.raises(InputError, match="one of them"):
        evaluate(model, source, tmp_path / "q", Settings(prompts="default", question="What?"))
