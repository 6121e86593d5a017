"""A Scene: one synthetic situation as plain data, independent of any renderer.

Frame: metres, x east, y north, z up (SUMO's network frame). Yaw in radians, counter-clockwise from +x, is the
direction a thing looks or drives. `x, y, z` of a Thing is the middle of its footprint on the ground; `x, y, z` of a
Signal is the centre of its housing. Ids are unique over the whole scene, > 0, and are the values of the object-index
pass; 0 is background, and geometry without an id renders as 0.

A Scene is a pure function of (recipe digest, index) and round-trips through JSON without loss.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

Point = tuple[float, float]
Colour = tuple[float, float, float]  # linear RGB, 0..1

Weather = Literal["clear", "overcast", "rain", "fog", "snow"]
TimeOfDay = Literal["day", "dusk", "night"]
RoadClass = Literal["motorway", "arterial", "urban", "residential", "toll"]


@dataclass(frozen=True)
class Camera:
    """Pinhole camera of the ego car; the image is warped by `k1` after rendering."""

    x: float
    y: float
    z: float
    yaw: float
    pitch: float = 0.0  # radians, positive looks up
    roll: float = 0.0
    fov: float = 60.0  # horizontal, degrees
    width: int = 672  # pixels of the stored frame; the model sees 2/3 of it
    height: int = 378
    k1: float = 0.0  # radial distortion, r' = r (1 + k1 r^2), r in half-widths


@dataclass(frozen=True)
class Environment:
    weather: Weather = "clear"
    time: TimeOfDay = "day"
    sun_elevation: float = 0.8  # radians above the horizon, negative at night
    sun_azimuth: float = 0.0  # radians counter-clockwise from +x
    visibility_m: float = 20000.0  # meteorological range; extinction = 3.912 / visibility
    wetness: float = 0.0  # 0..1: dark, reflective ground, puddles
    snow_cover: float = 0.0  # 0..1
    exposure_ev: float = 0.0  # offset to the renderer's own exposure for this light
    street_lamps: bool = False
    headlights: bool = False
    seed: int = 0  # clouds, noise, drops


SurfaceKind = Literal["asphalt", "junction", "concrete", "sidewalk", "island", "grass", "dirt", "plaza"]


@dataclass(frozen=True)
class Surface:
    """A flat polygon of ground. `junction` is asphalt inside a junction (its own id: evidence of an intersection)."""

    kind: SurfaceKind
    outline: tuple[Point, ...]
    z: float = 0.0
    id: int = 0
    seed: int = 0


MarkingKind = Literal["line", "dashes", "stop_line", "zebra", "arrow", "number", "hatch"]


@dataclass(frozen=True)
class Marking:
    """Paint. `points`: the centreline of a line, dashes or stop line; the *axis a pedestrian walks* for a zebra (the
    stripes run along the traffic, across that axis; `width` is the zebra's extent along the traffic); one position
    and a second point ahead of it for arrow and number.
    `text`: arrow "straight", "left", "right", "straight+left", ...; number "50"."""

    kind: MarkingKind
    points: tuple[Point, ...]
    width: float = 0.12
    colour: Literal["white", "yellow", "red"] = "white"
    text: str = ""
    wear: float = 0.2  # 0 new .. 1 gone
    z: float = 0.002
    id: int = 0


ThingKind = Literal[
    # traffic
    "car", "van", "truck", "bus", "motorcycle", "bicycle", "pedestrian", "animal",
    # obstacles of the Advisory besides pedestrian and animal
    "cone", "barrier", "construction", "debris", "crash",
    # street furniture and surroundings
    "building", "tree", "bush", "street_lamp", "pole", "fence", "guard_rail", "bench", "bin", "hydrant", "wall",
    "speed_sign", "sign", "neon", "toll_booth", "toll_roof", "bridge", "hill",
]  # fmt: skip


@dataclass(frozen=True)
class Thing:
    """Anything that stands on the ground. `style` picks the mesh variant of its kind (any int; renderers take it
    modulo what they have) and seeds its small variations.

    `state` holds what the kind needs, all optional:
      vehicles: "brake", "left", "right", "hazard" (lamps lit), "lights" (headlamps on), "parked", "oncoming"
      pedestrian: "walk", "stand", "umbrella"; animal: "dog", "deer", "cow"
      cone: "cone", "drum", "panel", "tube"; barrier: "plank" (red-white board), "jersey" (concrete), "fence"
      construction: "sign", "excavator", "roller", "arrow_board"; debris: "tyre", "box", "planks", "rock"
      crash: "wreck" (a deformed car; two of them at odd angles make a crash)
      building: "facade", "shop", "tower", "house"; neon: "red", "green", "amber" (a lit shop sign)
      speed_sign: `text` = the limit; sign: "stop", "yield", "warning", "info", "gantry", "no_entry"
    """

    id: int
    kind: ThingKind
    x: float
    y: float
    yaw: float
    length: float  # along yaw
    width: float
    height: float
    z: float = 0.0
    colour: Colour = (0.5, 0.5, 0.5)
    style: int = 0
    state: tuple[str, ...] = ()
    text: str = ""
    on_road: bool = False  # stands on the carriageway, so it concerns the ego car


LightState = Literal["red", "yellow", "green", "off"]
Movement = Literal["any", "straight", "left", "right"]
Role = Literal["ego", "other", "cross", "distractor"]


@dataclass(frozen=True)
class Signal:
    """One signal head with its lamps. `role`: ego = controls the ego car's own link; other = same approach, another
    movement; cross = another approach; distractor = not a vehicle signal of this junction (pedestrian head, rear)."""

    id: int  # the housing, pole and arm
    lens_id: int  # the lit lens (or the place of the lamps when off)
    x: float
    y: float
    z: float
    yaw: float  # where the face looks: towards the drivers it controls
    state: LightState
    movement: Movement = "any"
    place: Literal["junction", "toll"] = "junction"
    role: Role = "ego"
    lens_m: float = 0.3  # diameter of a lens
    layout: Literal["vertical", "horizontal", "single"] = "vertical"
    arrow: bool = False  # the lit lens shows an arrow for `movement`
    mount: Literal["pole", "mast", "wire", "roof"] = "pole"
    foot: Point = (0.0, 0.0)  # where the pole stands; a mast arm reaches from above it to the housing
    housing: Literal["black", "yellow", "grey"] = "black"
    backplate: bool = False


@dataclass(frozen=True)
class Lamp:
    """A street lamp's light source (its pole is a Thing)."""

    x: float
    y: float
    z: float
    colour: Colour = (1.0, 0.8, 0.55)
    power_w: float = 150.0


@dataclass(frozen=True)
class Facts:
    """What the generator knows and pixels alone do not say; truth also needs the passes (scenes.label)."""

    road_class: RoadClass = "urban"
    limit_kmh: int = 50  # the legal limit on ego's lane
    limit_sources: tuple[int, ...] = ()  # ids of signs and numbers that state it ahead of ego
    limit_in_context: bool = False  # the question may state the limit
    junction_m: float | None = None  # distance along ego's lane from the camera to the junction's stop line, if ahead
    junction_signalised: bool = False
    junction_id: int = 0  # id of the Surface of that junction
    crossing_m: float | None = None  # distance to the nearest marked crossing ahead
    crossing_ids: tuple[int, ...] = ()  # ids of the zebra Markings that ego's route runs over
    ego_movement: Movement = "straight"  # ego's route at the junction
    ego_lane: int = 0  # 0 = nearest the kerb
    lanes: int = 1
    ego_speed_mps: float = 0.0
    ego_accel_mps2: float = 0.0
    ego_yaw_rate: float = 0.0
    time_s: float = 0.0


@dataclass(frozen=True)
class Scene:
    id: str  # unique in its dataset, e.g. "grid-0012-00034"
    index: int
    recipe: str  # digest of the recipe that made it
    network: str  # the road network: splits never share one
    seed: int
    camera: Camera
    environment: Environment
    facts: Facts
    left_hand: bool = False
    surfaces: tuple[Surface, ...] = ()
    markings: tuple[Marking, ...] = ()
    things: tuple[Thing, ...] = ()
    signals: tuple[Signal, ...] = ()
    lamps: tuple[Lamp, ...] = ()
    drive: str = ""  # simulated drive this frame belongs to
    twin_of: str = ""  # id of the scene that this one differs from in one fact
    flipped: str = ""  # which fact
    assets: dict[str, str] = field(default_factory=dict)  # thing kind -> user's CAD file

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Scene:
        return _build(cls, json.loads(text))


def _build(kind: Any, value: Any) -> Any:
    """Rebuild nested frozen dataclasses and tuples from what JSON gives back."""
    origin = get_origin(kind)
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{name: _build(hints[name], item) for name, item in value.items()})  # type: ignore[operator]
    if origin is tuple:
        arguments = get_args(kind)
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_build(arguments[0], item) for item in value)
        return tuple(_build(a, item) for a, item in zip(arguments, value, strict=True))
    if origin in (Union, UnionType):
        if value is None:
            return None
        return _build(next(a for a in get_args(kind) if a is not type(None)), value)
    if kind is float:
        return float(value)
    return value
