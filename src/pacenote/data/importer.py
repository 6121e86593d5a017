"""Photos from anywhere into Samples: a `labels.jsonl` beside its images, or a plain folder of photos.

One JSON object a line: `image` (relative to the file), `traffic_light` red|yellow|green|none, `cones`, `crossroad`
true|false, `speed_kmh` with `speed_kind` vehicle_log|speed_limit_sign, `clip`, `clip_frame`, anything else. Null and
absent mean not known, and stay so. No speed of such a file is a *recommended* speed: a vehicle log becomes the
sample's own speed, a limit sign a condition, and `truth.speed_kmh` stays unknown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pacenote.advisory import CROSSROADS, Truth
from pacenote.data.card import Card
from pacenote.data.dataset import Dataset, DatasetWriter
from pacenote.data.sample import Picture, Sample
from pacenote.data.shards import Rejected
from pacenote.errors import InputError
from pacenote.work import digest, digest_file, progress

LABELS_FILE = "labels.jsonl"
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
LIGHTS = ("red", "yellow", "green", "none", None)
SPEED_KINDS = ("vehicle_log", "speed_limit_sign")
_STORED = ("JPEG", "PNG", "WEBP")  # other formats are stored as PNG
_CONDITIONS = ("channeliser", "augmented", "simulated")


class LabelledPhotos(Sequence[Sample]):
    """The rows of a `labels.jsonl` as Samples whose pictures are read when asked for; `rejected` holds the bad rows."""

    def __init__(self, folder: Path, rows: Sequence[Mapping[str, Any]], rejected: Sequence[Rejected]) -> None:
        self.folder = folder
        self.rows = rows
        self.rejected = tuple(rejected)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]  # slices are not needed
        row = self.rows[index]
        return to_sample(row, Picture.read(self.folder / row["image"], row["image"]))


def import_labels(path: str | Path) -> LabelledPhotos:
    """Read a `labels.jsonl` (or the folder that holds it). A row is rejected, with its reason, when it is malformed,
    says a value outside the vocabulary, or names an image that is missing or not an image.

    Raises InputError when the file is missing or no row of it is good.
    """
    file = Path(path)
    file = file / LABELS_FILE if file.is_dir() else file
    rows: list[Mapping[str, Any]] = []
    rejected: list[Rejected] = []
    seen: set[str] = set()
    lines = list(_lines(file))
    folder = _image_root(file, [row for _, row in lines])
    for place, row in lines:
        name = str(row["image"]) if isinstance(row, dict) and row.get("image") else place
        reason = _bad_row(row) or ("its image occurs twice" if name in seen else "")
        if not reason:
            try:
                Picture.read(folder / name, name).size()
            except InputError as error:
                reason = _short(error)
        if reason:
            rejected.append(Rejected(name if name not in seen else place, reason, "mined", {"line": place}))
        else:
            rows.append(row)
        seen.add(name)
    if not rows:
        why = f"; the first: {rejected[0].reason}" if rejected else " (the file is empty)"
        raise InputError(f"{file}: no usable row{why}")
    return LabelledPhotos(folder, rows, rejected)


def _image_root(file: Path, rows: Sequence[Any]) -> Path:
    """The folder that the rows' images are relative to: the file's own, or the one above it where the file is one
    source's part of a joint collection."""
    names = [row["image"] for row in rows if not _bad_row(row)]
    own = any((file.parent / name).is_file() for name in names)
    above = any((file.parent.parent / name).is_file() for name in names)
    return file.parent.parent if above and not own else file.parent


def _lines(file: Path) -> Iterator[tuple[str, Any]]:
    """("labels.jsonl:12", the parsed line or None when it is no JSON) for each line that is not blank."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}); give a folder with {LABELS_FILE}") from None
    except UnicodeDecodeError:
        raise InputError(f"{file}: not UTF-8 text; save it as UTF-8, one JSON object a line") from None
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            yield f"{file.name}:{number}", row


def _bad_row(row: Any) -> str:
    """Why a row of labels cannot be used; "" when it can."""
    if not isinstance(row, dict):
        return "not a JSON object"
    if not isinstance(row.get("image"), str) or not row["image"]:
        return "no 'image'"
    if not any(row.get("traffic_light") is light or row.get("traffic_light") == light for light in LIGHTS):
        return f"traffic_light {row['traffic_light']!r} is not red, yellow, green, none or null"
    for name in ("cones", "crossroad"):
        if row.get(name) is not None and not isinstance(row[name], bool):
            return f"{name} {row[name]!r} is not true, false or null"
    speed = row.get("speed_kmh")
    if speed is not None:
        if isinstance(speed, bool) or not isinstance(speed, (int, float)) or not 0 <= speed <= 400:
            return f"speed_kmh {speed!r} is not a speed"
        if row.get("speed_kind") not in SPEED_KINDS:
            return f"speed_kind {row.get('speed_kind')!r} is not {' or '.join(SPEED_KINDS)}"
    if row.get("clip") is not None and not isinstance(row["clip"], str):
        return f"clip {row['clip']!r} is not a name"
    return ""


def to_sample(row: Mapping[str, Any], picture: Picture) -> Sample:
    """A Sample from one good row of labels (see `_bad_row`)."""
    crossroad = row.get("crossroad")
    truth = Truth(
        light_state=row.get("traffic_light"),
        obstacles={"cone": row.get("cones")},
        # True does not say whether it is a junction or a crossing; false denies both.
        crossroad=dict.fromkeys(CROSSROADS, False) if crossroad is False else {},
        crossroad_any=crossroad,
    )
    speed, kind = row.get("speed_kmh"), row.get("speed_kind")
    conditions = {name: row[name] for name in _CONDITIONS if isinstance(row.get(name), (str, bool))}
    if isinstance(row.get("source"), str):
        conditions["origin"] = row["source"]
    if speed is not None and kind == "speed_limit_sign":
        conditions["sign_kmh"] = speed  # what a sign in view says; not the limit that a question may state
    return Sample(
        id=row["image"],
        images=(picture,),
        truth=truth,
        source="mined",
        conditions=conditions,
        drive=row.get("clip") or "",
        speed_mps=speed / 3.6 if speed is not None and kind == "vehicle_log" else None,
        provenance={"labels": {name: value for name, value in row.items() if name != "image"}},
    )


@dataclass(frozen=True)
class _Photo:
    """A photo to import: its file, and the row that labels it (None in a plain folder)."""

    file: Path
    name: str
    row: Mapping[str, Any] | None


def import_photos(
    path: str | Path, out: str | Path, *, split: str = "test", licence: str = "", name: str = "", seed: int = 0
) -> Dataset:
    """Import a `labels.jsonl` (file, or folder with one) or a plain folder of photos into the Dataset `out`.

    Every picture is decoded once; what cannot be read goes to rejected.parquet with its reason. In a plain folder all
    facts are unknown. Continues after a kill.
    """
    source = Path(path)
    labels = source / LABELS_FILE if source.is_dir() else source
    rejected: Sequence[Rejected] = ()
    if labels.is_file():
        labelled = import_labels(labels)
        photos = [_Photo(labelled.folder / row["image"], row["image"], row) for row in labelled.rows]
        rejected, identity = labelled.rejected, digest_file(labels)
    elif source.is_dir():
        files = sorted(file for file in source.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        if not files:
            raise InputError(f"{source}: no photos ({', '.join(SUFFIXES)}) and no {LABELS_FILE} there")
        photos = [_Photo(file, file.relative_to(source).as_posix(), None) for file in files]
        identity = digest([photo.name for photo in photos])
    else:
        raise InputError(f"{source}: no such folder or {LABELS_FILE}")
    card = Card(name or source.resolve().name, digest({"import": identity, "split": split}), seed, licence)
    with DatasetWriter(out, card) as writer:
        for row in rejected:
            writer.reject(row.id, row.reason, row.source, row.detail)
        for photo in progress(photos, "importing", len(photos)):
            if writer.has(photo.name):
                continue
            try:
                picture = _stored(Picture.read(photo.file, photo.name))
            except InputError as error:
                writer.reject(photo.name, _short(error), "mined")
                continue
            if photo.row is None:
                sample = Sample(photo.name, (picture,), truth=Truth.unknown(), source="mined", licence=licence)
            else:
                sample = replace(to_sample(photo.row, picture), licence=licence)
            writer.add(sample, split)
    return Dataset.open(out)


def _stored(picture: Picture) -> Picture:
    """The picture as it is stored: its own bytes after a full decode, or PNG for formats that others cannot open."""
    import io

    from PIL import Image

    decoded = picture.open()
    with Image.open(io.BytesIO(picture.bytes)) as image:
        if image.format in _STORED:
            return picture
    return Picture.encode(decoded, picture.path, format="PNG")


def _short(error: InputError) -> str:
    """The reason of a picture's error without its file name and the mend, so that equal reasons count together."""
    reason = str(error).split(": ", 1)[-1].split("; ")[0]
    return "huge image" if "megapixels" in reason else reason
