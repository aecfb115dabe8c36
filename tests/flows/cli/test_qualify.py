"""When `rlkd qualify` shows its tables: of this command's own measurement, never of the run before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flows.cli import qualify
from flows.cli.main import run_command
from flows.configure import configure
from rlkd.errors import StageError, UserError
from schemas.artifact import StageEntry
from tasks.runs import open_run

TEXT = "the structure reward misses 1 of 15 thresholds"


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders whose tables were shown; in ``runs/tiny`` a former run was refused."""
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text("name: tiny\ndata: {type: world}\n")
    config = configure("tiny.yaml", ["qualify.action=refuse"])
    with open_run(config, Path("runs/tiny"), whole=False) as run:
        run.record(StageEntry(name="qualify", status="failed", uri="somewhere", sha256="0", error=TEXT))
    found: list[Path] = []
    monkeypatch.setattr(qualify, "show_qualification", found.append)
    return found


def ending(monkeypatch: pytest.MonkeyPatch, error: Exception | None) -> None:
    def run(*args: Any, **kwargs: Any) -> None:
        if error is not None:
            raise error

    monkeypatch.setattr(qualify, "run_one_stage", run)


def test_a_measurement_that_passes_or_is_refused_is_shown(
    shown: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    ending(monkeypatch, None)
    assert run_command(["qualify", "tiny.yaml"]) == 0
    ending(monkeypatch, StageError(f"stage qualify: {TEXT}"))
    assert run_command(["qualify", "tiny.yaml"]) == 1
    assert shown == [Path("runs/tiny")] * 2


@pytest.mark.parametrize(
    ("error", "more"),
    [
        (UserError("the store cannot be used"), []),
        (StageError("stage traces: the server is away"), []),  # this configuration was measured before
        (StageError(f"stage qualify: {TEXT}"), ["--set", "seed=7"]),  # another configuration
    ],
)
def test_a_command_that_failed_before_shows_no_tables_of_the_run_before(
    shown: list[Path], monkeypatch: pytest.MonkeyPatch, error: Exception, more: list[str]
) -> None:
    ending(monkeypatch, error)
    assert run_command(["qualify", "tiny.yaml", *more]) in (1, 2)
    assert shown == []


def test_a_manifest_that_cannot_be_read_hides_no_error(
    shown: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("runs/tiny/run.json").write_text("{")
    ending(monkeypatch, StageError("stage traces: the server is away"))
    assert run_command(["qualify", "tiny.yaml"]) == 1
    assert "the server is away" in capsys.readouterr().err
    assert shown == []
