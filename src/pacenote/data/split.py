"""Split a Dataset by road network, scene or drive, so that nothing of one unit is on both sides; and join Datasets."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pacenote.data.card import Card
from pacenote.data.dataset import Dataset, DatasetWriter
from pacenote.data.sample import SPLITS, Sample
from pacenote.errors import InputError
from pacenote.work import digest, progress

UNITS = ("network", "scene", "drive")


def units(sample: Sample) -> dict[str, str]:
    """What a sample shares with others, by kind: network, scene, drive, twin, image (digest of its frame's bytes)."""
    held = {
        "network": sample.network,
        "scene": sample.scene,
        "drive": sample.drive,
        "twin": sample.twin_of or sample.id,
        "image": image_digest(sample),
    }
    return {kind: value for kind, value in held.items() if value}


def image_digest(sample: Sample) -> str:
    """Digest of all encoded images together; "" without images."""
    if not sample.images:
        return ""
    return hashlib.sha256(b"".join(picture.bytes for picture in sample.images)).hexdigest()[:16]


def group(units_by_id: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Sample id -> name of its group: samples that share any unit, directly or over others, are in one group."""
    parent: dict[str, str] = {}

    def find(node: str) -> str:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for id, held in units_by_id.items():
        for kind, value in held.items():
            a, b = find(f"id {id}"), find(f"{kind} {value}")
            if a != b:
                parent[max(a, b)] = min(a, b)  # the least name leads, so the order of the samples does not matter
    return {id: find(f"id {id}") for id in units_by_id}


def assign(sizes: Mapping[str, int], shares: Mapping[str, float], seed: int) -> dict[str, str]:
    """Group -> split. Groups in an order drawn from `seed`; each goes where most is still wanted, so the sizes come as
    near to `shares` as whole groups allow. Every split of a positive share gets a group.

    Raises InputError when there are fewer groups than splits.
    """
    wanted = {split: share for split, share in shares.items() if share > 0}
    if len(sizes) < len(wanted):
        raise InputError(
            f"{len(sizes)} separate groups cannot fill {len(wanted)} splits without a leak; split by a smaller unit"
        )
    total = sum(sizes.values())
    order = sorted(sizes, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
    order.sort(key=lambda name: -sizes[name])  # large first: small ones then even out what is left (stable sort)
    held = dict.fromkeys(wanted, 0)
    result: dict[str, str] = {}
    for index, name in enumerate(order):
        empty = [split for split in wanted if not held[split]]
        choice = empty if len(order) - index <= len(empty) else list(wanted)
        split = max(choice, key=lambda s: wanted[s] * total - held[s])
        held[split] += sizes[name]
        result[name] = split
    return result


def split_dataset(
    path: str | Path, out: str | Path, *, by: str, dev: float = 0.1, test: float = 0.1, seed: int = 0
) -> Dataset:
    """Copy a Dataset (all its splits together) into new splits; samples that share a scene, drive, twin, identical
    image or, with `by="network"`, a network stay together. Continues after a kill.

    Raises InputError on shares that do not fit, samples without the unit, or too few units.
    """
    if by not in UNITS:
        raise InputError(f"--by '{by}' is not one of {', '.join(UNITS)}")
    if dev < 0 or test < 0 or dev + test >= 1:
        raise InputError(f"--dev {dev} and --test {test} must leave something to train on; their sum must be below 1")
    source = Dataset.open(path)
    # Frames of one network are different places, so a network binds only when asked for.
    kinds = {"scene", "drive", "twin", "image", by}
    held: dict[str, dict[str, str]] = {}
    for sample in progress(source, "reading", len(source)):
        shared = units(sample)
        if by not in shared:
            raise InputError(f"{path}: sample {sample.id} has no {by}; split by another unit with --by")
        held[sample.id] = {kind: value for kind, value in shared.items() if kind in kinds}
    groups = group(held)
    splits = assign(Counter(groups.values()), {"train": 1 - dev - test, "dev": dev, "test": test}, seed)
    card = Card(
        name=Path(out).name,
        recipe=digest({"split": [source.card["recipe"], source.card["seed"], by, dev, test]}),
        seed=seed,
        licence=source.card["licence"],
        description=source.card["description"],
        notes={"split_by": by, "from": source.card["name"]},
    )
    with DatasetWriter(out, card) as writer:
        for sample in progress(source, "writing", len(source)):
            writer.add(sample, splits[groups[sample.id]])
        for row in source.rejected():
            writer.reject(row.id, row.reason, row.source, row.detail)
    return Dataset.open(out)


def leaks(units_by_split: Mapping[str, Iterable[tuple[str, Mapping[str, str]]]]) -> dict[str, dict[str, list[str]]]:
    """Kind of unit -> {unit: its sample ids} for the units that occur in more than one split."""
    seen: dict[tuple[str, str], dict[str, list[str]]] = {}
    for split, samples in units_by_split.items():
        for id, held in samples:
            for kind, value in held.items():
                seen.setdefault((kind, value), {}).setdefault(split, []).append(id)
    found: dict[str, dict[str, list[str]]] = {}
    for (kind, value), by_split in seen.items():
        if len(by_split) > 1:
            found.setdefault(kind, {})[value] = [id for ids in by_split.values() for id in ids]
    return found


def merge_datasets(paths: Sequence[str | Path], out: str | Path, *, name: str = "") -> Dataset:
    """Join Datasets, each sample in its split. Continues after a kill.

    Raises InputError when an id occurs twice, or a scene, drive, twin or network would be in two splits.
    """
    if len(paths) < 2:
        raise InputError("merge needs at least two datasets")
    sources = [Dataset.open(path) for path in paths]
    owners: dict[str, str] = {}
    shared: dict[str, list[tuple[str, Mapping[str, str]]]] = {}
    for path, source in zip(paths, sources, strict=True):
        for split in source.splits:
            columns = ["id", "scene", "drive", "twin_of", "conditions"]
            for row in Dataset.open(path, split).table(columns).to_pylist():
                if owners.setdefault(row["id"], str(path)) != str(path):
                    raise InputError(f"sample {row['id']} is in {owners[row['id']]} and in {path}; merge each set once")
                network = (row["conditions"] or {}).get("network")
                held = {"scene": row["scene"], "drive": row["drive"], "network": network}
                held["twin"] = row["twin_of"] or row["id"]
                shared.setdefault(split, []).append((row["id"], {kind: unit for kind, unit in held.items() if unit}))
    found = leaks(shared)
    if found:
        kind, unit = next((kind, unit) for kind, held in found.items() for unit in held)
        raise InputError(f"{kind} {unit} would be in two splits; merge into one set and use `pacenote data split`")
    cards = [source.card for source in sources]
    card = Card(
        name=name or Path(out).name,
        recipe=digest({"merge": [[card["recipe"], card["seed"], card["name"]] for card in cards]}),
        licence="; ".join(dict.fromkeys(card["licence"] for card in cards if card["licence"])),
        description="Joined from " + ", ".join(card["name"] for card in cards) + ".",
        notes={"from": [{key: card[key] for key in ("name", "recipe", "seed", "splits")} for card in cards]},
    )
    with DatasetWriter(out, card) as writer:
        for path, source in zip(paths, sources, strict=True):
            for split in SPLITS:
                if split in source.splits:
                    part = Dataset.open(path, split)
                    for sample in progress(part, f"{source.card['name']} {split}", len(part)):
                        writer.add(sample, split)
            for row in source.rejected():
                writer.reject(row.id, row.reason, row.source, row.detail)
    return Dataset.open(out)
