"""Positions and speed from a GPX track (GPX 1.0 and 1.1)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pacenote.drives.csv_signals import epoch_seconds
from pacenote.drives.geo import local_metres
from pacenote.drives.series import Series
from pacenote.errors import InputError


def read_gpx(path: Path) -> list[Series]:
    """Positions as metres in a local plane, and speed in m/s where the track gives one; stamps count from 1970.

    `<speed>` is read wherever it stands: GPX 1.0 has it in the point, Garmin's TrackPointExtension v2 in the point's
    extensions, both in m/s. Raises InputError for no GPX, one that declares entities, or no point with a time.
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import parse

    try:
        root = parse(path).getroot()
    except (ParseError, DefusedXmlException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a readable GPX track ({type(error).__name__}); export it again") from None
    rows = []
    for point in root.iter() if root is not None else ():
        if _plain(point.tag) != "trkpt":
            continue
        told = {_plain(child.tag): (child.text or "").strip() for child in point.iter() if child is not point}
        try:
            stamp = epoch_seconds(told["time"])
            rows.append((stamp, float(point.attrib["lat"]), float(point.attrib["lon"]), _speed(told)))
        except (KeyError, ValueError):
            continue
    if not rows:
        raise InputError(f"{path}: no track point with a time; export the track with times")
    times, lat, lon, speed = np.array(rows).T
    x, y = local_metres(lat, lon)
    series = [Series.of("x_m", times, x, path.name), Series.of("y_m", times, y, path.name)]
    if np.isfinite(speed).any():
        series.insert(0, Series.of("speed_mps", times, speed, path.name))
    return series


def _plain(tag: object) -> str:
    return str(tag).rpartition("}")[2]


def _speed(told: dict[str, str]) -> float:
    try:
        return float(told.get("speed", "nan"))
    except ValueError:
        return float("nan")
