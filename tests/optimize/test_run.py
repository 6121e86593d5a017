"""Whole optimizations of a scripted model: what helps is found and accepted, what does not is not, runs resume."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from pacenote.advisory import Advisory, Light, Truth
from pacenote.data import Picture, Sample
from pacenote.engine import Answer
from pacenote.errors import InputError
from pacenote.experts.detection import Detection
from pacenote.optimize.asked import Asked
from pacenote.optimize.report import write_page
from pacenote.optimize.run import Options, optimize, split_parts
from pacenote.prompts.book import Aid, Block, Book, load_book
from pacenote.prompts.compose import Prompt, compose
from pacenote.prompts.look import Context, Look

SIZE = (96, 54)


def samples(count: int = 240) -> list[Sample]:
    """Half of the frames have a red light; the number is the colour of the frame."""
    made = []
    for number in range(count):
        state = "red" if number % 2 else "none"
        advisory = Advisory(
            50,
            Light(state),
            frozenset({"cone"} if number % 3 else ()),
            frozenset({"intersection"} if number % 5 else ()),
        )
        picture = Picture.encode(Image.new("RGB", SIZE, (number % 256, number // 256, 7)), format="PNG")
        made.append(Sample(f"s{number}", (picture,), truth=Truth.from_advisory(advisory), scene=f"scene{number}"))
    return made


class Prompting:
    """A prompter whose expert sees a light where one is."""

    digest = "scripted"
    counter = SimpleNamespace(words=lambda text: len(text.split()), picture=lambda size: 36)

    def look(self, images: Sequence[Image.Image]) -> tuple[list[Image.Image], list[Look]]:
        looks = []
        for image in images:
            red, green, _ = image.getpixel((0, 0))
            lights = (Detection("traffic_light", (40, 10, 44, 14), 0.4, "red"),) if (red + 256 * green) % 2 else ()
            looks.append(Look(SIZE, lights))
        return list(images), looks

    def compose(
        self, book: Book, frame: Any, look: Look, image: Any, question: str = "", context: Context = Context()
    ) -> Prompt:
        return compose(book, frame, look, self.counter, sharp=image, context=context)


class Model:
    """Tells lights right in two of three frames without a crop, in all with one; of the rest every seventh is wrong."""

    def __init__(self, helps: bool = True) -> None:
        self.helps, self.calls = helps, 0

    def __call__(self, images: Any, questions: Any, roles: Any = ()) -> list[Answer]:
        told = []
        for own in images:
            self.calls += 1
            red, green, _ = own[0].getpixel((0, 0))
            number = red + 256 * green
            seen = number % 2 and (number % 6 != 1 or (self.helps and len(own) > 1))
            cone = number % 3 and number % 7
            said = Advisory(
                50,
                Light("red" if seen else "none"),
                frozenset({"cone"} if cone else ()),
                frozenset({"intersection"} if number % 5 else ()),
            )
            told.append(Answer(said.text(), said, None, 1.0))
        return told


BOOK = Book(
    "small",
    (
        Block("crop", "aid", slot="light", aid=Aid("crop", least=0.1), active=False),
        Block("lane", "caution", "Own lane first.", slot="light", active=False),
        Block("cones", "caution", "Mind cones.", slot="obstacles", active=False),
    ),
)
QUICK = Options(rounds=4, candidates=3, patience=2)


def asked(model: Model, tmp_path: Path) -> Asked:
    return Asked(model, Prompting(), samples(), "m", tmp_path / "out" / "answers")  # type: ignore[arg-type]


def test_what_helps_is_accepted_and_nothing_else(tmp_path: Path) -> None:
    own = asked(Model(), tmp_path)
    state = optimize(own, BOOK, tmp_path / "out", QUICK)
    assert state.figures["accepted"] == ["use crop"]
    assert state.best.version == 2
    assert [block.id for block in state.best.blocks if block.active] == ["crop"]
    first = next(one for one in state.rounds if one.verdict and one.verdict.accepted)
    assert first.wins.keys() == {"light"}
    assert first.losses == {}
    assert "active: false" in first.diff
    assert load_book(str(tmp_path / "out" / "book.yaml")) == state.best
    held = json.loads((tmp_path / "out" / "rounds.json").read_text())
    assert held["gain_on_accept"]["light.f1"] > 0.1
    page = write_page(state, own, tmp_path / "out").read_text()
    assert "use crop" in page
    assert "Accepted" in page


def test_a_model_that_crops_do_not_help_keeps_its_book(tmp_path: Path) -> None:
    state = optimize(asked(Model(helps=False), tmp_path), BOOK, tmp_path / "out", QUICK)
    assert state.figures["accepted"] == []
    assert state.best == BOOK
    write_page(state, asked(Model(helps=False), tmp_path), tmp_path / "out")


def test_a_stopped_run_goes_on_to_the_same_end_without_asking_again(tmp_path: Path) -> None:
    whole = optimize(asked(Model(), tmp_path / "a"), BOOK, tmp_path / "a" / "out", QUICK)
    model = Model()

    def stop(images: Any, questions: Any, roles: Any = ()) -> list[Answer]:
        if model.calls > 200:
            raise KeyboardInterrupt
        return model(images, questions, roles)

    with pytest.raises(KeyboardInterrupt):
        optimize(
            Asked(stop, Prompting(), samples(), "m", tmp_path / "b" / "out" / "answers"),
            BOOK,
            tmp_path / "b" / "out",
            QUICK,
        )  # type: ignore[arg-type]
    again = Model()
    resumed = optimize(asked(again, tmp_path / "b"), BOOK, tmp_path / "b" / "out", QUICK)
    assert resumed.best == whole.best
    assert [one.to_dict() for one in resumed.rounds] == [one.to_dict() for one in whole.rounds]
    third = Model()
    optimize(asked(third, tmp_path / "b"), BOOK, tmp_path / "b" / "out", QUICK)
    assert third.calls == 0
    with pytest.raises(InputError):
        optimize(asked(Model(), tmp_path / "b"), BOOK, tmp_path / "b" / "out", dataclasses.replace(QUICK, seed=1))


def test_gepa_searches_and_the_gate_decides(tmp_path: Path) -> None:
    pytest.importorskip("gepa")
    from pacenote.optimize.gepa import GepaProposer

    own = asked(Model(), tmp_path)
    proposer = GepaProposer(own, split_parts(own.samples)["propose"], 400)
    state = optimize(own, BOOK, tmp_path / "out", dataclasses.replace(QUICK, rounds=1), proposer)
    assert state.rounds[0].winner.kind == "search"
    assert state.best.block("crop").active
    useless = Model(helps=False)
    own = asked(useless, tmp_path / "b")
    proposer = GepaProposer(own, split_parts(own.samples)["propose"], 400)
    assert optimize(own, BOOK, tmp_path / "b" / "out", dataclasses.replace(QUICK, rounds=1), proposer).best == BOOK


def test_parts_share_no_scene_and_too_few_frames_are_refused() -> None:
    own = [dataclasses.replace(sample, scene=f"scene{k // 3}") for k, sample in enumerate(samples())]
    parts = split_parts(own)
    scenes = [{own[k].scene for k in part} for part in parts.values()]
    assert sum(map(len, parts.values())) == len(own)
    assert not any(a & b for k, a in enumerate(scenes) for b in scenes[k + 1 :])
    with pytest.raises(InputError, match="more scenes"):
        split_parts(own[:30])


@pytest.mark.parametrize("bad", [{"rounds": 0}, {"alpha": 0.0}, {"alpha": 0.6}, {"margin": -0.1}])
def test_options_are_checked(bad: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Options(**bad)
