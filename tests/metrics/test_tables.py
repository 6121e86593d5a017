import pytest

from pacenote.advisory import Advisory, Light, Truth
from pacenote.metrics import (
    breakdown,
    breakdown_table,
    confusion_table,
    flip_accuracy,
    flip_table,
    kind_table,
    markdown,
    score,
    slot_table,
    table2,
    with_baselines,
)
from pacenote.metrics.paper import TABLE_2, TABLE_3, TABLE_4

FACTS = [
    Truth(speed_kmh=20, light=Light("red"), obstacles={"cone": True}, crossroad_any=False),
    Truth(speed_kmh=50, light=Light("green"), obstacles_any=False, crossroad={"intersection": True}),
]
SAID = [
    Advisory(20, Light("red"), frozenset({"cone"}), frozenset()),
    Advisory(45, Light("red"), frozenset(), frozenset({"intersection"})),
]


def recomputed(column: dict) -> float:
    return sum(column[slot]["f1"] for slot in ("light", "obstacles", "crossroad")) / 3


@pytest.mark.parametrize("table", [TABLE_2, TABLE_3, TABLE_4])
def test_the_papers_tables_recompute_but_for_the_known_slips(table: dict) -> None:
    """Guards the transcription: F1 follows from P and R, and the average from the F1, within rounding."""
    for name, column in table.items():
        for slot in ("light", "obstacles", "crossroad"):
            p, r, f1 = (column[slot][figure] for figure in ("p", "r", "f1"))
            if (name, slot) == ("Pure Rendering", "crossroad"):
                assert f1 == 0.861
                assert 2 * p * r / (p + r) == pytest.approx(0.852, abs=0.0006)
                continue
            assert 2 * p * r / (p + r) == pytest.approx(f1, abs=0.0016)
        if name == "Original Prompt":
            assert (column["average"], round(recomputed(column), 3)) == (0.484, 0.482)
        elif name == "Pure Rendering":
            assert (column["average"], round(recomputed(column) - (0.861 - 0.852) / 3, 3)) == (0.884, 0.885)
        else:
            assert recomputed(column) == pytest.approx(column["average"], abs=0.0011)


def test_table2_has_the_papers_rows() -> None:
    result = score(SAID, FACTS, ["a", "b"]) | {"fps": 12.34, "memory_mib": 87.2}
    table = table2(with_baselines("model", result) | {"72B": TABLE_2["72B+Qua(official)"]})
    assert table[0] == ["", "", "model", "always commonest", "always none", "always yes", "72B"]
    assert [row[:2] for row in table[1:]] == [
        ["FPS", ""], ["Memory", ""],
        ["Recommended Speed", "sMAPE"], ["Recommended Speed", "R2"],
        ["Traffic Lights", "P"], ["Traffic Lights", "R"], ["Traffic Lights", "F1"],
        ["Obstacles", "P"], ["Obstacles", "R"], ["Obstacles", "F1"],
        ["Crossroad", "P"], ["Crossroad", "R"], ["Crossroad", "F1"],
        ["Average", ""], ["Frames", "n"],
    ]  # fmt: skip
    assert all(len(row) == 7 for row in table)
    cells = {(row[0], row[1]): row[2:] for row in table}
    assert cells["FPS", ""] == ["12.3", "–", "–", "–", "20.0"]
    assert cells["Traffic Lights", "F1"][0].startswith("0.500 [")
    assert cells["Average", ""][-1] == "0.944"
    assert cells["Recommended Speed", "R2"][2] == "–"
    assert cells["Memory", ""] == ["87 MiB", "–", "–", "–", "–"]
    assert table2({"model": result}, intervals=False)[7][2] == "0.500"


def test_the_other_tables_are_rectangles_with_the_counts() -> None:
    result = score(SAID, FACTS, ["a", "b"])
    tables = [
        slot_table(result),
        kind_table(result),
        confusion_table(result),
        breakdown_table(breakdown(SAID, FACTS, ["day", "night"], ["a", "b"])),
        flip_table(flip_accuracy(SAID, FACTS, [(0, 1, "obstacles")], ["a", "b"])),
    ]
    for table in tables:
        assert len({len(row) for row in table}) == 1
    assert tables[0][2] == ["Traffic Lights", "2", "2", "1", "1", "1", "0"]
    assert tables[1][1][1:5] == ["cone", "1.000 [1.000, 1.000]", "1.000 [1.000, 1.000]", "1.000 [1.000, 1.000]"]
    assert tables[2][4] == ["green", "0", "1", "0", "0", "0", "0"]
    assert [row[0] for row in tables[3]] == ["Group", "day", "night"]
    assert tables[4][-1][:2] == ["All", "1"]


def test_markdown() -> None:
    assert markdown([["a", "b"], ["1", "x|y"]]) == "| a | b |\n| --- | --- |\n| 1 | x\\|y |"
