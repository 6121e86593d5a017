"""Which mesh a Thing gets: cached and instanced by (kind, style, state), or made for its own size."""

from __future__ import annotations

from typing import Any

from . import buildings, furniture, lorries, nature, people, street, vehicles
from .geometry import Mesh
from .shape import Shape


def mesh_of(
    stage: Any, kind: str, style: int, state: frozenset[str], size, t: dict, far: bool
) -> tuple[Shape, str] | None:
    length, width, height = size
    few = sorted(state)
    if kind == "car":
        style %= 28
        return stage.cached((kind, style, *few), lambda: vehicles.car(style, state)), "box"
    if kind in ("van", "truck", "bus"):
        style %= 8
        make = getattr(lorries, kind)
        return stage.cached((kind, style, *few), lambda: make(style, state)), "box"
    if kind in ("motorcycle", "bicycle"):
        style %= 8
        return stage.cached(
            (kind, style, *few), lambda: vehicles.two_wheeler(style, state, kind == "motorcycle")
        ), "height"
    if kind == "crash":
        style %= 9
        return stage.cached((kind, style, *few), lambda: vehicles.wreck(style, state)), "none"
    if kind == "pedestrian":
        style %= 24
        return stage.cached((kind, style, *few), lambda: people.pedestrian(style, state)), "height"
    if kind == "animal":
        style %= 6
        return stage.cached((kind, style, *few), lambda: people.animal(style, state)), "height"
    if kind in ("tree", "bush"):
        style %= 16
        snowy = bool(stage.snowy)
        if kind == "tree":
            return stage.cached((kind, style, far, snowy), lambda: nature.tree(style, far, snowy)), "tree"
        return stage.cached((kind, style, far), lambda: nature.bush(style, far)), "box"
    if kind == "hill":
        style %= 3
        return stage.cached((kind, style), lambda: nature.hill(style)), "box"
    if kind in ("cone", "construction", "debris"):
        style %= 20
        return stage.cached((kind, style, *few), lambda: getattr(street, kind)(style, state)), "height"
    if kind == "barrier":
        style %= 6
        width = round(max(length, width) * 4) / 4 or 0.25
        return stage.cached((kind, style, width, *few), lambda: street.barrier(style, state, width)), "none"
    if kind == "speed_sign":
        style %= 8
        return stage.cached((kind, style, t["text"]), lambda: street.speed_sign(style, t["text"])), "height"
    if kind == "sign" and "gantry" not in state:
        style %= 8
        return stage.cached((kind, style, *few), lambda: street.sign(style, state)), "height"
    if kind == "street_lamp":
        style %= 15
        return stage.cached((kind, style, stage.lit), lambda: furniture.street_lamp(style, stage.lit)), "height"
    if kind in ("bench", "bin", "hydrant", "toll_booth"):
        style %= 6
        make = getattr(furniture, "bin_" if kind == "bin" else kind)
        return stage.cached((kind, style), lambda: make(style)), "box"
    own: Mesh
    if kind == "sign":
        own = street.sign(style, state, width)
    elif kind == "building":
        own = buildings.building(style, state, length, width, height, t["colour"])
    elif kind == "pole":
        own = furniture.pole(style, height)
    elif kind == "fence":
        own = furniture.fence(style, length, height)
    elif kind == "guard_rail":
        own = furniture.guard_rail(style, length)
    elif kind == "neon":
        own = furniture.neon(style, state, width, height)
    else:
        own = getattr(furniture, kind)(style, length, width, height)
    shape = stage.fresh(own, kind)
    return None if shape is None else (shape, "none")
