"""A contact sheet of a Dataset: one self-contained HTML page with pictures, boxes, evidence, truth and answer."""

from __future__ import annotations

import base64
import html
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.advisory import Truth, kind_words
from pacenote.data.card import slot_table, table1
from pacenote.data.classes import CLASSES, PALETTE
from pacenote.data.dataset import Dataset
from pacenote.data.sample import Picture, Sample
from pacenote.errors import InputError
from pacenote.work import progress, write_text

if TYPE_CHECKING:
    from PIL import Image

WIDTH = 720  # pixels of a picture on the page: sharp on a card of 440 css pixels on a dense screen
_LAMPS = {"red": "#ff3b30", "yellow": "#ffc400", "green": "#23c552", "off": "#8a929b"}
_PLAIN = "#7fb2ff"
_STATED = {True: ("yes", "stated"), None: ("half", "not clear: the fact is unknown"), False: ("no", "left out")}


def view_dataset(
    path: str | Path,
    out: str | Path,
    *,
    split: str | None = None,
    count: int = 48,
    seed: int = 0,
    where: Mapping[str, str] | None = None,
) -> int:
    """Write the page `out` with up to `count` samples drawn by `seed`; returns how many are shown.

    `where` keeps only samples with these values, by slot (`light`, `obstacles`, `crossroad`, `speed`: a value or kind,
    "none", "any", "unknown"), by column (`source`, `task`, `drive`, `scene`, `id`) or by condition (`weather`, ...).
    Raises InputError when nothing is left or the key is not known.
    """
    dataset = Dataset.open(path, split)
    wanted = _matching(dataset, where or {})
    if not wanted:
        asked = ", ".join(f"{key}={value}" for key, value in (where or {}).items())
        raise InputError(f"{path}: no sample{' with ' + asked if asked else 's'}; see the counts in its README.md")
    chosen = wanted if len(wanted) <= count else sorted(random.Random(seed).sample(wanted, count))
    cards = [card_html(sample) for sample in progress(dataset.select(chosen), "drawing", len(chosen))]
    write_text(out, page_html(dataset, cards, len(wanted)))
    return len(cards)


def _matching(dataset: Dataset, where: Mapping[str, str]) -> list[int]:
    """Indices of the samples that have all the wanted values; pictures are not read."""
    if not where:
        return list(range(len(dataset)))
    from pacenote.data.schema import conditions_from_row

    columns = ["id", "source", "task", "drive", "scene", "truth", "conditions"]
    known: set[str] = {*columns[:5], "speed", "light", "obstacles", "crossroad"}
    rows = dataset.table(columns).to_pylist()
    result = []
    for index, row in enumerate(rows):
        conditions = conditions_from_row(row["conditions"])
        known.update(conditions)
        held = {name: {str(value)} for name, value in conditions.items()}
        held |= {name: {row[name] or ""} for name in columns[:5]} | _truth_values(row["truth"])
        if all(value in held.get(name, set()) for name, value in where.items()):
            result.append(index)
    strange = sorted(set(where) - known)
    if strange:
        raise InputError(f"--where {strange[0]}: no such column or condition; known are {', '.join(sorted(known))}")
    return result


def _truth_values(row: Mapping[str, Any] | None) -> dict[str, set[str]]:
    truth = Truth.from_dict(row) if row else Truth.unknown()
    values = {"speed": {str(truth.speed_kmh)}, "light": {truth.light_state or "unknown"}}
    for slot in ("obstacles", "crossroad"):
        some = getattr(truth, f"{slot}_any")
        word = "unknown" if some is None else "any" if some else "none"
        values[slot] = {word} | {kind for kind, fact in getattr(truth, slot).items() if fact}
    return values


def page_html(dataset: Dataset, cards: Sequence[str], matching: int) -> str:
    """The whole page around the cards."""
    css = (Path(__file__).parent / "view.css").read_text(encoding="utf-8")
    card = dataset.card
    name = html.escape(card["name"])
    tables = [_table(*table1(card))]
    for slot in ("light", "obstacles", "crossroad", "weather", "time"):
        columns, rows = slot_table(card, slot)
        tables += [_table(columns, rows)] if rows else []
    facts = [f"{len(cards)} of {matching} samples", f"recipe {card['recipe'] or '-'}", f"seed {card['seed']}"]
    facts += [card["licence"]] if card["licence"] else []
    keys = "".join(
        f'<span><i class="key {shape}"></i>{words}</span>'
        for shape, words in (("", "stated"), ("dash", "not clear"), ("faint", "left out"))
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{name}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{css}</style>'
        f"<header><h1>{name}</h1><p>{html.escape(' · '.join(facts))}<br>{html.escape(card['description'])}</p></header>"
        f'<div class="counts">{"".join(tables)}</div>'
        '<div class="bar"><label><input type="checkbox" id="boxes" checked> boxes</label>'
        '<label><input type="checkbox" id="denied"> left-out objects</label>'
        f'<label><input type="checkbox" id="classes"> classes</label>{keys}</div>'
        f"<main>{''.join(cards)}</main></html>\n"
    )


def card_html(sample: Sample) -> str:
    """One sample: its frame with boxes, its other images, truth, answer, conditions and evidence."""
    parts = [_frame(sample), '<div class="body">']
    parts.append(f'<div class="id"><span>{html.escape(sample.id)}</span><span>{_origin(sample)}</span></div>')
    parts.append(_more(sample))
    if sample.truth is not None:
        parts.append(_slots(sample.truth))
    if sample.task != "advisory":
        parts.append(f'<p class="text"><b>{html.escape(sample.task)}:</b> {html.escape(sample.question)}</p>')
    if sample.answer is not None:
        parts.append(f'<p class="text"><b>Answer:</b> {html.escape(sample.answer)}</p>')
    chips = [f"{_words(name)} {_short(value)}" for name, value in sample.conditions.items()]
    chips += [f"drive {sample.drive}"] if sample.drive else []
    if sample.speed_mps is not None:
        chips.append(f"own speed {3.6 * sample.speed_mps:.0f} km/h")
    if chips:
        parts.append('<div class="chips">' + "".join(f"<span>{html.escape(chip)}</span>" for chip in chips) + "</div>")
    parts.append(_evidence(sample))
    return "<article>" + "".join(parts) + "</div></article>"


def _frame(sample: Sample) -> str:
    if not sample.images:
        return ""
    try:
        image = sample.image()
    except InputError as error:
        return f'<div class="broken">{html.escape(str(error))}</div>'
    width, height = image.size
    layers = [f'<img src="{_thumbnail(image, WIDTH)}" width="{width}" height="{height}" alt="" loading="lazy">']
    if sample.segmentation is not None:
        layers.append(f'<img class="classes" src="{_classes(sample.segmentation)}" alt="" loading="lazy">')
    things = (sample.evidence or {}).get("objects", ())
    boxes = "".join(_box(thing, width) for thing in things if thing.get("box"))
    layers.append(f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none">{boxes}</svg>')
    return f'<div class="frame">{"".join(layers)}</div>'


def _box(thing: Mapping[str, Any], width: int) -> str:
    """One object as SVG: a rectangle in its class's colour, its words when stated, everything known on hover."""
    x0, y0, x1, y1 = thing["box"]
    kind, state = str(thing.get("kind", "")), str(thing.get("state") or "")
    lamp = state.split()[0] if state else ""
    colour = _LAMPS.get(lamp, _PLAIN) if kind == "traffic_light" else _colour(kind)
    shape, meaning = _STATED[thing.get("stated")]
    known = [
        f"{key} {_short(thing[key])}" for key in ("role", *_MEASURES, "reason") if thing.get(key) not in (None, "")
    ]
    title = html.escape(f"{_words(kind)} {state} ({meaning})\n" + "\n".join(known))
    label = ""
    if thing.get("stated") is not False and thing.get("role") not in ("traffic", "parked", "oncoming"):
        size = width / 44
        words = html.escape(f"{lamp} light" if kind == "traffic_light" and lamp else _words(kind))
        place = f'x="{x0}" y="{max(y0 - size * 0.3, size)}"'
        label = f'<text {place} style="font-size:{size:.1f}px;stroke-width:{size / 4:.1f}px">{words}</text>'
    rect = f'<rect class="box" x="{x0}" y="{y0}" width="{max(x1 - x0, 1)}" height="{max(y1 - y0, 1)}"'
    return f'<g class="{shape}"><title>{title}</title>{rect} stroke="{colour}"/>{label}</g>'


_MEASURES = ("pixels", "visible", "lens_px", "contrast", "distance_m")


def _words(kind: str) -> str:
    return kind.replace("_", " ")


def _colour(kind: str) -> str:
    colour = PALETTE.get(kind)
    return _PLAIN if colour is None else "#{:02x}{:02x}{:02x}".format(*(max(value, 70) for value in colour))


def _more(sample: Sample) -> str:
    """The images after the first (crops, earlier frames, other cameras), small, with their roles."""
    tags = []
    for picture, role, camera in list(zip(sample.images, sample.image_roles, sample.cameras, strict=True))[1:]:
        try:
            source = _thumbnail(picture.open(), 200)
        except InputError:
            continue
        tags.append(f'<img src="{source}" title="{html.escape(f"{role} {camera}")}" alt="">')
    return f'<div class="more">{"".join(tags)}</div>' if tags else ""


def _slots(truth: Truth) -> str:
    unknown = '<span class="unknown">not known</span>'
    speed = unknown if truth.speed_kmh is None else f"{truth.speed_kmh} km/h"
    light = unknown if truth.light_state is None else html.escape(truth.light_state)
    if truth.light is not None and truth.light_state != "none":
        words = truth.light.state + (f" for {truth.light.movement}" if truth.light.movement != "any" else "")
        words += " at the toll station" if truth.light.place == "toll" else ""
        words += "; {} for {}".format(*truth.light.other) if truth.light.other else ""
        light = html.escape(words)
    if truth.light_state in _LAMPS:
        light = f'<i class="lamp" style="background:{_LAMPS[truth.light_state]}"></i>{light}'
    values = [("speed", speed), ("light", light)]
    for slot in ("obstacles", "crossroad"):
        facts, some = getattr(truth, slot), getattr(truth, f"{slot}_any")
        present = [kind_words(kind) for kind, fact in facts.items() if fact]
        doubt = [kind_words(kind) for kind, fact in facts.items() if fact is None]
        text = ", ".join(present) or ("none" if some is False else "some kind" if some else "")
        if some is None and not present:
            text = unknown if len(doubt) == len(facts) else "none"
        if doubt and len(doubt) < len(facts):
            text += f' <span class="unknown">(not known: {", ".join(doubt)})</span>'
        values.append((slot, text))
    return '<dl class="slots">' + "".join(f"<dt>{slot}</dt><dd>{text}</dd>" for slot, text in values) + "</dl>"


def _evidence(sample: Sample) -> str:
    evidence = sample.evidence or {}
    parts = []
    if evidence.get("description"):
        parts.append(f'<p class="text">{html.escape(str(evidence["description"]))}</p>')
    rules = evidence.get("rules") or ()
    things = evidence.get("objects") or ()
    if rules or things:
        parts.append(f"<details><summary>evidence: {len(things)} objects, {len(rules)} rules</summary>")
        parts.append(
            "<ul>" + "".join(f"<li>{html.escape(str(rule))}</li>" for rule in rules) + "</ul>" if rules else ""
        )
        columns = ["kind", "state", "stated", *_MEASURES, "role", "reason"]
        rows = [[_short(thing.get(name)) for name in columns] for thing in things]
        parts.append('<div style="overflow-x:auto">' + _table(columns, rows) + "</div></details>")
    return "".join(parts)


def _origin(sample: Sample) -> str:
    parts = [sample.source]
    parts += [f"{sample.time_s:.1f} s"] if sample.time_s is not None else []
    parts += [f"twin of {sample.twin_of}"] if sample.twin_of else []
    return html.escape(" · ".join(parts))


def _short(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _table(columns: Sequence[Any], rows: Sequence[Sequence[Any]]) -> str:
    head = "".join(f"<th>{html.escape(_words(str(name)))}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(_words(str(v)))}</td>" for v in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>" if rows else ""


def _thumbnail(image: Image.Image, width: int) -> str:
    from PIL import Image as module

    if image.width > width:
        size = (width, max(1, round(image.height * width / image.width)))
        image = image.resize(size, module.Resampling.LANCZOS)
    return _uri(Picture.encode(image, quality=85), "jpeg")


def _classes(segmentation: Picture) -> str:
    """The class map in the colours of PALETTE, as a small palette PNG."""
    from PIL import Image as module

    try:
        image = module.fromarray(segmentation.classes())
    except InputError:
        return ""
    image.putpalette([value for name in CLASSES for value in PALETTE[name]])
    return _uri(Picture.encode(image, format="PNG"), "png")


def _uri(picture: Picture, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(picture.bytes).decode()}"
