"""Who paints: a text-to-image model behind a small interface, and diffusers' pipelines behind it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pacenote.errors import InputError
from pacenote.imagine import lora
from pacenote.imagine.encode import check_lengths, encoding_of
from pacenote.imagine.lora import PaintLora
from pacenote.work import digest, digest_tree, read_json

if TYPE_CHECKING:
    from PIL import Image

    from pacenote.imagine.pairs import Pair

SETTINGS = "painter.json"  # beside model_index.json: size, steps, guidance of a painter that was trained here
BATCH = 4


class Painter(Protocol):
    """What the rounds need of a painter. `digest` names its weights; `size` is (width, height) px."""

    name: str

    @property
    def digest(self) -> str: ...

    @property
    def size(self) -> tuple[int, int]: ...

    def check(self, prompts: Sequence[str]) -> None:
        """Raise InputError on a prompt that it would not read to its end."""

    def paint(
        self, prompts: Sequence[str], seeds: Sequence[int], negative: Sequence[str] | None = None
    ) -> list[Image.Image]:
        """A picture a prompt; the same prompt and seed give the same picture, whatever else is painted with it."""

    def with_lora(self, path: Path | None) -> Painter:
        """This painter under the LoRA in `path` (None: without one)."""

    def train_lora(
        self, groups: Sequence[Sequence[Pair]], out: Path, options: PaintLora, start: Path | None, store: Path
    ) -> Path:
        """Train a LoRA from `start` (None: a fresh one) on groups of pairs into `out`; resumes."""


@dataclass(frozen=True)
class Strokes:
    """How pictures are painted: `size` (width, height) px, denoising `steps`, classifier-free `guidance`."""

    size: tuple[int, int]
    steps: int = 30
    guidance: float = 5.0


class DiffusersPainter:
    """A diffusers text-to-image pipeline of a kind that `encode.ENCODINGS` knows."""

    def __init__(self, pipeline: Any, name: str, key: str, strokes: Strokes, device: str) -> None:
        self.pipeline, self.name, self.base, self.strokes, self.device = pipeline, name, key, strokes, device
        self.encoding = encoding_of(type(pipeline).__name__, name)
        self.lora: Path | None = None
        pipeline.set_progress_bar_config(disable=True)

    def __reduce__(self) -> tuple[Any, ...]:
        # To another process goes the name; it loads the weights itself.
        return _again, (self.name, self.device, self.strokes, self.lora)

    @property
    def size(self) -> tuple[int, int]:
        return self.strokes.size

    @property
    def digest(self) -> str:
        strokes = [*self.strokes.size, self.strokes.steps, self.strokes.guidance]
        return digest([self.base, strokes, self.lora and digest_tree(self.lora / lora.WEIGHTS)])

    def check(self, prompts: Sequence[str]) -> None:
        check_lengths(self.pipeline, self.encoding, prompts, self.name)

    def paint(
        self, prompts: Sequence[str], seeds: Sequence[int], negative: Sequence[str] | None = None
    ) -> list[Image.Image]:
        import torch

        if len(prompts) != len(seeds) or (negative is not None and len(negative) != len(prompts)):
            raise InputError(f"{len(prompts)} prompts, {len(seeds)} seeds: give one seed (and one negative) each")
        self.check([*prompts, *(negative or ())])
        width, height = self.strokes.size
        images: list[Image.Image] = []
        for start in range(0, len(prompts), BATCH):
            part = slice(start, start + BATCH)
            draws = [torch.Generator().manual_seed(seed) for seed in seeds[part]]  # on the CPU: alike on any device
            with torch.inference_mode():
                images += self.pipeline(
                    prompt=list(prompts[part]), negative_prompt=None if negative is None else list(negative[part]),
                    generator=draws, width=width, height=height, num_inference_steps=self.strokes.steps,
                    guidance_scale=self.strokes.guidance,
                ).images  # fmt: skip
        return images

    def with_lora(self, path: Path | None) -> DiffusersPainter:
        """The same pipeline: only one LoRA at a time is on it."""
        if path != self.lora:
            lora.unload(self.pipeline)
            self.lora = None
            if path is not None:
                lora.load_lora(self.pipeline, path)
                self.lora = path
        return self

    def train_lora(
        self, groups: Sequence[Sequence[Pair]], out: Path, options: PaintLora, start: Path | None, store: Path
    ) -> Path:
        self.with_lora(None)
        return lora.train_lora(
            self.pipeline, self.encoding, groups, out, options,
            size=self.size, name=self.name, base=self.base, start=start, store=store, device=self.device,
        )  # fmt: skip

    def merged(self, path: Path, out: Path) -> None:
        """Write the whole painter with the LoRA of `path` folded in to `out`; this one holds it from then on."""
        self.with_lora(None)
        lora.merge_lora(self.pipeline, path)
        save_painter(self.pipeline, self.strokes, out)


def quiet() -> None:
    """No bars and hints of the libraries among a command's own lines."""
    import diffusers
    import transformers

    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()


@functools.lru_cache(maxsize=1)
def _opened(name: str, device: str, strokes: Strokes) -> DiffusersPainter:
    return open_painter(name, device, size=strokes.size, steps=strokes.steps, guidance=strokes.guidance)


def _again(name: str, device: str, strokes: Strokes, lora: Path | None) -> DiffusersPainter:
    return _opened(name, device, strokes).with_lora(lora)


def save_painter(pipeline: Any, strokes: Strokes, out: Path) -> None:
    """Write a pipeline and how it paints; `open_painter` reads both."""
    from pacenote.work import atomic, write_json

    with atomic(out) as partial:
        pipeline.save_pretrained(partial)
        write_json(partial / SETTINGS, {"size": strokes.size, "steps": strokes.steps, "guidance": strokes.guidance})


def open_painter(
    name: str,
    device: str = "auto",
    *,
    size: tuple[int, int] | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    lora: Path | None = None,
) -> DiffusersPainter:
    """Load the pipeline in a directory or of a hub id; `size`, `steps` and `guidance` replace its own.

    bfloat16 on a GPU, float32 elsewhere. Raises InputError where there is no pipeline, or one of an unknown kind.
    """
    import torch
    from diffusers import DiffusionPipeline

    from pacenote.training.loop import pick_device

    quiet()
    root = Path(name).expanduser()
    place = pick_device(device)
    dtype = torch.bfloat16 if place.startswith("cuda") else torch.float32
    if not root.is_dir() and (name.count("/") != 1 or name.startswith((".", "/", "~"))):
        raise InputError(f"{name}: no such painter; give a directory with model_index.json or a hub id (owner/name)")
    try:
        pipeline = DiffusionPipeline.from_pretrained(str(root) if root.is_dir() else name, dtype=dtype).to(place)
    except (OSError, ValueError, AttributeError, ImportError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"{name}: cannot be loaded as a painter ({reason}); give a diffusers pipeline") from None
    held = read_json(root / SETTINGS) if (root / SETTINGS).is_file() else {}
    strokes = Strokes(
        size=size or tuple(held.get("size") or encoding_of(type(pipeline).__name__, name).size),
        steps=steps or held.get("steps") or Strokes.steps,
        guidance=held.get("guidance", Strokes.guidance) if guidance is None else guidance,
    )
    painter = DiffusersPainter(pipeline, name, digest_tree(root) if root.is_dir() else name, strokes, place)
    return painter.with_lora(lora)
