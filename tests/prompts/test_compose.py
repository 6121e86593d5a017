"""Prompts of single frames: which blocks, why, which pictures, within the budget, always the same."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pacenote.errors import InputError
from pacenote.experts.detection import Detection
from pacenote.prompts.aids import elsewhere, marked
from pacenote.prompts.book import Aid, Block, Book, load_book
from pacenote.prompts.compose import compose
from pacenote.prompts.draw import drawn
from pacenote.prompts.look import Context, Look, facts

SIZE = (672, 378)
RED = Detection("traffic_light", (300, 100, 312, 112), 0.8, "red", 0.9)
FAR = Detection("traffic_light", (500, 90, 510, 100), 0.7, "green", 0.1)
CONE = Detection("cone", (200, 250, 220, 280), 0.6)


class Counted:
    """A word is a token, a picture thirty-six."""

    def words(self, text: str) -> int:
        return len(text.split())

    def picture(self, size: tuple[int, int]) -> int:
        return 36


def frame() -> Image.Image:
    image = Image.linear_gradient("L").resize(SIZE).convert("RGB")
    image.paste((255, 0, 0), (300, 100, 312, 112))
    return image


def book(*blocks: Block, **fields: object) -> Book:
    return dataclasses.replace(Book("b", blocks), **fields)  # type: ignore[arg-type]


def crop(**fields: object) -> Block:
    return Block("crop", "aid", aid=Aid("crop", **fields))  # type: ignore[arg-type]


def test_the_original_asks_what_it_asks() -> None:
    prompt = compose(load_book("original"), frame(), Look(SIZE, (RED,)), Counted(), given="The limit is 50.")
    assert prompt.question == "The limit is 50. Advise the driver."
    assert len(prompt.images) == 1


def test_blocks_come_in_order_with_their_reasons() -> None:
    own = book(
        Block("lane", "caution", "Own lane first.", "lights >= 2"),
        Block("cones", "caution", "Cones: {cones}.", "cones > 0"),
        Block("speed", "context", "Own speed: {speed} km/h."),
        Block("rain", "caution", "Wet road.", "rain"),
        Block("off", "caution", "Never.", active=False),
    )
    prompt = compose(own, frame(), Look(SIZE, (RED, FAR, CONE)), Counted(), context=Context(speed_kmh=47))
    assert prompt.question == "Own lane first. Cones: 1. Own speed: 47 km/h. Advise the driver."
    assert prompt.blocks == ["lane", "cones", "speed"]
    why = {choice.block: choice.why for choice in prompt.choices}
    assert why["lane"] == "lights >= 2: lights = 2"
    assert why["rain"] == "rain: rain = unknown"
    assert why["off"] == "not active"
    silent = compose(own, frame(), Look(SIZE), Counted())
    assert silent.question == "Advise the driver."
    assert {c.block: c.why for c in silent.choices}["speed"] == "speed is not known"


def test_the_crop_shows_the_likeliest_own_light_from_the_sharper_picture() -> None:
    sharp = frame().resize((1344, 756))
    sharp.putpixel((612, 212), (1, 2, 3))
    prompt = compose(book(crop(width=1 / 7, side=192)), frame(), Look(SIZE, (FAR, RED)), Counted(), sharp=sharp)
    assert prompt.roles == ("frame", "crop")
    assert prompt.images[1].size == (192, 192)
    assert prompt.images[1].getpixel((96, 96)) == (
        1,
        2,
        3,
    )  # the centre of the light, at the sharp picture's own pixels


@pytest.mark.parametrize(("least", "most", "count"), [(0.5, 2, 1), (0.05, 2, 2), (0.05, 1, 1), (0.9, 3, 0)])
def test_as_many_crops_as_are_likely(least: float, most: int, count: int) -> None:
    prompt = compose(book(crop(least=least, most=most)), frame(), Look(SIZE, (RED, FAR)), Counted())
    assert len(prompt.images) == 1 + count
    assert prompt.choices[0].used is (count > 0)


def test_two_things_in_one_crop_need_one() -> None:
    near = dataclasses.replace(RED, box=(310, 100, 320, 110), confidence=0.79)
    assert len(compose(book(crop(most=3)), frame(), Look(SIZE, (RED, near)), Counted()).images) == 2


def test_a_mark_leaves_what_it_marks_and_the_frame_alone() -> None:
    image = frame()
    prompt = compose(book(Block("m", "aid", aid=Aid("mark"))), image, Look(SIZE, (RED,)), Counted())
    before = image.copy()
    assert len(prompt.images) == 1
    assert prompt.images[0].crop((300, 100, 312, 112)).tobytes() == before.crop((300, 100, 312, 112)).tobytes()
    assert prompt.images[0].tobytes() != before.tobytes()
    assert image.tobytes() == before.tobytes()
    assert marked(image, []).tobytes() == before.tobytes()


def test_the_frame_before_has_a_role_of_its_own() -> None:
    own = book(Block("p", "aid", when="previous", aid=Aid("previous")))
    assert compose(own, frame(), Look(SIZE), Counted(), previous=frame()).roles == ("frame", "previous")
    assert compose(own, frame(), Look(SIZE), Counted()).roles == ("frame",)


@given(st.integers(0, 600), st.integers(0, 340), st.integers(1, 3))
def test_a_placebo_looks_where_nothing_is_and_always_at_the_same_place(x: int, y: int, most: int) -> None:
    light = Detection("traffic_light", (x, y, x + 12, y + 12), 0.8, "red", 0.9)
    aid, look = Aid("crop", "nothing", most=most), Look(SIZE, (light,))
    places = elsewhere(frame(), aid, look)
    assert places == elsewhere(frame(), aid, look) and len(places) == most
    half = aid.width * SIZE[0] / 2
    for px, py, _, _ in places:
        assert abs(px - x - 6) >= half + 6 or abs(py - y - 6) >= half + 6
    shown = compose(book(crop(of="nothing", most=most)), frame(), look, Counted())
    assert len(shown.images) == 1 + most and shown.images[1].size == (aid.side, aid.side)


def test_a_crop_that_is_moved_inside_the_frame_is_no_placebo_where_it_then_shows_a_light() -> None:
    aid, tried = Aid("crop", "nothing", most=1), 0
    half = aid.width * SIZE[0] / 2
    for grey in range(256):  # the places are a function of the picture
        picture = Image.new("RGB", SIZE, (grey, 0, 0))
        ((x, y, *_),) = elsewhere(picture, aid, Look(SIZE))
        if y < half - 6:  # its crop would begin above the frame; moved, it shows the rows to 2 half
            light = Detection("traffic_light", (x - 6, y + half + 2, x + 6, 2 * half - 2), 0.8, "red", 0.9)
            assert elsewhere(picture, aid, Look(SIZE, (light,)))[0][:2] != (x, y)
            tried += 1
    assert tried


@given(st.integers(4, 120), st.lists(st.sampled_from(["lane", "long", "crop"]), unique=True, min_size=1))
def test_the_budget_holds_whatever_is_in_the_book(budget: int, ids: list[str]) -> None:
    made = {
        "lane": Block("lane", "caution", "Own lane first."),
        "long": Block("long", "definition", "word " * 50),
        "crop": crop(),
    }
    own = book(*(made[one] for one in ids), budget=budget)
    prompt = compose(own, frame(), Look(SIZE, (RED,)), Counted())
    spent = Counted().words(prompt.question) + sum(37 for _ in prompt.images[1:])
    assert prompt.tokens == spent <= budget
    assert [c.block for c in prompt.choices] == ids


def test_a_request_over_the_budget_is_refused() -> None:
    with pytest.raises(InputError, match="raise budget"):
        compose(book(budget=2), frame(), Look(SIZE), Counted())


def test_the_same_frame_has_the_same_prompt() -> None:
    one, two = (compose(load_book("default"), frame(), Look(SIZE, (RED, CONE)), Counted()) for _ in range(2))
    assert (one.question, one.choices, one.book) == (two.question, two.choices, two.book)
    assert [a.tobytes() for a in one.images] == [b.tobytes() for b in two.images]


def test_signals_win_over_guesses() -> None:
    look = Look(SIZE, (), {"weather": "rain", "time": "night", "road_class": "urban"})
    assert facts(look)["night"] is True
    assert facts(look, Context(time="day", weather="snow"))["snow"] is True
    assert facts(look, Context(time="day"))["night"] is False
    assert facts(Look(SIZE))["night"] is None


def test_a_prompt_can_be_looked_at() -> None:
    look = Look(SIZE, (RED, CONE))
    picture = drawn(compose(book(crop()), frame(), look, Counted()), look)
    assert picture.width > SIZE[0]
    assert picture.height == SIZE[1]
