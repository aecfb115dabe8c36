"""Stages of a run, start to end, on fake stages and without Prefect's flows."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import fake_stages
import pytest

import rlkd.pipeline.stages
from rlkd.config.load import parse_config
from rlkd.errors import StageError
from rlkd.pipeline.run_folder import read_run
from schemas.artifact import RunManifest, StageEntry
from schemas.config.pipeline import PipelineConfig
from tasks.running import run_stage
from tasks.runs import RunRef, open_run

pytestmark = pytest.mark.slow

CONFIG = parse_config({"name": "t", "data": {"type": "world"}, "tracking": {"enabled": False}})
EARLIER = Path(__file__).parent / "support" / "earlier_store"
CHAIN = ["data", "traces", "structures", "warm_start", "qualify", "rl", "evaluate", "report"]


def _run(folder: Path, config: PipelineConfig = CONFIG) -> RunManifest:
    """Runs the chain in its order, each stage with all that came before."""
    made: dict[str, StageEntry] = {}
    with open_run(config, folder):
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


def _statuses(folder: Path) -> dict[str, str]:
    return {entry.name: entry.status for entry in read_run(folder).stages}


def _config(**settings: object) -> PipelineConfig:
    return parse_config({"name": "t", "data": {"type": "world"}, "tracking": {"enabled": False}, **settings})


def test_more_test_problems_retrain_nothing(fakes: Path, tmp_path: Path) -> None:
    """The training stages read the rows of training and validation problems, though one file holds all traces."""
    for count in (3, 5):
        _run(tmp_path / "run", _config(data={"type": "world", "world": {"n_test": count}}))
    made = _statuses(tmp_path / "run")
    assert {name for name, status in made.items() if status == "reused"} == {"warm_start", "qualify", "rl"}
    assert {name for name, status in made.items() if status == "done"} == set(CHAIN) - {
        "warm_start",
        "qualify",
        "rl",
    }


def test_a_stage_made_again_with_the_same_weights_has_nothing_else_made_again(
    fakes: Path, tmp_path: Path
) -> None:
    rl = next(entry for entry in _run(tmp_path / "run").stages if entry.name == "rl")
    before = (Path(rl.uri) / "metrics.jsonl").read_text()
    (Path(rl.uri) / "model" / "model.safetensors").write_text("corrupted")
    _run(tmp_path / "run")
    made = _statuses(tmp_path / "run")
    assert made == {**dict.fromkeys(CHAIN, "reused"), "rl": "done"}
    assert (Path(rl.uri) / "metrics.jsonl").read_text() != before  # its rows say how long each step took


def test_checkpoints_are_kept_where_that_is_asked_for_and_nothing_is_made_again_for_it(
    fakes: Path, tmp_path: Path
) -> None:
    kept = _run(tmp_path / "run", _config(keep={"checkpoints": True}))
    folders = {entry.name: Path(entry.uri) for entry in kept.stages}
    for name in ("warm_start", "rl"):
        assert (
            json.loads((folders[name] / "checkpoints" / "state.json").read_text())["step"]
            == fake_stages.UNITS
        )
    _run(tmp_path / "run")  # keeping is no part of a stage's identity
    assert _statuses(tmp_path / "run") == dict.fromkeys(CHAIN, "reused")
    _run(tmp_path / "run", _config(rl={"steps": 20}))
    (other,) = (Path(entry.uri) for entry in read_run(tmp_path / "run").stages if entry.name == "rl")
    assert sorted(path.name for path in other.iterdir()) == sorted(
        {path.name for path in folders["rl"].iterdir()} - {"checkpoints"}
    )


def test_other_weights_are_evaluated_again(fakes: Path, tmp_path: Path) -> None:
    _run(tmp_path / "run", _config(rl={"steps": 10}))
    _run(tmp_path / "run", _config(rl={"steps": 20}))
    made = _statuses(tmp_path / "run")
    assert [name for name in CHAIN if made[name] == "done"] == ["rl", "evaluate", "report"]


@pytest.fixture
def earlier(fakes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """A store that these fakes made at the commit a64f0fe, whose identities named whole folders; its folders by stage.

    The stages have their versions of then: what a raised version means is another question.
    """
    shutil.copytree(EARLIER, tmp_path / ".store")
    table, folders = [], {}
    for spec in rlkd.pipeline.stages.STAGES:
        manifest = next((tmp_path / ".store" / spec.name).glob("*/manifest.json"))
        table.append(replace(spec, version=json.loads(manifest.read_text())["stage_version"]))
        folders[spec.name] = manifest.parent
    monkeypatch.setattr(rlkd.pipeline.stages, "STAGES", tuple(table))
    return folders


def test_stages_that_an_earlier_release_finished_are_reused(earlier: dict[str, Path], tmp_path: Path) -> None:
    found = {entry.name: entry for entry in _run(tmp_path / "run").stages}
    assert {name: entry.status for name, entry in found.items()} == dict.fromkeys(CHAIN, "reused")
    assert {name: Path(entry.uri) for name, entry in found.items()} == earlier
    changed = _run(tmp_path / "run", _config(student={"max_completion_tokens": 99}))
    remade = [entry.name for entry in changed.stages if entry.status == "done"]
    assert {"warm_start", "rl", "evaluate"} <= set(remade)  # an older stage serves only what says the same


def test_an_earlier_stage_with_a_changed_file_is_made_again(earlier: dict[str, Path], tmp_path: Path) -> None:
    next((earlier["rl"] / "model").iterdir()).write_text("corrupted")
    assert {entry.name: entry.status for entry in _run(tmp_path / "run").stages}["rl"] == "done"


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
