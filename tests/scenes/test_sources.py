"""Maps and trajectories that come from elsewhere."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from pacenote.errors import InputError, PacenoteError
from pacenote.scenes import sumo
from pacenote.scenes.make import find_place, make_scene
from pacenote.scenes.network import build_network, network_spec
from pacenote.scenes.recipe import SceneRecipe
from pacenote.scenes.scene import Scene
from pacenote.scenes.streets import load_streets
from pacenote.scenes.traffic import SIZES
from pacenote.scenes.trajectories import program_state

OSM = """<?xml version="1.0" encoding="UTF-8"?>
<osm version="0.6"><bounds minlat="52.5" minlon="13.4" maxlat="52.51" maxlon="13.41"/>
<node id="1" lat="52.5000" lon="13.4030"/>
<node id="2" lat="52.5030" lon="13.4030"><tag k="highway" v="traffic_signals"/></node>
<node id="3" lat="52.5060" lon="13.4030"/><node id="4" lat="52.5030" lon="13.4000"/>
<node id="5" lat="52.5030" lon="13.4065"/><node id="6" lat="52.5060" lon="13.4065"/>
<node id="7" lat="52.5000" lon="13.4065"/>
<way id="10"><nd ref="1"/><nd ref="2"/><nd ref="3"/>
<tag k="highway" v="primary"/><tag k="lanes" v="4"/><tag k="maxspeed" v="50"/></way>
<way id="11"><nd ref="4"/><nd ref="2"/><nd ref="5"/><tag k="highway" v="secondary"/><tag k="lanes" v="2"/></way>
<way id="12"><nd ref="6"/><nd ref="5"/><nd ref="7"/><tag k="highway" v="residential"/><tag k="maxspeed" v="30"/></way>
</osm>
"""


def _recipe(*files: Path, **more: object) -> SceneRecipe:
    networks = {"kinds": {"file": 1}, "files": [str(f) for f in files]}
    return SceneRecipe.from_dict({"networks": networks, "traffic": {"seconds": 40, **more}})


@pytest.fixture
def town(tmp_path: Path) -> Path:
    path = tmp_path / "town.osm"
    path.write_text(OSM)
    return path


def test_openstreetmap_becomes_scenes(town: Path, cache: Path) -> None:
    recipe = _recipe(town)
    streets = find_place(recipe, 0, cache).streets
    assert sorted((j.arms, streets.signalised(j.id)) for j in streets.junctions.values() if j.arms > 2) == [
        (3, False),
        (4, True),
    ]
    assert {(e.road_class, e.limit_kmh) for e in streets.edges.values()} >= {("arterial", 50), ("residential", 30)}
    made = [make_scene(recipe, index, cache) for index in range(3)]
    assert sum(isinstance(scene, Scene) for scene in made) >= 2


def test_opendrive_becomes_scenes(tmp_path: Path, cache: Path) -> None:
    spec = network_spec(SceneRecipe.from_dict({"networks": {"kinds": {"grid": 1}}}), 0)
    path = tmp_path / "grid.xodr"
    sumo.run("netconvert", "-s", build_network(spec, cache).resolve(), "--opendrive-output", path)
    recipe = _recipe(path)
    assert len([j for j in find_place(recipe, 0, cache).streets.junctions.values() if j.arms > 2]) >= 4
    assert any(isinstance(make_scene(recipe, index, cache), Scene) for index in range(3))


def test_a_split_street_is_one_street(cache: Path) -> None:
    """Turn lanes begin at nodes of their own; they are no junctions, and both directions know each other."""
    for number in range(3):
        spec = network_spec(SceneRecipe.from_dict({"networks": {"kinds": {"grid": 1}}}), number)
        streets = load_streets(build_network(spec, cache))
        crossroads = [j for j in streets.junctions.values() if j.arms > 2]
        assert len(crossroads) == 9 and all(j.arms == 4 for j in crossroads)
        for edge in streets.edges.values():
            other = streets.edges[edge.opposite]
            assert (other.first, other.last) == (edge.last, edge.first)
            assert edge.leads != other.leads


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_trajectories_replace_the_traffic(town: Path, tmp_path: Path, cache: Path, suffix: str) -> None:
    import pyarrow as pa
    from pyarrow import csv, parquet

    streets = find_place(_recipe(town), 0, cache).streets
    lane = max(
        (k for k in streets.lanes.values() if k.kind == "drive"), key=lambda k: np.hypot(*(k.shape[-1] - k.shape[0]))
    )
    way = lane.shape[-1] - lane.shape[0]
    heading = math.degrees(math.atan2(way[1], way[0]))
    rows = [(float(t), "hero", "vehicle.tesla.model3", *(lane.shape[0] + way * t / 40), heading) for t in range(30)]
    rows += [(float(t), "walker", "walker.pedestrian.0001", 0.0, 0.0, 0.0) for t in range(30)]
    table = pa.table(dict(zip(("time", "id", "type", "x", "y", "heading"), zip(*rows, strict=True), strict=True)))
    path = tmp_path / f"log.{suffix}"
    csv.write_csv(table, path) if suffix == "csv" else parquet.write_table(table, path)
    recipe = _recipe(town, trajectories=str(path))
    traffic = find_place(recipe, 0, cache).traffic
    assert traffic.names == ("hero",)
    at_ten = traffic.rows(10.0)
    assert len(at_ten) == 1
    front = lane.shape[0] + way * 10 / 40 + way / np.hypot(*way) * SIZES["car"][0] / 2
    np.testing.assert_allclose([traffic.x[at_ten[0]], traffic.y[at_ten[0]]], front, atol=1e-6)
    np.testing.assert_allclose(traffic.speed[at_ten[0]], np.hypot(*way) / 40, rtol=1e-6)
    assert any(isinstance(make_scene(recipe, index, cache), Scene) for index in range(4))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("time,id,type,x,y\n0,a,car,1,2\n", "lacks the column heading"),
        ("time,id,type,x,y,heading\n0,a,car,one,2,3\n", "a number was expected"),
        ("time,id,type,x,y,heading\n0,a,walker,1,2,3\n", "no vehicle"),
        ("time,id,type,x,y,heading\n0,a,car,nan,2,3\n", "finite"),
        ("", "not a CSV or Parquet table"),
    ],
)
def test_bad_trajectories_name_the_file(town: Path, tmp_path: Path, cache: Path, text: str, says: str) -> None:
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=r"log\.csv") as caught:
        make_scene(_recipe(town, trajectories=str(path)), 0, cache)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_trajectories_need_their_map() -> None:
    with pytest.raises(InputError, match="road network it was recorded on"):
        SceneRecipe.from_dict({"traffic": {"trajectories": "log.csv"}})


def test_other_files_are_no_networks(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "map.txt"
    path.write_text("roads")
    with pytest.raises(InputError, match=r"map\.txt: not a road network"):
        make_scene(_recipe(path), 0, cache)
    with pytest.raises(InputError, match="no such file"):
        make_scene(_recipe(tmp_path / "none.osm"), 0, cache)


def test_program_state_follows_the_cycle() -> None:
    program = ((30.0, "Gr"), (4.0, "yr"), (26.0, "rG"))
    assert [program_state(program, t) for t in (0.0, 29.9, 30.0, 34.0, 59.9, 60.0, 94.0)] == [
        "Gr",
        "Gr",
        "yr",
        "rG",
        "rG",
        "Gr",
        "rG",
    ]


def test_missing_sumo_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SUMO_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PacenoteError, match="pip install eclipse-sumo"):
        sumo.run("netgenerate", "-g")


def test_sumo_itself_reports_its_error(cache: Path) -> None:
    with pytest.raises(PacenoteError, match="netgenerate failed: Error"):
        sumo.run("netgenerate", "--no-such-option")
