"""A run whose training this machine cannot start is refused before anything is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flows.session import gsrm_session, run_session
from rlkd.config.load import parse_config
from rlkd.errors import UserError
from schemas.config.pipeline import PipelineConfig
from tasks.launchable import refuse_unlaunchable

FSDP = {"processes": 2, "parallel": {"type": "fsdp"}}
REFUSED = r"launch\.parallel is fsdp, .* this machine has none"


def config(**values: Any) -> PipelineConfig:
    found = parse_config({"name": "t", "data": {"type": "world"}} | values)
    assert isinstance(found, PipelineConfig)
    return found


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.launching._gpus", lambda: 0)


def test_sharded_training_without_a_gpu_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=REFUSED):
        refuse_unlaunchable(config(launch=FSDP), str(tmp_path / "run"))
    refuse_unlaunchable(config(launch={"processes": 2}), str(tmp_path / "run"))  # gloo does without
    refuse_unlaunchable(config(), str(tmp_path / "run"))


def test_what_is_finished_needs_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = ["data", "traces", "structures", "warm_start", "qualify", "rl"]
    monkeypatch.setattr("tasks.finished.finished_stages", lambda config, output: [*done, "evaluate"])
    refuse_unlaunchable(config(launch=FSDP), str(tmp_path / "run"))
    with pytest.raises(UserError, match=REFUSED):
        refuse_unlaunchable(config(launch=FSDP), str(tmp_path / "run"), from_stage="rl")
    monkeypatch.setattr("tasks.finished.finished_stages", lambda config, output: done)
    with pytest.raises(UserError, match=REFUSED):
        refuse_unlaunchable(config(launch=FSDP), str(tmp_path / "run"))


@pytest.mark.parametrize(("session", "preset"), [(run_session, "demo"), (gsrm_session, "gsrm-world")])
def test_a_run_makes_nothing_before_it_refuses(tmp_path: Path, session: Any, preset: str) -> None:
    overrides = ["launch.processes=2", "launch.parallel.type=fsdp"]
    with (
        pytest.raises(UserError, match=REFUSED),
        session(preset, overrides, str(tmp_path / "runs" / "r")),
    ):
        raise AssertionError("the run began")
    assert list(tmp_path.iterdir()) == []
