"""A drive written as MCAP comes back as it was; of a cut file, all that is there comes back."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacenote.drives.drive import Drive, DriveFrame, Offset, Signals
from pacenote.drives.find import find_drives, open_drive
from pacenote.drives.write_mcap import write_mcap
from pacenote.errors import InputError
from tests.drives.recordings import FRAMES, jpeg, pixels, shown, speed, times


def frames() -> Iterator[DriveFrame]:
    for k, t in enumerate(times()):
        yield DriveFrame(k, t, jpeg(k), given="The map says 50 km/h." if k == 3 else "")


def drive(read=frames, start: float = -1.25) -> Drive:  # type: ignore[no-untyped-def]
    axis = start + np.arange(70) / 10
    yaw = np.where(np.arange(70) % 2, 0.1 * axis, np.nan)
    signals = Signals(axis, {"speed_mps": np.array([speed(t) for t in axis]), "yaw_rate": yaw})
    told = {"licence": "CC0", "source": "a test", "notes": ("a note, 'quoted'",), "began": 1_700_000_000.5}
    return Drive("d", read, signals, "CAM_BACK", Offset(0.4, 0.05), **told)


def reopened(path: Path) -> Drive:
    return open_drive(find_drives(path)[0])


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    before = drive()
    after = reopened(write_mcap(before, tmp_path / "d.mcap", [(0.5, "Slow down."), (1.5, "Stop.")]))
    assert replace(after, read=before.read, signals=before.signals) == before
    pairs = list(zip(before.read(), after.read(), strict=True))
    assert all((a.encoded, a.index, a.given) == (b.encoded, b.index, b.given) for a, b in pairs)
    assert [b.time_s for _, b in pairs] == pytest.approx([a.time_s for a, _ in pairs], abs=1e-9)
    assert after.signals.time_s == pytest.approx(before.signals.time_s, abs=1e-9)
    assert set(after.signals.values) == set(before.signals.values)
    for name, column in before.signals.values.items():
        assert np.array_equal(after.signals.values[name], column, equal_nan=True)


@settings(max_examples=25)
@given(
    st.lists(st.integers(0, 10**6), min_size=2, max_size=12, unique=True),
    st.dictionaries(st.integers(-(10**6), 10**6), st.floats(-1e6, 1e6), max_size=12),
)
def test_any_stamps_and_values_survive(tmp_path: Path, shots: list[int], told: dict[int, float]) -> None:
    def read() -> Iterator[DriveFrame]:
        for k, ms in enumerate(sorted(shots)):
            yield DriveFrame(k, ms / 1000, jpeg(k))

    axis = sorted(told)
    values = {"accel_mps2": np.array([told[ms] for ms in axis])} if told else {}
    before = Drive("d", read, Signals(np.array(axis) / 1000, values))
    after = reopened(write_mcap(before, tmp_path / "d.mcap"))
    assert [frame.time_s for frame in after.read()] == pytest.approx([ms / 1000 for ms in sorted(shots)], abs=1e-6)
    if len(axis) > 1 and float(np.median(np.diff(axis))) < 50:
        return  # faster than a Drive's signals are held: averaged on reading
    assert after.signals.time_s == pytest.approx(np.array(axis) / 1000, abs=1e-6)
    for name, column in values.items():
        assert after.signals.values[name].tolist() == column.tolist()


def test_an_unknown_offset_stays_unknown(tmp_path: Path) -> None:
    after = reopened(write_mcap(replace(drive(), offset=Offset(0.0, math.inf)), tmp_path / "d.mcap"))
    assert after.offset == Offset(0.0, math.inf)


def test_decoded_frames_become_jpeg(tmp_path: Path) -> None:
    from PIL import Image

    def decoded() -> Iterator[DriveFrame]:
        for k, t in enumerate(times()):
            yield DriveFrame(k, t, decoded=Image.fromarray(pixels(k)))

    after = reopened(write_mcap(drive(decoded), tmp_path / "d.mcap"))
    assert [shown(frame.image()) for frame in after.read()] == pytest.approx(range(FRAMES), abs=0.2)


def test_messages_keep_their_schemas_and_the_order_of_time(tmp_path: Path) -> None:
    from mcap.reader import make_reader

    write_mcap(drive(), tmp_path / "d.mcap", [(0.5, "Slow down."), (1.5, "Stop.")])
    with (tmp_path / "d.mcap").open("rb") as file:
        seen = [(schema, channel, m) for schema, channel, m in make_reader(file).iter_messages(log_time_order=False)]
    stamps = [message.log_time for _, _, message in seen]
    assert stamps == sorted(stamps)
    for schema, channel, message in seen:
        jsonschema.validate(json.loads(message.data), json.loads(schema.data))
        assert (channel.message_encoding, schema.encoding) == ("json", "jsonschema")
    texts = [json.loads(message.data)["message"] for schema, _, message in seen if schema.name == "foxglove.Log"]
    assert texts == ["Slow down.", "Stop."]
    assert {channel.topic for _, channel, _ in seen} == {"/camera/image", "/signals", "/advisory"}


@pytest.mark.parametrize("share", [0.5, 0.8, 0.99])
def test_a_cut_file_is_read_up_to_the_cut(tmp_path: Path, share: float) -> None:
    def noise() -> Iterator[DriveFrame]:  # pictures that fill several chunks of a mebibyte
        import io

        from PIL import Image

        random = np.random.default_rng(0)
        for k in range(40):
            buffer = io.BytesIO()
            Image.fromarray(random.integers(0, 255, (200, 300, 3), np.uint8)).save(buffer, "JPEG", quality=95)
            yield DriveFrame(k, k / 5, buffer.getvalue())

    before = drive(noise)
    path = write_mcap(before, tmp_path / "d.mcap")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    after = reopened(path)
    got = list(after.read())
    assert 2 <= len(got) <= 40
    assert len(got) >= 40 * (share - 0.45)
    assert all(a.encoded == b.encoded for a, b in zip(before.read(), got, strict=False))
    assert [frame.time_s for frame in got] == pytest.approx([k / 5 for k in range(len(got))], abs=1e-9)
    assert float(after.signals.at("speed_mps", 0.5)[0]) == pytest.approx(speed(0.5))
    assert after.camera == "CAM_BACK"
    assert any("cut off" in note for note in after.notes)


def test_a_damaged_file_is_refused_with_the_mend(tmp_path: Path) -> None:
    path = write_mcap(drive(), tmp_path / "d.mcap")
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 3 + 400] = bytes(400)
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"d\.mcap: damaged .*mcap recover"):
        list(reopened(path).read())


def test_memory_is_that_of_a_chunk_not_of_the_drive(tmp_path: Path) -> None:
    import tracemalloc

    def many() -> Iterator[DriveFrame]:
        for k in range(240):
            yield DriveFrame(k, k / 10, jpeg(0) + bytes(100_000))  # 24 MB in all

    tracemalloc.start()
    try:
        after = reopened(write_mcap(drive(many), tmp_path / "d.mcap"))
        assert sum(len(frame.encoded) > 100_000 for frame in after.read()) == 240
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[DriveFrame]:
        yield DriveFrame(0, 0.0, jpeg(0))
        raise InputError("frame 1: gone")

    with pytest.raises(InputError, match="gone"):
        write_mcap(drive(broken), tmp_path / "d.mcap")
    assert list(tmp_path.iterdir()) == []


def test_signals_in_another_encoding_are_left_out_and_said(tmp_path: Path) -> None:
    from mcap.writer import Writer

    with (tmp_path / "d.mcap").open("wb") as file:
        writer = Writer(file)
        writer.start()
        pictures = writer.register_schema("foxglove.CompressedImage", "jsonschema", b"{}")
        other = writer.register_schema("sensor_msgs/Imu", "ros1msg", b"")
        lines = [writer.register_channel("/cam", "json", pictures), writer.register_channel("/imu", "ros1", other)]
        for k in range(3):
            body = {"data": base64.b64encode(jpeg(k)).decode(), "format": "jpeg"}
            writer.add_message(lines[0], k * 10**9, json.dumps(body).encode(), k * 10**9)
            writer.add_message(lines[1], k * 10**9, b"?", k * 10**9)
        writer.finish()
    after = reopened(tmp_path / "d.mcap")
    assert len(list(after.read())) == 3
    assert any("/imu is left out: 'ros1msg' is not read" in note for note in after.notes)


def test_protobuf_pictures_are_read(tmp_path: Path) -> None:
    """The schema is that of foxglove.CompressedImage: timestamp 1, data 2, format 3, frame_id 4."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2
    from mcap_protobuf.writer import Writer

    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="foxglove/CompressedImage.proto", package="foxglove", syntax="proto3"
    )
    file.dependency.append("google/protobuf/timestamp.proto")
    kind = file.message_type.add(name="CompressedImage")
    kinds = (("timestamp", field.TYPE_MESSAGE), ("data", field.TYPE_BYTES), ("format", field.TYPE_STRING))
    for number, (name, type_) in enumerate((*kinds, ("frame_id", field.TYPE_STRING)), start=1):
        told = kind.field.add(name=name, number=number, type=type_, label=field.LABEL_OPTIONAL)
        if type_ == field.TYPE_MESSAGE:
            told.type_name = ".google.protobuf.Timestamp"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    image = message_factory.GetMessageClass(pool.FindMessageTypeByName("foxglove.CompressedImage"))
    with (tmp_path / "d.mcap").open("wb") as out, Writer(out) as writer:
        for k, t in enumerate(times()):
            body = image(data=jpeg(k), format="jpeg", frame_id="cam")
            body.timestamp.FromNanoseconds(round((1_700_000_000 + t) * 1e9))
            writer.write_message("/cam", body, log_time=k, publish_time=k)
    told = list(reopened(tmp_path / "d.mcap").read())
    assert [frame.time_s for frame in told] == pytest.approx(times(), abs=1e-6)
    assert [shown(frame.image()) for frame in told] == pytest.approx(range(FRAMES), abs=0.4)
