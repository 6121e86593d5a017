from __future__ import annotations

import dataclasses
import hashlib
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from shapely.geometry import LineString, Point, Polygon

from pacenote.advisory import OBSTACLES
from pacenote.errors import InputError
from pacenote.scenes.camera import lens_px
from pacenote.scenes.make import Rejected, find_place, make_drive, make_scene, make_twins
from pacenote.scenes.obstacles import MAKERS
from pacenote.scenes.recipe import SceneRecipe
from pacenote.scenes.scene import Scene

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def scenes(quick: SceneRecipe, cache: Path) -> list[Scene]:
    made = [make_scene(quick, index, cache) for index in range(64)]
    found = [scene for scene in made if isinstance(scene, Scene)]
    assert len(found) >= 33, [scene.reason for scene in made if isinstance(scene, Rejected)]
    return found


def test_json_round_trip(scenes: list[Scene]) -> None:
    for scene in scenes[::4]:
        assert Scene.from_json(scene.to_json()) == scene


def test_same_index_gives_the_same_scene_here_and_in_another_process(
    quick: SceneRecipe, cache: Path, tmp_path: Path
) -> None:
    indices = [0, 5, 9]
    script = (
        "import sys, hashlib; from pathlib import Path\n"
        "from pacenote.scenes.make import make_scene; from pacenote.scenes.recipe import SceneRecipe\n"
        "recipe = SceneRecipe.load(sys.argv[1])\n"
        f"for i in {indices[::-1]}:\n"
        "    text = make_scene(recipe, i, Path(sys.argv[2])).to_json()\n"
        "    print(i, hashlib.sha256(text.encode()).hexdigest())\n"
    )
    # The other process builds its networks and simulations anew, in another order.
    done = subprocess.run(
        [sys.executable, "-c", script, str(ROOT / "recipes" / "streets-quick.yaml"), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    theirs = dict(line.split() for line in done.stdout.splitlines())
    for index in indices:
        for _ in range(2):
            scene = make_scene(quick, index, cache)
            assert isinstance(scene, Scene)
            assert theirs[str(index)] == hashlib.sha256(scene.to_json().encode()).hexdigest()


def test_ids_are_unique_and_fit_the_index_pass(scenes: list[Scene]) -> None:
    for scene in scenes:
        ids = [s.id for s in scene.surfaces] + [m.id for m in scene.markings] + [t.id for t in scene.things]
        ids += [i for s in scene.signals for i in (s.id, s.lens_id)]
        assert len(ids) == len(set(ids))
        assert all(0 < i < 32768 for i in ids)


def test_scenes_stay_small_enough_to_render(scenes: list[Scene]) -> None:
    assert max(len(scene.things) for scene in scenes) <= 250
    assert np.median([len(scene.things) for scene in scenes]) >= 40


def test_an_asked_light_faces_ego_in_the_frame(scenes: list[Scene]) -> None:
    lit = [scene for scene in scenes if any(s.role == "ego" for s in scene.signals)]
    assert len(lit) >= 9
    for scene in lit:
        own = [s for s in scene.signals if s.role == "ego"]
        assert len({s.state for s in own}) == 1
        assert max(lens_px(scene.camera, s) for s in own) > 1.0
        for signal in own:
            towards = math.atan2(scene.camera.y - signal.y, scene.camera.x - signal.x)
            assert math.cos(signal.yaw - towards) > 0.3


def test_heads_of_one_approach_differ_only_with_arrows(scenes: list[Scene]) -> None:
    for scene in scenes:
        states = {s.state for s in scene.signals if s.role in ("ego", "other")}
        if len(states) > 1:
            assert any(s.arrow for s in scene.signals if s.role in ("ego", "other"))


def test_ego_stands_on_the_road_and_nothing_stands_in_it(scenes: list[Scene]) -> None:
    for scene in scenes:
        ground = [Polygon(s.outline) for s in scene.surfaces if s.kind in ("asphalt", "junction", "concrete")]
        eye = Point(scene.camera.x, scene.camera.y)
        assert min(shape.distance(eye) for shape in ground) < 0.5, scene.id
        for thing in scene.things:
            if thing.kind not in ("toll_roof", "bridge", "hill") and "gantry" not in thing.state:
                assert eye.distance(Point(thing.x, thing.y)) > 1.2, (scene.id, thing)


def test_buildings_and_trees_stay_off_the_carriageway(scenes: list[Scene]) -> None:
    for scene in scenes[::3]:
        road = [Polygon(s.outline).buffer(0) for s in scene.surfaces if s.kind in ("asphalt", "junction", "concrete")]
        for thing in scene.things:
            if thing.kind in ("building", "tree", "street_lamp", "hydrant", "bench", "fence"):
                assert not any(shape.buffer(-0.1).contains(Point(thing.x, thing.y)) for shape in road), (
                    scene.id,
                    thing,
                )


def test_moving_cars_drive_along_lanes(quick: SceneRecipe, cache: Path, scenes: list[Scene]) -> None:
    """A car on a lane stands near the lane's middle and looks along it; those changing lanes or turning are few."""
    good = total = 0
    for scene in scenes[::4]:
        streets = find_place(quick, scene.index, cache).streets
        lanes = [(LineString(lane.shape), lane.shape) for lane in streets.lanes.values() if lane.kind == "drive"]
        for thing in scene.things:
            if 3000 <= thing.id < 6000:
                total += 1
                good += any(line.distance(Point(thing.x, thing.y)) < 1.2 for line, _ in lanes)
    assert total > 30
    assert good / total > 0.75


def test_zebras_lie_beyond_the_stop_line_and_across_the_way(scenes: list[Scene]) -> None:
    seen = 0
    for scene in scenes:
        way = np.array([math.cos(scene.camera.yaw), math.sin(scene.camera.yaw)])
        eye = np.array([scene.camera.x, scene.camera.y])
        for marking in scene.markings:
            if marking.id in scene.facts.crossing_ids and scene.facts.junction_m is not None:
                a, b = np.array(marking.points[0]), np.array(marking.points[-1])
                ahead = float(((a + b) / 2 - eye) @ way)
                if 0 < ahead < scene.facts.junction_m + 8 and abs((b - a) @ way) / np.hypot(*(b - a)) < 0.5:
                    seen += 1
                    assert ahead > scene.facts.junction_m * 0.8
    assert seen >= 2


def test_limit_sources_carry_the_limit(scenes: list[Scene]) -> None:
    named = 0
    for scene in scenes:
        bearers = {t.id: t.text for t in scene.things} | {m.id: m.text for m in scene.markings}
        for source in scene.facts.limit_sources:
            named += 1
            assert bearers[source] == str(scene.facts.limit_kmh)
    assert named >= 5


def test_left_hand_networks_put_the_kerb_on_the_left(cache: Path) -> None:
    recipe = SceneRecipe.from_dict(
        {"networks": {"kinds": {"grid": 1}, "left_hand": 1, "scenes_each": 4}, "traffic": {"seconds": 60}}
    )
    made = [scene for i in range(4) if isinstance(scene := make_scene(recipe, i, cache), Scene)]
    assert made and all(scene.left_hand for scene in made)
    for scene in made:
        oncoming = [t for t in scene.things if "oncoming" in t.state and "parked" not in t.state]
        aside = [
            -(t.x - scene.camera.x) * math.sin(scene.camera.yaw) + (t.y - scene.camera.y) * math.cos(scene.camera.yaw)
            for t in oncoming
            if abs(math.sin(t.yaw - scene.camera.yaw)) < 0.15
        ]
        assert not aside or np.median(aside) < 0  # oncoming traffic passes on the right


def test_twins_differ_in_the_one_fact(quick: SceneRecipe, cache: Path) -> None:
    kinds: Counter[str] = Counter()
    for index in range(0, 36, 2):
        made = make_twins(quick, index, cache)
        if isinstance(made, Rejected):
            continue
        one, two = made
        kinds[two.flipped.split()[0]] += 1
        assert two.twin_of == one.id and two.id != one.id
        assert two.camera == one.camera and two.environment == one.environment and two.surfaces == one.surfaces
        if two.flipped.startswith("light"):
            assert two.things == one.things
            old, new = ({s.state for s in scene.signals if s.role == "ego"} for scene in made)
            assert len(old) == len(new) == 1 and old != new
        elif "crossing" in two.flipped:
            assert bool(one.facts.crossing_ids) != bool(two.facts.crossing_ids)
        else:
            kind = two.flipped.split()[0]
            had, has = (any(t.kind == kind and t.on_road for t in scene.things) for scene in made)
            assert had != has
    assert len(kinds) >= 3, kinds


def test_a_drive_is_one_world_on_one_clock(quick: SceneRecipe, cache: Path) -> None:
    recipe = dataclasses.replace(quick, drives=dataclasses.replace(quick.drives, seconds=4.0))
    frames = next(made for i in range(0, 40, 4) if not isinstance(made := make_drive(recipe, i, cache), Rejected))
    assert len(frames) == 20
    times = np.array([frame.facts.time_s for frame in frames])
    np.testing.assert_allclose(np.diff(times), 0.2, atol=1e-6)
    assert len({frame.id for frame in frames}) == 20 and len({frame.drive for frame in frames}) == 1
    assert all(frame.surfaces == frames[0].surfaces and frame.environment == frames[0].environment for frame in frames)
    moved = np.array([[f.camera.x, f.camera.y] for f in frames])
    speeds = np.array([f.facts.ego_speed_mps for f in frames])
    steps = np.hypot(*np.diff(moved, axis=0).T) / 0.2
    assert np.abs(steps - speeds[1:]).max() < 1.5  # the speed log agrees with the positions
    fixed = [{t for t in f.things if t.id >= 7000} for f in frames]
    by_id = {t.id: t for things in fixed for t in things}
    assert all(by_id[t.id] == t for things in fixed for t in things)  # nothing static moves or changes


def test_a_crossing_belongs_to_the_roads_that_it_crosses(cache: Path) -> None:
    from pacenote.scenes.network import build_network, network_spec
    from pacenote.scenes.roads import own_crossings
    from pacenote.scenes.streets import load_streets

    walked = SceneRecipe.from_dict({"networks": {"kinds": {"grid": 1}, "sidewalks": 1.0}})
    streets = load_streets(build_network(network_spec(walked, 0), cache))
    assert streets.crossings
    assert all(set(crossing.edges) & set(streets.edges) for crossing in streets.crossings)
    assert sum(bool(own_crossings(streets, edge)) for edge in streets.edges.values()) > len(streets.crossings) / 2


def test_a_drive_runs_over_crossings_of_its_way(quick: SceneRecipe, cache: Path) -> None:
    drives = dataclasses.replace(quick.drives, seconds=4.0)
    always = dict.fromkeys(("signalised", "unsignalised", "midblock", "plain"), 1.0)
    recipe = dataclasses.replace(quick, drives=drives, crossing=always)
    made = [make_drive(recipe, i, cache) for i in range(12)]
    frames = [frame for one in made if not isinstance(one, Rejected) for frame in one]
    ahead = [frame for frame in frames if frame.facts.crossing_ids]
    assert ahead
    for frame in ahead:
        assert set(frame.facts.crossing_ids) <= {marking.id for marking in frame.markings if marking.kind == "zebra"}


def test_every_kind_of_obstacle_stands_beside_a_drive(quick: SceneRecipe, cache: Path) -> None:
    """Debris fell on ego's own way alone, where a drive keeps free, so that hardly one had any; few had a crash."""
    drives = dataclasses.replace(quick.drives, seconds=4.0)
    recipe = dataclasses.replace(quick, drives=drives, obstacles=dict.fromkeys(OBSTACLES, 1.0))
    made = [one for i in range(8) if not isinstance(one := make_drive(recipe, i, cache), Rejected)]
    found = Counter(kind for one in made for kind in {thing.kind for scene in one for thing in scene.things})
    assert min(found[kind] for kind in OBSTACLES) > len(made) / 3


def test_no_junction_is_an_input_error(tmp_path: Path, cache: Path) -> None:
    from pacenote.scenes.network import build_network, network_spec

    straight = SceneRecipe.from_dict({"networks": {"kinds": {"motorway": 1}}})
    path = build_network(network_spec(straight, 0), cache)
    copy = tmp_path / "straight.net.xml"
    copy.write_bytes(path.read_bytes())
    recipe = SceneRecipe.from_dict({"networks": {"kinds": {"file": 1}, "files": [str(copy)]}})
    with pytest.raises(InputError, match=r"straight.net.xml: the network has no junction"):
        make_scene(recipe, 0, cache)
    bad = tmp_path / "bad.net.xml"
    bad.write_text("not a network")
    recipe = SceneRecipe.from_dict({"networks": {"kinds": {"file": 1}, "files": [str(bad)]}})
    with pytest.raises(InputError, match=r"bad.net.xml"):
        make_scene(recipe, 0, cache)


def test_an_impossible_request_is_rejected_after_bounded_tries(cache: Path) -> None:
    recipe = SceneRecipe.from_dict(
        {
            "networks": {"kinds": {"grid": 1}, "scenes_each": 4},
            "sites": {"signalised": 1},
            "lights": {"lens_px": [150, 300], "lens_px_median": 200, "too_small": 0},
            "traffic": {"seconds": 60},
            "tries": 2,
        }
    )
    made = make_scene(recipe, 0, cache)
    assert isinstance(made, Rejected)
    assert "after 2 tries" in made.reason


@pytest.mark.slow
def test_prevalences_over_240_scenes(cache: Path) -> None:
    recipe = dataclasses.replace(SceneRecipe(), networks=dataclasses.replace(SceneRecipe().networks, scenes_each=8))
    made = [make_scene(recipe, index, cache) for index in range(240)]
    found = [scene for scene in made if isinstance(scene, Scene)]
    assert len(found) >= 232
    count: Counter[str] = Counter()
    both = np.zeros((2, 2))
    for scene in found:
        own = [s for s in scene.signals if s.role == "ego" and lens_px(scene.camera, s) > 0]
        junction = scene.facts.junction_m is not None and scene.facts.junction_m <= 50
        count["light"] += bool(own)
        count["light " + (own[0].state if own else "none")] += 1
        count["intersection"] += junction
        count["crossing"] += scene.facts.crossing_m is not None and scene.facts.crossing_m <= 50
        on_road = {t.kind for t in scene.things if t.on_road}
        count["obstacle"] += bool(on_road & set(MAKERS))
        count["cone"] += "cone" in on_road
        count["night"] += scene.environment.time == "night"
        count["rain"] += scene.environment.weather == "rain"
        both[int(bool(own)), int(junction)] += 1
    share = {key: value / len(found) for key, value in count.items()}
    assert 0.42 < share["light"] < 0.62
    for state, low in (("red", 0.10), ("yellow", 0.07), ("green", 0.10)):
        assert share["light " + state] > low
    assert 0.35 < share["intersection"] < 0.55
    assert 0.26 < share["crossing"] < 0.46
    assert 0.40 < share["obstacle"] < 0.60
    assert 0.20 < share["cone"] < 0.38
    assert share["night"] > 0.17 and share["rain"] > 0.12
    assert both.min() / len(found) > 0.08  # lights with and without a junction, and the other way round
    limits = [scene.facts.limit_kmh for scene in found]
    assert np.std(limits) > 20
