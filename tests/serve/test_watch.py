"""The overlay has every frame of the clip at its time, shows what was said, and is whole or absent."""

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from pacenote.advisory import CROSSROADS, OBSTACLES, Advisory, Light
from pacenote.drives.speed_log import SpeedLog
from pacenote.engine.answer import Answer
from pacenote.errors import InputError
from pacenote.models import load
from pacenote.serve import watch as watching
from pacenote.serve.crop import Blob
from pacenote.serve.icons import LAMPS, roundel, sign, signal_head
from pacenote.serve.panel import HEIGHT, WIDTH, Shown, panel
from pacenote.serve.watch import WatchSettings, draw_watch, picture_size
from tests.drives.test_clip import make_clip

NOTHING = Advisory(None, None, None, None)
RED = Advisory(20, Light("red"), frozenset(["cone"]), frozenset())
GREEN = Advisory(50, Light("green"), frozenset(), frozenset())


def saying(*advisories: Advisory):  # type: ignore[no-untyped-def]
    told = iter(advisories)

    def say(image: Image.Image, own_kmh: int | None) -> Answer:
        advisory = next(told)
        return Answer("words", advisory, {"light": 0.5}, 12.0)

    return say


def test_every_frame_keeps_its_time_and_each_answer_a_line(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "c.mp4", frames=20, rate=10)
    log = SpeedLog((5.0, 5.5, 6.0, 6.5, 7.0), (30.0, 30.0, 40.0, 40.0, 40.0))
    done = draw_watch(
        saying(RED, RED, GREEN, GREEN),
        clip,
        tmp_path / "o.mp4",
        WatchSettings(every=5, hold=2, log_offset_s=5.0),
        log=log,
        json=tmp_path / "o.jsonl",
    )
    assert (done["frames"], done["answers"], done["ms"]) == (20, 4, 12.0)
    with av.open(str(tmp_path / "o.mp4")) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 20
    assert [frame.time for frame in frames] == pytest.approx([k / 10 for k in range(20)], abs=2e-3)
    assert (frames[0].width, frames[0].height) == (WIDTH, picture_size(96, 64)[1] + HEIGHT)
    rows = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [row["frame"] for row in rows] == [0, 5, 10, 15]
    assert [row["own_kmh"] for row in rows] == [30, 30, 40, 40]
    assert [row["advisory"]["light"]["state"] for row in rows] == ["red", "red", "green", "green"]
    assert [row["shown"]["light"]["state"] for row in rows] == ["red", "red", "red", "green"]  # held one answer


def test_the_default_asks_about_four_times_a_second(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "c.mp4", frames=20, rate=20)
    done = draw_watch(saying(RED, RED, RED, RED), clip, tmp_path / "o.mp4", WatchSettings())
    assert (done["every"], done["answers"]) == (5, 4)


def test_the_road_is_not_covered_and_the_panel_follows_the_light(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "c.mp4", frames=4, rate=2)
    draw_watch(saying(RED, GREEN), clip, tmp_path / "o.mp4", WatchSettings(every=2, hold=1))
    with av.open(str(tmp_path / "o.mp4")) as container:
        first, *_, last = [np.asarray(frame.to_image()).astype(int) for frame in container.decode(video=0)]
    road = picture_size(96, 64)[1]
    assert abs(last[100:road, 200:1000].mean() - 30) < 4  # frame 3 is grey of level 30
    lamps = np.s_[road + 40 : road + 172, 330:470]  # the head in its card

    def lit(frame: np.ndarray, channel: int) -> int:
        other = 1 - channel
        return int((frame[lamps][..., channel] > frame[lamps][..., other] + 90).sum())

    assert lit(first, 0) > 200 > 50 > lit(first, 1)
    assert lit(last, 1) > 200 > 50 > lit(last, 0)


def test_the_light_that_is_enlarged_is_the_one_where_the_model_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Blob | None] = []
    real = watching.compose

    def compose(*args: Any) -> Image.Image:
        shown.append(args[3])
        return real(*args)

    monkeypatch.setattr(watching, "compose", compose)
    clip = make_clip(tmp_path / "c.mp4", frames=4, rate=10)
    where = (40.0, 30.0, 50.0, 40.0)
    draw_watch(
        saying(RED, RED), clip, tmp_path / "o.mp4", WatchSettings(every=2, hold=1),
        spot=lambda image, state: where if state == "red" else None,
    )  # fmt: skip
    told = [blob for blob in shown if blob is not None and blob.told]
    assert len(told) >= 2  # at each answer at least
    assert all(20 <= blob.box[0] < blob.box[2] <= 70 for blob in told)
    draw_watch(saying(RED, RED), clip, tmp_path / "p.mp4", WatchSettings(every=2, hold=1), spot=lambda *_: None)
    assert not any(blob.told for blob in shown[4:] if blob is not None)


def test_another_models_look_does_not_lend_the_model_its_eyes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, lent = load("starter-student"), []
    real = watching.asker
    monkeypatch.setattr(watching, "asker", lambda *args: lent.append(args[3]) or real(*args))  # type: ignore[func-returns-value]
    settings = WatchSettings(every=4, prompts="default", expert="look:starter-teacher")
    done = watching.watch(model, make_clip(tmp_path / "c.mp4", frames=4, rate=10), tmp_path / "o.mp4", settings)
    assert done["answers"] == 1 and [eyes.model for eyes in lent] == [model]


def test_nothing_is_left_when_it_fails(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "c.mp4")

    def fail(image: Image.Image, own_kmh: int | None) -> Answer:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError):
        draw_watch(fail, clip, tmp_path / "o.mp4", WatchSettings(), json=tmp_path / "o.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["c.mp4"]


@pytest.mark.parametrize("name", ["o.avi", "folder.mp4"])
def test_bad_names_for_the_overlay_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(InputError, match="mp4"):
        draw_watch(saying(RED), make_clip(tmp_path / "c.mp4"), tmp_path / name, WatchSettings())


@given(st.integers(16, 8000), st.integers(16, 8000))
def test_the_picture_is_even_and_fits(width: int, height: int) -> None:
    w, h = picture_size(width, height)
    assert w % 2 == h % 2 == 0
    assert w <= WIDTH
    assert h <= 1080


kinds = st.frozensets
advisories = st.builds(
    Advisory,
    st.none() | st.sampled_from([0, 20, 130]),
    st.none()
    | st.just(Light("none"))
    | st.builds(
        Light,
        st.sampled_from(["red", "yellow", "green", "off"]),
        st.sampled_from(["any", "straight", "left", "right"]),
        st.sampled_from(["junction", "toll"]),
        st.none() | st.just(("green", "left")),
    ),
    st.none() | kinds(st.sampled_from(OBSTACLES)),
    st.none() | kinds(st.sampled_from(CROSSROADS)),
)


@given(advisories, st.none() | st.integers(0, 200), st.booleans())
@settings(max_examples=40)
def test_any_advisory_can_be_shown_and_differs_from_nothing(advisory: Advisory, own: int | None, log: bool) -> None:
    image = panel(Shown(advisory, own, log))
    assert image.size == (WIDTH, HEIGHT)
    blank = panel(Shown(NOTHING, own, log))
    assert (ImageChops.difference(image, blank).getbbox() is None) == (advisory == NOTHING)


def test_each_sign_and_lamp_is_its_own_picture() -> None:
    pictures = [sign(kind, 64) for kind in (*OBSTACLES, *CROSSROADS)]
    pictures += [signal_head(state, "any", 64) for state in ("none", "off", *LAMPS)]
    pictures += [signal_head("green", movement, 64) for movement in ("straight", "left", "right")]
    pictures += [roundel(speed, 64) for speed in (None, 20, 130)]
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)
    assert {picture.size for picture in pictures} == {(64, 64)}
