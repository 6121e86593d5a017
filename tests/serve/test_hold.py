"""The hold shows only what the model said, calms flicker, and lets go of what is no longer read."""

from hypothesis import given
from hypothesis import strategies as st

from pacenote.advisory import Advisory, Light
from pacenote.serve.hold import Hold


def saying(state: str | None) -> Advisory:
    return Advisory(50, None if state is None else Light(state), frozenset(), frozenset())


def lights(hold: Hold, states: list[str | None]) -> list[str | None]:
    shown = [hold.show(saying(state)).light for state in states]
    return [light.state if light else None for light in shown]


STATES = st.lists(st.sampled_from(["red", "green", "none", None]), min_size=1, max_size=40)


@given(STATES, st.integers(1, 4))
def test_only_what_was_said_is_shown(states: list[str | None], confirm: int) -> None:
    for k, shown in enumerate(lights(Hold(confirm), states)):
        assert shown is None or shown in states[: k + 1]


@given(STATES)
def test_without_a_hold_every_read_answer_shows_at_once(states: list[str | None]) -> None:
    for said, shown in zip(states, lights(Hold(1), states), strict=True):
        assert said is None or said == shown


@given(STATES, st.integers(2, 4))
def test_each_change_was_confirmed(states: list[str | None], confirm: int) -> None:
    shown = lights(Hold(confirm, patience=100), states)
    for k in range(1, len(shown)):
        if shown[k] != shown[k - 1] and shown[k - 1] is not None:
            read = [state for state in states[: k + 1] if state is not None]
            assert read[-confirm:] == [shown[k]] * confirm


def test_a_flicker_is_not_shown_and_a_change_comes_one_answer_late() -> None:
    assert lights(Hold(2), ["red", "green", "red", "none", "red"]) == ["red"] * 5
    assert lights(Hold(2), ["red", "green", "green"]) == ["red", "red", "green"]


def test_an_unreadable_light_goes_dark_after_a_while() -> None:
    assert lights(Hold(2, patience=2), ["red", None, None, None, "green"]) == ["red", "red", "red", None, "green"]
