"""`dataset.json`: what a Dataset holds, by source, slot value and condition; and the same as a page for people."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pacenote.advisory import CROSSROADS, LIGHT_STATES, OBSTACLES
from pacenote.data.sample import SOURCES, SPLITS
from pacenote.data.schema import SCHEMA_VERSION, conditions_from_row
from pacenote.errors import InputError
from pacenote.work import read_json

CARD_FILE = "dataset.json"
# The rows of the paper's Table 1 and the word for the same thing here.
TABLE1 = {"mined": "Real data", "imagined": "Text-to-image", "rendered": "Pure rendering"}
LIGHT_PX_BINS = (3, 6, 12, 24)  # lens diameter in pixels of the stored frame
_SHOWN_VALUES = 24  # a condition with more values than this is an identifier, and only its number is counted


@dataclass(frozen=True)
class Card:
    """What the maker of a Dataset knows; the counts are added from the rows. `recipe` is the digest of the recipe that
    made it and, with `seed`, its identity: a directory is only continued under the same two."""

    name: str
    recipe: str = ""
    seed: int = 0
    licence: str = ""
    description: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)  # versions, command, digests: anything worth keeping

    def identity(self) -> dict[str, Any]:
        return {"recipe": self.recipe, "seed": self.seed}

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA_VERSION,
            "name": self.name,
            "description": self.description,
            "licence": self.licence,
            "recipe": self.recipe,
            "seed": self.seed,
            "notes": dict(self.notes),
        }


def read_card(directory: Path) -> dict[str, Any]:
    """`dataset.json` as a dict. Raises InputError when it is missing, malformed or of another schema version."""
    path = directory / CARD_FILE
    if not path.is_file():
        raise InputError(
            f"{directory}: no {CARD_FILE}, so it is no finished dataset; give another directory or finish making it"
        )
    card = read_json(path)
    if not isinstance(card, dict) or "schema" not in card:
        raise InputError(f"{path}: not the card of a dataset; make the dataset again")
    if card["schema"] != SCHEMA_VERSION:
        raise InputError(f"{path}: schema version {card['schema']}, here {SCHEMA_VERSION} is read; update pacenote")
    return card


def count(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts over rows with the columns source, task, truth, conditions (as in the Parquet schema).

    Each slot counts its values, "unknown" apart; a kind of obstacles or crossroad counts the rows where it is true,
    "none" those where all are known to be absent.
    """
    source, task, speed, light = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    kinds: dict[str, Counter[str]] = {"obstacles": Counter(), "crossroad": Counter()}
    conditions: dict[str, Counter[str]] = {}
    samples = 0
    for row in rows:
        samples += 1
        source[row["source"]] += 1
        task[row["task"]] += 1
        for name, value in conditions_from_row(row["conditions"]).items():
            label = _condition_label(name, value)
            if label is not None:
                conditions.setdefault(name, Counter())[label] += 1
        truth = row["truth"]
        if truth is None:
            continue
        speed[_name(truth["speed_kmh"])] += 1
        light[_name(truth["light_state"])] += 1
        for slot, counter in kinds.items():
            present = [kind for kind, fact in (truth[slot] or {}).items() if fact]
            counter.update(present)
            state = truth[f"{slot}_any"]
            counter["any" if state else "none" if state is False else "unknown"] += 1
    return {
        "samples": samples,
        "source": _ordered(source, SOURCES),
        "task": _ordered(task, ()),
        "speed": _ordered(speed, sorted(speed, key=lambda name: int(name) if name.isdigit() else 999)),
        "light": _ordered(light, (*LIGHT_STATES, "unknown")),
        "obstacles": _ordered(kinds["obstacles"], ("any", "none", "unknown", *OBSTACLES)),
        "crossroad": _ordered(kinds["crossroad"], ("any", "none", "unknown", *CROSSROADS)),
        "conditions": {
            name: _ordered(counter, sorted(counter)) if len(counter) <= _SHOWN_VALUES else {"distinct": len(counter)}
            for name, counter in sorted(conditions.items())
        },
    }


def _name(value: Any) -> str:
    return "unknown" if value is None else str(value)


def _ordered(counter: Counter[str], order: Sequence[str]) -> dict[str, int]:
    names = [name for name in order if name in counter] + sorted(set(counter) - set(order))
    return {name: counter[name] for name in names}


def _condition_label(name: str, value: Any) -> str | None:
    if name == "light_px":
        edges = [edge for edge in LIGHT_PX_BINS if value >= edge]
        top = [edge for edge in LIGHT_PX_BINS if value < edge]
        return f"<{top[0]}" if not edges else f">={edges[-1]}" if not top else f"{edges[-1]}-{top[0]}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if isinstance(value, (str, int)) else None


def table1(card: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """(columns, rows) of the paper's Table 1 for a card: samples by source and split."""
    splits = [split for split in SPLITS if split in card["splits"]]
    counts = [card["counts"][split]["source"] for split in splits]
    held = [source for source in SOURCES if any(source in counter for counter in counts)]
    rows = [[TABLE1.get(s, s.capitalize()), *(counter.get(s, 0) for counter in counts)] for s in held]
    return ["", *splits], rows


def slot_table(card: Mapping[str, Any], slot: str) -> tuple[list[str], list[list[Any]]]:
    """(columns, rows): how often each value of a slot (or a condition) occurs in each split."""
    splits = [split for split in SPLITS if split in card["splits"]]
    held = [card["counts"][split] for split in splits]
    counts = [counts[slot] if slot in counts else counts["conditions"].get(slot, {}) for counts in held]
    values = list(dict.fromkeys(value for counter in counts for value in counter))
    return [slot, *splits], [[value, *(counter.get(value, 0) for counter in counts)] for value in values]


def readme(card: Mapping[str, Any]) -> str:
    """The README.md of a Dataset: the data files by split for `datasets.load_dataset`, then the counts."""
    files = "".join(f"  - split: {split}\n    path: {split}-*.parquet\n" for split in SPLITS if split in card["splits"])
    licence = f"license_name: {json.dumps(card['licence'])}\nlicense: other\n" if card["licence"] else ""
    parts = [f"---\n{licence}configs:\n- config_name: default\n  data_files:\n{files}---\n", f"# {card['name']}\n"]
    if card["description"]:
        parts.append(card["description"] + "\n")
    parts.append(f"Recipe `{card['recipe'] or '-'}`, seed {card['seed']}, licence {card['licence'] or 'not given'}.\n")
    parts.append(markdown(*table1(card)))
    conditions = {name for split in card["splits"] for name in card["counts"][split]["conditions"]}
    for slot in ("light", "obstacles", "crossroad", "speed", *sorted(conditions)):
        columns, rows = slot_table(card, slot)
        if rows:
            parts.append(markdown(columns, rows))
    if card["rejected"]:
        rows = [[reason, number] for reason, number in card["rejected"].items()]
        parts.append(markdown(["rejected (see rejected.parquet)", "rows"], rows))
    return "\n".join(parts)


def markdown(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in [columns, ["---"] * len(columns), *rows]]
    return "\n".join(lines) + "\n"
