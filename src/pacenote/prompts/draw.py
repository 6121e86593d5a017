"""A prompt as a picture: the frame with what the expert saw, the aids beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pacenote.experts.detection import likely
from pacenote.prompts.look import SURE, Look

if TYPE_CHECKING:
    from PIL import Image

    from pacenote.prompts.compose import Prompt

COLOURS = {
    "traffic_light": (255, 80, 80), "cone": (255, 150, 40), "pedestrian": (255, 90, 170),
    "pedestrian_crossing": (90, 210, 255), "intersection": (190, 150, 255), "speed_limit": (90, 130, 255),
}  # fmt: skip
OTHER = (240, 220, 90)
STATES = {"red": (255, 60, 60), "yellow": (255, 210, 40), "green": (60, 230, 110), "off": (150, 150, 150)}
LEAST = 0.3  # of a detection that is drawn
GAP = 6


def drawn(prompt: Prompt, look: Look | None = None) -> Image.Image:
    """The pictures of `prompt` side by side, the frame first; with `look`, its detections are drawn into the frame: a
    solid line where they count as seen, a thin one where they are proposals."""
    from PIL import Image, ImageDraw

    frame = prompt.images[0].convert("RGB").copy()
    if look is not None:
        draw = ImageDraw.Draw(frame)
        for one in look.detections:
            if likely(one) < LEAST:
                continue
            colour = STATES.get(one.state) or COLOURS.get(one.kind, OTHER)
            draw.rectangle(one.box, outline=colour, width=2 if one.confidence >= SURE else 1)
            x, y = one.box[0], max(0.0, one.box[1] - 11)
            draw.text((x + 1, y), f"{one.state or one.kind.replace('_', ' ')} {likely(one):.2f}", fill=colour)
    aids = prompt.images[1:]
    if not aids:
        return frame
    side = max(frame.height // max(2, len(aids)), 1)
    scaled = [one.convert("RGB").resize((max(1, round(one.width * side / one.height)), side)) for one in aids]
    canvas = Image.new("RGB", (frame.width + GAP + max(one.width for one in scaled), frame.height), (24, 26, 30))
    canvas.paste(frame, (0, 0))
    for place, aid in enumerate(scaled):
        canvas.paste(aid, (frame.width + GAP, place * side))
    return canvas
