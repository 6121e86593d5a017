import itertools
import json
import random
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pacenote.advisory import SLOTS, Advisory, Light, slot_text
from tests.advisory.strategies import advisories, partial_advisories

NONE: frozenset[str] = frozenset()
LEFT_GREEN = Light("red", "straight", other=("green", "left"))


def kinds(*names: str) -> frozenset[str]:
    return frozenset(names)


def field(slot: str) -> str:
    return "speed_kmh" if slot == "speed" else slot


PAPER_FIGURES = [
    (
        "Recommended Speed: 30 km/n Traffic light: Red light, please stop and wait "
        "Traffic cones and obstacles: None Crossroad: None",
        Advisory(30, Light("red"), NONE, NONE),
    ),
    (
        "Recommended speed: 20 km/h Traffic light: Currently in the straight lane, red light ahead, need to stop and "
        "wait, and pay attention to the green light in the left-turn lane Traffic cones and obstacles: None "
        "Crossroad : There is a pedestrian crossing ahead, need to slow down",
        Advisory(20, LEFT_GREEN, NONE, kinds("pedestrian_crossing")),
    ),
    (
        "Recommended speed: 30 km/h Traffic light: Red light, please stop and wait "
        "Traffic cones and obstacles: None Crossroad: None",
        Advisory(30, Light("red"), NONE, NONE),
    ),
    (
        "Recommended speed: 20 km/h Traffic light: Green arrow at the toll station ahead, please proceed. "
        "Traffic cones and obstacles: None Crossroad: None",
        Advisory(20, Light("green", place="toll"), NONE, NONE),
    ),
    (
        "Recommended Speed: 40 km/h; Traffic Lights: Red light ahead, please stop and wait; Obstacles: Traffic cones "
        "are present, please maneuver around them carefully; Intersection: An intersection is ahead, please slow down "
        "and proceed with caution.",
        Advisory(40, Light("red"), kinds("cone"), kinds("intersection")),
    ),
]

OTHER_FORMS = [
    (  # fenced JSON, other names, a missing answer
        'Sure:\n```json\n{"recommended_speed": "30 km/h", "traffic_light": "red", "obstacles": ["cones", "barriers"], '
        '"crossroad": null}\n```',
        Advisory(30, Light("red"), kinds("cone", "barrier"), None),
    ),
    (
        '{"result": {"speed_mph": 25, "trafficLight": {"color": "Green", "direction": "left"}, "cones": true, '
        '"pedestrians": false, "intersection": true, "crosswalk": false}}',
        Advisory(40, Light("green", "left"), kinds("cone"), kinds("intersection")),
    ),
    (  # cut off before the closing brace
        '{"speed_kmh": 30, "light": {"state": "red", "movement": "left", "place": "junction"',
        Advisory(30, Light("red", "left"), None, None),
    ),
    (
        "- **Recommended Speed:** 30 km/h\n- **Traffic Light:** Green, proceed straight\n- **Obstacles:** There are no "
        "cones.\n- **Crossroad:** N/A",
        Advisory(30, Light("green"), NONE, None),
    ),
    (
        "## Traffic light\nYellow\n## Obstacles\n1. Cones\n2. Barrier\n## Crossroad\nIntersection\n## "
        "Recommended speed\n20-30 km/h",
        Advisory(25, Light("yellow"), kinds("cone", "barrier"), kinds("intersection")),
    ),
    (
        "| Slot | Value |\n|---|---|\n| Speed | 30 km/h |\n| Traffic light | off |\n| Obstacles | none |\n"
        "| Crossroad | zebra crossing |",
        Advisory(30, Light("off"), NONE, kinds("pedestrian_crossing")),
    ),
    (
        "The traffic light ahead is red, so the driver should stop. There are several traffic cones on the right "
        "side, and a pedestrian is crossing the street. There is a crosswalk ahead. I recommend a speed of 20 mph.",
        Advisory(30, Light("red"), kinds("cone", "pedestrian"), kinds("pedestrian_crossing")),
    ),
    (
        "There are no traffic lights visible. The speed limit is 60 km/h but I suggest 40 km/h. There are no cones, "
        "barriers, or debris. No intersection, pedestrian crossing ahead.",
        Advisory(40, Light("none"), NONE, kinds("pedestrian_crossing")),
    ),
    (
        "Speed: unknown. Light: not visible. Cones: yes, two on the left. Pedestrians: none. Junction: yes.",
        Advisory(None, Light("none"), kinds("cone"), kinds("intersection")),
    ),
    (
        "Crossroads: crosswalks\nHazards: roadworks and a deer\nSignal: amber\nSpeed limit: 80\nSuggested speed: "
        "50 kph\nReason: the red truck is at an intersection",
        Advisory(50, Light("yellow"), kinds("construction", "animal"), kinds("pedestrian_crossing")),
    ),
    ("<think>Speed: 90? The light is red.</think>Speed: 50. Light: green.", Advisory(50, Light("green"), None, None)),
    ("I am a language model and cannot see the image.", Advisory(None, None, None, None)),
    ("", Advisory(None, None, None, None)),
]


@pytest.mark.parametrize(
    ("text", "expected"), PAPER_FIGURES, ids=["fig3-before", "fig3-after", "fig9-before", "fig9-after", "fig7"]
)
def test_reads_the_figures_of_paper_a(text: str, expected: Advisory) -> None:
    assert Advisory.parse(text) == expected


@pytest.mark.parametrize(("text", "expected"), OTHER_FORMS)
def test_reads_other_forms(text: str, expected: Advisory) -> None:
    assert Advisory.parse(text) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("None", Light("none")),
        ("No traffic lights visible", Light("none")),
        ("there is no traffic light in the image", Light("none")),
        ("Not present.", Light("none")),
        ("N/A", None),
        ("unknown", None),
        ("cannot be determined", None),
        ("red/green", None),
        ("none|red|yellow|green|off", None),
        ("RED", Light("red")),
        ("The light is red; wait until it turns green", Light("red")),
        ("not red, but green", Light("green")),
        ("amber light", Light("yellow")),
        ("flashing yellow", Light("yellow")),
        ("the lights are out of order", Light("off")),
        ("red light on the left side", Light("red")),
        ("green left-turn arrow", Light("green", "left")),
        ("red for going straight and green for left turn", LEFT_GREEN),
        ("The straight lane has a red light while the left arrow is green", LEFT_GREEN),
        ("The adjacent lane has green, ours is red", Light("red")),
        ("green, behind a red car", Light("green")),
        ("red at the toll booth", Light("red", place="toll")),
    ],
)
def test_reads_lights(said: str, expected: Light | None) -> None:
    assert Advisory.parse(f"Traffic light: {said}").light == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("30", 30),
        ("32 km/h", 30),
        ("48km/h", 50),
        ("30 kph", 30),
        ("25 mph", 40),
        ("10 m/s", 35),
        ("20-30 km/h", 25),
        ("reduce from 60 to 30 km/h", 30),
        ("within 50 m slow down to 30 km/h", 30),
        ("stop", 0),
        ("0", 0),
        ("unknown", None),
        ("N/A", None),
        ("300 km/h", None),
        ("9" * 400, None),
    ],
)
def test_reads_speeds(said: str, expected: int | None) -> None:
    assert Advisory.parse(f"Recommended speed: {said}").speed_kmh == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("None", NONE),
        ("no obstacles", NONE),
        ("There are no cones.", NONE),
        ("no cones, barriers, pedestrians", NONE),
        ("no cones or barriers, but debris ahead", kinds("debris")),
        ("cones are not visible", NONE),
        ("Traffic cones, two barricades and a dog", kinds("cone", "barrier", "animal")),
        ("a pedestrian crossing the road", kinds("pedestrian")),
        ("pedestrians crossing with umbrellas", kinds("pedestrian")),
        ("construction cones", kinds("cone")),
        ("an accident blocks the left lane", kinds("crash")),
        ("slow down to avoid an accident with the cones", kinds("cone")),
        ("a parked truck", NONE),
        ("N/A", None),
        ("yes", None),
        ("asdf", None),
    ],
)
def test_reads_obstacles(said: str, expected: frozenset[str] | None) -> None:
    assert Advisory.parse(f"Obstacles: {said}").obstacles == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("None", NONE),
        ("yes", kinds("intersection")),
        ("T-junction", kinds("intersection")),
        ("zebra crossing and an intersection", kinds("intersection", "pedestrian_crossing")),
        ("crosswalks", kinds("pedestrian_crossing")),
        ("straight road", NONE),
        ("no intersection; crosswalk ahead", kinds("pedestrian_crossing")),
        ("unknown", None),
    ],
)
def test_reads_crossroads(said: str, expected: frozenset[str] | None) -> None:
    assert Advisory.parse(f"Crossroad: {said}").crossroad == expected


@given(advisories, st.permutations(SLOTS), st.integers(0, 4), st.sampled_from([" ", "\n", "\n\n- "]))
def test_any_slots_in_any_order(advisory: Advisory, order: list[str], count: int, between: str) -> None:
    said = order[:count]
    parsed = Advisory.parse(between.join(slot_text(advisory, slot) for slot in said))
    for slot in SLOTS:
        expected = getattr(advisory, field(slot)) if slot in said else None
        if count == 1 and slot not in said:
            continue  # a lone sentence may say something of another slot ("pedestrian", "toll")
        assert getattr(parsed, field(slot)) == expected


@given(
    partial_advisories,
    st.sampled_from(["{}", "```json\n{}\n```", "Here you are: {} Drive safely.", '{{"advisory": {}}}']),
)
def test_reads_its_own_json_anywhere(advisory: Advisory, frame: str) -> None:
    assert Advisory.parse(frame.format(json.dumps(advisory.to_dict(), indent=1))) == advisory


@given(advisories, st.sampled_from([str.upper, str.lower, str.title]))
def test_case_does_not_matter(advisory: Advisory, case) -> None:
    assert Advisory.parse(case(advisory.text())) == advisory


PIECES = [
    *["Recommended speed:", "Traffic light:", "obstacles", "crossroad:", "red", "green light", "no", "not", "cones"],
    *["30", "km/h", "mph", "or", "and", "for left"],
    *[".", ",", ";", ":", "|", "-", "\n", "{", "}", "[", '"', "**", "#", "```json", "null", "{}", "e"],
    *["\u0130", "\ud800"],
]


@given(st.text() | st.lists(st.sampled_from(PIECES)).map(" ".join) | st.lists(st.sampled_from(PIECES)).map("".join))
@example("\x00")
@example('{"speed_kmh": Infinity, "light": NaN}')
@example('{"speed": 1' + "0" * 5000 + "}")
@example('{"a":' * 3000 + "1" + "}" * 3000)
def test_never_raises(text: str) -> None:
    assert isinstance(Advisory.parse(text), Advisory)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=8), st.lists))
def test_never_raises_on_odd_json(value: object) -> None:
    for key in ("speed_kmh", "light", "obstacles", "crossroad"):
        assert isinstance(Advisory.parse(json.dumps({key: value})), Advisory)
        assert isinstance(Advisory.parse(json.dumps({key: {"state": value, "other": value}})), Advisory)


def test_time_grows_with_the_length_at_most() -> None:
    rng = random.Random(0)
    words = [*PIECES, "no ", "red or ", "traffic light ", "no cones, ", "\ufdfa", '{"a":']
    junk = [word * (100_000 // len(word)) for word in words]
    junk += ["".join(rng.choice(PIECES) for _ in range(20_000)), " ".join(rng.choice(PIECES) for _ in range(20_000))]
    junk += [" ".join(pair) * 5_000 for pair in itertools.islice(itertools.combinations(PIECES, 2), 0, None, 7)]
    for text in junk:
        start = time.process_time()
        Advisory.parse(text)
        assert time.process_time() - start < 0.5, text[:40]
