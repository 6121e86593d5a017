"""A quick wireframe of a Scene for people who check geometry: what the camera sees, and the street from above.

Run `python -m tests.scenes.draw recipes/streets-quick.yaml 0 8 OUT.png` for scenes 0..7.
"""

from __future__ import annotations

import itertools
import math
import sys

import numpy as np
from PIL import Image, ImageDraw

from pacenote.scenes.make import make_scene
from pacenote.scenes.recipe import SceneRecipe
from pacenote.scenes.scene import Scene

GROUND = {
    "asphalt": (70, 70, 74),
    "junction": (88, 80, 104),
    "concrete": (110, 110, 106),
    "sidewalk": (150, 146, 140),
    "island": (130, 120, 100),
    "grass": (70, 110, 60),
    "dirt": (120, 100, 70),
    "plaza": (125, 122, 118),
}
THING = {
    "car": (60, 110, 200),
    "van": (60, 110, 200),
    "truck": (40, 80, 160),
    "bus": (40, 80, 160),
    "building": (190, 170, 150),
    "tree": (40, 140, 50),
    "bush": (60, 150, 60),
    "cone": (255, 110, 0),
    "barrier": (255, 60, 60),
    "construction": (255, 180, 0),
    "debris": (160, 90, 30),
    "crash": (255, 0, 120),
    "pedestrian": (255, 0, 255),
    "animal": (150, 60, 0),
    "speed_sign": (255, 255, 255),
    "neon": (255, 80, 80),
    "hill": (120, 150, 110),
    "bridge": (150, 150, 150),
}
LIGHT = {"red": (255, 30, 30), "yellow": (255, 220, 0), "green": (0, 230, 120), "off": (30, 30, 30)}


class View:
    """Pinhole projection of world points to pixels."""

    def __init__(self, scene: Scene) -> None:
        c = scene.camera
        self.c, self.focal = c, c.width / 2 / math.tan(math.radians(c.fov) / 2)

    def camera(self, points: np.ndarray) -> np.ndarray:
        """World points (n x 3) as (right, up, depth)."""
        c = self.c
        d = points - np.array([c.x, c.y, c.z])
        forward = d[:, 0] * math.cos(c.yaw) + d[:, 1] * math.sin(c.yaw)
        right = d[:, 0] * math.sin(c.yaw) - d[:, 1] * math.cos(c.yaw)
        depth = forward * math.cos(c.pitch) + d[:, 2] * math.sin(c.pitch)
        up = d[:, 2] * math.cos(c.pitch) - forward * math.sin(c.pitch)
        return np.stack([right, up, depth], 1)

    def polygon(self, points: np.ndarray) -> list[tuple[float, float]]:
        """Pixels of a polygon clipped at the near plane."""
        p, near = self.camera(points), 0.5
        kept = []
        for a, b in zip(p, np.roll(p, -1, 0), strict=True):
            if a[2] > near:
                kept.append(a)
            if (a[2] > near) != (b[2] > near):
                kept.append(a + (b - a) * (near - a[2]) / (b[2] - a[2]))
        return [
            (self.c.width / 2 + self.focal * q[0] / q[2], self.c.height / 2 - self.focal * q[1] / q[2]) for q in kept
        ]


def _strip(points, width):
    """Quads along a polyline."""
    p = np.array(points)
    for a, b in itertools.pairwise(p):
        u = (b - a) / max(np.hypot(*(b - a)), 1e-6)
        n = np.array([-u[1], u[0]]) * width / 2
        yield np.array([a + n, b + n, b - n, a - n])


def _marks(m):
    if m.kind == "zebra":
        a, b = np.array(m.points[0]), np.array(m.points[-1])
        long = np.hypot(*(b - a))
        u = (b - a) / long
        for k in range(int(long)):
            yield from _strip([a + u * k, a + u * (k + 0.5)], m.width)
    elif m.kind == "dashes":
        for quad in _strip(m.points, m.width):
            a, b = (quad[0] + quad[3]) / 2, (quad[1] + quad[2]) / 2
            long = np.hypot(*(b - a))
            for k in np.arange(0, long, 12.0):
                yield from _strip([a + (b - a) * k / long, a + (b - a) * min(k + 3, long) / long], m.width)
    elif m.kind in ("arrow", "number"):
        yield from _strip([m.points[0], np.array(m.points[0]) + 3 * (np.array(m.points[1]) - m.points[0])], 0.3)
    else:
        yield from _strip(m.points, m.width)


def _flat(quad, z):
    return np.column_stack([quad, np.full(len(quad), z)])


def _faces(t):
    u, v = (
        np.array([math.cos(t.yaw), math.sin(t.yaw)]) * t.length / 2,
        np.array([-math.sin(t.yaw), math.cos(t.yaw)]) * t.width / 2,
    )
    c = np.array([t.x, t.y])
    ring = np.array([c + u + v, c - u + v, c - u - v, c + u - v])
    low = t.height - 1.5 if t.kind in ("bridge", "toll_roof") or "gantry" in t.state else 0.0
    for k in range(4):
        a, b = ring[k], ring[(k + 1) % 4]
        yield np.array([[*a, t.z + low], [*b, t.z + low], [*b, t.z + t.height], [*a, t.z + t.height]])


def first_person(scene: Scene) -> Image.Image:
    """What the camera sees, as boxes."""
    view = View(scene)
    image = Image.new("RGB", (scene.camera.width, scene.camera.height), (170, 200, 230))
    draw = ImageDraw.Draw(image)
    for s in sorted(scene.surfaces, key=lambda s: s.z):
        p = view.polygon(_flat(np.array(s.outline), s.z))
        if len(p) > 2:
            draw.polygon(p, fill=GROUND[s.kind])
    for m in scene.markings:
        for quad in _marks(m):
            p = view.polygon(_flat(quad, 0.0))
            if len(p) > 2:
                draw.polygon(
                    p, fill={"white": (240, 240, 240), "yellow": (240, 200, 40), "red": (200, 40, 40)}[m.colour]
                )
    items = [(math.hypot(t.x - scene.camera.x, t.y - scene.camera.y), "thing", t) for t in scene.things]
    items += [(math.hypot(s.x - scene.camera.x, s.y - scene.camera.y), "signal", s) for s in scene.signals]
    for _, what, t in sorted(items, key=lambda i: (-i[0], i[2].id)):
        if what == "thing":
            colour = THING.get(t.kind, (110, 110, 110))
            for face in _faces(t):
                p = view.polygon(face)
                if len(p) > 2:
                    draw.polygon(p, fill=colour, outline=(20, 20, 20))
        else:
            towards = math.cos(t.yaw - math.atan2(scene.camera.y - t.y, scene.camera.x - t.x))
            for a, b in (
                ((t.foot[0], t.foot[1], 0), (t.foot[0], t.foot[1], t.z)),
                ((t.foot[0], t.foot[1], t.z), (t.x, t.y, t.z)),
            ):
                p = view.polygon(np.array([a, b, b]))
                if len(p) > 1 and t.mount != "roof":
                    draw.line(p[:2], fill=(40, 40, 40), width=2)
            p = view.camera(np.array([[t.x, t.y, t.z]]))[0]
            if p[2] > 0.5:
                x, y = view.c.width / 2 + view.focal * p[0] / p[2], view.c.height / 2 - view.focal * p[1] / p[2]
                r = max(1.5, view.focal * t.lens_m / 2 / p[2])
                draw.rectangle((x - 1.4 * r, y - 3.6 * r, x + 1.4 * r, y + 3.6 * r), fill=(20, 20, 20))
                if towards > 0:
                    draw.ellipse((x - r, y - r, x + r, y + r), fill=LIGHT[t.state])
                    if t.role == "ego":
                        draw.rectangle((x - 2 * r, y - 4.2 * r, x + 2 * r, y + 4.2 * r), outline=(255, 255, 255))
    f, e = scene.facts, scene.environment
    draw.text(
        (4, 4),
        f"{scene.index} {f.road_class} {f.limit_kmh} {e.weather} {e.time} J {f.junction_m} X {f.crossing_m} "
        f"{[(s.state, s.movement) for s in scene.signals if s.role == 'ego'][:2]}",
        fill=(0, 0, 0),
    )
    return image


def from_above(scene: Scene, reach: float = 80.0) -> Image.Image:
    """The street from above, ego's way up, `reach` metres to either side."""
    size, c = 378, scene.camera
    image = Image.new("RGB", (size, size), (200, 200, 200))
    draw = ImageDraw.Draw(image)

    def px(points):
        d = np.array(points, float) - np.array([c.x, c.y])
        f = d[:, 0] * math.cos(c.yaw) + d[:, 1] * math.sin(c.yaw)
        r = d[:, 0] * math.sin(c.yaw) - d[:, 1] * math.cos(c.yaw)
        k = size / 2 / reach
        return [(size / 2 + a * k, size * 0.9 - b * k) for a, b in zip(r, f, strict=True)]

    for s in sorted(scene.surfaces, key=lambda s: s.z):
        draw.polygon(px(s.outline), fill=GROUND[s.kind])
    for m in scene.markings:
        for quad in _marks(m):
            draw.polygon(px(quad), fill=(255, 255, 255) if m.colour == "white" else (240, 200, 40))
    for t in scene.things:
        if t.kind != "hill":
            draw.polygon(
                px(next(iter([np.array([face[0][:2] for face in _faces(t)])]))), fill=THING.get(t.kind, (110, 110, 110))
            )
    for s in scene.signals:
        a = (s.x, s.y)
        b = (s.x + 4 * math.cos(s.yaw), s.y + 4 * math.sin(s.yaw))
        draw.line(px([a, b]), fill=LIGHT[s.state], width=2)
        draw.line(px([a, s.foot]), fill=(0, 0, 0))
    draw.ellipse((size / 2 - 3, size * 0.9 - 3, size / 2 + 3, size * 0.9 + 3), fill=(255, 0, 0))
    return image


def sheet(scenes: list[Scene], columns: int = 2) -> Image.Image:
    """Both views of several scenes."""
    w, h = 672 + 378, 378
    rows = (len(scenes) + columns - 1) // columns
    image = Image.new("RGB", (w * columns, h * rows))
    for k, scene in enumerate(scenes):
        x, y = k % columns * w, k // columns * h
        image.paste(first_person(scene), (x, y))
        image.paste(from_above(scene), (x + 672, y))
    return image


if __name__ == "__main__":
    recipe = SceneRecipe.load(sys.argv[1])
    found = [make_scene(recipe, i) for i in range(int(sys.argv[2]), int(sys.argv[3]))]
    sheet([s for s in found if isinstance(s, Scene)]).save(sys.argv[4])
