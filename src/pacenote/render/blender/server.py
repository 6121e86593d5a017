"""The loop of the worker: a request line in, a picture file and a reply line out.

Request: {"scene": {...}, "preset": {...}, "out": PATH}. Reply: {"ok": true, ...} or {"ok": false, "error": one line}.
The passes go to PATH as an .npz (uncompressed): linear float16, index int32, depth float32, triangles, owners.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import traceback
from typing import Any

import numpy as np

_TROUBLE = ("error", "failed to", "out of memory", "missing image", "unable to")


class CyclesError(Exception):
    """Blender reported a problem on its output."""


class Log:
    """Standard output and error of the process, kept in a file: Cycles reports trouble only there."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        os.dup2(self.fd, 1)
        os.dup2(self.fd, 2)

    def take(self) -> str:
        sys.stdout.flush()
        size = os.fstat(self.fd).st_size
        text = os.pread(self.fd, min(size, 65536), 0).decode(errors="replace")
        os.ftruncate(self.fd, 0)
        return text

    def check(self) -> None:
        for line in self.take().splitlines():
            low = line.lower()
            if any(word in low for word in _TROUBLE) and "cuew" not in low and "hiprt" not in low:
                raise CyclesError(line.strip()[:200])


def configure(scene: Any, preset: dict) -> None:
    """Render settings that every frame shares."""
    render, cycles = scene.render, scene.cycles
    render.engine = "CYCLES"
    render.threads_mode, render.threads = "FIXED", 1
    render.resolution_percentage = 100
    render.use_persistent_data = False
    render.use_compositing = render.use_sequencer = False
    render.film_transparent = False
    settings = render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format, settings.color_depth, settings.exr_codec = "OPEN_EXR_MULTILAYER", "32", "NONE"
    if hasattr(settings, "use_exr_interleave"):
        settings.use_exr_interleave = True
    layer = scene.view_layers[0]
    layer.use_pass_z = layer.use_pass_object_index = True
    cycles.device = "CPU"
    cycles.samples = preset["samples"]
    cycles.use_adaptive_sampling = False
    cycles.use_denoising = preset["denoise"] != "none"
    if cycles.use_denoising:
        cycles.denoiser = "OPENIMAGEDENOISE"
        cycles.denoising_quality = preset["denoise"]
        cycles.denoising_input_passes, cycles.denoising_prefilter = (
            "RGB_ALBEDO_NORMAL",
            "NONE" if preset["denoise"] == "FAST" else "FAST",
        )
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = preset["bounces"] + 1, preset["bounces"], 2
    cycles.transmission_bounces, cycles.volume_bounces, cycles.transparent_max_bounces = 0, 0, 2
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.use_fast_gi, cycles.fast_gi_method, cycles.ao_bounces_render = preset["fast_gi"], "REPLACE", 1
    cycles.sample_clamp_indirect, cycles.sample_clamp_direct = 4.0, 0.0
    cycles.blur_glossy = 0.4
    cycles.pixel_filter_type, cycles.filter_width = "BLACKMAN_HARRIS", 1.3
    cycles.use_auto_tile = False
    cycles.use_light_tree = False  # a dozen lamps: choosing one at random costs less than walking a tree
    cycles.light_sampling_threshold = 0.02
    cycles.debug_use_spatial_splits = False
    cycles.texture_limit_render = "OFF"


def find(channels: dict[str, np.ndarray], ending: str) -> np.ndarray:
    for name, value in channels.items():
        if name.endswith(ending):
            return value
    raise CyclesError(f"the render has no channel {ending}; it has {sorted(channels)}")


def render(stage: Any, request: dict, scratch: str) -> dict:
    import bpy

    from .exr import read_exr

    start, worked = time.perf_counter(), time.process_time()
    preset, scene = request["preset"], request["scene"]
    width, height = preset["width"], preset["height"]
    stage.build(scene, width, height)
    triangles, owners = stage.footprints()
    configure(bpy.context.scene, preset)
    target = bpy.context.scene.render
    target.resolution_x, target.resolution_y = width, height
    target.filepath = scratch
    bpy.context.scene.cycles.seed = scene["environment"]["seed"] & 0x7FFFFFFF
    built, before = time.perf_counter(), time.process_time()
    bpy.ops.render.render(write_still=True)
    rendered, cycles_cpu = time.perf_counter(), time.process_time() - before
    channels = read_exr(scratch)
    linear = np.stack([find(channels, f"Combined.{c}") for c in "RGB"], axis=-1)
    linear = np.clip(np.nan_to_num(linear, posinf=6e4), 0, 6e4).astype(np.float16)
    index = np.rint(
        find(channels, "Index.X") if any(c.endswith("Index.X") for c in channels) else find(channels, "IndexOB.X")
    ).astype(np.int32)
    table = np.zeros(max(stage.ids, default=0) + 1, np.int32)
    for slot, id in stage.ids.items():
        table[slot] = id
    depth = find(channels, ".Z" if any(c.endswith("Depth.Z") for c in channels) else "Depth.V").astype(np.float32)
    depth = np.where(depth > 3500.0, np.inf, depth).astype(np.float32)
    np.savez(
        request["out"],
        linear=linear,
        index=table[np.clip(index, 0, len(table) - 1)],
        depth=depth,
        triangles=triangles,
        owners=owners,
    )
    done = time.perf_counter()
    rss = 0
    try:
        with open("/proc/self/statm") as file:
            rss = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "ok": True,
        "build_s": built - start,
        "cycles_s": rendered - built,
        "write_s": done - rendered,
        "rss_mib": rss / 2**20,
        "cpu_s": time.process_time() - worked,
        "cycles_cpu_s": cycles_cpu,
    }


def serve(fd: int, mask: set[int] | None) -> None:
    """Answer requests until standard input closes."""
    scratch = os.environ["PACENOTE_SCRATCH"]
    reply = os.fdopen(fd, "w")
    log = Log(os.path.join(scratch, "log"))
    requests = os.fdopen(os.dup(0), "r")
    try:
        import bpy

        from .assets import AssetError
        from .build import Stage

        bpy.context.preferences.edit.use_global_undo = False
        stage = Stage()
        if mask:
            os.sched_setaffinity(0, mask)
        print(json.dumps({"ok": True, "version": bpy.app.version_string}), file=reply, flush=True)
    except Exception as problem:
        print(
            json.dumps({"ok": False, "error": f"Blender does not start: {problem}", "trace": traceback.format_exc()}),
            file=reply,
            flush=True,
        )
        return
    for line in requests:
        log.take()
        try:
            answer = render(stage, json.loads(line), os.path.join(scratch, "frame.exr"))
            log.check()
        except (CyclesError, AssetError) as problem:
            answer = {"ok": False, "error": str(problem)}
        except Exception as problem:
            answer = {
                "ok": False,
                "error": f"{type(problem).__name__}: {problem}".splitlines()[0],
                "trace": traceback.format_exc(),
            }
        print(json.dumps(answer), file=reply, flush=True)
