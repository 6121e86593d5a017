"""Visual aids: parts of the frame at its own resolution, marks drawn into it, the frame before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pacenote.experts.detection import iou, likely
from pacenote.prompts.look import Look

if TYPE_CHECKING:
    from PIL import Image

    from pacenote.experts import Detection
    from pacenote.prompts.book import Aid

Box = tuple[float, float, float, float]  # x0, y0, x1, y1
MARK = (255, 0, 255)  # no light, cone or sign has this colour
RADIX = 7919
PLACES = 24  # that a placebo chooses among


def shown(aid: Aid, look: Look) -> list[Detection]:
    """The detections that `aid` shows: at most `aid.most`, each likely enough, no two in the same crop."""
    if aid.of == "nothing":
        return []
    chosen: list[Detection] = []
    reach = aid.width * look.size[0] / 2
    for one in look.of(aid.of):
        near = any(
            max(abs(a - b) for a, b in zip(_centre(one.box), _centre(two.box), strict=True)) < reach for two in chosen
        )
        if likely(one) >= aid.least and not (near and aid.show == "crop"):
            chosen.append(one)
        if len(chosen) == aid.most:
            break
    return chosen


def crops(aid: Aid, image: Image.Image, look: Look, boxes: Sequence[Box]) -> list[Image.Image]:
    """Squares of `aid.width` of the frame around each of `boxes` (px of `look.size`), cut from `image`, which shows the
    same as the frame, perhaps sharper, and scaled to `aid.side` px."""
    from PIL import Image as Pillow

    scale = image.width / look.size[0]
    found = []
    for box in boxes:
        x, y = (value * scale for value in _centre(box))
        cut = image.crop(_square(aid, image, x, y))
        found.append(cut.resize((aid.side, aid.side), Pillow.Resampling.BILINEAR))
    return found


def _square(aid: Aid, image: Image.Image, x: float, y: float) -> tuple[int, int, int, int]:
    """The square of `aid.width` of `image` around (x, y), moved inside where it would stand out."""
    side = min(max(round(aid.width * image.width), 1), image.width, image.height)
    left = round(min(max(x - side / 2, 0), image.width - side))
    top = round(min(max(y - side / 2, 0), image.height - side))
    return left, top, left + side, top + side


def elsewhere(frame: Image.Image, aid: Aid, look: Look) -> list[Box]:
    """As many places as `aid` shows that have nothing to do with what the frame shows: of places drawn by chance (a
    function of its pixels) those whose crops hold the least of what is likely. Chance alone would often hit a light."""
    import zlib

    number = zlib.crc32(frame.convert("RGB").resize((16, 9)).tobytes())
    found: list[tuple[float, Box]] = []
    for _ in range(PLACES):
        number = (number * RADIX + 12345) % 2**31
        x, y = number % 1000 / 1000, number // 1000 % 1000 / 1000
        x, y = (0.1 + 0.8 * x) * frame.width, (0.1 + 0.8 * y) * frame.height
        crop = _square(aid, frame, x, y)
        held = sum(likely(one) for one in look.detections if iou(one.box, crop) > 0)
        found.append((held, (x, y, x, y)))
    return [box for _, box in sorted(found, key=lambda one: one[0])[: aid.most]]


def marked(frame: Image.Image, boxes: Sequence[Box]) -> Image.Image:
    """A copy of `frame` with a thin frame drawn around each of `boxes` (px of the frame), clear of what is inside."""
    from PIL import ImageDraw

    copy = frame.convert("RGB").copy()
    copy.info["marked"] = [[round(value, 2) for value in box] for box in boxes]  # tells it from the frame itself
    draw = ImageDraw.Draw(copy)
    width = max(1, round(frame.width / 448))
    for x0, y0, x1, y1 in boxes:
        gap = 2 * width + max(x1 - x0, y1 - y0) * 0.15
        draw.rectangle((x0 - gap, y0 - gap, x1 + gap, y1 + gap), outline=MARK, width=width)
    return copy


def _centre(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
