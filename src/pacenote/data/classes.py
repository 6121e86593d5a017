"""The classes of the segmentation map: what dense pre-training asks the vision tower to see.

Index 0 is what nothing names. The order is part of the file format: append, never reorder.
"""

from __future__ import annotations

from collections.abc import Iterable

CLASSES = (
    "background", "road", "junction", "line", "zebra", "stop_line", "arrow", "number", "sidewalk", "vegetation",
    "terrain", "building", "pole", "sign", "speed_sign", "fence", "vehicle", "bicycle", "pedestrian", "animal",
    "cone", "barrier", "construction", "debris", "crash", "light_red", "light_yellow", "light_green", "light_off",
    "light_housing", "neon", "toll", "sky", "other",
)  # fmt: skip
CLASS_INDEX: dict[str, int] = {name: index for index, name in enumerate(CLASSES)}

# Kind of a surface, marking, thing or signal part -> class.
CLASS_OF_KIND: dict[str, str] = {
    # ground
    "asphalt": "road",
    "concrete": "road",
    "junction": "junction",
    "sidewalk": "sidewalk",
    "island": "sidewalk",
    "plaza": "sidewalk",
    "grass": "terrain",
    "dirt": "terrain",
    "hill": "terrain",
    # paint
    "line": "line",
    "dashes": "line",
    "hatch": "line",
    "stop_line": "stop_line",
    "zebra": "zebra",
    "arrow": "arrow",
    "number": "number",
    # traffic
    "car": "vehicle",
    "van": "vehicle",
    "truck": "vehicle",
    "bus": "vehicle",
    "motorcycle": "bicycle",
    "bicycle": "bicycle",
    "pedestrian": "pedestrian",
    "animal": "animal",
    # obstacles
    "cone": "cone",
    "barrier": "barrier",
    "construction": "construction",
    "debris": "debris",
    "crash": "crash",
    # furniture and surroundings
    "building": "building",
    "wall": "building",
    "bridge": "building",
    "tree": "vegetation",
    "bush": "vegetation",
    "street_lamp": "pole",
    "pole": "pole",
    "fence": "fence",
    "guard_rail": "fence",
    "speed_sign": "speed_sign",
    "sign": "sign",
    "neon": "neon",
    "toll_booth": "toll",
    "toll_roof": "toll",
    "bench": "other",
    "bin": "other",
    "hydrant": "other",
    # signals: the housing with pole and arm; the lit lens goes by its state, see `class_of`
    "light_housing": "light_housing",
    "sky": "sky",
}
LIGHT_CLASS: dict[str, str] = {state: f"light_{state}" for state in ("red", "yellow", "green", "off")}

# Colours for contact sheets (sRGB), one a class.
PALETTE: dict[str, tuple[int, int, int]] = {
    "background": (40, 40, 44), "road": (92, 92, 100), "junction": (128, 104, 140), "line": (240, 240, 240),
    "zebra": (120, 220, 255), "stop_line": (255, 150, 200), "arrow": (200, 255, 200), "number": (255, 255, 160),
    "sidewalk": (176, 160, 150), "vegetation": (70, 130, 60), "terrain": (140, 170, 100), "building": (150, 120, 100),
    "pole": (190, 190, 200), "sign": (60, 120, 220), "speed_sign": (30, 90, 255), "fence": (160, 140, 170),
    "vehicle": (40, 60, 160), "bicycle": (120, 20, 60), "pedestrian": (230, 30, 90), "animal": (200, 120, 30),
    "cone": (255, 120, 0), "barrier": (255, 80, 40), "construction": (220, 170, 0), "debris": (150, 90, 30),
    "crash": (200, 0, 200), "light_red": (255, 0, 0), "light_yellow": (255, 220, 0), "light_green": (0, 255, 70),
    "light_off": (120, 120, 120), "light_housing": (20, 20, 20), "neon": (255, 0, 255), "toll": (0, 150, 150),
    "sky": (140, 190, 240), "other": (210, 200, 120),
}  # fmt: skip


def class_of(kind: str, state: str | Iterable[str] = "") -> int:
    """Index into `CLASSES` of an object by its kind (of Surface, Marking, Thing) and state.

    A signal's lit lens has the kind "light" and its signal's state red, yellow, green or off; the rest of a signal has
    the kind "light_housing". Other states do not matter. A kind that is not known is "other".
    """
    if kind == "light":
        states = (state,) if isinstance(state, str) else tuple(state)
        names = [LIGHT_CLASS[item] for item in states if item in LIGHT_CLASS]
        return CLASS_INDEX[names[0] if names else "light_off"]
    return CLASS_INDEX[CLASS_OF_KIND.get(kind, "other")]
