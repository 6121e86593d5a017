"""Trees, bushes and hills. Nominal sizes; the builder scales them to the Thing's box."""

from __future__ import annotations

import math

import numpy as np

from .geometry import Mesh

_GREENS = [(0.085, 0.18, 0.03), (0.12, 0.20, 0.04), (0.055, 0.13, 0.03), (0.15, 0.19, 0.035), (0.075, 0.16, 0.05)]
_AUTUMN = [(0.30, 0.13, 0.02), (0.25, 0.08, 0.02), (0.28, 0.20, 0.03)]
_BARK = [(0.07, 0.05, 0.035), (0.11, 0.09, 0.07), (0.05, 0.04, 0.03), (0.18, 0.16, 0.14)]


def leaves(mesh: Mesh, rng, centre, radii, count: int, size: float, colour, droop: float = 0.0) -> None:
    """Leaf clusters (small quads) near the surface of an ellipsoid, darker inside and below."""
    d = rng.normal(size=(count, 3))
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    depth = rng.uniform(0.62, 1.05, (count, 1)) * (1 + 0.10 * np.sin(d[:, :1] * 5 + 2 * d[:, 1:2] * 4))
    p = np.asarray(centre) + d * depth * np.asarray(radii)
    a = rng.normal(size=(count, 3))
    a[:, 2] *= 0.6
    a -= (a * d).sum(1, keepdims=True) * d * 0.6
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b = np.cross(d + 0.4 * rng.normal(size=(count, 3)), a)
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    s = size * rng.uniform(0.6, 1.4, (count, 1))
    a, b = a * s, b * s * 0.7
    b[:, 2] -= droop * s[:, 0]
    base = len(mesh.vertices)
    corners = np.stack([p - a, p - 0.25 * a + b, p + a, p + 0.2 * a - b], axis=1).reshape(-1, 3)
    mesh.vertices.extend(map(tuple, corners.tolist()))
    index = base + np.arange(count * 4).reshape(-1, 4)
    mesh.faces.extend(map(tuple, index.tolist()))
    shade = (0.55 + 0.45 * (depth - 0.62) / 0.43) * (0.80 + 0.20 * d[:, 2:3]) * rng.uniform(0.7, 1.3, (count, 1))
    tint = np.asarray(colour) * shade * (1 + rng.normal(0, 0.12, (count, 3)) * (1, 0.4, 1))
    mesh.colours.extend(map(tuple, np.clip(tint, 0.004, 0.8).tolist()))
    mesh.materials.extend(["leaf"] * count)
    mesh.smooth.extend([False] * count)
    mesh.uv.extend([(0.0, 0.0)] * (count * 4))


def _branches(mesh: Mesh, rng, start, direction, length, radius, depth, bark) -> list[np.ndarray]:
    end = np.asarray(start) + direction * length
    mesh.tube(start, end, radius, radius * 0.62, 5 if depth else 7, "matte", bark, caps=False)
    if depth == 0:
        return [end]
    tips = []
    for _ in range(3):
        d = direction + rng.normal(0, 0.5, 3)
        d[2] = abs(d[2]) * 0.8 + 0.15
        d /= np.linalg.norm(d)
        tips += _branches(
            mesh,
            rng,
            end - direction * length * rng.uniform(0, 0.25),
            d,
            length * rng.uniform(0.55, 0.8),
            radius * 0.58,
            depth - 1,
            bark,
        )
    return tips


def tree(style: int, far: bool = False, bare_season: bool = False) -> Mesh:
    """8 m tall; broad-leaved, upright, conifer, palm or bare by style. `far` has a sixth of the leaves."""
    rng = np.random.default_rng(300 + style)
    kind = ("broad", "broad", "upright", "conifer", "broad", "palm", "bare", "street")[style % 8]
    if bare_season and kind in ("broad", "upright", "street"):
        kind = "bare"
    bark = _BARK[rng.integers(4)]
    green = _GREENS[rng.integers(len(_GREENS))] if rng.random() < 0.95 else _AUTUMN[rng.integers(3)]
    share, grow = (0.16, 2.0) if far else (1.0, 0.60)
    mesh = Mesh()
    if kind == "conifer":
        mesh.tube((0, 0, 0), (0, 0, 7.4), 0.16, 0.03, 6, "matte", bark)
        green = (0.025, 0.05, 0.022)
        for i in range(9):
            z = 1.0 + i * 0.76
            r = 2.0 * (1 - i / 9.6)
            leaves(mesh, rng, (0, 0, z), (r, r, 0.55), int((190 - 15 * i) * share) + 6, 0.26 * grow, green, droop=0.45)
        return mesh
    if kind == "palm":
        p = np.zeros(3)
        lean = rng.normal(0, 0.04, 2)
        for _ in range(6):
            q = p + (lean[0], lean[1], 1.1)
            mesh.tube(p, q, 0.17, 0.15, 7, "matte", (0.16, 0.12, 0.08), caps=False)
            p = q
        for i in range(18):
            a = i * 2.399
            out, lift = np.array([math.cos(a), math.sin(a), 0]), rng.uniform(-0.5, 0.9)
            q0 = p
            for k in range(4):
                q1 = q0 + out * 0.5 + np.array([0, 0, 0.35 * lift - 0.24 * k])
                side = np.cross(out, (0, 0, 1)) * (0.26 - 0.05 * k)
                mesh.quad(q0 - side, q1 - side * 0.8, q1 + (0, 0, 0.05), q0 + (0, 0, 0.05), "leaf", (0.07, 0.11, 0.03))
                mesh.quad(q0 + side, q1 + side * 0.8, q1 + (0, 0, 0.05), q0 + (0, 0, 0.05), "leaf", (0.05, 0.09, 0.02))
                q0 = q1
        return mesh
    trunk = {"upright": 1.6, "street": 2.5}.get(kind, rng.uniform(1.7, 2.4))
    tips = _branches(
        mesh,
        rng,
        (0, 0, 0),
        np.array([rng.normal(0, 0.03), rng.normal(0, 0.03), 1.0]),
        trunk,
        0.17,
        3 if kind == "bare" and not far else 2,
        bark,
    )
    if kind == "bare":
        if not far:
            for tip in tips:
                for _ in range(3):
                    d = rng.normal(0, 0.5, 3) + (0, 0, 0.5)
                    mesh.tube(tip, tip + d * 0.9, 0.014, 0.006, 3, "matte", bark, caps=False)
        return mesh
    if kind == "upright":
        for z, r in ((2.6, 1.0), (4.0, 1.35), (5.4, 1.25), (6.8, 0.85)):
            leaves(
                mesh,
                rng,
                (rng.normal(0, 0.15), rng.normal(0, 0.15), z),
                (r, r, 1.2),
                int(640 * share),
                0.19 * grow,
                green,
            )
        return mesh
    spread = 1.5 if kind == "street" else 2.1
    blobs = 6 if kind == "street" else 8
    for i in range(blobs):
        a = i * 2.4
        ring = spread * (0.75 if i < blobs - 2 else 0.2)
        z = trunk + 1.1 + (i % 4) * 0.72 + (1.6 if i >= blobs - 2 else 0)
        r = rng.uniform(1.0, 1.5)
        leaves(
            mesh,
            rng,
            (ring * math.cos(a), ring * math.sin(a), z),
            (r, r, r * 0.8),
            int(560 * share),
            0.19 * grow,
            green,
        )
    return mesh


def bush(style: int, far: bool = False) -> Mesh:
    """2 m long, 1.2 m wide and tall; even styles are clipped hedges."""
    rng = np.random.default_rng(400 + style)
    mesh = Mesh()
    green = _GREENS[rng.integers(len(_GREENS))]
    n, s = (130, 0.22) if far else (420, 0.11)
    if style % 3 == 0:
        p = rng.uniform((-1, -0.6, 0.05), (1, 0.6, 1.15), (n * 3, 3))
        near = (np.abs(p[:, 0]) > 0.9) | (np.abs(p[:, 1]) > 0.5) | (p[:, 2] > 1.02)
        mesh.box((0, 0, 0.54), (1.9, 1.1, 1.06), "leaf", tuple(c * 0.35 for c in green))
        for x, y, z in p[near][: n * 2]:
            d = rng.normal(0, s, 3)
            e = rng.normal(0, s, 3)
            shade = rng.uniform(0.6, 1.3) * (0.6 + 0.4 * z)
            mesh.add(
                ((x, y, z), (x + d[0], y + d[1], z + d[2]), (x + e[0], y + e[1], z + e[2])),
                ((0, 1, 2),),
                "leaf",
                [c * shade for c in green],
            )
        return mesh
    for _ in range(4):
        leaves(mesh, rng, (rng.uniform(-0.6, 0.6), rng.uniform(-0.25, 0.25), 0.5), (0.5, 0.42, 0.6), n // 3, s, green)
    return mesh


def hill(style: int) -> Mesh:
    """A 200 x 200 x 20 m mound with tufts of trees, for the horizon."""
    rng = np.random.default_rng(600 + style)
    n = 16
    u = np.linspace(-1, 1, n)
    x, y = np.meshgrid(u, u, indexing="ij")
    bump = np.zeros((n, n))
    for _ in range(4):
        away = (x - rng.uniform(-0.4, 0.4)) ** 2 + (y - rng.uniform(-0.4, 0.4)) ** 2
        bump += rng.uniform(0.3, 1) * np.exp(-away / rng.uniform(0.08, 0.25))
    z = bump / bump.max() * np.clip(1.15 - np.maximum(abs(x), abs(y)) ** 4 * 1.15, 0, 1) * 20
    points = np.stack([x * 100, y * 100, z], axis=-1).reshape(-1, 3)
    faces = [
        (i * n + j, (i + 1) * n + j, (i + 1) * n + j + 1, i * n + j + 1) for i in range(n - 1) for j in range(n - 1)
    ]
    colour = [(0.16, 0.13, 0.06), (0.06, 0.09, 0.03), (0.10, 0.10, 0.05)][style % 3]
    mesh = Mesh().add(points.tolist(), faces, "leaf", colour, True)
    for _ in range(90):
        i, j = rng.integers(2, n - 2, 2)
        c = points[i * n + j] + rng.uniform(-6, 6, 3) * (1, 1, 0)
        leaves(mesh, rng, c + (0, 0, 1.5), (4.5, 4.5, 3), 9, 2.2, (0.03, 0.055, 0.02))
    return mesh


def horizon(seed: int, snowy: bool) -> Mesh:
    """What closes the view all round at 450 to 1300 m: tree lines, roofs, far hills. Centred on the camera."""
    rng = np.random.default_rng(seed)
    mesh = Mesh()
    town = rng.random()
    for radius, low, high, colour, share in (
        (1300.0, 10.0, 70.0, (0.10, 0.13, 0.12), 0.6),
        (620.0, 7.0, 22.0, (0.045, 0.08, 0.03), 0.9),
        (460.0, 4.0, 12.0, (0.05, 0.09, 0.03), 0.55),
    ):
        n = 180
        angle = np.linspace(0, 2 * math.pi, n + 1)
        wave = np.zeros(n + 1)
        for k in (2, 3, 5, 8, 13):
            wave += rng.normal() / k * np.cos(k * angle + rng.uniform(0, 6.3))
        wave = (wave - wave.min()) / np.ptp(wave)
        for i in range(n):
            if wave[i] < 1 - share:
                continue
            a, b = angle[i], angle[i + 1]
            p, q = (radius * math.cos(a), radius * math.sin(a)), (radius * math.cos(b), radius * math.sin(b))
            if radius < 1000 and rng.random() < town * 0.6:
                tall = float(rng.uniform(low, high) * 1.4)
                grey = rng.uniform(0.15, 0.5)
                mesh.quad(
                    (*p, -1),
                    (*q, -1),
                    (*q, tall),
                    (*p, tall),
                    "matte",
                    grey * np.array((1.0, rng.uniform(0.8, 1), rng.uniform(0.65, 0.95))),
                )
                continue
            tint = (
                (0.5, 0.52, 0.55)
                if snowy
                else tuple(np.asarray(colour) * (1.0 if radius > 1000 else rng.uniform(0.7, 1.3)))
            )
            parts = 1 if radius > 1000 else 5
            for k in range(parts):
                t0, t1 = k / parts, (k + 1) / parts
                x0, y0 = p[0] + (q[0] - p[0]) * t0, p[1] + (q[1] - p[1]) * t0
                x1, y1 = p[0] + (q[0] - p[0]) * t1, p[1] + (q[1] - p[1]) * t1
                h0, h1 = (low + (high - low) * (wave[i] * (1 - t) + wave[i + 1] * t) for t in (t0, t1))
                if parts > 1:
                    h0 = h1 = h0 * rng.uniform(0.6, 1.0)
                    mid = ((x0 + x1) / 2, (y0 + y1) / 2, h0)
                    mesh.add(
                        ((x0, y0, -1), (x1, y1, -1), (x1, y1, h1 * 0.7), mid, (x0, y0, h0 * 0.72)),
                        ((0, 1, 2, 3, 4),),
                        "matte",
                        tint,
                    )
                else:
                    mesh.quad((x0, y0, -1), (x1, y1, -1), (x1, y1, h1), (x0, y0, h0), "matte", tint)
    return mesh
