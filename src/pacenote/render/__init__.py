"""Scene -> passes -> frame: the Blender worker, footprints and the camera."""

from pacenote.render.passes import Footprint, Passes

__all__ = ["Footprint", "Passes"]
