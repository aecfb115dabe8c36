"""`rlkd rewards replay`: what it says where there is nothing to replay."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.cli.main import run_command


def test_replay_names_a_folder_that_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["rewards", "replay", str(tmp_path / "none")]) == 2
    error = capsys.readouterr().err
    assert str(tmp_path / "none") in error
    assert "Traceback" not in error
