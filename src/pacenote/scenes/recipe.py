"""SceneRecipe: what streets to make, as a frozen dataclass read from YAML.

A scene is a pure function of (recipe digest, index). The digest leaves out `parts`, so asking for more scenes of a part
never changes those already made; it includes `split`, so parts share no network and no seed.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

from pacenote.advisory import CROSSROADS, LIGHT_STATES, OBSTACLES
from pacenote.errors import InputError
from pacenote.scenes.scene import TimeOfDay, Weather
from pacenote.work.files import digest, digest_file
from pacenote.work.settings import build, read_yaml, unknown

NETWORK_KINDS = ("grid", "spider", "random", "motorway", "toll", "file")
SITES = ("signalised", "unsignalised", "midblock", "plain")
ROAD_CLASSES = ("motorway", "arterial", "urban", "residential", "toll")
assert set(CROSSROADS) == {"intersection", "pedestrian_crossing"}


def _shares(**shares: float) -> Any:
    return field(default_factory=lambda: dict(shares))


@dataclass(frozen=True)
class Networks:
    """Where the roads come from. `kinds` are the shares of networks; `files` (OpenStreetMap .osm/.osm.xml, OpenDRIVE
    .xodr or SUMO .net.xml) are used in turn by the kind "file". `scenes_each` scenes share one network and one
    simulation."""

    kinds: dict[str, float] = _shares(grid=0.40, spider=0.13, random=0.25, motorway=0.14, toll=0.08)
    files: tuple[str, ...] = ()
    scenes_each: int = 20
    left_hand: float = 0.2  # share of networks
    sidewalks: float = 0.85  # share of city networks
    block_m: tuple[float, float] = (110.0, 210.0)  # distance between junctions of a city network
    classes: dict[str, float] = _shares(residential=0.3, urban=0.42, arterial=0.28)  # of city streets
    limits_kmh: dict[str, tuple[int, ...]] = field(
        default_factory=lambda: {
            "motorway": (80, 100, 110, 120, 130),
            "arterial": (60, 70, 80),
            "urban": (40, 50, 50, 60),
            "residential": (20, 30, 30, 40),
            "toll": (30, 40, 50),
        }
    )


@dataclass(frozen=True)
class Traffic:
    """SUMO's simulation. `trajectories`: a CSV or Parquet file (time, id, type, x, y, heading) that replaces it."""

    cars_per_km: tuple[float, float] = (3.0, 18.0)  # per lane, drawn for each network
    seconds: float = 200.0
    step_s: float = 1.0
    trajectories: str = ""
    parked: float = 0.55  # share of free kerb taken by parked cars, on average


@dataclass(frozen=True)
class Lights:
    """Lights of the ego car's own link. `lens_px` bounds the diameter of the lens in the stored frame; `too_small` and
    `occluded` are shares made unreadable on purpose."""

    states: dict[str, float] = _shares(red=0.35, yellow=0.25, green=0.35, off=0.05)
    lens_px: tuple[float, float] = (3.5, 20.0)
    lens_px_median: float = 7.5
    too_small: float = 0.06
    occluded: float = 0.05
    toll: float = 0.9  # share of toll scenes whose own lane has a light
    midblock_signal: float = 0.8  # share of midblock sites with a light
    arrows: float = 0.35  # share of signalised approaches whose heads differ by movement, where the program allows


@dataclass(frozen=True)
class Cameras:
    """Ranges of the ego camera; angles in degrees."""

    width: int = 672
    height: int = 378
    height_m: tuple[float, float] = (1.1, 2.2)
    fov: tuple[float, float] = (40.0, 100.0)
    fov_mode: float = 60.0
    pitch: tuple[float, float] = (-4.0, 3.0)
    roll: float = 1.0  # standard deviation
    k1: tuple[float, float] = (-0.06, 0.02)


@dataclass(frozen=True)
class Drives:
    """Simulated drives: consecutive frames of one trip."""

    seconds: float = 8.0
    rate_hz: float = 5.0


@dataclass(frozen=True)
class SceneRecipe:
    """See `recipes/streets.yaml`. Shares are probabilities; dictionaries of shares need not add up to one unless they
    are chances of independent things (`obstacles`, `crossing`, `speed_sign`)."""

    name: str = "streets"
    seed: int = 0
    split: str = "train"
    parts: dict[str, int] = field(default_factory=lambda: {"train": 880, "dev": 160, "test": 640})
    networks: Networks = field(default_factory=Networks)
    traffic: Traffic = field(default_factory=Traffic)
    lights: Lights = field(default_factory=Lights)
    camera: Cameras = field(default_factory=Cameras)
    drives: Drives = field(default_factory=Drives)
    sites: dict[str, float] = _shares(signalised=0.46, unsignalised=0.16, midblock=0.19, plain=0.19)
    crossing: dict[str, float] = _shares(signalised=0.5, unsignalised=0.4, midblock=0.6, plain=0.3)
    obstacles: dict[str, float] = _shares(
        cone=0.29, barrier=0.06, construction=0.06, debris=0.06, pedestrian=0.06, animal=0.06, crash=0.06
    )
    crowd: dict[str, int] = field(default_factory=dict)  # the most of a kind where it is at all; absent = one
    obstacle_m: tuple[float, float] = (6.0, 42.0)
    weather: dict[str, float] = _shares(clear=0.42, overcast=0.24, rain=0.19, fog=0.08, snow=0.07)
    time: dict[str, float] = _shares(day=0.62, dusk=0.13, night=0.25)
    speed_sign: float = 0.4  # share of scenes with a limit sign near enough to read
    painted_limit: float = 0.12  # share with the limit painted on the lane
    limit_in_context: float = 0.25
    occluders: float = 0.12  # share with a truck or a bus ahead on a neighbouring lane
    tries: int = 12  # attempts to meet a request before the scene is rejected
    assets: dict[str, str] = field(default_factory=dict)  # thing kind -> user's CAD file

    def __post_init__(self) -> None:
        _keys("networks.kinds", self.networks.kinds, NETWORK_KINDS)
        _keys("networks.classes", self.networks.classes, ("residential", "urban", "arterial"))
        _keys("networks.limits_kmh", self.networks.limits_kmh, ROAD_CLASSES)
        _keys("lights.states", self.lights.states, tuple(s for s in LIGHT_STATES if s != "none"))
        _keys("sites", self.sites, SITES)
        _keys("crossing", self.crossing, SITES)
        _keys("obstacles", self.obstacles, OBSTACLES)
        for kind in self.crowd:
            if kind not in OBSTACLES:
                raise unknown("crowd", kind, OBSTACLES)
        if min(self.crowd.values(), default=1) < 1:
            raise InputError("crowd: the most of a kind must be at least 1; leave out what shall stand alone")
        _keys("weather", self.weather, get_args(Weather))
        _keys("time", self.time, get_args(TimeOfDay))
        if self.networks.kinds.get("file", 0) > 0 and not self.networks.files:
            raise InputError(
                "networks.kinds asks for files, but networks.files is empty; name .osm, .xodr or .net.xml files"
            )
        if self.networks.scenes_each < 1 or self.tries < 1:
            raise InputError("networks.scenes_each and tries must be at least 1")
        if self.traffic.trajectories and set(_drawn(self.networks.kinds)) != {"file"}:
            raise InputError(
                "traffic.trajectories needs the road network it was recorded on: set networks.kinds to {file: 1}"
            )

    @property
    def count(self) -> int:
        """Scenes of this split."""
        return self.parts.get(self.split, 0)

    def part(self, split: str) -> SceneRecipe:
        """The same recipe for another part: other networks, other seeds."""
        if split not in self.parts:
            raise InputError(f"recipe {self.name} has no part {split!r}; it has {', '.join(self.parts)}")
        return dataclasses.replace(self, split=split)

    @cached_property
    def digest(self) -> str:
        """12 hex digits over everything that shapes a scene, the contents of the named files included."""
        held = dataclasses.asdict(self)
        del held["parts"]
        if not self.crowd:  # recipes from before it was there keep their scenes
            del held["crowd"]
        files = [*self.networks.files, *([self.traffic.trajectories] if self.traffic.trajectories else [])]
        held["files"] = [digest_file(existing(name)) for name in files]
        return digest(held)

    @classmethod
    def load(cls, path: str | Path) -> SceneRecipe:
        """Read YAML. Raises InputError that names the file, the unknown key and the nearest known one."""
        path = Path(path)
        held = read_yaml(path)
        for place in (held.get("networks"), held.get("traffic")):  # files are named relative to the recipe
            if isinstance(place, dict):
                if isinstance(place.get("files"), list):
                    place["files"] = [_near(path, name) for name in place["files"]]
                if place.get("trajectories"):
                    place["trajectories"] = _near(path, place["trajectories"])
        return cls.from_dict(held, str(path))

    @classmethod
    def from_dict(cls, held: dict[str, Any], place: str = "recipe") -> SceneRecipe:
        """Build from plain data; InputError that begins with `place` names what does not fit."""
        return build(cls, held, place)


def existing(name: str) -> Path:
    """The path, or InputError when nothing is there."""
    path = Path(name)
    if not path.is_file():
        raise InputError(f"{path}: no such file; mend its name in the recipe")
    return path


def _near(recipe: Path, name: Any) -> str:
    return str(name if Path(str(name)).is_absolute() else recipe.parent / str(name))


def _drawn(shares: dict[str, float]) -> list[str]:
    return [key for key, share in shares.items() if share > 0]


def _keys(place: str, held: dict[str, Any], known: tuple[str, ...]) -> None:
    for key, value in held.items():
        if key not in known:
            raise unknown(place, key, known)
        if isinstance(value, (int, float)) and value < 0:
            raise InputError(f"{place}.{key} is {value}; a share is not negative")
    if not held or (all(value == 0 for value in held.values()) and place not in ("obstacles", "crossing")):
        raise InputError(f"{place} has no share above zero")
