"""Mining ends with a Dataset that holds every frame or the reason why not, however often it is stopped."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pacenote.cli import main
from pacenote.data import Card, Dataset, DatasetWriter
from pacenote.drives.drive import Drive, DriveFrame, Signals
from pacenote.errors import InputError
from pacenote.mining import mine as mining
from pacenote.mining import votes as voting
from pacenote.mining.mine import Asking, Labelling, mine
from pacenote.mining.open import find, open_drive
from pacenote.mining.report import report
from pacenote.mining.sources import from_detections
from pacenote.training.frames import record_of
from pacenote.training.questions import plain
from tests.answering import answering
from tests.mining.made import Scripted, drives

PLAIN = Labelling(dedup=False)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """In place of models: one labeler that reads the lamp."""
    source = Scripted()
    monkeypatch.setattr(mining, "sources", lambda _: (source,))
    return source


def rows(path: Path) -> list[dict]:
    return [
        {"id": s.id, "truth": s.truth, "posterior": s.posterior, "picture": s.images[0].bytes, "weight": s.slot_weight}
        for s in Dataset.open(path, "train")
    ]


def test_every_frame_is_labelled_and_says_by_whom(tmp_path: Path, scripted: Scripted) -> None:
    mined = mine([drives(tmp_path)], tmp_path / "out", Asking(), PLAIN)
    data = Dataset.open(tmp_path / "out", "train")
    assert len(data) == 36 == scripted.asked
    for sample in data:
        assert sample.source == "mined"
        assert sample.truth is not None
        assert sample.truth.light_state == ("red" if int(sample.id[-3:]) < 6 else "green")
        assert sample.provenance["votes"]["light"]["labeler"] == sample.truth.light_state
        assert sample.posterior is not None
        assert sum(sample.posterior["light"].values()) == pytest.approx(1, abs=0.01)
        assert set(sample.slot_weight or {}) == {"speed", "light", "obstacles", "crossroad"}
    page = report(mined).read_text()
    assert all(word in page for word in ("Before and after", "d0", "d1", "d2"))


def test_a_limit_that_the_question_states_goes_to_the_student(tmp_path: Path, scripted: Scripted) -> None:
    source = drives(tmp_path)
    told = [replace(s, question="The speed limit here is 70 km/h. Advise the driver.") for s in Dataset.open(source)]
    with DatasetWriter(tmp_path / "told", Card(name="told", licence="CC0-1.0")) as out:
        for sample in told:
            out.add(sample, "test")
        out.finish()
    mine([tmp_path / "told"], tmp_path / "out", Asking(), PLAIN)
    for sample in Dataset.open(tmp_path / "out", "train"):
        assert plain(record_of(sample)).question == sample.question == told[0].question


def test_truth_of_the_drives_stays_hidden(tmp_path: Path, scripted: Scripted) -> None:
    drive = open_drive(find(drives(tmp_path))[0])
    assert not hasattr(next(iter(drive.frames())), "truth")
    assert drive.signals.at("speed_mps", [0.0])[0] == 0.0


def test_a_second_call_asks_nothing_and_writes_the_same(tmp_path: Path, scripted: Scripted) -> None:
    source = drives(tmp_path)
    mine([source], tmp_path / "out", Asking(), PLAIN)
    before, asked = rows(tmp_path / "out"), scripted.asked
    mine([source], tmp_path / "out", Asking(), PLAIN)
    assert (rows(tmp_path / "out"), scripted.asked) == (before, asked)


def test_what_was_asked_before_a_stop_is_not_asked_again(
    tmp_path: Path, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = drives(tmp_path, count=1, frames=24), tmp_path / "out"
    whole, say = mine([source], tmp_path / "whole", Asking(), PLAIN), Scripted.say
    asked = scripted.asked
    scripted.asked = 0

    def dies(self: Scripted, *args: object) -> object:
        if self.asked >= 16:
            raise KeyboardInterrupt
        return say(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Scripted, "say", dies)
    with pytest.raises(KeyboardInterrupt):
        mine([source], out, Asking(), PLAIN)
    monkeypatch.setattr(Scripted, "say", say)
    mine([source], out, Asking(), PLAIN)
    assert scripted.asked == asked == 24
    assert rows(out) == rows(whole.out)


def test_a_line_that_a_kill_has_cut_is_asked_again(tmp_path: Path) -> None:
    drive, source = open_drive(find(drives(tmp_path, count=1))[0]), Scripted()
    file = tmp_path / "votes.jsonl"
    voting.record(drive, [source], file)
    file.write_bytes(file.read_bytes()[:-40])
    voting.record(drive, [source], file)
    assert source.asked == 13
    assert len(voting.read(file, "d").times) == 12


def test_repeated_frames_are_refused_with_their_twin(tmp_path: Path, scripted: Scripted) -> None:
    mine([drives(tmp_path, count=1)], tmp_path / "out", Asking(), Labelling())
    data = Dataset.open(tmp_path / "out", "train")
    reasons = [row.reason for row in data.rejected()]
    assert len(data) + len(reasons) == 12
    assert all(reason.startswith("repeats d0-") for reason in reasons)


def test_keep_chooses_among_all_drives(tmp_path: Path, scripted: Scripted) -> None:
    mine([drives(tmp_path)], tmp_path / "out", Asking(), Labelling(dedup=False, keep=9))
    data = Dataset.open(tmp_path / "out", "train")
    assert len(data) == 9
    assert len(data.rejected()) == 27


def test_selection_asks_the_labeler_only_where_an_expert_sees_something(tmp_path: Path) -> None:
    drive = open_drive(find(drives(tmp_path, count=1, frames=24))[0])
    labeler, expert = Scripted(), Scripted("expert")
    blind = Scripted("expert")
    blind.say = lambda images, given, speeds: [  # type: ignore[method-assign]
        type(s)({"obstacles.cone": [1.0, 0.0]}) for s in Scripted().say(images, given, speeds)
    ]
    voting.record(drive, [labeler, expert], tmp_path / "a.jsonl", select=True)
    assert labeler.asked == 24
    labeler.asked = 0
    voting.record(drive, [labeler, blind], tmp_path / "b.jsonl", select=True)
    assert labeler.asked == 6  # one a second
    assert voting.read(tmp_path / "b.jsonl", "d").asked.sum() == 6


def test_experts_of_an_earlier_mining_are_not_asked_again(tmp_path: Path) -> None:
    drive = open_drive(find(drives(tmp_path, count=1, frames=24))[0])
    labeler, expert = Scripted(), Scripted("expert")
    voting.record(drive, [labeler, expert], tmp_path / "a.jsonl")
    first = (tmp_path / "a.jsonl").read_text().splitlines()
    (tmp_path / "half.jsonl").write_text("\n".join(first[:10]) + "\n")
    voting.record(drive, [labeler, expert], tmp_path / "b.jsonl", lent=tmp_path / "half.jsonl")
    assert (labeler.asked, expert.asked) == (48, 24 + 14)
    assert (tmp_path / "b.jsonl").read_text().splitlines() == first
    voting.record(drive, [labeler, expert], tmp_path / "c.jsonl", lent=tmp_path / "of-other-drives.jsonl")
    assert expert.asked == 24 + 14 + 24  # nobody lends: all are asked


def jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG")
    return buffer.getvalue()


def test_black_and_broken_frames_are_refused_with_a_reason(tmp_path: Path) -> None:
    good = jpeg(Image.fromarray(np.random.default_rng(0).integers(0, 255, (252, 448, 3), dtype=np.uint8)))
    frames = [good, jpeg(Image.new("RGB", (448, 252))), b"no picture"]
    drive = Drive("d", lambda: (DriveFrame(k, k / 4, b) for k, b in enumerate(frames)), Signals.none())
    from pacenote.mining.quality import Quality

    quality = Quality()
    counts = voting.record(
        drive, [Scripted()], tmp_path / "v.jsonl", choose=lambda f, image, v: quality.judge(image, f.time_s, v)
    )
    held = voting.read(tmp_path / "v.jsonl", "d")
    assert counts == {"frames": 3, "refused": 2, "asked": 1}
    assert list(held.refused) == [1, 2]
    assert "black" in held.refused[1]
    assert "not a readable picture" in held.refused[2]


def test_one_bad_drive_costs_itself_alone(
    tmp_path: Path, scripted: Scripted, capsys: pytest.CaptureFixture[str]
) -> None:
    source = drives(tmp_path, count=2)
    film = tmp_path / "broken.mp4"
    film.write_bytes(b"\0" * 2000)
    mined = mine([source, film], tmp_path / "out", Asking(), PLAIN)
    assert [votes.drive for votes, _ in mined.drives] == ["d0", "d1"]
    assert "broken.mp4" in capsys.readouterr().err


def test_nothing_usable_is_one_line(tmp_path: Path, scripted: Scripted, capsys: pytest.CaptureFixture[str]) -> None:
    film = tmp_path / "broken.mp4"
    film.write_bytes(b"\0" * 2000)
    with pytest.raises(InputError, match=r"no drive of 1 could be used"):
        mine([film], tmp_path / "out", Asking(), PLAIN)
    assert main(["mine", str(tmp_path / "nothing"), "--out", str(tmp_path / "o")]) == 2
    assert main(["mine", str(film), "--out", str(tmp_path / "o"), "--least", "2"]) == 2
    assert capsys.readouterr().err.count("\n") <= 4


def test_two_drives_of_one_name_are_refused(tmp_path: Path, scripted: Scripted) -> None:
    with pytest.raises(InputError, match="two drives are called d0"):
        mine([drives(tmp_path), drives(tmp_path, name="again")], tmp_path / "out", Asking(), PLAIN)


def test_other_settings_do_not_mix(tmp_path: Path, scripted: Scripted) -> None:
    source = drives(tmp_path, count=1)
    mine([source], tmp_path / "out", Asking(), PLAIN)
    with pytest.raises(InputError, match="other settings"):
        mine([source], tmp_path / "out", Asking(), Labelling(dedup=False, method="window"))


@pytest.mark.parametrize("method", ["full", "raw"])
def test_a_fact_of_which_no_source_is_believed_gets_no_label(tmp_path: Path, scripted: Scripted, method: str) -> None:
    labelling = Labelling(dedup=False, method=method, unknown=("light", "crash"))
    assert labelling.unknown == ("light", "obstacles.crash")
    mine([drives(tmp_path, count=1)], tmp_path / "out", Asking(), labelling)
    for sample in Dataset.open(tmp_path / "out", "train"):
        assert sample.truth is not None
        assert sample.truth.light_state is None and sample.truth.obstacles["crash"] is None
        assert "light" not in (sample.posterior or {}) and sample.truth.speed_kmh is not None
    with pytest.raises(InputError, match="'lorry' is no fact of a label"):
        Labelling(unknown=("lorry",))


def test_silence_of_a_detector_says_nothing_of_what_it_cannot_see() -> None:
    assert set(from_detections([], frozenset({"cone"}))) == {"obstacles.cone"}
    assert from_detections([], frozenset({"traffic_light"}))["light"][0] == 1.0


def test_a_served_model_labels_through_a_prompt_book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Traffic light: red light, please stop and wait. Obstacles: traffic cones. Recommended Speed: 20 km/h"
    mining.sources.cache_clear()
    with answering(text, monkeypatch) as (url, asked):
        asking = Asking(labeler="big", endpoint=url, prompts="general", experts=())
        mine([drives(tmp_path, count=1)], tmp_path / "out", asking, PLAIN)
    assert len(asked) == 12
    words = json.dumps(asked[0]["messages"])
    assert "windscreen of the ego car" in words  # the book's task
    assert "km/h" in words  # its context: the car's own speed
    sample = Dataset.open(tmp_path / "out", "train")[0]
    assert sample.truth is not None
    assert (sample.truth.light_state, sample.truth.speed_kmh) == ("red", 20)
    assert sample.truth.obstacles["cone"] is True
    assert sample.truth.crossroad["intersection"] is None  # of which it said nothing


COMMAND = ("--labeler", "starter-student", "--prompts", "none", "--expert", "classical", "--no-dedup")


def command(source: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "pacenote", "mine", str(source), "--out", str(out), *COMMAND, *more]


@pytest.mark.slow
def test_killed_at_a_random_point_it_resumes_to_the_same_shards(tmp_path: Path) -> None:
    source, out = drives(tmp_path, count=2, frames=24), tmp_path / "out"
    subprocess.run(command(source, tmp_path / "whole"), check=True, capture_output=True)
    delay = float(np.random.default_rng(os.getpid()).uniform(2, 9))
    process = subprocess.Popen(command(source, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()
    subprocess.run(command(source, out), check=True, capture_output=True)
    assert rows(out) == rows(tmp_path / "whole"), f"killed after {delay:.1f} s"


@pytest.mark.slow
def test_ray_and_processes_write_what_one_process_writes(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the ray extra is not installed")
    source = drives(tmp_path, count=2, frames=8)
    for name, more in (("one", ()), ("two", ("--workers", "2")), ("ray", ("--ray", "local"))):
        subprocess.run(command(source, tmp_path / name, *more), check=True, capture_output=True)
    assert rows(tmp_path / "one") == rows(tmp_path / "two") == rows(tmp_path / "ray")


@pytest.mark.slow
def test_a_ray_worker_killed_midway_loses_nothing(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the ray extra is not installed")
    import psutil

    source, out = drives(tmp_path, count=2, frames=24), tmp_path / "ray"
    subprocess.run(command(source, tmp_path / "one"), check=True, capture_output=True)
    process = subprocess.Popen(
        command(source, out, "--ray", "local"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    own = psutil.Process(process.pid)
    victim = None
    while victim is None and process.poll() is None:
        found = [one for one in own.children(recursive=True) if one.name().startswith("ray::run_one")]
        victim = next((one for one in found if time.time() - one.create_time() > 3), None)
        time.sleep(0.05)
    assert victim is not None, "it ended before a worker could be killed"
    victim.kill()
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert rows(out) == rows(tmp_path / "one")
