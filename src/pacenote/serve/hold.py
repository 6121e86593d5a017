"""A temporal hold: what is shown changes only when the model insists, so that a panel does not flicker."""

from dataclasses import dataclass, field
from typing import Any

from pacenote.advisory import Advisory


@dataclass
class Hold:
    """Per slot, a new value is shown once `confirm` consecutive answers agree on it; 1 shows every answer at once.
    Speeds agree that they lie on one side of what is shown: then the nearest of them comes. A speed that is never told
    twice alike would else keep a wrong one on the panel.

    An unreadable slot keeps what is shown, for at most `patience` answers; then the slot goes dark. The delay is
    `confirm - 1` answers, for a red as for its end: the hold trades reaction for calm, and never invents a value.
    """

    confirm: int = 2
    patience: int = 6
    _shown: dict[str, Any] = field(default_factory=dict)
    _next: dict[str, tuple[Any, int]] = field(default_factory=dict)
    _silent: dict[str, int] = field(default_factory=dict)

    def show(self, answer: Advisory) -> Advisory:
        """Take the next answer; what to show now."""
        values = {
            "speed_kmh": answer.speed_kmh,
            "light": answer.light,
            "obstacles": answer.obstacles,
            "crossroad": answer.crossroad,
        }
        for slot, value in values.items():
            self._take(slot, value)
        return Advisory(**{slot: self._shown.get(slot) for slot in values})

    def _take(self, slot: str, value: Any) -> None:
        if value is None:
            self._silent[slot] = self._silent.get(slot, 0) + 1
            if self._silent[slot] > self.patience:
                self._shown.pop(slot, None)
                self._next.pop(slot, None)
            return
        self._silent[slot] = 0
        if slot not in self._shown or value == self._shown[slot]:
            self._shown[slot] = value
            self._next.pop(slot, None)
            return
        wanted, times = self._next.get(slot, (value, 0))
        if slot == "speed_kmh" and (wanted > self._shown[slot]) == (value > self._shown[slot]):
            value = wanted = min(wanted, value, key=lambda kmh: abs(kmh - self._shown[slot]))
        times = times + 1 if wanted == value else 1
        if times >= self.confirm:
            self._shown[slot] = value
            self._next.pop(slot, None)
        else:
            self._next[slot] = (value, times)
