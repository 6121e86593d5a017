"""Traffic: one SUMO run a network (a subprocess), its vehicles and signal states second by second, cached on disk."""

from __future__ import annotations

import re
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from pacenote.scenes import sumo
from pacenote.scenes.geometry import length
from pacenote.scenes.network import NetworkSpec, network_spec
from pacenote.scenes.recipe import SceneRecipe
from pacenote.scenes.scene import ThingKind
from pacenote.scenes.seeds import pick, uniform
from pacenote.scenes.streets import Streets
from pacenote.work.files import atomic, digest

VERSION = 1
WARM_UP_S = 70.0  # the first vehicles need time to spread
TRIP_S = 70.0  # how long a trip roughly takes
TYPES = ("car", "van", "truck", "bus", "motorcycle", "bicycle")
CLASSES = {
    "car": "passenger",
    "van": "delivery",
    "truck": "truck",
    "bus": "bus",
    "motorcycle": "motorcycle",
    "bicycle": "bicycle",
}
SHARES = {"car": 0.74, "van": 0.09, "truck": 0.06, "bus": 0.04, "motorcycle": 0.05, "bicycle": 0.02}
# Length, width, height in metres. SUMO simulates these lengths, so queues look right.
SIZES: dict[str, tuple[float, float, float]] = {
    "car": (4.5, 1.8, 1.5),
    "van": (5.4, 2.0, 2.3),
    "truck": (8.5, 2.45, 3.4),
    "bus": (11.5, 2.5, 3.1),
    "motorcycle": (2.1, 0.8, 1.4),
    "bicycle": (1.8, 0.6, 1.7),
}
MINE: dict[str, ThingKind] = {
    "car": "car",
    "van": "van",
    "truck": "truck",
    "bus": "bus",
    "motorcycle": "motorcycle",
    "bicycle": "bicycle",
}


@dataclass(frozen=True)
class Traffic:
    """What moved. Rows sorted by time. `x, y` is the middle of the front bumper, `yaw` counter-clockwise from +x,
    `kind` an index of `kinds`, `who` an index of `names`; `states[tls]` has one signal string a time of `tls_times`."""

    times: NDArray[np.float64]
    who: NDArray[np.int32]
    kind: NDArray[np.int16]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    yaw: NDArray[np.float64]
    speed: NDArray[np.float64]
    lane: NDArray[np.int32]
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    lanes: tuple[str, ...]
    tls_times: NDArray[np.float64]
    states: dict[str, tuple[str, ...]]

    def rows(self, time: float) -> NDArray[np.intp]:
        """Rows of the recorded step nearest to `time`."""
        steps = self.steps
        near = steps[int(np.abs(steps - time).argmin())] if len(steps) else time
        return np.arange(np.searchsorted(self.times, near - 1e-6), np.searchsorted(self.times, near + 1e-6))

    @cached_property
    def steps(self) -> NDArray[np.float64]:
        """The recorded times."""
        return np.unique(self.times) if len(self.times) else self.tls_times

    def state(self, tls: str, time: float) -> str:
        """Signal string of a junction at the recorded step nearest to `time`, "" where it has none."""
        if tls not in self.states or not len(self.tls_times):
            return ""
        return self.states[tls][int(np.abs(self.tls_times - time).argmin())]


def simulate(recipe: SceneRecipe, number: int, streets: Streets, cache: Path, step_s: float) -> Traffic:
    """The traffic of a recipe's network: SUMO's, or the recipe's trajectory file."""
    if recipe.traffic.trajectories:
        from pacenote.scenes.trajectories import read_trajectories

        return read_trajectories(Path(recipe.traffic.trajectories), streets)
    spec = network_spec(recipe, number)
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([spec.seed, 3])))
    density = uniform(rng, *recipe.traffic.cars_per_km)
    held = {
        "net": streets.path.name,
        "seed": spec.seed,
        "density": density,
        "seconds": recipe.traffic.seconds,
        "step": step_s,
        "version": VERSION,
    }
    if spec.file:
        held["net"] = digest([spec.file, recipe.digest])
    path = cache / "traffic" / f"{digest(held)}.npz"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder, atomic(path) as partial:
            _run(streets, spec, rng, density, recipe.traffic.seconds, step_s, Path(folder), partial)
    return _load(path)


@lru_cache(maxsize=3)
def _load(path: Path) -> Traffic:
    with np.load(path) as held:
        arrays: dict[str, Any] = {key: held[key] for key in held.files}
    for key in ("names", "kinds", "lanes", "tls"):
        arrays[key] = tuple(str(s) for s in arrays[key])
    table = arrays.pop("states")
    states = {name: tuple(str(s) for s in table[k]) for k, name in enumerate(arrays.pop("tls"))}
    return Traffic(**arrays, states=states)


def _routes(
    streets: Streets, spec: NetworkSpec, rng: np.random.Generator, density: float, end: float, path: Path
) -> None:
    usable = [e for e in streets.edges.values() if e.drive]
    km = sum(length(lane.shape) for e in usable for lane in e.drive) / 1000
    arrivals = max(1, int(density * km / TRIP_S * end))
    sources = [e.id for e in usable]
    ends = [e.id for e in usable if any(lane.links for lane in e.drive)]
    weights = np.array([3.0 if not any(o.end == streets.edges[s].start for o in usable) else 1.0 for s in sources])
    shares = dict(SHARES)
    if any(e.road_class in ("motorway", "toll") for e in usable):
        shares |= {"truck": 0.16, "bicycle": 0.0}
    root = ["<routes>"]
    for kind in TYPES:
        size = SIZES[kind]
        root.append(
            f'<vType id="{kind}" vClass="{CLASSES[kind]}" length="{size[0]}" width="{size[1]}" minGap="2.2" '
            f'speedFactor="normc(1,0.1,0.75,1.3)" lcSpeedGain="2"/>'
        )
    for number, depart in enumerate(np.sort(rng.uniform(0, end, arrivals))):
        start = sources[int(rng.choice(len(sources), p=weights / weights.sum()))]
        goal = start if not ends else sources[int(rng.integers(len(sources)))]
        root.append(
            f'<trip id="v{number}" type="{pick(rng, shares)}" depart="{depart:.1f}" from={quoteattr(start)} '
            f'to={quoteattr(goal)} departLane="best" departSpeed="max" departPos="random_free"/>'
        )
    path.write_text("\n".join([*root, "</routes>"]), encoding="utf-8")


def _run(
    streets: Streets,
    spec: NetworkSpec,
    rng: np.random.Generator,
    density: float,
    seconds: float,
    step_s: float,
    folder: Path,
    out: Path,
) -> None:
    end = WARM_UP_S + seconds
    _routes(streets, spec, rng, density, end, folder / "trips.rou.xml")
    events = "".join(f'<timedEvent type="SaveTLSStates" source={quoteattr(t)} dest="tls.xml"/>' for t in streets.phases)
    (folder / "add.xml").write_text(f"<additional>{events}</additional>", encoding="utf-8")
    sumo.run(
        "sumo",
        "-n",
        streets.path.resolve(),
        "-r",
        "trips.rou.xml",
        "-a",
        "add.xml",
        "--fcd-output",
        "fcd.xml",
        "--fcd-output.attributes",
        "x,y,angle,type,speed,lane",
        "--device.fcd.begin",
        str(WARM_UP_S),
        "--step-length",
        str(step_s),
        "-e",
        str(end),
        "--seed",
        str(spec.seed),
        "--ignore-route-errors",
        "--no-step-log",
        "--no-warnings",
        "--time-to-teleport",
        "120",
        "--precision",
        "3",
        cwd=folder,
    )
    names: dict[str, int] = {}
    lanes: dict[str, int] = {}
    rows: list[tuple[float, ...]] = []
    now = 0.0
    for _, element in ET.iterparse(folder / "fcd.xml", events=("start",)):
        if element.tag == "timestep":
            now = float(element.get("time", "0"))
        elif element.tag == "vehicle":
            held = element.attrib
            who = names.setdefault(held["id"], len(names))
            lane = lanes.setdefault(held["lane"], len(lanes))
            yaw = np.radians(90.0 - float(held["angle"]))  # SUMO: clockwise from north
            kind = TYPES.index(held["type"])
            rows.append((now, who, kind, float(held["x"]), float(held["y"]), yaw, float(held["speed"]), lane))
        element.clear()
    table = np.array(rows or np.zeros((0, 8)), dtype=float).reshape(-1, 8)
    times, tls, states = _states(folder / "tls.xml", list(streets.phases), WARM_UP_S)
    with out.open("wb") as handle:
        np.savez_compressed(
            handle,
            times=table[:, 0],
            who=table[:, 1].astype(np.int32),
            kind=table[:, 2].astype(np.int16),
            x=table[:, 3],
            y=table[:, 4],
            yaw=table[:, 5],
            speed=table[:, 6],
            lane=table[:, 7].astype(np.int32),
            names=np.array(list(names) or [""]),
            kinds=np.array(TYPES),
            lanes=np.array(list(lanes) or [""]),
            tls_times=times,
            tls=np.array(tls or [""])[: len(tls)],
            states=states,
        )


def _states(path: Path, tls: list[str], begin: float) -> tuple[NDArray[np.float64], list[str], NDArray[np.str_]]:
    if not tls or not path.is_file():
        return np.zeros(0), [], np.zeros((0, 0), dtype=str)
    seen: dict[str, dict[float, str]] = {name: {} for name in tls}
    for found in re.finditer(r"<tlsState ([^>]*)/?>", path.read_text(encoding="utf-8")):
        held = dict(re.findall(r'(\w+)="([^"]*)"', found.group(1)))
        if float(held["time"]) >= begin and held["id"] in seen:
            seen[held["id"]][float(held["time"])] = held["state"]
    times = sorted(set.intersection(*(set(s) for s in seen.values())))
    return np.array(times), tls, np.array([[seen[name][t] for t in times] for name in tls])
