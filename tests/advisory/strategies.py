"""Hypothesis strategies over the whole space of advisories and truths."""

from hypothesis import strategies as st

from pacenote.advisory import CROSSROADS, LIGHT_STATES, MOVEMENTS, OBSTACLES, PLACES, SPEEDS, Advisory, Light, Truth

lit = st.sampled_from(LIGHT_STATES[1:])
movements = st.sampled_from(MOVEMENTS)
lights = st.just(Light("none")) | st.builds(
    Light, lit, movements, st.sampled_from(PLACES), st.none() | st.tuples(lit, movements)
)
advisories = st.builds(
    Advisory,
    st.sampled_from(SPEEDS),
    lights,
    st.frozensets(st.sampled_from(OBSTACLES)),
    st.frozensets(st.sampled_from(CROSSROADS)),
)
partial_advisories = st.builds(
    Advisory,
    st.none() | st.sampled_from(SPEEDS),
    st.none() | lights,
    st.none() | st.frozensets(st.sampled_from(OBSTACLES)),
    st.none() | st.frozensets(st.sampled_from(CROSSROADS)),
)
fact = st.sampled_from([None, True, False])


@st.composite
def truths(draw: st.DrawFn) -> Truth:
    """Any consistent truth, each fact known or not."""
    obstacles = {kind: draw(fact) for kind in OBSTACLES}
    crossroad = {kind: draw(fact) for kind in CROSSROADS}
    light = draw(st.none() | lights)
    return Truth(
        speed_kmh=draw(st.none() | st.sampled_from(SPEEDS)),
        light=light,
        light_state=draw(st.none() | st.sampled_from(LIGHT_STATES)) if light is None else None,
        obstacles=obstacles,
        crossroad=crossroad,
    )
