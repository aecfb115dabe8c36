"""RL on two processes (gloo): the gradients of one at the same global batch; killed, it goes on as if it had not been."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from rlkd.errors import StageError
from rlkd.pipeline.events import NullSink
from rlkd.pipeline.jobs import Job
from rlkd.rewards.ledger import read_ledger
from schemas.config.pipeline import PipelineConfig
from schemas.config.training import LaunchConfig
from tasks.jobs import run_job

from . import launched_rl
from .conftest import make_config, make_context

pytestmark = pytest.mark.slow

# 3 problems x 4 completions = 12, 6 a process: the second group is shared by both.
CONFIG = make_config(
    rl={
        "steps": 4,
        "prompts_per_step": 3,
        "group_size": launched_rl.GROUP,
        "save_every": 2,
        "optimizer": {"learning_rate": 1e-3, "max_grad_norm": 1e3},  # gradients are compared as they are
    },
    rewards={"alpha": 0.0, "format": 0.0, "length": 0.9, "length_free": 0.1},
)


@pytest.fixture(autouse=True)
def _own_job(monkeypatch: pytest.MonkeyPatch) -> None:
    here = str(Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", f"{here}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)


def on_two(folder: Path, config: PipelineConfig, inputs: dict[str, Path], **environment: str) -> None:
    (folder / "work").mkdir(parents=True, exist_ok=True)
    job = Job(
        stage="rl",
        function="launched_rl:job",
        config=config.model_dump(mode="json"),
        inputs={name: str(path) for name, path in inputs.items()},
        folder=str(folder),
    )
    log = folder.with_suffix(".log")
    run_job(job, folder / "work", log, LaunchConfig(processes=2), NullSink(), environment)


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def kinds(folder: Path) -> list[tuple[int, list[str]]]:
    return [(row["step"], sorted(row)) for row in rows(folder)]


def weights(folder: Path) -> torch.Tensor:
    found = load_file(folder / "model" / "model.safetensors")
    return torch.cat([found[name].flatten() for name in sorted(found)])


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    """How far apart, as a share of the first."""
    assert one.shape == other.shape and float(one.norm()) > 0
    return float((one - other).norm() / one.norm())


def test_two_killed_processes_have_the_gradients_of_one_on_the_same_completions(
    inputs: dict[str, Path], tmp_path: Path
) -> None:
    alone, together = tmp_path / "one", tmp_path / "two"
    launched_rl.on_given_completions(make_context(alone, CONFIG, inputs), alone / "gradients")
    with pytest.raises(StageError, match="stage rl"):
        on_two(together, CONFIG, inputs, GIVEN="gradients", KILL_AT="3")
    assert [row["step"] for row in rows(together)] == [1, 2, 3]
    on_two(together, CONFIG, inputs, GIVEN="again")

    of_one = [torch.load(alone / "gradients" / f"{i}.pt") for i in (1, 2, 3, 4)]
    # the first attempt took steps 1 to 3, the second went on from the checkpoint of step 2
    of_two = [*((f"gradients/{i}", i) for i in (1, 2, 3)), ("again/1", 3), ("again/2", 4)]
    assert len(list((together / "again").iterdir())) == 2
    for name, step in of_two:
        assert distance(of_one[step - 1], torch.load(together / f"{name}.pt")) < 1e-3, name
    assert kinds(alone) == kinds(together)
    ledgers = [read_ledger(folder / "ledger") for folder in (alone, together)]
    assert [(row.step, row.group, row.completion, row.reward) for row in ledgers[0]] == [
        (row.step, row.group, row.completion, row.reward) for row in ledgers[1]
    ]
    assert [row.advantage for row in ledgers[1]] == pytest.approx([r.advantage for r in ledgers[0]], abs=1e-4)
    for one, two in zip(rows(alone), rows(together), strict=True):
        for name in one.keys() - {"step_seconds"}:
            assert two[name] == pytest.approx(one[name], rel=1e-3, abs=1e-6), (one["step"], name)
    assert distance(weights(alone), weights(together)) < 1e-4


def test_two_processes_that_sample_go_on_as_if_they_had_not_been_killed(
    inputs: dict[str, Path], tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    on_two(whole, CONFIG, inputs)
    with pytest.raises(StageError, match="stage rl"):
        on_two(killed, CONFIG, inputs, KILL_AT="3")
    on_two(killed, CONFIG, inputs)
    assert distance(weights(whole), weights(killed)) < 1e-6
    assert read_ledger(whole / "ledger") == read_ledger(killed / "ledger")
    timeless = [[{**row, "step_seconds": 0} for row in rows(folder)] for folder in (whole, killed)]
    assert timeless[0] == timeless[1]
