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


def test_a_full_disk_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rlkd.replay.replay.replay_run", full)
    assert run_command(["rewards", "replay", "runs/x", "--output", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert f"the disk that holds {tmp_path} is full" in error
    assert "kept: the run;" in error
