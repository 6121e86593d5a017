"""Pedestrians, riders and animals from tapered tubes and blobs. x forward, ground at z = 0."""

from __future__ import annotations

import itertools
import math

import numpy as np

from .geometry import Mesh

_CLOTHES = [
    (0.02, 0.03, 0.07),
    (0.015, 0.015, 0.017),
    (0.25, 0.05, 0.05),
    (0.35, 0.35, 0.34),
    (0.08, 0.12, 0.22),
    (0.10, 0.10, 0.09),
    (0.28, 0.20, 0.12),
    (0.06, 0.10, 0.06),
    (0.35, 0.26, 0.06),
    (0.20, 0.10, 0.14),
    (0.16, 0.16, 0.18),
    (0.5, 0.5, 0.47),
    (0.02, 0.02, 0.025),
    (0.03, 0.035, 0.05),
    (0.08, 0.08, 0.09),
    (0.05, 0.045, 0.04),
]
_SKIN = [(0.55, 0.33, 0.23), (0.40, 0.21, 0.13), (0.20, 0.10, 0.06), (0.62, 0.42, 0.32), (0.10, 0.05, 0.03)]
_HAIR = [(0.01, 0.008, 0.006), (0.06, 0.03, 0.015), (0.25, 0.15, 0.06), (0.2, 0.2, 0.2)]


def _blob(mesh: Mesh, centre, radii, colour, sides: int = 8, material: str = "matte") -> None:
    n = 5
    profile = [(radii[0] * math.sin(math.pi * i / n), -radii[2] * math.cos(math.pi * i / n)) for i in range(n + 1)]
    mesh.lathe(profile, sides, material, colour, centre, (1.0, radii[1] / radii[0]))


def _limb(mesh: Mesh, points, radii, colour) -> None:
    for (a, b), (r0, r1) in zip(itertools.pairwise(points), itertools.pairwise(radii), strict=True):
        mesh.tube(a, b, r0, r1, 6, "matte", colour)


def pedestrian(style: int, state: frozenset[str]) -> Mesh:
    """1.72 m tall; style picks clothes, build, bag, coat or hi-vis vest; walking has a stride."""
    rng = np.random.default_rng(500 + style)
    mesh = Mesh()
    top, legs = _CLOTHES[rng.integers(len(_CLOTHES))], _CLOTHES[rng.integers(len(_CLOTHES))]
    skin, hair = _SKIN[rng.integers(len(_SKIN))], _HAIR[rng.integers(len(_HAIR))]
    stride = rng.uniform(0.18, 0.34) if "walk" in state else rng.uniform(0.0, 0.06)
    build = rng.uniform(0.85, 1.2)
    vest = "vest" in state
    for side in (1, -1):
        x = stride * side
        hip, knee, foot = (
            (0, side * 0.09, 0.88),
            (x * 0.55 + 0.03, side * 0.09, 0.47),
            (x - (0.08 if x < 0 else 0), side * 0.09, 0.08),
        )
        _limb(mesh, (hip, knee, foot), (0.095 * build, 0.075 * build, 0.055), legs)
        mesh.box(
            (foot[0] + 0.06, foot[1], 0.045),
            (0.27, 0.095, 0.09),
            "matte",
            (0.02, 0.02, 0.02) if rng.random() < 0.7 else (0.5, 0.5, 0.5),
        )
    coat = rng.random() < 0.3
    waist = 0.62 if coat else 0.86
    mesh.lathe(
        [(0.12, waist - 0.01), (0.155, waist), (0.150, 0.95), (0.145, 1.1), (0.175, 1.3), (0.16, 1.42), (0.06, 1.48)],
        10,
        "matte",
        top,
        squash=(0.72 * build, 1.15 * build),
    )
    if vest:
        lime = (0.5, 0.72, 0.03) if style % 2 else (0.85, 0.2, 0.02)
        mesh.lathe(
            [(0.165, 0.92), (0.16, 1.1), (0.19, 1.3), (0.17, 1.43)],
            10,
            "retro",
            lime,
            squash=(0.74 * build, 1.17 * build),
        )
        mesh.lathe([(0.168, 1.05), (0.168, 1.11)], 10, "retro", (0.7, 0.7, 0.7), squash=(0.76 * build, 1.19 * build))
    for side in (1, -1):
        x = -stride * side * 0.9
        shoulder = (0, side * 0.20 * build, 1.38)
        elbow = (x * 0.4, side * 0.25 * build, 1.10)
        hand = (x + 0.08, side * 0.24 * build, 0.86)
        if "umbrella" in state and side == -1:
            elbow, hand = (0.10, -0.22, 1.15), (0.24, -0.10, 1.30)
        _limb(mesh, (shoulder, elbow, hand), (0.062, 0.05, 0.04), top)
        _blob(mesh, hand, (0.045, 0.045, 0.055), skin, 6)
    mesh.tube((0, 0, 1.45), (0.01, 0, 1.55), 0.05, sides=6, colour=skin)
    _blob(mesh, (0.02, 0, 1.615), (0.098, 0.08, 0.118), skin)
    _blob(mesh, (-0.012, 0, 1.645), (0.103, 0.088, 0.108), hair)
    if vest:
        _blob(mesh, (0.0, 0, 1.68), (0.125, 0.11, 0.09), (0.7, 0.5, 0.02) if style % 3 else (0.7, 0.7, 0.7), 8, "gloss")
    extra = rng.random()
    if extra < 0.3:
        mesh.box((-0.19, 0, 1.22), (0.15, 0.3, 0.42), "matte", _CLOTHES[rng.integers(len(_CLOTHES))])
    elif extra < 0.5:
        mesh.box((0.05, -0.33, 0.72), (0.28, 0.08, 0.26), "matte", _CLOTHES[rng.integers(len(_CLOTHES))])
    if "umbrella" in state:
        c = [(0.02, 0.02, 0.03), (0.35, 0.02, 0.03), (0.03, 0.08, 0.3), (0.4, 0.38, 0.05)][style % 4]
        mesh.tube((0.24, -0.10, 1.25), (0.16, -0.05, 2.10), 0.012, sides=5, colour=(0.1, 0.1, 0.1))
        mesh.lathe(
            [(0.56, 1.86), (0.42, 1.99), (0.22, 2.08), (0.01, 2.12)], 8, "matte", c, (0.16, -0.05, 0), smooth=False
        )
    return mesh


def rider(style: int, motor: bool) -> Mesh:
    rng = np.random.default_rng(900 + style)
    mesh = Mesh()
    top, legs = _CLOTHES[rng.integers(len(_CLOTHES))], _CLOTHES[rng.integers(len(_CLOTHES))]
    seat = 0.86 if motor else 0.95
    mesh.tube((-0.25, 0, seat), (-0.02, 0, seat + 0.52), 0.16, 0.19, 8, "matte", top)
    for s in (1, -1):
        _limb(
            mesh,
            ((-0.22, s * 0.11, seat + 0.02), (0.15, s * 0.14, seat - 0.25), (-0.02, s * 0.12, 0.32)),
            (0.09, 0.07, 0.055),
            legs,
        )
        _limb(
            mesh,
            ((-0.02, s * 0.2, seat + 0.47), (0.16, s * 0.27, seat + 0.25), (0.4, s * 0.24, 1.02)),
            (0.06, 0.05, 0.04),
            top,
        )
        mesh.box((0.02, s * 0.12, 0.28), (0.26, 0.09, 0.09), "matte", (0.02, 0.02, 0.02))
    _blob(
        mesh,
        (0.03, 0, seat + 0.70),
        (0.13, 0.12, 0.15),
        _CLOTHES[rng.integers(len(_CLOTHES))] if motor else _SKIN[style % 5],
        8,
        "gloss" if motor else "matte",
    )
    if not motor:
        _blob(mesh, (0.0, 0, seat + 0.77), (0.13, 0.11, 0.09), _CLOTHES[rng.integers(len(_CLOTHES))], 8, "gloss")
    return mesh


def animal(style: int, state: frozenset[str]) -> Mesh:
    """dog 0.9 x 0.65 m, deer 1.7 x 1.5 m, cow 2.4 x 1.5 m."""
    mesh = Mesh()
    rng = np.random.default_rng(70 + style)
    if "cow" in state:
        c = [(0.03, 0.025, 0.02), (0.25, 0.12, 0.06), (0.5, 0.48, 0.45)][style % 3]
        body, legs, neck, head, tail = ((-0.75, 0.75), 0.72, (1.05, 1.3), (1.32, 1.18), 0.3), 0.09, 0.2, 0.17, 0.04
    elif "deer" in state:
        c = (0.28, 0.15, 0.07)
        body, legs, neck, head, tail = ((-0.5, 0.5), 0.72, (0.68, 1.35), (0.85, 1.42), 0.19), 0.045, 0.11, 0.10, 0.03
    else:
        c = [(0.03, 0.025, 0.02), (0.35, 0.2, 0.08), (0.5, 0.45, 0.38), (0.12, 0.06, 0.03)][style % 4]
        body, legs, neck, head, tail = ((-0.3, 0.28), 0.36, (0.36, 0.55), (0.46, 0.62), 0.12), 0.035, 0.08, 0.085, 0.025
    (x0, x1), z, n, h, r = body
    zc = z + r * 0.8
    mesh.tube((x0, 0, zc), (x1, 0, zc + 0.03), r, r * 1.05, 10, "matte", c)
    _blob(mesh, (x0, 0, zc), (r * 0.7, r, r), c)
    _blob(mesh, (x1, 0, zc), (r * 0.7, r, r * 1.05), c)
    mesh.tube((x1 * 0.95, 0, zc + r * 0.4), (n[0], 0, n[1]), neck * 1.2, neck * 0.8, 8, "matte", c)
    mesh.tube(
        (n[0] - 0.03, 0, h[1] + 0.02), (h[0] + head * 1.2, 0, h[1] - head * 0.6), head, head * 0.55, 8, "matte", c
    )
    for s in (1, -1):
        mesh.tube(
            (n[0], s * head * 0.6, h[1] + head * 0.6),
            (n[0] - 0.02, s * head * 1.3, h[1] + head * 1.4),
            head * 0.3,
            0.01,
            5,
            "matte",
            c,
        )
        for x in (x0 * 0.95, x1 * 0.9):
            step = rng.uniform(-0.12, 0.12) * (z / 0.7)
            mesh.tube((x, s * r * 0.55, z + 0.02), (x + step, s * r * 0.55, 0.0), legs * 1.5, legs, 6, "matte", c)
        if "deer" in state and style % 2:
            mesh.tube(
                (n[0], s * 0.05, h[1] + 0.1),
                (n[0] - 0.1, s * 0.25, h[1] + 0.45),
                0.018,
                0.01,
                5,
                "matte",
                (0.2, 0.14, 0.08),
            )
            mesh.tube(
                (n[0] - 0.05, s * 0.16, h[1] + 0.28),
                (n[0] + 0.1, s * 0.24, h[1] + 0.42),
                0.015,
                0.008,
                5,
                "matte",
                (0.2, 0.14, 0.08),
            )
    mesh.tube(
        (x0 - r * 0.6, 0, zc + r * 0.4),
        (x0 - r * 1.5, 0, zc - r * (0.8 if "dog" not in state else -0.8)),
        tail,
        tail * 0.6,
        5,
        "matte",
        c,
    )
    if "cow" in state and style % 3 == 0:
        for _ in range(7):
            s = rng.choice((-1, 1))
            _blob(
                mesh,
                (rng.uniform(x0, x1), s * r * 0.72, zc + rng.uniform(-0.1, 0.15)),
                (0.2, 0.10, 0.16),
                (0.6, 0.58, 0.55),
                6,
            )
    return mesh
