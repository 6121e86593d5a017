"""What a rendered frame costs.

    python benchmarks/render.py --json out.json [--quick]

Renders hand-made streets in every weather: seconds a frame and the part of them outside Cycles at the demo preset,
memory over many frames in one worker, frames/s with one and two workers, and the quality preset. On a machine that is
shared with other work the CPU columns (seconds of processor time) tell more than the wall clock.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from pacenote.render.finish import finish
from pacenote.render.worker import Renderer
from pacenote.scenes.scene import Scene
from tests.render.handmade import street, weathers


def scenes(count: int) -> list[Scene]:
    kinds = list(weathers().values())
    return [street(i, environment=kinds[i % len(kinds)], state=("red", "yellow", "green")[i % 3]) for i in range(count)]


def run(streets: list[Scene], preset: str, recycle: int = 10**6) -> dict[str, list[float]]:
    """Per frame: wall and CPU seconds of all, of Cycles, of the finish, and resident memory, but the first frame."""
    kept = ("total", "cycles", "cpu", "cycles_cpu", "rss_mib")
    rows: dict[str, list[float]] = {k: [] for k in (*kept, "finish", "client_cpu")}
    with Renderer(recycle=recycle) as renderer:
        renderer.render(streets[0], "demo")
        for scene in streets:
            worked = time.process_time()
            passes = renderer.render(scene, preset)
            begin = time.perf_counter()
            finish(passes, scene)
            rows["finish"].append(time.perf_counter() - begin)
            rows["client_cpu"].append(time.process_time() - worked)
            for key in kept:
                rows[key].append(passes.seconds[key])
    return rows


def rate(streets: list[Scene], workers: int) -> float:
    """Frames a second of `workers` processes over the same frames, starting excluded."""
    renderers = [Renderer() for _ in range(workers)]
    try:
        for renderer in renderers:
            renderer.render(streets[0])

        def share(k: int) -> None:
            for scene in streets[k::workers]:
                finish(renderers[k].render(scene), scene)

        begin = time.perf_counter()
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(share, range(workers)))
        return len(streets) / (time.perf_counter() - begin)
    finally:
        for renderer in renderers:
            renderer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--quick", action="store_true", help="a few frames of each instead of 300")
    options = parser.parse_args()
    rows = run(scenes(8 if options.quick else 300), "demo")
    mean = {k: float(np.mean(v)) for k, v in rows.items()}
    seconds = mean["total"] + mean["finish"]
    few = scenes(4 if options.quick else 40)
    memory = rows["rss_mib"]
    figures: dict[str, object] = {}

    def tell(**new: object) -> None:
        figures.update(new)
        for key, value in new.items():
            print(f"{key:26} {round(value, 3) if isinstance(value, float) else value}", flush=True)

    tell(
        frames=len(memory),
        seconds_per_frame=seconds,
        cycles_share=mean["cycles"] / seconds,
        overhead_s_per_frame=seconds - mean["cycles"],
        cpu_s_per_frame=mean["cpu"] + mean["client_cpu"],
        overhead_cpu_s_per_frame=mean["cpu"] - mean["cycles_cpu"] + mean["client_cpu"],
        # the first frames fill the mesh cache: growth is measured after them
        memory_growth_mib=float(np.mean(memory[-5:]) - np.mean(memory[len(memory) // 3 : len(memory) // 3 + 5])),
        memory_mib=memory[-1],
    )
    tell(frames_per_s={workers: round(rate(few, workers), 3) for workers in (1, 2)})
    best = run(scenes(1 if options.quick else 8), "quality")
    tell(quality={key: round(float(np.mean(best[key])), 2) for key in ("total", "cpu")})
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
