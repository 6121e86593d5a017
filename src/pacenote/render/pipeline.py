"""Scenes -> pixels -> labels -> a Dataset: the work behind `pacenote render`.

Every scene is made, rendered, labelled and encoded on its own, so one that fails costs one row (a rejection that says
why) and never the run. Shards depend on the recipe and the count alone, not on the number of workers.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pacenote.advisory import request
from pacenote.data.card import Card
from pacenote.data.classes import CLASS_INDEX
from pacenote.data.dataset import finish_dataset
from pacenote.data.sample import SPLITS, Picture, Sample
from pacenote.data.shards import Rejected, shard_name, write_shard
from pacenote.errors import InputError, PacenoteError
from pacenote.scenes.gates import Gates
from pacenote.scenes.label import Labelled, label
from pacenote.scenes.recipe import SceneRecipe
from pacenote.scenes.scene import Camera, Scene
from pacenote.work import RunDirectory, Shard, digest, run_shards, say

if TYPE_CHECKING:
    from pacenote.render.passes import Passes
    from pacenote.render.worker import Renderer

LICENCE = "Apache-2.0"
SHARD_SCENES = 20
QUALITY = 92  # of the JPEG, colour at full resolution: a light of five pixels would lose its colour otherwise
MODES = ("frames", "twins", "drives")
FAILED = "failed:"  # how the reason of a rejection begins that an error caused, not the scene
# Classes of which a single pixel survives halving.
KEEP = ("light_red", "light_yellow", "light_green", "light_off", "cone", "pedestrian", "animal", "debris", "speed_sign")


@dataclass(frozen=True)
class Order:
    """What one shard renders: indices `start` .. `start + count - 1` of a split of the recipe.

    `mode`: frames = one scene an index; twins = each scene with the twin that differs in one fact; drives = an index
    is a simulated drive of many frames.
    """

    recipe: SceneRecipe
    start: int
    count: int
    preset: str
    mode: str = "frames"
    quality: int = QUALITY
    gates: Gates = dataclasses.field(default_factory=Gates)


def render_dataset(
    recipe: SceneRecipe,
    out: str | Path,
    split: str = "train",
    count: int | None = None,
    *,
    workers: int = 1,
    preset: str = "demo",
    mode: str = "frames",
    quality: int = QUALITY,
    ray: str | None = None,
) -> dict[str, Any]:
    """Render `count` scenes (drives, in the mode "drives") of a split into the Dataset `out`; returns its card.

    count None: as many as the recipe's part says. The same call resumes after a stop; other splits may be added to the
    same directory later, other settings are refused. Raises InputError on bad settings or a missing SUMO or Blender,
    PacenoteError when rendering fails altogether.
    """
    if split not in SPLITS:
        raise InputError(f"split '{split}' is not one of {', '.join(SPLITS)}")
    if mode not in MODES:
        raise InputError(f"mode '{mode}' is not one of {', '.join(MODES)}")
    part = recipe.part(split)
    total = part.count if count is None else count
    if total < 1:
        raise InputError(f"nothing to render: {total} scenes of '{split}'; give --count or mend parts in the recipe")
    out = Path(out)
    identity = dataclasses.replace(recipe, split="").digest  # all parts live in one Dataset
    settings = {"recipe": identity, "preset": preset, "mode": mode, "quality": quality}
    RunDirectory.open(out, "render", settings, seed=recipe.seed)
    size = 1 if mode == "drives" else min(SHARD_SCENES, max(4, math.ceil(total / 8)))
    number = math.ceil(total / size)
    other = {
        path.name for path in out.glob(f"{split}-*.parquet") if not path.name.endswith(f"-of-{number:05d}.parquet")
    }
    if other:
        raise InputError(
            f"{out}: holds '{split}' of another count ({min(other)}); give a new --out or the same --count"
        )
    shards = [
        Shard(
            shard_name(split, index, number),
            Order(part, index * size, min(size, total - index * size), preset, mode, quality),
        )
        for index in range(number)
    ]
    started = time.monotonic()
    results = run_shards(render_shard, shards, out, workers=workers, ray=ray, label=f"render {split}")
    fresh = [result.stats for result in results if not result.skipped]
    frames = sum(stats["rows"] for stats in fresh)
    if frames:
        seconds = (time.monotonic() - started) / frames
        reasons = sum((Counter(stats["reasons"]) for stats in fresh), Counter[str]())
        said = "; ".join(f"{number}x {reason}" for reason, number in reasons.most_common(3))
        say(f"{frames} frames, {seconds:.2f} s each{f'; rejected: {said}' if said else ''}")
    card = Card(
        name=recipe.name,
        recipe=identity,
        seed=recipe.seed,
        licence=LICENCE,
        description="Simulated streets, rendered; every label measured on the finished frame (docs/labels.md).",
        notes={"preset": preset, "mode": mode, "quality": quality, "gates": dataclasses.asdict(Gates())},
    )
    return finish_dataset(out, card)


# --- one shard, in whichever process works ---------------------------------------------------------------------------

_renderers: list[Renderer] = []  # this process's one, alive until the process ends


def _renderer() -> Renderer:
    if not _renderers:
        import atexit

        from pacenote.render.worker import Renderer

        _renderers.append(Renderer())
        atexit.register(_renderers[0].close)
    return _renderers[0]


def render_shard(shard: Shard, partial: Path) -> dict[str, Any]:
    """Render the order of `shard.payload` into the file `partial`; returns counts and times."""
    order: Order = shard.payload
    samples: list[Sample] = []
    rejected: list[Rejected] = []
    seconds: dict[str, float] = {}
    for name, scene in scenes(order):
        made: Sample | str
        if isinstance(scene, str):
            made = scene
        else:
            try:
                made = render_sample(scene, order, seconds)
            except InputError:
                raise  # Blender is missing, or an asset: no scene would fare better
            except Exception as error:  # noqa: BLE001 - one broken scene must not cost the others
                made = failure(error)
        if isinstance(made, Sample):
            samples.append(made)
        else:
            rejected.append(Rejected(name, made, "rendered"))
    failures = [row.reason for row in rejected if row.reason.startswith(FAILED)]
    if not samples and len(failures) > 2:
        raise PacenoteError(f"{shard.name}: no scene succeeded; {failures[-1]}")
    if failures:  # never silently: errors are not chance, and what they take away may be all of one kind
        say(f"{shard.name}: {len(failures)} of {len(samples) + len(rejected)} scenes {failures[-1]}")
    if order.mode == "twins":
        samples, alone = pairs(samples)
        rejected += alone
    stats: dict[str, Any] = dict(write_shard(samples, partial, rejected))
    reasons = Counter(row.reason.split(":")[0] for row in rejected)
    return stats | {"seconds": {key: round(value, 2) for key, value in seconds.items()}, "reasons": dict(reasons)}


def failure(error: Exception) -> str:
    """The reason of a rejection that an error caused."""
    return f"{FAILED} {type(error).__name__}: {' '.join(str(error).split())[:200]}"


def pairs(samples: Sequence[Sample]) -> tuple[list[Sample], list[Rejected]]:
    """The samples that stand beside their twin and differ from it in truth, and the others with the reason."""
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.scene, []).append(sample)
    kept: list[Sample] = []
    alone: list[Rejected] = []
    for group in groups.values():
        truths = [sample.truth.to_dict() if sample.truth else None for sample in group]
        if len(group) == 2 and truths[0] != truths[1]:
            kept += group
        else:
            reason = "its twin was rejected" if len(group) == 1 else "the flipped fact does not show in the truth"
            alone += [Rejected(sample.id, reason, "rendered") for sample in group]
    return kept, alone


def scenes(order: Order) -> Iterator[tuple[str, Scene | str]]:
    """(id, scene) of an order; in place of the scene the reason where none could be made."""
    make = scene_maker(order.mode)
    for index in range(order.start, order.start + order.count):
        name = f"{order.recipe.name}-{order.recipe.split}-{index:06d}"
        try:
            made = make(order.recipe, index)
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            yield name, failure(error)
            continue
        for scene in made if isinstance(made, (list, tuple)) else (made,):
            yield (scene.id, scene) if isinstance(scene, Scene) else (name, str(scene.reason))


def scene_maker(mode: str) -> Callable[[SceneRecipe, int], Any]:
    """What makes an index of that mode: one Scene, several, or an object with the `reason` why there is none."""
    from pacenote.scenes import make

    return {"frames": make.make_scene, "twins": make.make_twins, "drives": make.make_drive}[mode]


def shoot(scene: Scene, preset: str, spend: Callable[[str, float], None]) -> tuple[NDArray[np.uint8], Passes]:
    """The finished frame of a scene and its passes, warped alike; `spend` is told the seconds of each stage."""
    from pacenote.render.finish import finish

    started = time.perf_counter()
    raw = _renderer().render(scene, preset)
    rendered = time.perf_counter()
    finished = finish(raw, scene)
    spend("render", rendered - started)
    spend("finish", time.perf_counter() - rendered)
    return finished


def render_sample(scene: Scene, order: Order, seconds: dict[str, float]) -> Sample | str:
    """Render, label and encode one scene; the reason where its label is rejected. Adds to `seconds` by stage."""
    from PIL import Image

    def spend(stage: str, time_s: float) -> None:
        seconds[stage] = seconds.get(stage, 0.0) + time_s

    frame, passes = shoot(scene, order.preset, spend)
    started = time.perf_counter()
    picture = encode(frame, scene.id, order.quality)
    seen = np.asarray(Image.open(io.BytesIO(picture.bytes)).convert("RGB"))  # gates judge what is stored
    labelled = label(scene, passes, seen, order.gates)
    made: Sample | str
    if isinstance(labelled, Labelled):
        made = to_sample(scene, labelled, picture, order, index_digest(passes.index))
    else:
        made = labelled.reason
    spend("label", time.perf_counter() - started)
    return made


def to_sample(scene: Scene, labelled: Labelled, picture: Picture, order: Order, index: str) -> Sample:
    """The row of a labelled frame. Where the speed rests on a limit that only context gives, the question says it."""
    facts, where = scene.facts, scene.environment
    given = facts.limit_kmh if facts.limit_in_context else None
    conditions = {
        "weather": where.weather,
        "time": where.time,
        "road_class": facts.road_class,
        "network": scene.network,
        "light_px": labelled.light_px,
        "light_m": labelled.light_m,
        "limit_kmh": given,
        "left_hand": scene.left_hand,
        "simulated": True,
        "lanes": facts.lanes,
        "flipped": scene.flipped or None,
    }
    return Sample(
        id=scene.id,
        images=(picture,),
        question=request(given),
        truth=labelled.truth,
        evidence=labelled.evidence,
        conditions={name: value for name, value in conditions.items() if value is not None},
        source="rendered",
        scene=scene.twin_of or scene.id,
        twin_of=scene.twin_of,
        drive=scene.drive,
        time_s=facts.time_s,
        speed_mps=facts.ego_speed_mps,
        accel_mps2=facts.ego_accel_mps2,
        yaw_rate=facts.ego_yaw_rate,
        camera=intrinsics(scene.camera, *picture.size()),
        licence=LICENCE,
        provenance={
            "truth": "rules over passes",
            "recipe": scene.recipe,
            "scene": {"index": scene.index, "seed": scene.seed, "split": order.recipe.split},
            "preset": order.preset,
            "gates": digest(order.gates),
            "index_pass": index,
        },
        segmentation=Picture.encode_classes(halve(labelled.segmentation), f"{scene.id}.png"),
    )


def encode(frame: NDArray[np.uint8], name: str, quality: int) -> Picture:
    """JPEG with colour at full resolution (4:4:4)."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=quality, subsampling=0)
    return Picture(buffer.getvalue(), f"{name}.jpg")


def intrinsics(camera: Camera, width: int, height: int) -> dict[str, float]:
    """The columns of `data.schema.CAMERA` for a frame of that size, then the pose.

    fx, fy, cx, cy (pixels) and k1 are OpenCV's: the ray (x, y, 1) meets the frame at fx x (1 + k1 (x^2 + y^2)) + cx.
    A Scene's own k1 counts radii in half widths, and its lens enlarges what it bends (`finish.shrink`).
    """
    from pacenote.render.finish import shrink

    half = width / 2
    focal = half / math.tan(math.radians(camera.fov) / 2)
    pose = {name: float(getattr(camera, name)) for name in ("x", "y", "z", "yaw", "pitch", "roll")}
    size = {"width": float(width), "height": float(height), "cx": half, "cy": height / 2}
    seen = focal / shrink(width, height, camera.k1)
    return pose | size | {"fx": seen, "fy": seen, "k1": camera.k1 * (focal / half) ** 2}


def halve(classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Half the size by nearest pixel, except that a small class in `KEEP` wins its 2x2 block, so nothing is lost."""
    height, width = classes.shape[0] // 2 * 2, classes.shape[1] // 2 * 2
    blocks = classes[:height, :width].reshape(height // 2, 2, width // 2, 2).swapaxes(1, 2).reshape(height // 2, -1, 4)
    result = blocks[..., 0].copy()
    for name in reversed(KEEP):
        result[(blocks == CLASS_INDEX[name]).any(-1)] = CLASS_INDEX[name]
    return result


def index_digest(index: NDArray[np.int32]) -> str:
    """12 hex digits of an index pass: equal wherever and however often the scene is rendered."""
    return hashlib.sha256(np.ascontiguousarray(index).tobytes()).hexdigest()[:12]
