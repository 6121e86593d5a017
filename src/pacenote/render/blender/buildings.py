"""Facades, shops, towers and houses: boxes with textured walls in metres, ledges, roofs, shop fronts and signs."""

from __future__ import annotations

import numpy as np

from .furniture import SHOP_WORDS
from .geometry import Mesh
from .text import write
from .textures import FACADE_M, FACADES, SHOP_M

_ROOF = [(0.16, 0.05, 0.03), (0.05, 0.05, 0.055), (0.10, 0.07, 0.05), (0.20, 0.09, 0.05), (0.12, 0.12, 0.12)]
_TRIM = [(0.5, 0.49, 0.46), (0.10, 0.10, 0.11), (0.30, 0.27, 0.22), (0.6, 0.6, 0.58)]
_SIGN = [
    (0.02, 0.10, 0.35),
    (0.45, 0.02, 0.02),
    (0.02, 0.22, 0.10),
    (0.5, 0.32, 0.02),
    (0.03, 0.03, 0.03),
    (0.5, 0.5, 0.48),
    (0.3, 0.03, 0.2),
]


def _walls(
    mesh: Mesh, length: float, width: float, z0: float, z1: float, material: str, metres, phase: float, tint
) -> None:
    """Four walls with uv in tiles; floors start at z0 so that windows are whole."""
    x, y = length / 2, width / 2
    corners = [(-x, -y), (x, -y), (x, y), (-x, y)]
    for i in range(4):
        (ax, ay), (bx, by) = corners[i], corners[(i + 1) % 4]
        run = float(np.hypot(bx - ax, by - ay)) / metres[0]
        bays = max(round(run * 4), 1) / 4  # whole bays: a tile holds four
        v1 = max(round((z1 - z0) / metres[1] * 4), 1) / 4
        u = phase * (i + 1)
        mesh.add(
            [(ax, ay, z0), (bx, by, z0), (bx, by, z1), (ax, ay, z1)],
            [(0, 1, 2, 3)],
            material,
            tint,
            uv=[(u, 0), (u + bays, 0), (u + bays, v1), (u, v1)],
        )


def building(style: int, state: frozenset[str], length: float, width: float, height: float, colour) -> Mesh:
    rng = np.random.default_rng(2000 + style)
    mesh = Mesh()
    if "house" in state:
        return _house(mesh, rng, length, width, height, colour)
    tower = "tower" in state or height > 35
    material = f"facade{style % FACADES}"
    tint = np.clip(0.55 + 0.9 * np.asarray(colour), 0.3, 1.25) * rng.uniform(0.8, 1.1)
    phase = int(rng.integers(4)) / 4
    trim = _TRIM[rng.integers(4)]
    ground = 0.0
    if "shop" in state or (not tower and rng.random() < 0.45):
        ground = min(SHOP_M[1], height * 0.5)
        _walls(mesh, length + 0.02, width + 0.02, 0.0, ground, "shop", SHOP_M, phase, (1, 1, 1))
        _shop_signs(mesh, rng, length, width, ground)
        mesh.box((0, 0, ground + 0.1), (length + 0.3, width + 0.3, 0.2), "matte", trim)
    _walls(mesh, length, width, ground, height, material, FACADE_M, phase, tint)
    mesh.box((0, 0, height + 0.2), (length + 0.5, width + 0.5, 0.5), "matte", trim)
    mesh.box((0, 0, height + 0.46), (length - 0.5, width - 0.5, 0.04), "matte", (0.12, 0.12, 0.12))
    if tower:
        mesh.box((rng.uniform(-1, 1), rng.uniform(-1, 1), height + 2), (length * 0.4, width * 0.4, 4), "matte", trim)
        if rng.random() < 0.5:
            mesh.tube((0, 0, height + 4), (0, 0, height + 9), 0.15, 0.05, 5, colour=(0.3, 0.1, 0.1))
        for s in (1, -1):  # a vertical stripe, as housing blocks have
            mesh.box((s * length * 0.22, 0, height / 2), (0.9, width + 0.3, height), "matte", np.clip(tint * 0.6, 0, 1))
    elif rng.random() < 0.7:
        for _ in range(int(rng.integers(1, 4))):
            mesh.box(
                (rng.uniform(-0.35, 0.35) * length, rng.uniform(-0.35, 0.35) * width, height + 0.9),
                rng.uniform(0.8, 2.4, 3) * (1, 1, 0.7),
                "matte",
                (0.3, 0.3, 0.3),
            )
    if not tower and rng.random() < 0.35 and height > 8:  # balconies
        for z in np.arange(ground + 3.4, height - 2, 3.2):
            for s in (1, -1):
                mesh.box((0, s * (width / 2 + 0.45), z), (length * 0.5, 0.9, 0.14), "matte", trim)
                mesh.box((0, s * (width / 2 + 0.88), z + 0.55), (length * 0.5, 0.04, 1.0), "gloss", (0.1, 0.1, 0.11))
    return mesh


def _shop_signs(mesh: Mesh, rng, length: float, width: float, ground: float) -> None:
    x, y = length / 2 + 0.12, width / 2 + 0.12
    for side, run in ((0, length), (1, width), (2, length), (3, width)):
        n = max(int(run / 6), 1)
        for i in range(n):
            if rng.random() < 0.2:
                continue
            at = (i + 0.5) / n * run - run / 2
            wide = run / n * rng.uniform(0.6, 0.95)
            back = _SIGN[rng.integers(len(_SIGN))]
            part = Mesh()
            lit = "sign"
            part.face_x(0.02, -wide / 2, wide / 2, -0.38, 0.38, lit, back)
            part.box((0, 0, 0), (0.03, wide, 0.76), "matte", back)
            fore = (0.75, 0.75, 0.72) if sum(back) < 1.2 else (0.05, 0.05, 0.06)
            write(
                part,
                SHOP_WORDS[rng.integers(len(SHOP_WORDS))],
                (0.03, 0, 0),
                0.42,
                fore,
                limit=wide * 0.85,
                material=lit,
            )
            if rng.random() < 0.4:  # an awning below
                c = _SIGN[rng.integers(len(_SIGN))]
                part.quad(
                    (0.05, -wide / 2, -0.42),
                    (0.05, wide / 2, -0.42),
                    (1.0, wide / 2, -0.85),
                    (1.0, -wide / 2, -0.85),
                    "matte",
                    c,
                )
            where = ((at, -y), (x, at), (at, y), (-x, at))[side]
            mesh.merge(part, (where[0], where[1], ground - 0.48), (-np.pi / 2, 0.0, np.pi / 2, np.pi)[side])


def _house(mesh: Mesh, rng, length: float, width: float, height: float, colour) -> Mesh:
    tint = np.clip(0.5 + 0.8 * np.asarray(colour), 0.3, 1.2)
    eaves = height * 0.62
    _walls(mesh, length, width, 0.0, eaves, f"house{rng.integers(2)}", (8.0, 6.4), 0.0, tint)
    roof = _ROOF[rng.integers(len(_ROOF))]
    over = 0.45
    x, y = length / 2 + over, width / 2 + over
    along = length >= width
    z = eaves - 0.15
    if along:
        mesh.quad(
            (-x, -y, z),
            (x, -y, z),
            (x, 0, height),
            (-x, 0, height),
            "roof",
            roof,
            uv=[(0, 0), (2 * x, 0), (2 * x, y), (0, y)],
        )
        mesh.quad(
            (x, y, z),
            (-x, y, z),
            (-x, 0, height),
            (x, 0, height),
            "roof",
            roof,
            uv=[(0, 0), (2 * x, 0), (2 * x, y), (0, y)],
        )
        ends: list[tuple] = [
            ((s * length / 2, -width / 2, eaves), (s * length / 2, width / 2, eaves), (s * length / 2, 0, height - 0.1))
            for s in (1, -1)
        ]
    else:
        mesh.quad(
            (-x, -y, z),
            (-x, y, z),
            (0, y, height),
            (0, -y, height),
            "roof",
            roof,
            uv=[(0, 0), (2 * y, 0), (2 * y, x), (0, x)],
        )
        mesh.quad(
            (x, y, z),
            (x, -y, z),
            (0, -y, height),
            (0, y, height),
            "roof",
            roof,
            uv=[(0, 0), (2 * y, 0), (2 * y, x), (0, x)],
        )
        ends = [
            ((-length / 2, s * width / 2, eaves), (length / 2, s * width / 2, eaves), (0, s * width / 2, height - 0.1))
            for s in (1, -1)
        ]
    for a, b, c in ends:
        mesh.add((a, b, c), ((0, 1, 2),), "matte", np.clip(0.55 * tint, 0, 1))
    mesh.box((length * 0.2, width * 0.1, height), (0.6, 0.6, 1.4), "matte", (0.22, 0.09, 0.06))
    for s in (1, -1):
        mesh.box(
            (rng.uniform(-0.2, 0.2) * length, s * (width / 2 + 0.02), 1.05),
            (1.0, 0.06, 2.1),
            "gloss",
            _SIGN[rng.integers(len(_SIGN))],
        )
        if length > 9:
            mesh.box((-0.3 * length, s * (width / 2 + 0.02), 1.1), (2.6, 0.06, 2.2), "gloss", (0.5, 0.5, 0.48))
    return mesh
