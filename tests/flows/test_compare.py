from __future__ import annotations

from pathlib import Path

import pytest

from flows.cli.main import run_command
from rlkd.io import write_json_atomic, write_rows
from schemas.artifact import RunManifest, StageEntry
from schemas.evaluation import ProblemOutput


def run_folder(root: Path, name: str, right: bool) -> Path:
    folder = root / name
    folder.mkdir()
    row = ProblemOutput(
        checkpoint="rlkd",
        split="test",
        problem_id="p",
        domain="math",
        difficulty=None,
        completion="",
        answer=None,
        correct=right,
        structure=None,
        format=1.0,
        tokens=1,
        finish_reason="stop",
    )
    write_rows(folder / "outputs.jsonl", [row])
    entry = StageEntry(name="evaluate", status="reused", uri=str(folder))
    write_json_atomic(
        folder / "run.json", RunManifest(name=name, config={}, config_digest="", store="", stages=(entry,))
    )
    return folder


def test_compare_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = run_folder(tmp_path, "one", True), run_folder(tmp_path, "two", False)
    assert run_command(["compare", f"RLKD={first}", str(second)]) == 0
    printed = capsys.readouterr().out
    assert "| RLKD | 0 | 100.0% [100.0, 100.0] |" in printed
    assert "| seed 0 | +100.0 [+100.0, +100.0] |" in printed


def test_compare_refuses_what_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["compare", str(tmp_path)]) == 2
    assert "is not a run folder" in capsys.readouterr().err
