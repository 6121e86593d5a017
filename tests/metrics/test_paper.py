import pytest

from pacenote.metrics.paper import TABLE_2, TABLE_3, TABLE_4


def f1_of(column: dict, slot: str) -> float:
    p, r = column[slot]["p"], column[slot]["r"]
    return 2 * p * r / (p + r)


@pytest.mark.parametrize("table", [TABLE_2, TABLE_3, TABLE_4], ids=["2", "3", "4"])
def test_the_papers_tables_recompute_but_for_the_known_slips(table: dict) -> None:
    """Guards the transcription: F1 follows from P and R, and the average from the F1, within rounding."""
    for name, column in table.items():
        for slot in ("light", "obstacles", "crossroad"):
            if (name, slot) != ("Pure Rendering", "crossroad"):
                assert f1_of(column, slot) == pytest.approx(column[slot]["f1"], abs=0.0016)
        if name not in ("Original Prompt", "Pure Rendering"):
            mean = sum(column[slot]["f1"] for slot in ("light", "obstacles", "crossroad")) / 3
            assert mean == pytest.approx(column["average"], abs=0.0011)


def test_the_slip_of_table_3() -> None:
    column = TABLE_3["Original Prompt"]
    mean = sum(column[slot]["f1"] for slot in ("light", "obstacles", "crossroad")) / 3
    assert (column["average"], round(mean, 3)) == (0.484, 0.482)


def test_the_slip_of_table_4() -> None:
    column = TABLE_4["Pure Rendering"]
    assert (column["crossroad"]["f1"], round(f1_of(column, "crossroad"), 3)) == (0.861, 0.852)
    mean = (column["light"]["f1"] + column["obstacles"]["f1"] + f1_of(column, "crossroad")) / 3
    assert mean == pytest.approx(column["average"], abs=0.0011)  # the printed average is right


def test_the_tables_share_columns() -> None:
    scores = ("speed", "light", "obstacles", "crossroad", "average")
    for a, b in (
        (TABLE_2["7B"], TABLE_3["After Prompt Optimization"]),
        (TABLE_2["our strategy"], TABLE_4["our strategy"]),
    ):
        assert [a[score] for score in scores] == [b[score] for score in scores]
