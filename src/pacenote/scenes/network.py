"""Road networks: netgenerate draws the topology, this module chooses classes and signals, netconvert builds.

A `.net.xml` is never written by hand; OpenStreetMap and OpenDRIVE files go through netconvert too. Networks are cached
on disk under a key of everything that shapes them.
"""

from __future__ import annotations

import tempfile
import xml.etree.ElementTree as ET
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pacenote.errors import InputError
from pacenote.scenes import sumo
from pacenote.scenes.recipe import SceneRecipe, existing
from pacenote.scenes.seeds import chance, choice, pick, seed32, stream, uniform
from pacenote.work.files import atomic, digest, digest_file

VERSION = 1  # of this module's output; part of the cache key
NODE_TYPES = ("priority", "priority", "priority_stop", "allway_stop", "right_before_left")


@dataclass(frozen=True)
class NetworkSpec:
    """Everything that shapes one network. `name` is unique to (recipe, split, number)."""

    name: str
    kind: str
    seed: int
    left_hand: bool
    sidewalks: bool
    block_m: float
    main_class: str  # most of its city streets
    classes: dict[str, float]
    limits_kmh: dict[str, tuple[int, ...]]
    signalised: float  # share of junctions with lights
    file: str = ""


def network_spec(recipe: SceneRecipe, number: int) -> NetworkSpec:
    """The specification of a recipe's network, by number: a pure function."""
    rng = stream(recipe.digest, number, "network")
    asked = recipe.networks
    kind = _spread(asked.kinds, number, stream(recipe.digest, 0, "kinds").random())
    with_lights, without = recipe.sites.get("signalised", 0.0), recipe.sites.get("unsignalised", 0.0)
    return NetworkSpec(
        name=f"{kind}-{recipe.split}-{recipe.digest[:6]}-{number:04d}",
        kind=kind,
        seed=seed32(rng),
        left_hand=chance(rng, asked.left_hand),
        sidewalks=chance(rng, asked.sidewalks),
        block_m=uniform(rng, *asked.block_m),
        main_class=pick(rng, asked.classes),
        classes=asked.classes,
        limits_kmh=asked.limits_kmh,
        signalised=1.0 if without == 0 else 0.0 if with_lights == 0 else 0.62,
        file=asked.files[number % len(asked.files)] if kind == "file" else "",
    )


def _spread(shares: dict[str, float], number: int, start: float) -> str:
    """Keys in proportion to their shares even over a few numbers: steps of the golden ratio, not independent draws."""
    place = (start + number * 0.6180339887498949) % 1.0 * sum(shares.values())
    for key, share in shares.items():
        place -= share
        if place < 0:
            return key
    return next(key for key, share in shares.items() if share > 0)


def build_network(spec: NetworkSpec, cache: Path) -> Path:
    """The network's `.net.xml`, from the cache or built now."""
    held = asdict(spec) | {"version": VERSION}
    if spec.file:
        held["file"] = digest_file(existing(spec.file))
    held.pop("name")
    path = cache / "networks" / f"{spec.kind}-{digest(held)}.net.xml"
    if path.is_file():
        return path
    if spec.file.endswith(".net.xml"):
        return Path(spec.file)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, atomic(path) as partial:
        if spec.kind == "file":
            _import(spec, Path(folder), partial)
        elif spec.kind in ("motorway", "toll"):
            _motorway(spec, Path(folder), partial)
        else:
            _city(spec, Path(folder), partial)
    return path


def _import(spec: NetworkSpec, folder: Path, out: Path) -> None:
    name = spec.file.lower()
    made = folder / "net.net.xml"
    typemaps = sumo.home() / "data" / "typemap"
    common = ["--geometry.remove", "--roundabouts.guess", "--no-turnarounds", "--junctions.join", "--seed", "1"]
    if name.endswith((".osm", ".osm.xml", ".osm.gz")):
        types = f"{typemaps / 'osmNetconvert.typ.xml'},{typemaps / 'osmNetconvertUrbanDe.typ.xml'}"
        arguments = [
            "--osm-files",
            spec.file,
            "--type-files",
            types,
            "--tls.guess-signals",
            "--tls.discard-simple",
            "--tls.join",
            "--sidewalks.guess",
            "--crossings.guess",
            "--remove-edges.isolated",
            "--keep-edges.by-vclass",
            "passenger",
        ]
    elif name.endswith((".xodr", ".xodr.gz")):
        arguments = ["--opendrive-files", spec.file, "--offset.disable-normalization"]
    else:
        raise InputError(f"{spec.file}: not a road network; give .osm, .xodr or .net.xml")
    sumo.run("netconvert", *arguments, *common, "-o", made)
    out.write_bytes(made.read_bytes())


def _number(value: float) -> str:
    return f"{value:.2f}"


def _curve(a: np.ndarray, b: np.ndarray, bow: float, s_curve: bool, gap: float) -> str:
    """Points from a to b, bowed to the left by at most `bow` metres and moved to the right by `gap`."""
    t = np.linspace(0, 1, 9)[:, None]
    along = b - a
    normal = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-6)
    wave = np.sin(2 * np.pi * t) * 0.5 if s_curve else np.sin(np.pi * t) ** 2
    line = a + along * t + normal * (wave * bow - gap)
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in line)


def _topology(spec: NetworkSpec, folder: Path) -> tuple[dict[str, np.ndarray], list[tuple[str, str]]]:
    """Nodes and undirected streets from netgenerate."""
    block = spec.block_m
    jitter = f"normc(0,{block * 0.05:.1f},-{block * 0.1:.1f},{block * 0.1:.1f})"
    shape = {
        "grid": [
            "-g",
            "--grid.x-number",
            "3",
            "--grid.y-number",
            "3",
            "--grid.length",
            _number(block),
            "--grid.attach-length",
            _number(max(170.0, block)),
            "--perturb-x",
            jitter,
            "--perturb-y",
            jitter,
        ],
        "spider": [
            "-s",
            "--spider.arm-number",
            "5",
            "--spider.circle-number",
            "2",
            "--spider.space-radius",
            _number(block),
            "--spider.attach-length",
            _number(max(170.0, block)),
        ],
        "random": [
            "-r",
            "--rand.iterations",
            "14",
            "--rand.min-distance",
            _number(block * 0.8),
            "--rand.max-distance",
            _number(block * 1.7),
            "--rand.min-angle",
            "65",
        ],
    }[spec.kind]
    sumo.run(
        "netgenerate",
        *shape,
        "--seed",
        str(spec.seed),
        "--plain-output-prefix",
        folder / "p",
        "-o",
        folder / "p.net.xml",
    )
    nodes = {
        n.get("id", ""): np.array([float(n.get("x", 0)), float(n.get("y", 0))])
        for n in ET.parse(folder / "p.nod.xml").getroot().iter("node")
    }
    streets = {
        (min(e.get("from", ""), e.get("to", "")), max(e.get("from", ""), e.get("to", "")))
        for e in ET.parse(folder / "p.edg.xml").getroot().iter("edge")
    }
    return nodes, sorted(streets)


def _city(spec: NetworkSpec, folder: Path, out: Path) -> None:
    nodes, streets = _topology(spec, folder)
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([spec.seed, 1])))
    arms: dict[str, int] = dict.fromkeys(nodes, 0)
    for street in streets:
        for end in street:
            arms[end] += 1
    node_root, edge_root = ET.Element("nodes"), ET.Element("edges")
    radius = uniform(rng, 2.5, 7.0)
    for name, (x, y) in nodes.items():
        lit = arms[name] > 2 and chance(rng, spec.signalised)
        kind = "traffic_light" if lit else choice(rng, NODE_TYPES) if arms[name] > 2 else "priority"
        if kind == "right_before_left" and spec.left_hand:
            kind = "left_before_right"
        ET.SubElement(node_root, "node", id=name, x=_number(x), y=_number(y), type=kind, radius=_number(radius))
    turn_lanes, side = chance(rng, 0.5), -1.0 if spec.left_hand else 1.0
    lane_width = uniform(rng, 3.0, 3.6)
    for a, b in streets:
        road = spec.main_class if chance(rng, 0.65) else pick(rng, spec.classes)
        limit = choice(rng, spec.limits_kmh[road])
        lanes = {"residential": 1, "urban": int(rng.integers(1, 3)), "arterial": int(rng.integers(2, 4))}[road]
        parking = chance(rng, {"residential": 0.65, "urban": 0.5, "arterial": 0.1}[road])
        median = uniform(rng, 0.8, 1.8) if road == "arterial" and chance(rng, 0.5) else 0.0
        span = float(np.hypot(*(nodes[b] - nodes[a])))
        bow = uniform(rng, -1, 1) * 0.07 * span if chance(rng, 0.6) else 0.0
        s_curve = chance(rng, 0.3)
        turning = turn_lanes and lanes < 3 and road != "residential" and span > 110
        for start, end, sign in ((a, b, 1.0), (b, a, -1.0)):
            bend = bow if s_curve else bow * sign  # an S-curve seen from its other end bows to the same side
            edge = ET.SubElement(
                edge_root,
                "edge",
                id=f"{start}_{end}",
                type=road,
                priority=str(2 + lanes),
                speed=_number(limit / 3.6),
                shape=_curve(nodes[start], nodes[end], bend, s_curve, side * median),
                to=end,
            )
            edge.set("from", start)
            more = turning and arms[end] > 2
            first = 1 if parking else 0
            edge.set("numLanes", str(first + lanes + more))
            for lane in range(first + lanes + more):
                if lane < first:
                    ET.SubElement(edge, "lane", index="0", allow="authority", width="2.30")
                else:
                    ET.SubElement(edge, "lane", index=str(lane), disallow="pedestrian", width=_number(lane_width))
            if more:
                some = " ".join(str(k) for k in range(first + lanes))
                ET.SubElement(edge, "split", pos="0", lanes=some)
                ET.SubElement(edge, "split", pos="-60", lanes=f"{some} {first + lanes}")
    ET.ElementTree(node_root).write(folder / "c.nod.xml")
    ET.ElementTree(edge_root).write(folder / "c.edg.xml")
    arguments: list[str | Path] = [
        "-n",
        folder / "c.nod.xml",
        "-e",
        folder / "c.edg.xml",
        "--no-turnarounds",
        "--tls.no-mixed",
        "--tls.allred.time",
        "2",
        "--tls.yellow.time",
        "4",
        "--tls.layout",
        "incoming" if chance(rng, 0.3) else "opposites",
        "--tls.green.time",
        str(int(rng.integers(18, 34))),
        "--seed",
        str(spec.seed),
    ]
    if spec.sidewalks:
        arguments += [
            "--sidewalks.guess",
            "--sidewalks.guess.min-speed",
            "0",
            "--sidewalks.guess.max-speed",
            "30",
            "--default.sidewalk-width",
            _number(uniform(rng, 2.0, 4.0)),
            "--crossings.guess",
            "--crossings.guess.speed-threshold",
            "30",
            "--default.crossing-width",
            _number(uniform(rng, 3.0, 5.0)),
        ]
    _convert(spec, arguments, folder, out)


def _motorway(spec: NetworkSpec, folder: Path, out: Path) -> None:
    """Two one-way carriageways with shoulders; a toll plaza widens both of them."""
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([spec.seed, 2])))
    toll = spec.kind == "toll"
    lanes = int(rng.integers(2, 5))
    booths = lanes + int(rng.integers(1, 4))
    gap = uniform(rng, 2.0, 9.0) + lanes * 3.6 / 2 + (10.0 + booths * 2.7 if toll else 2.5)
    limit = choice(rng, spec.limits_kmh["motorway"]) / 3.6
    slow = choice(rng, spec.limits_kmh["toll"]) / 3.6
    bow = 0.0 if toll else uniform(rng, -90, 90)
    node_root, edge_root = ET.Element("nodes"), ET.Element("edges")
    side = -1.0 if spec.left_hand else 1.0
    marks = (0.0, 450.0, 540.0, 1000.0) if toll else (0.0, 1500.0)
    for way, sign in (("e", 1.0), ("w", -1.0)):
        offset_y = -side * sign * gap
        places = [np.array([m if sign > 0 else marks[-1] - m, offset_y]) for m in marks]
        for k, (x, y) in enumerate(places):
            ET.SubElement(node_root, "node", id=f"{way}{k}", x=_number(x), y=_number(y), type="priority")
        for k in range(len(marks) - 1):
            plaza = toll and k == 1
            count = booths if plaza else lanes
            width = 5.4 if plaza else 3.6
            shape = _curve(places[k], places[k + 1], bow * sign, False, 0.0)
            edge = ET.SubElement(
                edge_root,
                "edge",
                id=f"{way}{k}",
                type="toll" if plaza else "motorway",
                spreadType="center",
                priority="9",
                numLanes=str(count + (not plaza)),
                speed=_number(slow if plaza else limit),
                shape=shape,
                to=f"{way}{k + 1}",
            )
            edge.set("from", f"{way}{k}")
            for lane in range(count + (not plaza)):
                if lane == 0 and not plaza:
                    ET.SubElement(edge, "lane", index="0", allow="authority", width="2.80")
                else:
                    ET.SubElement(edge, "lane", index=str(lane), disallow="pedestrian", width=_number(width))
    ET.ElementTree(node_root).write(folder / "c.nod.xml")
    ET.ElementTree(edge_root).write(folder / "c.edg.xml")
    _convert(spec, ["-n", folder / "c.nod.xml", "-e", folder / "c.edg.xml", "--seed", str(spec.seed)], folder, out)


def _convert(spec: NetworkSpec, arguments: list[str | Path], folder: Path, out: Path) -> None:
    made = folder / "made.net.xml"
    sumo.run("netconvert", *arguments, *(["--lefthand"] if spec.left_hand else []), "-o", made)
    out.write_bytes(made.read_bytes())
