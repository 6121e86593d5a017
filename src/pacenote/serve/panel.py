"""The advisory as a strip of four cards, the way a co-driver would show it."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pacenote.advisory import CROSSROADS, OBSTACLES, Advisory, kind_words, slot_text
from pacenote.serve.icons import font, roundel, sign, signal_head

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

WIDTH, HEIGHT = 1280, 184
GROUND, CARD, EDGE = (13, 15, 19), (26, 29, 36), (44, 49, 58)
BRIGHT, SOFT, FAINT = (240, 242, 245), (170, 177, 188), (118, 125, 136)
WITHIN, ABOVE = (64, 214, 122), (255, 171, 46)  # own speed up to the advised one, and above it
STATE_COLOURS = {"red": (255, 92, 84), "yellow": (255, 209, 46), "green": (84, 226, 128), "off": (196, 200, 206)}
CARDS = {"speed": (12, 330), "light": (342, 652), "obstacles": (664, 982), "crossroad": (994, 1268)}
TITLES = {"speed": "SPEED", "light": "TRAFFIC LIGHT", "obstacles": "OBSTACLES", "crossroad": "CROSSROAD"}


@dataclass(frozen=True)
class Shown:
    """What the panel shows at one moment. `own_kmh` is the car's speed by its log, whole km/h."""

    advisory: Advisory
    own_kmh: int | None = None
    has_log: bool = False
    confidence: tuple[tuple[str, float], ...] = ()


@lru_cache(maxsize=64)
def panel(shown: Shown) -> "Image.Image":
    """The strip, WIDTH x HEIGHT px RGB. A slot that could not be read is grey with a dash."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (WIDTH, HEIGHT), GROUND)
    draw = ImageDraw.Draw(image)
    confidence = dict(shown.confidence)
    for slot, (x0, x1) in CARDS.items():
        draw.rounded_rectangle((x0, 10, x1, HEIGHT - 10), radius=14, fill=CARD, outline=EDGE)
        draw.text((x0 + 16, 20), TITLES[slot], font=font(13, True), fill=FAINT)
        if slot in confidence:
            draw.text((x1 - 16, 20), f"{confidence[slot]:.0%}", font=font(13), fill=FAINT, anchor="ra")
    _speed(image, draw, shown)
    _light(image, draw, shown.advisory)
    _kinds(image, draw, "obstacles", shown.advisory.obstacles, OBSTACLES)
    _kinds(image, draw, "crossroad", shown.advisory.crossroad, CROSSROADS)
    return image


def _speed(image: "Image.Image", draw: "ImageDraw.ImageDraw", shown: Shown) -> None:
    x0, _ = CARDS["speed"]
    advised = shown.advisory.speed_kmh
    disc = roundel(advised, 118)
    image.paste(disc, (x0 + 16, 48), disc)
    x = x0 + 152
    if shown.has_log:
        colour: tuple[int, int, int] = BRIGHT
        if shown.own_kmh is not None and advised is not None:
            colour = WITHIN if shown.own_kmh <= advised else ABOVE
        text = "–" if shown.own_kmh is None else str(shown.own_kmh)
        draw.text((x, 54), "this car", font=font(15), fill=SOFT)
        draw.text((x, 124), text, font=font(50, True), fill=colour if shown.own_kmh is not None else FAINT, anchor="ls")
        width = draw.textlength(text, font=font(50, True))
        draw.text((x + width + 8, 124), "km/h", font=font(17), fill=SOFT, anchor="ls")
        if shown.own_kmh is not None and advised is not None:
            over = shown.own_kmh - advised
            note = f"{over} above the advice" if over > 0 else "within the advice"
            draw.text((x, 140), note, font=font(15), fill=colour)
    else:
        draw.text((x, 66), "recommended", font=font(17), fill=SOFT)
        draw.text((x, 126), "km/h", font=font(30, True), fill=BRIGHT if advised is not None else FAINT, anchor="ls")


def _light(image: "Image.Image", draw: "ImageDraw.ImageDraw", advisory: Advisory) -> None:
    x0, x1 = CARDS["light"]
    light = advisory.light
    state = light.state if light else None
    head = signal_head(state, light.movement if light else "any", 132)
    image.paste(head, (x0 - 12, 40), head)
    x = x0 + 96
    if light is None or state in (None, "none"):
        draw.text((x, 106), "–" if light is None else "none ahead", font=font(24), fill=FAINT, anchor="lm")
        return
    draw.text((x, 84), light.state.upper(), font=font(36, True), fill=STATE_COLOURS[light.state], anchor="ls")
    room = x1 - x - 12
    lines = [(slot_text(advisory, "light").rstrip(".").split(", ", 1)[1].split(";")[0], 19, BRIGHT)]
    where = [] if light.movement == "any" else [f"for {light.movement}"]
    where += ["at the toll station"] if light.place == "toll" else []
    if where:
        lines.append((", ".join(where), 15, SOFT))
    if light.other:
        state, movement = light.other
        lines.append((f"{state} for {movement}" if movement != "any" else state, 15, STATE_COLOURS[state]))
    y = 98
    for text, most, colour in lines:
        size = _size(draw, text, room, most)
        draw.text((x, y), _fit(draw, text, room, size), font=font(size), fill=colour)
        y += most + 9


def _kinds(
    image: "Image.Image", draw: "ImageDraw.ImageDraw", slot: str, kinds: frozenset[str] | None, order: tuple[str, ...]
) -> None:
    x0, x1 = CARDS[slot]
    if not kinds:
        text = "–" if kinds is None else "none ahead"
        draw.text((x0 + 24, 106), text, font=font(24), fill=FAINT, anchor="lm")
        return
    present = [kind for kind in order if kind in kinds]
    room = x1 - x0 - 28
    pitch = min(140 if len(present) < 3 else 100, room / len(present))
    side = round(min(86, pitch - 8))
    for number, kind in enumerate(present):
        centre = x0 + 14 + pitch * (number + 0.5)
        icon = sign(kind, side)
        image.paste(icon, (round(centre - side / 2), 48 + (86 - side) // 2), icon)
        words = kind_words(kind).replace("pedestrian crossing", "crossing")
        if pitch < 60:  # all seven at once: the signs speak for themselves
            continue
        size = _size(draw, words, pitch - 4, 15)
        draw.text((centre, 142), _fit(draw, words, pitch - 4, size), font=font(size), fill=BRIGHT, anchor="ma")


def _size(draw: Any, text: str, width: float, most: int) -> int:
    """The largest letter size up to `most` px, but not below 11, at which `text` is at most `width` px wide."""
    return next((size for size in range(most, 11, -1) if draw.textlength(text, font=font(size)) <= width), 11)


def _fit(draw: Any, text: str, width: float, size: int) -> str:
    """`text`, cut with an ellipsis where it is wider than `width` px."""
    if draw.textlength(text, font=font(size)) <= width:
        return text
    while text and draw.textlength(text + "…", font=font(size)) > width:
        text = text[:-1]
    return text + "…"
