"""The camera: deterministic, fog by Beer-Lambert, all passes warped alike."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pacenote.render.finish import encode_jpeg, finish, fog, transmittance
from pacenote.render.footprints import rasterise
from pacenote.render.passes import Footprint, Passes
from pacenote.scenes.scene import Camera, Environment, Scene
from tests.render.handmade import street, weathers

WIDTH, HEIGHT = 336, 189


def made(scene: Scene) -> Passes:
    """A wall at 50 m with a bright square, sky above."""
    rng = np.random.default_rng(0)
    linear = rng.uniform(0.05, 0.3, (HEIGHT, WIDTH, 3)).astype(np.float32)
    depth = np.full((HEIGHT, WIDTH), 50.0, np.float32)
    depth[:60] = np.inf
    linear[:60] = (0.3, 0.4, 0.6)
    index = np.zeros((HEIGHT, WIDTH), np.int32)
    index[100:120, 200:240] = 7
    linear[100:120, 200:240] = (3.0, 0.1, 0.05)
    return Passes(linear, index, depth, {7: Footprint(800, (200.0, 100.0, 240.0, 120.0), 1.0)})


@pytest.mark.parametrize("name", list(weathers()))
def test_finish_is_a_function_of_the_seed(name: str) -> None:
    scene = street(0, environment=weathers()[name], camera=Camera(0, 0, 1.4, 0, width=WIDTH, height=HEIGHT, k1=-0.08))
    passes = made(scene)
    kept = passes.linear.copy()
    one, warped = finish(passes, scene)
    two, again = finish(passes, scene)
    assert one.dtype == np.uint8
    assert one.shape == (HEIGHT, WIDTH, 3)
    assert np.array_equal(one, two)
    assert np.array_equal(warped.index, again.index)
    assert np.array_equal(passes.linear, kept)
    other = dataclasses.replace(scene, environment=dataclasses.replace(scene.environment, seed=99))
    assert not np.array_equal(one, finish(passes, other)[0])


def test_fog_follows_beer_lambert() -> None:
    scene = street(0, environment=Environment("fog", visibility_m=100.0, seed=1))
    depth = np.full((3, 3), 100.0, np.float32)
    assert transmittance(depth, scene)[1, 1] == pytest.approx(np.exp(-3.912), rel=1e-4)
    near, far = np.full((3, 3), 1.0, np.float32), np.full((3, 3), 400.0, np.float32)
    linear = np.zeros((3, 3, 3), np.float32)
    rng = np.random.default_rng
    assert fog(linear, near, scene, rng(0)).mean() < 0.1 * fog(linear, far, scene, rng(0)).mean()


@pytest.mark.parametrize("k1", [-0.25, -0.08, 0.1])
def test_the_lens_moves_picture_index_and_footprint_together(k1: float) -> None:
    scene = street(0, camera=Camera(0, 0, 1.4, 0, width=WIDTH, height=HEIGHT, k1=k1))
    passes = made(scene)
    frame, warped = finish(passes, scene)
    seen = warped.index == 7
    assert seen.any()
    red = frame[..., 0].astype(int) - frame[..., 2]
    ys, xs = np.nonzero(red > red.max() * 0.6)
    rows, columns = np.nonzero(seen)
    assert abs(np.median(xs) - np.median(columns)) < 2
    assert abs(np.median(ys) - np.median(rows)) < 2
    x0, y0, x1, y1 = warped.footprints[7].box
    assert abs(x0 - columns.min()) < 2.5
    assert abs(x1 - 1 - columns.max()) < 2.5
    assert abs(y0 - rows.min()) < 2.5
    assert abs(y1 - 1 - rows.max()) < 2.5
    assert warped.footprints[7].pixels >= seen.sum()
    assert warped.footprints[7].pixels == pytest.approx(seen.sum(), rel=0.1)
    assert np.isinf(warped.depth[5, WIDTH // 2])


def test_footprint_of_a_disc_and_of_what_leaves_the_frame() -> None:
    angle = np.linspace(0, 2 * np.pi, 25)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)

    def disc(x: float, y: float, r: float) -> np.ndarray:
        c = np.array([x, y])
        return np.stack([np.broadcast_to(c, (24, 2)), c + r * ring[:-1], c + r * ring[1:]], axis=1)

    index = np.zeros((100, 200), np.int32)
    for radius in (1.5, 2.0, 6.0, 30.0):
        got = rasterise(disc(80.3, 50.2, radius).astype(np.float32), np.full(24, 4, np.int32), index)[4]
        assert got.pixels == pytest.approx(np.pi * radius**2, rel=0.05, abs=1)
        assert got.in_frame == 1
    half = rasterise(disc(200.0, 50.0, 20).astype(np.float32), np.full(24, 5, np.int32), index)[5]
    assert half.in_frame == pytest.approx(0.5, abs=0.03)
    assert half.pixels == pytest.approx(np.pi * 200, rel=0.05)
    assert half.box[2] == 200
    gone = rasterise(disc(300.0, 50.0, 20).astype(np.float32), np.full(24, 6, np.int32), index)
    assert gone == {}


def test_jpeg_is_a_jpeg() -> None:
    frame = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    assert encode_jpeg(frame, 70)[:2] == b"\xff\xd8"
    assert len(encode_jpeg(frame, 30)) < len(encode_jpeg(frame, 95))
