"""A store that cannot be used is one sentence before anything is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.cli.main import run_command


@pytest.mark.parametrize("command", [["run", "demo"], ["stage", "data", "demo"]])
def test_a_store_that_cannot_be_used_is_said_before_anything_is_made(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RLKD_STORE", "gopher://x")
    assert run_command([*command, "--output", "runs/x"]) == 2
    assert "RLKD_STORE=gopher://x: " in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
