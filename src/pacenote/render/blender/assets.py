"""User CAD files (glTF, OBJ, .blend) as one shape with its materials and textures, on the ground, x forward."""

from __future__ import annotations

import os
from typing import Any

import bpy
import numpy as np


class AssetError(Exception):
    """One line: which file and why."""


class Asset:
    """The same face as build.Shape for a mesh that was imported with its own materials."""

    def __init__(self, data: Any) -> None:
        self.data = data
        points = np.empty(len(data.vertices) * 3, np.float32)
        data.vertices.foreach_get("co", points)
        self.points = points.reshape(-1, 3)
        self.low, self.high = self.points.min(axis=0).astype(float), self.points.max(axis=0).astype(float)
        data.calc_loop_triangles()
        index = np.empty(len(data.loop_triangles) * 3, np.int32)
        data.loop_triangles.foreach_get("vertices", index)
        self.triangles = self.points[index].reshape(-1, 3, 3)


def load_asset(path: str) -> Asset:
    """Import a file and join its meshes. The long side becomes x. Raises AssetError with one line."""
    if not os.path.isfile(path):
        raise AssetError(f"asset {path}: no such file")
    before = set(bpy.data.objects)
    suffix = os.path.splitext(path)[1].lower()
    try:
        if suffix in (".gltf", ".glb"):
            bpy.ops.import_scene.gltf(filepath=path)
        elif suffix == ".obj":
            bpy.ops.wm.obj_import(filepath=path)
        elif suffix == ".blend":
            with bpy.data.libraries.load(path) as (source, target):
                target.objects = list(source.objects)
            for thing in target.objects:
                if thing is not None:
                    bpy.context.scene.collection.objects.link(thing)
        else:
            raise AssetError(f"asset {path}: unknown type {suffix}; use .gltf, .glb, .obj or .blend")
    except AssetError:
        raise
    except Exception as problem:
        raise AssetError(f"asset {path}: cannot be read ({str(problem).strip().splitlines()[-1][:160]})") from problem
    bpy.context.view_layer.update()
    new = [o for o in bpy.data.objects if o not in before]
    vertices: list[np.ndarray] = []
    faces: list[tuple[int, ...]] = []
    slots: list[int] = []
    smooth: list[bool] = []
    corners: list[np.ndarray] = []  # texture coordinates of each corner of each face
    materials: list[Any] = []
    base = 0
    graph = bpy.context.evaluated_depsgraph_get()
    for thing in new:
        if thing.type != "MESH":
            continue
        flat = thing.evaluated_get(graph).to_mesh()
        points = np.empty(len(flat.vertices) * 3, np.float32)
        flat.vertices.foreach_get("co", points)
        matrix = np.asarray(thing.matrix_world)
        vertices.append(points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3])
        own = [s.material for s in thing.material_slots]
        for polygon in flat.polygons:
            faces.append(tuple(base + i for i in polygon.vertices))
            material = own[polygon.material_index] if polygon.material_index < len(own) else None
            if material not in materials:
                materials.append(material)
            slots.append(materials.index(material))
            smooth.append(polygon.use_smooth)
        uv = np.zeros(len(flat.loops) * 2, np.float32)
        if flat.uv_layers.active is not None:
            flat.uv_layers.active.uv.foreach_get("vector", uv)
        corners.append(uv)
        base += len(flat.vertices)
    for thing in new:
        bpy.data.objects.remove(thing)
    if not faces:
        raise AssetError(f"asset {path}: holds no mesh")
    points = np.concatenate(vertices)
    if np.ptp(points[:, 1]) > np.ptp(points[:, 0]):
        points = np.stack([-points[:, 1], points[:, 0], points[:, 2]], axis=1)
    data = bpy.data.meshes.new("asset")
    data.from_pydata(points.tolist(), [], faces)
    for material in materials:
        data.materials.append(material)
    data.polygons.foreach_set("material_index", np.asarray(slots, np.int32))
    data.polygons.foreach_set("use_smooth", np.asarray(smooth))
    data.uv_layers.new(name="asset").uv.foreach_set("vector", np.concatenate(corners))
    data.update()
    return Asset(data)
