"""Lamps, poles, rails, fences, benches, neon, toll stations, bridges: what stands beside the road."""

from __future__ import annotations

from .geometry import Mesh
from .street import BLACK, BLUE, CONCRETE, RED, STEEL, WHITE, YELLOW
from .text import write

_METALS = [(0.30, 0.31, 0.32), (0.05, 0.06, 0.055), (0.16, 0.17, 0.17), (0.03, 0.07, 0.05)]
_LIT = {"red": (3.0, 0.08, 0.10), "green": (0.10, 2.4, 0.45), "amber": (3.0, 1.3, 0.15)}
NEON_WORDS = ("OPEN", "BAR", "HOTEL", "24H", "PIZZA", "CAFE", "SALE", "KARAOKE")
SHOP_WORDS = (
    "MARKET",
    "CAFE",
    "PHARMACY",
    "BANK",
    "BAKERY",
    "PHONES",
    "HAIR",
    "NOODLES",
    "FASHION",
    "BOOKS",
    "CLINIC",
    "PIZZA",
)


def street_lamp(style: int, lit: bool, height: float = 8.0) -> Mesh:
    """A pole with an arm of 1.6 m towards +x; single, double or post-top lantern by style."""
    mesh = Mesh()
    metal = _METALS[style % 4]
    lamp = ("emit", (7.0, 5.2, 3.0) if style % 3 else (6.0, 6.0, 6.5)) if lit else ("gloss", (0.5, 0.5, 0.5))
    mesh.tube((0, 0, 0), (0, 0, height * 0.96), 0.10, 0.06, 8, "gloss", metal)
    mesh.tube((0, 0, 0), (0, 0, 0.6), 0.15, 0.12, 8, "gloss", metal)
    if style % 5 == 4:
        mesh.lathe([(0.10, height * 0.93), (0.24, height)], 10, lamp[0], lamp[1])
        mesh.lathe([(0.3, height), (0.03, height * 1.03)], 10, "gloss", metal)
        return mesh
    for s in (1, -1) if style % 5 == 3 else (1,):
        mesh.tube((0, 0, height * 0.92), (s * 0.9, 0, height * 0.985), 0.045, sides=6, material="gloss", colour=metal)
        mesh.tube((s * 0.9, 0, height * 0.985), (s * 1.5, 0, height), 0.04, sides=6, material="gloss", colour=metal)
        mesh.box((s * 1.75, 0, height + 0.02), (0.7, 0.26, 0.12), "gloss", metal)
        mesh.box((s * 1.78, 0, height - 0.055), (0.5, 0.2, 0.03), *lamp)
    return mesh


def pole(style: int, height: float = 9.0) -> Mesh:
    """A utility pole with cross-arms, insulators, a transformer; or a bollard when low."""
    mesh = Mesh()
    if height < 1.5:
        colour = [(0.04, 0.04, 0.04), (0.6, 0.3, 0.02), (0.3, 0.3, 0.3)][style % 3]
        mesh.tube((0, 0, 0), (0, 0, height), 0.07, sides=8, material="gloss", colour=colour)
        mesh.tube((0, 0, height * 0.75), (0, 0, height * 0.88), 0.073, sides=8, material="retro", colour=WHITE)
        return mesh
    wood = [(0.13, 0.09, 0.06), (0.30, 0.29, 0.27), (0.10, 0.08, 0.06)][style % 3]
    mesh.tube((0, 0, 0), (0, 0, height), 0.16, 0.10, 8, "matte", wood)
    for k in range(1 + style % 2):
        z = height - 0.5 - 0.8 * k
        mesh.box((0, 0, z), (0.12, 2.2, 0.12), "matte", wood)
        for y in (-1.0, -0.5, 0.5, 1.0):
            mesh.tube((0, y, z + 0.06), (0, y, z + 0.25), 0.05, sides=5, colour=(0.2, 0.2, 0.2))
            # a wire runs off both ways, with some sag
            for s in (1, -1):
                x0, z0 = 0.0, z + 0.25
                for j in range(1, 7):
                    x1 = s * j * 5.0
                    z1 = z + 0.25 - 1.0 * (1 - (1 - j / 6) ** 2)
                    mesh.tube((x0, y, z0), (x1, y, z1), 0.012, sides=3, colour=BLACK, caps=False)
                    x0, z0 = x1, z1
    if style % 3 == 1:
        mesh.tube(
            (0.35, 0, height - 2.6), (0.35, 0, height - 1.6), 0.25, sides=10, material="gloss", colour=(0.3, 0.31, 0.32)
        )
    return mesh


def fence(style: int, length: float, height: float) -> Mesh:
    """Runs along x; railings, chain link posts, planks or hoarding."""
    mesh = Mesh()
    kind = style % 4
    n = max(int(length / (2.0 if kind else 0.14)), 1)
    colour = [(0.04, 0.05, 0.05), (0.30, 0.31, 0.32), (0.22, 0.13, 0.07), (0.03, 0.12, 0.36)][kind]
    if kind == 0:
        n = min(n, 220)
        for i in range(n + 1):
            x = -length / 2 + i * length / n
            mesh.face_y(0, x - 0.012, x + 0.012, 0.1, height, "gloss", colour)
        for z in (0.12, height - 0.05):
            mesh.box((0, 0, z), (length, 0.04, 0.05), "gloss", colour)
        return mesh
    for i in range(n + 1):
        mesh.box((-length / 2 + i * length / n, 0, height / 2), (0.07, 0.07, height), "gloss", colour)
    if kind == 1:
        for k in range(5):
            mesh.box((0, 0, 0.15 + k * (height - 0.2) / 4), (length, 0.012, 0.02), "gloss", colour)
    elif kind == 2:
        for i in range(int(length / 0.16)):
            shade = 0.75 + 0.5 * ((i * 7919) % 13) / 13
            mesh.box(
                (-length / 2 + (i + 0.5) * 0.16, 0, height / 2),
                (0.15, 0.03, height),
                "matte",
                [c * shade for c in colour],
            )
    else:
        mesh.box((0, 0, height / 2), (length, 0.05, height * 0.96), "matte", colour)
        mesh.box((0, 0, height * 0.9), (length, 0.06, 0.08), "matte", WHITE)
    return mesh


def guard_rail(style: int, length: float) -> Mesh:
    """W-beam rail along x, 0.75 m tall, looking to both sides; or concrete divider for style % 4 == 3."""
    mesh = Mesh()
    if style % 4 == 3:
        outline = [
            (-0.3, 0),
            (0.3, 0),
            (0.28, 0.1),
            (0.15, 0.35),
            (0.10, 0.85),
            (-0.10, 0.85),
            (-0.15, 0.35),
            (-0.28, 0.1),
        ]
        a = [(-length / 2, y, z) for y, z in outline]
        b = [(length / 2, y, z) for y, z in outline]
        n = len(outline)
        faces = [(i, (i + 1) % n, n + (i + 1) % n, n + i) for i in range(n)] + [tuple(range(n)), tuple(range(n, 2 * n))]
        return mesh.add(a + b, faces, "concrete", CONCRETE)
    zs = (0.45, 0.52, 0.56, 0.60, 0.64, 0.68, 0.75)
    ys = (0.06, 0.10, 0.10, 0.06, 0.10, 0.10, 0.06)
    for side in (1, -1):
        a = [(-length / 2, side * y, z) for y, z in zip(ys, zs, strict=True)]
        b = [(length / 2, side * y, z) for y, z in zip(ys, zs, strict=True)]
        mesh.add(a + b, [(i, i + 7, i + 8, i + 1) for i in range(6)], "gloss", (0.36, 0.37, 0.38), True)
    for i in range(max(int(length / 3), 1) + 1):
        mesh.box(
            (min(-length / 2 + 0.1 + i * 3.0, length / 2 - 0.1), 0, 0.36),
            (0.1, 0.08, 0.72),
            "gloss",
            (0.28, 0.29, 0.30),
        )
    return mesh


def bench(style: int) -> Mesh:
    mesh = Mesh()
    wood = [(0.25, 0.14, 0.06), (0.12, 0.13, 0.14)][style % 2]
    for i in range(3):
        mesh.box((0.05 - 0.15 * i, 0, 0.45), (0.12, 1.7, 0.04), "matte", wood)
    for i in range(2):
        mesh.box((-0.34, 0, 0.65 + 0.15 * i), (0.04, 1.7, 0.11), "matte", wood)
    for s in (1, -1):
        mesh.box((-0.1, s * 0.7, 0.22), (0.4, 0.06, 0.44), "gloss", BLACK)
    return mesh


def bin_(style: int) -> Mesh:
    colour = [(0.02, 0.10, 0.05), (0.03, 0.03, 0.03), (0.02, 0.06, 0.20), (0.3, 0.3, 0.3)][style % 4]
    mesh = Mesh().box((0, 0, 0.5), (0.55, 0.55, 0.95), "gloss", colour)
    mesh.box((0, 0, 1.0), (0.6, 0.6, 0.08), "gloss", [c * 0.6 for c in colour])
    return mesh


def hydrant(style: int) -> Mesh:
    colour = [(0.5, 0.02, 0.02), (0.6, 0.35, 0.02)][style % 2]
    mesh = Mesh().lathe(
        [(0.16, 0), (0.16, 0.05), (0.10, 0.08), (0.10, 0.55), (0.14, 0.58), (0.11, 0.70), (0.03, 0.78)],
        10,
        "gloss",
        colour,
    )
    return mesh.tube((0, -0.18, 0.42), (0, 0.18, 0.42), 0.06, sides=8, material="gloss", colour=colour)


def wall(style: int, length: float, width: float, height: float) -> Mesh:
    colour = [(0.35, 0.33, 0.30), (0.26, 0.11, 0.07), (0.45, 0.43, 0.38), (0.30, 0.28, 0.25)][style % 4]
    mesh = Mesh().box((0, 0, height / 2), (length, max(width, 0.2), height), "concrete", colour)
    mesh.box((0, 0, height + 0.03), (length, max(width, 0.2) + 0.08, 0.08), "concrete", [c * 0.8 for c in colour])
    for i in range(int(length / 4)):  # panel joints
        mesh.box(
            (-length / 2 + (i + 1) * 4.0, 0, height / 2),
            (0.06, max(width, 0.2) + 0.03, height),
            "concrete",
            [c * 0.85 for c in colour],
        )
    return mesh


def neon(style: int, state: frozenset[str], width: float, height: float) -> Mesh:
    """A lit shop sign that looks along x: a word in a frame or a plain lit disc (a light's worst double)."""
    mesh = Mesh()
    colour = next((_LIT[s] for s in ("red", "green", "amber") if s in state), (2.0, 2.0, 2.0))
    if style % 4 == 3:
        r = min(width, height) / 2
        mesh.disc((0.02, 0, height / 2), (1, 0, 0), r, 16, "emit", colour)
        return mesh.box((-0.05, 0, height / 2), (0.1, 2 * r, 2 * r), "matte", BLACK)
    mesh.box((-0.04, 0, height / 2), (0.08, width, height), "gloss", (0.02, 0.02, 0.025))
    if style % 4 == 2:  # a lit box with dark letters
        mesh.face_x(0.01, -width * 0.48, width * 0.48, height * 0.06, height * 0.94, "emit", [c * 0.4 for c in colour])
        write(
            mesh,
            NEON_WORDS[style // 4 % 8],
            (0.02, 0, height / 2),
            height * 0.55,
            BLACK,
            limit=width * 0.8,
            material="matte",
        )
        return mesh
    write(mesh, NEON_WORDS[style % 8], (0.02, 0, height / 2), height * 0.6, colour, limit=width * 0.85, material="emit")
    return mesh


def toll_booth(style: int) -> Mesh:
    """2.4 m long, 1.4 m wide, 2.7 m tall, with a boom that is up."""
    mesh = Mesh().box(
        (0, 0, 0.5), (2.4, 1.4, 1.0), "gloss", [(0.6, 0.6, 0.58), (0.05, 0.2, 0.4), (0.5, 0.35, 0.05)][style % 3]
    )
    mesh.box((0, 0, 1.6), (2.2, 1.3, 1.2), "glass", (0.012, 0.014, 0.016))
    for x in (-1.13, 0.0, 1.13):
        for y in (-0.66, 0.66):
            mesh.box((x, y, 1.6), (0.1, 0.1, 1.2), "gloss", STEEL)
    mesh.box((0, 0, 2.35), (2.7, 1.8, 0.3), "gloss", (0.55, 0.55, 0.55))
    mesh.box((-1.5, 0, 0.35), (0.5, 1.3, 0.7), "matte", YELLOW)
    for i in range(4):
        mesh.box((-1.76, (i - 1.5) * 0.34, 0.35), (0.02, 0.15, 0.7), "matte", BLACK)
    for i in range(6):
        mesh.box((1.3, 0.75, 1.1 + 0.45 * i), (0.06, 0.06, 0.45), "retro", RED if i % 2 else WHITE)
    return mesh


def toll_roof(style: int, length: float, width: float, height: float) -> Mesh:
    """A canopy `width` across the road on columns; its underside lamps are lit."""
    mesh = Mesh().box(
        (0, 0, height - 0.4),
        (length, width, 0.8),
        "gloss",
        [(0.55, 0.56, 0.57), (0.06, 0.18, 0.35), (0.5, 0.1, 0.05)][style % 3],
    )
    for s in (1, -1):
        mesh.box(
            (s * length / 2, 0, height - 0.4),
            (0.1, width, 1.0),
            "gloss",
            (BLUE, (0.5, 0.5, 0.5), (0.02, 0.2, 0.1))[style % 3],
        )
    write(mesh, "TOLL", (length / 2 + 0.07, 0, height - 0.4), 0.7, WHITE)
    n = max(int(width / 8), 1)
    for i in range(n + 1):
        y = -width / 2 + 0.5 + i * (width - 1.0) / n
        mesh.tube((0, y, 0), (0, y, height - 0.8), 0.3, sides=10, material="concrete", colour=CONCRETE)
        if i < n:
            mesh.box((0, y + (width - 1.0) / n / 2, height - 0.83), (length * 0.6, 0.3, 0.04), "emit", (2.0, 2.0, 1.8))
    return mesh


def bridge(style: int, length: float, width: float, height: float) -> Mesh:
    """A road bridge along x over the carriageway: deck, parapets and piers at both ends (clear height - 1.5 m)."""
    mesh = Mesh()
    mesh.box((0, 0, height - 0.75), (length, width, 1.5), "concrete", CONCRETE)
    for s in (1, -1):
        mesh.box((0, s * width / 2, height + 0.3), (length, 0.3, 0.9), "concrete", [c * 1.1 for c in CONCRETE])
        mesh.box((0, s * (width / 2 + 0.02), height - 1.2), (length, 0.1, 0.5), "concrete", [c * 0.7 for c in CONCRETE])
        for e in (1, -1):
            mesh.box(
                (e * (length / 2 - 1.0), s * width * 0.3, (height - 1.5) / 2),
                (1.2, 1.2, height - 1.5),
                "concrete",
                CONCRETE,
            )
    return mesh
