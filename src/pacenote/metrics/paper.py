"""Tables 1 to 4 of paper A ("Driving Scenario Technology", arXiv 2506.02014) as printed, nested like `score`.

The paper's slips stay as they are: Table 3's first average (.484) recomputes to .482; Table 4's crossroad F1 under pure
rendering (.861) does not follow from its P and R (.852, with which the printed average .884 agrees); the FPS of 72B and
7B in Table 2 are not comparable. Memory is printed without a unit.
"""

from __future__ import annotations

from typing import Any


def _column(speed: str, light: str, obstacles: str, crossroad: str, average: float, **more: float) -> dict[str, Any]:
    smape, r2 = map(float, speed.split())
    column: dict[str, Any] = {"speed": {"smape": smape, "r2": r2}, "average": average, **more}
    for slot, said in (("light", light), ("obstacles", obstacles), ("crossroad", crossroad)):
        column[slot] = dict(zip(("p", "r", "f1"), map(float, said.split()), strict=True))
    return column


TABLE_1 = {
    "Real data": {"train": 19360, "test": 2885},
    "Text-to-image": {"train": 11486, "test": 2332},
    "Pure Rendering": {"train": 11486, "test": 2332},
}
"""Images by source and split."""

_OPTIMIZED_7B = (".186 .578", ".718 .688 .703", ".574 .624 .598", ".436 .439 .437", 0.580)
_REAL = (".101 .763", ".851 .885 .868", ".904 .904 .904", ".830 .809 .819", 0.864)
_OURS = (".086 .809", ".889 .903 .896", ".926 .914 .920", ".893 .840 .866", 0.894)

TABLE_2 = {
    "72B+Qua(official)": _column(
        ".092 .818", ".940 .943 .941", ".963 .992 .977", ".923 .906 .914", 0.944, fps=20, memory=89
    ),
    "7B": _column(*_OPTIMIZED_7B, fps=8, memory=60),
    "7B+Qua": _column(".226 .410", ".719 .683 .701", ".550 .584 .566", ".358 .361 .359", 0.542, fps=9, memory=87),
    "our strategy*": _column(*_REAL, fps=11, memory=87),
    "our strategy": _column(*_OURS, fps=11, memory=87),
}
"""Main results; the starred column is trained on real data alone."""

TABLE_3 = {
    "Original Prompt": _column(".308 .411", ".687 .693 .690", ".321 .453 .376", ".366 .392 .379", 0.484),
    "After Prompt Optimization": _column(*_OPTIMIZED_7B),
}
"""Prompt optimization of the untuned 7B."""

TABLE_4 = {
    "our strategy*": _column(*_REAL),
    "Text-to-image": _column(".098 .773", ".864 .889 .877", ".908 .911 .910", ".871 .810 .840", 0.875),
    "Pure Rendering": _column(".100 .770", ".882 .904 .893", ".908 .909 .909", ".869 .835 .861", 0.884),
    "our strategy": _column(*_OURS),
}
"""What each kind of synthetic data adds."""
