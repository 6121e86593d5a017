"""Hand-painted passes for tests of gates and labels: no renderer, every pixel known."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pacenote.scenes.scene import Camera, Environment, Facts, Marking, Scene, Signal, Surface, Thing

WIDTH, HEIGHT = 672, 378
LENS = {"red": (235, 40, 30), "yellow": (250, 190, 40), "green": (40, 220, 150), "off": (45, 45, 45)}


@dataclass(frozen=True)
class Footprint:
    pixels: int
    box: tuple[float, float, float, float]
    in_frame: float = 1.0


@dataclass
class Street:
    """A grey road under a grey sky; `paint` puts objects on it, nearer ones last."""

    facts: Facts = field(default_factory=Facts)
    environment: Environment = field(default_factory=Environment)
    items: dict[str, list[Any]] = field(
        default_factory=lambda: {"things": [], "signals": [], "markings": [], "surfaces": []}
    )

    def __post_init__(self) -> None:
        self.frame = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
        self.frame += np.random.default_rng(0).integers(0, 4, self.frame.shape, dtype=np.uint8)
        self.index = np.zeros((HEIGHT, WIDTH), np.int32)
        self.depth = np.full((HEIGHT, WIDTH), np.inf, np.float32)
        self.footprints: dict[int, Footprint] = {}

    def paint(self, id: int, x: int, y: int, w: int, h: int, colour: tuple[int, int, int], metres: float) -> None:
        part = (slice(y, y + h), slice(x, x + w))
        self.frame[part], self.index[part], self.depth[part] = colour, id, metres
        if id:
            self.footprints[id] = Footprint(w * h, (float(x), float(y), float(x + w), float(y + h)))

    def light(
        self, id: int, state: str, size: int = 10, x: int = 330, metres: float = 25.0, shown: str = "", **signal: Any
    ) -> None:
        """A head with housing `id` and lens `id + 1`; `shown`: the colour it has in the frame, if another one."""
        self.paint(id, x - size, 80 - size, 3 * size, 5 * size, (25, 25, 25), metres)
        self.paint(id + 1, x, 80, size, size, LENS[shown or state], metres)
        kept = {"x": metres, "y": 0.0, "z": 5.0, "yaw": np.pi} | signal
        self.items["signals"].append(Signal(id, id + 1, state=state, **kept))  # type: ignore[arg-type]

    def thing(
        self, id: int, kind: str, w: int = 16, h: int = 30, x: int = 300, on_road: bool = True, **more: Any
    ) -> None:
        self.paint(id, x, 260, w, h, more.pop("shown", (230, 100, 20)), 20.0)
        held = {"x": 20.0, "y": 0.0, "yaw": 0.0, "length": 0.5, "width": 0.5, "height": 0.8} | more
        self.items["things"].append(Thing(id, kind, on_road=on_road, **held))  # type: ignore[arg-type]

    def junction(self, id: int, metres: float = 20.0, h: int = 10, ahead: bool = True) -> None:
        self.paint(id, 100, 200, 400, h, (110, 110, 112), metres)
        self.items["surfaces"].append(Surface("junction", ((20, -5), (30, -5), (30, 5), (20, 5)), id=id))
        if ahead:
            self.facts = replace(self.facts, junction_id=id, junction_m=metres)

    def zebra(self, id: int, metres: float = 15.0, w: int = 200, h: int = 8, ours: bool = True) -> None:
        self.paint(id, 200, 230, w, h, (225, 225, 225), metres)
        self.items["markings"].append(Marking("zebra", ((15, -4), (15, 4)), width=4.0, id=id))
        if ours:
            self.facts = replace(self.facts, crossing_ids=(*self.facts.crossing_ids, id), crossing_m=metres)

    @property
    def scene(self) -> Scene:
        things = {name: tuple(values) for name, values in self.items.items()}
        return Scene(
            "test-0",
            0,
            "r",
            "n",
            0,
            Camera(0, 0, 1.4, 0.0),
            self.environment,
            self.facts,
            **things,  # type: ignore[arg-type]
        )
