"""Cones, barriers, works, debris, signs, lamps and other street furniture. x is where a thing looks."""

from __future__ import annotations

import math

import numpy as np

from .geometry import Mesh
from .text import write

ORANGE, WHITE, RED, BLACK = (0.85, 0.13, 0.015), (0.80, 0.80, 0.78), (0.60, 0.012, 0.015), (0.012, 0.012, 0.012)
YELLOW, BLUE, GREEN, STEEL = (0.80, 0.42, 0.01), (0.01, 0.08, 0.40), (0.01, 0.16, 0.07), (0.32, 0.33, 0.34)
CONCRETE = (0.33, 0.32, 0.30)
_ORANGES = [(0.85, 0.13, 0.015), (0.80, 0.10, 0.02), (0.75, 0.19, 0.03), (0.62, 0.05, 0.015), (0.9, 0.22, 0.02)]


def cone(style: int, state: frozenset[str]) -> Mesh:
    """Traffic cone 0.71 m, drum 1.0 m, panel 1.0 m or tube 0.9 m, by `state`."""
    mesh = Mesh()
    rng = np.random.default_rng(40 + style)
    orange = tuple(np.clip(np.asarray(_ORANGES[style % 5]) * rng.uniform(0.75, 1.1), 0, 1))
    white = tuple(np.asarray(WHITE) * rng.uniform(0.7, 1.0))
    if "drum" in state:
        rings = [
            (0.30, 0.05),
            (0.285, 0.22),
            (0.28, 0.24),
            (0.28, 0.40),
            (0.265, 0.42),
            (0.265, 0.58),
            (0.255, 0.60),
            (0.25, 0.76),
            (0.24, 0.78),
            (0.23, 0.94),
            (0.17, 1.0),
        ]
        colours = [orange, orange, white, orange, orange, orange, white, white, orange, orange]
        mesh.lathe(rings, 14, "retro", colours)
        mesh.disc((0, 0, 0.998), (0, 0, 1), 0.17, 12, "matte", orange)
        return mesh.lathe([(0.36, 0.0), (0.36, 0.06), (0.28, 0.08)], 10, "matte", BLACK)
    if "panel" in state:
        mesh.box((0, 0, 0.03), (0.4, 0.28, 0.06), "matte", BLACK)
        mesh.box((0, 0, 0.56), (0.03, 0.24, 0.92), "matte", WHITE)
        other = orange if style % 2 else RED
        for face in (1, -1):
            for k in range(5):
                z = 0.12 + k * 0.19
                x = face * 0.018
                mesh.quad(
                    (x, -0.12, z),
                    (x, 0.12, z + 0.07),
                    (x, 0.12, min(z + 0.165, 1.01)),
                    (x, -0.12, z + 0.095),
                    "retro",
                    other,
                )
        return mesh
    if "tube" in state:
        mesh.lathe([(0.16, 0.0), (0.15, 0.04), (0.05, 0.06)], 8, "matte", BLACK)
        heights = [0.05, 0.45, 0.55, 0.62, 0.72, 0.88]
        return mesh.lathe(
            [(0.045, z) for z in heights] + [(0.01, 0.9)], 8, "retro", [orange, white, orange, white, orange, orange]
        )
    bands = style % 4
    h = [0.03, 0.30, 0.40, 0.46, 0.61, 0.70] if bands != 1 else [0.03, 0.36, 0.37, 0.38, 0.58, 0.70]
    r = [0.155 - 0.125 * z / 0.7 for z in h]
    colours = [orange, white, orange, white, orange] if bands != 3 else [orange] * 5
    mesh.lathe(list(zip(r, h, strict=True)), 14, "retro", colours)
    mesh.disc((0, 0, 0.699), (0, 0, 1), 0.03, 8, "matte", (0.05, 0.02, 0.01))
    base = orange if style % 3 else BLACK
    return mesh.box((0, 0, 0.018), (0.37, 0.37, 0.036), "matte", base, rng.uniform(0, 1.5))


def barrier(style: int, state: frozenset[str], width=2.0) -> Mesh:
    """Looks along x; `width` is across. plank 1.05 m tall, jersey 0.85 m, fence 1.2 m."""
    mesh = Mesh()
    if "jersey" in state:
        profile = [
            (-0.30, 0),
            (0.30, 0),
            (0.30, 0.08),
            (0.17, 0.33),
            (0.09, 0.85),
            (-0.09, 0.85),
            (-0.17, 0.33),
            (-0.30, 0.08),
        ]
        colour = CONCRETE if style % 3 else (0.6, 0.05, 0.03)
        mesh.side_profile(profile, -width / 2, width / 2, "concrete" if style % 3 else "matte", colour)
        if style % 3 == 0:
            mesh.box((0, width / 4, 0.5), (0.30, width / 2, 0.2), "matte", WHITE)
        for i in range(3):
            mesh.box((0.16, (i - 1) * width * 0.33, 0.62), (0.03, 0.12, 0.09), "retro", ORANGE)
        return mesh
    if "fence" in state:
        for s in (1, -1):
            mesh.tube((0, s * width / 2, 0), (0, s * width / 2, 1.15), 0.02, sides=6, material="gloss", colour=STEEL)
            mesh.box((0, s * width * 0.35, 0.03), (0.5, 0.06, 0.05), "gloss", STEEL)
        for z in (0.15, 1.12):
            mesh.tube((0, -width / 2, z), (0, width / 2, z), 0.02, sides=6, material="gloss", colour=STEEL)
        n = int(width / 0.12)
        for i in range(n):
            y = -width / 2 + (i + 0.5) * width / n
            mesh.tube((0, y, 0.15), (0, y, 1.12), 0.007, sides=4, material="gloss", colour=STEEL)
        if style % 2:
            mesh.box((0.01, 0, 0.75), (0.02, width * 0.9, 0.22), "retro", ORANGE)
        return mesh
    boards = 3 if style % 2 else 1
    other = (ORANGE, RED)[style % 3 == 0]
    for k in range(boards):
        z = 0.95 - k * 0.36
        mesh.box((0, 0, z), (0.03, width, 0.22), "retro", WHITE)
        n = max(int(width / 0.30), 2)
        step = width / n
        for face in (1, -1):
            for i in range(n):
                y = -width / 2 + i * step
                x = face * 0.018
                mesh.quad(
                    (x, y, z - 0.11),
                    (x, y + step / 2, z - 0.11),
                    (x, y + step, z + 0.11),
                    (x, y + step / 2, z + 0.11),
                    "retro",
                    other,
                )
    for s in (1, -1):
        y = s * width * 0.38
        mesh.tube((0.32, y, 0), (0, y, 1.02), 0.025, sides=5, colour=STEEL, material="gloss")
        mesh.tube((-0.32, y, 0), (0, y, 1.02), 0.025, sides=5, colour=STEEL, material="gloss")
    for s in (1, -1):
        mesh.tube(
            (0, s * width * 0.40, 1.06),
            (0, s * width * 0.40, 1.24),
            0.07,
            sides=8,
            material="retro",
            colour=(0.9, 0.35, 0.02),
        )
    return mesh


def construction(style: int, state: frozenset[str]) -> Mesh:
    """sign (warning board on a stand), excavator 6 m, roller 4 m or a trailer with a lit arrow board."""
    mesh = Mesh()
    paint = [(0.75, 0.38, 0.01), (0.80, 0.30, 0.01), (0.65, 0.45, 0.05)][style % 3]
    if "excavator" in state:
        for s in (1, -1):
            mesh.side_profile(
                [(-1.5, 0.1), (-1.2, 0), (1.2, 0), (1.5, 0.1), (1.6, 0.45), (1.3, 0.8), (-1.3, 0.8), (-1.6, 0.45)],
                s * 0.7,
                s * 1.2,
                "matte",
                (0.03, 0.03, 0.03),
            )
        mesh.box((-0.3, 0, 1.45), (2.6, 2.3, 1.0), "gloss", paint)
        mesh.box((-1.3, 0, 1.7), (0.7, 2.3, 0.9), "gloss", tuple(c * 0.35 for c in paint))
        mesh.box((0.35, 0.6, 2.3), (1.3, 0.95, 1.6), "glass", (0.012, 0.014, 0.016))
        mesh.box((0.35, 0.6, 3.1), (1.4, 1.0, 0.1), "gloss", paint)
        for x in (-0.3, 1.0):
            for y in (0.13, 1.07):
                mesh.box((x, y, 2.3), (0.09, 0.09, 1.6), "gloss", paint)
        for a, b, r in (((0.9, -0.2, 1.6), (2.6, -0.2, 3.9), 0.22), ((2.6, -0.2, 3.9), (3.9, -0.2, 2.2), 0.18)):
            mesh.tube(a, b, r, r * 0.8, 6, "gloss", paint)
        mesh.tube((1.2, -0.2, 2.3), (2.2, -0.2, 3.0), 0.07, sides=6, material="gloss", colour=STEEL)
        return mesh.side_profile(
            [(3.6, 2.2), (4.2, 2.3), (4.3, 1.5), (3.9, 1.1), (3.5, 1.3), (3.8, 1.6)],
            -0.75,
            0.35,
            "matte",
            (0.08, 0.07, 0.06),
        )
    if "roller" in state:
        for x in (-1.3, 1.3):
            mesh.tube(
                (x, -0.85, 0.6), (x, 0.85, 0.6), 0.6, sides=18, material="gloss", colour=STEEL if x > 0 else BLACK
            )
        mesh.box((0, 0, 1.0), (2.4, 1.3, 0.7), "gloss", paint)
        mesh.box((-0.9, 0, 1.5), (1.1, 1.2, 0.5), "gloss", paint)
        for x in (-0.4, 0.9):
            for y in (-0.6, 0.6):
                mesh.box((x, y, 1.9), (0.07, 0.07, 1.2), "matte", BLACK)
        mesh.box((0.25, 0, 2.5), (1.7, 1.5, 0.08), "gloss", paint)
        return mesh.box((0.3, 0, 1.5), (0.5, 0.5, 0.6), "matte", BLACK)
    if "arrow_board" in state:
        mesh.box((0, 0, 0.5), (2.2, 1.4, 0.35), "gloss", ORANGE)
        for s in (1, -1):
            mesh.tube((0, s * 0.75, 0.33), (0, s * 0.95, 0.33), 0.33, sides=12, colour=BLACK)
        mesh.box((0, 0, 1.3), (0.12, 0.12, 1.4), "matte", BLACK)
        mesh.box((0, 0, 2.3), (0.12, 2.3, 1.15), "matte", BLACK)
        s = 1 if style % 2 else -1
        dots = [(i * 0.22, 0.0) for i in range(-4, 4)] + [
            (0.55, 0.22),
            (0.33, 0.40),
            (0.55, -0.22),
            (0.33, -0.40),
            (0.75, 0.0),
        ]
        for y, z in dots:
            mesh.disc((0.065, s * y, 2.3 + z), (1, 0, 0), 0.085, 8, "emit", (4.0, 1.6, 0.1))
            mesh.disc((-0.065, s * y, 2.3 + z), (-1, 0, 0), 0.085, 8, "emit", (4.0, 1.6, 0.1))
        return mesh
    # a warning board: orange diamond (Americas), red triangle, or orange rectangle with words
    kind = style % 3
    for s in (1, -1):
        mesh.tube((0.25 * s, -0.3, 0), (0, 0, 0.7), 0.02, sides=5, colour=BLACK)
        mesh.tube((0.25 * s, 0.3, 0), (0, 0, 0.7), 0.02, sides=5, colour=BLACK)
    mesh.tube((0, 0, 0.5), (0, 0, 1.3), 0.03, sides=5, colour=STEEL)
    if kind == 0:
        plate(mesh, 4, 0.62, 1.25, ORANGE, BLACK, turn=0.0)
        write(mesh, ("ROAD", "WORK")[0], (0.035, 0, 1.36), 0.2, BLACK)
        write(mesh, "WORK", (0.035, 0, 1.10), 0.2, BLACK)
    elif kind == 1:
        plate(mesh, 3, 0.58, 1.2, RED, WHITE, turn=math.pi / 2, inset=0.72)
        _digger(mesh, 1.12)
    else:
        mesh.box((0, 0, 1.2), (0.04, 1.1, 0.75), "retro", ORANGE)
        write(mesh, "ROAD", (0.03, 0, 1.37), 0.24, BLACK)
        write(mesh, "CLOSED", (0.03, 0, 1.05), 0.2, BLACK)
    return mesh


def _digger(mesh: Mesh, z: float) -> None:
    """The man-at-work pictogram."""
    x = 0.04
    mesh.disc((x, -0.03, z + 0.18), (1, 0, 0), 0.045, 8, "matte", BLACK)
    mesh.quad((x, -0.10, z - 0.12), (x, -0.03, z - 0.12), (x, 0.03, z + 0.13), (x, -0.05, z + 0.15), "matte", BLACK)
    mesh.quad((x, 0.02, z + 0.05), (x, 0.16, z - 0.10), (x, 0.18, z - 0.07), (x, 0.03, z + 0.10), "matte", BLACK)
    mesh.add(((x, 0.10, z - 0.14), (x, 0.28, z - 0.14), (x, 0.19, z - 0.02)), ((0, 1, 2),), "matte", BLACK)


def debris(style: int, state: frozenset[str]) -> Mesh:
    rng = np.random.default_rng(55 + style)
    mesh = Mesh()
    if "tyre" in state:
        for k in range(1 + style % 2):
            mesh.lathe(
                [(0.20, 0.02), (0.33, 0.03), (0.34, 0.17), (0.21, 0.19), (0.19, 0.10)],
                14,
                "matte",
                BLACK,
                (k * 0.3, k * 0.25, k * 0.12),
            )
    elif "planks" in state:
        for _ in range(6):
            mesh.box(
                (rng.uniform(-0.3, 0.3), rng.uniform(-0.4, 0.4), rng.uniform(0.03, 0.16)),
                (rng.uniform(1.0, 1.8), 0.14, 0.04),
                "matte",
                (0.30, 0.18, 0.08),
                rng.uniform(-0.7, 0.7),
            )
    elif "rock" in state:
        for _ in range(4):
            p = rng.normal(size=(9, 3))
            p /= np.linalg.norm(p, axis=1, keepdims=True)
            c = np.array([rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.3), 0.14])
            n = 7
            rings = [
                (0.05 + 0.22 * math.sin(math.pi * i / 4) * rng.uniform(0.8, 1.2), -0.14 + 0.3 * i / 4) for i in range(5)
            ]
            mesh.lathe(rings, n, "matte", (0.20, 0.18, 0.16), c, (1.0, rng.uniform(0.7, 1.2)), False)
    else:
        for k in range(1 + style % 3):
            s = rng.uniform(0.3, 0.6, 3)
            mesh.box((k * 0.45, rng.uniform(-0.3, 0.3), s[2] / 2), s, "matte", (0.38, 0.24, 0.12), rng.uniform(0, 1.5))
        mesh.box((0.1, 0, 0.02), (0.7, 0.5, 0.02), "matte", (0.34, 0.22, 0.11), 0.6)
    return mesh


def plate(
    mesh: Mesh, sides: int, radius: float, z: float, rim, fill, turn: float = 0.0, inset: float = 0.86, x: float = 0.02
) -> None:
    """A regular sign plate facing +x at height `z`, with a rim; its back is bare metal."""
    angle = [turn + i * 2 * math.pi / sides for i in range(sides)]
    for r, dx, colour, material in ((radius, x, rim, "retro"), (radius * inset, x + 0.008, fill, "retro")):
        mesh.add([(dx, r * math.cos(a), z + r * math.sin(a)) for a in angle], [tuple(range(sides))], material, colour)
    mesh.add(
        [(x - 0.015, radius * math.cos(a), z + radius * math.sin(a)) for a in angle],
        [tuple(range(sides))[::-1]],
        "gloss",
        (0.3, 0.3, 0.3),
    )


def speed_sign(style: int, text: str) -> Mesh:
    """A limit sign 2.6 m tall on a post: red ring (most of the world) or white rectangle (style % 4 == 3)."""
    mesh = Mesh()
    if style % 4 == 3:
        mesh.tube((-0.03, 0, 0), (-0.03, 0, 2.6), 0.035, sides=6, material="gloss", colour=STEEL)
        mesh.box((0, 0, 2.2), (0.03, 0.62, 0.78), "retro", BLACK)
        mesh.box((0.004, 0, 2.2), (0.03, 0.58, 0.74), "retro", WHITE)
        write(mesh, "SPEED", (0.025, 0, 2.46), 0.125, BLACK)
        write(mesh, "LIMIT", (0.025, 0, 2.31), 0.125, BLACK)
        write(mesh, text, (0.025, 0, 2.04), 0.36, BLACK)
        return mesh
    mesh.tube((-0.03, 0, 0), (-0.03, 0, 2.6), 0.035, sides=6, material="gloss", colour=STEEL)
    fill = (0.78, 0.62, 0.05) if style % 8 == 5 else WHITE
    plate(mesh, 28, 0.36, 2.24, RED, fill, inset=0.77)
    write(mesh, text, (0.045, 0, 2.24), 0.37 if len(text) < 3 else 0.29, BLACK)
    return mesh


def sign(style: int, state: frozenset[str], width: float = 3.0) -> Mesh:
    """stop, yield, warning, info, no_entry on a post of 2.6 m; gantry: a 6 m portal across `width`."""
    mesh = Mesh()
    if "gantry" in state:
        half = max(width / 2, 3.0)
        for s in (1, -1):
            mesh.tube((0, s * half, 0), (0, s * half, 6.4), 0.16, sides=8, material="gloss", colour=STEEL)
        for z in (5.6, 6.3):
            mesh.tube((0, -half, z), (0, half, z), 0.08, sides=6, material="gloss", colour=STEEL)
        n = max(int(2 * half / 6), 1)
        back = BLUE if style % 2 else GREEN
        words = [("CENTRE", "AIRPORT"), ("NORTH", "HARBOUR"), ("EXIT 12", "RING"), ("CITY", "WEST")]
        for i in range(n):
            y = -half + (i + 0.5) * 2 * half / n
            w = 2 * half / n * 0.8
            mesh.box((0.12, y, 5.9), (0.06, w, 2.0), "retro", WHITE)
            mesh.box((0.14, y, 5.9), (0.06, w - 0.12, 1.88), "retro", back)
            pair = words[(style + i) % 4]
            write(mesh, pair[0], (0.18, y, 6.3), 0.5, WHITE, limit=w * 0.9)
            write(mesh, pair[1], (0.18, y, 5.6), 0.5, WHITE, limit=w * 0.9)
        return mesh
    mesh.tube((-0.03, 0, 0), (-0.03, 0, 2.6), 0.035, sides=6, material="gloss", colour=STEEL)
    if "stop" in state:
        plate(mesh, 8, 0.42, 2.3, WHITE, (0.5, 0.01, 0.012), turn=math.pi / 8, inset=0.93)
        write(mesh, "STOP", (0.045, 0, 2.3), 0.24, WHITE)
    elif "yield" in state:
        plate(mesh, 3, 0.5, 2.3, RED, WHITE, turn=-math.pi / 2, inset=0.66)
    elif "no_entry" in state:
        plate(mesh, 24, 0.36, 2.25, RED, RED)
        mesh.box((0.03, 0, 2.25), (0.02, 0.5, 0.12), "retro", WHITE)
    elif "warning" in state:
        if style % 2:
            plate(mesh, 4, 0.52, 2.3, BLACK, YELLOW, inset=0.94)
            mesh.quad((0.04, -0.04, 2.05), (0.04, 0.04, 2.05), (0.04, 0.05, 2.5), (0.04, -0.05, 2.5), "matte", BLACK)
        else:
            plate(mesh, 3, 0.5, 2.2, RED, WHITE, turn=math.pi / 2, inset=0.74)
            mesh.quad(
                (0.04, -0.035, 2.12), (0.04, 0.035, 2.12), (0.04, 0.05, 2.42), (0.04, -0.05, 2.42), "matte", BLACK
            )
            mesh.disc((0.04, 0, 2.06), (1, 0, 0), 0.04, 8, "matte", BLACK)
    else:
        kind = style % 4
        back = (BLUE, GREEN, (0.7, 0.7, 0.7), BLUE)[kind]
        size = ((0.6, 0.6), (1.3, 0.5), (0.5, 0.7), (1.5, 0.9))[kind]
        mesh.box((0, 0, 2.3), (0.03, size[0], size[1]), "retro", WHITE)
        mesh.box((0.006, 0, 2.3), (0.03, size[0] - 0.05, size[1] - 0.05), "retro", back)
        word = ("P", "MAIN ST", "NO 7", "CENTRE")[kind]
        write(mesh, word, (0.03, 0, 2.3), size[1] * 0.6, WHITE if kind != 2 else RED, limit=size[0] * 0.85)
    return mesh
