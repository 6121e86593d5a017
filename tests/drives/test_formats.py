"""Every format gives the same drive: the frames in order, and the car's signals in SI units on their clock."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pacenote.drives.drive import Drive
from pacenote.drives.find import find_drives, open_drive, pick_drive
from pacenote.drives.readers.images import stamp_of
from pacenote.errors import InputError
from tests.drives import recordings as make
from tests.drives.recordings import EPOCH, FRAMES, jpeg, shown, speed, times, way, write_csv

MAKERS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "ros1": ("rosbag", lambda root: make.write_bag(root / "d.bag", 1)),
    "ros1-raw": ("rosbag", lambda root: make.write_bag(root / "d.bag", 1, raw="mono8")),
    "ros2": ("rosbag", lambda root: make.write_bag(root / "d", 2)),
    "ros2-mcap": ("rosbag", lambda root: make.write_bag(root / "d", 2, "mcap", raw="rgb8")),
    "mcap": ("mcap", lambda root: make.write_bag(root / "d", 2, "mcap", raw="bgr8") / "d.mcap"),
    "nuscenes": ("nuscenes", lambda root: make.write_nuscenes(root / "d")),
    "nuscenes-monitor": ("nuscenes", lambda root: make.write_nuscenes(root / "d", can="monitor")),
    "nuscenes-no-can": ("nuscenes", lambda root: make.write_nuscenes(root / "d", can="")),
    "comma2k19": ("comma2k19", lambda root: make.write_comma2k19(root / "d")),
    "bdd100k": ("bdd100k", lambda root: make.write_bdd100k(root / "d")),
}


def opened(path: Path, **options: str) -> Drive:
    return open_drive(pick_drive(find_drives(path), None, {"offset": "none", **options}))


@pytest.mark.parametrize("name", list(MAKERS))
def test_frames_and_signals_of_each_format(tmp_path: Path, name: str) -> None:
    format, write = MAKERS[name]
    path = write(tmp_path)
    assert {ref.format for ref in find_drives(path)} == {format}
    drive = opened(path)
    frames = list(drive.read())
    rate = 10 if format == "bdd100k" else 5
    assert [frame.time_s for frame in frames] == pytest.approx(times(80 if rate == 10 else FRAMES, rate), abs=2e-3)
    assert [shown(frame.image()) for frame in frames[:10]] == pytest.approx(range(10), abs=0.4)
    assert float(drive.signals.at("speed_mps", 1.5)[0]) == pytest.approx(speed(1.5), abs=0.02)
    moved = [float(np.diff(drive.signals.at(axis, [0.6, 2.6]))[0]) for axis in ("x_m", "y_m")]
    assert np.hypot(*moved) == pytest.approx(way(2.6) - way(0.6), rel=0.03)
    if "accel_mps2" in drive.signals.values:
        assert float(drive.signals.at("accel_mps2", 1.5)[0]) == pytest.approx(1.0)
    left = 0.1 * np.sin(1.5) if format == "bdd100k" else 0.1
    assert float(drive.signals.at("yaw_rate", 1.5)[0]) == pytest.approx(left, abs=0.01)
    assert drive.began in ((None,) if format == "comma2k19" else (pytest.approx(EPOCH),))


# --- bags and MCAP -----------------------------------------------------------------------------------------------


def test_the_front_camera_is_chosen_and_named(tmp_path: Path) -> None:
    bag = make.write_bag(tmp_path / "d.bag", 1)
    assert "pictures of /camera/front/image, of /camera/front/image, /camera/rear/image" in opened(bag).notes
    rear = list(opened(bag, image_topic="/camera/rear/image").read())
    assert [shown(frame.image()) for frame in rear] == pytest.approx([0] * FRAMES, abs=0.4)


def test_topics_can_be_chosen_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    bag = make.write_bag(tmp_path / "d.bag", 1)
    assert set(opened(bag, signal_topics="/imu").signals.values) == {"accel_mps2", "yaw_rate"}
    commanded = opened(bag, signal_topics="/cmd_vel").signals  # a command counts only where it is asked for
    assert float(np.nanmax(commanded.values["speed_mps"])) > 20
    with pytest.raises(InputError, match="no pictures on '/nose'"):
        opened(bag, image_topic="/nose")
    with pytest.raises(InputError, match="no signals on '/ear'"):
        opened(bag, signal_topics="/imu, /ear")


def test_frames_out_of_order_or_twice_are_left_out_and_counted(tmp_path: Path) -> None:
    stamps = [0.0, 0.2, 0.4, 0.4, 0.6, 0.3, 0.8]
    drive = opened(make.write_bag(tmp_path / "d.bag", 1, stamps=stamps))
    frames = list(drive.read())
    assert [frame.time_s for frame in frames] == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8], abs=1e-6)
    assert [shown(frame.image()) for frame in frames] == pytest.approx([0, 1, 2, 4, 6], abs=0.4)
    assert "frames: 2 of 7 left out (1 with a stamp twice, 1 out of order)" in drive.notes


def test_a_broken_bag_is_refused_with_the_mend(tmp_path: Path) -> None:
    bag = make.write_bag(tmp_path / "d.bag", 1)
    bag.write_bytes(bag.read_bytes()[: bag.stat().st_size // 2])
    with pytest.raises(InputError, match=r"d\.bag: not a readable bag .*rosbag reindex"):
        opened(bag)


def test_a_broken_ros2_bag_is_refused(tmp_path: Path) -> None:
    bag = make.write_bag(tmp_path / "d", 2)
    (bag / "d.db3").write_bytes(b"no database" * 20)
    with pytest.raises(InputError, match="not a readable bag"):
        opened(bag)


def test_a_file_that_is_no_mcap_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d.mcap").write_bytes(b"nothing of the kind" * 10)
    with pytest.raises(InputError, match=r"d\.mcap: not a readable MCAP file"):
        opened(tmp_path / "d.mcap")


# --- nuScenes ----------------------------------------------------------------------------------------------------


def test_one_camera_of_six_missing_is_noted(tmp_path: Path) -> None:
    root = make.write_nuscenes(tmp_path / "d", cameras=5)
    drive = opened(root)
    assert "no pictures of CAM_BACK_RIGHT" in drive.notes
    assert len(list(opened(root, camera="CAM_BACK").read())) == FRAMES
    with pytest.raises(InputError, match="no picture of CAM_BACK_RIGHT"):
        opened(root, camera="CAM_BACK_RIGHT")
    with pytest.raises(InputError, match="no camera 'CAM_TOP'"):
        opened(root, camera="CAM_TOP")


def test_pictures_that_were_not_unpacked_are_counted(tmp_path: Path) -> None:
    root = make.write_nuscenes(tmp_path / "d")
    for file in sorted((root / "sweeps" / "CAM_FRONT").iterdir())[:3]:
        file.unlink()
    drive = opened(root)
    assert len(list(drive.read())) == FRAMES - 3
    assert f"frames: 3 of {FRAMES} pictures of CAM_FRONT missing" in drive.notes


def test_a_broken_table_is_named(tmp_path: Path) -> None:
    root = make.write_nuscenes(tmp_path / "d")
    (root / "v1.0-mini" / "sample.json").write_text('[{"token": "m0"}]')
    with pytest.raises(InputError, match=r"sample\.json: not a table of nuScenes"):
        opened(root)


def test_what_is_known_without_can_is_noted(tmp_path: Path) -> None:
    assert any("no CAN bus" in note for note in opened(make.write_nuscenes(tmp_path / "d", can="")).notes)


# --- BDD100K, comma2k19 ------------------------------------------------------------------------------------------


def test_the_sign_of_a_phones_gyro_follows_from_the_course(tmp_path: Path) -> None:
    up, down = (opened(make.write_bdd100k(tmp_path / str(flip), flipped=flip)).signals for flip in (False, True))
    assert up.at("yaw_rate", [1.0, 4.0]) == pytest.approx(0.1 * np.sin([1.0, 4.0]), abs=0.01)
    assert down.at("yaw_rate", [1.0, 4.0]) == pytest.approx(0.1 * np.sin([1.0, 4.0]), abs=0.01)


def test_a_gyro_of_unknown_sign_is_left_out(tmp_path: Path) -> None:
    drive = opened(make.write_bdd100k(tmp_path / "d", course=False))
    assert "yaw_rate" not in drive.signals.values
    assert any("gyro's sign" in note for note in drive.notes)


def test_a_speed_of_minus_one_is_unknown(tmp_path: Path) -> None:
    drive = opened(make.write_bdd100k(tmp_path / "d"))
    assert np.nanmin(drive.signals.values["speed_mps"]) >= 5
    assert np.isnan(drive.signals.at("speed_mps", 3.0)).all()
    assert "speed_mps: 1 of 8 values are -1, unknown" in drive.notes


def test_a_mov_without_info_is_a_plain_video(tmp_path: Path) -> None:
    make.write_video(tmp_path / "d.mov")
    (tmp_path / "d.json").write_text('{"another": "tool"}')
    assert [ref.format for ref in find_drives(tmp_path)] == ["video"]


def test_a_segment_with_a_preview_alone_is_no_drive(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"video\.hevc is missing"):
        opened(make.write_comma2k19(tmp_path / "d", video=False))


def test_a_log_of_unequal_lengths_is_named(tmp_path: Path) -> None:
    root = make.write_comma2k19(tmp_path / "d")
    with next(root.rglob("CAN/speed/t")).open("wb") as handle:
        np.save(handle, np.arange(3.0))
    with pytest.raises(InputError, match=r"speed: 3 times and 320 values"):
        opened(root)


# --- pictures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "1700000000.25", "1700000000250", "frame_1700000000250000", "n015__CAM_FRONT__1700000000250000",
        "1700000000250000000", "2023-11-14_22-13-20-250000", "20231114_221320_25", "2023-11-14T22:13:20.25",
    ],
)  # fmt: skip
def test_names_that_are_times(name: str) -> None:
    assert stamp_of(name) == pytest.approx(EPOCH + 0.25, abs=1e-5)


@pytest.mark.parametrize("name", ["frame_0001", "IMG_2024", "9999-99-99_99-99-99", "12345678901", "holiday"])
def test_names_that_are_none(name: str) -> None:
    assert stamp_of(name) is None


@pytest.mark.parametrize("since_1970", [True, False])
def test_a_folder_of_pictures_named_by_time(tmp_path: Path, since_1970: bool) -> None:
    for k, t in enumerate(times()):
        (tmp_path / f"{round((EPOCH + t) * 1e6)}.jpg").write_bytes(jpeg(k))
    (tmp_path / "cover.jpg").write_bytes(jpeg(0))
    column, start = ("timestamp", EPOCH) if since_1970 else ("t_s", 0.0)
    write_csv(tmp_path / "signals.csv", f"{column},speed_mps", [(start + t, speed(t)) for t in times()])
    drive = opened(tmp_path)
    assert [frame.time_s for frame in drive.read()] == pytest.approx(times(), abs=1e-5)
    assert [shown(frame.image()) for frame in drive.read()] == pytest.approx(range(FRAMES), abs=0.4)
    assert float(drive.signals.at("speed_mps", 1.5)[0]) == pytest.approx(speed(1.5), abs=1e-3)
    assert "frames: 1 picture(s) without a time in the name left out" in drive.notes
    assert any("taken to start" in note for note in drive.notes) is not since_1970


def test_a_list_of_pictures_with_times(tmp_path: Path) -> None:
    for k in range(4):
        (tmp_path / f"{k}.png").write_bytes(jpeg(k))
    write_csv(
        tmp_path / "frames.csv", "file,time", [("0.png", 10), ("1.png", 11), ("1.png", 11), ("3.png", 12), ("x", 13)]
    )
    drive = opened(tmp_path)
    assert [frame.time_s for frame in drive.read()] == [0.0, 1.0, 2.0]
    assert "frames: 1 of 5 listed pictures are missing" in drive.notes
    assert any("1 with a stamp twice" in note for note in drive.notes)
    assert drive.began is None


def test_a_bad_list_and_a_bad_picture_are_named(tmp_path: Path) -> None:
    write_csv(tmp_path / "frames.csv", "picture,when", [(1, 2)])
    with pytest.raises(InputError, match=r"frames\.csv: needs the columns file and time"):
        opened(tmp_path)
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    write_csv(tmp_path / "frames.csv", "file,time", [("a.jpg", 0), ("a.jpg", 1)])
    with pytest.raises(InputError, match="not a readable picture"):
        next(opened(tmp_path).read()).image()


# --- finding -----------------------------------------------------------------------------------------------------


def test_what_was_looked_for_is_named(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("no drive")
    with pytest.raises(InputError, match="no drive here; looked for nuscenes: .*images: "):
        find_drives(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        find_drives(tmp_path / "gone")


def test_no_drive_is_found_twice(tmp_path: Path) -> None:
    """A ROS 2 bag holds an MCAP, nuScenes holds folders of pictures: each counts once, as what it is."""
    make.write_bag(tmp_path / "bag", 2, "mcap")
    make.write_nuscenes(tmp_path / "nu")
    make.write_bdd100k(tmp_path / "bdd")
    make.write_video(tmp_path / "clip.mp4")
    found = sorted((ref.format, ref.name) for ref in find_drives(tmp_path))
    assert [format for format, _ in found] == ["bdd100k", "nuscenes", "rosbag", "video"]


def test_several_drives_need_a_name(tmp_path: Path) -> None:
    for name in "abc":
        make.write_video(tmp_path / f"{name}.mp4")
    refs = find_drives(tmp_path)
    assert pick_drive(refs, "b").name == "b"
    for name in (None, "z"):
        with pytest.raises(InputError, match="a, b, c"):
            pick_drive(refs, name)


def test_a_reference_is_plain_data(tmp_path: Path) -> None:
    import pickle

    from pacenote.work import digest

    ref = find_drives(make.write_nuscenes(tmp_path / "d"))[0]
    assert open_drive(pickle.loads(pickle.dumps(ref))).id == "scene-0061"
    assert digest(ref) == digest(json.loads(json.dumps({**ref.__dict__, "path": str(ref.path)})))
