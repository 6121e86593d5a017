"""Rounds: a painter gets better by an honest judge, and stops by the second one when the first is biased; what is
painted survives a stop and a full disk; the figures follow from what is stored."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pacenote.advisory import Advisory, Light
from pacenote.data import Dataset
from pacenote.data.sample import Picture
from pacenote.errors import InputError, PacenoteError
from pacenote.imagine import rounds
from pacenote.imagine.judge import Judge
from pacenote.imagine.loop import Loop, LoopOptions
from pacenote.imagine.lora import PaintLora
from pacenote.imagine.pairs import Pair
from pacenote.imagine.quality import Usual
from pacenote.imagine.rounds import Jury, judge_round, paint_round
from pacenote.imagine.screen import word_screen
from pacenote.imagine.show import show
from pacenote.imagine.spec import Spec
from pacenote.work import read_json, write_json
from tests.imagine.streets import SIZE, draw, judge_of, look, spec

SWAP = {"red": "green", "green": "red", "none": "none"}


def swapped(advisory: Advisory) -> Advisory:
    assert advisory.light is not None
    return replace(advisory, light=Light(SWAP[advisory.light.state]))


class Apprentice:
    """A painter with one skill: a share `wrong` of its pictures has red for green. It learns the share that it meets in
    its pairs, as a denoiser learns the distribution of its data. `same`: how far its pictures lose their variety with
    each training."""

    name, size = "apprentice", SIZE

    def __init__(self, wrong: float = 0.4, same: float = 0.0) -> None:
        self.start, self.same = wrong, same
        self.with_lora(None)
        self.trainings: list[str] = []

    def check(self, prompts: Sequence[str]) -> None:
        for prompt in prompts:
            if len(prompt) > 400:
                raise InputError("apprentice: reads 400 letters")

    @property
    def digest(self) -> str:
        return f"wrong {self.wrong:.4f} alike {self.alike:.4f}"

    def with_lora(self, path: Path | None) -> Apprentice:
        held = read_json(path / "skill.json") if path else {"wrong": self.start, "alike": 0.0}
        self.wrong, self.alike = held["wrong"], held["alike"]
        return self

    def paint(self, prompts: Sequence[str], seeds: Sequence[int], negative: Any = None) -> list[Image.Image]:
        return [self._picture(prompt, seed) for prompt, seed in zip(prompts, seeds, strict=True)]

    def _picture(self, prompt: str, seed: int) -> Image.Image:
        light = next((state for state in ("red", "green") if f"{state} light" in prompt.lower()), "none")
        if np.random.default_rng([seed, 5]).random() < self.wrong:
            light = SWAP[light]
        image = draw(spec(light, "traffic cones" in prompt.lower()), seed)
        return Image.blend(image, draw(spec("none"), 0), self.alike)

    def train_lora(
        self, groups: Sequence[Sequence[Pair]], out: Path, options: PaintLora, start: Path | None, store: Path
    ) -> Path:
        if (out / "skill.json").is_file():
            return out
        self.trainings.append(out.name)
        shares = options.shares or (1.0,)
        bad = [np.mean([look(p.picture.open()).light != p.spec.light for p in group] or [0.0]) for group in groups]
        alike = (self.with_lora(start).alike + self.same) if start else self.same
        write_json(out / "skill.json", {"wrong": float(np.average(bad, weights=shares)), "alike": alike})
        return out


class Glance:
    """Eyes for tests: a picture's embedding is its colours."""

    def __call__(self, images: Sequence[Image.Image]) -> list[Any]:
        import torch

        class View:
            def __init__(self, image: Image.Image) -> None:
                pixels = np.asarray(image.resize((8, 4)), np.float32) - 100
                self.details = torch.from_numpy(pixels.reshape(1, 1, -1))

        return [View(image) for image in images]


def pairs_of(count: int = 60) -> list[Pair]:
    kinds = [spec("red"), spec("green"), spec("none"), spec("red", cone=True), spec("green", cone=True)]
    wanted = [kinds[n % 5] for n in range(count)]
    return [Pair(f"p{n}", Picture.encode(draw(s, n), format="PNG"), s.prompt(), s) for n, s in enumerate(wanted)]


def calibrated(judge: Judge) -> Judge:
    judge.trust = {slot: {"right": 0.95, "n": 60, "by": {}} for slot in ("speed", "light", "obstacles", "crossroad")}
    return judge


def loop(out: Path, painter: Any, judge: Judge, **changes: Any) -> Loop:
    pairs = pairs_of()
    second = judge_of(look, "second")
    jury = Jury(calibrated(judge), calibrated(second), Glance(), None, Usual.of(pairs, SIZE), word_screen)  # type: ignore[arg-type]
    options = LoopOptions(rounds=3, specs=24, images=3, probe=80, own=1.0, relabelled=0.0, fall=0.02, vary=0.0)
    return Loop(pairs, painter, jury, out, replace(options, **changes))


def second(figures: dict[str, Any]) -> list[float]:
    return [one["second"]["light"] for one in figures["rounds"]]


def test_an_honest_judge_makes_a_better_painter(tmp_path: Path) -> None:
    figures = loop(tmp_path, Apprentice(), judge_of(look)).run()
    told = second(figures)
    assert told[0] < 0.8 and told[1] > 0.97 and figures["best"] >= 1 and not figures["stopped"]
    data = Dataset.open(tmp_path / "dataset")
    assert len(data) == figures["kept"]["kept"] and {one.source for one in data} == {"imagined"}
    for one in data:
        assert look(one.image(0)).light == one.truth.light  # type: ignore[union-attr]
        assert {"painter", "prompt", "seed", "spec", "scores"} <= set(one.provenance)
    assert "not among the best of its spec" in {row.reason for row in data.rejected()}


def test_a_biased_judge_is_found_out_and_the_rounds_stop(tmp_path: Path) -> None:
    """The judge takes red for green. The painter learns to please it; the second judge sees it and round 0 remains."""
    figures = loop(tmp_path, Apprentice(), judge_of(lambda image: swapped(look(image)), "biased")).run()
    told = second(figures)
    assert len(told) == 2 and told[1] < told[0] - 0.2
    assert figures["rounds"][1]["judge"]["light"] > figures["rounds"][0]["judge"]["light"]
    assert figures["best"] == 0 and figures["stopped"].startswith("the second judge agrees less")


def test_pictures_that_grow_alike_stop_the_rounds(tmp_path: Path) -> None:
    figures = loop(tmp_path, Apprentice(0.0, same=0.45), judge_of(look), fall=1.0).run()
    assert "grow alike" in figures["stopped"] and figures["best"] == 0


def test_the_probe_is_the_same_each_round_and_never_learnt_from(tmp_path: Path) -> None:
    held = loop(tmp_path, Apprentice(), judge_of(look))
    held.run()
    probes = [judge_round(tmp_path / f"probe-{n:02d}", held.jury) for n in (0, 1)]
    assert [(s.spec, s.seed) for s in probes[0].seen] == [(s.spec, s.seed) for s in probes[1].seen]
    painted = [judge_round(tmp_path / f"round-{n:02d}", held.jury) for n in (0, 1)]
    seeds = [{seen.seed for seen in one.seen} for one in [probes[0], *painted]]
    assert len(set.union(*seeds)) == sum(map(len, seeds))


def test_a_mismatch_is_relabelled_by_a_sure_and_trusted_judge(tmp_path: Path) -> None:
    held = loop(tmp_path, Apprentice(0.5), judge_of(look), relabelled=0.9, keep=3, rounds=1)
    figures = held.run()
    assert figures["kept"]["relabelled"] > 5
    for one in Dataset.open(tmp_path / "dataset"):
        assert look(one.image(0)).light == one.truth.light  # type: ignore[union-attr]


def test_a_stopped_run_goes_on_without_painting_again(tmp_path: Path, monkeypatch: Any) -> None:
    whole = loop(tmp_path / "whole", Apprentice(), judge_of(look)).run()
    painter, calls = Apprentice(), 0
    paint = painter.paint

    def stop(prompts: Any, seeds: Any, negative: Any = None) -> Any:
        nonlocal calls
        calls += 1
        if calls == 6:
            raise KeyboardInterrupt
        return paint(prompts, seeds, negative)

    monkeypatch.setattr(painter, "paint", stop)
    with pytest.raises(KeyboardInterrupt):
        loop(tmp_path / "cut", painter, judge_of(look)).run()
    before = calls
    again = loop(tmp_path / "cut", painter, judge_of(look)).run()
    shards = len(list((tmp_path / "cut").glob("*/train-*.parquet"))) - 1  # the kept Dataset is not painted
    assert again == whole and calls == shards + 1 and before == 6
    assert painter.trainings == ["lora-01", "lora-02", "lora-03"]
    assert loop(tmp_path / "cut", painter, judge_of(look)).run() == whole and calls == shards + 1


def test_a_full_disk_in_a_round_is_one_line_and_mended_by_the_same_command(tmp_path: Path, monkeypatch: Any) -> None:
    write, calls = rounds.write_shard, 0

    def full(samples: Any, file: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(samples, file)

    monkeypatch.setattr(rounds, "write_shard", full)
    with pytest.raises(PacenoteError, match="no space left") as caught:
        loop(tmp_path, Apprentice(), judge_of(look)).run()
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("*/.partial/*"))
    assert second(loop(tmp_path, Apprentice(), judge_of(look)).run())[-1] > 0.97


def test_the_control_learns_as_long_from_the_pairs_alone(tmp_path: Path) -> None:
    painter = Apprentice()
    figures = loop(tmp_path, painter, judge_of(look), control=True).run()
    assert painter.trainings[-1] == "control"
    assert figures["control"]["second"]["light"] == pytest.approx(1.0)  # the pairs are without fault
    names = {path.parent.name for path in tmp_path.glob("*/scores.json")}
    assert any(name.startswith("control-probe") for name in names)


def test_a_second_control_learns_from_the_pairs_before_the_filter(tmp_path: Path) -> None:
    painter = Apprentice()
    wrong = [replace(pair, spec=spec("red")) for pair in pairs_of()]  # whatever they show
    figures = replace(loop(tmp_path, painter, judge_of(look), control=True), original=wrong).run()
    assert painter.trainings[-2:] == ["control", "original"]
    assert figures["original"]["second"]["light"] < figures["control"]["second"]["light"]
    assert figures["original"]["pairs"] == len(wrong)


def test_the_first_training_is_on_the_pairs(tmp_path: Path) -> None:
    painter = Apprentice()
    figures = loop(tmp_path, painter, judge_of(look), rounds=1, first=7).run()
    assert painter.trainings == ["lora-00", "lora-01"] and figures["rounds"][0]["lora"] == "lora-00"
    assert second(figures) == [1.0, 1.0] and figures["best"] == 0 and len(Dataset.open(tmp_path / "dataset")) > 0


def test_nothing_is_painted_for_a_prompt_that_is_cut_or_screened(tmp_path: Path) -> None:
    long = Spec(spec("red").advisory, "clear", "day", "urban", vehicles="a car ahead " * 40)
    with pytest.raises(InputError, match="reads 400"):
        paint_round(Apprentice(), [long], [1], tmp_path / "a", word_screen)
    rude = Spec(spec("red").advisory, vehicles="a gun")
    with pytest.raises(InputError, match="screen refuses"):
        paint_round(Apprentice(), [rude], [1], tmp_path / "b", word_screen)
    assert not (tmp_path / "a").exists() and not (tmp_path / "b").exists()


def test_the_page_shows_each_round(tmp_path: Path) -> None:
    held = loop(tmp_path, Apprentice(), judge_of(look), rounds=1, control=True)
    figures = held.run()
    names = sorted(path.parent.name for path in tmp_path.glob("*/scores.json"))
    trust = {"exact": held.jury.judge.trust}
    page = show(tmp_path, figures, trust, {name: judge_round(tmp_path / name, held.jury) for name in names})
    text = page.read_text()
    assert all(f"{name}: " in text for name in ("probe-00", "round-00", "control-probe-01"))
    assert text.count("<img") > 40 and "shows something else" in text


@pytest.mark.parametrize(("name", "value"), [("images", 0), ("own", 1.5), ("fall", -1)])
def test_bad_options_are_refused(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=name):
        LoopOptions(**{name: value})


def test_a_small_painted_picture_is_stored_without_loss() -> None:
    """A red dot of three pixels came back brown from JPEG."""
    pixels = np.full((128, 224, 3), 90, np.uint8)
    pixels[40:43, 50:53] = 235, 30, 25
    image = Image.fromarray(pixels)
    np.testing.assert_array_equal(np.asarray(rounds.encoded(image, "small").open()), pixels)
    large = rounds.encoded(image.resize((1344, 768)), "large")
    assert large.path == "large.jpg" and large.size() == (1344, 768)
