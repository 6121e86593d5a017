"""A small mesh builder on numpy: everything is faces with a material, a colour, optional uv and smoothness."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

Colour = Sequence[float] | np.ndarray
WHITE = (1.0, 1.0, 1.0)


@dataclass
class Mesh:
    """Vertices (x, y, z) and faces (vertex indices, counter-clockwise seen from outside).

    Face attributes run parallel to `faces`: material name, linear colour (a fourth value is the wear of
    paint), smooth. `uv` holds one (u, v) a corner.
    """

    vertices: list[tuple[float, float, float]] = field(default_factory=list)
    faces: list[tuple[int, ...]] = field(default_factory=list)
    materials: list[str] = field(default_factory=list)
    colours: list[tuple[float, ...]] = field(default_factory=list)
    smooth: list[bool] = field(default_factory=list)
    uv: list[tuple[float, float]] = field(default_factory=list)

    def add(
        self,
        vertices: Iterable[Sequence[float]],
        faces: Iterable[Sequence[int]],
        material: str = "matte",
        colour: Colour = WHITE,
        smooth: bool = False,
        uv: Iterable[Sequence[float]] | None = None,
    ) -> Mesh:
        base = len(self.vertices)
        self.vertices.extend((float(v[0]), float(v[1]), float(v[2])) for v in vertices)
        corners = 0
        count = 0
        for face in faces:
            self.faces.append(tuple(base + i for i in face))
            corners += len(face)
            count += 1
        self.materials.extend([material] * count)
        self.colours.extend([tuple(float(c) for c in colour)] * count)
        self.smooth.extend([smooth] * count)
        self.uv.extend([(0.0, 0.0)] * corners if uv is None else [(float(u[0]), float(u[1])) for u in uv])
        return self

    def quad(self, a, b, c, d, material="matte", colour: Colour = WHITE, uv=None) -> Mesh:
        return self.add((a, b, c, d), ((0, 1, 2, 3),), material, colour, uv=uv)

    def face_x(self, x, y0, y1, z0, z1, material="matte", colour: Colour = WHITE) -> Mesh:
        """An upright rectangle across x."""
        return self.quad((x, y0, z0), (x, y1, z0), (x, y1, z1), (x, y0, z1), material, colour)

    def face_y(self, y, x0, x1, z0, z1, material="matte", colour: Colour = WHITE) -> Mesh:
        """An upright rectangle across y."""
        return self.quad((x0, y, z0), (x1, y, z0), (x1, y, z1), (x0, y, z1), material, colour)

    def box(self, centre, size, material="matte", colour: Colour = WHITE, yaw: float = 0.0) -> Mesh:
        """An upright box; `centre` is its middle, `yaw` turns it about z."""
        x, y, z = (s / 2 for s in size)
        c, s = math.cos(yaw), math.sin(yaw)
        points = []
        for dx, dy, dz in _CORNERS:
            px, py = dx * x, dy * y
            points.append((centre[0] + c * px - s * py, centre[1] + s * px + c * py, centre[2] + dz * z))
        return self.add(points, _BOX_FACES, material, colour)

    def tube(
        self,
        start,
        end,
        r0: float,
        r1: float | None = None,
        sides: int = 8,
        material="matte",
        colour: Colour = WHITE,
        caps: bool = True,
        smooth: bool = True,
    ) -> Mesh:
        """A (tapered) cylinder from `start` to `end`."""
        p, q = np.asarray(start, float), np.asarray(end, float)
        axis = q - p
        length = float(np.linalg.norm(axis)) or 1.0
        axis /= length
        side = _cross(axis, (0.0, 0.0, 1.0) if abs(axis[2]) < 0.9 else (1.0, 0.0, 0.0))
        side /= np.linalg.norm(side)
        up = _cross(axis, side)
        angle = np.arange(sides) * (2 * math.pi / sides)
        ring = np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * up
        points = np.concatenate([p + ring * r0, q + ring * (r0 if r1 is None else r1)])
        walls = [(i, (i + 1) % sides, sides + (i + 1) % sides, sides + i) for i in range(sides)]
        self.add(points.tolist(), walls, material, colour, smooth)
        if caps:
            self.add(points.tolist(), [tuple(range(sides))[::-1], tuple(range(sides, 2 * sides))], material, colour)
        return self

    def disc(self, centre, normal, radius: float, sides: int = 12, material="matte", colour: Colour = WHITE) -> Mesh:
        """A flat disc that looks along `normal`."""
        n = np.asarray(normal, float)
        n /= np.linalg.norm(n)
        right = np.cross((0.0, 0.0, 1.0) if abs(n[2]) < 0.9 else (1.0, 0.0, 0.0), n)
        right /= np.linalg.norm(right)
        up = np.cross(n, right)
        angle = np.arange(sides) * (2 * math.pi / sides) + math.pi / sides
        ring = np.asarray(centre) + radius * (np.cos(angle)[:, None] * right + np.sin(angle)[:, None] * up)
        return self.add(ring.tolist(), [tuple(range(sides))], material, colour)

    def lathe(
        self,
        profile: Sequence[tuple[float, float]],
        sides: int = 12,
        material="matte",
        colours: Sequence[Colour] | Colour = WHITE,
        centre=(0.0, 0.0, 0.0),
        squash=(1.0, 1.0),
        smooth: bool = True,
        materials: Sequence[str] | None = None,
    ) -> Mesh:
        """Turn (radius, z) pairs, bottom to top, about the vertical; `colours` one for all or one a ring."""
        rings = len(profile)
        angle = np.arange(sides) * (2 * math.pi / sides)
        points = [
            (centre[0] + r * c * squash[0], centre[1] + r * s * squash[1], centre[2] + z)
            for r, z in profile
            for c, s in zip(np.cos(angle), np.sin(angle), strict=True)
        ]
        many = isinstance(colours[0], Sequence) or hasattr(colours[0], "__len__")
        for k in range(rings - 1):
            strip = [
                (k * sides + i, k * sides + (i + 1) % sides, (k + 1) * sides + (i + 1) % sides, (k + 1) * sides + i)
                for i in range(sides)
            ]
            used = points[k * sides : (k + 2) * sides]
            self.add(
                used,
                [tuple(i - k * sides for i in f) for f in strip],
                materials[k] if materials else material,
                colours[k] if many else colours,  # type: ignore[arg-type]
                smooth,
            )
        return self

    def loft(self, sections, materials: Sequence[str], colours, smooth: bool = True, ends: bool = True) -> Mesh:
        """Skin rings of equal length along x; `materials[j]`, `colours[j]` are for the strip from point j to j+1."""
        rings = [list(map(tuple, ring)) for ring in sections]
        m = len(rings[0])
        for a, b in itertools.pairwise(rings):
            for j in range(m):
                k = (j + 1) % m
                self.add((a[j], b[j], b[k], a[k]), ((0, 1, 2, 3),), materials[j], colours[j], smooth)
        if ends:
            self.add(rings[0], [tuple(range(m))], materials[0], colours[0])
            self.add(rings[-1], [tuple(range(m))[::-1]], materials[0], colours[0])
        return self

    def prism(self, outline, z0: float, z1: float, top="matte", side="matte", colour=WHITE, side_colour=None) -> Mesh:
        """An upright prism over a counter-clockwise outline (x, y); no bottom."""
        n = len(outline)
        low = [(x, y, z0) for x, y in outline]
        high = [(x, y, z1) for x, y in outline]
        self.add(high, [tuple(range(n))], top, colour)
        if z1 > z0:
            walls = [(i, (i + 1) % n, n + (i + 1) % n, n + i) for i in range(n)]
            self.add(low + high, walls, side, side_colour or colour)
        return self

    def side_profile(self, outline, y0: float, y1: float, material="matte", colour: Colour = WHITE) -> Mesh:
        """Extrude an outline in the (x, z) plane from y0 to y1."""
        n = len(outline)
        near = [(x, y0, z) for x, z in outline]
        far = [(x, y1, z) for x, z in outline]
        faces = [tuple(range(n)), tuple(range(n, 2 * n))[::-1]]
        faces += [(i, n + i, n + (i + 1) % n, (i + 1) % n) for i in range(n)]
        return self.add(near + far, faces, material, colour)

    def merge(self, other: Mesh, at=(0.0, 0.0, 0.0), yaw: float = 0.0, scale=(1.0, 1.0, 1.0)) -> Mesh:
        c, s = math.cos(yaw), math.sin(yaw)
        base = len(self.vertices)
        for x, y, z in other.vertices:
            x, y, z = x * scale[0], y * scale[1], z * scale[2]
            self.vertices.append((at[0] + c * x - s * y, at[1] + s * x + c * y, at[2] + z))
        self.faces.extend(tuple(base + i for i in face) for face in other.faces)
        self.materials.extend(other.materials)
        self.colours.extend(other.colours)
        self.smooth.extend(other.smooth)
        self.uv.extend(other.uv)
        return self

    def transformed(self, matrix) -> Mesh:
        """The same mesh with its vertices multiplied by a 3x3 matrix."""
        points = np.asarray(self.vertices) @ np.asarray(matrix, float).T
        return Mesh([tuple(p) for p in points.tolist()], self.faces, self.materials, self.colours, self.smooth, self.uv)

    def size(self) -> tuple[np.ndarray, np.ndarray]:
        points = np.asarray(self.vertices)
        return points.min(axis=0), points.max(axis=0)


def _cross(a, b) -> np.ndarray:
    """Cross product of two points; numpy's own takes ten times as long for one."""
    return np.array((a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]))


_CORNERS = [(x, y, z) for z in (-1, 1) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
_BOX_FACES = [(3, 2, 1, 0), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)]


def ribbon(points: Sequence[Sequence[float]], width: float, z: float) -> tuple[list, list]:
    """A flat strip along a polyline: (vertices, quads). Joints are mitred up to a sharp bend."""
    p = np.asarray(points, float)[:, :2]
    keep = np.ones(len(p), bool)
    keep[1:] = np.linalg.norm(np.diff(p, axis=0), axis=1) > 1e-4
    p = p[keep]
    if len(p) < 2:
        return [], []
    d = np.diff(p, axis=0)
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    tangent = np.vstack([d[:1], d[:-1] + d[1:], d[-1:]])
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-6)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    first = np.vstack([d, d[-1:]])
    mitre = 1.0 / np.maximum(np.abs(np.einsum("ij,ij->i", normal, np.stack([-first[:, 1], first[:, 0]], axis=1))), 0.5)
    off = normal * (mitre * width / 2)[:, None]
    left, right = p + off, p - off
    n = len(p)
    vertices = [(x, y, z) for x, y in np.concatenate([left, right]).tolist()]
    return vertices, [(i, n + i, n + i + 1, i + 1) for i in range(n - 1)]


def cut(points: Sequence[Sequence[float]], start: float, end: float) -> list[tuple[float, float]]:
    """The part of a polyline between two distances along it."""
    p = np.asarray(points, float)[:, :2]
    step = np.linalg.norm(np.diff(p, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(step)])
    end = min(end, along[-1])
    if end <= start:
        return []
    inside = along[(along > start) & (along < end)]
    at = np.concatenate([[start], inside, [end]])
    return list(zip(np.interp(at, along, p[:, 0]).tolist(), np.interp(at, along, p[:, 1]).tolist(), strict=True))


def length_of(points: Sequence[Sequence[float]]) -> float:
    p = np.asarray(points, float)[:, :2]
    return float(np.linalg.norm(np.diff(p, axis=0), axis=1).sum())
