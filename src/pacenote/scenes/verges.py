"""What stands along the kerb: lamps, poles, trees, hedges, street furniture, fences, guard rails."""

from __future__ import annotations

import math

import numpy as np

from pacenote.scenes.draft import Draft
from pacenote.scenes.geometry import direction, length
from pacenote.scenes.scene import Environment, Lamp, ThingKind
from pacenote.scenes.seeds import chance, pick, seed32, uniform
from pacenote.scenes.sides import Side, Theme, spot, try_place


def lamps(draft: Draft, side: Side, theme: Theme, where: Environment, rng: np.random.Generator) -> None:
    total, s = length(side.line), uniform(rng, 0, theme.lamp_step)
    high = uniform(rng, 6.0, 10.5)
    warm = (1.0, 0.72, 0.42) if theme.lamp_style % 3 else (0.9, 0.95, 1.0)
    while s < total and theme.lamps:
        x, y, yaw = spot(side, s, -min(side.walk - 0.5, 0.6) if side.walk else 1.2)
        stands = try_place(
            draft,
            "street_lamp",
            x,
            y,
            yaw - side.out * math.pi / 2,
            (0.4, 0.4, high),
            0.25,
            paving=True,
            style=theme.lamp_style,
        )
        if stands and where.street_lamps and len(draft.lamps) < 14:
            arm = direction(yaw - side.out * math.pi / 2) * 1.7
            draft.lamps.append(
                Lamp(
                    round(x + float(arm[0]), 3),
                    round(y + float(arm[1]), 3),
                    round(high - 0.15, 3),
                    warm,
                    round(uniform(rng, 90, 220), 1),
                )
            )
        if theme.poles and chance(rng, 0.8):
            x, y, yaw = spot(side, s + theme.lamp_step / 2, 0.9)
            try_place(
                draft, "pole", x, y, yaw, (0.3, 0.3, uniform(rng, 8, 11)), 0.4, paving=True, style=theme.lamp_style
            )
        s += theme.lamp_step


def greenery(draft: Draft, side: Side, theme: Theme, fast: bool, rng: np.random.Generator) -> None:
    total = length(side.line)
    if chance(rng, 0.3 + 0.65 * theme.trees):
        step = uniform(rng, 5, 14)
        beyond = fast or not side.walk or (theme.setback > 2.5 and chance(rng, 0.4))
        out = (
            uniform(rng, 5, 22)
            if fast
            else uniform(rng, 0.8, max(1.0, theme.setback - 1.2))
            if beyond
            else -(side.walk - 0.75)
        )
        s = uniform(rng, 0, step)
        while s < total:
            high = uniform(rng, 4.5, 11)
            x, y, yaw = spot(side, s, out + (uniform(rng, -3, 8) if fast else 0.0))
            if chance(rng, 0.85):
                crown = high * uniform(rng, 0.4, 0.7)
                try_place(
                    draft,
                    "tree",
                    x,
                    y,
                    uniform(rng, 0, 6.28),
                    (crown, crown, high),
                    0.5,
                    paving=True,
                    reserve=(0.9, 0.9),
                    style=(theme.tree_style + int(rng.integers(4))) % 1000,
                )
            s += step * uniform(rng, 0.8, 1.3)
    if chance(rng, 0.35):
        s = uniform(rng, 0, 20)
        while s < total:
            x, y, yaw = spot(side, s, uniform(rng, 0.5, 1.6) if not fast else uniform(rng, 3, 9))
            wide = uniform(rng, 0.8, 2.2)
            if chance(rng, 0.7):
                try_place(
                    draft,
                    "bush",
                    x,
                    y,
                    yaw,
                    (wide, wide, wide * uniform(rng, 0.6, 1.0)),
                    0.2,
                    style=seed32(rng) % 1000,
                    reach=80,
                )
            s += uniform(rng, 2.5, 14)


def furniture(draft: Draft, side: Side, theme: Theme, rng: np.random.Generator) -> None:
    """Small things, bollards and hydrants among them, whose colours come near to a cone's."""
    total, s = length(side.line), uniform(rng, 0, 15)
    while s < total:
        kind: ThingKind = pick(rng, {"bin": 0.25, "hydrant": 0.15, "bench": 0.15, "pole": 0.2, "sign": 0.25})
        size = {
            "bin": (0.6, 0.6, 1.05),
            "hydrant": (0.35, 0.35, 0.8),
            "bench": (0.6, 1.8, 0.9),
            "pole": (0.16, 0.16, 0.95),
            "sign": (0.12, 0.8, 2.9),
        }[kind]
        style = seed32(rng) % 1000
        inside = -(side.walk - 0.45) if side.walk else 0.7
        x, y, yaw = spot(side, s, inside)
        if kind == "sign":
            text = pick(rng, {"warning": 0.4, "info": 0.35, "no_entry": 0.25})
            facing = yaw + math.pi
            try_place(draft, "sign", x, y, facing, size, 0.2, paving=True, style=style, state=(text,), reach=90)
        else:
            count = int(rng.integers(3, 8)) if kind == "pole" else 1  # bollards come in rows
            for k in range(count):
                x, y, yaw = spot(side, s + 1.6 * k, inside)
                try_place(draft, kind, x, y, yaw, size, 0.2, paving=True, style=style, reach=60)
        s += uniform(rng, 9, 34)


def fences(draft: Draft, side: Side, theme: Theme, rng: np.random.Generator) -> None:
    if not chance(rng, 0.45 if theme.kind in ("house", "open") else 0.2):
        return
    kind: ThingKind = pick(rng, {"fence": 0.65, "wall": 0.35})
    high, style, long = uniform(rng, 0.9, 2.2), seed32(rng) % 1000, 7.0
    total, s = length(side.line), 0.0
    while s + long < total:
        x, y, yaw = spot(side, s + long / 2, 0.45)
        if chance(rng, 0.75):
            try_place(
                draft,
                kind,
                x,
                y,
                yaw,
                (long, 0.15 if kind == "fence" else 0.3, high),
                0.1,
                style=style,
                reach=90,
                reserve=(long - 0.5, 0.3),
            )
        s += long + (0.0 if chance(rng, 0.8) else 5.0)


def rail(draft: Draft, side: Side, rng: np.random.Generator) -> None:
    """A guard rail or a noise wall along a fast road."""
    total, s, long = length(side.line), 0.0, 9.0
    style, wall = seed32(rng) % 1000, side.outer and chance(rng, 0.18)
    if side.outer and not wall and chance(rng, 0.3):
        return
    high = uniform(rng, 2.5, 4.5)
    while s + long < total:
        x, y, yaw = spot(side, s + long / 2, 1.6 if wall else 0.6)
        if wall:
            try_place(draft, "wall", x, y, yaw, (long, 0.3, high), 0.1, style=style, reserve=(long - 0.6, 0.3))
        else:
            try_place(
                draft,
                "guard_rail",
                x,
                y,
                yaw,
                (long, 0.3, 0.8),
                0.05,
                style=style,
                reach=110,
                reserve=(long - 0.6, 0.3),
            )
        s += long
