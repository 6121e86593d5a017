"""Polylines and boxes in the plane, metres; yaw in radians counter-clockwise from +x."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from shapely.geometry import LineString, MultiLineString, MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from pacenote.scenes.scene import Point

Line = NDArray[np.float64]  # n x 2


def direction(yaw: float) -> Line:
    """Unit vector of a yaw."""
    return np.array([math.cos(yaw), math.sin(yaw)])


def left_of(yaw: float) -> Line:
    """Unit vector to the left of a yaw."""
    return np.array([-math.sin(yaw), math.cos(yaw)])


def length(line: Line) -> float:
    """Length of a polyline."""
    return float(np.hypot(*np.diff(line, axis=0).T).sum())


def at(line: Line, distance: float) -> tuple[float, float, float]:
    """(x, y, yaw) at a distance along the line; before the start and past the end it is extended straight."""
    steps = np.diff(line, axis=0)
    spans = np.hypot(steps[:, 0], steps[:, 1])
    ends = np.cumsum(spans)
    i = min(int(np.searchsorted(ends, distance)), len(spans) - 1)
    base, step = line[i], steps[i] / max(spans[i], 1e-9)
    x, y = base + step * (distance - (ends[i] - spans[i]))
    return float(x), float(y), float(math.atan2(step[1], step[0]))


def project(line: Line, x: float, y: float) -> tuple[float, float]:
    """(distance along the line, signed offset to its left) of the nearest point of a polyline."""
    a, b = line[:-1], line[1:]
    steps = b - a
    spans = np.maximum(np.hypot(steps[:, 0], steps[:, 1]), 1e-9)
    t = np.clip(((np.array([x, y]) - a) * steps).sum(1) / spans**2, 0, 1)
    feet = a + steps * t[:, None]
    apart = np.hypot(*(np.array([x, y]) - feet).T)
    i = int(apart.argmin())
    cross = steps[i, 0] * (y - a[i, 1]) - steps[i, 1] * (x - a[i, 0])
    return float(spans[:i].sum() + t[i] * spans[i]), float(math.copysign(apart[i], cross))


def offset(line: Line, left: float) -> Line:
    """The polyline moved to its left, mitred at its corners (the mitre is capped, so sharp bends stay sane)."""
    steps = np.diff(line, axis=0)
    steps = steps / np.maximum(np.hypot(steps[:, 0], steps[:, 1])[:, None], 1e-9)
    normals = np.stack([-steps[:, 1], steps[:, 0]], 1)
    before = np.vstack([normals[:1], normals])
    after = np.vstack([normals, normals[-1:]])
    mitre = before + after
    scale = np.maximum((mitre * before).sum(1), 0.5)
    return np.asarray(line + mitre / scale[:, None] * left)


def part(line: Line, start: float, end: float) -> Line:
    """The piece between two distances along the line (clipped to it); at least two points."""
    total = length(line)
    start, end = max(0.0, min(start, total)), max(0.0, min(end, total))
    spans = np.hypot(*np.diff(line, axis=0).T)
    marks = np.concatenate([[0.0], np.cumsum(spans)])
    inner = line[(marks > start + 1e-6) & (marks < end - 1e-6)]
    return np.vstack([at(line, start)[:2], inner, at(line, end)[:2]])


def box(x: float, y: float, yaw: float, long: float, wide: float) -> Polygon:
    """An oriented rectangle."""
    u, v = direction(yaw) * long / 2, left_of(yaw) * wide / 2
    c = np.array([x, y])
    return Polygon([c + u + v, c - u + v, c - u - v, c + u - v])


def points(line: Iterable[Sequence[float]]) -> tuple[Point, ...]:
    """Plain rounded tuples (millimetres), as a Scene holds them."""
    return tuple((round(float(p[0]), 3), round(float(p[1]), 3)) for p in line)


def polygons(shape: BaseGeometry, least_m2: float = 0.05) -> list[Polygon]:
    """The polygons of any geometry, largest first, slivers dropped."""
    if isinstance(shape, Polygon):
        found = [shape]
    elif isinstance(shape, MultiPolygon):
        found = list(shape.geoms)
    else:
        found = [p for g in getattr(shape, "geoms", []) for p in polygons(g, least_m2)]
    return sorted((p for p in found if p.area > least_m2), key=lambda p: (-p.area, p.bounds))


def lines(shape: BaseGeometry, least_m: float = 0.1) -> list[Line]:
    """The polylines of any geometry, in order of position."""
    if isinstance(shape, LineString):
        found = [shape]
    elif isinstance(shape, MultiLineString):
        found = list(shape.geoms)
    else:
        found = [LineString(line) for g in getattr(shape, "geoms", []) for line in lines(g, least_m)]
    return [np.array(line.coords)[:, :2] for line in found if line.length > least_m]


def turn(angle: float) -> float:
    """The angle in (-pi, pi]."""
    return math.atan2(math.sin(angle), math.cos(angle))
