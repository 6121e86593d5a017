from __future__ import annotations

import json
from pathlib import Path

import pytest

from pacenote.cli import doctor, main
from pacenote.cli.doctor import Finding


def test_doctor_reports_every_part_and_says_how_to_mend(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACENOTE_BLENDER", str(tmp_path / "absent"))
    monkeypatch.setenv("SUMO_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["doctor", "--json", str(tmp_path / "d.json")]) == 1
    said = capsys.readouterr().out
    findings = {row["name"]: row for row in json.loads((tmp_path / "d.json").read_text())}
    assert {"python", "machine", "disk", "cpu features", "gpu", "sumo", "blender", "video (PyAV)"} <= set(findings)
    assert findings["python"]["status"] == "ok"
    assert findings["blender"]["status"] == findings["sumo"]["status"] == "missing"
    for row in findings.values():
        assert row["name"] in said
        if row["status"] == "missing":
            assert any(word in row["mend"] + row["detail"] for word in ("install", "make setup", "see recipes")), row


def test_exit_code_follows_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    for status, code in (("ok", 0), ("optional", 0), ("missing", 1)):
        monkeypatch.setattr(doctor, "CHECKS", (lambda status=status: iter([Finding("x", status, "d")]),))
        assert main(["doctor"]) == code


def test_a_check_that_breaks_is_a_finding(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def _broken() -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(doctor, "CHECKS", (_broken,))
    assert main(["doctor"]) == 1
    assert "RuntimeError: two lines" in capsys.readouterr().out
