"""Real prompts with their pictures and answers, as the language part receives them.

The vision tower is not quantized, so each row goes through it once; what the language part is then called with serves
calibration and the losses of every method. Calibrating the language part alone also keeps smoothing away from towers
whose layers bear the same names.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pacenote.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from pacenote.data.sample import Sample
    from pacenote.models import Model
    from pacenote.training.batches import Encoded


@dataclass(frozen=True)
class Row:
    """One prompt with its answer. `call`: keyword arguments of the language part, a batch of one of L tokens. `image`,
    `prompt`: (L,) bool, which tokens are the picture's and which the other words of the prompt; the rest is the answer.
    `decisions`: places among the answer's tokens where the grammar leaves a choice, `options`: the tokens that it
    allows at each (none without a grammar)."""

    id: str
    call: dict[str, Any]
    image: Tensor
    prompt: Tensor
    answer: tuple[int, ...]
    decisions: tuple[int, ...]
    options: tuple[tuple[int, ...], ...]

    @property
    def start(self) -> int:
        """The place whose hidden state predicts the first token of the answer."""
        return int(self.image.shape[0]) - len(self.answer) - 1


def answer_text(sample: Sample) -> str | None:
    """The canonical answer of a sample, or its own; None where a fact of it is not known."""
    if sample.answer is not None:
        return sample.answer
    if sample.truth is None:
        return None
    try:
        return sample.truth.advisory().text()
    except ValueError:
        return None


def choose(
    data: Sequence[str], split: str, count: int, seed: int, option: str, least: int, whole: bool = True
) -> list[Sample]:
    """`count` samples of a split with a picture and a whole answer, drawn without replacement over those of `data` that
    have it; unless `whole`, questions for an advisory that nobody has answered, too.

    Raises InputError that says how many there are when they are fewer than `least`.
    """
    import numpy as np

    from pacenote.data.dataset import Dataset

    sets = [Dataset.open(name, split=split) for name in data if split in Dataset.open(name).splits]
    places = [(number, row) for number, one in enumerate(sets) for row in range(len(one))]
    order = np.random.default_rng(seed).permutation(len(places))
    found: list[Sample] = []
    bare = silent = 0
    for index in order:
        if len(found) == count:
            break
        number, row = places[int(index)]
        sample = sets[number][row]
        if not sample.images:
            bare += 1
        elif answer_text(sample) is None and (whole or sample.task != "advisory"):
            silent += 1
        else:
            found.append(sample)
    if len(found) < least:
        raise InputError(
            f"{', '.join(map(str, data))}: {len(found)} rows of split {split} can be used, {least} are needed"
            f" ({bare} have no picture, {silent} no whole answer); give more data or fewer {option}"
        )
    return found


class _Caught(Exception):
    """The call of the language part was seen; nothing after it is needed."""


def encoded(model: Model, sample: Sample) -> Encoded:
    """The sample's own question, pictures and answer as inputs."""
    from pacenote.models.frames import fitted, frame_size
    from pacenote.training.batches import encode

    images = fitted(sample, frame_size(model))
    return encode(model, sample.id, images, sample.question, ((answer_text(sample) or "", 1.0),), sample.image_roles)


def capture(model: Model, samples: Sequence[Sample], label: str) -> list[Row]:
    """A Row a sample. Raises InputError naming the sample whose activations are not finite."""
    import torch

    from pacenote.engine.grammar import grammar
    from pacenote.training.batches import collate
    from pacenote.work.progress import progress

    seen: list[dict[str, Any]] = []

    def catch(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        assert not args, "every family calls its language part by keywords"
        seen.append({name: value for name, value in kwargs.items() if value is not None})
        raise _Caught

    try:
        children = grammar(model.tokenizer).children
    except InputError:  # this tokenizer cannot be forced; every token of its answers is a decision
        children = ()
    rows = []
    token = int(model.model.config.image_token_id)
    hook = model.family.language(model.model).register_forward_pre_hook(catch, with_kwargs=True)
    try:
        for sample in progress(samples, label):
            one = encoded(model, sample)
            batch = {name: value.to(model.device) for name, value in collate([one], model).items()}
            batch = {name: value for name, value in batch.items() if name not in ("labels", "label_weights")}
            with torch.no_grad(), contextlib.suppress(_Caught):
                model.model.model(**batch, use_cache=False)
            call = {name: _kept(value) for name, value in seen.pop().items()} | {"use_cache": False}
            if not bool(torch.isfinite(call["inputs_embeds"]).all()):
                raise InputError(f"sample {sample.id}: its embeddings are not finite; check the model's weights")
            ids = batch["input_ids"][0]
            image = (ids == token).cpu()
            prompt = ~image
            prompt[len(ids) - len(one.answer) :] = False
            choices = decisions(children, one.answer)
            places, options = tuple(place for place, _ in choices), tuple(own for _, own in choices)
            rows.append(Row(sample.id, call, image, prompt, one.answer, places, options))
    finally:
        hook.remove()
    return rows


def _kept(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_kept(item) for item in value]
    return value.detach().clone() if hasattr(value, "detach") else value


def decisions(children: Sequence[dict[int, int]], answer: Sequence[int]) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """Places of an answer at whose node of the grammar more than one token is allowed, with those tokens; all places,
    and no tokens, without a grammar or for an answer that it does not know."""
    node: int | None = 0
    found = []
    for place, token in enumerate(answer):
        if node is None or node >= len(children):
            return tuple((other, ()) for other in range(len(answer)))
        if len(children[node]) > 1:
            found.append((place, tuple(children[node])))
        if node == len(children) - 1:
            break  # the token that ends the answer
        node = children[node].get(token)
    return tuple(found)


def balanced(row: Row, balance: str, rng: np.random.Generator) -> Tensor:
    """(1, L) int64 mask of the tokens that count.

    - `all`: every token; a picture's are most of them.
    - `equal`: those that predict the answer, and as many of the picture and of the other words, drawn at random.
    - `decisions`: those that predict a decision, and as many others, drawn at random.
    """
    import torch

    length = len(row.image)
    if balance == "all":
        return torch.ones(1, length, dtype=torch.long)
    mask = torch.zeros(1, length, dtype=torch.long)
    places = range(len(row.answer)) if balance == "equal" else row.decisions
    own = [row.start + place for place in places]
    mask[0, own] = 1
    if balance == "equal":
        pools = [row.image.nonzero()[:, 0].tolist(), row.prompt.nonzero()[:, 0].tolist()]
    else:
        pools = [[place for place in range(length) if not mask[0, place]]]
    for pool in pools:
        chosen = rng.permutation(len(pool))[: len(own)]
        mask[0, [pool[int(index)] for index in chosen]] = 1
    return mask


@dataclass(frozen=True)
class Measured:
    """What a model says to the dev rows. `sums`, `counts`: (rows,) cross-entropy in nats over an answer's tokens, and
    how many they are; `decided`: the mean at decisions; `logp`: for each decision the log-probabilities of the tokens
    that the grammar allows, among themselves: what the engine decides by."""

    sums: np.ndarray
    counts: np.ndarray
    decided: float
    logp: tuple[Tensor, ...]

    @property
    def loss(self) -> float:
        """Nats a token."""
        return float(self.sums.sum() / self.counts.sum())

    def divergence(self, reference: Measured) -> float | None:
        """Mean KL(reference || this) a decision, in nats; None without a grammar."""
        if not self.logp:
            return None
        return float(kl(reference.logp, self.logp) / len(self.logp))

    def error(self, other: Measured) -> float:
        """Standard error of the difference of the two losses on the same rows."""
        gap = self.sums - other.sums
        return float(gap.std() * len(gap) ** 0.5 / self.counts.sum())


def answer_logits(language: Any, head: Any, row: Row) -> Tensor:
    """(tokens, V) float32 logits that predict the row's answer."""
    hidden = language(**row.call).last_hidden_state[0, row.start : row.start + len(row.answer)]
    logits: Tensor = head(hidden).float()
    return logits


def choices(logits: Tensor, row: Row) -> list[Tensor]:
    """For each decision of the grammar the log-probabilities of the tokens that it allows, among themselves; `logits`:
    of the row's answer."""
    held = zip(row.decisions, row.options, strict=True)
    return [logits[place, list(options)].log_softmax(-1) for place, options in held if options]


def kl(wanted: Sequence[Tensor], told: Sequence[Tensor]) -> Tensor:
    """Sum over decisions of KL(wanted || told), in nats."""
    import torch

    return torch.stack([(p.exp() * (p - q)).sum() for p, q in zip(wanted, told, strict=True)]).sum()


def dev_loss(model: Model, rows: Sequence[Row], progress: Callable[[int], None] | None = None) -> Measured:
    """The losses of `model` over `rows`."""
    import numpy as np
    import torch
    from torch.nn import functional

    language, head = model.family.language(model.model), model.model.get_output_embeddings()
    sums, decided, logp = [], [], []
    with torch.no_grad():
        for row in rows:
            logits = answer_logits(language, head, row)
            wanted = torch.tensor(row.answer, device=logits.device)
            each = functional.cross_entropy(logits, wanted, reduction="none")
            sums.append(float(each.sum()))
            decided += each[list(row.decisions)].tolist()
            logp += [own.double().cpu() for own in choices(logits, row)]
            if progress is not None:
                progress(1)
    counts = np.array([len(row.answer) for row in rows], np.float64)
    return Measured(np.array(sums), counts, sum(decided) / max(1, len(decided)), tuple(logp))


def rows_digest(rows: Sequence[Row]) -> str:
    """Identity of what a model was calibrated on: samples and their tokens."""
    from pacenote.work import digest

    return digest([[row.id, list(row.answer), int(row.image.sum()), int(row.prompt.sum())] for row in rows])
