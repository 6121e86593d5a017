"""The engine against `transformers.generate`: same weights, frames and grammar, one frame at a time.

    python benchmarks/engine.py --json out.json [--quick] [--cuda] [--model MODEL ...]

`generate` is greedy, with its key-value cache and the grammar as a logits processor; its decode phase is what it takes
beyond its first token. All sides get the same tensors and take turns frame by frame, so that what else the machine does
falls on all of them. The bars are of float32, where rounding cannot turn a near tie; other dtypes by --dtype.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pacenote.engine.engine import Engine
from pacenote.engine.grammar import Grammar, grammar
from pacenote.evaluate.memory import weights_mib
from pacenote.evaluate.source import open_source
from pacenote.models import Model, load
from pacenote.models.frames import fit_frame, frame_size

BARS = {
    "decode_exact_speedup": 4.0, "decode_parallel_speedup": 8.0, "exact_speedup": 3.0, "amdahl_share": 0.85,
    "average_delta": 0.005,
}  # fmt: skip
HALF_BILLION = {"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14}


class Forced:
    """The grammar as a logits processor for one row; a step costs one lookup and one masked fill."""

    def __init__(self, own: Grammar, end: int, width: int, device: torch.device) -> None:
        self.own, self.end = own, end
        self.node: int | None = None
        self.seen = 0
        self.blank = torch.full((1, width), -torch.inf, device=device)

    def __call__(self, ids: Tensor, scores: Tensor) -> Tensor:
        if self.node is None:
            self.node = 0
        else:
            self.node = self.own.children[self.node].get(int(ids[0, -1]), self.own.end)
        allowed = [self.end] if self.node == self.own.end else list(self.own.children[self.node])
        out = self.blank.clone()
        out[0, allowed] = scores[0, allowed]
        return out


def generated(model: Model, own: Grammar, image: Any, question: str, tokens: int) -> str:
    """A greedy answer of at most `tokens` tokens, from the picture on."""
    width = model.model.get_output_embeddings().weight.shape[0]
    with torch.inference_mode():
        inputs = model.inputs([[image]], [question])
        out = model.model.generate(
            **inputs, max_new_tokens=tokens, do_sample=False, use_cache=True, eos_token_id=model.end_id,
            pad_token_id=model.tokenizer.pad_token_id,
            logits_processor=[Forced(own, model.end_id, width, model.device)],
        )  # fmt: skip
    return str(model.tokenizer.decode(out[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)).strip()


def timed(device: str, call: Callable[..., Any], *args: Any) -> tuple[float, Any]:
    """Milliseconds and result of a call."""
    start = time.perf_counter()
    out = call(*args)
    if device == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - start) * 1000, out


def compare(model: Model, frames: list[tuple[Any, str]], device: str) -> dict[str, Any]:
    """All sides over `frames`, in turns; milliseconds are medians a frame."""
    own = grammar(model.tokenizer)
    engines = {mode: Engine(model, mode=mode, speed="greedy") for mode in ("exact", "parallel")}
    took: dict[str, list[float]] = {name: [] for name in ("first", "generate", "exact", "parallel")}
    stages: dict[str, list[float]] = {"exact": [], "parallel": []}
    same = 0
    for number, (image, question) in enumerate(frames):
        ms = {}
        ms["first"], _ = timed(device, generated, model, own, image, question, 1)
        ms["generate"], told = timed(device, generated, model, own, image, question, 96)
        for mode, engine in engines.items():
            before = engine.meter.ms["decode"]
            ms[mode], answers = timed(device, engine, [[image]], [question])
            if number >= 3:
                stages[mode].append(engine.meter.ms["decode"] - before)
            if mode == "exact":
                same += answers[0].text == told
        if number >= 3:  # the first calls warm caches up
            for name, value in ms.items():
                took[name].append(value)
    middle = {name: statistics.median(values) for name, values in took.items()}
    decode = statistics.median(g - f for g, f in zip(took["generate"], took["first"], strict=True))
    share = decode / middle["generate"]
    figures: dict[str, Any] = {f"{name}_ms": value for name, value in middle.items() if name != "first"}
    figures |= {"generate_decode_ms": decode, "decode_share": share, "answers_identical": same == len(frames)}
    figures |= {"identical": same, "frames": len(frames)}
    for mode, engine in engines.items():
        own_decode = statistics.median(stages[mode])
        figures |= {
            f"{mode}_decode_ms": own_decode, f"decode_{mode}_speedup": decode / own_decode,
            f"{mode}_speedup": middle["generate"] / middle[mode], f"{mode}_passes": engine.meter.passes / len(frames),
            f"{mode}_rows": engine.meter.drafted / len(frames),
        }  # fmt: skip
    # Amdahl's law: a call whose decode phase alone is so much faster. The share is above 1 where other phases gain too.
    limit = 1 / (1 - share + share / figures["decode_exact_speedup"])
    figures |= {"amdahl_limit": limit, "amdahl_share": figures["exact_speedup"] / limit}
    return figures


def half_billion(starter: Model) -> Model:
    """A Qwen2.5-VL of the 0.5 B class with random weights and the starter's tokenizer and tower shape."""
    from dataclasses import replace

    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    from pacenote.models.vision import install

    settings = starter.model.config.to_dict()
    text = settings["text_config"] | HALF_BILLION | {"num_key_value_heads": 2, "layer_types": None}
    text["rope_parameters"] = text["rope_parameters"] | {"mrope_section": [16, 8, 8]}
    text.pop("head_dim", None)
    settings["text_config"] = text
    settings["vision_config"] = settings["vision_config"] | {"out_hidden_size": HALF_BILLION["hidden_size"]}
    torch.manual_seed(0)
    model = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(**settings)).to(torch.bfloat16)
    return replace(starter, model=install(model).eval(), name="0.5 B, random weights")


def in_int4(model: Model) -> Model:
    """`model` with the linear layers of its language part packed in int4, each group of 128 weights rounded to the
    nearest of 16 steps: what the kernels cost does not depend on how the steps were chosen."""
    import copy
    from dataclasses import replace

    from pacenote.models.int4 import int4_linear

    held = copy.deepcopy(model.model)
    for name, module in list(held.named_modules()):
        if not isinstance(module, torch.nn.Linear) or model.family.part(f"{name}.weight") != "language":
            continue
        rows, width = module.weight.shape
        parts = module.weight.detach().float().view(rows, width // 128, 128)
        low, high = parts.amin(2).clamp(max=0), parts.amax(2).clamp(min=0)
        scale = ((high - low) / 15).clamp(min=1e-8)
        zero = (-low / scale).round()
        values = (parts / scale[..., None] + zero[..., None]).round().clamp(0, 15).view(rows, width)
        bias = None if module.bias is None else module.bias.detach()
        packed = int4_linear(values.to(torch.uint8), scale.to(module.weight.dtype), zero.to(torch.uint8), bias)
        if packed is None:
            raise SystemExit(f"{name}: no int4 kernel takes it here")
        held.set_submodule(name, packed)
    return replace(model, model=held, name=f"{model.name}, int4")


def average_delta(name: str, data: str, limit: int | None) -> float:
    """Average of parallel mode minus that of exact mode, over frames of `data`."""
    import tempfile

    from pacenote.evaluate.run import Settings
    from pacenote.evaluate.run import evaluate as run

    found = {}
    for mode in ("exact", "parallel"):
        with tempfile.TemporaryDirectory() as place:
            settings = Settings(engine=mode, batch=16, latency_frames=0, limit=limit, resamples=0)
            found[mode] = run(load(name), open_source(data), Path(place) / "out", settings).figures["average"]
    return float(found["parallel"] - found["exact"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="ten frames, no scores, no 0.5 B model")
    parser.add_argument("--cuda", action="store_true", help="on the GPU")
    parser.add_argument("--model", nargs="+", default=["starter-student"])
    parser.add_argument("--data", default="streets-test")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--threads", type=int, default=0, help="0: torch's own choice")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    device = "cuda" if args.cuda else "cpu"
    source = open_source(args.data)
    indices = list(source.indices(13 if args.quick else 63))
    result: dict[str, Any] = {"threads": torch.get_num_threads(), "dtype": args.dtype, "device": device}
    for name in args.model:
        model = load(name, device, getattr(torch, args.dtype))
        size = frame_size(model)
        samples = [source.samples[index] for index in indices]
        frames = [(fit_frame(s.image(0), size) if size else s.image(0), s.question) for s in samples]
        result[name] = compare(model, frames, device)
        if not args.quick:
            result[name]["average_delta"] = average_delta(name, args.data, None)
            large = half_billion(load(name, device, torch.bfloat16))
            large.model.to(device)
            packed = in_int4(large)
            for one in (large, packed):
                result[one.name] = compare(one, frames[:13], device) | {"weights_mib": weights_mib(one.model)}
            for mode in ("exact", "parallel"):  # not in turns with each other, but minutes apart
                ratio = result[large.name][f"{mode}_decode_ms"] / result[packed.name][f"{mode}_decode_ms"]
                result[packed.name][f"{mode}_decode_speedup_over_bf16"] = ratio
    for name, figures in result.items():
        if not isinstance(figures, dict):
            continue
        print(f"\n{name} ({args.dtype if name in args.model else 'bfloat16'}, {device})")
        for key, value in figures.items():
            bar = BARS.get(key)
            shown = f"{value:.3f}" if isinstance(value, float) else str(value)
            print(f"  {key:26} {shown:>10}" + (f"   (bar {bar})" if bar is not None and name in args.model else ""))
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
