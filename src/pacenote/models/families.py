"""Model families: how a checkpoint is loaded, what its parts are called, and how it is asked.

A family is an entry of `FAMILIES`; nothing else in Pacenote knows an architecture. `load` gives a `Model`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pacenote.errors import InputError
from pacenote.models import chat
from pacenote.models.shipped import resolve

if TYPE_CHECKING:
    import torch
    from PIL import Image

PARTS = ("vision", "projector", "language", "head")
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class Family:
    """Names of one architecture. A parameter belongs to the part with the longest prefix of its name.

    `linear` and `vision_linear` are the names of the linear layers inside a block of the language part and of the
    vision tower: what a LoRA adapts. `end` is the token that ends an answer, `placeholders` are the tokens that must
    not come from a user's words. `features` counts the visual features that a batch of inputs gives the model.
    """

    name: str
    model_type: str  # of config.json
    prefixes: dict[str, tuple[str, ...]]
    tower: str  # path of the vision tower
    backbone: str  # path of the language part without its head
    end: str
    placeholders: tuple[str, ...]
    features: Callable[[Mapping[str, Any], Any], int]
    linear: tuple[str, ...] = LINEAR
    vision_linear: tuple[str, ...] = ()
    nested_tiles: bool = False  # whether the tiles of a row's images have a dimension of their own

    def part(self, parameter: str) -> str:
        """The part of PARTS that a parameter's name belongs to. Raises KeyError on a foreign name."""
        best = max(
            ((len(p), part) for part, prefixes in self.prefixes.items() for p in prefixes if parameter.startswith(p)),
            default=None,
        )
        if best is None:
            raise KeyError(f"{parameter} belongs to no part of the family {self.name}")
        return best[1]

    def visual(self, model: Any) -> Any:
        """The vision tower; of the Qwen families with its projector."""
        return model.get_submodule(self.tower)

    def language(self, model: Any) -> Any:
        """The language part without its head."""
        return model.get_submodule(self.backbone)

    def image_tokens(self, grid: Sequence[int], model: Any) -> int:
        """Qwen2.5-VL: visual tokens of an image whose patches form `grid` = (temporal, rows, columns)."""
        merge = int(model.config.vision_config.spatial_merge_size)
        return grid[0] * grid[1] * grid[2] // merge**2


def _qwen_features(inputs: Mapping[str, Any], config: Any) -> int:
    if inputs.get("image_grid_thw") is None:
        return 0
    return int(inputs["image_grid_thw"].prod(-1).sum()) // int(config.vision_config.spatial_merge_size) ** 2


def _internvl_features(inputs: Mapping[str, Any], config: Any) -> int:
    tiles = inputs.get("pixel_values")
    return 0 if tiles is None else len(tiles) * int(config.image_seq_length)


def _smolvlm_features(inputs: Mapping[str, Any], config: Any) -> int:
    tiles = inputs.get("pixel_values")
    if tiles is None:
        return 0
    from pacenote.models.processor import smolvlm_tile_tokens

    real = int((tiles != 0).flatten(2).any(-1).sum())  # a row with fewer tiles is padded with empty ones
    return real * smolvlm_tile_tokens(config)


_QWEN2_5 = Family(
    name="qwen2_5_vl",
    model_type="qwen2_5_vl",
    prefixes={
        "vision": ("model.visual.",),
        "projector": ("model.visual.merger.",),
        "language": ("model.language_model.",),
        "head": ("lm_head.", "model.language_model.embed_tokens."),
    },
    tower="model.visual",
    backbone="model.language_model",
    end="<|im_end|>",
    placeholders=chat.PLACEHOLDERS,
    features=_qwen_features,
    vision_linear=("qkv", "proj", "gate_proj", "up_proj", "down_proj"),
)
FAMILIES = {
    "qwen2_5_vl": _QWEN2_5,
    "qwen3_vl": replace(
        _QWEN2_5,
        name="qwen3_vl",
        model_type="qwen3_vl",
        prefixes={
            **_QWEN2_5.prefixes, "projector": ("model.visual.merger.", "model.visual.deepstack_merger_list."),
        },
        vision_linear=("qkv", "proj", "linear_fc1", "linear_fc2"),
    ),
    "internvl": Family(
        name="internvl",
        model_type="internvl",
        prefixes={
            "vision": ("model.vision_tower.",),
            "projector": ("model.multi_modal_projector.",),
            "language": ("model.language_model.",),
            "head": ("lm_head.", "model.language_model.embed_tokens."),
        },
        tower="model.vision_tower",
        backbone="model.language_model",
        end="<|im_end|>",
        placeholders=("<IMG_CONTEXT>", "<img>", "</img>", "<video>", "<|im_start|>", "<|im_end|>"),
        features=_internvl_features,
        vision_linear=("q_proj", "k_proj", "v_proj", "projection_layer", "fc1", "fc2"),
    ),
    "smolvlm": Family(
        name="smolvlm",
        model_type="smolvlm",
        prefixes={
            "vision": ("model.vision_model.",),
            "projector": ("model.connector.",),
            "language": ("model.text_model.",),
            "head": ("lm_head.", "model.text_model.embed_tokens."),
        },
        tower="model.vision_model",
        backbone="model.text_model",
        end="<end_of_utterance>",
        placeholders=(
            "<image>", "<video>", "<fake_token_around_image>", "<global-img>", "<|im_start|>", "<end_of_utterance>",
        ),
        features=_smolvlm_features,
        vision_linear=("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"),
        nested_tiles=True,
    ),
}  # fmt: skip


@dataclass
class Model:
    """A loaded model with everything that is needed to ask it."""

    family: Family
    model: Any  # a transformers PreTrainedModel
    processor: Any
    name: str = ""

    @property
    def device(self) -> torch.device:
        """Where its inputs belong."""
        import torch

        return torch.device("cpu") if self.model.device.type == "meta" else self.model.device

    @property
    def tokenizer(self) -> Any:
        return self.processor.tokenizer

    @property
    def end_id(self) -> int:
        """Id of the token that ends an answer."""
        return int(self.tokenizer.convert_tokens_to_ids(self.family.end))

    def prompt(self, images: int, question: str, roles: Sequence[str] = ()) -> str:
        """The text up to where the answer starts, with one placeholder an image."""
        conversation = chat.messages(images, question, roles, self.family.placeholders)
        return self.tokenizer.apply_chat_template(
            conversation, chat_template=self.processor.chat_template, tokenize=False, add_generation_prompt=True
        )

    def inputs(
        self, images: Sequence[Sequence[Image.Image]], questions: Sequence[str], roles: Sequence[Sequence[str]] = ()
    ) -> Any:
        """Left-padded model inputs for a batch: each question with its own images."""
        if len(images) != len(questions):
            raise InputError(f"{len(images)} lists of images for {len(questions)} questions; give one list each")
        texts = [
            self.prompt(len(own), question, roles[i] if roles else ())
            for i, (own, question) in enumerate(zip(images, questions, strict=True))
        ]
        pictures = [[image.convert("RGB") for image in own] for own in images]
        if not self.family.nested_tiles:
            pictures = [image for own in pictures for image in own]  # type: ignore[misc]
        there = pictures if any(images) else None
        batch = self.processor(images=there, text=texts, padding=True, padding_side="left", return_tensors="pt")
        return batch.to(self.device)

    def generate(
        self,
        images: Sequence[Sequence[Image.Image]],
        questions: Sequence[str],
        max_new_tokens: int = 96,
        roles: Sequence[Sequence[str]] = (),
    ) -> list[str]:
        """Greedy answers, one a question; the text after the prompt without special tokens."""
        import torch

        if not questions:
            return []
        batch = self.inputs(images, questions, roles)
        with torch.inference_mode():
            out = self.model.generate(
                **batch,
                max_new_tokens=max_new_tokens,
                do_sample=False,
                eos_token_id=self.end_id,
                pad_token_id=self.tokenizer.pad_token_id,
            )
        answers = out[:, batch["input_ids"].shape[1] :]
        return [text.strip() for text in self.tokenizer.batch_decode(answers, skip_special_tokens=True)]

    def save(self, path: Any, dtype: torch.dtype | None = None) -> None:
        """Write weights (safetensors, in `dtype` or as they are), configuration, processor and tokenizer."""
        import json
        from pathlib import Path

        state = self.model.state_dict()
        if dtype is not None:
            state = {k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}
        self.model.save_pretrained(path, state_dict=state, safe_serialization=True)
        self.processor.save_pretrained(path)
        if dtype is not None:  # save_pretrained writes the dtype of the model in memory
            file = Path(path) / "config.json"
            config = json.loads(file.read_text())
            for part in (config, config.get("text_config", {}), config.get("vision_config", {})):
                if "dtype" in part:
                    part["dtype"] = str(dtype).removeprefix("torch.")
            file.write_text(json.dumps(config, indent=2) + "\n")


def family_of(config: Any, source: str) -> Family:
    """The family of a loaded configuration. Raises InputError for an architecture that Pacenote does not know."""
    for family in FAMILIES.values():
        if family.model_type == config.model_type:
            return family
    raise InputError(f"{source}: model type '{config.model_type}' is not supported; known: {', '.join(FAMILIES)}")


def load(
    name_or_directory: str, device: str = "cpu", dtype: Any = None, *, weights: bool = True, nf4: bool = False
) -> Model:
    """Load a model from a directory, a shipped name or a hub id.

    `dtype`: a torch dtype or None for the checkpoint's own, or float32 where that is faster (`precision.widened`);
    without `weights` the model has shapes only (device "meta") and nothing but configuration, processor and tokenizer
    is read. `nf4`: the linear layers of the language part in 4 bits (bitsandbytes), for QLoRA; vision, projector and
    head stay as they are, small models break otherwise. The packed int4 layers of a checkpoint that `pacenote quantize`
    made stay packed. Raises InputError when it is missing, of no known family or of an unknown quantization.
    """
    source = resolve(name_or_directory)
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    from pacenote.models import packed
    from pacenote.models.precision import widened
    from pacenote.models.processor import load_processor
    from pacenote.models.vision import install

    info = None
    try:
        config = AutoConfig.from_pretrained(source)
        family = family_of(config, source)
        if weights:
            more: dict[str, Any] = {"quantization_config": _nf4(config, family), "device_map": device} if nf4 else {}
            if packed.takes(config, name_or_directory):
                more |= {"config": config, "output_loading_info": True}
            model = AutoModelForImageTextToText.from_pretrained(source, dtype=dtype or "auto", **more)
            model, info = model if "config" in more else (model, None)
        else:
            with torch.device("meta"):
                model = AutoModelForImageTextToText.from_config(config, dtype=dtype or config.dtype or torch.bfloat16)
        processor = load_processor(source, family.name, config)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{name_or_directory}: cannot be loaded ({reason}); check the path or hub id") from None
    install(model)
    if weights and not nf4:
        model = model.to(device)
        packed.decompress(model, dtype)
    if info is not None:
        packed.finish(model, name_or_directory, info)
    if dtype is None:
        model = widened(model)
    return Model(family, model.eval(), processor, str(name_or_directory))


def _nf4(config: Any, family: Family) -> Any:
    """4-bit weights (NF4, double quantisation) for the linear layers of the language part."""
    import importlib.util

    import torch
    from transformers import AutoModelForImageTextToText, BitsAndBytesConfig

    if importlib.util.find_spec("bitsandbytes") is None:
        raise InputError("lora: bits 4 needs bitsandbytes; install it: pip install 'pacenote[qlora]'")
    with torch.device("meta"):
        shapes = AutoModelForImageTextToText.from_config(config)
    kept = [
        name for name, module in shapes.named_modules()
        if isinstance(module, torch.nn.Linear) and family.part(f"{name}.weight") != "language"
    ]  # fmt: skip
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16, llm_int8_skip_modules=kept,
    )  # fmt: skip
