"""The Parquet schema of a Dataset, and a Sample to and from one row of it.

The schema carries the Hugging Face feature description in its metadata, so that `datasets.load_dataset` opens the files
as they are with Image features. It is written here with pyarrow alone: workers that write shards need not import
`datasets`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pacenote.advisory import CROSSROADS, OBSTACLES, SLOTS, Truth
from pacenote.data.sample import Picture, Sample
from pacenote.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_VERSION = 1
# Conditions with a column of their own; every other key of Sample.conditions travels in the JSON column `other`.
CONDITIONS: dict[str, type] = {
    "weather": str,
    "time": str,
    "road_class": str,
    "network": str,
    "light_px": float,  # diameter of ego's lens in pixels of images[0]
    "light_m": float,  # distance to ego's light
    "limit_kmh": int,  # a limit that the question may state
    "left_hand": bool,
    "simulated": bool,
}
CAMERA = ("width", "height", "fx", "fy", "cx", "cy", "k1", "x", "y", "z", "yaw", "pitch", "roll")
_MISSING = ("scene", "twin_of", "drive", "licence")  # "" in a Sample, null in the file


@functools.cache
def schema() -> pa.Schema:
    """The arrow schema of every shard, with the Hugging Face features and our schema version in its metadata."""
    import pyarrow as pa

    text, number, flag = pa.string(), pa.float64(), pa.bool_()
    image = pa.struct({"bytes": pa.binary(), "path": text})
    arrow = {str: text, float: number, int: pa.int32(), bool: flag}
    light = pa.struct(
        {
            "state": text,
            "movement": text,
            "place": text,
            "other": pa.struct({"state": text, "movement": text}),
        }
    )
    truth = pa.struct(
        {
            "speed_kmh": pa.int32(),
            "light": light,
            "light_state": text,
            "obstacles": pa.struct(dict.fromkeys(OBSTACLES, flag)),
            "obstacles_any": flag,
            "crossroad": pa.struct(dict.fromkeys(CROSSROADS, flag)),
            "crossroad_any": flag,
        }
    )
    distribution = _list(pa.struct({"value": text, "p": number}))
    conditions = pa.struct({name: arrow[kind] for name, kind in CONDITIONS.items()} | {"other": text})
    columns: dict[str, pa.DataType] = {
        "id": text,
        "images": _list(image),
        "image_roles": _list(text),
        "cameras": _list(text),
        "task": text,
        "question": text,
        "answer": text,
        "truth": truth,
        "posterior": pa.struct(dict.fromkeys(SLOTS, distribution)),
        "slot_weight": pa.struct(dict.fromkeys(SLOTS, number)),
        "weight": number,
        "evidence": text,
        "conditions": conditions,
        "source": text,
        "scene": text,
        "twin_of": text,
        "drive": text,
        "time_s": number,
        "speed_mps": number,
        "accel_mps2": number,
        "yaw_rate": number,
        "camera": pa.struct(dict.fromkeys(CAMERA, number)),
        "licence": text,
        "provenance": text,
        "segmentation": image,
    }
    features = {name: _feature(kind, image) for name, kind in columns.items()}
    metadata = {
        b"huggingface": json.dumps({"info": {"features": features}}).encode(),
        b"pacenote.schema": str(SCHEMA_VERSION).encode(),
    }
    return pa.schema(columns, metadata=metadata)


def _list(item: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    return pa.list_(pa.field("item", item))


def _feature(kind: pa.DataType, image: pa.DataType) -> dict[str, Any]:
    """The Hugging Face description of an arrow type; structs of bytes and path are images."""
    import pyarrow as pa

    if kind == image:
        return {"_type": "Image"}
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type, image), "_type": "List"}
    if pa.types.is_struct(kind):
        return {kind.field(i).name: _feature(kind.field(i).type, image) for i in range(kind.num_fields)}
    names = {pa.string(): "string", pa.float64(): "float64", pa.int32(): "int32", pa.bool_(): "bool"}
    return {"dtype": names[kind], "_type": "Value"}


def to_row(sample: Sample) -> dict[str, Any]:
    """The sample as a dict of plain values that `pyarrow.Table.from_pylist(rows, schema())` takes."""
    row: dict[str, Any] = {name: getattr(sample, name) for name in Sample.__dataclass_fields__}
    row["images"] = [_picture_row(picture) for picture in sample.images]
    row["segmentation"] = _picture_row(sample.segmentation) if sample.segmentation else None
    row["truth"] = sample.truth.to_dict() if sample.truth is not None else None
    for name, keys in (("posterior", SLOTS), ("slot_weight", SLOTS), ("camera", CAMERA)):
        _known_keys(sample, name, row[name], keys)
    if sample.posterior is not None:
        row["posterior"] = {
            slot: [{"value": value, "p": float(p)} for value, p in values.items()]
            for slot, values in sample.posterior.items()
        }
    if sample.camera is not None:
        row["camera"] = {name: float(value) for name, value in sample.camera.items()}
    row["evidence"] = None if sample.evidence is None else _json(sample, "evidence", sample.evidence)
    row["provenance"] = _json(sample, "provenance", sample.provenance)
    row["conditions"] = _conditions_row(sample)
    for name in _MISSING:
        row[name] = row[name] or None
    return row


def from_row(row: Mapping[str, Any]) -> Sample:
    """A Sample from one row as pyarrow's `to_pylist` gives it. Raises InputError on values that make no Sample."""
    values = dict(row)
    values["images"] = tuple(_picture(item) for item in row["images"] or ())
    values["image_roles"] = tuple(row["image_roles"] or ())
    values["cameras"] = tuple(row["cameras"] or ())
    values["segmentation"] = _picture(row["segmentation"]) if row["segmentation"] else None
    values["truth"] = _truth(row)
    if row["posterior"] is not None:
        values["posterior"] = {
            slot: {item["value"]: item["p"] for item in items}
            for slot, items in row["posterior"].items()
            if items is not None
        }
    for name in ("slot_weight", "camera"):
        if row[name] is not None:
            values[name] = {key: value for key, value in row[name].items() if value is not None}
    values["evidence"] = json.loads(row["evidence"]) if row["evidence"] else None
    values["provenance"] = json.loads(row["provenance"]) if row["provenance"] else {}
    values["conditions"] = conditions_from_row(row["conditions"])
    for name in _MISSING:
        values[name] = row[name] or ""
    return Sample(**values)


def conditions_from_row(row: Mapping[str, Any] | None) -> dict[str, Any]:
    """The dict of conditions from its struct: null columns are left out, `other` is merged in."""
    if row is None:
        return {}
    known = {name: row[name] for name in CONDITIONS if row.get(name) is not None}
    return known | (json.loads(row["other"]) if row.get("other") else {})


def _truth(row: Mapping[str, Any]) -> Truth | None:
    try:
        return None if row["truth"] is None else Truth.from_dict(row["truth"])
    except ValueError as error:
        raise InputError(f"sample {row['id']}: its truth contradicts itself ({error}); correct or remove it") from None


def _picture_row(picture: Picture) -> dict[str, Any]:
    return {"bytes": picture.bytes, "path": picture.path or None}


def _picture(row: Mapping[str, Any]) -> Picture:
    return Picture(row["bytes"] or b"", row["path"] or "")


def _conditions_row(sample: Sample) -> dict[str, Any]:
    row: dict[str, Any] = {}
    other: dict[str, Any] = {}
    for name, value in sample.conditions.items():
        kind = CONDITIONS.get(name)
        if value is None:
            continue
        if kind is None:
            other[name] = value
        elif kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
            row[name] = float(value)
        elif type(value) is kind:
            row[name] = value
        else:
            raise InputError(f"sample {sample.id}: condition '{name}' must be {kind.__name__}, got {value!r}")
    row["other"] = _json(sample, "conditions", other) if other else None
    return row


def _known_keys(sample: Sample, name: str, value: Mapping[str, Any] | None, keys: tuple[str, ...]) -> None:
    unknown = set(value or ()) - set(keys)
    if unknown:
        raise InputError(f"sample {sample.id}: {name} has no '{min(unknown)}'; known are {', '.join(keys)}")


def _json(sample: Sample, name: str, value: Mapping[str, Any]) -> str:
    try:
        return json.dumps(value, separators=(",", ":"), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"sample {sample.id}: {name} cannot be written as JSON ({error})") from None
