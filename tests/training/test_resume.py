"""Kill -9 in the middle of training, run again: the same weights, rows and metrics as without the kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from rlkd.pipeline.stages import stage_spec
from rlkd.rewards.ledger import read_ledger
from schemas.config.pipeline import PipelineConfig

from .conftest import make_config, make_context

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FAST = {"learning_rate": 5e-3}


def run_until_killed(
    stage: str, folder: Path, config: PipelineConfig, inputs: Mapping[str, Path], step: int
) -> None:
    paths = json.dumps({name: str(path) for name, path in inputs.items()})
    command = [
        sys.executable,
        str(Path(__file__).with_name("killer.py")),
        stage,
        str(folder),
        config.model_dump_json(),
        paths,
        str(step),
    ]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]


def run(stage: str, folder: Path, config: PipelineConfig, inputs: Mapping[str, Path]) -> None:
    stage_spec(stage).load()(make_context(folder, config, inputs))


def metrics(folder: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "step_seconds"} for row in rows]


def assert_same_weights(a: Path, b: Path) -> None:
    left, right = load_file(a / "model.safetensors"), load_file(b / "model.safetensors")
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def warm(inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("warm") / "warm_start"
    run("warm_start", folder, WARM, inputs)
    return folder


WARM = make_config(
    warm_start={"batch_size": 4, "max_epochs": 6, "eval_every": 4, "patience": 2, "optimizer": FAST}
)


def test_warm_start_killed_and_continued(inputs: dict[str, Path], warm: Path, tmp_path: Path) -> None:
    folder = tmp_path / "warm_start"
    run_until_killed("warm_start", folder, WARM, inputs, step=10)  # after the checkpoint of step 8
    assert len([r for r in metrics(folder) if "loss" in r]) == 10
    run("warm_start", folder, WARM, inputs)
    assert_same_weights(warm / "model", folder / "model")
    assert metrics(warm) == metrics(folder)


@pytest.mark.parametrize(
    ("settings", "kill_at", "kept"),
    [
        ({"save_every": 2}, 5, 4),
        # A round of samples serves 2 x 2 optimiser steps: checkpoints only at multiples of 4.
        ({"save_every": 3, "steps_per_generation": 2, "iterations": 2, "micro_batch": 4}, 7, 4),
        ({"save_every": 4, "eval_every": 3, "eval_problems": 2, "keep": "best"}, 6, 4),
    ],
)
def test_rl_killed_and_continued(
    inputs: dict[str, Path], warm: Path, tmp_path: Path, settings: dict[str, Any], kill_at: int, kept: int
) -> None:
    config = make_config(
        rl={
            "steps": 9,
            "prompts_per_step": 2,
            "group_size": 4,
            "optimizer": {"learning_rate": 1e-3},
            **settings,
        }
    )
    given = {**inputs, "warm_start": warm}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run("rl", whole, config, given)
    run_until_killed("rl", killed, config, given, step=kill_at)
    evaluated = 1 if "eval_every" in settings else 0  # step 0 has a row of its own
    assert len(metrics(killed)) == kill_at + evaluated
    if not evaluated:  # keeping the best saves at steps of its own
        assert max(row.step for row in read_ledger(killed / "ledger")) < kept
    run("rl", killed, config, given)
    assert_same_weights(whole / "model", killed / "model")
    assert metrics(whole) == metrics(killed)
    assert read_ledger(whole / "ledger") == read_ledger(killed / "ledger")


def test_watching_the_student_changes_nothing_about_it(
    inputs: dict[str, Path], warm: Path, tmp_path: Path
) -> None:
    base = {"steps": 4, "prompts_per_step": 2, "group_size": 4, "optimizer": {"learning_rate": 1e-3}}
    given = {**inputs, "warm_start": warm}
    run("rl", tmp_path / "blind", make_config(rl=base), given)
    run("rl", tmp_path / "watched", make_config(rl={**base, "eval_every": 2, "eval_problems": 3}), given)
    assert_same_weights(tmp_path / "blind" / "model", tmp_path / "watched" / "model")
    assert read_ledger(tmp_path / "blind" / "ledger") == read_ledger(tmp_path / "watched" / "ledger")
    rows = metrics(tmp_path / "watched")
    assert [row["step"] for row in rows if "validation_accuracy" in row] == [0, 2, 4]
    assert all(0.0 <= row["validation_structure"] <= 1.0 for row in rows if row["step"] in (0, 2, 4))
    stripped = [{k: v for k, v in row.items() if not k.startswith("validation")} for row in rows]
    assert [row for row in stripped if row["step"] > 0] == metrics(tmp_path / "blind")


def test_the_best_on_validation_goes_on(
    inputs: dict[str, Path], warm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = iter(
        [0.9, 0.25, 0.75, 0.75, 0.5]
    )  # steps 0 to 4: step 2 is the first of the best after the start
    monkeypatch.setattr("rlkd.training.grpo.figures", lambda records: {"validation_accuracy": next(planned)})
    rl = {"steps": 4, "prompts_per_step": 2, "group_size": 4, "optimizer": {"learning_rate": 1e-2}}
    config = make_config(rl={**rl, "save_every": 4, "eval_every": 1, "keep": "best"})
    given = {**inputs, "warm_start": warm}
    folder = tmp_path / "rl"
    result = stage_spec("rl").load()(make_context(folder, config, given))
    assert (result.summary["steps"], result.summary["kept_step"]) == (4, 2)
    kept = sorted(path.name for path in (folder / "work" / "checkpoints").iterdir())
    assert kept == ["checkpoint-2", "checkpoint-4"]
    assert_same_weights(folder / "work" / "checkpoints" / "checkpoint-2", folder / "model")


def test_a_finished_stage_that_lost_only_its_model_does_not_train_again(
    inputs: dict[str, Path], warm: Path, tmp_path: Path
) -> None:
    config = make_config(rl={"steps": 2, "prompts_per_step": 2, "group_size": 4, "save_every": 2})
    given = {**inputs, "warm_start": warm}
    folder = tmp_path / "rl"
    run("rl", folder, config, given)
    before = metrics(folder)
    first = load_file(folder / "model" / "model.safetensors")
    (folder / "model" / "model.safetensors").unlink()
    run("rl", folder, config, given)
    again = load_file(folder / "model" / "model.safetensors")
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert metrics(folder) == before
