"""How the results of each kind of stage look in the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pacenote.advisory import SLOTS, Truth
from pacenote.errors import InputError
from pacenote.work import Page, read_json

FAILURES = 12  # pictures over all slots; each evaluation's own page has more
ANSWERS = 12
FRAMES = 16  # of a Dataset
EMBED_BYTES = 24 << 20  # of a video inside the page
STILLS = 12
PICTURE_WIDTH = 448  # px: what the starters see


def show_dataset(page: Page, out: Path, split: str) -> None:
    """How many, how many refused and why, and frames with their truth."""
    from collections import Counter

    from pacenote.data import Dataset

    dataset = Dataset.open(out, split=split)
    refused = Counter(row.reason.split(":")[0] for row in dataset.rejected())
    why = ", ".join(f"{count} {reason}" for reason, count in refused.most_common(5))
    page.paragraph(f"{len(dataset)} frames; {refused.total()} scenes refused{f' ({why})' if why else ''}.")
    step = max(1, -(-len(dataset) // FRAMES))
    items = []
    for index in range(0, len(dataset), step):
        sample = dataset[index]
        facts = [truth_line(sample.truth, slot) for slot in SLOTS] if sample.truth else []
        where = [str(sample.conditions[key]) for key in ("weather", "time", "road_class") if key in sample.conditions]
        items.append((sample.image(0), "\n".join([*facts, ", ".join(where)])))
    page.gallery(items)


def truth_line(truth: Truth, slot: str) -> str:
    """One slot of a truth in words; what cannot be told from the frame says so."""
    known = {
        "speed": truth.speed_kmh is not None,
        "light": truth.light_state is not None,
        "obstacles": truth.obstacles_any is not None or any(truth.obstacles.values()),
        "crossroad": truth.crossroad_any is not None or any(truth.crossroad.values()),
    }
    from pacenote.evaluate.report import truth_words

    return f"{slot}: {truth_words(truth, slot) if known[slot] else 'cannot be told'}"


def show_training(page: Page, out: Path) -> None:
    """The loss of each stage of a training, and its figures."""
    import matplotlib
    import matplotlib.ticker

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    curves: dict[str, list[tuple[int, float]]] = {}
    for checkpoint in sorted(out.glob("*/checkpoint-*"), key=lambda path: int(path.name.rsplit("-", 1)[1])):
        state = checkpoint / "trainer_state.json"
        if state.is_file():
            history = read_json(state)["log_history"]
            curves[checkpoint.parent.name] = [(row["step"], row["loss"]) for row in history if "loss" in row]
    curves = {name: curves[name] for name in sorted(curves) if curves[name]}
    if not curves:
        page.paragraph("The training kept no losses.", note=True)
        return
    figure, axes = plt.subplots(1, len(curves), figsize=(4.2 * len(curves), 3), squeeze=False)
    for axis, (name, points) in zip(axes[0], curves.items(), strict=True):
        axis.plot(*zip(*points, strict=True), linewidth=1.2)
        axis.set(title=name, xlabel="step", ylabel="loss", yscale="log")
        axis.yaxis.set_minor_locator(matplotlib.ticker.LogLocator(subs=(2, 5)))
        axis.yaxis.set_major_formatter("{x:g}")  # 0.2, not 2 x 10^-1
        axis.yaxis.set_minor_formatter("{x:g}")
        axis.spines[["top", "right"]].set_visible(False)
    page.figure(figure, "Training loss of each stage")


def show_evaluation(page: Page, out: Path, data: str, split: str) -> None:
    """Main table, plots and a gallery of failures (of answers, where nothing is labelled)."""
    from pacenote.evaluate import tables
    from pacenote.evaluate.run import FIGURES

    figures = read_json(out / FIGURES)
    latency = figures["latency_ms"]
    facts = f"{figures['model']['name']} on {figures['frames']} frames of {figures['dataset']['name']}"
    if latency["n"]:
        facts += f"; {latency['p50']:.0f} ms a frame (p50 at batch 1)"
    page.paragraph(facts + ".")
    if figures.get("n"):
        page.table(*tables.main_table(figures))
        plots = sorted((out / "plots").glob("*.png"))
        page.gallery([(path, path.stem.replace("_", " ")) for path in plots])
    _answers(page, out, data, split, bool(figures.get("n")))


def _answers(page: Page, out: Path, data: str, split: str, scored: bool) -> None:
    from pacenote.evaluate.breakdown import slot_right
    from pacenote.evaluate.predictions import PredictionFile
    from pacenote.evaluate.report import slot_words, truth_words
    from pacenote.evaluate.source import open_source

    said = {prediction.id: prediction for prediction in PredictionFile(out).found.values()}
    source = open_source(data, split)
    wrong: dict[str, list[tuple[float, int, str]]] = {slot: [] for slot in SLOTS}
    plain: list[tuple[int, str]] = []
    for index, sample in source.frames():
        answer = said.get(sample.id)
        if answer is None:
            continue
        plain.append((index, answer.text))
        for slot in SLOTS:
            if sample.truth is not None and slot_right(answer, sample.truth, slot) is False:
                words = f"{slot}\nsaid: {slot_words(answer, slot)}\ntrue: {truth_words(sample.truth, slot)}"
                wrong[slot].append((-((answer.confidence or {}).get(slot) or 0.0), index, words))
    if scored:
        page.heading("Failures, the most confident first", level=3)
        share = max(1, FAILURES // len(SLOTS))
        chosen = [(index, words) for slot in SLOTS for _, index, words in sorted(wrong[slot])[:share]]
        if not chosen:
            page.paragraph("None.", note=True)
    else:
        chosen = plain[:: max(1, len(plain) // ANSWERS)][:ANSWERS]
    page.gallery([(_thumbnail(source.samples[index].image(0)), words) for index, words in chosen])


def show_advisories(page: Page, file: Path) -> None:
    """The photos with what was said about each."""
    from pacenote.models.frames import open_image

    items = []
    for row in map(json.loads, file.read_text(encoding="utf-8").splitlines()):
        try:
            picture = _thumbnail(open_image(Path(row["image"])))
        except InputError:
            continue  # moved away since; its answer stays in the file
        items.append((picture, f"{lines_of(row['text'])}\n{Path(row['image']).name}, {row['ms']:.0f} ms"))
    page.gallery(items)


def show_overlay(page: Page, out: Path) -> None:
    """The overlay video, or pictures from it where it is too large to embed."""
    rows = [json.loads(line) for line in (out / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    mean = sum(row["ms"] for row in rows) / len(rows)
    page.paragraph(f"{len(rows)} answers at {mean:.0f} ms each.")
    video = out / "overlay.mp4"
    if video.stat().st_size <= EMBED_BYTES:
        page.video(video)
        return
    from pacenote.drives.clip import read_clip, read_frames

    frames = read_clip(video).frames or len(rows)
    shown = read_frames(video, max(1, frames // STILLS))
    page.paragraph("The video is too large for this page; it lies beside it.", note=True)
    page.gallery([(frame.image, f"{frame.time_s:.1f} s") for _, frame in zip(range(STILLS), shown, strict=False)])


def lines_of(text: str) -> str:
    """An advisory's canonical text, one sentence a line."""
    return text.replace(". ", ".\n")


def _thumbnail(image: Any) -> Any:
    image = image.convert("RGB")
    image.thumbnail((PICTURE_WIDTH, PICTURE_WIDTH))
    return image
