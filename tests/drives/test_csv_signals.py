"""A column's name tells its unit; what names none is left out and said; stamps since 1970 are read in any unit."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacenote.drives.csv_signals import epoch_seconds, read_csv_signals
from pacenote.drives.gpx import read_gpx
from pacenote.errors import InputError
from tests.drives.recordings import EPOCH, METRE_DEG, speed, way, write_csv, write_gpx


@given(st.floats(1e9, 4e9), st.sampled_from([(1.0, 0), (1e3, 3), (1e6, 6), (1e9, 9)]))
def test_the_size_of_a_stamp_tells_its_unit(seconds: float, unit: tuple[float, int]) -> None:
    assert epoch_seconds(repr(seconds * unit[0])) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize("text", ["2024-05-01T12:00:00Z", "2024-05-01 12:00:00", "2024-05-01T14:00:00+02:00"])
def test_a_date_is_utc_unless_it_says_otherwise(text: str) -> None:
    assert epoch_seconds(text) == datetime(2024, 5, 1, 12, tzinfo=UTC).timestamp()


def test_all_signals_in_si_units(tmp_path: Path) -> None:
    header = "Timestamp,speed_kmh,accel_g,yaw_rate_degs,steering,lat,lon,lux"
    rows = [(1000 * (EPOCH + t), 36, 0.1, 9, 77, 48 + t * METRE_DEG, 11, 500) for t in range(3)]
    notes: list[str] = []
    series, since_1970 = read_csv_signals(write_csv(tmp_path / "s.csv", header, rows), notes)
    told = {one.name: one for one in series}
    assert since_1970
    assert notes == []
    assert told["speed_mps"].time_s == pytest.approx([EPOCH, EPOCH + 1, EPOCH + 2])
    assert told["speed_mps"].value[0] == pytest.approx(10)
    assert told["accel_mps2"].value[0] == pytest.approx(0.980665)
    assert told["yaw_rate"].value[0] == pytest.approx(0.15708, rel=1e-3)
    assert told["y_m"].value[2] == pytest.approx(2.0, rel=1e-3)
    assert told["lux"].value[0] == 500
    assert set(told) == {"speed_mps", "accel_mps2", "yaw_rate", "x_m", "y_m", "lux"}


def test_a_column_without_a_unit_is_left_out_and_said(tmp_path: Path) -> None:
    notes: list[str] = []
    series, _ = read_csv_signals(write_csv(tmp_path / "s.csv", "t_s,speed,yaw_rate", [(0, 1, 2), (1, 1, 2)]), notes)
    assert [one.name for one in series] == ["yaw_rate"]
    assert "'speed' names no unit" in notes[0]


@pytest.mark.parametrize(
    ("header", "word"), [("v_kmh,lat", "time column"), ("t_s,colour", "no signal"), ("t_s,v", "no signal")]
)
def test_a_table_without_times_or_signals_is_refused(tmp_path: Path, header: str, word: str) -> None:
    with pytest.raises(InputError, match=rf"s\.csv.*{word}"):
        read_csv_signals(write_csv(tmp_path / "s.csv", header, [(1, 2)]), [])


def test_a_gpx_track_gives_metres_and_its_own_speed(tmp_path: Path) -> None:
    told = {one.name: one for one in read_gpx(write_gpx(tmp_path / "t.gpx", with_speed=True))}
    assert told["y_m"].value[4] == pytest.approx(way(4), rel=1e-3)
    assert told["speed_mps"].value[4] == speed(4)
    assert told["x_m"].time_s[0] == EPOCH
    assert "speed_mps" not in {one.name for one in read_gpx(write_gpx(tmp_path / "u.gpx"))}


@pytest.mark.parametrize(
    "text",
    [
        "no xml",
        "<gpx></gpx>",
        '<gpx><trk><trkpt lat="1" lon="2"></trkpt></trk></gpx>',
        '<!DOCTYPE g [<!ENTITY a "b">]><gpx>&a;</gpx>',
    ],
)
def test_a_gpx_without_timed_points_or_with_entities_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.gpx").write_text(text)
    with pytest.raises(InputError, match=r"t\.gpx"):
        read_gpx(tmp_path / "t.gpx")
