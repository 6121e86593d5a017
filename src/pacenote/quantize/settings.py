"""What `quantize` can be told, checked before anything heavy is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pacenote.errors import InputError

METHODS = ("rtn", "awq", "gptq", "tuned")  # tuned: GPTQ, then `tuned.tune`
BALANCES = ("equal", "decisions", "all")
GROUPS = (128, 64, 32)  # input columns that share a scale; the largest that divides a layer's width
LEAST = 8  # calibration rows below which no statistics are worth having
BALANCE = "decisions"


@dataclass(frozen=True)
class Scheme:
    """Bits of weights and of activations (16 = as they are); `grouped`: asymmetric weights with a scale a group of
    columns, else symmetric with one a row. Activations get their scale token by token, when they come."""

    weights: int
    activations: int
    grouped: bool

    def args(self, group: int) -> dict[str, Any]:
        """compressed-tensors' description of the weights, with `group` columns a scale."""
        common = {"num_bits": self.weights, "type": "int", "dynamic": False}
        if self.grouped:
            return {**common, "strategy": "group", "group_size": group, "symmetric": False}
        return {**common, "strategy": "channel", "symmetric": True}

    def inputs(self) -> dict[str, Any] | None:
        """compressed-tensors' description of the activations."""
        if self.activations == 16:
            return None
        return {"num_bits": self.activations, "type": "int", "strategy": "token", "dynamic": True, "symmetric": True}


SCHEMES = {"W4A16": Scheme(4, 16, True), "W8A16": Scheme(8, 16, False), "W8A8": Scheme(8, 8, False)}


@dataclass(frozen=True)
class QuantizeOptions:
    """`rows`: of the train split, for calibration; `dev_rows`: of the dev split, for the losses; `tune_rows`: of the
    train split, with or without labels, for the method "tuned"; `balance`: see `calibrate.balanced`; `sensitivity`: dev
    rows for the loss of each layer alone (0 = not measured).

    Raises InputError for an unknown word or a number out of range.
    """

    scheme: str = "W4A16"
    methods: tuple[str, ...] = METHODS
    rows: int = 128
    dev_rows: int = 256
    tune_rows: int = 512
    group: int = GROUPS[0]
    balance: str = BALANCE
    sensitivity: int = 0
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        _known("--scheme", self.scheme, tuple(SCHEMES))
        _known("--balance", self.balance, BALANCES)
        if not self.methods:
            raise InputError(f"--methods: give at least one of {', '.join(METHODS)}")
        for method in self.methods:
            _known("--methods", method, METHODS)
        if len(set(self.methods)) < len(self.methods):
            raise InputError(f"--methods {' '.join(self.methods)}: name each once")
        if self.group not in GROUPS:
            raise InputError(f"--group {self.group}: choose one of {', '.join(map(str, GROUPS))}")
        if self.rows < LEAST:
            raise InputError(f"--rows {self.rows}: too few to calibrate on; give at least {LEAST}")
        if self.dev_rows < 1:
            raise InputError(f"--dev-rows {self.dev_rows}: give at least 1")
        if self.tune_rows < LEAST:
            raise InputError(f"--tune-rows {self.tune_rows}: too few to tune scales on; give at least {LEAST}")
        if self.sensitivity < 0:
            raise InputError(f"--sensitivity {self.sensitivity}: give 0 or more rows")


def _known(option: str, word: str, known: tuple[str, ...]) -> None:
    if word not in known:
        close = get_close_matches(word, known, n=1, cutoff=0.4) or get_close_matches(word.upper(), known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"choose one of {', '.join(known)}"
        raise InputError(f"{option} {word}: not known; {hint}")
