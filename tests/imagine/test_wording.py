"""A painter is asked in a book's words: those that apply, as long as it reads them; the caption is always whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacenote.advisory import CROSSROADS, LIGHT_STATES, OBSTACLES, Advisory, Light
from pacenote.errors import InputError
from pacenote.imagine.spec import ROAD, TIME, WEATHER, Spec
from pacenote.imagine.wording import Wording, look_of, wording
from pacenote.prompts.book import BOOKS, Book, load_book
from pacenote.prompts.look import facts
from tests.imagine.streets import judge_of, look, spec
from tests.imagine.test_loop import Apprentice, loop

specs = st.builds(
    lambda light, obstacles, crossroad, weather, time, road, details: Spec(
        Advisory(None, Light(light), obstacles, crossroad), weather, time, road, details=details
    ),
    st.sampled_from(LIGHT_STATES), st.frozensets(st.sampled_from(OBSTACLES)),
    st.frozensets(st.sampled_from(CROSSROADS)), st.sampled_from([*WEATHER]), st.sampled_from([*TIME]),
    st.sampled_from([*ROAD]),
    st.sampled_from(["", "brick houses on the left"]),
)  # fmt: skip
BOOK = Book.from_dict({
    "name": "b", "blocks": [
        {"id": "camera", "kind": "task", "text": "A photo."},
        {"id": "cones", "kind": "caution", "when": "cones >= 1", "text": "Mind {seen}."},
        {"id": "night", "kind": "context", "when": "night", "text": "Lamps are lit."},
        {"id": "off", "kind": "context", "text": "Never said.", "active": False},
    ],
})  # fmt: skip


def test_blocks_that_apply_stand_around_the_caption() -> None:
    words = Wording(BOOK, lambda _: True)
    plain = spec("red")
    assert words(plain) == f"A photo. {plain.prompt()}"
    full = spec("red", cone=True, time="night")
    assert words(full) == f"A photo. {full.prompt()} Mind cone. Lamps are lit."
    assert words(plain, "My own caption.") == "A photo. My own caption."


@given(specs, st.integers(0, 400))
def test_the_facts_are_never_cut(wanted: Spec, most: int) -> None:
    for name in ("", "painter"):
        book = load_book(name) if name else None
        prompt = Wording(book, lambda text: len(text) <= most)(wanted)
        bare = replace(wanted, details="").prompt()
        assert bare in prompt or wanted.prompt() in prompt
        assert len(prompt) <= max(most, len(bare))


@given(specs)
def test_a_look_at_a_spec_finds_what_it_says(wanted: Spec) -> None:
    known = facts(look_of(wanted))
    assert known["seen"] == ([kind for kind in OBSTACLES if kind in wanted.obstacles] or None)
    assert known["lights"] == (wanted.light.state != "none")
    assert (known["crossing"] == 1) == ("pedestrian_crossing" in wanted.crossroad)
    assert (known["weather"], known["time"], known["road"]) == (wanted.weather, wanted.time, wanted.road_class)


def test_a_book_with_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="light-crop is a picture"):
        wording("default", Apprentice())
    assert wording("painter", Apprentice()).digest == load_book("painter").digest
    assert (BOOKS / "painter.yaml").is_file()


def test_rounds_paint_and_learn_in_the_same_words(tmp_path: Path) -> None:
    asked: list[str] = []
    learnt: list[str] = []

    class Listening(Apprentice):
        def paint(self, prompts: Any, seeds: Any, negative: Any = None) -> Any:
            asked.extend(prompts)
            return super().paint(prompts, seeds, negative)

        def train_lora(self, groups: Any, *rest: Any) -> Path:
            learnt.extend(pair.caption for pair in groups[-1])
            return super().train_lora(groups, *rest)

    made = loop(tmp_path, Listening(), judge_of(look), rounds=1)
    replace(made, words=Wording(BOOK, lambda _: True)).run()
    assert asked and all(prompt.startswith("A photo. ") for prompt in asked)
    assert learnt and all(caption.startswith("A photo. ") for caption in learnt)
    assert any("Mind cone." in prompt for prompt in asked) and not any("Never said." in prompt for prompt in asked)
