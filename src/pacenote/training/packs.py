"""Several questions about one frame in one sequence: the image is encoded, and attended to, once.

    <system> <frame> [crop: <crop>] | question 1, answer 1 | question 2, answer 2 | ...

Each branch sees the prefix and itself alone, and its positions go on from the prefix, so that a packed branch gives the
logits of a sequence of its own. Only answers carry labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pacenote.errors import PacenoteError
from pacenote.training.batches import IGNORE, pieces_ids
from pacenote.training.questions import Ask

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from pacenote.models import Model

Grid = tuple[int, int, int]


@dataclass(frozen=True)
class Prefix:
    """Everything before the questions, for pictures of given grids."""

    ids: Tensor  # (L,)
    positions: Tensor  # (3, L)
    following: int  # position of the first token after it


@dataclass(frozen=True)
class Pack:
    """One sequence. All tensors have its length L, `positions` is (3, L).

    `segments`: 0 the prefix, n the n-th branch. `labels`: the token that should follow, IGNORE where none is asked.
    `weights`: of each label.
    """

    ids: Tensor
    positions: Tensor
    segments: Tensor
    labels: Tensor
    weights: Tensor


class Packer:
    """Makes packs for one model's tokenizer, chat template and position scheme."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.tokenizer = model.processor.tokenizer
        self.image_id = int(model.model.config.image_token_id)
        self._prefixes: dict[tuple[Grid, ...], Prefix] = {}
        self._tails: dict[str, list[int]] = {}

    def prefix(self, grids: tuple[Grid, ...]) -> Prefix:
        """The prefix for pictures whose patches form `grids`; the second and later ones have the role `crop`."""
        import torch

        if grids not in self._prefixes:
            head = self._split("?", len(grids))[0]
            for grid in grids:
                count = self.model.family.image_tokens(grid, self.model.model)
                head = head.replace("<|image_pad|>", "<|held|>" * count, 1)
            ids = torch.tensor(self._encode(head.replace("<|held|>", "<|image_pad|>")))
            found = int((ids == self.image_id).sum())
            expected = sum(self.model.family.image_tokens(grid, self.model.model) for grid in grids)
            if found != expected:
                raise PacenoteError(f"{found} image placeholders for {expected} visual tokens; check its chat template")
            kinds = (ids == self.image_id).int()[None]
            positions, _ = self.model.model.model.get_rope_index(
                ids[None], mm_token_type_ids=kinds, image_grid_thw=torch.tensor(grids)
            )
            self._prefixes[grids] = Prefix(ids, positions[:, 0], int(positions.max()) + 1)
        return self._prefixes[grids]

    def pack(self, asks: Sequence[Ask], grids: tuple[Grid, ...]) -> Pack:
        """`asks` about pictures of `grids`, side by side behind one prefix."""
        import torch

        prefix = self.prefix(grids)
        length = len(prefix.ids)
        ids, positions = [prefix.ids], [prefix.positions]
        segments = [torch.zeros(length, dtype=torch.int16)]
        labels = [torch.full((length,), IGNORE)]
        weights = [torch.zeros(length)]
        for number, one in enumerate(asks, 1):
            prompt, answer, weight = self.branch(one, len(grids))
            branch = torch.tensor(prompt + answer)
            own = torch.full((len(branch),), IGNORE)
            own_weights = torch.zeros(len(branch))
            start = len(prompt) - 1  # the last token of the prompt already predicts the first of the answer
            own[start : start + len(answer)] = torch.tensor(answer)
            own_weights[start : start + len(answer)] = torch.tensor(weight)
            own[own_weights == 0] = IGNORE
            ids.append(branch)
            positions.append((prefix.following + torch.arange(len(branch))).expand(3, -1))
            segments.append(torch.full((len(branch),), number, dtype=torch.int16))
            labels.append(own)
            weights.append(own_weights)
        pack = Pack(torch.cat(ids), torch.cat(positions, 1), torch.cat(segments), torch.cat(labels), torch.cat(weights))
        if bool((pack.labels == self.image_id).any()):
            raise PacenoteError("an image token became a label; the answer of a sample holds a placeholder")
        return pack

    def branch(self, one: Ask, images: int) -> tuple[list[int], list[int], list[float]]:
        """Token ids of the question's tail of the prompt, of the answer with its end token, and the answer's weights.

        Prompt and answer are tokenised apart, as they are when the model is asked.
        """
        if one.question not in self._tails:
            if len(self._tails) > 20_000:
                self._tails.clear()
            self._tails[one.question] = self._encode(self._split(one.question, images)[1])
        answer, weights = pieces_ids(self.tokenizer, self.model.end_id, one.answer)
        return self._tails[one.question], list(answer), list(weights)

    def _split(self, question: str, images: int) -> tuple[str, str]:
        """The prompt as (up to the last picture, after it)."""
        text = self.model.prompt(images, question)
        mark = "<|vision_end|>"
        cut = text.rindex(mark) + len(mark) if images else 0
        return text[:cut], text[cut:]

    def _encode(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]


def collate_packs(packs: Sequence[Pack], pad_id: int, multiple: int = 32) -> dict[str, Tensor]:
    """Right-padded batch: `input_ids`, `segments` (-1 = padding), `labels`, `weights` (B, L), `positions` (3, B, L).

    L is a multiple of `multiple`, so that few shapes occur.
    """
    import torch

    length = max(len(pack.ids) for pack in packs)
    length += -length % multiple
    rows = len(packs)
    batch = {
        "input_ids": torch.full((rows, length), pad_id),
        "segments": torch.full((rows, length), -1, dtype=torch.int16),
        "labels": torch.full((rows, length), IGNORE),
        "weights": torch.zeros(rows, length),
        "positions": torch.zeros(3, rows, length, dtype=torch.long),
    }
    for row, pack in enumerate(packs):
        size = len(pack.ids)
        batch["input_ids"][row, :size] = pack.ids
        batch["segments"][row, :size] = pack.segments
        batch["labels"][row, :size] = pack.labels
        batch["weights"][row, :size] = pack.weights
        batch["positions"][:, row, :size] = pack.positions
    return batch


def allowed(segments: Tensor) -> Tensor:
    """(B, L) segments -> (B, 1, L, L) bool: the keys that each query sees. Padding sees itself: softmax needs one."""
    import torch

    length = segments.shape[1]
    query, key = segments[:, :, None], segments[:, None, :]
    causal = torch.ones(length, length, dtype=torch.bool, device=segments.device).tril()
    seen = causal & ((key == 0) | (key == query))
    return seen[:, None]


def answer_loss(model: Any, embeds: Tensor, batch: dict[str, Tensor], items: torch.Tensor | int | None) -> Tensor:
    """Weighted cross-entropy of the answer tokens, summed and divided by `items` (labels of the whole optimizer step).

    Only rows with a label get logits: a batch's full logits are what fills memory.
    """
    from torch.nn import functional

    hidden = hidden_states(model, embeds, batch["positions"], batch["segments"])
    chosen = batch["labels"] != IGNORE
    logits = model.get_output_embeddings()(hidden[chosen]).float()
    losses = functional.cross_entropy(logits, batch["labels"][chosen], reduction="none")
    return (losses * batch["weights"][chosen]).sum() / (items if items is not None else chosen.sum())


def hidden_states(model: Any, embeds: Tensor, positions: Tensor, segments: Tensor) -> Tensor:
    """Last hidden states (B, L, width) of the language part over packed embeddings."""
    from pacenote.models import text

    return text.run(model.model.language_model, embeds, positions, allowed(segments))


def embed(model: Any, input_ids: Tensor, tokens: Tensor | None) -> Tensor:
    """Embeddings (B, L, width) with the visual `tokens` (all images of the batch, in order) in their places."""
    embeds = model.get_input_embeddings()(input_ids)
    if tokens is None:
        return embeds
    holes = (input_ids == model.config.image_token_id)[..., None]
    if int(holes.sum()) != len(tokens):
        raise PacenoteError(f"{int(holes.sum())} image placeholders for {len(tokens)} visual tokens in a batch")
    return embeds.masked_scatter(holes, tokens.to(embeds.dtype))
