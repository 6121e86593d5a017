"""The distillation loss in chunks against the same loss over full logits.

    python benchmarks/kd_loss.py --json out.json [--quick] [--cuda]

At the vocabulary of Qwen2.5-VL (151,936 words) and 2,048 answer rows: peak extra memory, time, error of the loss and of
the gradients, and how far k tokens and a tail are from the full divergence. Each side runs in a process of its own, so
that neither inherits the other's memory. With --cuda the GPU's, and Liger's fused loss beside them where it is there.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pacenote.training.kd import KdOptions, SoftLabels, kd_loss

VOCABULARY, ROWS, WIDTH, TOP = 151_936, 2_048, 512, 64
OPTIONS = KdOptions(alpha=0.5, temperature=2.0)


def problem(rows: int, vocabulary: int, device: str) -> tuple[Tensor, nn.Linear, Tensor, SoftLabels, float]:
    """Hidden states, head, labels, soft labels of a peaked random teacher near the student, and the full KL."""
    torch.manual_seed(0)
    head = nn.Linear(WIDTH, vocabulary, bias=False).to(device)
    nn.init.normal_(head.weight, std=0.15)
    hidden = torch.randn(rows, WIDTH).to(device)
    other = hidden + 0.4 * torch.randn(rows, WIDTH).to(device)
    ids, logp, labels, full = [], [], [], 0.0
    with torch.no_grad():
        for start in range(0, rows, 64):
            part = slice(start, start + 64)
            p = (head(other[part]) / OPTIONS.temperature).log_softmax(1)
            q = (head(hidden[part]) / OPTIONS.temperature).log_softmax(1)
            full += float((p.exp() * (p - q)).sum())
            top = p.topk(TOP, 1)
            ids.append(top.indices)
            logp.append(top.values)
            labels.append(top.indices[:, 0])
    return hidden, head, torch.cat(labels), SoftLabels(torch.cat(ids), torch.cat(logp)), full / rows


def dense(hidden: Tensor, head: nn.Module, labels: Tensor, soft: SoftLabels, options: KdOptions) -> Tensor:
    """The same loss, written down over full logits."""
    logits = head(hidden).float()
    t = options.temperature
    hard = functional.cross_entropy(logits, labels)
    logq = (logits / t).log_softmax(1)
    tail_q = logq.scatter(1, soft.ids, -torch.inf).logsumexp(1, keepdim=True)
    q = torch.cat([logq.gather(1, soft.ids), tail_q], 1)
    p = torch.cat([soft.logp, torch.log1p(-soft.logp.exp().sum(1, keepdim=True).clamp(max=1 - 1e-13))], 1)
    return (1 - options.alpha) * hard + options.alpha * t * t * (p.exp() * (p - q)).sum(1).mean()


def side(name: str, rows: int, vocabulary: int, device: str, out: Path) -> None:
    """Run one side and write its figures and gradients to `out`."""
    hidden, head, labels, soft, full = problem(rows, vocabulary, device)
    hidden.requires_grad_()

    def once() -> Tensor:
        hidden.grad = head.weight.grad = None
        if name == "dense":
            loss = dense(hidden, head, labels, soft, OPTIONS)
        else:
            loss = kd_loss(hidden, head, labels, soft, OPTIONS)
        loss.backward()
        return loss.detach()

    def held() -> float:
        if device == "cuda":
            torch.cuda.synchronize()
            return torch.cuda.max_memory_allocated() / 2**20
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    kd_loss(hidden[:8], head, labels[:8], soft.rows(0, 8), OPTIONS).backward()  # threads and allocator are up
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated() / 2**20
    else:
        before = held()
    loss = once()
    extra = held() - before
    seconds = []
    for _ in range(3):
        begin = time.perf_counter()
        once()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begin)
    rows_kept = head.weight.grad[torch.arange(0, vocabulary, 97)]  # type: ignore[index]
    torch.save(
        {"loss": float(loss), "extra_mib": extra, "seconds": min(seconds), "hidden": hidden.grad.cpu(),  # type: ignore[union-attr]
         "weight": rows_kept.cpu(), "full_kl": full},
        out,
    )  # fmt: skip


def bias(rows: int, vocabulary: int) -> dict[str, float]:
    """Top-k + tail against the full KL, and against renormalised top-k, mean over rows."""
    hidden, head, _, soft, full = problem(rows, vocabulary, "cpu")
    with torch.no_grad():
        found: dict[str, list[float]] = {"tail": [], "renormalised": []}
        for start in range(0, rows, 64):
            own = soft.rows(start, start + 64)
            logq = (head(hidden[start : start + 64]) / OPTIONS.temperature).log_softmax(1)
            q = logq.gather(1, own.ids)
            rest = torch.log1p(-own.logp.exp().sum(1)), torch.log1p(-q.exp().sum(1))
            kl = (own.logp.exp() * (own.logp - q)).sum(1)
            found["tail"].append(float((kl + rest[0].exp() * (rest[0] - rest[1])).sum()))
            p1, q1 = own.logp.log_softmax(1), q.log_softmax(1)
            found["renormalised"].append(float((p1.exp() * (p1 - q1)).sum()))
    return {"full": full, **{name: sum(parts) / rows for name, parts in found.items()}}


def measure(name: str, rows: int, vocabulary: int, device: str, folder: Path) -> dict[str, Any]:
    out = folder / f"{name}.pt"
    call = ["--side", name, "--rows", str(rows), "--vocabulary", str(vocabulary), "--out", str(out)]
    subprocess.run([sys.executable, __file__, *call, *(["--cuda"] if device == "cuda" else [])], check=True)
    return torch.load(out)  # type: ignore[no-any-return]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="256 rows and a fifth of the vocabulary")
    parser.add_argument("--cuda", action="store_true")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--vocabulary", type=int, default=VOCABULARY)
    parser.add_argument("--side", choices=("dense", "chunked"), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    device = "cuda" if args.cuda else "cpu"
    if args.side:
        side(args.side, args.rows, args.vocabulary, device, args.out)
        return
    rows, vocabulary = (256, VOCABULARY // 5) if args.quick else (args.rows, args.vocabulary)
    with tempfile.TemporaryDirectory() as folder:
        sides = {name: measure(name, rows, vocabulary, device, Path(folder)) for name in ("dense", "chunked")}
    plain, ours = sides["dense"], sides["chunked"]

    def error(name: str) -> float:
        return float((ours[name] - plain[name]).norm() / plain[name].norm())

    figures = {
        "rows": rows, "vocabulary": vocabulary, "device": device,
        "dense": {"extra_mib": plain["extra_mib"], "seconds": plain["seconds"]},
        "chunked": {"extra_mib": ours["extra_mib"], "seconds": ours["seconds"]},
        "memory_ratio": ours["extra_mib"] / plain["extra_mib"], "time_ratio": ours["seconds"] / plain["seconds"],
        "loss_error": abs(ours["loss"] - plain["loss"]), "grad_error": max(error("hidden"), error("weight")),
        "kl": bias(min(rows, 512), vocabulary),
    }  # fmt: skip
    print(f"{'':10}{'extra MiB':>12}{'seconds':>10}")
    for name in ("dense", "chunked"):
        print(f"{name:10}{figures[name]['extra_mib']:12.0f}{figures[name]['seconds']:10.2f}")
    print(", ".join(f"{k} {figures[k]:.3g}" for k in ("memory_ratio", "time_ratio", "loss_error", "grad_error")))
    kl = figures["kl"]
    print(f"KL of {TOP} tokens + tail {kl['tail']:.4f}, renormalised {kl['renormalised']:.4f}, full {kl['full']:.4f}")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
