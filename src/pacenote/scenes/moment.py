"""Where and when: a lane, a way on, a distance and a second of the simulation at which the wish is true."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pacenote.scenes.geometry import at, length
from pacenote.scenes.roads import own_crossings
from pacenote.scenes.scene import LightState
from pacenote.scenes.seeds import chance, choice, pick, uniform
from pacenote.scenes.streets import Edge, Lane, Link, Streets
from pacenote.scenes.traffic import Traffic
from pacenote.scenes.wish import Wish

CLEAR_M = 95.0  # a plain site has no junction ahead for this long
LETTERS: dict[str, LightState] = {
    "r": "red",
    "u": "red",
    "y": "yellow",
    "Y": "yellow",
    "g": "green",
    "G": "green",
    "s": "red",
    "o": "off",
    "O": "off",
}


@dataclass(frozen=True)
class Moment:
    """Ego's place and time. `stop_m`: how far before the lane's end its stop line lies (None: no junction ahead);
    `reach`: for sites along a lane, the distance along it that the site lies at."""

    edge: Edge
    lane: Lane
    link: Link | None
    time: float
    states: dict[str, LightState]  # movement -> state, over the links of the approach
    differ: bool
    reach: float = 0.0


def approach_states(traffic: Traffic, edge: Edge, time: float) -> dict[str, LightState]:
    """State by movement of an approach; where a movement has several links, the most permissive counts."""
    rank = {"green": 3, "yellow": 2, "red": 1, "off": 0}
    found: dict[str, LightState] = {}
    for lane in edge.drive:
        for link in lane.links:
            signal = traffic.state(link.tls, time)
            if signal and link.index < len(signal):
                state = LETTERS.get(signal[link.index], "red")
                if link.movement not in found or rank[state] > rank[found[link.movement]]:
                    found[link.movement] = state
    return found


def _lane_and_link(edge: Edge, rng: np.random.Generator, lit: bool) -> tuple[Lane, Link] | None:
    ways = [(lane, link) for lane in edge.drive for link in lane.links if link.tls or not lit]
    if not ways:
        return None
    weight = {"straight": 6.0, "left": 1.6, "right": 1.0}
    shares = {k: weight[link.movement] for k, (_, link) in enumerate(ways)}
    return ways[pick(rng, shares)]


def approaches(streets: Streets, site: str, crossing: bool) -> list[Edge]:
    """Edges that lead to a junction of the wanted kind; those that can show the wanted zebra first choice."""
    lit = site == "signalised"
    found = [
        e
        for e in streets.edges.values()
        if e.drive
        and e.end in streets.junctions
        and streets.junctions[e.end].arms > 2
        and any(lane.links for lane in e.drive)
        and streets.signalised(e.end) == lit
        and length(e.drive[0].path) > 30
        and length(e.drive[0].shape) > 8
    ]
    if crossing:
        return [e for e in found if own_crossings(streets, e)] or found
    return found


def signalised_moments(streets: Streets, traffic: Traffic, wish: Wish, rng: np.random.Generator) -> Iterator[Moment]:
    """Moments at which ego's own link shows the wanted state; yellow is looked for, not waited for. With `wish.arrows`
    those at which the movements differ come first."""
    found = approaches(streets, "signalised", wish.crossing)
    if wish.arrows and wish.light != "off":
        yield from _signalised(streets, traffic, wish, found, True, rng)
    yield from _signalised(streets, traffic, wish, found, False, rng)


def _signalised(
    streets: Streets, traffic: Traffic, wish: Wish, found: list[Edge], differ: bool, rng: np.random.Generator
) -> Iterator[Moment]:
    for k in rng.permutation(len(found)):
        edge = found[int(k)]
        way = _lane_and_link(edge, rng, lit=True)
        if way is None:
            continue
        lane, link = way
        pool = []
        for time in traffic.tls_times:
            states = approach_states(traffic, edge, float(time))
            signal = traffic.state(link.tls, float(time))
            own = LETTERS.get(signal[link.index], "red") if link.index < len(signal) else "off"
            if own == wish.light or wish.light == "off":
                states = states | {link.movement: own}
                if (len(set(states.values())) > 1) == differ or wish.light == "off":
                    pool.append((float(time), states))
        if not pool:
            continue
        time, states = choice(rng, pool)
        if wish.light == "off":
            states = dict.fromkeys(states, "off")
        yield Moment(edge, lane, link, time, states, len(set(states.values())) > 1)


def unsignalised_moments(streets: Streets, traffic: Traffic, wish: Wish, rng: np.random.Generator) -> Iterator[Moment]:
    """Moments before a junction without lights."""
    found = approaches(streets, "unsignalised", wish.crossing)
    steps = traffic.steps
    for k in rng.permutation(len(found)):
        way = _lane_and_link(found[int(k)], rng, lit=False)
        if way is not None and len(steps):
            yield Moment(found[int(k)], *way, float(choice(rng, list(steps))), {}, False)


def plain_moments(streets: Streets, traffic: Traffic, wish: Wish, rng: np.random.Generator) -> Iterator[Moment]:
    """Moments along a lane with no junction ahead; `reach` leaves room for a midblock crossing or a toll booth."""
    steps = traffic.steps
    roads = [e for e in streets.edges.values() if e.drive and (e.road_class == "toll") == (wish.site == "toll")]
    for k in rng.permutation(len(roads)):
        edge = roads[int(k)]
        total = length(edge.drive[0].shape)
        junction = edge.last in streets.junctions and streets.junctions[edge.last].arms > 2
        room = total - (max(CLEAR_M - edge.remaining, 5.0) if junction else 5.0)
        if wish.site == "toll":
            room = total - 25.0
        if room < 25.0 or not len(steps):
            continue
        lane = choice(rng, edge.drive)
        link = choice(rng, lane.links) if lane.links else None
        yield Moment(edge, lane, link, float(choice(rng, list(steps))), {}, False, uniform(rng, 20.0, room))


def moments(streets: Streets, traffic: Traffic, wish: Wish, rng: np.random.Generator) -> Iterator[Moment]:
    """All moments that meet the wish's site and light, in random order."""
    maker = {"signalised": signalised_moments, "unsignalised": unsignalised_moments}.get(wish.site, plain_moments)
    return maker(streets, traffic, wish, rng)


def speed_near(traffic: Traffic, time: float, x: float, y: float, limit_kmh: int, rng: np.random.Generator) -> float:
    """A plausible ego speed in m/s: that of the nearest vehicle within 25 m, else about the limit."""
    rows = traffic.rows(time)
    if len(rows):
        apart = np.hypot(traffic.x[rows] - x, traffic.y[rows] - y)
        if apart.min() < 25.0:
            return float(traffic.speed[rows[int(apart.argmin())]])
    return limit_kmh / 3.6 * (uniform(rng, 0.6, 1.0) if chance(rng, 0.9) else 0.2)


def place(lane: Lane, distance: float) -> tuple[float, float, float]:
    """(x, y, yaw) on a lane."""
    return at(lane.shape, distance)
