"""A metre on the earth is a metre in the plane, whichever way the position is given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacenote.drives.geo import SEMI_MAJOR_M, SEMI_MINOR_M, local_metres, local_of_ecef, speed_of_positions


def test_a_degree_of_latitude_is_111_km_to_the_north() -> None:
    x, y = local_metres([48.0, 49.0], [11.0, 11.0])
    assert x.tolist() == [0.0, 0.0]
    assert y[1] == pytest.approx(111_195, rel=1e-3)


def test_east_is_positive_across_the_date_line() -> None:
    x, _ = local_metres([0.0, 0.0], [179.9999, -179.9999])
    assert x[1] == pytest.approx(22.24, rel=1e-2)


def test_an_unknown_fix_is_unknown_and_is_no_origin() -> None:
    x, y = local_metres([float("nan"), 48.0], [float("nan"), 11.0])
    assert np.isnan(x[0])
    assert (x[1], y[1]) == (0.0, 0.0)
    assert np.isnan(local_metres([float("nan")], [0.0])[0]).all()


@given(st.floats(-75, 75), st.floats(-179, 179), st.floats(-300, 300), st.floats(-300, 300))
def test_earth_centred_positions_agree_with_degrees(lat: float, lon: float, east: float, north: float) -> None:
    """Both ways to the plane agree within the flattening of the earth (0.7 % of the distance)."""
    metre = 1 / 111_195
    lats = np.array([lat, lat + north * metre])
    lons = np.array([lon, lon + east * metre / np.cos(np.radians(lat))])
    a = local_of_ecef(np.stack([ecef(*pair) for pair in zip(lats, lons, strict=True)]))
    b = local_metres(lats, lons)
    assert np.array(a) == pytest.approx(np.array(b), abs=0.007 * np.hypot(east, north) + 0.01)


def ecef(lat: float, lon: float) -> np.ndarray:
    """WGS 84 at height 0."""
    phi, lam = np.radians([lat, lon])
    e2 = 1 - (SEMI_MINOR_M / SEMI_MAJOR_M) ** 2
    n = SEMI_MAJOR_M / np.sqrt(1 - e2 * np.sin(phi) ** 2)
    return np.array([n * np.cos(phi) * np.cos(lam), n * np.cos(phi) * np.sin(lam), n * (1 - e2) * np.sin(phi)])


def test_speed_of_fast_fixes_is_measured_over_a_second() -> None:
    times = np.arange(0, 10, 0.1)
    noisy = 10 * times + np.random.default_rng(0).normal(0, 0.05, len(times))
    when, speed = speed_of_positions(times, noisy, np.zeros(len(times)))
    assert len(when) == 9
    assert speed == pytest.approx(np.full(9, 10.0), abs=0.3)
    assert len(speed_of_positions(np.empty(0), np.empty(0), np.empty(0))[0]) == 0
