"""Visibility gates: what of an object reaches the stored frame, and whether that is enough to state it.

Each object gets one of three verdicts:

- *stated* (True): clearly visible, so the truth may name it;
- *null* (None): something of it is there, but below the gates, so the facts that it would decide are unknown;
- *absent* (False): nothing of it that anyone could see; it may be ignored.

Everything is measured on the final frame (fog, glare, rain, noise and distortion included) and on passes that were
warped like it. Lengths are pixels of that frame, by default 672 px wide; 3 px there are 2 px in a 448 px view.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pacenote.scenes.scene import Signal

Box = tuple[float, float, float, float]


class FootprintLike(Protocol):
    """What an object would cover if nothing stood before it."""

    @property
    def pixels(self) -> float: ...
    @property
    def box(self) -> Box: ...
    @property
    def in_frame(self) -> float: ...


class PassesLike(Protocol):
    """The part of `render`'s passes that labels need: HxW int32 ids, HxW float32 metres, footprints by id."""

    @property
    def index(self) -> NDArray[np.int32]: ...
    @property
    def depth(self) -> NDArray[np.float32]: ...
    @property
    def footprints(self) -> Mapping[int, Any]: ...


@dataclass(frozen=True)
class Gates:
    """Thresholds, in pixels of the stored frame unless the name says otherwise. `docs/labels.md` gives the reasons."""

    lens_stated_px: float = 4.5  # lens diameter from which a lit light is stated: 3 px in a 448 px view of 672 px
    lens_absent_px: float = 1.0  # below this a lens is as if absent
    lens_off_px: float = 7.0  # a dark lens shows only by its housing, so it must be larger
    arrow_px: float = 7.0  # lens diameter from which the shape of an arrow can be told
    lens_visible: float = 0.4  # share of a lens that must be visible; its own visor may hide the rest
    lens_contrast: float = 10.0  # CIELAB difference between the lens and what surrounds it
    lens_chroma: float = 16.0  # CIELAB chroma below which a lens has no colour to read
    lens_clipped_l: float = 82.0  # CIELAB lightness above which a lens is read by its rim
    cross_facing_deg: float = 35.0  # a head of another approach turned to us by less than this may be taken for ours

    visible: float = 0.5  # share of the footprint that must be visible
    visible_zebra: float = 0.3  # cars stand on zebras: less is enough
    contrast: float = 7.0  # CIELAB difference of an obstacle
    contrast_zebra: float = 9.0
    negligible_px: int = 3  # so few pixels of a kind count as none
    height_px: Mapping[str, float] = field(
        default_factory=lambda: {
            "cone": 10.0,
            "barrier": 10.0,
            "construction": 14.0,
            "debris": 8.0,
            "pedestrian": 18.0,
            "animal": 14.0,
            "crash": 24.0,
        }
    )
    area_px: Mapping[str, int] = field(
        default_factory=lambda: {
            "cone": 40,
            "barrier": 80,
            "construction": 120,
            "debris": 60,
            "pedestrian": 70,
            "animal": 100,
            "crash": 400,
        }
    )
    kerb_m: float = 0.7  # a pedestrian this close to the carriageway may be about to step on it

    near_m: float = 50.0  # crossroad facts concern what lies this near ...
    far_m: float = 80.0  # ... are unknown up to here, and false beyond
    junction_px: int = 500  # visible pixels of junction asphalt from which an intersection is stated
    junction_negligible_px: int = 40
    zebra_px: int = 180  # visible pixels of stripes from which a crossing is stated
    zebra_height_px: float = 5.0
    zebra_negligible_px: int = 8

    sign_px: float = 20.0  # width of a limit sign from which two digits can be read
    sign_third_digit: float = 1.3  # a third digit needs a sign this much wider
    sign_absent_px: float = 10.0  # below this nobody reads it
    number_px: float = 12.0  # the same for a number painted on the road
    number_absent_px: float = 5.0
    scenery_px: int = 80  # pixels from which a vehicle is worth a box

    def least_contrast(self, base: float, pixels: int, area: int) -> float:
        """The contrast that an object of `pixels` needs: `base` at the gate's own `area`, less for a larger one, which
        the eye picks out at lower contrast (down to two fifths)."""
        return base * max(0.4, min(1.0, area / max(pixels, 1)) ** 0.25)


@dataclass(frozen=True)
class Observed:
    """One object as the passes and the frame show it."""

    id: int
    pixels: int  # visible pixels
    visible: float  # visible / footprint, 0..1
    box: Box  # of the visible pixels, or of the footprint where none is visible; x0, y0, x1, y1
    size_px: float  # height of `box`; for a lens see `lens_diameter`
    distance_m: float  # median depth of the visible pixels; nan where none is visible
    contrast: float  # CIELAB difference to the surroundings; 0 where none is visible


@dataclass(frozen=True)
class Verdict:
    stated: bool | None  # True stated, None null, False as if absent
    reason: str


class View:
    """A frame and its passes, with what several gates need computed once.

    `frame`: HxWx3 uint8 sRGB. Raises ValueError where frame and passes differ in size.
    """

    def __init__(self, passes: PassesLike, frame: NDArray[np.uint8]) -> None:
        if frame.shape[:2] != passes.index.shape or passes.index.shape != passes.depth.shape:
            raise ValueError(f"frame {frame.shape}, index {passes.index.shape} and depth {passes.depth.shape} differ")
        self.passes = passes
        self.height, self.width = passes.index.shape
        self.lab = lab(frame)
        flat = passes.index.ravel()
        order = np.argsort(flat, kind="stable")
        ids, starts = np.unique(flat[order], return_index=True)
        self._pixels = dict(zip(ids.tolist(), np.split(order, starts[1:]), strict=True))

    def pixels(self, id: int) -> NDArray[np.intp]:
        """Flat positions of the visible pixels of `id`."""
        return self._pixels.get(id, np.empty(0, np.intp))

    def footprint(self, id: int) -> FootprintLike | None:
        return self.passes.footprints.get(id)

    def box(self, positions: NDArray[np.intp]) -> Box:
        rows, columns = np.divmod(positions, self.width)
        return (float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))

    def mask(self, positions: NDArray[np.intp], margin: int) -> tuple[NDArray[np.bool_], slice, slice]:
        """The object's mask cut out with `margin` pixels around it, and where it was cut."""
        x0, y0, x1, y1 = self.box(positions)
        rows = slice(max(0, int(y0) - margin), min(self.height, int(y1) + margin))
        columns = slice(max(0, int(x0) - margin), min(self.width, int(x1) + margin))
        mask = np.zeros((rows.stop - rows.start, columns.stop - columns.start), bool)
        row, column = np.divmod(positions, self.width)
        mask[row - rows.start, column - columns.start] = True
        return mask, rows, columns

    def observe(self, id: int) -> Observed:
        """Measure object `id`; one that the passes do not know at all has no pixels and visible 0."""
        positions, footprint = self.pixels(id), self.footprint(id)
        covers = float(footprint.pixels) if footprint is not None else 0.0
        if not len(positions):
            box = footprint.box if footprint is not None else (0.0, 0.0, 0.0, 0.0)
            return Observed(id, 0, 0.0, box, 0.0, math.nan, 0.0)
        box = self.box(positions)
        visible = min(1.0, len(positions) / covers) if covers > 0 else 1.0
        distance = float(np.median(self.passes.depth.ravel()[positions]))
        return Observed(id, len(positions), visible, box, box[3] - box[1], distance, self.contrast(positions))

    def contrast(self, positions: NDArray[np.intp], also: int = 0) -> float:
        """CIELAB difference between the object and a ring around it, beyond the grain of the picture.

        The larger of two: the distance of the mean colours (a plain object), and how much farther the object's more
        distinct pixels (upper quartile) lie from the ring's mean than the ring's own do (a striped one). The ring
        starts 2 px outside, because the object's edge and glow are mixed into the first pixel; pixels of the object
        `also` do not count as surroundings.
        """
        x0, y0, x1, y1 = self.box(positions)
        reach = 4 + int(min(12.0, 0.4 * min(x1 - x0, y1 - y0)))
        mask, rows, columns = self.mask(positions, reach)
        ring = grow(mask, reach) & ~grow(mask, 1)
        if also:
            ring &= self.passes.index[rows, columns] != also
        if not ring.any():
            return 0.0
        patch = self.lab[rows, columns]
        mean = patch[ring].mean(0)
        apart = float(np.linalg.norm(patch[mask].mean(0) - mean))
        inside, outside = (np.linalg.norm(patch[part] - mean, axis=1) for part in (mask, ring))
        return max(apart, float(np.percentile(inside, 75) - np.percentile(outside, 75)))

    def lens_colours(self, positions: NDArray[np.intp], gates: Gates) -> tuple[str, ...]:
        """The colours that a lens shows in the frame (red, yellow, green), the one to trust first; () if it has none.

        A bright lens clips to white or pale yellow in the middle and keeps its hue in the glow around it; there, where
        the lens itself tells nothing else, the two pixels around it count, as they do for the eye.
        """
        mask, rows, columns = self.mask(positions, 4)
        patch = self.lab[rows, columns]
        core = self._hue(patch[mask], gates)
        clipped = float(patch[mask][:, 0].mean()) > gates.lens_clipped_l
        glow = self._hue(patch[grow(mask, 2) & ~mask], gates) if clipped and core in ("", "yellow") else ""
        return tuple(dict.fromkeys(name for name in (core, glow) if name))

    @staticmethod
    def _hue(pixels: NDArray[np.float32], gates: Gates) -> str:
        chroma = np.hypot(pixels[:, 1], pixels[:, 2])
        chosen = pixels[chroma >= np.percentile(chroma, 60)]
        vivid = np.average(chosen[:, 1:], axis=0, weights=chosen[:, 0] + 1.0)  # light shows its colour
        if float(np.hypot(*vivid)) < gates.lens_chroma:
            return ""
        return hue_name(math.degrees(math.atan2(vivid[1], vivid[0])))


def hue_name(degrees: float) -> str:
    """Name of a CIELAB hue angle: signal red lies near 35°, amber at 70–100°, signal green at 150–190°."""
    degrees = (degrees + 60.0) % 360.0 - 60.0
    if -45.0 <= degrees < 58.0:
        return "red"
    if 58.0 <= degrees < 122.0:
        return "yellow"
    if 122.0 <= degrees < 240.0:
        return "green"
    return ""


def lab(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """CIELAB (L 0..100, a, b) of an sRGB frame."""
    import cv2

    return cv2.cvtColor(frame.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB).astype(np.float32)


def grow(mask: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    """The mask and every pixel at most `by` pixels (in a square sense) from it."""
    import cv2

    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * by + 1, 2 * by + 1), np.uint8)).astype(bool)


def lens_diameter(footprint: FootprintLike | None, state: str = "") -> float:
    """Diameter in pixels of a lens from the box that it would cover; 0 where it is out of the frame.

    Where the state is "off" the object is the row of all its dark lenses, and its shorter side counts.
    """
    if footprint is None or footprint.in_frame <= 0:
        return 0.0
    x0, y0, x1, y1 = footprint.box
    width, height = max(0.0, x1 - x0), max(0.0, y1 - y0)
    return min(width, height) if state == "off" else math.sqrt(width * height)


def gate_lens(view: View, signal: Signal, gates: Gates, expected_m: float) -> tuple[Observed, float, Verdict]:
    """Measure a signal's lens and judge it. `expected_m`: its distance, to tell a hidden lens from a tiny one."""
    lens_id, state = signal.lens_id, signal.state
    seen, diameter = view.observe(lens_id), lens_diameter(view.footprint(lens_id), state)
    if seen.pixels == 0:
        if diameter >= gates.lens_absent_px and not _hidden(view, lens_id, expected_m):
            return seen, diameter, Verdict(None, f"lens of {diameter:.1f} px falls between the samples")
        return seen, diameter, Verdict(False, "no pixel of it is visible")
    if diameter < gates.lens_absent_px:
        return seen, diameter, Verdict(False, f"lens {diameter:.1f} px < {gates.lens_absent_px} px")
    least = gates.lens_off_px if state == "off" else gates.lens_stated_px
    if diameter < least:
        return seen, diameter, Verdict(None, f"lens {diameter:.1f} px < {least} px")
    if seen.visible < gates.lens_visible:
        return seen, diameter, Verdict(None, f"visible {seen.visible:.2f} < {gates.lens_visible}")
    if state == "off":
        seen = replace(seen, contrast=view.contrast(_head(view, signal, seen.box), signal.id))
    if seen.contrast < gates.lens_contrast:
        return seen, diameter, Verdict(None, f"contrast {seen.contrast:.0f} < {gates.lens_contrast:.0f}")
    if state != "off":
        shown = view.lens_colours(view.pixels(lens_id), gates)
        if state not in shown:
            return seen, diameter, Verdict(None, f"the {state} lens looks {(*shown, 'colourless')[0]} in the frame")
    return seen, diameter, Verdict(True, f"lens {diameter:.1f} px, visible {seen.visible:.2f}")


def _head(view: View, signal: Signal, box: Box) -> NDArray[np.intp]:
    """The visible pixels of a dark head: its lenses and the housing about them, not its pole or arm."""
    housing = view.pixels(signal.id)
    rows, columns = np.divmod(housing, view.width)
    margin = 0.4 * min(box[2] - box[0], box[3] - box[1])
    beside = (columns >= box[0] - margin) & (columns < box[2] + margin)
    near = beside & (rows >= box[1] - margin) & (rows < box[3] + margin)
    return np.concatenate([view.pixels(signal.lens_id), housing[near]])


def _hidden(view: View, id: int, expected_m: float) -> bool:
    """Whether something nearer than `expected_m` stands where the object's footprint lies."""
    footprint = view.footprint(id)
    if footprint is None:
        return True
    x0, y0, x1, y1 = footprint.box
    x, y = int((x0 + x1) / 2), int((y0 + y1) / 2)
    if not (0 <= x < view.width and 0 <= y < view.height):
        return True
    return bool(view.passes.depth[y, x] < 0.95 * expected_m)


def gate_thing(view: View, id: int, kind: str, gates: Gates) -> tuple[Observed, Verdict]:
    """Measure an obstacle and judge it by pixels, height, visible share and contrast."""
    seen = view.observe(id)
    if seen.pixels <= gates.negligible_px:
        return seen, Verdict(False, f"{seen.pixels} px")
    if seen.size_px < gates.height_px[kind]:
        return seen, Verdict(None, f"height {seen.size_px:.0f} px < {gates.height_px[kind]:.0f} px")
    if seen.pixels < gates.area_px[kind]:
        return seen, Verdict(None, f"{seen.pixels} px < {gates.area_px[kind]} px")
    if seen.visible < gates.visible:
        return seen, Verdict(None, f"visible {seen.visible:.2f} < {gates.visible}")
    least = gates.least_contrast(gates.contrast, seen.pixels, gates.area_px[kind])
    if seen.contrast < least:
        return seen, Verdict(None, f"contrast {seen.contrast:.1f} < {least:.1f}")
    return seen, Verdict(True, f"{seen.pixels} px, visible {seen.visible:.2f}")


def gate_zebra(view: View, id: int, gates: Gates) -> tuple[Observed, Verdict]:
    """Measure a marked crossing by its stripes."""
    seen = view.observe(id)
    if seen.pixels <= gates.zebra_negligible_px:
        return seen, Verdict(False, f"{seen.pixels} px of stripes")
    if seen.pixels < gates.zebra_px or seen.size_px < gates.zebra_height_px:
        return seen, Verdict(None, f"{seen.pixels} px of stripes, {seen.size_px:.0f} px high")
    if seen.visible < gates.visible_zebra:
        return seen, Verdict(None, f"visible {seen.visible:.2f} < {gates.visible_zebra}")
    least = gates.least_contrast(gates.contrast_zebra, seen.pixels, gates.zebra_px)
    if seen.contrast < least:
        return seen, Verdict(None, f"contrast {seen.contrast:.1f} < {least:.1f}")
    return seen, Verdict(True, f"{seen.pixels} px of stripes")


def gate_limit(view: View, id: int, text: str, painted: bool, gates: Gates) -> tuple[Observed, Verdict]:
    """Whether the number `text` of a limit sign (or one painted on the road) can be read."""
    seen = view.observe(id)
    least, absent = (gates.number_px, gates.number_absent_px) if painted else (gates.sign_px, gates.sign_absent_px)
    size = seen.size_px if painted else seen.box[2] - seen.box[0]  # a sign's height includes its pole
    if len(text) > 2 and not painted:
        least *= gates.sign_third_digit
    side = "high" if painted else "wide"
    if seen.pixels == 0 or size < absent:
        return seen, Verdict(False, f"{size:.0f} px {side}")
    if size < least:
        return seen, Verdict(None, f"{size:.0f} px {side} < {least:.0f} px")
    if seen.visible < gates.visible:
        return seen, Verdict(None, f"visible {seen.visible:.2f} < {gates.visible}")
    if seen.contrast < gates.contrast:
        return seen, Verdict(None, f"contrast {seen.contrast:.1f} < {gates.contrast}")
    return seen, Verdict(True, f"{size:.0f} px {side}")
