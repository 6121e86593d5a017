"""Vans, lorries and buses. Local frame: x forward, y left, ground at z = 0, metres."""

from __future__ import annotations

from .geometry import Mesh
from .vehicles import CHROME, DARK, arch, lamps, wheel


def van(style: int, state: frozenset[str], length=5.6, width=2.0, height=2.4) -> Mesh:
    """A delivery van: one box with a sloped nose."""
    mesh = Mesh()
    half, w, h = length / 2, width / 2, height
    outline = [
        (-half, 0.38),
        (half - 0.05, 0.38),
        (half, 0.60),
        (half - 0.02, 0.42 * h),
        (half - 0.75, 0.55 * h),
        (half - 1.55, 0.95 * h),
        (half - 1.9, h),
        (-half + 0.08, h),
        (-half, h - 0.1),
    ]
    mesh.side_profile(outline, -w, w, "body")
    g = (0.01, 0.012, 0.014)
    e = 0.012
    mesh.quad(
        (half - 0.80 + e, w * 0.88, 0.575 * h),
        (half - 0.80 + e, -w * 0.88, 0.575 * h),
        (half - 1.50 + e, -w * 0.8, 0.935 * h),
        (half - 1.50 + e, w * 0.8, 0.935 * h),
        "glass",
        g,
    )
    for s in (1, -1):
        mesh.quad(
            (half - 1.05, s * (w + e), 0.56 * h),
            (half - 1.95, s * (w + e), 0.56 * h),
            (half - 1.95, s * (w + e), 0.86 * h),
            (half - 1.55, s * (w + e), 0.86 * h),
            "glass",
            g,
        )
        mesh.face_y(s * (w + e), -half + 0.2, half - 0.3, 0.5, 0.62, "matte", DARK)
        mesh.box((half - 1.1, s * (w + 0.12), 0.62 * h), (0.12, 0.2, 0.3), "matte", DARK)
    x = -half - e
    if style % 2:
        for s in (1, -1):
            mesh.quad(
                (x, s * 0.06, 0.58 * h),
                (x, s * w * 0.82, 0.58 * h),
                (x, s * w * 0.8, 0.86 * h),
                (x, s * 0.06, 0.86 * h),
                "glass",
                g,
            )
    mesh.face_x(x, 0.012, -0.012, 0.45, 0.95 * h, "matte", (0.03, 0.03, 0.03))
    _rear_lamps(mesh, x, w, 0.40 * h, 0.14, 0.42, state)
    _heads(mesh, half + 0.01, w, 0.36 * h, state)
    mesh.box((-half, 0, 0.42), (0.14, width * 0.96, 0.2), "matte", DARK)
    for wx in (-half + 0.95, half - 0.95):
        for s in (1, -1):
            arch(mesh, wx, s * w, 0.34)
            wheel(mesh, wx, s * (w + 0.012), 0.34)
    return mesh


def _rear_lamps(mesh: Mesh, x: float, w: float, z: float, lw: float, lh: float, state: frozenset[str]) -> None:
    lit = lamps(state)
    for s, turn in ((1, "left"), (-1, "right")):
        mat, colour = lit["tail"]
        y0, y1 = s * w * 0.97, s * (w * 0.97 - lw)
        mesh.face_x(x - 0.01, y0, y1, z - lh / 2, z + lh * 0.2, mat, colour)
        mat, colour = lit[turn]
        mesh.face_x(x - 0.01, y0, y1, z + lh * 0.22, z + lh / 2, mat, colour)
    mesh.face_x(x - 0.012, 0.3, -0.2, z - 0.1, z + 0.03, "retro", (0.7, 0.7, 0.68))


def _heads(mesh: Mesh, x: float, w: float, z: float, state: frozenset[str]) -> None:
    lit = lamps(state)
    for s, turn in ((1, "left"), (-1, "right")):
        mat, colour = lit["head"]
        mesh.quad(
            (x, s * w * 0.92, z - 0.1),
            (x, s * w * 0.6, z - 0.1),
            (x, s * w * 0.6, z + 0.1),
            (x, s * w * 0.92, z + 0.12),
            mat,
            colour,
        )
        mat, colour = lit[turn]
        mesh.face_x(x, s * w * 0.92, s * w * 0.7, z - 0.18, z - 0.12, mat, colour)


def truck(style: int, state: frozenset[str], length=9.0, width=2.5, height=3.5) -> Mesh:
    """A lorry: cab, and a box, tarpaulin, tank or tipper body."""
    mesh = Mesh()
    half, w = length / 2, width / 2
    cab = 2.1
    mesh.side_profile(
        [(half - cab, 0.5), (half, 0.5), (half, 1.5), (half - 0.18, 2.7), (half - 0.7, 2.95), (half - cab, 2.95)],
        -w * 0.97,
        w * 0.97,
        "body",
    )
    g = (0.01, 0.012, 0.014)
    mesh.quad(
        (half + 0.01, w * 0.9, 1.55),
        (half + 0.01, -w * 0.9, 1.55),
        (half - 0.16, -w * 0.88, 2.55),
        (half - 0.16, w * 0.88, 2.55),
        "glass",
        g,
    )
    for s in (1, -1):
        mesh.quad(
            (half - 0.2, s * w * 0.985, 1.6),
            (half - 1.2, s * w * 0.985, 1.6),
            (half - 1.2, s * w * 0.985, 2.5),
            (half - 0.45, s * w * 0.985, 2.5),
            "glass",
            g,
        )
        mesh.box((half - 0.2, s * (w + 0.15), 2.2), (0.12, 0.22, 0.6), "matte", DARK)
    kind = style % 4
    cargo = [(0.62, 0.63, 0.64), (0.05, 0.16, 0.36), (0.5, 0.5, 0.52), (0.5, 0.22, 0.03)][kind]
    x0, x1 = -half + 0.05, half - cab - 0.25
    if kind == 2:
        mesh.tube((x0, 0, 2.1), (x1, 0, 2.1), 1.15, sides=16, material="gloss", colour=cargo)
    elif kind == 3:
        mesh.side_profile([(x0, 1.1), (x1, 1.1), (x1, 2.7), (x0, 2.4)], -w, w, "gloss", cargo)
        mesh.quad(
            (x0 + 0.2, w * 0.9, 2.45),
            (x1 - 0.1, w * 0.9, 2.6),
            (x1 - 0.1, -w * 0.9, 2.6),
            (x0 + 0.2, -w * 0.9, 2.45),
            "matte",
            (0.12, 0.09, 0.06),
        )
        for i in range(7):
            mesh.box((x0 + 0.3 + i * (x1 - x0 - 0.5) / 6, 0, 1.75), (0.10, width + 0.04, 1.25), "gloss", cargo)
    else:
        mesh.box(((x0 + x1) / 2, 0, (1.0 + height) / 2), (x1 - x0, width, height - 1.0), "matte", cargo)
        for z in (1.02, height - 0.04):
            mesh.box(((x0 + x1) / 2, 0, z), (x1 - x0 + 0.02, width + 0.03, 0.08), "gloss", CHROME)
        mesh.box((x0 - 0.015, 0, (1.0 + height) / 2), (0.02, 0.03, height - 1.1), "matte", DARK)
        for s in (1, -1):
            mesh.box((x0 - 0.02, s * 0.35, (1.0 + height) / 2), (0.03, 0.04, height - 1.1), "gloss", CHROME)
    mesh.box((-0.6, 0, 0.85), (length - 1.4, 0.9, 0.24), "matte", DARK)
    mesh.box((-half + 0.1, 0, 0.62), (0.12, width * 0.95, 0.14), "matte", DARK)
    for i in range(8):  # hazard striping of the rear bar
        mesh.box(
            (-half + 0.035, (i - 3.5) * width * 0.115, 0.62), (0.01, width * 0.055, 0.13), "retro", (0.6, 0.02, 0.02)
        )
    _rear_lamps(mesh, -half + 0.02, w, 0.85, 0.28, 0.16, state)
    _heads(mesh, half + 0.01, w, 0.85, state)
    for x in (half - 1.1, -half + 1.3, -half + 2.4) if length > 7 else (half - 1.0, -half + 1.2):
        for s in (1, -1):
            wheel(mesh, x, s * w * 0.98, 0.5, 0.32)
    return mesh


def bus(style: int, state: frozenset[str], length=11.5, width=2.55, height=3.1) -> Mesh:
    mesh = Mesh()
    half, w, h = length / 2, width / 2, height
    mesh.side_profile(
        [
            (-half, 0.4),
            (half, 0.4),
            (half, 1.4),
            (half - 0.15, h - 0.15),
            (half - 0.4, h),
            (-half + 0.25, h),
            (-half, h - 0.25),
        ],
        -w,
        w,
        "body",
    )
    g = (0.01, 0.012, 0.014)
    accent = [(0.6, 0.6, 0.6), (0.02, 0.1, 0.35), (0.45, 0.02, 0.02), (0.02, 0.2, 0.08)][style % 4]
    for s in (1, -1):
        y = s * (w + 0.01)
        mesh.face_y(y, -half + 0.4, half - 0.3, 1.35, 2.45, "glass", g)
        mesh.face_y(y, -half + 0.1, half - 0.1, 0.75, 1.05, "gloss", accent)
        for i in range(1, 7):
            mesh.box((-half + i * length / 7, s * w, 1.9), (0.09, 0.04, 1.15), "matte", DARK)
        mesh.box((half + 0.1, s * (w + 0.1), 2.3), (0.2, 0.12, 0.4), "matte", DARK)
    mesh.quad(
        (half + 0.01, w * 0.93, 1.2),
        (half + 0.01, -w * 0.93, 1.2),
        (half - 0.09, -w * 0.93, 2.6),
        (half - 0.09, w * 0.93, 2.6),
        "glass",
        g,
    )
    mesh.box((half - 0.12, 0, h - 0.3), (0.1, width * 0.6, 0.25), "emit", (0.9, 0.45, 0.05))
    x = -half - 0.01
    mesh.quad((x, w * 0.85, 1.6), (x, -w * 0.85, 1.6), (x, -w * 0.82, 2.6), (x, w * 0.82, 2.6), "glass", g)
    mesh.face_x(x, w * 0.7, -w * 0.7, 0.6, 1.3, "matte", (0.05, 0.05, 0.05))
    _rear_lamps(mesh, x, w, 1.1, 0.2, 0.5, state)
    _heads(mesh, half + 0.01, w, 0.75, state)
    mesh.box((-half + 1.0, 0, h + 0.08), (1.6, 1.6, 0.18), "matte", (0.4, 0.4, 0.4))
    for wx in (half - 2.4, -half + 3.0):
        for s in (1, -1):
            arch(mesh, wx, s * w, 0.48)
            wheel(mesh, wx, s * (w + 0.01), 0.48, 0.3)
    return mesh
