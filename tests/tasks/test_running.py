"""Stages of a run, start to end, on fake stages and without Prefect's flows."""

from __future__ import annotations

from pathlib import Path

import fake_stages
import pytest

import rlkd.pipeline.stages
from rlkd.config.load import parse_config
from rlkd.errors import StageError
from schemas.artifact import RunManifest, StageEntry
from tasks.running import run_stage
from tasks.runs import RunRef, open_run, read_run

CONFIG = parse_config({"name": "t", "data": {"type": "world"}, "tracking": {"enabled": False}})
CHAIN = ["data", "traces", "structures", "warm_start", "qualify", "rl", "evaluate", "report"]


def _run(folder: Path) -> RunManifest:
    """Runs the chain in its order, each stage with all that came before."""
    made: dict[str, StageEntry] = {}
    with open_run(CONFIG, folder):
        for spec in rlkd.pipeline.stages.STAGES:
            made[spec.name] = run_stage(spec.name, RunRef(folder=str(folder)), made)
    return read_run(folder)


@pytest.mark.parametrize("stage", ["data", "traces", "rl", "report"])
def test_a_full_disk_is_one_error_that_says_what_is_kept_and_the_rerun_goes_on(
    fakes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    monkeypatch.setenv("FAKE_FAIL", stage)
    monkeypatch.setenv("FAKE_FAULT", "full")
    with pytest.raises(StageError) as raised:
        _run(tmp_path / "run")
    before = CHAIN[: CHAIN.index(stage)]
    kept = f"{', '.join(before)}, and what {stage}" if before else f"what {stage}"
    assert str(raised.value).startswith(f"stage {stage}: the disk that holds {tmp_path / '.store'} is full (")
    assert f"free); kept: {kept} has done and saved; free some space and run the same" in str(raised.value)
    entries = {entry.name: entry for entry in read_run(tmp_path / "run").stages}
    assert entries[stage].status == "failed"  # type: ignore[index]
    assert entries[stage].error == str(raised.value)  # type: ignore[index]

    monkeypatch.delenv("FAKE_FAIL")
    again = _run(tmp_path / "run")
    assert [entry.status for entry in again.stages] == ["reused"] * len(before) + ["done"] * (8 - len(before))
    done = [unit for name, unit in fake_stages.logged(fakes) if name == stage and unit != "start"]
    if stage in (
        "traces",
        "rl",
    ):  # what was saved before the disk was full (4 rows, 4 steps) is not done twice
        assert done == [str(unit) for unit in range(fake_stages.UNITS)]


def test_a_disk_that_cannot_take_the_first_manifest_is_told_without_a_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tasks.runs

    def full(path: Path, value: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tasks.runs, "write_json_atomic", full)
    with pytest.raises(
        StageError, match=r"^the disk that holds .*run is full \(.*kept: every finished stage;"
    ):
        _run(tmp_path / "run")
