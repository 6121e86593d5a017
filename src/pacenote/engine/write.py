"""Answers written through a grammar: certain tokens are forced, and several decisions are taken in one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pacenote.engine.decoder import Cache, Decoder
from pacenote.engine.draft import Draft, Strand, draft
from pacenote.engine.roofline import Meter

if TYPE_CHECKING:
    from torch import Tensor


class Writer:
    """Advances strands pass by pass. `embed`: token ids to embeddings; `head`: the output layer, of which only the rows
    of `tokens` are computed; `width`: tokens of the tree of a draft; `row_cost`: what each costs, in passes of one
    token; `axes`: of a position (3 or 1)."""

    def __init__(
        self,
        decoder: Decoder,
        embed: Callable[[Tensor], Tensor],
        head: Any,
        tokens: Sequence[int],
        *,
        width: int,
        row_cost: float,
        axes: int,
        meter: Meter,
    ) -> None:
        import torch

        self.decoder = decoder
        self.embed = embed
        self.width, self.row_cost, self.axes = width, row_cost, axes
        rows = torch.tensor(list(tokens), device=head.weight.device)
        self.weight = head.weight.detach()[rows].float()
        self.bias = None if getattr(head, "bias", None) is None else head.bias.detach()[rows].float()
        self.column = {token: index for index, token in enumerate(tokens)}
        self.meter = meter

    def run(self, strands: Sequence[Strand], cache: Cache, mask: Tensor) -> None:
        """Write all strands to their ends. `mask` (B, cache.length): what of the cache every strand of a row sees."""
        base = mask.cpu().numpy()
        own: dict[int, Any] = {id(s): np.zeros(0, dtype=bool) for s in strands}  # what each sees behind the prompt
        while True:
            for strand in strands:
                strand.pending += strand.forced()
            waiting = [strand for strand in strands if not strand.done]
            if not waiting:
                return
            drafts = {id(strand): draft(strand, self.width, self.row_cost) for strand in waiting}
            lined = [[s for s in waiting if s.row == row] for row in range(len(base))]
            logits, starts = self._pass(lined, drafts, own, base, cache)
            places = cache.length - base.shape[1]
            for strand in waiting:
                key = id(strand)
                self._follow(strand, drafts[key], logits[strand.row], starts[key], own, places)

    def _pass(
        self, lined: list[list[Strand]], drafts: dict[int, Draft], own: dict[int, Any], base: Any, cache: Cache
    ) -> tuple[Any, dict[int, int]]:
        """One forward pass over every strand's draft; logits (B, N, len(tokens)) and where each draft starts."""
        import torch

        rows, before = base.shape
        count = max(sum(len(drafts[id(s)].tokens) for s in line) for line in lined)
        ids = np.zeros((rows, count), dtype=np.int64)
        positions = np.zeros((rows, count), dtype=np.int64)
        seen = np.zeros((rows, count, cache.length + count), dtype=bool)
        at = np.arange(count)
        seen[:, at, cache.length + at] = True
        starts: dict[int, int] = {}
        for row, line in enumerate(lined):
            start = 0
            for strand in line:
                one = drafts[id(strand)]
                end = start + len(one.tokens)
                starts[id(strand)] = start
                ids[row, start:end] = one.tokens
                positions[row, start:end] = strand.position + np.array(one.depth)
                seen[row, start:end, :before] = base[row]
                mine = own[id(strand)]
                seen[row, start:end, before : before + len(mine)] = mine
                seen[row, start:end, cache.length + start : cache.length + end] = one.ancestors
                start = end
        device = self.weight.device
        places = torch.from_numpy(positions).to(device)
        if self.axes == 3:
            places = places.expand(3, -1, -1)
        self.meter.passes += 1
        self.meter.drafted += sum(len(drafts[id(s)].tokens) for line in lined for s in line)
        hidden = self.decoder.run(
            self.embed(torch.from_numpy(ids).to(device)), places, torch.from_numpy(seen).to(device), cache, None
        )
        logits = torch.nn.functional.linear(hidden.float(), self.weight, self.bias)
        return logits.double().cpu().numpy(), starts

    def _follow(
        self,
        strand: Strand,
        one: Draft,
        logits: Any,
        start: int,
        own: dict[int, Any],
        places: int,
    ) -> None:
        """Walk through a draft by the model's own choices; what was chosen is seen from now on. `places`: how many the
        cache now has behind the prompt."""
        index = len(strand.pending) - 1
        kept = list(range(index + 1))
        for other, node in enumerate(one.node):
            if node in strand.always and len(strand.grammar.children[node]) > 1:
                strand.options[node] = self._options(strand, node, logits[start + other])
        while not strand.done:
            children = strand.grammar.children[strand.node]
            token = next(iter(children))
            if len(children) > 1:
                token = self._choose(strand, self._options(strand, strand.node, logits[start + index]))
            strand.step(token)
            following = one.child(index, strand.node)
            if following is None:
                strand.pending = [token]
                break
            index = following
            kept.append(index)
        strand.position += len(kept)
        seen = np.zeros(places, dtype=bool)
        mine = own[id(strand)]
        seen[: len(mine)] = mine
        seen[places - len(logits) + start + np.array(kept)] = True
        own[id(strand)] = seen

    def _options(self, strand: Strand, node: int, logits: Any) -> Any:
        """Log-probabilities of a node's children, in their order."""
        children = strand.grammar.children[node]
        own = logits[[self.column[token] for token in children]]
        own = own - own.max()
        return own - np.log(np.exp(own).sum())

    def _choose(self, strand: Strand, told: Any) -> int:
        """The likeliest child of the strand's node."""
        best = int(told.argmax())
        strand.decisions.setdefault(strand.grammar.slot[strand.node], []).append((told, best))
        return list(strand.grammar.children[strand.node])[best]
