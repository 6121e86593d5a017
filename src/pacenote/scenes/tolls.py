"""A toll plaza: islands and booths between its lanes, a roof over them, and a light over every lane."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pacenote.scenes.draft import Draft
from pacenote.scenes.geometry import at, box, direction, left_of, points
from pacenote.scenes.scene import LightState, Signal, Surface
from pacenote.scenes.seeds import choice, pick, seed32, uniform
from pacenote.scenes.signals import Housing, Layout
from pacenote.scenes.streets import Edge, Lane

FIRST_ISLAND = 1400
BOOTH_BACK_M = 22.0  # before the end of the plaza


@dataclass(frozen=True)
class Plaza:
    """Where the booths of a plaza stand (metres along its lanes) and how high its roof is."""

    edge: Edge
    booths_m: float
    roof_m: float
    roof_long: float
    lights: bool
    layout: Layout
    lens_m: float


def draw_plaza(edge: Edge, booths_m: float, lights: bool, rng: np.random.Generator) -> Plaza:
    """A plaza's measures."""
    return Plaza(
        edge,
        booths_m,
        uniform(rng, 5.6, 6.8),
        uniform(rng, 6.0, 12.0),
        lights,
        choice(rng, ("single", "vertical", "vertical")),
        0.3,
    )


def plaza_signals(plaza: Plaza, mine: Lane, state: LightState, rng: np.random.Generator) -> list[Signal]:
    """A light under the roof's edge over each lane, ids still 0; those of the other lanes have the role "cross"."""
    made = []
    housings: tuple[Housing, ...] = ("black", "grey")
    style = choice(rng, housings)
    for lane in plaza.edge.drive:
        ego = lane.id == mine.id
        if ego and not plaza.lights:
            continue
        x, y, yaw = at(lane.shape, plaza.booths_m - plaza.roof_long / 2 - 0.3)
        shown: LightState = state if ego else pick(rng, {"green": 0.6, "red": 0.4})
        if plaza.lights:
            made.append(
                Signal(
                    0,
                    0,
                    x,
                    y,
                    plaza.roof_m - 1.0,
                    yaw + math.pi,
                    shown,
                    place="toll",
                    role="ego" if ego else "cross",
                    lens_m=plaza.lens_m,
                    layout=plaza.layout,
                    mount="roof",
                    foot=(x, y),
                    housing=style,
                )
            )
    return made


def build_plaza(draft: Draft, plaza: Plaza, rng: np.random.Generator) -> list[Surface]:
    """Add booths and roofs to the draft; returns the kerb islands."""
    lanes = plaza.edge.drive
    islands: list[Surface] = []
    style = seed32(rng) % 1000
    spots = []
    for k, lane in enumerate(lanes):
        x, y, yaw = at(lane.shape, plaza.booths_m)
        across = left_of(yaw) * draft.streets.kerb
        if k == 0:
            spots.append((np.array([x, y]) - across * lane.width / 2, yaw))
        spots.append((np.array([x, y]) + across * lane.width / 2, yaw))
    for k, (spot, yaw) in enumerate(spots):
        middle = spot - direction(yaw) * 3.0
        shape = box(float(middle[0]), float(middle[1]), yaw, 16.0, 1.9)
        islands.append(Surface("island", points(shape.exterior.coords[:-1]), 0.16, FIRST_ISLAND + k, seed32(rng)))
        draft.evict(shape, 0.1)
        draft.reserve(shape)
        draft.add(
            "static",
            "toll_booth",
            float(spot[0]),
            float(spot[1]),
            yaw + math.pi,
            (2.4, 1.4, 2.7),
            z=0.16,
            style=style,
            on_road=False,
            reserve=False,
        )
    k = 0
    while k < len(lanes):  # a roof of two lanes at a time, so that its columns stand on the islands
        span = min(2, len(lanes) - k)
        middle = (spots[k][0] + spots[k + span][0]) / 2
        wide = float(np.hypot(*(spots[k + span][0] - spots[k][0])))
        draft.add(
            "static",
            "toll_roof",
            float(middle[0]),
            float(middle[1]),
            spots[k][1] + math.pi,
            (plaza.roof_long, wide, plaza.roof_m),
            style=style,
            on_road=False,
            reserve=False,
        )
        k += span
    return islands
