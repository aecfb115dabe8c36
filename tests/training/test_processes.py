"""Two processes on this machine (gloo, CPU): one ledger, whole groups, one writer; and it resumes."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from rlkd.rewards.ledger import read_ledger
from rlkd.rewards.statistics import group_records

from .conftest import make_config

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def launch(
    stage: str, folder: Path, config: str, inputs: dict[str, Path]
) -> subprocess.CompletedProcess[str]:
    paths = json.dumps({name: str(path) for name, path in inputs.items()})
    script = str(Path(__file__).with_name("killer.py"))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone", script]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    never = str(10**6)
    return subprocess.run(
        [*command, stage, str(folder), config, paths, never],
        env=env,
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_two_processes_share_groups_and_write_one_ledger(inputs: dict[str, Path], tmp_path: Path) -> None:
    # 3 problems x 4 completions = 12, 6 a process: the second group is shared by both.
    settings = {"steps": 2, "prompts_per_step": 3, "group_size": 4, "save_every": 1}
    config = make_config(
        rl=settings, rewards={"alpha": 0.0, "format": 0.0, "length": 0.9, "length_free": 0.1}
    )
    done = launch("rl", tmp_path, config.model_dump_json(), inputs)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = read_ledger(tmp_path / "ledger")
    assert [(row.step, row.group) for row in rows] == [
        (s, g) for s in range(2) for g in range(3) for _ in range(4)
    ]
    for group in group_records(rows):
        assert len({row.problem_id for row in group}) == 1
        rewards = [row.reward for row in group if row.reward is not None]
        mean, spread = statistics.mean(rewards), statistics.stdev(rewards)
        for row, reward in zip(group, rewards, strict=True):
            assert row.advantage == pytest.approx((reward - mean) / (spread + 1e-4), abs=1e-3)
    assert len({row.completion for row in rows}) > len(rows) // 2  # the processes do not sample the same
    metrics = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in metrics] == [1, 2]
    assert metrics[0]["tokens_sampled"] == sum(row.tokens for row in rows if row.step == 0)
    assert (tmp_path / "model" / "model.safetensors").exists()


def test_batches_that_cannot_be_shared_are_an_error() -> None:
    from rlkd.errors import ConfigError
    from rlkd.training.rl import plan_batches
    from schemas.config.training import RLConfig

    config = RLConfig(prompts_per_step=3, group_size=3, steps_per_generation=2, iterations=2, steps=10)
    with pytest.raises(ConfigError, match=r"= 9 completions cannot be shared by launch.processes = 2"):
        plan_batches(config, 2)
    with pytest.raises(
        ConfigError, match=r"rl.micro_batch = 6 must divide the 3 completions of each of 3 processes"
    ):
        plan_batches(config.model_copy(update={"micro_batch": 6}), 3)
    plan = plan_batches(config.model_copy(update={"micro_batch": 3}), 1)
    # 9 completions in forward passes of 3; a round of 2 x 3 problems serves 2 x 2 steps; ceil(10 / 4) rounds.
    assert (plan.per_device, plan.accumulation, plan.prompts_per_round, plan.boundary, plan.rounds) == (
        3,
        3,
        6,
        4,
        3,
    )
