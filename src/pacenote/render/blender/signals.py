"""Traffic lights: housing with visors, lenses, backplate, pole, mast arm or wire. The lit lens is its own mesh."""

from __future__ import annotations

import math

import numpy as np

from .geometry import Mesh

LIT = {"red": (2.6, 0.055, 0.03), "yellow": (2.5, 1.05, 0.03), "green": (0.03, 1.75, 0.85)}
UNLIT = {"red": (0.055, 0.004, 0.004), "yellow": (0.06, 0.03, 0.003), "green": (0.004, 0.03, 0.02)}
HOUSING = {"black": (0.010, 0.010, 0.011), "yellow": (0.62, 0.36, 0.015), "grey": (0.09, 0.10, 0.10)}
ORDER = ("red", "yellow", "green")


def slots(signal: dict, left_hand: bool) -> list[tuple[str, float, float]]:
    """(colour, y, z) of each lens from the housing's centre; +y is the viewer's right."""
    pitch = signal["lens_m"] * 1.22
    if signal["layout"] == "single":
        return [(signal["state"] if signal["state"] != "off" else "red", 0.0, 0.0)]
    if signal["layout"] == "horizontal":
        turn = -1 if left_hand else 1  # red is on the viewer's left where traffic keeps right
        return [(c, turn * (i - 1) * pitch, 0.0) for i, c in enumerate(ORDER)]
    return [(c, 0.0, (1 - i) * pitch) for i, c in enumerate(ORDER)]


def _arrow(movement: str, radius: float) -> list[tuple[float, float]]:
    """An arrow as (right, up) outline, unit pointing up, turned for the movement."""
    head = [(-0.16, -0.85), (0.16, -0.85), (0.16, 0.05), (0.62, 0.05), (0.0, 0.85), (-0.62, 0.05), (-0.16, 0.05)]
    turn = {"left": math.pi / 2, "right": -math.pi / 2}.get(movement, 0.0)
    c, s = math.cos(turn), math.sin(turn)
    return [(radius * (c * x - s * y), radius * (s * x + c * y)) for x, y in head]


def lens(signal: dict, left_hand: bool, night: bool) -> Mesh:
    """The lit lens (all dark lenses when off), in the housing's frame: +x looks at the drivers."""
    mesh = Mesh()
    r, x = signal["lens_m"] / 2, 0.125
    places = slots(signal, left_hand)
    if signal["state"] == "off":
        for colour, y, z in places:
            mesh.disc((x, y, z), (1, 0, 0), r, 16, "glass", UNLIT[colour])
        return mesh
    colour, y, z = next(p for p in places if p[0] == signal["state"])
    glow = LIT[colour]
    if signal["arrow"] and signal["movement"] != "any":
        mesh.disc((x, y, z), (1, 0, 0), r, 16, "emit", [g * 0.03 for g in glow])
        mesh.add([(x + 0.004, y + a, z + b) for a, b in _arrow(signal["movement"], r)], [tuple(range(7))], "emit", glow)
        return mesh
    mesh.disc((x, y, z), (1, 0, 0), r, 16, "emit", [g * 0.8 for g in glow])
    return mesh.disc((x + 0.003, y, z), (1, 0, 0), r * 0.7, 14, "emit", glow)


def housing(signal: dict, left_hand: bool) -> Mesh:
    """Box, visors, the dark lenses and the backplate, in the housing's frame."""
    mesh = Mesh()
    paint = HOUSING[signal["housing"]]
    d = signal["lens_m"]
    r = d / 2
    places = slots(signal, left_hand)
    for colour, y, z in places:
        mesh.box((0, y, z), (0.22, d * 1.2, d * 1.2), "gloss", paint)
        mesh.disc((0.112, y, z), (1, 0, 0), r * 1.13, 16, "matte", (0.008, 0.008, 0.008))
        if colour != signal["state"] and signal["state"] != "off":
            mesh.disc((0.118, y, z), (1, 0, 0), r, 16, "gloss", UNLIT[colour])
        n, out = 10, d * 0.75  # a visor covers the upper 240 degrees
        angle = np.linspace(math.radians(-30), math.radians(210), n)
        inner = [(0.11, y + r * 1.14 * math.cos(a), z + r * 1.14 * math.sin(a)) for a in angle]
        outer = [
            (0.11 + out * (0.35 + 0.65 * max(math.sin(a), 0.0)), p[1], p[2]) for a, p in zip(angle, inner, strict=True)
        ]
        mesh.add(
            inner + outer, [(i, i + 1, n + i + 1, n + i) for i in range(n - 1)], "matte", [c * 0.8 for c in paint], True
        )
    if signal["backplate"]:
        ys, zs = [p[1] for p in places], [p[2] for p in places]
        w, h = max(ys) - min(ys) + d * 1.85, max(zs) - min(zs) + d * 1.85
        mesh.box((-0.06, 0, 0), (0.02, w, h), "matte", (0.008, 0.008, 0.009))
        if signal["id"] % 3 == 0:  # a retroreflective border
            for s in (1, -1):
                mesh.box((-0.045, s * (w / 2 - 0.025), 0), (0.012, 0.05, h), "retro", (0.75, 0.45, 0.02))
                mesh.box((-0.045, 0, s * (h / 2 - 0.025)), (0.012, w, 0.05), "retro", (0.75, 0.45, 0.02))
    return mesh


def support(signal: dict) -> Mesh:
    """Pole, mast arm, span wire or hanger in world coordinates."""
    mesh = Mesh()
    metal = [(0.28, 0.29, 0.30), (0.05, 0.06, 0.06), (0.20, 0.21, 0.21), (0.42, 0.34, 0.06)][signal["id"] % 4]
    x, y, z = signal["x"], signal["y"], signal["z"]
    fx, fy = signal["foot"]
    back = (x - 0.16 * math.cos(signal["yaw"]), y - 0.16 * math.sin(signal["yaw"]))
    far = math.hypot(x - fx, y - fy)
    reach = signal["lens_m"] * (2.0 if signal["layout"] == "vertical" else 0.8)
    mount = signal["mount"]
    if mount == "roof":
        return mesh.tube(
            (back[0], back[1], z), (back[0], back[1], z + reach + 0.5), 0.04, sides=6, material="gloss", colour=metal
        )
    if mount == "wire":
        top = z + reach + 0.4
        mesh.tube((back[0], back[1], z), (back[0], back[1], top), 0.025, sides=5, material="gloss", colour=metal)
        dx, dy = (x - fx, y - fy) if far > 0.5 else (math.sin(signal["yaw"]) * 12, -math.cos(signal["yaw"]) * 12)
        run = math.hypot(dx, dy)
        post, past = (x - dx, y - dy), (x + dx / run * 30.0, y + dy / run * 30.0)
        for ex, ey in (post, past):
            mesh.tube(
                (back[0], back[1], top), (ex, ey, top + 0.6), 0.015, sides=4, colour=(0.02, 0.02, 0.02), caps=False
            )
        mesh.tube((*post, 0), (*post, top + 0.9), 0.14, 0.10, 8, "gloss", metal)
        return mesh
    if mount == "mast" or far > 0.8:
        top = z + (0.0 if signal["layout"] == "vertical" else 0.05)
        mesh.tube((fx, fy, 0), (fx, fy, top + 0.6), 0.14, 0.11, 10, "gloss", metal)
        mesh.tube((fx, fy, top + 0.15), (back[0], back[1], top), 0.09, 0.05, 8, "gloss", metal)
        return mesh
    mesh.tube((fx, fy, 0), (fx, fy, z + reach), 0.075, 0.065, 8, "gloss", metal)
    for dz in (-0.25, 0.25):
        mesh.tube((fx, fy, z + dz), (back[0], back[1], z + dz), 0.025, sides=5, material="gloss", colour=metal)
    return mesh.tube((fx, fy, 0), (fx, fy, 0.35), 0.13, sides=8, material="gloss", colour=metal)
