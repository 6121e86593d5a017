"""A repeat is refused and its twin named; a frame that differs in a lamp or in its slots never is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from pacenote.advisory import Truth
from pacenote.drives.clip import read_frames
from pacenote.mining.duplicates import Duplicates, Likeness, Signature, embeddings, likeness, signature, slots_key

RED, GREEN = (255, 40, 30), (40, 230, 90)


def scene(
    seed: int, lamp: tuple[int, int, int] | None = None, size: int = 4, at: tuple[int, int] = (220, 80)
) -> Image.Image:
    """A grey street of big blocks, perhaps with a lamp `size` px wide."""
    rng = np.random.default_rng(seed)
    blocks = Image.fromarray(rng.integers(60, 180, (9, 16), dtype=np.uint8)).resize(
        (448, 252), Image.Resampling.BICUBIC
    )
    image = blocks.convert("RGB")
    if lamp:
        ImageDraw.Draw(image).ellipse((*at, at[0] + size - 1, at[1] + size - 1), fill=lamp)
    return image


def grainy(image: Image.Image, seed: int = 0) -> Image.Image:
    grain = np.random.default_rng(seed).normal(0, 2, (image.height, image.width, 3))
    return Image.fromarray((np.asarray(image) + grain).clip(0, 255).astype(np.uint8))


def test_the_same_street_with_other_grain_is_a_repeat_and_names_its_twin() -> None:
    seen = Duplicates()
    assert seen.add("a", signature(scene(1)), "k") is None
    assert seen.add("b", signature(scene(2)), "k") is None
    assert (seen.add("c", signature(grainy(scene(1))), "k") or "").startswith("repeats a (luminance ")


@pytest.mark.parametrize("size", [3, 4, 8, 24])
@pytest.mark.parametrize("pair", [(RED, GREEN), (RED, None), (None, GREEN)])
def test_a_lamp_that_differs_is_never_merged_even_where_no_label_tells(
    size: int, pair: tuple[tuple[int, int, int] | None, ...]
) -> None:
    key = slots_key(Truth.unknown())
    for seed in range(5):
        seen = Duplicates()
        assert seen.add("a", signature(scene(seed, pair[0], size)), key) is None
        assert seen.add("b", signature(scene(seed, pair[1], size)), key) is None


def test_equal_pictures_of_other_slots_are_both_kept() -> None:
    seen, look = Duplicates(), signature(scene(1))
    keys = [slots_key(Truth(light_state=state)) for state in ("red", "green", None)]
    assert [seen.add(f"{k}", look, key) for k, key in enumerate(keys)] == [None] * 3
    assert (seen.add("again", look, keys[1]) or "").startswith("repeats 1 ")


def test_a_lamp_may_move_by_a_few_pixels() -> None:
    a, b = (signature(scene(1, RED, 6, at)) for at in ((220, 80), (226, 85)))
    assert likeness(a, b, Likeness())


def test_a_tower_that_sees_a_difference_has_a_say() -> None:
    image = scene(1)
    one, other = np.eye(2, dtype=np.float32)
    assert likeness(signature(image, one), signature(image, one), Likeness())
    assert likeness(signature(image, one), signature(image, other), Likeness()) is None
    assert likeness(signature(image, one), signature(image), Likeness())


def test_a_real_tower_gives_one_vector_a_picture() -> None:
    import torch

    from pacenote.models import load
    from pacenote.models.eyes import Eyes

    images = [scene(1), grainy(scene(1)), scene(2, RED, 30)]
    one, again, other = embeddings(Eyes(load("starter-student", dtype=torch.float32)), images)
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-5)
    assert one @ again > one @ other
    assert likeness(signature(images[0], one), signature(images[1], again), Likeness())


bits = st.integers(0, 2**63 - 1)
flips = st.sets(st.integers(0, 62), max_size=12)


@settings(max_examples=200)
@given(bits, flips)
def test_buckets_miss_no_repeat(luminance: int, flipped: set[int]) -> None:
    flat = np.full((2, 9, 16), 128, np.uint8)
    other = luminance
    for bit in flipped:
        other ^= 1 << bit
    seen = Duplicates()
    assert seen.add("a", Signature((luminance, 0, 0), flat, flat), "k") is None
    assert (seen.add("b", Signature((other, 0, 0), flat, flat), "k") is not None) is (len(flipped) <= 6)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=12))
def test_what_was_kept_is_kept_again(frames: list[tuple[int, int]]) -> None:
    """Idempotent: a second pass over the kept frames refuses none, and each refused one repeats a kept one."""
    looks = {f"{k}": signature(grainy(scene(street), grain)) for k, (street, grain) in enumerate(frames)}
    first, second = Duplicates(), Duplicates()
    verdicts = {id: first.add(id, look, "k") for id, look in looks.items()}
    kept = [id for id, verdict in verdicts.items() if verdict is None]
    assert all(second.add(id, looks[id], "k") is None for id in kept)
    assert all(second.add(id, looks[id], "k") for id in looks if id not in kept)
    assert len(kept) == len({street for street, _ in frames})


def test_more_bits_than_the_buckets_find_are_refused() -> None:
    with pytest.raises(ValueError, match="give 0 to 6"):
        Likeness(luminance=7)


def test_in_a_real_drive_neighbours_repeat_and_far_frames_do_not(real: Path) -> None:
    seen = Duplicates()
    looks = {frame.index: signature(frame.image) for frame in read_frames(real / "openlka_can/c02/clip.mp4")}
    assert seen.add("0", looks[0], "k") is None
    assert seen.add("copy", looks[0], "k")
    assert all(seen.add(f"{index}", looks[index], "k") is None for index in (20, 40, 60))
    close = sum(bool(likeness(looks[k], looks[k + 1], Likeness())) for k in looks if k + 1 in looks)
    assert close > 0.6 * len(looks)
