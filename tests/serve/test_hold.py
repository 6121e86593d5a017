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


def speeds(hold: Hold, told: list[int | None]) -> list[int | None]:
    return [hold.show(Advisory(kmh, None, None, None)).speed_kmh for kmh in told]


def test_speeds_that_never_agree_still_move_what_is_shown() -> None:
    assert speeds(Hold(2), [20, 30, 35, 30, 40]) == [20, 20, 30, 30, 30]
    assert speeds(Hold(2), [20, 60, 20, 60, 20]) == [20] * 5
    assert speeds(Hold(3), [50, 20, 30, 25, 70, 25]) == [50, 50, 50, 30, 30, 30]


@given(st.lists(st.sampled_from([None, *range(0, 131, 5)]), min_size=1, max_size=40), st.integers(1, 4))
def test_a_shown_speed_was_said_and_lies_between_what_was_shown_and_what_is_said(
    told: list[int | None], confirm: int
) -> None:
    hold, before = Hold(confirm), None
    for k, (said, shown) in enumerate(zip(told, speeds(hold, told), strict=True)):
        assert shown is None or shown in told[: k + 1]
        if said is not None and before is not None and shown is not None:
            assert min(before, said) <= shown <= max(before, said)
        before = shown


def test_an_unreadable_light_goes_dark_after_a_while() -> None:
    assert lights(Hold(2, patience=2), ["red", None, None, None, "green"]) == ["red", "red", "red", None, "green"]
