"""Any object-detection checkpoint of transformers (DETR, RT-DETR, D-FINE, YOLOS, ...), with the PIL image processors:
the usual ones need torchvision."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.errors import InputError
from pacenote.experts.classical import lamp_state
from pacenote.experts.detection import Detection, clipped, kind_of, suppressed
from pacenote.work import digest, digest_tree

if TYPE_CHECKING:
    from PIL import Image


class PipelineDetector:
    """The checkpoint in a directory or on the hub, on `device`.

    Boxes under `least` and classes that Pacenote has no word for are left out. Raises InputError for a checkpoint that
    is missing, detects no objects, knows none of our kinds, or needs a processor that runs only on torchvision.
    """

    def __init__(self, name_or_directory: str | Path, least: float = 0.3, device: str = "cpu") -> None:
        source = str(name_or_directory)
        self.name, self.least, self.device = source.rstrip("/").split("/")[-1], least, device
        self._model, self._processor = _load(source)
        names = self._model.config.id2label
        self._kinds = {int(index): kind for index, name in names.items() if (kind := kind_of(str(name)))}
        self.kinds = frozenset(kind for kind, _ in self._kinds.values())
        if not self._kinds:
            raise InputError(f"{source}: none of its classes is known here ({_some(names.values())}); try another")
        self._model.to(device).eval()
        commit = getattr(self._model.config, "_commit_hash", None)
        weights = digest_tree(source) if Path(source).is_dir() else [source, commit]
        self.digest = digest({"weights": weights, "least": least})

    def detect(self, images: Sequence[Image.Image]) -> list[list[Detection]]:
        """The detections of each picture, best first; the state of a plain traffic light is read from its pixels."""
        # One by one: padding to a common size would shift the boxes of families without a mask.
        return [self._detect(image.convert("RGB")) for image in images]

    def _detect(self, image: Image.Image) -> list[Detection]:
        import torch

        inputs = self._processor(images=image, return_tensors="pt").to(self.device)
        with torch.inference_mode():
            outputs = self._model(**inputs)
        held = self._processor.post_process_object_detection(
            outputs, threshold=self.least, target_sizes=[(image.height, image.width)]
        )[0]
        found = []
        boxes, scores, labels = (held[name].tolist() for name in ("boxes", "scores", "labels"))
        for box, score, label in zip(boxes, scores, labels, strict=True):
            inside = clipped(box, image.size)
            if label in self._kinds and inside:
                kind, state = self._kinds[label]
                if kind == "traffic_light" and not state:
                    state = lamp_state(image, inside)
                found.append(Detection(kind, inside, score, state))
        return suppressed(found)


def _load(source: str) -> tuple[Any, Any]:
    """(model, image processor)."""
    try:
        from transformers import AutoConfig, AutoModelForObjectDetection
    except ImportError:
        raise InputError(f"{source}: checkpoints need transformers; pip install 'pacenote[models]'") from None
    try:
        config = AutoConfig.from_pretrained(source)
        model = AutoModelForObjectDetection.from_pretrained(source, config=config)
        return model, _processor_class(source, config).from_pretrained(source)
    except InputError:
        raise
    except (OSError, ValueError, ImportError) as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        told = "it detects no objects" if "Unrecognized configuration class" in reason else reason
        raise InputError(f"{source}: cannot be loaded ({told}); check the path or hub id") from None


def _processor_class(source: str, config: Any) -> Any:
    """The PIL class of the processor that a checkpoint names, else of its family's.

    `AutoImageProcessor` itself refuses to work without torchvision.
    """
    from transformers.models.auto.image_processing_auto import (
        IMAGE_PROCESSOR_MAPPING_NAMES,
        get_image_processor_class_from_name,
        get_image_processor_config,
    )

    held = get_image_processor_config(source)
    stock = held.get("image_processor_type") or held.get("feature_extractor_type") or ""
    stock = re.sub(r"(Pil|Fast)$", "", stock.replace("FeatureExtractor", "ImageProcessor"))
    name = f"{stock}Pil" if stock else (IMAGE_PROCESSOR_MAPPING_NAMES.get(config.model_type) or {}).get("pil")
    found = get_image_processor_class_from_name(name) if name else None
    if found is None or not hasattr(found, "post_process_object_detection"):
        kind = stock or config.model_type
        raise InputError(f"{source}: {kind} has no image processor on PIL; take a DETR, RT-DETR or YOLOS")
    return found


def _some(names: Any) -> str:
    told = [str(name) for name in names]
    return ", ".join(told[:5]) + (", ..." if len(told) > 5 else "")
