"""Real stages on a toy configuration, started as users do: two processes make what one makes, in the same form."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import statuses

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CONFIG = """
name: toy
data: {type: world, world: {n_train: 16, n_validation: 6, n_test: 6, n_ood: 2, steps: {min: 2, max: 3}}}
student:
  model: {type: fresh, vocabulary: 300, layers: 1, width: 32, heads: 2, context: 640}
  max_prompt_tokens: 400
  max_completion_tokens: 200
warm_start: {max_epochs: 2, batch_size: %d, eval_every: 2, keep: last}
qualify: {enabled: false}
rl: {steps: 3, prompts_per_step: 3, group_size: 2, save_every: 2, eval_every: 2, eval_problems: 3}
evaluate: {samples: 0, pass_at: [1], resamples: 100}
launch: {processes: %d}
tracking: {enabled: false}
"""
MADE = ("data", "traces", "structures", "warm_start", "rl", "evaluate")


def rows(folder: Path, stage: str) -> list[dict[str, Any]]:
    [found] = (folder / "runs" / ".store" / stage).glob("*/metrics.jsonl")
    return [json.loads(line) for line in found.read_text().splitlines()]


def report(folder: Path) -> dict[str, Any]:
    [found] = (folder / "runs" / ".store" / "evaluate").glob("*/eval_report.json")
    content: dict[str, Any] = json.loads(found.read_text())
    return content


def test_the_chain_on_two_processes_has_the_metrics_of_one(
    tmp_path: Path, environment: dict[str, str], services: dict[str, str]
) -> None:
    env = {**environment, **services, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, processes in ((one, 1), (two, 2)):
        folder.mkdir()
        (folder / "toy.yaml").write_text(CONFIG % (8 // processes, processes))  # 8 traces a step either way
        done = subprocess.run(
            [sys.executable, "-m", "flows.cli.main", "stage", "evaluate", "toy.yaml", "--output", "runs/toy"],
            env=env,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=1000,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        assert statuses(folder / "runs" / "toy") == dict.fromkeys(MADE, "done")
        log = (folder / "runs" / "toy" / "logs" / "rl.log").read_text()
        assert log.count("--- rl: ") == 1
    for stage in ("warm_start", "rl"):
        alone, together = rows(one, stage), rows(two, stage)
        assert [(row["step"], sorted(row)) for row in alone] == [
            (row["step"], sorted(row)) for row in together
        ]
    for row, other in zip(rows(one, "warm_start"), rows(two, "warm_start"), strict=True):
        for name in {"loss", "validation_loss"} & row.keys():
            assert other[name] == pytest.approx(row[name], rel=1e-3), (row["step"], name)
    # 2 passes over the accepted traces of 16 problems; RL: the start, and 3 steps
    assert [row["step"] for row in rows(two, "rl")] == [0, 1, 2, 3]
    assert report(one).keys() == report(two).keys()
