"""The Blender worker: the same passes anywhere, deaths survived, errors in one line."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pacenote.errors import InputError, PacenoteError
from pacenote.render import worker
from pacenote.render.worker import Preset, Renderer, find_blender
from tests.render.handmade import STOP_X, street, weathers

SMALL = Preset(samples=1, denoise="none", width=336, height=189)


def blender_is_there() -> bool:
    try:
        find_blender()
    except InputError:
        return False
    return True


needs_blender = pytest.mark.skipif(
    not blender_is_there(), reason="no Blender: `make setup` installs it into .venv-blender"
)


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    with Renderer() as made:
        yield made


@needs_blender
def test_passes_are_bit_equal_over_workers_and_runs(renderer: Renderer) -> None:
    scene = street(3, environment=weathers()["rain"], state="green")
    first = renderer.render(scene, SMALL)
    renderer.render(street(4), SMALL)  # another scene between leaves nothing behind
    again = renderer.render(scene, SMALL)
    with Renderer() as other:
        elsewhere = other.render(scene, SMALL)
    for passes in (again, elsewhere):
        assert np.array_equal(first.index, passes.index)
        assert np.array_equal(first.depth, passes.depth)
        assert first.footprints == passes.footprints
        np.testing.assert_allclose(first.linear, passes.linear, rtol=0.02, atol=0.02)


@needs_blender
def test_what_is_seen_lies_in_its_footprint(renderer: Renderer) -> None:
    scene = street(1)
    passes = renderer.render(scene, SMALL)
    known = {t.id for t in scene.things} | {s.id for s in scene.surfaces} | {m.id for m in scene.markings}
    known |= {s.id for s in scene.signals} | {s.lens_id for s in scene.signals}
    ids, counts = np.unique(passes.index[passes.index > 0], return_counts=True)
    assert set(ids.tolist()) <= known
    assert len(ids) > 30
    for id, count in zip(ids.tolist(), counts.tolist(), strict=True):
        print_ = passes.footprints[id]
        assert print_.pixels >= count
        rows, columns = np.nonzero(passes.index == id)
        assert columns.min() >= print_.box[0] - 2
        assert columns.max() <= print_.box[2] + 1
        assert rows.min() >= print_.box[1] - 2
        assert rows.max() <= print_.box[3] + 1
        assert 0 < print_.in_frame <= 1


@needs_blender
def test_depth_and_lens_size_are_those_of_the_camera(renderer: Renderer) -> None:
    scene = street(0, state="red")
    passes = renderer.render(scene, dataclasses.replace(SMALL, width=672, height=378))
    mast = next(s for s in scene.signals if s.id == 10)
    seen = passes.index == mast.lens_id
    assert seen.any()
    away = mast.x - scene.camera.x
    assert abs(float(np.median(passes.depth[seen])) - away) < 1.0
    wide = passes.footprints[mast.lens_id].box
    expected = mast.lens_m * 336 / np.tan(np.radians(30)) / away
    assert wide[2] - wide[0] == pytest.approx(expected, rel=0.15)
    red = passes.linear[seen]
    assert np.median(red[:, 0]) > 4 * np.median(red[:, 1])
    # the zebra lies on the ground where geometry says
    rows = np.nonzero(passes.index == 2)[0]
    ground = 189 + 336 / np.tan(np.radians(30)) * (scene.camera.z / (STOP_X + 2.4) + scene.camera.pitch)
    assert abs(float(np.median(rows)) - ground) < 3


@needs_blender
def test_an_object_that_nothing_covers_fills_its_footprint(renderer: Renderer) -> None:
    scene = street(2)
    number = next(m for m in scene.markings if m.kind == "number")
    alone = dataclasses.replace(
        scene, things=(), markings=(number,), camera=dataclasses.replace(scene.camera, fov=70.5)
    )
    passes = renderer.render(alone, SMALL)
    seen = int((passes.index == number.id).sum())
    assert seen > 100
    assert seen == pytest.approx(passes.footprints[number.id].pixels, rel=0.06)


@needs_blender
def test_a_killed_worker_starts_again() -> None:
    with Renderer() as renderer:
        scene = street(5)
        before = renderer.render(scene, SMALL)
        assert renderer.process is not None
        os.kill(renderer.process.pid, signal.SIGKILL)
        renderer.process.wait()
        after = renderer.render(scene, SMALL)
        assert np.array_equal(before.index, after.index)


@needs_blender
def test_recycling_changes_the_process_not_the_picture() -> None:
    with Renderer(recycle=1) as renderer:
        first = renderer.render(street(5), SMALL)
        assert renderer.process is not None
        pid = renderer.process.pid
        second = renderer.render(street(5), SMALL)
        assert renderer.process.pid != pid
        assert np.array_equal(first.index, second.index)


@needs_blender
def test_bad_assets_are_one_line(renderer: Renderer, tmp_path: Path) -> None:
    scene = street(6)
    broken = tmp_path / "car.obj"
    broken.write_text("this is no mesh\n")
    torn = tmp_path / "car.glb"
    torn.write_bytes(b"glTF\x02\x00\x00\x00")
    for path in (broken, torn, tmp_path / "absent.obj", tmp_path / "car.txt"):
        with pytest.raises(InputError) as caught:
            renderer.render(dataclasses.replace(scene, assets={"car": str(path)}), SMALL)
        assert path.name in str(caught.value)
        assert "\n" not in str(caught.value)
    assert renderer.render(scene, SMALL).index.any()  # and the worker lives on


@needs_blender
def test_a_users_asset_stands_in_the_things_box(renderer: Renderer, tmp_path: Path) -> None:
    path = tmp_path / "block.obj"  # a cube far from its origin, longest along y
    corners = [(x, y, z) for z in (5, 6) for x, y in ((10, 0), (11, 0), (11, 3), (10, 3))]
    faces = ["1 2 3 4", "5 6 7 8", "1 2 6 5", "2 3 7 6", "3 4 8 7", "4 1 5 8"]
    path.write_text("".join(f"v {x} {z} {-y}\n" for x, y, z in corners) + "".join(f"f {f}\n" for f in faces))
    scene = street(6)
    plain = renderer.render(scene, SMALL)
    passes = renderer.render(dataclasses.replace(scene, assets={"car": str(path)}), SMALL)
    car = next(t for t in scene.things if t.kind == "car" and "brake" in t.state)
    for a, b in zip(passes.footprints[car.id].box, plain.footprints[car.id].box, strict=True):
        assert abs(a - b) < 6  # a box has corners where a car has none


def two_coloured(path: Path) -> Path:
    """A glTF box, 3 m long, whose texture is red below and green above half its height."""
    corners = [(3 * z, y, x) for y in (0.0, 0.5, 1.0) for x in (0.0, 1.0) for z in (0.0, 1.0)]  # y up, as glTF has it
    sides = [(a, a + 4, b + 4, b) for a, b in ((0, 1), (1, 3), (3, 2), (2, 0))]  # of the lower half
    red, green = 0.25, 0.75  # across the texture
    quads = [(quad, red) for quad in ((0, 1, 3, 2), *sides)]
    quads += [(quad, green) for quad in ((8, 10, 11, 9), *(tuple(i + 4 for i in side) for side in sides))]
    points = np.array([corners[i] for quad, _ in quads for i in quad], "<f4")
    uv = np.array([(u, 0.5) for quad, u in quads for _ in quad], "<f4")
    index = np.array([4 * n + i for n in range(len(quads)) for i in (0, 1, 2, 0, 2, 3)], "<u2")
    picture = io.BytesIO()
    Image.fromarray(np.repeat(np.array([[[220, 10, 10]] * 8 + [[10, 220, 10]] * 8], np.uint8), 16, 0)).save(
        picture, "PNG"
    )
    parts = [points.tobytes(), uv.tobytes(), index.tobytes(), picture.getvalue()]
    starts = np.cumsum([0, *(len(p) for p in parts)]).tolist()
    data = base64.b64encode(b"".join(parts)).decode()
    document = {
        "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "indices": 2, "material": 0}]}],
        "materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}, "metallicFactor": 0}}],
        "textures": [{"source": 0}], "images": [{"bufferView": 3, "mimeType": "image/png"}],
        "buffers": [{"byteLength": starts[-1], "uri": f"data:application/octet-stream;base64,{data}"}],
        "bufferViews": [
            {"buffer": 0, "byteOffset": start, "byteLength": len(part)}
            for start, part in zip(starts, parts, strict=False)
        ],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": len(points), "type": "VEC3",
             "min": points.min(0).tolist(), "max": points.max(0).tolist()},
            {"bufferView": 1, "componentType": 5126, "count": len(uv), "type": "VEC2"},
            {"bufferView": 2, "componentType": 5123, "count": len(index), "type": "SCALAR"},
        ],
    }  # fmt: skip
    path.write_text(json.dumps(document))
    return path


@needs_blender
@pytest.mark.parametrize("suffix", [".gltf", ".glb", ".blend"])
def test_assets_keep_their_textures(renderer: Renderer, tmp_path: Path, suffix: str) -> None:
    path = two_coloured(tmp_path / "box.gltf")
    if suffix != ".gltf":
        made = path.with_suffix(suffix)
        save = (
            f"bpy.ops.export_scene.gltf(filepath={str(made)!r})"
            if suffix == ".glb"
            else f"bpy.ops.file.pack_all(); bpy.ops.wm.save_as_mainfile(filepath={str(made)!r})"
        )
        script = "import bpy; bpy.ops.wm.read_factory_settings(use_empty=True); "
        script += f"bpy.ops.import_scene.gltf(filepath={str(path)!r}); {save}"
        program, *_, last = find_blender()
        if last.endswith(".py"):
            subprocess.run([program, "-c", script], check=True, capture_output=True)
        else:
            command = [program, "--background", "--factory-startup", "--python-expr", script]
            subprocess.run(command, check=True, capture_output=True)
        path = made
    scene = street(6)
    passes = renderer.render(dataclasses.replace(scene, assets={"car": str(path)}), SMALL)
    cars = [t.id for t in scene.things if t.kind == "car"]
    red, green, _ = np.moveaxis(passes.linear[np.isin(passes.index, cars)], -1, 0)
    assert (red > 2 * green).mean() > 0.1 and (green > 2 * red).mean() > 0.1


@needs_blender
def test_memory_stays_flat_over_a_few_frames() -> None:
    with Renderer() as renderer:
        scene = street(7)
        used = [renderer.render(scene, SMALL).seconds["rss_mib"] for _ in range(14)]
    assert used[-1] - used[4] < 25


def test_no_blender_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PACENOTE_BLENDER", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="PACENOTE_BLENDER"):
        find_blender()
    monkeypatch.delenv("PACENOTE_BLENDER")
    monkeypatch.setattr(worker, "__file__", str(tmp_path / "worker.py"))
    with pytest.raises(InputError, match="make setup"):
        find_blender(tmp_path)


def test_a_program_that_is_no_blender_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACENOTE_BLENDER", "/bin/false")
    with Renderer() as renderer, pytest.raises(PacenoteError, match="does not start"):
        renderer.render(street(0), SMALL)


def test_unknown_preset_names_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACENOTE_BLENDER", "/bin/true")
    with Renderer() as renderer, pytest.raises(InputError, match="draft, demo, quality"):
        renderer.render(street(0), "ultra")
