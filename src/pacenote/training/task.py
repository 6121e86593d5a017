"""A model and its loss as one module, and what of it a checkpoint holds. Imports torch: import it where it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from pacenote.errors import InputError


class Task(nn.Module):
    """`forward(**batch)` is the loss of a batch: what DDP and FSDP wrap is then what is trained."""

    def __init__(self, model: nn.Module, loss: Callable[[Any, dict[str, Any], Any], Tensor]) -> None:
        super().__init__()
        self.model, self.loss = model, loss
        self._no_split_modules = getattr(model, "_no_split_modules", None)  # what FSDP keeps whole

    def forward(self, num_items_in_batch: Any = None, **batch: Any) -> dict[str, Tensor]:
        """`num_items_in_batch`: the labels of the whole optimizer step, of all processes."""
        return {"loss": self.loss(self.model, batch, num_items_in_batch)}


def learnt(model: nn.Module, state: Mapping[str, Tensor] | None = None, prefix: str = "") -> dict[str, Tensor]:
    """What training changes in `model`: parameters that learn, tied ones once, and buffers. The frozen rest is not
    written again and again. `state`: gathered weights of processes that share the model, under names with `prefix`."""
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    known = dict(model.state_dict()) if state is None else {k.removeprefix(prefix): v for k, v in state.items()}
    names += [name for name, _ in model.named_buffers() if name in known]
    return {name: known[name].detach().cpu().contiguous() for name in names if name in known}


def put(model: nn.Module, held: Mapping[str, Tensor], where: str) -> None:
    """Inverse of `learnt`. Raises InputError where `held` is of another model, or lacks what learns in this one."""
    _, foreign = model.load_state_dict(dict(held), strict=False)
    lacking = [name for name, p in model.named_parameters() if p.requires_grad and name not in held]
    if foreign or lacking:
        raise InputError(f"{where}: is no checkpoint of this training ({(foreign or lacking)[0]}); give a new --out")
