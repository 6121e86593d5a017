"""Cars, vans, trucks, buses, two-wheelers and wrecks. Local frame: x forward, y left, ground at z = 0, metres."""

from __future__ import annotations

import itertools
import math

import numpy as np

from .geometry import Mesh

TYRE, RIM, DARK, CHROME = (0.012, 0.012, 0.013), (0.35, 0.36, 0.38), (0.018, 0.018, 0.02), (0.5, 0.5, 0.52)
# Radiances relative to a sunlit white wall at about 1.
TAIL_ON, TAIL_OFF, BRAKE = (0.5, 0.012, 0.006), (0.16, 0.005, 0.006), (3.0, 0.05, 0.03)
AMBER_ON, AMBER_OFF, HEAD_ON, HEAD_OFF = (2.6, 0.85, 0.03), (0.3, 0.11, 0.02), (5.0, 4.8, 4.2), (0.55, 0.56, 0.58)

# Side silhouettes as fractions of the length (from the rear) and of the height: deck/bonnet line, then the cabin
# (rear foot, rear top, front top, front foot), the belt height and the cabin's narrowing at the roof.
_CARS: list[dict] = [
    {
        "name": "sedan",
        "deck": 0.60,
        "cabin": (0.10, 0.27, 0.58, 0.76),
        "bonnet": (0.60, 0.50),
        "belt": 0.62,
        "roof": 0.74,
    },
    {
        "name": "hatch",
        "deck": 0.62,
        "cabin": (0.015, 0.10, 0.56, 0.77),
        "bonnet": (0.61, 0.50),
        "belt": 0.62,
        "roof": 0.76,
    },
    {
        "name": "suv",
        "deck": 0.60,
        "cabin": (0.01, 0.07, 0.58, 0.74),
        "bonnet": (0.60, 0.54),
        "belt": 0.61,
        "roof": 0.80,
    },
    {
        "name": "wagon",
        "deck": 0.60,
        "cabin": (0.01, 0.09, 0.59, 0.75),
        "bonnet": (0.60, 0.50),
        "belt": 0.62,
        "roof": 0.76,
    },
    {
        "name": "pickup",
        "deck": 0.56,
        "cabin": (0.36, 0.40, 0.62, 0.73),
        "bonnet": (0.58, 0.52),
        "belt": 0.60,
        "roof": 0.80,
    },
    {
        "name": "coupe",
        "deck": 0.64,
        "cabin": (0.05, 0.33, 0.54, 0.75),
        "bonnet": (0.62, 0.48),
        "belt": 0.66,
        "roof": 0.70,
    },
    {
        "name": "minivan",
        "deck": 0.58,
        "cabin": (0.01, 0.06, 0.66, 0.86),
        "bonnet": (0.56, 0.46),
        "belt": 0.57,
        "roof": 0.82,
    },
]


def lamps(state: frozenset[str]) -> dict[str, tuple]:
    """Which colour and material each lamp shows."""
    brake, lights = "brake" in state, "lights" in state
    left, right = bool({"left", "hazard"} & state), bool({"right", "hazard"} & state)
    return {
        "tail": ("emit", BRAKE) if brake else ("emit", TAIL_ON) if lights else ("gloss", TAIL_OFF),
        "third": ("emit", BRAKE) if brake else ("gloss", (0.09, 0.004, 0.004)),
        "head": ("emit", HEAD_ON) if lights else ("gloss", HEAD_OFF),
        "left": ("emit", AMBER_ON) if left else ("gloss", AMBER_OFF),
        "right": ("emit", AMBER_ON) if right else ("gloss", AMBER_OFF),
    }


def wheel(mesh: Mesh, x: float, y: float, r: float, width: float = 0.22) -> None:
    out = 1 if y > 0 else -1
    mesh.tube((x, y - out * width, r), (x, y, r), r, sides=14, material="matte", colour=TYRE)
    mesh.disc((x, y + out * 0.004, r), (0, out, 0), r * 0.66, 10, "gloss", RIM)
    mesh.disc((x, y + out * 0.008, r), (0, out, 0), r * 0.2, 6, "matte", DARK)


def arch(mesh: Mesh, x: float, y: float, r: float) -> None:
    out = 1 if y > 0 else -1
    mesh.disc((x, y + out * 0.006, r), (0, out, 0), r * 1.18, 16, "matte", (0.006, 0.006, 0.007))


def car(style: int, state: frozenset[str], length=4.5, width=1.8, height=1.47) -> Mesh:
    spec = _CARS[style % len(_CARS)]
    rng = np.random.default_rng(1000 + style)
    mesh = Mesh()
    half, w, h = length / 2, width / 2, height
    low = 0.14 * h + 0.02
    belt = spec["belt"] * h
    rear, rear_top, front_top, front = ((-half + f * length) for f in spec["cabin"])
    b0, b1 = (f * h for f in spec["bonnet"])
    deck = spec["deck"] * h

    # Lower body: shoulder height and plan width along x; both ends are rounded off in profile and plan.
    line = [
        (-half, deck * 0.97),
        (min(rear, -half + 0.5) + 0.05, max(deck, belt * 0.98)),
        (0.0, belt),
        (front - 0.05, belt * 0.99),
        (front + 0.08, b0),
        (half, b1 * 0.97),
    ]
    line.sort()
    round_off = 0.30
    xs = (
        [-half + round_off * t for t in (0.0, 0.06, 0.2, 0.5, 1.0)]
        + [p[0] for p in line[1:-1]]
        + [half - 0.42 * t for t in (1.0, 0.5, 0.2, 0.06, 0.0)]
    )
    sections = []
    for x in sorted(xs):
        top = float(np.interp(x, [p[0] for p in line], [p[1] for p in line]))
        t = max(0.0, 1 - (x + half) / round_off, 1 - (half - x) / 0.42)
        y = w * (1 - 0.13 * t**2.2)
        top *= 1 - 0.13 * t**3
        floor = low + 0.10 * t**2
        tuck = 0.965 - 0.05 * t**3
        sections.append(
            [
                (x, -y * 0.90, floor),
                (x, -y * 0.985, floor + 0.10),
                (x, -y, top * 0.55),
                (x, -y * 0.985, top * 0.80),
                (x, -y * tuck, top * 0.93),
                (x, -y * 0.86, top * 0.99),
                (x, -y * 0.5, top + 0.018),
                (x, y * 0.5, top + 0.018),
                (x, y * 0.86, top * 0.99),
                (x, y * tuck, top * 0.93),
                (x, y * 0.985, top * 0.80),
                (x, y, top * 0.55),
                (x, y * 0.985, floor + 0.10),
                (x, y * 0.90, floor),
            ]
        )
    dark = (0.02, 0.02, 0.022)
    mesh.loft(sections, ["matte"] + ["body"] * 11 + ["matte"] * 2, [dark] + [(1, 1, 1)] * 11 + [dark] * 2, ends=False)
    mesh.add(sections[0], [tuple(range(14))], "body")
    mesh.add(sections[-1], [tuple(range(14))], "body")

    # Cabin: glass walls between a belt ring and a roof ring, then pillars and roof in the body's colour.
    yb, yr, top = w * 0.90, w * spec["roof"], h * 0.975
    base = max(belt, deck) * 0.985
    rb, fb = base, belt * 0.97
    ring = {
        "rl": (rear, yb * 0.93, rb),
        "rr": (rear, -yb * 0.93, rb),
        "fl": (front, yb * 0.95, fb),
        "fr": (front, -yb * 0.95, fb),
        "tl": (rear_top, yr * 0.94, top),
        "tr": (rear_top, -yr * 0.94, top),
        "sl": (front_top, yr * 0.95, top),
        "sr": (front_top, -yr * 0.95, top),
    }
    glass = (0.01, 0.012, 0.014)
    mesh.quad(ring["rr"], ring["rl"], ring["tl"], ring["tr"], "glass", glass)
    mesh.quad(ring["fl"], ring["fr"], ring["sr"], ring["sl"], "glass", glass)
    mesh.quad(ring["rl"], ring["fl"], ring["sl"], ring["tl"], "glass", glass)
    mesh.quad(ring["fr"], ring["rr"], ring["tr"], ring["sr"], "glass", glass)
    n = 6  # a slightly domed roof
    roof = []
    for i in range(n + 1):
        t = i / n
        x = rear_top + (front_top - rear_top) * t
        rise = h * 0.025 * math.sin(math.pi * (0.15 + 0.7 * t))
        roof.append(
            [
                (x, yr * 0.97, top - 0.015),
                (x, yr * 0.6, top + rise * 0.8),
                (x, -yr * 0.6, top + rise * 0.8),
                (x, -yr * 0.97, top - 0.015),
            ]
        )
    for a, b in itertools.pairwise(roof):
        for j in range(3):
            mesh.quad(a[j], b[j], b[j + 1], a[j + 1], "body")
            mesh.smooth[-1] = True
    for side in (1, -1):
        for foot, head, thick in (
            ((rear, yb * 0.94, rb), (rear_top, yr * 0.95, top), 0.10 if spec["name"] in ("sedan", "coupe") else 0.20),
            ((front, yb * 0.96, fb), (front_top, yr * 0.96, top), 0.05),
            (
                ((rear_top + front_top) / 2 - 0.05, yb * 0.985, base * 1.0),
                ((rear_top + front_top) / 2 - 0.08, yr * 0.985, top),
                0.05,
            ),
        ):
            f0 = np.array(foot) * (1, side, 1)
            f1 = np.array(head) * (1, side, 1)
            out = np.array([0, side * 0.012, 0])
            d = np.array([thick, 0, 0])
            mesh.quad(f0 - d + out, f0 + d + out, f1 + d * 0.7 + out, f1 - d * 0.7 + out, "body")
        # rear and front screen edges
        for foot, head, sign in (
            ((rear, yb * 0.93, rb), (rear_top, yr * 0.94, top), -1),
            ((front, yb * 0.95, fb), (front_top, yr * 0.95, top), 1),
        ):
            f0, f1 = np.array(foot) * (1, side, 1), np.array(head) * (1, side, 1)
            out = np.array([sign * 0.012, 0, 0.004])
            d = np.array([0, -side * 0.09, 0])
            mesh.quad(f0 + out, f0 + d + out, f1 + d * 0.9 + out, f1 + out, "body")
        mesh.box((front - 0.12, side * (w + 0.06), belt + 0.06), (0.16, 0.18, 0.13), "body")  # mirror
        mesh.face_y(side * (w + 0.004), rear_top, front - 0.1, belt * 0.86, belt * 0.875, "gloss", DARK)
    if spec["name"] == "pickup":
        mesh.box(
            (-half + 0.20 * length, 0, deck * 1.0 + 0.03),
            (0.34 * length, width * 0.74, 0.02),
            "matte",
            (0.02, 0.02, 0.02),
        )

    lit = lamps(state)
    tall = spec["name"] in ("suv", "hatch", "minivan", "wagon", "pickup")
    ty = deck * (0.80 if not tall else 0.86) + rng.uniform(-0.02, 0.02)
    lh, lw = (
        (rng.uniform(0.11, 0.16), rng.uniform(0.28, 0.46))
        if not tall
        else (rng.uniform(0.17, 0.30), rng.uniform(0.15, 0.24))
    )
    xr = -half - 0.012
    for side, turn in ((1, "left"), (-1, "right")):
        mat, colour = lit["tail"]
        y0, y1 = side * w * 0.90, side * (w * 0.90 - lw)
        mesh.quad(
            (xr, y0, ty - lh / 2),
            (xr, y1, ty - lh / 2),
            (xr, y1, ty + lh / 2),
            (xr - 0.0, y0, ty + lh / 2),
            mat,
            colour,
        )
        x2 = xr + 0.22  # the lamp wraps round the corner
        mesh.quad(
            (x2, side * w * 0.995, ty - lh / 2),
            (xr, side * w * 0.90, ty - lh / 2),
            (xr, side * w * 0.90, ty + lh / 2),
            (x2, side * w * 0.995, ty + lh / 2),
            mat,
            colour,
        )
        mat, colour = lit[turn]
        ym = side * (w * 0.90 - lw * 0.55)
        mesh.face_x(xr - 0.004, ym, y1, ty - lh / 2, ty - lh * 0.1, mat, colour)
        mat, colour = lit["head"]
        z = b1 * 0.80
        y0, y1 = side * w * 0.79, side * w * 0.42
        xf = half + 0.006
        mesh.quad((xf, y0, z - 0.07), (xf, y1, z - 0.06), (xf, y1, z + 0.05), (xf, y0, z + 0.075), mat, colour)
        mat, colour = lit[turn]
        mesh.quad((xf, y0, z - 0.13), (xf, y1, z - 0.12), (xf, y1, z - 0.09), (xf, y0, z - 0.09), mat, colour)
    mat, colour = lit["third"]
    mesh.quad(
        (rear_top - 0.05, 0.2, top - 0.03),
        (rear_top - 0.05, -0.2, top - 0.03),
        (rear_top, -0.2, top + 0.005),
        (rear_top, 0.2, top + 0.005),
        mat,
        colour,
    )
    plate_z = 0.62 * deck if not tall else 0.68 * deck
    plate = [(0.75, 0.75, 0.73), (0.7, 0.6, 0.1), (0.05, 0.12, 0.4), (0.75, 0.75, 0.75)][style % 4]
    mesh.face_x(xr - 0.01, 0.26, -0.26, plate_z - 0.06, plate_z + 0.06, "retro", plate)
    for i in range(6):  # characters, unreadable at any distance that matters
        y = 0.20 - i * 0.075
        mesh.face_x(
            xr - 0.014,
            y,
            y - 0.04,
            plate_z - 0.035,
            plate_z + 0.03,
            "matte",
            DARK if style % 4 != 2 else (0.7, 0.7, 0.7),
        )
    mesh.box((-half + 0.03, 0, low + 0.13), (0.08, width * 0.72, 0.10), "matte", (0.022, 0.022, 0.024))  # valance
    mesh.box((-half + 0.004, 0, low + 0.30), (0.02, width * 0.80, 0.015), "matte", (0.03, 0.03, 0.03))  # bumper seam
    mesh.box((half - 0.05, 0, low + 0.18), (0.10, width * 0.74, 0.18), "matte", (0.02, 0.02, 0.022))
    mesh.box((half - 0.02, 0, b1 * 0.82), (0.05, width * 0.34, 0.12), "gloss", (0.03, 0.03, 0.032))  # grille
    mesh.face_x(-half - 0.012, 0.06, -0.06, deck * 0.88, deck * 0.95, "gloss", CHROME)  # badge
    r = 0.215 * h + 0.01
    for x in (-half + 0.185 * length, half - 0.19 * length):
        for side in (1, -1):
            arch(mesh, x, side * w, r)
            wheel(mesh, x, side * (w + 0.012), r)
    if style % 11 == 5:  # a taxi's roof sign
        mesh.box((0, 0, h + 0.08), (0.2, 0.55, 0.16), "emit", (0.8, 0.62, 0.2))
    mesh.box((0, 0, low + 0.05), (length * 0.86, width * 0.8, 0.10), "matte", (0.004, 0.004, 0.004))  # underbody shade
    return mesh


def two_wheeler(style: int, state: frozenset[str], motor: bool) -> Mesh:
    """A bicycle or motorcycle with its rider (2 m long)."""
    from .people import rider

    mesh = Mesh()
    r = 0.31 if motor else 0.34
    for x in (-0.65, 0.65) if motor else (-0.52, 0.52):
        mesh.tube((x, -0.06 if motor else -0.02, r), (x, 0.06 if motor else 0.02, r), r, sides=14, colour=TYRE)
    if motor:
        mesh.box((0, 0, 0.5), (0.7, 0.28, 0.35), "matte", DARK)
        mesh.tube((0.05, 0, 0.78), (0.45, 0, 0.85), 0.17, 0.12, 8, "body")
        mesh.box((-0.35, 0, 0.80), (0.6, 0.26, 0.12), "matte", DARK)
        mesh.box((-0.72, 0, 0.72), (0.25, 0.2, 0.12), "body")
        mat, colour = lamps(state)["tail"]
        mesh.box((-0.86, 0, 0.70), (0.03, 0.2, 0.08), mat, colour)
        mat, colour = lamps(state)["head"]
        mesh.disc((0.62, 0, 0.92), (1, 0, 0), 0.09, 10, mat, colour)
    else:
        c = ((0.3, 0.02, 0.02), (0.02, 0.05, 0.2), (0.05, 0.05, 0.05), (0.1, 0.25, 0.1))[style % 4]
        for a, b in (
            ((-0.52, 0, r), (-0.1, 0, 0.3)),
            ((-0.1, 0, 0.3), (0.4, 0, 0.85)),
            ((-0.1, 0, 0.3), (-0.2, 0, 0.88)),
            ((-0.2, 0, 0.8), (0.4, 0, 0.82)),
            ((0.52, 0, r), (0.38, 0, 0.98)),
        ):
            mesh.tube(a, b, 0.022, sides=5, material="gloss", colour=c)
        mesh.tube((0.38, -0.27, 1.0), (0.38, 0.27, 1.0), 0.018, sides=5, colour=DARK)
        mesh.box((-0.22, 0, 0.92), (0.24, 0.14, 0.06), "matte", DARK)
    return mesh.merge(rider(style, motor))


def wreck(style: int, state: frozenset[str]) -> Mesh:
    """A car after a crash: crumpled, bonnet up, glass gone dark, parts on the ground."""
    mesh = car(style, frozenset(state) | {"hazard"} if style % 2 else frozenset(state))
    rng = np.random.default_rng(77 + style)
    p = np.asarray(mesh.vertices)
    at_front = style % 3 != 1
    depth = (p[:, 0] - 0.9) / 1.35 if at_front else (-0.9 - p[:, 0]) / 1.35
    k = np.clip(depth, 0, 1)
    sign = 1.0 if at_front else -1.0
    p[:, 0] -= sign * k * rng.uniform(0.45, 0.8)
    p[:, 1] += k * rng.normal(0.0, 0.11, len(p)) + k * rng.uniform(-0.3, 0.3)
    p[:, 2] += k * np.abs(rng.normal(0.0, 0.09, len(p))) + 0.2 * k * (p[:, 2] > 0.5)
    p += rng.normal(0, 0.012, p.shape)
    mesh.vertices = [tuple(v) for v in p.tolist()]
    x = sign * 1.25
    mesh.add(
        [(x, -0.7, 0.85), (x, 0.7, 0.85), (x + sign * 0.25, 0.62, 1.45), (x + sign * 0.25, -0.62, 1.4)],
        [(0, 1, 2, 3)],
        "body",
    )
    for _ in range(9):
        at = (sign * rng.uniform(1.6, 2.6), rng.uniform(-1.3, 1.3), 0.04)
        mesh.box(
            at,
            rng.uniform(0.05, 0.35, 3) * (1, 1, 0.35),
            "matte",
            DARK if rng.random() < 0.6 else (0.3, 0.3, 0.3),
            rng.uniform(0, 3),
        )
    return mesh
