from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacenote.errors import InputError
from pacenote.scenes.network import network_spec
from pacenote.scenes.recipe import SceneRecipe
from pacenote.scenes.wish import draw_wish

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("streets*.yaml")), ids=lambda p: p.name)
def test_shipped_recipes_load(path: Path) -> None:
    recipe = SceneRecipe.load(path)
    assert (recipe.part("test") if path.stem == "streets-audit" else recipe).count > 0  # the audit has no training part
    assert set(recipe.parts) == {"train", "dev", "test"}


def test_streets_has_the_fixed_amounts_and_quotas() -> None:
    recipe = SceneRecipe.load(ROOT / "recipes" / "streets.yaml")
    assert recipe.parts == {"train": 880, "dev": 160, "test": 640}
    assert recipe.time["night"] / sum(recipe.time.values()) >= 0.2
    assert recipe.weather["rain"] / sum(recipe.weather.values()) >= 0.15


def test_parts_change_no_scene_but_the_split_does() -> None:
    recipe = SceneRecipe()
    more = dataclasses.replace(recipe, parts={"train": 9, "dev": 1, "test": 1})
    assert more.digest == recipe.digest
    assert recipe.part("test").digest != recipe.digest


def test_splits_share_no_network() -> None:
    recipe = SceneRecipe()
    seeds = {split: {network_spec(recipe.part(split), n).seed for n in range(60)} for split in recipe.parts}
    assert not seeds["train"] & seeds["test"] and not seeds["train"] & seeds["dev"] and not seeds["dev"] & seeds["test"]


def test_recipes_of_streets_share_no_network() -> None:
    recipes = [
        SceneRecipe.load(ROOT / "recipes" / f"{name}.yaml") for name in ("streets", "streets-rare", "streets-near")
    ]
    seeds = [{network_spec(r.part(s), n).seed for s in r.parts for n in range(80)} for r in recipes]
    assert len(set().union(*seeds)) == sum(map(len, seeds))


def test_network_kinds_come_in_proportion_even_over_few_networks() -> None:
    recipe = SceneRecipe()
    for split in recipe.parts:
        kinds = [network_spec(recipe.part(split), n).kind for n in range(30)]
        for kind, share in recipe.networks.kinds.items():
            assert abs(kinds.count(kind) / 30 - share) < 0.07, (split, kind)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("weahter: {clear: 1}", "did you mean weather?"),
        ("networks: {knds: {grid: 1}}", "networks: unknown key knds; did you mean kinds?"),
        ("obstacles: {cones: 0.3}", "obstacles: unknown key cones; did you mean cone?"),
        ("time: {night: -1}", "not negative"),
        ("sites: {plain: 0}", "no share above zero"),
        ("seed: many", "must be a whole number"),
        ("obstacle_m: [1]", "a list of 2"),
        ("- 1", "mapping"),
        ("a: [", "not valid YAML"),
        ("networks: {kinds: {file: 1}}", "networks.files is empty"),
    ],
)
def test_bad_recipes_name_the_file_and_the_mend(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match="mine.yaml") as caught:
        SceneRecipe.load(path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_recipe_and_part(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        SceneRecipe.load(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="no part 'tset'"):
        SceneRecipe().part("tset")


_KEYS = st.sampled_from(["seed", "networks", "weather", "lights", "camera", "tries", "nonsense"])
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
)


@given(st.dictionaries(_KEYS, _VALUES, max_size=3))
def test_any_mapping_is_a_recipe_or_an_input_error(held: dict[str, object]) -> None:
    try:
        recipe = SceneRecipe.from_dict(held)
    except InputError as error:
        said = str(error)
    else:
        said = recipe.digest
    assert said and "\n" not in said


def test_a_crowd_is_drawn_without_touching_other_recipes() -> None:
    """Where a kind is at all there are one to as many as asked; without a crowd a recipe keeps its digest."""
    plain = SceneRecipe(obstacles={"pedestrian": 0.5, "cone": 0.5})
    assert SceneRecipe(obstacles={"pedestrian": 0.5, "cone": 0.5}, crowd={}).digest == plain.digest
    crowded = SceneRecipe(obstacles={"pedestrian": 0.5, "cone": 0.5}, crowd={"pedestrian": 4})
    assert crowded.digest != plain.digest
    counts = [draw_wish(crowded, index, "grid", 0).obstacles for index in range(200)]
    assert {own.count("pedestrian") for own in counts} == {0, 1, 2, 3, 4}
    assert {own.count("cone") for own in counts} == {0, 1}
    assert {own.count("pedestrian") for own in (draw_wish(plain, i, "grid", 0).obstacles for i in range(100))} == {0, 1}
    with pytest.raises(InputError, match="must be at least 1"):
        SceneRecipe(crowd={"pedestrian": 0})
    with pytest.raises(InputError, match="crowd"):
        SceneRecipe(crowd={"people": 2})


def test_the_digests_of_recipes_that_were_rendered_stay() -> None:
    """Datasets in the world name these digests; another one would be other scenes."""
    folder = Path(__file__).parents[2] / "recipes"
    for name, split in (("streets-wide", "train"), ("streets", "test")):
        known = SceneRecipe.load(folder / f"{name}.yaml").part(split).digest[:6]
        assert known == {"streets-wide": "78eada", "streets": "b94ee5"}[name]
