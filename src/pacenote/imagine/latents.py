"""Pairs as a painter learns them: latents of the pictures and embeddings of the captions, made once.

Text encoder and VAE are frozen while a LoRA learns, so both run over each pair a single time; a training step then
needs the UNet alone. Item k of a training is a function of (seed, k): its pair, its noise, its step, whether the
caption is dropped. So a resumed training is the same training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.errors import PacenoteError
from pacenote.imagine.encode import Encoding, encode_texts
from pacenote.models.frames import fit_frame
from pacenote.training.shared import Shared, allocate
from pacenote.work import digest, progress, read_json, write_json

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from pacenote.imagine.pairs import Pair

BATCH = 8
DONE = "pairs.json"


@dataclass(frozen=True)
class Encoded:
    """N pairs: `latents` (N, c, h, w), `texts` (captions, tokens, width), `pooled` (captions, width) or None, float32
    or float16 mapped from disk. Where a text encoder learns along, `texts` are token ids (captions, tokens).

    `caption` (N,): which of the captions (`captions_of`), the last of which is empty; `sizes` (N, 2): height and width
    of the pictures as they came; `weights` (N, h, w) of places in the loss, None: all count alike.
    """

    ids: Sequence[str]
    caption: Sequence[int]
    sizes: Sequence[Sequence[int]]
    latents: np.ndarray
    texts: np.ndarray
    pooled: np.ndarray | None
    weights: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)


def encode_pairs(
    pipeline: Any, encoding: Encoding, pairs: Sequence[Pair], size: tuple[int, int], name: str, base: str, store: Path
) -> Encoded:
    """The pairs under `store`, in a directory named by what they are made from; made once.

    `size`: (width, height) px that pictures are brought to; `base`: digest of the pipeline. The VAE runs in float32
    (SDXL's overflows in half). Raises InputError on a caption that the text encoder would cut and PacenoteError, naming
    the pair, where latents are not finite.
    """
    key = [[pair.id, digest(pair.picture.bytes), pair.caption] for pair in pairs]
    with Shared(store, base).place("encoded", key, size) as place:
        if not (place / DONE).is_file():
            captions = captions_of(pairs)
            _write_texts(pipeline, encoding, captions, name, place)
            sizes = _write_latents(pipeline, pairs, size, place)
            known = {text: number for number, text in enumerate(captions)}
            caption = [known[pair.caption] for pair in pairs]
            write_json(place / DONE, {"ids": [pair.id for pair in pairs], "caption": caption, "sizes": sizes})
        return _open(place)


def captions_of(pairs: Sequence[Pair]) -> list[str]:
    """The captions of `pairs`, each once, and the empty one."""
    return [*dict.fromkeys(pair.caption for pair in pairs), ""]


def _open(place: Path) -> Encoded:
    import numpy as np

    held = read_json(place / DONE)
    arrays = {file.stem: np.load(file, mmap_mode="r") for file in place.glob("*.npy")}
    return Encoded(
        held["ids"], held["caption"], held["sizes"], arrays["latents"], arrays["texts"], arrays.get("pooled")
    )


def _write_texts(pipeline: Any, encoding: Encoding, captions: Sequence[str], name: str, place: Path) -> None:
    stored: dict[str, np.memmap] = {}
    for start in progress(range(0, len(captions), BATCH), "encode captions"):
        embeds, pooled = encode_texts(pipeline, encoding, captions[start : start + BATCH], name)
        for kind, value in (("texts", embeds), ("pooled", pooled)):
            if value is None:
                continue
            found = _numpy(value)
            if kind not in stored:
                stored[kind] = allocate(place / f"{kind}.npy", found.dtype, (len(captions), *found.shape[1:]))
            stored[kind][start : start + len(found)] = found
    for array in stored.values():
        array.flush()


def _numpy(value: Tensor) -> np.ndarray:
    import torch

    return (value if value.dtype == torch.float16 else value.float()).numpy()  # numpy has no bfloat16


def _write_latents(pipeline: Any, pairs: Sequence[Pair], size: tuple[int, int], place: Path) -> list[tuple[int, int]]:
    import torch

    from pacenote.imagine.denoise import latents_of

    vae, kept = pipeline.vae, pipeline.vae.dtype
    vae.to(torch.float32)
    latents, sizes = None, []
    try:
        for start in progress(range(0, len(pairs), BATCH), "encode pictures"):
            part = pairs[start : start + BATCH]
            images = [pair.picture.open() for pair in part]
            sizes += [(image.height, image.width) for image in images]
            pixels = pipeline.image_processor.preprocess([fit_frame(image, size, "stretch") for image in images])
            with torch.inference_mode():
                found = latents_of(vae, pixels.to(vae.device, torch.float32)) * vae.config.scaling_factor
            for pair, one in zip(part, found, strict=True):
                if not bool(torch.isfinite(one).all()):
                    raise PacenoteError(f"pair {pair.id}: its latents are not finite; take it out or mend the VAE")
            if latents is None:
                latents = allocate(place / "latents.npy", "float32", (len(pairs), *found.shape[1:]))
            latents[start : start + len(part)] = found.cpu().numpy()
    finally:
        vae.to(kept)
    assert latents is not None
    latents.flush()
    return sizes


class PairStream:
    """`length` training items from several groups of pairs, mixed by `order` over their concatenation."""

    def __init__(
        self,
        groups: Sequence[Encoded],
        order: Callable[[int], int],
        length: int,
        steps: int,
        size: tuple[int, int],
        drop: float,
        seed: int,
    ) -> None:
        self.groups, self.order, self.length = groups, order, length
        self.steps, self.size, self.drop, self.seed = steps, size, drop, seed
        self.places = [(group, row) for group in range(len(groups)) for row in range(len(groups[group]))]

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, k: int) -> dict[str, Any]:
        """Item k: `id`, latents and noise (c, h, w), timestep, text (tokens, width), of SDXL and Kolors pooled (width,)
        and time_ids (6,), and weight (h, w) where places do not count alike."""
        import numpy as np
        import torch

        group, row = self.places[self.order(k)]
        held = self.groups[group]
        rng = np.random.default_rng([self.seed, k, 0xD1FF])
        caption = len(held.texts) - 1 if rng.random() < self.drop else held.caption[row]
        latents = torch.from_numpy(np.array(held.latents[row]))
        noise = torch.from_numpy(rng.standard_normal(latents.shape, np.float32))
        item = {"id": held.ids[row], "latents": latents, "noise": noise, "timesteps": int(rng.integers(self.steps))}
        text = np.array(held.texts[caption])
        item["text"] = torch.from_numpy(text if text.dtype.kind == "i" else text.astype(np.float32))
        if held.pooled is not None:
            width, height = self.size
            item["pooled"] = torch.from_numpy(np.array(held.pooled[caption], np.float32))
            item["time_ids"] = torch.tensor([*held.sizes[row], 0, 0, height, width], dtype=torch.float32)
        if held.weights is not None:
            item["weight"] = torch.from_numpy(np.array(held.weights[row], np.float32))
        return item


def collate_pairs(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A batch for `Denoiser.forward`, and the `rows` in it."""
    import torch

    names = [name for name in items[0] if name not in ("id", "timesteps")]
    batch: dict[str, Any] = {name: torch.stack([item[name] for item in items]) for name in names}
    batch["timesteps"] = torch.tensor([item["timesteps"] for item in items])
    return {**batch, "rows": [item["id"] for item in items]}
