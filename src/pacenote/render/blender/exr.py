"""Read the uncompressed, single-part scan-line OpenEXR that Blender writes (multilayer, no compression).

Layout: magic, version, header attributes up to an empty name, offset table of 64-bit positions, then one block a line:
int32 y, int32 bytes, channels one after the other in alphabetical order. Source: openexr.com, "OpenEXR File Layout".
"""

from __future__ import annotations

import struct

import numpy as np

_TYPES: dict[int, np.dtype] = {0: np.dtype("<u4"), 1: np.dtype("<f2"), 2: np.dtype("<f4")}


def read_exr(path: str) -> dict[str, np.ndarray]:
    """Channel name -> HxW array, row 0 at the top."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:4] != b"\x76\x2f\x31\x01":
        raise ValueError("not an OpenEXR file")
    at = 8
    channels: list[tuple[str, np.dtype]] = []
    window = (0, 0, 0, 0)
    while data[at] != 0:
        end = data.index(b"\0", at)
        name = data[at:end].decode()
        at = data.index(b"\0", end + 1) + 1
        (size,) = struct.unpack_from("<i", data, at)
        value = data[at + 4 : at + 4 + size]
        at += 4 + size
        if name == "compression" and value[0] != 0:
            raise ValueError("compressed OpenEXR")
        if name == "dataWindow":
            window = struct.unpack("<4i", value)
        if name == "channels":
            p = 0
            while value[p] != 0:
                q = value.index(b"\0", p)
                (kind,) = struct.unpack_from("<i", value, q + 1)
                channels.append((value[p:q].decode(), _TYPES[kind]))
                p = q + 17
    at += 1
    width, height = window[2] - window[0] + 1, window[3] - window[1] + 1
    line = np.dtype([("y", "<i4"), ("size", "<i4"), *((f"c{i}", t, (width,)) for i, (_, t) in enumerate(channels))])
    lines = np.frombuffer(data, line, height, at + 8 * height)
    order = np.argsort(lines["y"])
    return {name: lines[f"c{i}"][order] for i, (name, _) in enumerate(channels)}
