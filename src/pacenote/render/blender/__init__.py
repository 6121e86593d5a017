"""Runs inside Blender (bpy) in its own process and environment; imports nothing of pacenote but its own folder."""
