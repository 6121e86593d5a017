"""Scene JSON -> Blender objects. Meshes of movable things are cached and instanced; roads are merged."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import bpy
import numpy as np

from . import nature, roads, signals
from .assets import load_asset
from .catalogue import mesh_of
from .footprint import Projector
from .geometry import Mesh
from .materials import Shaders
from .shape import Shape
from .sky import Sky, head_lights, lamp_lights

PERIOD = 40.0  # every ground texture repeats after it, so the origin may move by it unseen
_BULKY = {
    "tree",
    "bush",
    "hill",
    "building",
    "fence",
    "wall",
    "bridge",
    "toll_roof",
    "guard_rail",
    "pole",
    "street_lamp",
}


class Stage:
    """Holds shaders, sky, cached shapes and the objects of the scene in hand."""

    def __init__(self) -> None:
        for thing in list(bpy.data.objects):
            bpy.data.objects.remove(thing)
        self.scene = bpy.context.scene
        self.shaders = Shaders()
        self.sky = Sky()
        self.shapes: dict[tuple, Any] = {}
        self.passing: list[Any] = []  # datablocks of this scene only
        self.camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
        self.scene.collection.objects.link(self.camera)
        self.scene.camera = self.camera
        self.sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
        self.scene.collection.objects.link(self.sun)

    # -- one scene ------------------------------------------------------------------------------------------------
    def clear(self) -> None:
        bpy.data.batch_remove(self.passing)
        self.passing = []
        if len(self.shapes) > 600:
            bpy.data.batch_remove([s.data for s in self.shapes.values()])
            self.shapes = {}

    def build(self, scene: dict, width: int, height: int) -> None:
        """Fill the stage; then `ids` maps pass index -> id, `covers` lists (id, world triangles or points, bulky)."""
        self.clear()
        env, camera = scene["environment"], scene["camera"]
        self.left_hand = scene["left_hand"]
        self.origin = np.array(
            [math.floor(camera["x"] / PERIOD) * PERIOD, math.floor(camera["y"] / PERIOD) * PERIOD, 0.0]
        )
        self.rng = np.random.default_rng(scene["environment"]["seed"] & 0x7FFFFFFF)
        place = sum(map(ord, scene["network"]))
        self.look = np.random.default_rng(place)  # what stays the same over a network
        self.ids: dict[int, int] = {}
        self.slot: dict[int, int] = {}
        self.covers: list[tuple[int, np.ndarray, bool]] = []
        self.eye = np.array([camera["x"], camera["y"]])
        self.assets = scene["assets"]
        self.lit = env["street_lamps"] or env["time"] == "night"
        self.night = env["time"] == "night"
        self.snowy = env["snow_cover"] > 0.2
        self._place_camera(camera, width, height)
        self._light(scene, env, camera)
        self._roads(scene, place)
        for thing in scene["things"]:
            self._thing(thing)
        for signal in scene["signals"]:
            self._signal(signal)
        self._bonnet(scene, camera)

    def _place_camera(self, camera: dict, width: int, height: int) -> None:
        yaw, pitch, roll = camera["yaw"], camera["pitch"], camera["roll"]
        forward = np.array([math.cos(yaw) * math.cos(pitch), math.sin(yaw) * math.cos(pitch), math.sin(pitch)])
        right = np.array([math.sin(yaw), -math.cos(yaw), 0.0])
        up = np.cross(right, forward)
        right, up = right * math.cos(roll) - up * math.sin(roll), up * math.cos(roll) + right * math.sin(roll)
        at = np.array([camera["x"], camera["y"], camera["z"]]) - self.origin
        matrix = np.eye(4)
        matrix[:3, 0], matrix[:3, 1], matrix[:3, 2], matrix[:3, 3] = right, up, -forward, at
        self.camera.matrix_world = matrix.T.tolist()
        data = self.camera.data
        data.sensor_fit, data.angle = "HORIZONTAL", math.radians(camera["fov"])
        data.clip_start, data.clip_end = 0.05, 4000.0
        self.projector = Projector(np.stack([right, -up, forward]), at, math.radians(camera["fov"]), width, height)

    def _light(self, scene: dict, env: dict, camera: dict) -> None:
        sun = self.sky.set(env, self.rng)
        lamp = self.sun.data
        lamp.energy, lamp.color, lamp.angle = sun["energy"], sun["colour"], sun["angle"]
        self.sun.hide_render = sun["energy"] <= 0
        x, y, z = sun["to_sun"]
        self.sun.rotation_euler = (math.pi / 2 - math.asin(z), 0.0, math.atan2(y, x) + math.pi / 2)
        dark = {"night": 1.0, "dusk": 0.25, "day": 0.0}[env["time"]]
        relative = {**camera, "x": camera["x"] - self.origin[0], "y": camera["y"] - self.origin[1]}
        made: list[Any] = []
        if env["street_lamps"] and dark:
            lamps = [{**p, "x": p["x"] - self.origin[0], "y": p["y"] - self.origin[1]} for p in scene["lamps"]]
            made += lamp_lights(self.scene, lamps, relative, max(dark, 0.25))
        if env["headlights"] and dark:
            made += head_lights(self.scene, relative, 48.0 if self.night else 20.0)
        self.passing += [m.data for m in made] + made
        look = self.look
        grey = look.uniform(0.045, 0.16)
        asphalt = grey * np.array([1.0, 0.99, 0.97]) * (1 + look.normal(0, 0.03, 3))
        dry = look.random()
        grass = (1 - dry) * np.array([0.055, 0.095, 0.022]) + dry * np.array([0.17, 0.14, 0.06])
        dirt = np.array([0.20, 0.14, 0.09]) * look.uniform(0.7, 1.3)
        across = (-math.sin(camera["yaw"]), math.cos(camera["yaw"]), 0.0)
        offset = -(across[0] * relative["x"] + across[1] * relative["y"])
        self.shaders.turn(
            asphalt=tuple(asphalt),
            grass=tuple(grass),
            dirt=tuple(dirt),
            wet=env["wetness"],
            snow=env["snow_cover"],
            retro=0.03 * dark if env["headlights"] else 0.008 * dark,
            windows=0.10 * dark * self.rng.uniform(0.3, 1.2),
            shops=0.35 * dark * self.rng.uniform(0.3, 1.2) + 0.02,
            signs=0.25 * dark,
            lane_offset=offset + 0.825,
            tracks=look.uniform(0.0, 0.28),
        )
        for socket in self.shaders.knobs["across"]:
            socket.default_value = across

    def _add(self, shape: Shape, matrix: np.ndarray, id: int, colour=(1.0, 1.0, 1.0), bulky: bool = False) -> None:
        thing = bpy.data.objects.new("t", shape.data)
        thing.matrix_world = matrix.T.tolist()
        thing.color = (*(float(c) for c in colour), 1.0)
        if id:
            index = self.slot.setdefault(id, len(self.slot) + 1)
            self.ids[index] = id
            thing.pass_index = index
            local = shape.points if bulky else shape.triangles
            world = local.reshape(-1, 3) @ matrix[:3, :3].T.astype(np.float32) + matrix[:3, 3].astype(np.float32)
            self.covers.append((id, world if bulky else world.reshape(-1, 3, 3), bulky))
        self.scene.collection.objects.link(thing)
        self.passing.append(thing)

    def fresh(self, mesh: Mesh, name: str) -> Shape | None:
        """A shape of this scene only."""
        if not mesh.faces:
            return None
        shape = Shape(mesh, self.shaders, name)
        self.passing.append(shape.data)
        return shape

    def cached(self, key: tuple, make: Callable[[], Mesh]) -> Shape:
        if key not in self.shapes:
            self.shapes[key] = Shape(make(), self.shaders, str(key[0]))
        return self.shapes[key]

    def _roads(self, scene: dict, place: int) -> None:
        eye = np.eye(4)
        shift = self.origin[:2]
        ground = Mesh()
        c = self.projector.origin
        material = "grass" if place % 4 else "dirt"
        ground.add(
            [(c[0] + 1500 * a, c[1] + 1500 * b, -0.05) for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))],
            [(0, 1, 2, 3)],
            material,
        )
        for surface in scene["surfaces"]:
            outline = np.asarray(surface["outline"], float).reshape(-1, 2) - shift
            own = Mesh() if surface["id"] else ground
            roads.surface(own, surface["kind"], outline, surface["z"], surface["seed"], place)
            if surface["id"] and (shape := self.fresh(own, "surface")):
                self._add(shape, eye, surface["id"])
        paint = Mesh()
        for mark in scene["markings"]:
            moved = {**mark, "points": (np.asarray(mark["points"], float).reshape(-1, 2) - shift).tolist()}
            own = Mesh() if mark["id"] else paint
            roads.marking(own, moved, place)
            if mark["id"] and (shape := self.fresh(own, "marking")):
                self._add(shape, eye, mark["id"])
        snowy = scene["environment"]["snow_cover"] > 0.3
        far = self.cached(("horizon", place % 12, snowy), lambda: nature.horizon(place % 12, snowy))
        middle = np.eye(4)
        middle[:2, 3] = np.round(c[:2] / 400) * 400  # it stands still over most drives
        self._add(far, middle, 0)
        for mesh in (ground, paint):
            if shape := self.fresh(mesh, "road"):
                self._add(shape, eye, 0)

    # -- things ---------------------------------------------------------------------------------------------------
    def _thing(self, t: dict) -> None:
        kind, style, state = t["kind"], t["style"], frozenset(t["state"])
        size = (max(t["length"], 0.02), max(t["width"], 0.02), max(t["height"], 0.02))
        distance = math.hypot(t["x"] - self.eye[0], t["y"] - self.eye[1])
        if kind in self.assets:
            path = os.path.abspath(self.assets[kind])
            key = ("asset", path)
            if key not in self.shapes:
                self.shapes[key] = load_asset(path)
            shape, fit = self.shapes[key], "box"
        else:
            made = mesh_of(self, kind, style, state, size, t, distance > 55)
            if made is None:
                return
            shape, fit = made
        extent = np.maximum(shape.high - shape.low, 1e-3)
        scale = {"box": np.asarray(size) / extent, "none": np.ones(3), "height": np.full(3, size[2] / extent[2])}.get(
            fit
        )
        if scale is None:  # "tree": width across, height up
            scale = np.array([max(size[0], size[1]) / max(extent[0], extent[1])] * 2 + [size[2] / extent[2]])
        middle = (shape.low + shape.high) / 2
        c, s = math.cos(t["yaw"]), math.sin(t["yaw"])
        matrix = np.eye(4)
        matrix[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.diag(scale)
        matrix[:3, 3] = np.array([t["x"], t["y"], t["z"]]) - self.origin
        if fit == "box":
            matrix[:3, 3] -= matrix[:3, :3] @ np.array([middle[0], middle[1], shape.low[2]])
        colour = t["colour"]
        if kind in ("tree", "bush"):
            r = np.random.default_rng(t["id"])
            colour = tuple(np.clip(r.uniform(0.7, 1.25) * (1 + r.normal(0, 0.08, 3)), 0.3, 1.6))
        elif kind == "hill":
            colour = (1.0, 1.0, 1.0)
        self._add(shape, matrix, t["id"], colour, kind in _BULKY)

    def _signal(self, s: dict) -> None:
        matrix = np.eye(4)
        c, k = math.cos(s["yaw"]), math.sin(s["yaw"])
        matrix[:2, :2] = [[c, -k], [k, c]]
        matrix[:3, 3] = np.array([s["x"], s["y"], s["z"]]) - self.origin
        for mesh, id, where in (
            (signals.housing(s, self.left_hand), s["id"], matrix),
            (signals.lens(s, self.left_hand, self.night), s["lens_id"], matrix),
            (
                signals.support(
                    {
                        **s,
                        "x": s["x"] - self.origin[0],
                        "y": s["y"] - self.origin[1],
                        "foot": (s["foot"][0] - self.origin[0], s["foot"][1] - self.origin[1]),
                    }
                ),
                s["id"],
                np.eye(4),
            ),
        ):
            if shape := self.fresh(mesh, "signal"):
                self._add(shape, where, id)

    def _bonnet(self, scene: dict, camera: dict) -> None:
        """The ego car's bonnet at the lower edge, on some cars; a function of the camera so that a drive keeps it."""
        rng = np.random.default_rng(int(abs(camera["z"] * 1e4)) + int(camera["fov"] * 100))
        if rng.random() > 0.45:
            return
        tan = math.tan(math.radians(camera["fov"]) / 2) * camera["height"] / camera["width"]
        share = rng.uniform(0.04, 0.16)  # of the picture's height
        reach, half = 1.9, 0.95
        drop = reach * (tan * (1 - 2 * share) - math.tan(camera["pitch"]))
        mesh = Mesh()
        rows = []
        for i in range(7):
            x = 0.5 + (reach - 0.5) * i / 6
            rows.append(
                [
                    (
                        x,
                        y * half,
                        -drop - 0.10 * (1 - i / 6) ** 2 * 0.2 - 0.13 * abs(y) ** 2.5 - 0.10 * max(i / 6 - 0.8, 0) * 2,
                    )
                    for y in np.linspace(-1, 1, 9)
                ]
            )
        points = [p for row in rows for p in row]
        faces = [(r * 9 + j, (r + 1) * 9 + j, (r + 1) * 9 + j + 1, r * 9 + j + 1) for r in range(6) for j in range(8)]
        paint = [(0.01, 0.01, 0.012), (0.5, 0.5, 0.5), (0.02, 0.05, 0.12), (0.2, 0.02, 0.02), (0.12, 0.12, 0.13)][
            int(rng.integers(5))
        ]
        mesh.add(points, faces, "gloss", paint, True)
        matrix = np.eye(4)
        c, s = math.cos(camera["yaw"]), math.sin(camera["yaw"])
        matrix[:2, :2] = [[c, -s], [s, c]]
        matrix[:3, 3] = self.projector.origin
        if shape := self.fresh(mesh, "bonnet"):
            self._add(shape, matrix, 0)
            self.passing[-1].visible_shadow = False  # the beams come from under it

    def footprints(self) -> tuple[np.ndarray, np.ndarray]:
        """(triangles (n, 3, 2) in pixels, the id of each)."""
        parts, owner = [], []
        for id, world, bulky in self.covers:
            flat = self.projector.hull(world) if bulky else self.projector.triangles(world)
            if len(flat):
                parts.append(flat)
                owner.append(np.full(len(flat), id, np.int32))
        if not parts:
            return np.empty((0, 3, 2), np.float32), np.empty(0, np.int32)
        return np.concatenate(parts), np.concatenate(owner)
