"""Sun, sky and lamps of a scene. Radiances are scaled so that a white wall in full sun is about 1."""

from __future__ import annotations

import math
from typing import Any

import bpy
import numpy as np

from . import textures
from .materials import Graph, image

BANKS = 6  # cloud pictures a worker paints


class Sky:
    """The world shader: a gradient by elevation, a sun glow and a picture of clouds, all by knobs."""

    def __init__(self) -> None:
        world = bpy.data.worlds.new("street")
        bpy.context.scene.world = world
        if world.node_tree is None:
            world.use_nodes = True
        self.world = world
        world.cycles.sampling_method = "NONE"
        world.light_settings.distance = 30.0
        for k in range(BANKS):
            image(f"clouds{k}", textures.clouds(k))
        g = Graph(world.node_tree)
        ray = g.node("ShaderNodeTexCoord").outputs["Generated"]
        x, y, z = g.node("ShaderNodeSeparateXYZ", {0: ray}).outputs
        up = g.math("MAXIMUM", z, 0.0)
        self.zenith, self.horizon, self.ground, self.glow, self.cloud = (
            g.node("ShaderNodeRGB").outputs[0] for _ in range(5)
        )
        rise = g.math("POWER", up, 0.45)
        clear = g.mix(rise, self.horizon, self.zenith)
        toward = g.node("ShaderNodeVectorMath", {0: ray}, operation="DOT_PRODUCT")
        self.sun = toward.inputs[1]
        near = g.math("MAXIMUM", toward.outputs["Value"], 0.0)
        halo = g.math(
            "ADD",
            g.math("MULTIPLY", g.math("POWER", near, 8.0), 0.35),
            g.math("MULTIPLY", g.math("POWER", near, 220.0), 2.5),
        )
        clear = g.mix(1.0, clear, g.vector("SCALE", self.glow, halo), "ADD")
        turn = g.node("ShaderNodeMath", {0: y, 1: x}, operation="ARCTAN2").outputs[0]
        shift = g.node("ShaderNodeValue").outputs[0]
        self.shift = shift
        u = g.math("ADD", g.math("MULTIPLY", turn, 1 / (2 * math.pi)), shift)
        v = g.math("MULTIPLY", g.math("POWER", up, 0.6), 0.96)
        self.picture = g.texture("clouds0", g.node("ShaderNodeCombineXYZ", {0: u, 1: v}).outputs[0])
        density, lit, _ = g.split(self.picture.outputs["Color"])
        amount = g.node("ShaderNodeValue").outputs[0]
        self.amount = amount
        haze = g.math("MULTIPLY", g.math("MULTIPLY", up, 9.0, clamp=True), amount)
        bright = g.vector("SCALE", self.cloud, g.math("ADD", lit, g.math("MULTIPLY", near, 0.25)))
        clouded = g.mix(g.math("MULTIPLY", density, haze), clear, bright)
        below = g.math("MULTIPLY", g.math("ADD", z, 0.01), 50.0, clamp=True)
        self.shader = g.node("ShaderNodeBackground", {"Color": g.mix(below, self.ground, clouded)})
        out = g.node("ShaderNodeOutputWorld")
        g.tree.links.new(self.shader.outputs[0], out.inputs[0])

    def set(self, env: dict, rng: np.random.Generator) -> dict[str, Any]:
        """Turn the knobs for an Environment; returns sun direction, strength and colour for the sun lamp."""
        elevation = env["sun_elevation"]
        time, weather = env["time"], env["weather"]
        azimuth = env["sun_azimuth"]
        if time == "dusk":
            elevation = min(max(elevation, 0.02), 0.14)
        e = max(elevation, 0.02)
        to_sun = (math.cos(e) * math.cos(azimuth), math.cos(e) * math.sin(azimuth), math.sin(e))
        warm = float(np.exp(-e / 0.16))  # 1 at the horizon
        dull = weather in ("overcast", "rain", "fog", "snow")
        jitter = rng.uniform(0.85, 1.15, 3)
        if time == "night":
            glow = rng.uniform(0.2, 1.2) * 0.0022
            zenith, horizon = np.array((0.10, 0.14, 0.28)) * glow, np.array((0.9, 0.62, 0.42)) * glow
            sun, sun_colour, cloud, amount = 0.0, np.ones(3), np.array((0.5, 0.4, 0.35)) * glow, 0.7 if dull else 0.3
            halo = np.zeros(3)
            ground = horizon * 0.3
        elif dull:
            level = {"overcast": 0.85, "rain": 0.5, "fog": 0.7, "snow": 0.75}[weather] * (
                0.28 if time == "dusk" else 1.0
            )
            grey = np.array((0.86, 0.93, 1.02)) * level * rng.uniform(0.75, 1.2) * (1 + (jitter - 1) * 0.25)
            zenith, horizon, cloud, amount = grey * 0.75, grey * 1.0, grey * 1.25, 0.85
            if time == "dusk":
                zenith, horizon = zenith * (0.7, 0.85, 1.2), horizon * (1.15, 0.95, 0.85)
            sun, sun_colour, halo, ground = 0.35 * level, np.ones(3), grey * 0.25, grey * 0.25
        else:
            bright = 0.35 + 0.65 * min(e / 0.5, 1.0)
            zenith = np.array((0.045, 0.125, 0.34)) * bright * jitter * rng.uniform(0.8, 1.25)
            horizon = np.array((0.27, 0.37, 0.48)) * bright * rng.uniform(0.75, 1.35)
            evening = np.array((0.66, 0.44, 0.28))
            horizon = horizon * (1 - warm) + evening * warm * 0.9
            zenith = zenith * (1 - 0.55 * warm)
            sun = 3.3 * (1 - 0.8 * warm)
            sun_colour = np.array((1.0, 0.95, 0.87)) * (1 - warm) + np.array((1.0, 0.66, 0.40)) * warm
            halo = sun_colour * (0.55 * bright + 0.7 * warm)
            cloud = (np.array((0.95, 0.96, 1.0)) * (1 - warm) + np.array((0.8, 0.52, 0.40)) * warm) * (
                0.30 + 0.48 * bright
            )
            amount = float(rng.choice((0.0, 0.35, 0.8, 0.95)))
            ground = horizon * 0.35
            if time == "dusk":
                zenith, horizon, sun = zenith * 0.30, horizon * 0.42, sun * 0.30
                cloud, halo, ground = cloud * 0.33, halo * 0.5, ground * 0.35
        for socket, value in (
            (self.zenith, zenith),
            (self.horizon, horizon),
            (self.ground, ground),
            (self.glow, halo),
            (self.cloud, cloud),
        ):
            socket.default_value = (*(float(v) for v in value), 1.0)
        self.sun.default_value = to_sun
        self.shift.default_value = float(rng.random())
        self.amount.default_value = amount
        self.picture.image = bpy.data.images[f"clouds{int(rng.integers(BANKS))}"]
        return {
            "to_sun": to_sun,
            "energy": sun,
            "colour": tuple(float(c) for c in sun_colour),
            "angle": 0.35 if dull else 0.009,
            "ambient": float(np.mean(horizon + zenith) / 2),
        }


def lamp_lights(scene: Any, lamps: list[dict], camera: dict, night: float, limit: int = 7) -> list[Any]:
    """Spot lamps for the nearest street lamps ahead of the camera. Returns the objects made."""
    made = []
    ahead = (math.cos(camera["yaw"]), math.sin(camera["yaw"]))
    scored = []
    for lamp in lamps:
        dx, dy = lamp["x"] - camera["x"], lamp["y"] - camera["y"]
        along = dx * ahead[0] + dy * ahead[1]
        if along > -15:
            scored.append((math.hypot(dx, dy), lamp))
    for _, lamp in sorted(scored, key=lambda s: s[0])[:limit]:
        data = bpy.data.lights.new("lamp", "SPOT")
        data.energy = lamp["power_w"] * 0.28 * night
        data.color = lamp["colour"]
        data.spot_size, data.spot_blend, data.shadow_soft_size = math.radians(150), 0.9, 0.15
        thing = bpy.data.objects.new("lamp", data)
        thing.location = (lamp["x"], lamp["y"], lamp["z"] - 0.25)
        scene.collection.objects.link(thing)
        made.append(thing)
    return made


def head_lights(scene: Any, camera: dict, power: float) -> list[Any]:
    """The ego car's two dipped beams, thrown ahead and a little down."""
    made = []
    c, s = math.cos(camera["yaw"]), math.sin(camera["yaw"])
    for side in (0.65, -0.65):
        data = bpy.data.lights.new("beam", "SPOT")
        data.energy, data.color = power, (1.0, 0.95, 0.86)
        data.spot_size, data.spot_blend, data.shadow_soft_size = math.radians(44), 1.0, 0.08
        thing = bpy.data.objects.new("beam", data)
        thing.location = (camera["x"] + 1.8 * c - side * s, camera["y"] + 1.8 * s + side * c, 0.75)
        thing.rotation_euler = (math.pi / 2 - 0.035, 0.0, camera["yaw"] - math.pi / 2)
        scene.collection.objects.link(thing)
        made.append(thing)
    return made
