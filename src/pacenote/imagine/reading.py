"""The starter painter's text encoder learns to read captions before anything is painted. Imports torch: import it where
it is used.

A published painter comes with CLIP's text encoder, which has read the web. One that starts from noise would have to
find out by a picture's error alone that "red" and "green" differ, in nine pixels of a lamp. But captions are written
from specs, so that what they say is known: it learns to tell every fact, light, obstacle and word of the scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pacenote.imagine.spec import Spec

HELD = 200  # captions that are never learnt, to see how well others are read
READ = 0.5  # probability from which on a fact counts as read


class Reader(nn.Module):
    """A CLIP text model and what its last place knows: each of `facts`, yes or no. Attention is causal, so only what
    stands at the end has read everything; every place of the padding is such an end."""

    def __init__(self, text_encoder: Any, facts: int) -> None:
        super().__init__()
        self.text_encoder = text_encoder
        self.told = nn.Linear(text_encoder.config.hidden_size, facts)

    def forward(self, text: Tensor, facts: Tensor) -> dict[str, Tensor]:
        """text (n, tokens) of ids, facts (n, facts) of 0 and 1."""
        loss = nn.functional.binary_cross_entropy_with_logits(self.logits(text), facts)
        return {"loss": loss}

    def logits(self, text: Tensor) -> Tensor:
        return self.told(self.text_encoder(text)[0][:, -1])


class Captions:
    """Item k: ids (tokens,) and facts (facts,) of the caption that (seed, k) draws from all but the last HELD."""

    def __init__(self, ids: np.ndarray, facts: np.ndarray, length: int, seed: int) -> None:
        self.ids, self.facts, self.length, self.seed = ids, facts, length, seed

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, k: int) -> dict[str, Tensor]:
        row = int(np.random.default_rng([self.seed, k, 0x2EAD]).integers(len(self.ids) - HELD))
        return {"text": torch.from_numpy(self.ids[row]), "facts": torch.from_numpy(self.facts[row])}


def learn_to_read(
    text_encoder: Any, specs: Sequence[Spec], ids: np.ndarray, out: Path, *, steps: int, batch: int, lr: float,
    seed: int, device: str,
) -> dict[str, Any]:  # fmt: skip
    """Train `text_encoder` in place on the captions of `specs` (more than HELD), whose token `ids` (specs, tokens) are
    given; resumes in `out`. Returns the metrics and, of captions never learnt, `wrong`: the share of facts misread, and
    `read`: the share of captions that are read without a mistake."""
    from pacenote.training.loop import fit

    told = [{*spec.facts(), ("vehicles", spec.vehicles)} for spec in specs]
    known = sorted(set[tuple[str, str]]().union(*told))
    facts = np.array([[fact in one for fact in known] for one in told], np.float32)
    torch.manual_seed(seed)
    model = Reader(text_encoder, len(known))
    metrics = fit(
        model, Captions(ids, facts, steps * batch, seed), torch.utils.data.default_collate, out, steps=steps,
        batch=batch, groups=[{"part": "reading", "params": list(model.parameters()), "lr": lr}], warmup=0.05, seed=seed,
        device=device, report_to=(),
    )  # fmt: skip
    model.eval()
    place = next(model.parameters()).device
    with torch.inference_mode():
        said = model.logits(torch.from_numpy(ids[-HELD:]).to(place)).sigmoid().cpu().numpy() >= READ
    right = said == (facts[-HELD:] > 0)
    return {**metrics, "facts": len(known), "wrong": float(1 - right.mean()), "read": float(right.all(axis=1).mean())}
