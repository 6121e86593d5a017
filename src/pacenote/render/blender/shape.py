"""A builder mesh as a Blender mesh, with what footprints need of it."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from .geometry import Mesh
from .materials import Shaders


class Shape:
    """A Blender mesh with what footprints need of it."""

    def __init__(self, mesh: Mesh, shaders: Shaders, name: str) -> None:
        self.data = to_blender(mesh, shaders, name)
        self.points = np.asarray(mesh.vertices, np.float32).reshape(-1, 3)
        self.low, self.high = mesh.size()
        self._corners: np.ndarray | None = None

    @property
    def triangles(self) -> np.ndarray:
        if self._corners is None:
            self.data.calc_loop_triangles()
            index = np.empty(len(self.data.loop_triangles) * 3, np.int32)
            self.data.loop_triangles.foreach_get("vertices", index)
            self._corners = self.points[index].reshape(-1, 3, 3)
        return self._corners


def to_blender(mesh: Mesh, shaders: Shaders, name: str) -> Any:
    """Fill a bpy mesh with foreach_set; face attribute `tint`, corner attribute `uv`."""
    data = bpy.data.meshes.new(name)
    sizes = np.fromiter((len(f) for f in mesh.faces), np.int32, len(mesh.faces))
    loops = np.fromiter((i for f in mesh.faces for i in f), np.int32, int(sizes.sum()))
    data.vertices.add(len(mesh.vertices))
    data.vertices.foreach_set("co", np.asarray(mesh.vertices, np.float32).ravel())
    data.loops.add(len(loops))
    data.loops.foreach_set("vertex_index", loops)
    data.polygons.add(len(sizes))
    data.polygons.foreach_set("loop_start", np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32))
    names = list(dict.fromkeys(mesh.materials))
    for material in names:
        data.materials.append(shaders.get(material))
    slot = {material: i for i, material in enumerate(names)}
    data.polygons.foreach_set("material_index", np.fromiter((slot[m] for m in mesh.materials), np.int32, len(sizes)))
    data.polygons.foreach_set("use_smooth", np.asarray(mesh.smooth, bool))
    tint = np.zeros((len(sizes), 4), np.float32)
    if all(len(c) == 3 for c in mesh.colours):
        tint[:, :3] = mesh.colours
    else:
        for i, colour in enumerate(mesh.colours):
            tint[i, : len(colour)] = colour
    data.attributes.new("tint", "FLOAT_COLOR", "FACE").data.foreach_set("color", tint.ravel())
    if any(m in ("roof", "shop") or m.startswith(("facade", "house")) for m in names):
        layer = data.uv_layers.new(name="uv")
        layer.data.foreach_set("uv", np.asarray(mesh.uv, np.float32).ravel())
    data.update(calc_edges=True)
    return data
