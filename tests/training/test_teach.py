"""The teacher cache: what is stored is what the teacher thinks live, on every family; it resumes; bad teachers show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pacenote.advisory import CROSSROADS, OBSTACLES, Light, Truth
from pacenote.data import Dataset
from pacenote.data.card import Card
from pacenote.data.dataset import DatasetWriter
from pacenote.data.sample import Picture, Sample
from pacenote.errors import InputError, PacenoteError
from pacenote.models.frames import fitted, frame_size
from pacenote.training import teach as room
from pacenote.training.batches import answer_rows, collate, encode
from pacenote.training.cache import CARD, TeacherCache, row_key, soft_row
from pacenote.training.kd import KdOptions, kd_loss
from pacenote.training.teach import TeachOptions, teach
from tests.models.test_families import picture
from tests.models.tiny import FAMILY_NAMES, tiny_model

TRUTH = Truth(
    speed_kmh=20, light=Light("red"), obstacles=dict.fromkeys(OBSTACLES, False) | {"cone": True},
    crossroad=dict.fromkeys(CROSSROADS, False),
)  # fmt: skip


def dataset(path: Path, count: int = 6, **changes: Any) -> str:
    with DatasetWriter(path, Card(name="streets", licence="CC0-1.0", seed=0)) as writer:
        for index in range(count):
            image = Picture.encode(picture(index, (96, 54)))
            row = {"truth": TRUTH, "evidence": {"objects": []}, **changes}
            writer.add(Sample(f"s{index}", (image,), ("frame",), scene=str(index), **row))
    return str(path)


@pytest.fixture(scope="module", params=FAMILY_NAMES)
def teacher(request: Any, tmp_path_factory: Any) -> str:
    path = tmp_path_factory.mktemp(request.param)
    model = tiny_model(request.param, 3)
    with torch.no_grad():  # random weights of 0.02 hardly look at anything
        for parameter in model.model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(6)
    model.save(path)
    return str(path)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: Any) -> str:
    path = tmp_path_factory.mktemp("qwen")
    tiny_model("qwen2_5_vl", 3).save(path)
    return str(path)


def test_the_cache_is_the_live_teacher(teacher: str, tmp_path: Path) -> None:
    from pacenote.models import load

    data = dataset(tmp_path / "data")
    figures = teach(teacher, [data], tmp_path / "cache", TeachOptions(top=24, shard_rows=4, batch=3))
    cache = TeacherCache(tmp_path / "cache")
    assert figures["rows"] == len(cache) == 6 and figures["written"] == 0 and figures["blank_probe"] > room.SEES
    model = load(teacher)
    for sample in Dataset.open(data):
        (row,) = cache.rows[sample.id]
        assert row.answer == TRUTH.advisory().text() and (row.weights == 1).all()
        one = encode(model, sample.id, fitted(sample, frame_size(model)), row.question, [(row.answer, 1.0)])
        assert one.answer == tuple(row.answer_ids.tolist())
        with torch.inference_mode():
            hidden, _, _ = answer_rows(model.model, collate([one], model))
            logits = model.model.get_output_embeddings()(hidden)
        for temperature in (1.0, 2.0):
            soft = cache.soft_labels(row, temperature)
            live = (logits / temperature).log_softmax(-1)
            torch.testing.assert_close(soft.logp, live.gather(1, soft.ids), rtol=2e-3, atol=6e-3)
            assert (live.topk(24).values[:, -1:] <= soft.logp + 6e-3).all()
        np.testing.assert_allclose(
            np.exp(row.tail), 1 - np.exp(row.logp.astype(float)).sum(1), atol=2e-3, err_msg="tail mass"
        )


def test_a_student_that_is_the_teacher_loses_nothing(qwen: str, tmp_path: Path) -> None:
    from pacenote.models import load

    data = dataset(tmp_path / "data", 2)
    teach(qwen, [data], tmp_path / "cache", TeachOptions(top=64))
    cache, model = TeacherCache(tmp_path / "cache"), load(qwen)
    sample = Dataset.open(data)[0]
    (row,) = cache.rows[sample.id]
    one = encode(model, sample.id, fitted(sample, frame_size(model)), row.question, [(row.answer, 1.0)])
    hidden, labels, weights = answer_rows(model.model, collate([one], model))
    head = model.model.get_output_embeddings()
    loss = kd_loss(hidden, head, labels, cache.soft_labels(row, 2.0), KdOptions(1.0, 2.0), weights)
    assert abs(float(loss.detach())) < 1e-3


def test_a_stopped_teacher_goes_on_to_the_same_cache(
    qwen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, options = dataset(tmp_path / "data"), TeachOptions(top=8, shard_rows=2)
    teach(qwen, [data], tmp_path / "whole", options)
    once = room.teach_shard

    def stops(shard: Any, path: Path) -> Any:
        if shard.payload.start == 2:
            raise KeyboardInterrupt
        return once(shard, path)

    monkeypatch.setattr(room, "teach_shard", stops)
    with pytest.raises(KeyboardInterrupt):
        teach(qwen, [data], tmp_path / "cache", options)
    with pytest.raises(InputError, match="no finished teacher cache"):
        TeacherCache(tmp_path / "cache")
    monkeypatch.setattr(room, "teach_shard", once)
    teach(qwen, [data], tmp_path / "cache", options)
    names = sorted(p.name for p in (tmp_path / "whole").glob("*.parquet"))
    assert len(names) == 3
    assert all((tmp_path / "whole" / n).read_bytes() == (tmp_path / "cache" / n).read_bytes() for n in names)
    with pytest.raises(InputError, match="other settings"):
        teach(qwen, [data], tmp_path / "cache", TeachOptions(top=9, shard_rows=2))


def test_a_teacher_writes_what_has_no_answer(qwen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pacenote.models.families import Model

    data = dataset(tmp_path / "data", truth=None)
    whole = TRUTH.advisory().text()
    said = iter([whole, "I see a street.", whole.replace("20", "30"), whole, whole, whole])
    monkeypatch.setattr(Model, "generate", lambda self, images, *rest: [next(said) for _ in images])
    figures = teach(qwen, [data], tmp_path / "cache", TeachOptions(top=8))
    assert figures["written"] == figures["rows"] == 5
    assert figures["refused"] == {"the teacher wrote no whole advisory": 1}
    rows = TeacherCache(tmp_path / "cache").rows
    assert "s1" not in rows and "30 km/h" in rows["s2"][0].answer and rows["s2"][0].written
    figures = teach(qwen, [data], tmp_path / "never", TeachOptions(top=8, write="never"))
    assert figures["rows"] == 0 and figures["refused"] == {"has no answer (--write never)": 6}


def test_further_questions_are_drawn_once_and_for_all(qwen: str, tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", 3)
    for out in ("one", "two"):
        teach(qwen, [data], tmp_path / out, TeachOptions(top=8, asks=3))
    one, two = (TeacherCache(tmp_path / out) for out in ("one", "two"))
    assert len(one) == 12 and [r.question for r in one] == [r.question for r in two]
    assert len({r.question for r in one}) > 4


def test_a_blind_teacher_is_found_out(qwen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pacenote.models.families import Model

    def blind(self: Any, images: Any, questions: Any, roles: Any = ()) -> Any:
        return see(self, [[Image.new("RGB", i.size) for i in own] for own in images], questions, roles)

    see = Model.inputs
    monkeypatch.setattr(Model, "inputs", blind)
    with pytest.raises(PacenoteError, match="does not see its pictures"):
        teach(qwen, [dataset(tmp_path / "data")], tmp_path / "cache")
    assert not (tmp_path / "cache" / CARD).exists()


def test_another_vocabulary_is_refused(qwen: str, tmp_path: Path) -> None:
    teach(qwen, [dataset(tmp_path / "data", 2)], tmp_path / "cache", TeachOptions(top=8))
    cache = TeacherCache(tmp_path / "cache")
    cache.check_tokenizer(tiny_model("qwen2_5_vl").tokenizer, "student")
    with pytest.raises(InputError, match="another vocabulary than student"):
        cache.check_tokenizer(tiny_model("internvl").tokenizer, "student")
    with pytest.raises(InputError, match=r"holds no temperature 3.0 \(it has 1.0, 2.0\)"):
        cache.soft_labels(next(iter(cache)), 3.0)


def test_damage_is_named(qwen: str, tmp_path: Path) -> None:
    teach(qwen, [dataset(tmp_path / "data", 2)], tmp_path / "cache", TeachOptions(top=8))
    shard = tmp_path / "cache" / "cache-00000.parquet"
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"cache-00000\.parquet: not a readable shard"):
        TeacherCache(tmp_path / "cache")
    with pytest.raises(InputError, match="choose one of missing, all, never"):
        teach(qwen, [], tmp_path / "x", TeachOptions(write="maybe"))


def test_a_token_costs_at_most_400_bytes() -> None:
    logits = torch.randn(50, 1000) * 4
    row = soft_row(logits, 64, [2.0])
    size = sum(row[name].nbytes for name in ("ids", "logp", "tail", "lse")) + 50 * (4 + 2)
    assert size / 50 <= 400


def test_keys_tell_rows_apart() -> None:
    base = ([b"a"], "q", [1, 2], "t")
    others = [
        ([b"b"], "q", [1, 2], "t"),
        ([b"a"], "r", [1, 2], "t"),
        ([b"a"], "q", [1], "t"),
        ([b"a"], "q", [1, 2], "u"),
    ]
    assert len({row_key(*one) for one in (base, *others)}) == 5 and row_key(*base) == row_key(*base)
    assert json.loads(json.dumps(row_key(*base)))


def test_small_vocabularies_are_filled_with_impossible_tokens() -> None:
    row = soft_row(torch.randn(3, 5), 8, [])
    assert row["ids"].shape == (3, 8) and np.isneginf(row["logp"][:, 5:]).all() and row["lse"].shape == (3, 0)
    assert np.exp(row["logp"][:, :5].astype(float)).sum(1) == pytest.approx([1, 1, 1], abs=2e-3)
