"""Datasets for other tools: TRL messages, ShareGPT for LLaMA-Factory, COCO boxes of the evidence."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pacenote.data.dataset import Dataset
from pacenote.data.sample import Picture, Sample
from pacenote.errors import InputError
from pacenote.work import atomic, digest, prepare_out, progress, read_json, write_json

FORMATS = ("trl", "trl-parquet", "sharegpt", "coco")
SKIPPED_FILE = "skipped.jsonl"
_MARKER = "export.json"
_SUFFIX = {b"\xff\xd8\xff": ".jpg", b"\x89PN": ".png", b"RIF": ".webp"}
# A placeholder left in a question would be counted as one more image.
_PLACEHOLDER = re.compile(r"<\|?/?(?:image|video|audio|img|vision_start|vision_end|image_pad)\|?>")


def export_dataset(path: str | Path, out: str | Path, format: str, *, split: str | None = None) -> dict[str, int]:
    """Write a Dataset (one split, or all) for another tool; returns {"written", "skipped"}.

    A sample without a full answer (some fact is not known) is left out of the chat formats and named in skipped.jsonl.
    A killed export is continued by the same call. Raises InputError for another format or a directory in use.
    """
    if format not in FORMATS:
        raise InputError(f"--format '{format}' is not one of {', '.join(FORMATS)}")
    dataset = Dataset.open(path, split)
    directory = prepare_out(out, marker=_MARKER)
    claim = {"format": format, "split": split, "dataset": digest(dataset.card)}
    marker = directory / _MARKER
    if marker.exists() and read_json(marker) != claim:
        raise InputError(f"{out}: holds another export; give a new --out")
    write_json(marker, claim)
    skipped: list[dict[str, str]] = []
    written = _WRITERS[format](dataset, directory, skipped)
    with atomic(directory / SKIPPED_FILE) as partial:
        partial.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in skipped), encoding="utf-8")
    return {"written": written, "skipped": len(skipped)}


def target(sample: Sample) -> str:
    """The text that a model should answer: the written answer, else the truth in canonical words.

    Raises ValueError when there is neither: the message says which slots are not known.
    """
    if sample.answer is not None:
        return sample.answer
    if sample.truth is None:
        raise ValueError("neither answer nor truth")
    advisory = sample.truth.advisory()
    unknown = [slot for slot, value in advisory.to_dict().items() if value is None]
    if unknown:
        raise ValueError(f"not known: {', '.join(unknown)}")
    return advisory.text()


def messages(sample: Sample) -> list[dict[str, Any]]:
    """The sample as a chat in TRL's form: content parts, images first. Raises ValueError as `target` does."""
    question = _PLACEHOLDER.sub("", sample.question).strip()
    parts: list[dict[str, str]] = [{"type": "image"} for _ in sample.images]
    parts.append({"type": "text", "text": question})
    return [
        {"role": "user", "content": parts},
        {"role": "assistant", "content": [{"type": "text", "text": target(sample)}]},
    ]


def _trl(dataset: Dataset, out: Path, skipped: list[dict[str, str]]) -> int:
    """messages.jsonl with image paths relative to it."""
    written = 0
    with atomic(out / "messages.jsonl") as partial, partial.open("w", encoding="utf-8") as handle:
        for index, sample in enumerate(progress(dataset, "exporting", len(dataset))):
            try:
                chat = messages(sample)
            except ValueError as error:
                skipped.append({"id": sample.id, "reason": str(error)})
                continue
            row = {"messages": chat, "images": _images(sample, index, out), "id": sample.id}
            handle.write(json.dumps(row, ensure_ascii=False) + "\n")
            written += 1
    return written


def _trl_parquet(dataset: Dataset, out: Path, skipped: list[dict[str, str]]) -> int:
    """One Parquet file with the pictures inside, which `datasets.load_dataset` opens with Image features."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import Features, Image, List, Value

    part = {"type": Value("string"), "text": Value("string")}
    schema = Features(
        {
            "messages": List({"role": Value("string"), "content": List(part)}),
            "images": List(Image()),
            "id": Value("string"),
        }
    ).arrow_schema
    written = 0
    name = f"{dataset.split or 'train'}-00000-of-00001.parquet"
    with atomic(out / name) as partial, pq.ParquetWriter(partial, schema, compression="zstd") as writer:
        rows: list[dict[str, Any]] = []
        for sample in progress(dataset, "exporting", len(dataset)):
            try:
                chat = messages(sample)
            except ValueError as error:
                skipped.append({"id": sample.id, "reason": str(error)})
                continue
            pictures = [{"bytes": picture.bytes, "path": picture.path or None} for picture in sample.images]
            rows.append({"messages": chat, "images": pictures, "id": sample.id})
            written += 1
            if len(rows) == 64:
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
                rows = []
        writer.write_table(pa.Table.from_pylist(rows, schema=schema))
    return written


def _sharegpt(dataset: Dataset, out: Path, skipped: list[dict[str, str]]) -> int:
    """pacenote.json and dataset_info.json, as LLaMA-Factory reads them: one `<image>` in the text for each image."""
    rows = []
    for index, sample in enumerate(progress(dataset, "exporting", len(dataset))):
        try:
            answer = target(sample)
        except ValueError as error:
            skipped.append({"id": sample.id, "reason": str(error)})
            continue
        question = "<image>" * len(sample.images) + _PLACEHOLDER.sub("", sample.question).strip()
        chat = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        rows.append({"messages": chat, "images": _images(sample, index, out)})
    info = {
        "pacenote": {
            "file_name": "pacenote.json",
            "formatting": "sharegpt",
            "columns": {"messages": "messages", "images": "images"},
            "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"},
        }
    }
    write_json(out / "pacenote.json", rows)
    write_json(out / "dataset_info.json", info)
    return len(rows)


def _coco(dataset: Dataset, out: Path, skipped: list[dict[str, str]]) -> int:
    """annotations.json in COCO's detection form. A light's category carries its state ("traffic_light_red")."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories: dict[str, int] = {}
    for index, sample in enumerate(progress(dataset, "exporting", len(dataset))):
        if not sample.images or not sample.evidence or "objects" not in sample.evidence:
            skipped.append({"id": sample.id, "reason": "no picture with evidence"})
            continue
        width, height = sample.images[0].size()
        file = _images(sample, index, out, first=True)[0]
        images.append({"id": index + 1, "file_name": file, "width": width, "height": height, "sample": sample.id})
        for thing in sample.evidence["objects"]:
            if not thing.get("box"):
                continue
            x0, y0, x1, y1 = thing["box"]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index + 1,
                    "category_id": categories.setdefault(_category(thing), len(categories) + 1),
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": (x1 - x0) * (y1 - y0),
                    "iscrowd": 0,
                    "attributes": {key: thing.get(key) for key in ("stated", "visible", "role", "distance_m")},
                }
            )
    content = {
        "info": {"description": dataset.card["name"], "version": str(dataset.card["schema"])},
        "licenses": [{"id": 1, "name": dataset.card["licence"], "url": ""}],
        "images": images,
        "annotations": annotations,
        "categories": [{"id": id, "name": name, "supercategory": "road"} for name, id in categories.items()],
    }
    write_json(out / "annotations.json", content)
    return len(images)


def _category(thing: Mapping[str, Any]) -> str:
    state = str(thing.get("state") or "")
    return f"{thing['kind']}_{state.split()[0]}" if thing["kind"] == "traffic_light" and state else str(thing["kind"])


def _images(sample: Sample, index: int, out: Path, first: bool = False) -> list[str]:
    """Write the sample's encoded images under `out/images` (those there already stay); their relative paths."""
    folder = out / "images"
    folder.mkdir(exist_ok=True)
    stem = re.sub(r"[^\w-]+", "-", sample.id)[-60:].strip("-")
    names = []
    for number, picture in enumerate(sample.images[:1] if first else sample.images):
        name = f"{index:06d}-{stem}" + (f"-{number}" if number else "") + _suffix(picture)
        if not (folder / name).exists():
            with atomic(folder / name) as partial:
                partial.write_bytes(picture.bytes)
        names.append(f"images/{name}")
    return names


def _suffix(picture: Picture) -> str:
    return _SUFFIX.get(picture.bytes[:3], ".img")


_WRITERS: dict[str, Callable[[Dataset, Path, list[dict[str, str]]], int]] = {
    "trl": _trl,
    "trl-parquet": _trl_parquet,
    "sharegpt": _sharegpt,
    "coco": _coco,
}
