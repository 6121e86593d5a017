"""A speed log gives km/h between its rows and admits where it knows nothing."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacenote.drives.speed_log import SpeedLog, read_speed_log
from pacenote.errors import InputError


@pytest.mark.parametrize(
    ("header", "row", "kmh"),
    [
        ("t_s,v_kmh", "0,36", 36.0),
        ("t_s,v_ms", "0,10", 36.0),
        ("time_s,speed_mph", "0,10", 16.09344),
        (" T ,vEgo", "0,10", 36.0),
    ],
)
def test_units_follow_from_the_column_name(tmp_path: Path, header: str, row: str, kmh: float) -> None:
    (tmp_path / "log.csv").write_text(f"{header}\n{row}\n")
    assert read_speed_log(tmp_path / "log.csv").at(0.0) == pytest.approx(kmh)


def test_milliseconds_and_rows_without_numbers(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("time_ms,v_kmh\n0,10\n500,\nx,y\n1000,20\n")
    assert read_speed_log(tmp_path / "log.csv").at(0.5) == pytest.approx(15.0)


@given(st.lists(st.tuples(st.floats(0.01, 0.9), st.floats(0, 200)), min_size=1, max_size=30), st.floats(0, 1))
def test_a_value_between_rows_lies_between_their_speeds(steps: list[tuple[float, float]], share: float) -> None:
    times, speeds, now = [], [], 0.0
    for step, speed in steps:
        now += step
        times.append(now)
        speeds.append(speed)
    log = SpeedLog(tuple(times), tuple(speeds))
    at = times[0] + share * (times[-1] - times[0])
    value = log.at(at)
    assert value is not None
    assert min(speeds) - 1e-9 <= value <= max(speeds) + 1e-9
    assert log.at(times[0] - 10) is None
    assert log.at(times[-1] + 10) is None


def test_a_hole_is_unknown_not_interpolated() -> None:
    log = SpeedLog((0.0, 1.0, 9.0, 10.0), (10.0, 10.0, 50.0, 50.0))
    assert log.at(5.0) is None
    assert log.at(1.0) == 10.0
    assert log.at(9.0) == 50.0


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "column"),
        ("t_s,speed\n0,1\n", "column"),
        ("t_s,v_ms\nx,y\n", "no row"),
        ("t_s,v_ms\n2,1\n1,1\n", "backwards"),
    ],
)
def test_bad_logs_are_refused_with_their_name(tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(InputError, match=word) as caught:
        read_speed_log(tmp_path / "log.csv")
    assert "log.csv" in str(caught.value)


def test_a_binary_file_is_no_log(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match=r"log\.csv"):
        read_speed_log(tmp_path / "log.csv")
    with pytest.raises(InputError, match="no such"):
        read_speed_log(tmp_path / "gone.csv")
