"""llmcompressor over the language part of a model, without its noise and its traps.

Its "basic" pipeline smooths after fake quantization was switched on, with scales that nothing has computed yet: what
AWQ then compares are outputs of uninitialised memory, now and then NaN. So the "sequential" pipeline is used, which
smooths inside its own block where quantization is off, and every scale and weight is checked afterwards.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pacenote.errors import InputError, PacenoteError
from pacenote.quantize.calibrate import Row, balanced
from pacenote.quantize.settings import Scheme

if TYPE_CHECKING:
    from pacenote.models import Model


def require() -> None:
    """InputError with the mend where llmcompressor is not installed."""
    import importlib.util

    if importlib.util.find_spec("llmcompressor") is None:
        raise InputError("quantizing needs llmcompressor; install it: pip install 'pacenote[quantize]'")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No logs, bars and warnings of llmcompressor and transformers within it. On a machine without an accelerator
    there is no memory to pin either, which llmcompressor's AWQ tries all the same."""
    import importlib
    import logging

    dump = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stderr(dump), contextlib.redirect_stdout(dump):
        warnings.simplefilter("ignore")
        # Imported here: it ties its log to the stdout that it finds.
        importlib.import_module("llmcompressor.entrypoints")
        import torch
        from llmcompressor.pipelines.cache import IntermediatesCache
        from loguru import logger
        from transformers.utils import logging as transformers_logging

        names = ("llmcompressor", "compressed_tensors", "auto_round")
        tracer = logging.getLogger("torch.fx._symbolic_trace")
        pin, level = IntermediatesCache.pin_memory, tracer.level
        for name in names:
            logger.disable(name)
        tracer.setLevel(logging.ERROR)
        transformers_logging.disable_progress_bar()
        if not torch.accelerator.is_available():
            IntermediatesCache.pin_memory = lambda *_, **__: None
        try:
            yield
        finally:
            IntermediatesCache.pin_memory = pin
            tracer.setLevel(level)
            for name in names:
                logger.enable(name)


def compress(
    model: Model, source: str, method: str, groups: dict[str, Any], rows: Sequence[Row], balance: str, seed: int
) -> None:
    """Quantize the language part in place by `method` ("rtn", "awq", "gptq"); it then rounds its weights as it runs.

    `source`: where the checkpoint is; `groups`: compressed-tensors' groups. Raises PacenoteError where no finite
    quantization was found.
    """
    import numpy as np
    import torch
    from torch.utils.data import DataLoader

    rng = np.random.default_rng(seed)
    batches = [row.call | {"loss_mask": balanced(row, balance, rng).to(model.device)} for row in rows]
    language = model.family.language(model.model)
    named = language.config._name_or_path
    language.config._name_or_path = source  # oneshot wants a checkpoint on disk, to see that it is not quantized yet
    torch.manual_seed(seed)
    with quiet():
        from llmcompressor import oneshot
        from llmcompressor.core import reset_session

        reset_session()
        loader: Any = DataLoader(_dataset(batches), batch_size=1, collate_fn=lambda batch: batch[0])
        try:
            oneshot(
                model=language, processor=model.processor, dataset=loader, recipe=_recipe(method, groups),
                pipeline="sequential", sequential_targets=[type(language.layers[0]).__name__], use_loss_mask=True,
            )  # fmt: skip
        except Exception as error:
            reason = str(error).strip().split("\n")[0]
            raise PacenoteError(f"{method}: {reason}; leave it out with --methods") from error
        finally:
            language.config._name_or_path = named
            reset_session()


def _dataset(batches: Sequence[dict[str, Any]]) -> Any:
    """What torch's DataLoader takes; typed loosely, for it takes any sequence."""
    return list(batches)


def _recipe(method: str, groups: dict[str, Any]) -> list[Any]:
    from llmcompressor.modifiers.quantization import GPTQModifier, QuantizationModifier

    if method == "gptq":
        return [GPTQModifier(config_groups=groups)]
    rounding = QuantizationModifier(config_groups=groups)
    if method == "rtn":
        return [rounding]
    from llmcompressor.modifiers.transform.awq import AWQMapping, AWQModifier

    each = "re:.*"
    mappings = [
        AWQMapping(f"{each}input_layernorm", [f"{each}q_proj", f"{each}k_proj", f"{each}v_proj"]),
        AWQMapping(f"{each}v_proj", [f"{each}o_proj"]),  # left out by itself where heads share keys
        AWQMapping(f"{each}post_attention_layernorm", [f"{each}gate_proj", f"{each}up_proj"]),
        AWQMapping(f"{each}up_proj", [f"{each}down_proj"]),
    ]
    return [AWQModifier(mappings=mappings), rounding]


def settle(model: Model, layers: dict[str, Any], scheme: Scheme, method: str) -> None:
    """Make a model in memory what its checkpoint will say: in float32, scales and all other weights are rounded to
    bf16, and quantized weights lie on their grid. A model in bf16 is that already.

    Raises PacenoteError naming the layer whose weights or scales are not finite.
    """
    import torch
    from compressed_tensors.quantization.lifecycle.forward import fake_quantize

    for name, layer in layers.items():
        for what in ("weight", "weight_scale", "weight_zero_point"):
            value = getattr(layer, what, None)
            if value is not None and not bool(torch.isfinite(value.float()).all()):
                raise PacenoteError(f"{method}: {name}: its {what} is not finite; leave {method} out with --methods")
    if model.model.dtype != torch.float32:
        return
    own = {id(layer.weight) for layer in layers.values()}
    with torch.no_grad():
        for parameter in model.model.parameters():
            if parameter.is_floating_point() and id(parameter) not in own:
                parameter.copy_(parameter.to(torch.bfloat16))
        for layer in layers.values():
            zero = getattr(layer, "weight_zero_point", None)
            told = fake_quantize(layer.weight, layer.weight_scale, zero, layer.quantization_scheme.weights)
            layer.weight.copy_(told)
            if scheme.activations == 16:
                layer.quantization_enabled = False  # it lies on the grid; rounding it at every call changes nothing


def check_finite(model: Model) -> None:
    """InputError naming the first weight of `model` that is not finite."""
    import torch

    for name, parameter in model.model.named_parameters():
        if parameter.is_floating_point() and not bool(torch.isfinite(parameter).all()):
            raise InputError(f"{model.name}: {name} holds numbers that are not finite; take another checkpoint")
