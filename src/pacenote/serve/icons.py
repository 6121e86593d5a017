"""Road-sign pictograms drawn as vectors: no image files, sharp at any size.

Every icon is an RGBA picture of size x size px, drawn four times larger and scaled down for smooth edges. Shapes follow
the Vienna Convention on Road Signs: red-rimmed triangle = warning, blue square = information, red ring = limit.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image, ImageFont

    Pen = Callable[["Canvas"], None]

SCALE = 4
INK = (24, 26, 30, 255)
WHITE = (250, 250, 248, 255)
RED = (206, 32, 41, 255)
BLUE = (22, 98, 186, 255)
ORANGE = (244, 123, 32, 255)
LAMPS = {"red": (255, 59, 48), "yellow": (255, 204, 0), "green": (48, 224, 96)}


@lru_cache(maxsize=32)
def font(size: int, bold: bool = False) -> "ImageFont.FreeTypeFont":
    """DejaVu Sans, which every matplotlib carries, at `size` px."""
    import matplotlib
    from PIL import ImageFont

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


class Canvas:
    """A square drawing surface with coordinates 0-100 on both axes."""

    def __init__(self, size: int) -> None:
        from PIL import Image, ImageDraw

        self.side = size * SCALE
        self.image: Image.Image = Image.new("RGBA", (self.side, self.side), (0, 0, 0, 0))
        self.draw: ImageDraw.ImageDraw = ImageDraw.Draw(self.image)
        self.size = size

    def px(self, *values: float) -> list[float]:
        return [value * self.side / 100 for value in values]

    def polygon(self, points: list[tuple[float, float]], fill: tuple[int, ...]) -> None:
        self.draw.polygon([(x * self.side / 100, y * self.side / 100) for x, y in points], fill=fill)

    def disc(self, x: float, y: float, radius: float, fill: tuple[int, ...]) -> None:
        self.draw.ellipse(self.px(x - radius, y - radius, x + radius, y + radius), fill=fill)

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: tuple[int, ...], radius: float = 0) -> None:
        self.draw.rounded_rectangle(self.px(x0, y0, x1, y1), radius=self.px(radius)[0], fill=fill)

    def line(self, points: list[tuple[float, float]], width: float, fill: tuple[int, ...] = INK) -> None:
        """A stroke with round joints and ends."""
        scaled = [(x * self.side / 100, y * self.side / 100) for x, y in points]
        self.draw.line(scaled, fill=fill, width=max(1, round(self.px(width)[0])), joint="curve")
        for x, y in (points[0], points[-1]):
            self.disc(x, y, width / 2, fill)

    def done(self) -> "Image.Image":
        from PIL import Image

        return self.image.resize((self.size, self.size), Image.Resampling.LANCZOS)


def _triangle(c: Canvas) -> None:
    def rounded(inset: float, fill: tuple[int, ...]) -> None:
        corners = [(50.0, 8.0 + inset * 2), (96.0 - inset * 1.73, 88.0 - inset), (4.0 + inset * 1.73, 88.0 - inset)]
        c.polygon(corners, fill)
        c.line([*corners, corners[0]], 7, fill)

    rounded(0, RED)
    rounded(9, WHITE)


def _cone(c: Canvas) -> None:
    _triangle(c)
    c.polygon([(46, 36), (54, 36), (65, 74), (35, 74)], ORANGE)
    c.polygon([(43.4, 45), (56.6, 45), (58.9, 53), (41.1, 53)], WHITE)
    c.polygon([(39.4, 59), (60.6, 59), (62.4, 65), (37.6, 65)], WHITE)
    c.box(29, 74, 71, 80, ORANGE, 2)


def _barrier(c: Canvas) -> None:
    _triangle(c)
    c.box(28, 52, 72, 65, RED, 1)
    for x in (31, 47, 63):
        c.polygon([(x + 4, 52), (x + 10, 52), (x + 6, 65), (x, 65)], WHITE)
    c.box(33, 65, 37, 80, INK)
    c.box(63, 65, 67, 80, INK)


def _construction(c: Canvas) -> None:
    _triangle(c)
    c.disc(46, 39, 5, INK)
    c.line([(45, 47), (40, 60), (46, 68), (43, 80)], 6)
    c.line([(40, 61), (33, 80)], 6)
    c.line([(44, 49), (53, 56), (62, 54)], 5)
    c.line([(51, 46), (67, 73)], 3)
    c.polygon([(56, 80), (66, 68), (79, 80)], INK)


def _debris(c: Canvas) -> None:
    _triangle(c)
    c.polygon([(30, 80), (33, 68), (42, 64), (50, 70), (52, 80)], INK)
    c.polygon([(52, 80), (55, 62), (64, 60), (72, 70), (73, 80)], INK)
    c.polygon([(41, 56), (47, 48), (56, 52), (54, 60), (45, 62)], INK)


def _walker(c: Canvas, x: float, y: float, s: float, ink: tuple[int, ...] = INK) -> None:
    """A walking figure, `s` = 1 about 46 units tall, its head at (x, y)."""

    def at(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x + px * s, y + py * s) for px, py in points]

    c.disc(x, y, 4.6 * s, ink)
    c.line(at((0, 9), (-1, 24)), 7 * s, ink)
    c.line(at((-1, 23), (6, 32), (8, 42)), 5 * s, ink)
    c.line(at((-1, 23), (-5, 33), (-11, 41)), 5 * s, ink)
    c.line(at((0, 9), (9, 16), (13, 22)), 4 * s, ink)
    c.line(at((0, 9), (-8, 16), (-9, 24)), 4 * s, ink)


def _pedestrian(c: Canvas) -> None:
    _triangle(c)
    _walker(c, 50, 38, 0.95)


def _animal(c: Canvas) -> None:
    _triangle(c)
    c.polygon([(34, 57), (58, 54), (62, 64), (36, 67)], INK)
    c.line([(37, 64), (32, 72), (34, 80)], 4)
    c.line([(40, 65), (42, 80)], 4)
    c.line([(58, 62), (62, 80)], 4)
    c.line([(60, 61), (67, 72), (72, 74)], 4)
    c.polygon([(56, 56), (60, 42), (66, 40), (71, 46), (65, 49), (62, 62)], INK)
    c.line([(61, 42), (57, 33), (51, 31)], 2.4)
    c.line([(64, 41), (66, 32), (62, 27)], 2.4)
    c.line([(33, 58), (30, 62)], 3)


def _crash(c: Canvas) -> None:
    _triangle(c)
    for side in (-1, 1):
        car = ((5, 70), (8, 60), (13, 58), (27, 62), (30, 76), (6, 78))
        c.polygon([(50 + side * x, y) for x, y in car], INK)
        c.disc(50 + side * 22, 77, 4.5, INK)
        c.disc(50 + side * 11, 77, 4.5, INK)
    spikes = ((50, 38), (53, 47), (61, 42), (57, 51), (66, 54), (55, 56), (50, 66), (45, 56), (34, 54), (43, 51))
    c.polygon([*spikes, (39, 42), (47, 47)], RED)


def _intersection(c: Canvas) -> None:
    _triangle(c)
    c.line([(50, 36), (50, 78)], 9)
    c.line([(33, 62), (67, 62)], 9)


def _pedestrian_crossing(c: Canvas) -> None:
    c.box(4, 4, 96, 96, BLUE, 9)
    c.polygon([(50, 12), (90, 86), (10, 86)], WHITE)
    _walker(c, 50, 32, 0.86)
    for x in (24, 37, 50, 63):
        c.polygon([(x + 1, 73), (x + 9, 73), (x + 12, 84), (x + 2, 84)], INK)


_PENS: "dict[str, Pen]" = {
    "cone": _cone, "barrier": _barrier, "construction": _construction, "debris": _debris, "pedestrian": _pedestrian,
    "animal": _animal, "crash": _crash, "intersection": _intersection, "pedestrian_crossing": _pedestrian_crossing,
}  # fmt: skip


@lru_cache(maxsize=256)
def sign(kind: str, size: int) -> "Image.Image":
    """The pictogram of an obstacle or crossroad kind."""
    canvas = Canvas(size)
    _PENS[kind](canvas)
    return canvas.done()


@lru_cache(maxsize=64)
def roundel(speed_kmh: int | None, size: int) -> "Image.Image":
    """A speed disc; grey with a dash where no speed was read."""
    canvas = Canvas(size)
    known = speed_kmh is not None
    canvas.disc(50, 50, 48, RED if known else (120, 124, 130, 255))
    canvas.disc(50, 50, 38, WHITE)
    text = str(speed_kmh) if known else "–"
    height = 46 if len(text) < 3 else 36
    middle, letters = canvas.side / 2, font(round(canvas.px(height)[0]), True)
    canvas.draw.text((middle, middle), text, font=letters, fill=INK, anchor="mm")
    return canvas.done()


@lru_cache(maxsize=128)
def signal_head(state: str | None, movement: str, size: int) -> "Image.Image":
    """A three-lamp head in a size x size square; the lit lamp glows and shows an arrow where a movement is named.

    `none` and None (unreadable) give a faint outline; `off` an unlit head.
    """
    from PIL import Image, ImageFilter

    canvas = Canvas(size)
    faint = state in (None, "none")
    canvas.box(30, 2, 70, 98, (44, 48, 55, 255) if faint else (58, 62, 69, 255), 12)
    canvas.box(33, 5, 67, 95, (28, 31, 36, 255) if faint else (14, 15, 18, 255), 10)
    for row, (name, colour) in enumerate(LAMPS.items()):
        y = 21 + row * 29
        if name != state:
            dim = tuple(20 + value // 9 for value in colour) if not faint else (38, 41, 47)
            canvas.disc(50, y, 12.5, (*dim, 255))
            continue
        glow = Image.new("RGBA", canvas.image.size, (*colour, 0))
        halo = Canvas(size)
        halo.disc(50, y, 17, (*colour, 150))
        glow = Image.alpha_composite(glow, halo.image.filter(ImageFilter.GaussianBlur(canvas.side / 22)))
        canvas.image.alpha_composite(glow)
        canvas.disc(50, y, 12.5, (*colour, 255) if movement == "any" else (16, 17, 20, 255))
        if movement != "any":
            _arrow(canvas, 50, y, movement, (*colour, 255))
    return canvas.done()


def _arrow(c: Canvas, x: float, y: float, movement: str, fill: tuple[int, ...]) -> None:
    turned = {"straight": lambda a, b: (a, b), "left": lambda a, b: (b, -a), "right": lambda a, b: (-b, a)}[movement]

    def at(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x + turned(a, b)[0], y + turned(a, b)[1]) for a, b in points]

    c.line(at((0, -2), (0, 9)), 4.5, fill)
    c.polygon(at((0, -11), (9, 0), (-9, 0)), fill)
