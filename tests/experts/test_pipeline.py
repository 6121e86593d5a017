"""Checkpoints of transformers load without torchvision and tell boxes in pixels of the picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pacenote.errors import InputError
from pacenote.experts import KINDS, open_expert
from pacenote.experts.pipeline import PipelineDetector

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

NAMES = {0: "car", 1: "traffic light", 2: "stop sign"}


def yolos(path: Path, names: dict[int, str] = NAMES, **changes: Any) -> Path:
    """A tiny YOLOS of random weights whose boxes all are (0.25, 0.5, 0.75, 1.0) and whose class is `shown`."""
    from transformers import YolosConfig, YolosForObjectDetection
    from transformers.models.yolos.image_processing_pil_yolos import YolosImageProcessorPil

    shown = changes.pop("shown", 0)
    torch.manual_seed(0)
    config = YolosConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=[32, 32],
        patch_size=16, num_detection_tokens=4, id2label=names, label2id={name: i for i, name in names.items()},
    )  # fmt: skip
    model = YolosForObjectDetection(config)
    with torch.no_grad():
        last = model.class_labels_classifier.layers[-1]
        last.weight.zero_()
        last.bias.fill_(-9)
        last.bias[shown] = 9.0
        last = model.bbox_predictor.layers[-1]
        last.weight.zero_()
        last.bias.copy_(torch.logit(torch.tensor([0.5, 0.75, 0.5, 0.5])))
    model.save_pretrained(path)
    YolosImageProcessorPil(size={"shortest_edge": 32, "longest_edge": 64}).save_pretrained(path)
    return path


def test_boxes_in_pixels_of_the_picture(tmp_path: Path) -> None:
    expert = open_expert(str(yolos(tmp_path / "tiny")))
    pictures = [Image.new("RGB", size, (90, 90, 90)) for size in ((80, 40), (60, 60), (40, 80))]
    for image, found in zip(pictures, expert.detect(pictures), strict=True):
        assert [one.kind for one in found] == ["vehicle"]  # four equal boxes, suppressed to one
        w, h = image.size
        assert found[0].box == pytest.approx((0.25 * w, 0.5 * h, 0.75 * w, h), abs=0.01)
        assert found[0].confidence > 0.99
    assert expert.name == "tiny" and len(expert.digest) == 12
    assert PipelineDetector(tmp_path / "tiny", least=0.5).digest != expert.digest


def test_the_state_of_a_light_comes_from_its_pixels(tmp_path: Path) -> None:
    expert = open_expert(str(yolos(tmp_path / "tiny", shown=1)))
    image = Image.new("RGB", (80, 40), (20, 20, 20))
    image.paste((250, 30, 20), (35, 25, 45, 35))
    assert [(one.kind, one.state) for one in expert.detect([image])[0]] == [("traffic_light", "red")]
    unknown = open_expert(str(yolos(tmp_path / "other", shown=2)))
    assert unknown.detect([image]) == [[]]


def test_a_processor_named_by_the_checkpoint_is_taken_on_pil(tmp_path: Path) -> None:
    """RT-DETR v2 and D-FINE have no entry of their own: their checkpoints name RT-DETR's processor."""
    from transformers import RTDetrV2Config, RTDetrV2ForObjectDetection

    torch.manual_seed(0)
    config = RTDetrV2Config(
        d_model=16, encoder_hidden_dim=16, encoder_in_channels=[16, 16, 16], encoder_ffn_dim=16, encoder_layers=1,
        encoder_attention_heads=2, decoder_in_channels=[16, 16, 16], decoder_layers=2, decoder_attention_heads=2,
        decoder_ffn_dim=16, num_queries=6, num_denoising=0, id2label=NAMES, label2id={n: i for i, n in NAMES.items()},
        backbone_config={
            "model_type": "rt_detr_resnet", "embedding_size": 8, "hidden_sizes": [8, 16, 16, 16],
            "depths": [1, 1, 1, 1], "layer_type": "basic", "out_features": ["stage2", "stage3", "stage4"],
        },
    )  # fmt: skip
    RTDetrV2ForObjectDetection(config).save_pretrained(tmp_path)
    told = {"image_processor_type": "RTDetrImageProcessorFast", "size": {"height": 64, "width": 64}, "do_rescale": True}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(told))
    found = PipelineDetector(tmp_path, least=0.0).detect([Image.new("RGB", (90, 50))])[0]
    assert all(one.kind in KINDS and 0 <= one.box[0] < one.box[2] <= 90 for one in found)


def test_bad_checkpoints(tmp_path: Path) -> None:
    from transformers import ViTConfig, ViTForImageClassification

    tiny = ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32)
    ViTForImageClassification(tiny).save_pretrained(tmp_path / "classes")
    no_processor = yolos(tmp_path / "other")
    (no_processor / "preprocessor_config.json").write_text('{"image_processor_type": "RfDetrImageProcessor"}')
    (tmp_path / "empty").mkdir()
    for path, message in (
        (tmp_path / "empty", "cannot be loaded"),
        (tmp_path / "classes", r"cannot be loaded \(it detects no objects\)"),
        (yolos(tmp_path / "foreign", {0: "a", 1: "b"}), "none of its classes is known here"),
        (no_processor, "has no image processor on PIL"),
        ("no-one/no-model", "cannot be loaded"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            open_expert(str(path))
        assert "\n" not in str(caught.value)
